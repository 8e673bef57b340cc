//! One session of a client, for those whose znodes live and die with it.

use crate::{
    Call, Client, Error, EventType, GapReason, Interruption, OpCode, Outcome, SessionId, SessionState, WatchItem,
    WatchMode, WatchStream,
};
use tokio::sync::watch;

/// A session that stood when this was made. Its client is fenced: nothing it sends is carried out in another session.
#[derive(Clone, Debug)]
pub(super) struct InSession {
    /// Without a deadline for each call: what is begun here is ended, and ends with the session at the latest.
    pub(super) client: Client,
    /// With the user's deadline.
    pub(super) users: Client,
    pub(super) id: SessionId,
    state: watch::Receiver<SessionState>,
}

/// Whether a server that takes writes serves us, or none ever will.
const fn is_settled(state: &SessionState) -> bool {
    matches!(state, SessionState::Connected { read_only: false, .. } | SessionState::Ended(_))
}

impl InSession {
    /// The session that the client has, or will have.
    pub(super) async fn of(client: &Client) -> Result<Self, Error> {
        let mut state = client.state();
        // An error means that the driver is gone: its runtime was shut down.
        let found = state.wait_for(is_settled).await.map(|found| *found);
        let by = match found {
            Ok(SessionState::Ended(end)) => end.interruption(),
            Ok(found) => match found.session() {
                Some(id) => {
                    let users = client.fenced(id);
                    return Ok(Self { client: users.with_timeout(None), users, id, state });
                }
                None => Interruption::Closed,
            },
            Err(_) => Interruption::Closed,
        };
        Err(Error::Interrupted { op: OpCode::CREATE_SESSION, by, outcome: Outcome::NotSent })
    }

    /// How it stands now.
    pub(super) fn state(&self) -> SessionState {
        *self.state.borrow()
    }

    /// Whether the client has another session by now, or none.
    pub(super) fn is_over(&self) -> bool {
        self.state().session() != Some(self.id)
    }

    /// Waits for the end of the session.
    pub(super) async fn over(&self) {
        let mut state = self.state.clone();
        drop(state.wait_for(|state| state.session() != Some(self.id)).await);
    }

    /// Waits until the session is connected again.
    pub(super) async fn back(&self) -> Result<(), Error> {
        let mut state = self.state.clone();
        let settled = |state: &SessionState| is_settled(state) || state.session() != Some(self.id);
        let found = state.wait_for(settled).await.map(|found| found.session());
        if found.ok().flatten() == Some(self.id) { Ok(()) } else { Err(self.lost()) }
    }

    /// What calls in this session fail with once it is over.
    pub(super) const fn lost(&self) -> Error {
        Error::Fenced { op: OpCode::CHECK, session: self.id }
    }

    /// Repeats what may be repeated until a server has answered.
    pub(super) async fn again<R>(&self, call: impl Fn(&Client) -> Call<R>) -> Result<R, Error> {
        loop {
            match call(&self.client).await {
                Err(error) if is_connection_lost(&error) => self.back().await?,
                result => return result,
            }
        }
    }

    /// Waits until there is no such znode.
    pub(super) async fn wait_gone(&self, path: &str) -> Result<(), Error> {
        let mut watch = NodeWatch::new(self, path).await?;
        while self.again(|client| client.exists(path)).await?.is_some() {
            watch.deleted_or_unclear().await?;
        }
        Ok(())
    }
}

/// A watch on one znode; it stands before anything that is read later.
pub(super) struct NodeWatch<'a> {
    session: &'a InSession,
    path: &'a str,
    stream: WatchStream,
}

impl<'a> NodeWatch<'a> {
    pub(super) async fn new(session: &'a InSession, path: &'a str) -> Result<Self, Error> {
        let stream = tokio::select! {
            stream = session.client.watch(path, WatchMode::PERSISTENT) => stream?,
            () = session.over() => return Err(session.lost()),
        };
        Ok(Self { session, path, stream })
    }

    /// Waits until the znode was deleted, or may have been.
    pub(super) async fn deleted_or_unclear(&mut self) -> Result<(), Error> {
        loop {
            let item = tokio::select! {
                item = self.stream.next() => item,
                () = self.session.over() => return Err(self.session.lost()),
            };
            match item {
                Some(WatchItem::Event(event)) if event.event_type != EventType::NODE_DELETED => {}
                Some(WatchItem::Gap(GapReason::ConnectionLost)) => {}
                Some(WatchItem::Event(_) | WatchItem::Gap(_) | WatchItem::Resumed { .. }) => {
                    return Ok(());
                }
                // Somebody removed all watches of the path: ours is wanted still.
                Some(WatchItem::Removed) | None => {
                    *self = Self::new(self.session, self.path).await?;
                    return Ok(());
                }
            }
        }
    }
}

/// The connection went, the session may live: the call may be repeated, after a look if it was a write.
pub(super) const fn is_connection_lost(error: &Error) -> bool {
    matches!(error, Error::Interrupted { by: Interruption::ConnectionLost, .. })
}
