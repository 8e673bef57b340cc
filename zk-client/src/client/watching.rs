//! Operations about watches: streams, one-shot watches left by reads, checks and removals.

use super::{
    Client,
    config::config,
    read::{children, data, found},
};
use crate::{
    call::{Call, Finish, Reply},
    driver::{
        fanout::NoWatch,
        ticket::{Command, WatchCommand},
    },
    ensemble::{CONFIG_PATH, EnsembleConfig},
    error::{Error, UsageError},
    oneshot::{OneshotWatch, Slot, WatchCall},
    watch::{Queue, WatchStream, check_rearm},
};
use std::{borrow::Cow, future::Future, sync::Arc};
use tokio::sync::oneshot;
use zk_proto::{
    Bytes, ErrorCode, Op, OpCode, Stat, WatchMode, ops,
    records::{Empty, GetDataRequest, WatchesRequest},
    session::{EncodedRequest, Outcome, WatchKind},
    watch::{WatcherType, is_at_or_below},
};

/// One watch of a client's session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchInfo {
    /// The path, below the root of the handle that was asked.
    pub path: String,
    /// What kind of watch.
    pub kind: WatchKind,
    /// How many streams, one-shot watches and inline consumers share it.
    pub listeners: usize,
    /// The server has it, or is told of it on the next connection; otherwise it has not answered yet. A persistent watch
    /// that is made of one-shot ones is listed besides them.
    pub is_set: bool,
}

impl Client {
    /// Watches a path for as long as the stream lives: over reconnects, and over new sessions. The path
    /// need not exist.
    ///
    /// All streams of a path and mode share one watch at the server; it is removed with the last of them. A client
    /// watches a path in one mode only, and not with one-shot watches besides, for the sake of servers before 3.9, which
    /// keep one of them and drop the others in silence; use another client for a second one.
    ///
    /// # Servers before 3.6
    /// They have no persistent watches: the first one asked for is answered `UNIMPLEMENTED` and costs the connection. From
    /// then on the client makes persistent watches of one-shot ones: it reads a znode again after each event, which sets
    /// the watch again, and tells what it finds to have changed meanwhile. A new session tries the real ones again, in case
    /// the servers were replaced, once no such stream is left. What one-shot watches cannot see:
    /// - several changes between an event and the read are one event;
    /// - a znode that is created and deleted again between two reads is not told;
    /// - a znode that is deleted and created again while nobody is connected is told as changed, deleted and created;
    /// - with a recursive watch, a new znode is told of as soon as its parent has been read again, which may be after an
    ///   answer that shows it;
    /// - children that may not be read cannot be watched: the call is refused, or the stream ends with
    ///   [`GapReason::Refused`](crate::GapReason::Refused).
    ///
    /// A recursive watch follows 10,000 znodes there, with two watches each; with more the call fails with
    /// [`UsageError::TooManyZnodes`], or the stream ends with [`GapReason::TooManyZnodes`](crate::GapReason::TooManyZnodes).
    ///
    /// # Ordering
    /// Queued when this method is called. Changes committed after it has answered come as events.
    /// # Cancel safety
    /// Dropping the future removes the watch again.
    /// # Errors
    /// [`Error::Refused`] when the server refuses; [`UsageError::WatchConflict`] when this client watches the path in
    /// another way; [`Error::Interrupted`] when the session ended.
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = zk_testkit::server::TestServer::start().await?;
    /// # let client = zk_client::Client::connect(&server.connect_string()).await?;
    /// use zk_client::{CreateMode, EventType, OPEN_ACL_UNSAFE, WatchItem, WatchMode};
    ///
    /// let mut changes = client.watch("/app", WatchMode::PERSISTENT_RECURSIVE).await?;
    /// client.create("/app", b"", CreateMode::Persistent, OPEN_ACL_UNSAFE).await?;
    /// match changes.next().await {
    ///     Some(WatchItem::Event(event)) => assert_eq!((event.event_type, &*event.path), (EventType::NODE_CREATED, "/app")),
    ///     // The connection was lost, or stands again: what came in between is not replayed.
    ///     Some(item) => println!("{item:?}"),
    ///     None => println!("the session ended"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn watch(
        &self,
        path: &str,
        mode: WatchMode,
    ) -> impl Future<Output = Result<WatchStream, Error>> + Send + use<> {
        let asked = self.ask_to_watch(path, mode);
        let (path, state) = (path.to_owned(), self.state());
        async move {
            let (stream, answer) = asked?;
            match answer.await {
                Ok(Ok(())) => Ok(stream),
                Ok(Err(why)) => Err(why.error(&path)),
                Err(_) => {
                    let by = state.borrow().interruption();
                    Err(Error::Interrupted { op: OpCode::ADD_WATCH, by, outcome: Outcome::Unknown })
                }
            }
        }
    }

    /// A path that may be watched: what sets its watch again is longer than what sets it, and must not be too long.
    fn watched_path<'a>(&self, path: &'a str) -> Result<Cow<'a, str>, UsageError> {
        let server = self.server_path(path, false)?;
        check_rearm(&server, self.shared.request_len_max).map_err(UsageError::RequestTooLarge)?;
        Ok(server)
    }

    fn ask_to_watch(
        &self,
        path: &str,
        mode: WatchMode,
    ) -> Result<(WatchStream, oneshot::Receiver<Result<(), NoWatch>>), Error> {
        let (path, sweep) = (self.watched_path(path)?.into(), self.shared.sweep.clone());
        let queue = Arc::new(Queue::new(sweep.next_id(), path, mode));
        let (ready, answer) = oneshot::channel();
        self.try_send(OpCode::ADD_WATCH, Command::Watch(WatchCommand::Feed(queue.clone(), ready)))?;
        Ok((WatchStream { queue, chroot: self.chroot.clone(), sweep }, answer))
    }

    /// [`get_data`](Self::get_data) that leaves a one-shot watch: it tells of the next change of the data, or that the
    /// znode was deleted.
    ///
    /// # Ordering
    /// Queued when this method is called, not when the future is first polled. The watch tells of the first change behind
    /// what was read.
    /// # Cancel safety
    /// Dropping the future drops the answer and removes the watch; the request is still sent.
    /// # Errors
    /// As [`get_data`](Self::get_data); no watch is left then. [`UsageError::WatchConflict`] when this client has a stream
    /// for the path: servers before 3.9 would drop its watch in silence.
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = zk_testkit::server::TestServer::start().await?;
    /// # let client = zk_client::Client::connect(&server.connect_string()).await?;
    /// # server.create("/app", b"on").unwrap();
    /// use zk_client::EventType;
    ///
    /// let ((data, stat), watch) = client.get_data_and_watch("/app").await?;
    /// assert_eq!(&data[..], b"on");
    /// client.set_data("/app", b"off", Some(stat.version)).await?;
    /// assert_eq!(watch.await?.event_type, EventType::NODE_DATA_CHANGED);
    /// # Ok(())
    /// # }
    /// ```
    pub fn get_data_and_watch(&self, path: &str) -> WatchCall<(Bytes, Stat)> {
        self.read_and_watch::<ops::GetData, _>(path, WatchKind::Data, data)
    }

    /// [`exists`](Self::exists) that leaves a one-shot watch: it tells that the znode was created, or of the next change
    /// of its data, or that it was deleted.
    ///
    /// # Ordering
    /// As [`get_data_and_watch`](Self::get_data_and_watch).
    /// # Cancel safety
    /// As [`get_data_and_watch`](Self::get_data_and_watch).
    /// # Errors
    /// As [`exists`](Self::exists), and [`UsageError::WatchConflict`].
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = zk_testkit::server::TestServer::start().await?;
    /// # let client = zk_client::Client::connect(&server.connect_string()).await?;
    /// use zk_client::{CreateMode, EventType, OPEN_ACL_UNSAFE};
    ///
    /// let (stat, watch) = client.exists_and_watch("/app").await?;
    /// assert_eq!(stat, None);
    /// client.create("/app", b"", CreateMode::Persistent, OPEN_ACL_UNSAFE).await?;
    /// assert_eq!(watch.await?.event_type, EventType::NODE_CREATED);
    /// # Ok(())
    /// # }
    /// ```
    pub fn exists_and_watch(&self, path: &str) -> WatchCall<Option<Stat>> {
        self.read_and_watch::<ops::Exists, _>(path, WatchKind::Exist, found)
    }

    /// [`get_children`](Self::get_children) that leaves a one-shot watch: it tells that a child was created or deleted, or
    /// that the znode itself was deleted.
    ///
    /// # Ordering
    /// As [`get_data_and_watch`](Self::get_data_and_watch).
    /// # Cancel safety
    /// As [`get_data_and_watch`](Self::get_data_and_watch).
    /// # Errors
    /// As [`get_children`](Self::get_children), and [`UsageError::WatchConflict`].
    pub fn get_children_and_watch(&self, path: &str) -> WatchCall<(Vec<String>, Stat)> {
        self.read_and_watch::<ops::GetChildren2, _>(path, WatchKind::Child, children)
    }

    /// [`get_config`](Self::get_config) that leaves a one-shot watch of its next change. The path in the event is
    /// `/zookeeper/config`, whatever this handle's root is.
    ///
    /// # Ordering
    /// As [`get_data_and_watch`](Self::get_data_and_watch).
    /// # Cancel safety
    /// As [`get_data_and_watch`](Self::get_data_and_watch).
    /// # Errors
    /// As [`get_config`](Self::get_config), and [`UsageError::WatchConflict`].
    pub fn get_config_and_watch(&self) -> WatchCall<EnsembleConfig> {
        let server = Ok(Cow::Borrowed(CONFIG_PATH));
        self.read_and_watch_at::<ops::GetData, _>(CONFIG_PATH, server, WatchKind::Data, config)
    }

    fn read_and_watch<O, R>(&self, path: &str, kind: WatchKind, finish: Finish<R>) -> WatchCall<R>
    where
        O: for<'a> Op<Request<'a> = GetDataRequest<'a>>,
    {
        self.read_and_watch_at::<O, R>(path, self.watched_path(path), kind, finish)
    }

    fn read_and_watch_at<O, R>(
        &self,
        path: &str,
        server: Result<Cow<'_, str>, UsageError>,
        kind: WatchKind,
        finish: Finish<R>,
    ) -> WatchCall<R>
    where
        O: for<'a> Op<Request<'a> = GetDataRequest<'a>>,
    {
        let sweep = self.shared.sweep.clone();
        let encoded = server.and_then(|server| {
            let request = GetDataRequest { path: server.as_ref().into(), watch: true };
            let encoded = EncodedRequest::new::<O>(&request, self.shared.request_len_max);
            encoded.map(|encoded| (encoded, server.as_ref().into())).map_err(UsageError::RequestTooLarge)
        });
        let (call, path_at_server) = match encoded {
            Ok((request, server)) => (Ok(request), server),
            Err(error) => (Err(error), Box::from(path)),
        };
        let slot = Arc::new(Slot::new(sweep.next_id(), path_at_server, kind));
        let call = match call {
            Ok(request) => {
                let (answer, receiver) = self.caller();
                let command = Command::Watch(WatchCommand::Read { request, slot: slot.clone(), answer });
                self.send(O::CODE, command, receiver, finish)
            }
            Err(error) => Call::failed(O::CODE, self.chroot.clone(), error.into(), finish),
        };
        WatchCall::new(call.at(path), path, OneshotWatch { slot, chroot: self.chroot.clone(), sweep })
    }

    /// Whether the server has a watch of these kinds on a path for this client's session: it sets and removes them by
    /// itself, so this is for tests and for the curious. Needs 3.5; servers from 3.6 to 3.8 say yes to a watch of
    /// *anybody*, and refuse the persistent types with `MARSHALLING_ERROR`. See [`watches`](Self::watches) for what the
    /// client itself knows.
    ///
    /// # Ordering
    /// Queued when this method is called, not when the future is first polled.
    /// # Cancel safety
    /// Dropping the future drops the answer; the request is still sent.
    /// # Errors
    /// [`Error::Refused`].
    pub fn check_watches(&self, path: &str, kinds: WatcherType) -> Call<bool> {
        let request = self.server_path(path, false).map(|path| WatchesRequest { path, watcher_type: kinds });
        self.call::<ops::CheckWatches, _>(request, |reply| match reply.decode::<Empty>() {
            Ok(_) => Ok(true),
            Err(Error::Refused { code: ErrorCode::NO_WATCHER, .. }) => Ok(false),
            Err(error) => Err(error),
        })
    }

    /// Removes this client's watches of these kinds from a path: [one-shot watches](OneshotWatch) answer
    /// [`WatchLost::Removed`](crate::WatchLost::Removed), streams end with
    /// [`WatchItem::Removed`](crate::WatchItem::Removed), of all handles of the session. Usually there is no need of it:
    /// dropping them does the same. What [inline consumers](Self::attach) watch stays, and so do watches whose read has
    /// not been answered.
    ///
    /// They are gone here at once, connected or not; the answer comes when they are gone at the server, too. A connection that
    /// is lost takes them along: a call whose time is over while there is none has done its work.
    ///
    /// # Ordering
    /// Queued when this method is called, not when the future is first polled.
    /// # Cancel safety
    /// Dropping the future drops the answer; the watches are still removed.
    /// # Errors
    /// [`Error::Refused`] with `NO_WATCHER` when this client has no such watch.
    /// # Examples
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = zk_testkit::server::TestServer::start().await?;
    /// # let client = zk_client::Client::connect(&server.connect_string()).await?;
    /// use zk_client::{WatchLost, WatcherType};
    ///
    /// let (_, watch) = client.exists_and_watch("/app").await?;
    /// client.remove_watches("/app", WatcherType::DATA).await?;
    /// assert_eq!(watch.await, Err(WatchLost::Removed));
    /// # Ok(())
    /// # }
    /// ```
    pub fn remove_watches(&self, path: &str, kinds: WatcherType) -> Call<()> {
        let finish = |reply: &Reply<'_>| reply.decode::<Empty>().map(drop);
        match self.watched_path(path) {
            Ok(server) => {
                let (answer, receiver) = self.caller();
                let command = Command::Watch(WatchCommand::Remove { path: server.into(), kinds, answer });
                self.send(OpCode::REMOVE_WATCHES, command, receiver, finish)
            }
            Err(error) => Call::failed(OpCode::REMOVE_WATCHES, self.chroot.clone(), error.into(), finish),
        }
    }

    /// Every watch of this client's session at or below this handle's root, sorted by nothing in particular.
    ///
    /// # Ordering
    /// Answers for the moment in which what was called before it has been queued.
    /// # Cancel safety
    /// Has no effect.
    /// # Errors
    /// [`Error::Interrupted`] when the session is over.
    pub async fn watches(&self) -> Result<Vec<WatchInfo>, Error> {
        let (answer, receiver) = oneshot::channel();
        self.try_send(OpCode::CHECK_WATCHES, Command::Watch(WatchCommand::Report(answer)))?;
        let watches = receiver.await.map_err(|_| self.closed(OpCode::CHECK_WATCHES, Outcome::NotSent))?;
        let ours = watches.into_iter().filter(|watch| is_at_or_below(&watch.path, self.chroot()));
        let relative = |watch: WatchInfo| WatchInfo { path: self.chroot.to_client(&watch.path).to_owned(), ..watch };
        Ok(ours.map(relative).collect())
    }
}
