//! One connection's task: bytes from the socket to the model and back.
//!
//! Must not know what the bytes mean.

use std::{collections::VecDeque, net::SocketAddr, sync::Arc};

use bytes::{Buf, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream},
    net::TcpStream,
    time::{Instant, sleep_until},
};

use super::{
    hub::{Faults, Hub, Link},
    model::{Close, Output},
    tap::Wiretap,
};

/// Bytes read and not yet taken by the model before reading stops: many requests of the largest size.
const INBOX_LEN_MAX: usize = 16 * 1024 * 1024;

/// What reading at least has room for; most requests fit in one read.
const READ_LEN: usize = 16 * 1024;

/// How long a client may take to shake hands; as long as a connection may stay without a session.
#[cfg(feature = "tls")]
const HANDSHAKE_LIMIT: std::time::Duration = std::time::Duration::from_secs(10);

/// What is on its way to the client.
struct Outgoing {
    bytes: BytesMut,
    close: Option<Close>,
    /// Waiting for its time.
    delayed: VecDeque<(Instant, Output)>,
    /// Bytes until the connection is cut.
    budget: Option<usize>,
    /// When more may be written.
    not_before: Option<Instant>,
    /// Our side is shut: what is said falls on the floor.
    shut: bool,
}

impl Outgoing {
    /// Adds what the model gave, to be written after a delay; nothing overtakes what is already delayed.
    fn add(&mut self, output: Output, delay: std::time::Duration) {
        if output.close == Some(Close::Abort) {
            self.delayed.clear();
            self.release(output);
        } else if delay.is_zero() && self.delayed.is_empty() {
            self.release(output);
        } else if !output.bytes.is_empty() || output.close.is_some() {
            self.delayed.push_back((Instant::now() + delay, output));
        }
    }

    fn release(&mut self, output: Output) {
        if self.bytes.is_empty() {
            self.bytes = output.bytes;
        } else {
            self.bytes.extend_from_slice(&output.bytes);
        }
        self.close = self.close.or(output.close);
    }

    fn release_due(&mut self) {
        let now = Instant::now();
        while let Some((_, output)) = self.delayed.pop_front_if(|(due, _)| *due <= now) {
            self.release(output);
        }
    }

    fn cut(&mut self) {
        let Some(budget) = self.budget else { return };
        self.bytes.truncate(budget);
        if self.bytes.len() == budget {
            self.close = self.close.or(Some(Close::Gently));
            self.delayed.clear();
        }
    }

    fn written(&mut self, len: usize, faults: &Faults) {
        self.bytes.advance(len);
        self.budget = self.budget.map(|budget| budget.saturating_sub(len));
        self.not_before = faults.trickle.map(|(_, pause)| Instant::now() + pause);
    }

    /// What may be written now; nothing while it is to wait.
    fn writable(&self, faults: &Faults) -> &[u8] {
        let is_early = faults.trickle.is_some() && self.not_before.is_some_and(|at| Instant::now() < at);
        let len = faults.trickle.map_or(self.bytes.len(), |(len, _)| len.clamp(1, self.bytes.len().max(1)));
        if is_early { &[] } else { self.bytes.get(..len).unwrap_or_default() }
    }

    /// When there is something to do without anybody else's doing.
    fn due(&self) -> Option<Instant> {
        let pause = self.not_before.filter(|_| !self.bytes.is_empty());
        let delayed = self.delayed.front().map(|(due, _)| *due);
        [pause, delayed].into_iter().flatten().min()
    }

    fn is_over(&self) -> bool {
        self.close == Some(Close::Abort) || self.close.is_some() && self.bytes.is_empty()
    }
}

/// What is on its way from the client.
struct Incoming {
    inbox: BytesMut,
    /// Waiting for its time.
    delayed: VecDeque<(Instant, BytesMut)>,
    /// Bytes until the connection is cut.
    budget: Option<usize>,
}

impl Incoming {
    fn add(&mut self, mut bytes: BytesMut, delay: std::time::Duration) {
        if let Some(budget) = &mut self.budget {
            bytes.truncate(*budget);
            *budget -= bytes.len();
        }
        if delay.is_zero() && self.delayed.is_empty() {
            self.inbox.unsplit(bytes);
        } else {
            self.delayed.push_back((Instant::now() + delay, bytes));
        }
    }

    fn release_due(&mut self) {
        let now = Instant::now();
        while let Some((_, bytes)) = self.delayed.pop_front_if(|(due, _)| *due <= now) {
            self.inbox.unsplit(bytes);
        }
    }

    /// Everything up to the cut has been handed over.
    fn is_cut(&self) -> bool {
        self.budget == Some(0) && self.delayed.is_empty()
    }

    fn len(&self) -> usize {
        self.inbox.len() + self.delayed.iter().map(|(_, bytes)| bytes.len()).sum::<usize>()
    }
}

/// Serves one connection until one side ends it.
pub(super) async fn serve(hub: Arc<Hub>, member: usize, mut stream: TcpStream, peer: SocketAddr) {
    let Some(link) = hub.open(member, peer, None) else { return };
    // what fails here fails at the first read too
    let _ = stream.set_nodelay(true);
    let (reader, writer) = stream.split();
    let mut wiretap = Wiretap::new(hub.tap.clone(), link.id, peer);
    let close = transfer(&hub, member, reader, writer, &link, &mut wiretap).await;
    // the socket goes first: who waits for the connection's end finds it closed
    match close {
        Some(Close::Abort) => {
            let _ = stream.set_zero_linger();
        }
        Some(Close::Gently) | None => {
            let _ = stream.shutdown().await;
        }
    }
    drop(stream);
    drop(wiretap);
    hub.close(link.id);
}

/// Shakes hands, and serves one connection inside TLS. Who speaks something else is hung up on.
#[cfg(feature = "tls")]
pub(super) async fn serve_tls(
    hub: Arc<Hub>,
    member: usize,
    stream: TcpStream,
    peer: SocketAddr,
    tls: tokio_rustls::TlsAcceptor,
) {
    let handshake = async {
        // what fails here fails at the first read too
        let _ = stream.set_nodelay(true);
        if is_tls(&stream).await { tls.accept(stream).await.ok() } else { None }
    };
    let Ok(Some(mut stream)) = tokio::time::timeout(HANDSHAKE_LIMIT, handshake).await else { return };
    let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let identity = shown.and_then(super::tls::identity);
    let Some(link) = hub.open(member, peer, identity) else { return };
    let (reader, writer) = tokio::io::split(&mut stream);
    let mut wiretap = Wiretap::new(hub.tap.clone(), link.id, peer);
    let close = transfer(&hub, member, reader, writer, &link, &mut wiretap).await;
    if close == Some(Close::Abort) {
        let _ = stream.get_ref().0.set_zero_linger();
    } else {
        // who does not read does not keep the socket open
        let _ = tokio::time::timeout(HANDSHAKE_LIMIT, stream.shutdown()).await;
    }
    drop(stream);
    drop(wiretap);
    hub.close(link.id);
}

/// Serves one connection of a port that takes both.
#[cfg(feature = "tls")]
pub(super) async fn serve_either(
    hub: Arc<Hub>,
    member: usize,
    stream: TcpStream,
    peer: SocketAddr,
    tls: tokio_rustls::TlsAcceptor,
) {
    match tokio::time::timeout(HANDSHAKE_LIMIT, is_tls(&stream)).await {
        Ok(true) => serve_tls(hub, member, stream, peer, tls).await,
        Ok(false) => serve(hub, member, stream, peer).await,
        Err(_) => {}
    }
}

/// Whether the first byte is that of a handshake record: no length and no word begins with it.
#[cfg(feature = "tls")]
async fn is_tls(stream: &TcpStream) -> bool {
    let mut first = [0];
    matches!(stream.peek(&mut first).await, Ok(1)) && first == [22]
}

/// Serves one connection that is no socket; a reset looks like an ordinary end there.
pub(super) async fn serve_pipe(hub: Arc<Hub>, member: usize, stream: DuplexStream, peer: SocketAddr) {
    let Some(link) = hub.open(member, peer, None) else { return };
    let (reader, writer) = tokio::io::split(stream);
    transfer(&hub, member, reader, writer, &link, &mut Wiretap::new(hub.tap.clone(), link.id, peer)).await;
    hub.close(link.id);
}

async fn transfer(
    hub: &Hub,
    member: usize,
    mut reader: impl AsyncRead + Unpin,
    mut writer: impl AsyncWrite + Unpin,
    link: &Link,
    wiretap: &mut Wiretap,
) -> Option<Close> {
    let mut incoming = Incoming { inbox: BytesMut::new(), delayed: VecDeque::new(), budget: link.cut_after_in };
    let mut out = Outgoing {
        bytes: BytesMut::new(),
        close: None,
        delayed: VecDeque::new(),
        budget: link.cut_after,
        not_before: None,
        shut: false,
    };
    let mut chunk = BytesMut::with_capacity(READ_LEN);
    let mut faults = Faults::default();
    loop {
        incoming.release_due();
        if out.close.is_none() {
            let turn = hub.turn(link.id, member, &mut incoming.inbox);
            faults = turn.faults;
            out.add(turn.output, faults.delay);
            if incoming.is_cut() {
                out.close = out.close.or(Some(Close::Gently));
            }
        }
        out.release_due();
        out.cut();
        if faults.half_close && !out.shut {
            out.shut = true;
            writer.shutdown().await.ok()?;
        }
        if out.shut {
            out.bytes.clear();
        }
        if out.is_over() {
            return out.close;
        }
        let due = [out.due(), incoming.delayed.front().map(|(due, _)| *due)].into_iter().flatten().min();
        let is_reading = !faults.deaf && incoming.len() < INBOX_LEN_MAX;
        chunk.reserve(READ_LEN);
        let writable = out.writable(&faults);
        tokio::select! {
            biased;
            written = writer.write(writable), if !writable.is_empty() => {
                let written = written.ok().filter(|written| *written > 0)?;
                wiretap.sent(writable.get(..written).unwrap_or_default());
                out.written(written, &faults);
                hub.count(link.id, 0, written);
            }
            read = reader.read_buf(&mut chunk), if is_reading => {
                let read = read.ok().filter(|read| *read > 0)?;
                wiretap.received(&chunk);
                hub.count(link.id, read, 0);
                incoming.add(chunk.split(), faults.delay_in);
            }
            () = link.wake.notified() => {}
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {}
        }
    }
}
