//! The session as a whole: to follow it, to hand it over, to bind calls to it.

use super::Client;
use crate::{driver::ticket::Command, error::Error, session_events::SessionEvents, session_export::SessionExport};
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

    /// The session for another process to go on with ([`Connector::resume_export`](crate::Connector::resume_export)),
    /// which then takes it away from this client. `None` while there is no session.
    ///
    /// Do not [close](Self::close) this client afterwards: that ends the session for both. A client made with
    /// [`renew_session(false)`](crate::Connector::renew_session) may be dropped once the other has connected.
    ///
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = zk_testkit::server::TestServer::start().await?;
    /// # let servers = server.connect_string();
    /// use zk_client::{Client, Connector, SessionExport};
    ///
    /// let client = Client::connect(&servers).await?;
    /// let secret = client.export_session().ok_or("no session")?.to_secret();
    /// // In the other process, which got the bytes through a pipe:
    /// let export = SessionExport::from_secret(secret.expose())?;
    /// let other = Connector::new(&servers)?.resume_export(&export).connect().await?;
    /// assert_eq!(other.session_id(), Some(export.credentials().id));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn export_session(&self) -> Option<SessionExport> {
        let session = self.session_id()?;
        let credentials = self.credentials().filter(|credentials| credentials.id == session)?;
        Some(SessionExport::new(credentials, self.last_zxid()))
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
