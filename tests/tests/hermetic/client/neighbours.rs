//! Sessions that share a thread: where several receive, none goes on before all have. One that is alone goes on at once.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, ready},
};

use crate::stage::{Stage, settle, within};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use zk_client::{Client, Dial, Dialed, HostPort, Transport};
use zk_config::Mirror;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Received,
    Sent,
    /// A task ran that became ready when something was received.
    Other,
}

/// What all sessions of a test do, one thing after the other.
type Log = Arc<Mutex<Vec<Seen>>>;

/// A way to a server that notes when it is used.
struct Noting(Stage, Log);

struct Noted(DuplexStream, Log);

impl Dial for Noting {
    fn resolve<'a>(&'a self, host: &'a HostPort) -> Dialed<'a, Vec<SocketAddr>> {
        self.0.resolve(host)
    }

    fn dial<'a>(&'a self, _host: &'a HostPort, _addr: SocketAddr) -> Dialed<'a, Box<dyn Transport>> {
        let noted: Box<dyn Transport> = Box::new(Noted(self.0.pipe(), self.1.clone()));
        crate::stage::ready(Ok(noted))
    }
}

impl AsyncRead for Noted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.0).poll_read(cx, buf))?;
        self.1.lock().unwrap().push(Seen::Received);
        let log = self.1.clone();
        tokio::spawn(async move { log.lock().unwrap().push(Seen::Other) });
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Noted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.1.lock().unwrap().push(Seen::Sent);
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

struct Neighbours {
    server: Stage,
    log: Log,
    mirrors: Vec<(Client, Mirror)>,
}

impl Neighbours {
    async fn new(sessions: usize) -> Self {
        let (server, log) = (Stage::start().await, Log::default());
        server.create("/m", b"").unwrap();
        let mut mirrors = Vec::new();
        for _ in 0..sessions {
            let connector = server.connector().dial(Noting(server.clone(), log.clone()));
            let client = within(connector.connect()).await.unwrap();
            let mirror = server.mirror(&client, "/m").await.0;
            mirrors.push((client, mirror));
        }
        Self { server, log, mirrors }
    }

    /// What the sessions do when the znode changes, until all have its value.
    async fn change(&self, value: &[u8]) -> Vec<Seen> {
        settle().await;
        self.log.lock().unwrap().clear();
        self.server.set("/m", value).unwrap();
        settle().await;
        for (_, mirror) in &self.mirrors {
            assert_eq!(mirror.snapshot().get("/m").unwrap().data, value);
        }
        std::mem::take(&mut self.log.lock().unwrap())
    }
}

// goal: Q4
#[tokio::test(start_paused = true)]
async fn where_several_receive_none_goes_on_before_all_have() {
    for sessions in [2, 3, 20] {
        let neighbours = Neighbours::new(sessions).await;
        for value in [b"1", b"2"] {
            let mut seen = neighbours.change(value).await;
            seen.retain(|seen| *seen != Seen::Other);
            // The events, the reads that they cause, the answers.
            let turns: Vec<_> = seen.chunk_by(|a, b| a == b).map(|turn| (turn[0], turn.len())).collect();
            let expected = [(Seen::Received, sessions), (Seen::Sent, sessions), (Seen::Received, sessions)];
            assert_eq!(turns, expected, "{sessions} sessions");
        }
    }
}

// goal: Q4
#[tokio::test(start_paused = true)]
async fn who_is_alone_goes_on_at_once() {
    let alone = Neighbours::new(1).await;
    for value in [b"1", b"2"] {
        let seen = alone.change(value).await;
        assert_eq!(seen, [Seen::Received, Seen::Sent, Seen::Other, Seen::Received, Seen::Other]);
    }
}
