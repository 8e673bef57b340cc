//! The session as a whole: to follow it, to hand it over, to bind calls to it.

use super::Client;
use crate::{
    bell::Farewell, driver::ticket::Command, error::Error, session_events::SessionEvents, session_export::SessionExport,
};
use std::future::Future;
use tokio::sync::oneshot;
use zk_proto::{OpCode, SessionId, Zxid, session::Outcome};

impl Client {
    /// Every change of the session's state from now on, beginning with how it stands. Unlike [`state`](Self::state),
    /// which holds the last one only, a reader that comes late misses nothing; one that comes very late (64 changes) is
    /// told how many it missed, and of every expiry among them.
    ///
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = zk_testkit::server::TestServer::start().await?;
    /// # let client = zk_client::Client::connect(&server.connect_string()).await?;
    /// use zk_client::{SessionEvent, SessionState};
    ///
    /// let mut events = client.session_events();
    /// client.close().await;
    /// let mut last = None;
    /// while let Some(event) = events.next().await {
    ///     match event {
    ///         SessionEvent::Changed(SessionState::Connecting { expired: Some(id) }) => println!("{id} expired"),
    ///         SessionEvent::Missed { expired, .. } if expired > 0 => println!("{expired} sessions expired"),
    ///         _ => {}
    ///     }
    ///     last = Some(event);
    /// }
    /// assert!(matches!(last, Some(SessionEvent::Changed(SessionState::Ended(_)))));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn session_events(&self) -> SessionEvents {
        let last = *self.shared.state.borrow();
        self.shared.events.subscribe(last)
    }

    /// The highest zxid of any answer so far, over all sessions of this client: no server behind it will be used.
    #[must_use]
    pub fn last_zxid(&self) -> Zxid {
        self.shared.events.last_zxid()
    }

    /// The session for another process to go on with ([`Connector::resume_export`](crate::Connector::resume_export)), should
    /// this one not live to [leave](Self::leave) it: whoever hands over in order leaves, and passes on what that gives. `None`
    /// while there is no session.
    ///
    /// A session has one connection. While this client lives, it takes the session back from whoever goes on with it, who
    /// takes it back in turn, for ever; and when it is [closed](Self::close), the session ends for both.
    ///
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = zk_testkit::server::TestServer::start().await?;
    /// # let servers = server.connect_string();
    /// use zk_client::{Client, SessionExport};
    ///
    /// let client = Client::connect(&servers).await?;
    /// let secret = client.export_session().ok_or("no session")?.to_secret();
    /// // Whoever keeps the bytes can go on when this process has died:
    /// let export = SessionExport::from_secret(secret.expose())?;
    /// assert_eq!(client.session_id(), Some(export.credentials().id));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn export_session(&self) -> Option<SessionExport> {
        let session = self.session_id()?;
        let credentials = self.credentials().filter(|credentials| credentials.id == session)?;
        Some(SessionExport::new(credentials, self.last_zxid()))
    }

    /// Ends this client and leaves its session to whoever goes on with it
    /// ([`Connector::resume_export`](crate::Connector::resume_export)): all handles end, streams and consumers too, as after a
    /// [close](Self::close), but the session lives on at the servers, and its ephemerals with it, until its timeout is over.
    /// That counts from the last thing that they heard of this client.
    ///
    /// Answers the session, with what was seen in it to the last; `None` when there is none, or none any more: before the first
    /// one, after an expiry, and when somebody was first to close.
    ///
    /// Of [recipes](crate::recipes) that still hold something nobody knows any more, while their znodes stay as long as the
    /// session: give back what is not to be handed over.
    ///
    /// # Ordering
    /// Everything called before goes out first, and is answered; at most two seconds are waited for that. Without a connection
    /// nothing is waited for: what has not left ends as [`Outcome::NotSent`].
    /// # Cancel safety
    /// The client leaves all the same. Called again, this answers the same.
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = zk_testkit::server::TestServer::start().await?;
    /// # let servers = server.connect_string();
    /// use zk_client::{Client, Connector, CreateMode, OPEN_ACL_UNSAFE};
    ///
    /// let old = Client::connect(&servers).await?;
    /// let created = old.create("/here", b"", CreateMode::Ephemeral, OPEN_ACL_UNSAFE);
    /// let export = old.leave().await.ok_or("no session")?;
    /// created.await?;
    /// assert!(old.get_data("/here").await.is_err(), "it has ended");
    ///
    /// let new = Connector::new(&servers)?.resume_export(&export).connect().await?;
    /// assert_eq!(new.get_ephemerals("/").await?, ["/here"]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn leave(&self) -> impl Future<Output = Option<SessionExport>> + Send + use<> {
        let (ended, events) = (self.end(Farewell::Leave), self.shared.events.clone());
        async move {
            ended.await;
            events.left()
        }
    }

    /// A handle whose operations are carried out in this session or not at all: once the client has another session,
    /// they end with [`Error::Fenced`], and nothing is sent. The check is made where the request is written, so one that
    /// waits for a connection does not slip into the next session; it ends with [`Error::Interrupted`] by the expiry then,
    /// as [`Outcome::NotSent`]. [`Error::is_session_over`] is true of both.
    ///
    /// That is what makes a lock safe that lives as long as a session: what its holder writes with such a handle is
    /// either written while it holds the lock or never. Watches and inline consumers are not fenced, and an identity
    /// ([`add_auth`](Self::add_auth)) that was taken in while the client had this session stays for all later ones.
    /// The handle keeps deadline and chroot of this one; a fence that this one has is replaced.
    ///
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = zk_testkit::server::TestServer::start().await?;
    /// # let client = zk_client::Client::connect(&server.connect_string()).await?;
    /// # server.create("/app", b"1").unwrap();
    /// use zk_client::SessionState;
    ///
    /// let session = client.session_id().ok_or("no session")?;
    /// let fenced = client.fenced(session);
    /// fenced.set_data("/app", b"2", None).await?;
    /// # server.expire_session(session);
    /// // The session expires, and the client makes a new one:
    /// let is_new = |state: &SessionState| state.is_connected() && state.session() != Some(session);
    /// client.state().wait_for(is_new).await?;
    /// let error = fenced.set_data("/app", b"3", None).await.unwrap_err();
    /// assert!(error.is_session_over() && !error.maybe_applied());
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn fenced(&self, session: SessionId) -> Self {
        Self { fence: Some(session), ..self.clone() }
    }

    /// Says that the ensemble has lost its data and was built anew, so that this client may use it.
    ///
    /// Servers count transactions, and take nobody who has seen more than they have: that keeps reads from going back. An
    /// ensemble without its data counts from the start, so all its servers hang up on this client, for ever, and nothing
    /// tells it from one that lags behind. Only somebody who knows can say so.
    ///
    /// What is lost: the promise that reads do not go back, once; if the ensemble merely lags, they do. And the session
    /// with its ephemerals, because a new ensemble does not know it: it expires here and now, which tells all watches and
    /// consumers to read everything again, and with [`renew_session(false)`](crate::Connector::renew_session) it is the end.
    /// Czxid and mzxid of znodes are low again: whoever has kept some must not compare them.
    ///
    /// Answers false, and does nothing, while a server serves us: that one has everything we have seen.
    ///
    /// # Cancel safety
    /// Dropping the future drops the answer.
    /// # Errors
    /// [`Error::Interrupted`] when the session is over.
    pub async fn accept_rebuilt_ensemble(&self) -> Result<bool, Error> {
        let (answer, receiver) = oneshot::channel();
        self.try_send(OpCode::CREATE_SESSION, Command::AcceptRebuilt(answer))?;
        receiver.await.map_err(|_| self.closed(OpCode::CREATE_SESSION, Outcome::NotSent))
    }
}
