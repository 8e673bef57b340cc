//! Consumers inside the driver's task.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use crate::stage::{Stage, ready, settle, until_suspended, within};
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf},
    time::Instant,
};
use zk_client::{Dial, Dialed, HostPort, Inline, InlineState, Input, OpCode, Requests, Transport, WatchMode};
use zk_testkit::server::ConnectAnswer;

/// Asks for one znode when it is connected, and notes the answers.
#[derive(Clone, Default)]
pub(super) struct Asks {
    path: &'static str,
    answers: Arc<Mutex<Vec<String>>>,
    lost: Arc<AtomicUsize>,
    done: Arc<AtomicBool>,
    ended: Arc<AtomicBool>,
}

impl Asks {
    pub(super) fn of(path: &'static str) -> Self {
        Self { path, ..Self::default() }
    }

    pub(super) fn is_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }
}

impl Inline for Asks {
    fn handle(&mut self, input: Input<'_>, requests: &mut Requests<'_>) {
        match input {
            Input::State(InlineState::Connected { .. }) => requests.get_data(7, self.path),
            Input::State(InlineState::Ended(_)) => self.ended.store(true, Ordering::Relaxed),
            Input::Answer { token, answer, .. } => self.answers.lock().unwrap().push(format!("{token}: {answer:?}")),
            Input::Interrupted { token: 7 } => drop(self.lost.fetch_add(1, Ordering::Relaxed)),
            _ => {}
        }
    }

    fn flush(&mut self, _requests: &mut Requests<'_>) {}

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    fn is_done(&self) -> bool {
        self.done.load(Ordering::Relaxed)
    }
}

#[tokio::test(start_paused = true)]
async fn answers_for_a_consumer_that_is_gone_are_not_given_to_the_next_one() {
    let server = Stage::start().await;
    server.create("/old", b"old").unwrap();
    server.create("/new", b"new").unwrap();
    let client = server.connect().await;
    let old = Asks::of("/old");
    let new = Asks::of("/new");
    server.hold_replies(true);
    client.attach(old.clone()).unwrap();
    settle().await;
    old.done.store(true, Ordering::Relaxed);
    client.wake();
    settle().await;
    client.attach(new.clone()).unwrap();
    settle().await;
    server.hold_replies(false);
    settle().await;
    assert_eq!(old.answers.lock().unwrap().len(), 0);
    let answers = new.answers.lock().unwrap();
    assert!(answers.len() == 1 && answers[0].contains("new"), "{answers:?}");
}

/// It asks on every connection; connections that are taken and spoilt in one breath must not pile its questions up.
#[tokio::test(start_paused = true)]
async fn requests_for_a_connection_that_failed_at_once_end_with_it() {
    let server = Stage::start().await;
    server.create("/a", b"new").unwrap();
    let client = server.connect().await;
    let asks = Asks::of("/a");
    client.attach(asks.clone()).unwrap();
    settle().await;
    for _ in 0..5 {
        server.script_next_connect(ConnectAnswer::Followed(bytes::Bytes::from_static(&[0xff; 4])));
    }
    drop(server.take_requests());
    server.drop_connections();
    until_suspended(&client).await;
    within(client.exists("/a")).await.unwrap();
    settle().await;
    let read = server.take_requests().into_iter().filter(|request| request.op == OpCode::GET_DATA).count();
    assert_eq!((read, asks.answers.lock().unwrap().len(), asks.lost.load(Ordering::Relaxed)), (1, 2, 5));
}

/// Watches one path when it is connected, and notes the answers.
struct Watches(String, Arc<Mutex<Vec<String>>>);

impl Inline for Watches {
    fn handle(&mut self, input: Input<'_>, requests: &mut Requests<'_>) {
        match input {
            Input::State(InlineState::Connected { .. }) => requests.watch(7, &self.0, WatchMode::PERSISTENT),
            Input::Answer { token, answer, .. } => self.1.lock().unwrap().push(format!("{token}: {answer:?}")),
            _ => {}
        }
    }

    fn flush(&mut self, _requests: &mut Requests<'_>) {}

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    fn is_done(&self) -> bool {
        false
    }
}

/// The length of what sets the watch again decides, as it does for streams.
// goal: P3
#[tokio::test(start_paused = true)]
async fn a_consumers_watch_that_is_too_long_is_refused_before_a_byte_is_sent() {
    let server = Stage::start().await;
    let client = within(server.connector().request_len_max(1_000).connect()).await.unwrap();
    for (len, is_sent) in [(960, true), (961, false)] {
        drop(server.take_requests());
        let answers = Arc::default();
        client.attach(Watches(format!("/{}", "p".repeat(len - 1)), Arc::clone(&answers))).unwrap();
        settle().await;
        let told = answers.lock().unwrap().join(", ");
        assert_eq!(told.starts_with("7: Watching"), is_sent, "{len}: {told}");
        assert_eq!(told.starts_with("7: Refused(RequestTooLarge("), !is_sent, "{len}: {told}");
        assert_eq!(server.take_requests().iter().any(|request| request.op == OpCode::ADD_WATCH), is_sent, "{len}");
    }
}

/// What happens in a turn, in order: what a consumer is called for, and writes.
#[derive(Clone, Default)]
struct Steps(Arc<Mutex<Vec<&'static str>>>);

impl Steps {
    fn step(&self, step: &'static str) {
        self.0.lock().unwrap().push(step);
    }

    fn take(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// A consumer that reads what it is told of, and the way to its server.
#[derive(Clone)]
struct Stepping(Steps, Stage);

impl Inline for Stepping {
    fn handle(&mut self, input: Input<'_>, requests: &mut Requests<'_>) {
        match input {
            Input::State(InlineState::Connected { .. }) => requests.watch(0, "/a", WatchMode::PERSISTENT),
            Input::Event(_) => {
                self.0.step("event");
                requests.get_data(1, "/a");
            }
            Input::Answer { token: 1, .. } => self.0.step("answer"),
            _ => {}
        }
    }

    fn flush(&mut self, _requests: &mut Requests<'_>) {
        self.0.step("flush");
    }

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    fn is_done(&self) -> bool {
        false
    }
}

impl Dial for Stepping {
    fn resolve<'a>(&'a self, host: &'a HostPort) -> Dialed<'a, Vec<SocketAddr>> {
        self.1.resolve(host)
    }

    fn dial<'a>(&'a self, _host: &'a HostPort, _addr: SocketAddr) -> Dialed<'a, Box<dyn Transport>> {
        ready(Ok(Box::new(Writes(self.0.clone(), self.1.pipe())) as Box<dyn Transport>))
    }
}

struct Writes(Steps, DuplexStream);

impl AsyncRead for Writes {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.1).poll_read(cx, buf)
    }
}

impl AsyncWrite for Writes {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.0.step("write");
        Pin::new(&mut self.1).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.1).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.1).poll_shutdown(cx)
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_consumer_asks_for_because_of_an_event_is_written_in_the_same_turn() {
    let server = Stage::start().await;
    server.create("/a", b"").unwrap();
    let stepping = Stepping(Steps::default(), server.clone());
    let client = within(server.connector().dial(stepping.clone()).connect()).await.unwrap();
    client.attach(stepping.clone()).unwrap();
    settle().await;
    drop(stepping.0.take());
    server.set("/a", b"new").unwrap();
    settle().await;
    assert_eq!(stepping.0.take(), ["event", "flush", "write", "answer", "flush"]);
}
