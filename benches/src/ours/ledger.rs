//! When bytes were read from the socket and when the mirror had published what they said: `--parts`.
//!
//! It looks from outside, through the client's own `Dial`: the driver reads the socket again only after it has handed
//! out everything that the last read brought. So a new snapshot that is there when the socket is read again was
//! published before, and at most a few hundred nanoseconds before.

use crate::{samples::Parts, value::now_ns};
use std::{
    collections::VecDeque,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use zk_client::{Dial, Dialed, HostPort, TcpDial, Transport, Zxid};
use zk_config::Mirror;

/// Snapshots that the application has not asked for; older ones are forgotten.
const MARKS_MAX: usize = 4096;

/// The times of a connection.
#[derive(Default)]
pub(super) struct Ledger {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    mirror: Option<Mirror>,
    revision: Option<Zxid>,
    /// The first read since the last snapshot, which brought its event..
    first_read_ns: Option<u64>,
    /// ..and the last one, if its turn is not over.
    last_read_ns: Option<u64>,
    marks: VecDeque<(Zxid, Parts)>,
}

impl Ledger {
    /// The mirror whose snapshots are looked at.
    pub(super) fn follow(&self, mirror: &Mirror) {
        self.state().mirror = Some(mirror.clone());
    }

    /// The times of the snapshot that shows this transaction.
    pub(super) fn parts_of(&self, revision: Zxid) -> Option<Parts> {
        let mut state = self.state();
        while state.marks.front().is_some_and(|(mark, _)| *mark < revision) {
            state.marks.pop_front();
        }
        state.marks.front().map(|(_, parts)| *parts)
    }

    /// The times of the snapshot that a listener is just being told of.
    pub(super) fn parts_now(&self) -> Option<Parts> {
        let held_ns = now_ns();
        let mut state = self.state();
        let reply_ns = state.last_read_ns?;
        let event_ns = state.first_read_ns.take().unwrap_or(reply_ns);
        Some(Parts { event_ns, reply_ns: Some(reply_ns), held_ns })
    }

    fn read(&self) {
        let now = now_ns();
        let mut state = self.state();
        state.first_read_ns.get_or_insert(now);
        state.last_read_ns = Some(now);
    }

    /// The driver wants the socket again.
    fn turn_is_over(&self) {
        let mut state = self.state();
        let Some(reply_ns) = state.last_read_ns.take() else { return };
        let held_ns = now_ns();
        let Some(revision) = state.mirror.as_ref().map(|mirror| mirror.snapshot().revision()) else { return };
        if state.revision.replace(revision) != Some(revision) {
            let event_ns = state.first_read_ns.take().unwrap_or(reply_ns);
            state.marks.push_back((revision, Parts { event_ns, reply_ns: Some(reply_ns), held_ns }));
            if state.marks.len() > MARKS_MAX {
                state.marks.pop_front();
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// TCP, looked at.
pub(super) struct TimedDial(pub(super) Arc<Ledger>);

impl Dial for TimedDial {
    fn resolve<'a>(&'a self, host: &'a HostPort) -> Dialed<'a, Vec<SocketAddr>> {
        TcpDial.resolve(host)
    }

    fn dial<'a>(&'a self, host: &'a HostPort, addr: SocketAddr) -> Dialed<'a, Box<dyn Transport>> {
        Box::pin(async move {
            let stream = TcpDial.dial(host, addr).await?;
            Ok(Box::new(Timed { stream, ledger: self.0.clone() }) as Box<dyn Transport>)
        })
    }
}

struct Timed {
    stream: Box<dyn Transport>,
    ledger: Arc<Ledger>,
}

impl AsyncRead for Timed {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.ledger.turn_is_over();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        if polled.is_ready() {
            self.ledger.read();
        }
        polled
    }
}

impl AsyncWrite for Timed {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.ledger.turn_is_over();
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
