//! One end of a connection: its stream, what has come from there, and what is to be written there.
//!
//! Must not know the other end, or who shares what.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf, BytesMut};
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf},
    net::TcpStream,
};

use super::{
    fault::End,
    frames::Towards,
    pipe::{Output, Pipe},
};

/// Bytes of one read.
const READ_LEN: usize = 16 * 1024;

/// A stream that may be able to end by a reset.
pub(super) trait Wire: AsyncRead + AsyncWrite + Unpin + Send {
    fn reset_on_drop(&self);
}

impl Wire for TcpStream {
    fn reset_on_drop(&self) {
        // what fails here is gone already
        let _ = self.set_zero_linger();
    }
}

impl Wire for DuplexStream {
    fn reset_on_drop(&self) {}
}

/// One of the two ends, as bytes come from it and go to it.
pub(super) struct Side<W> {
    pub(super) wire: W,
    /// Where its bytes go.
    sends: Towards,
    chunk: Box<[u8]>,
    inbox: BytesMut,
    pub(super) outbox: BytesMut,
    /// How it ended, and whether the pipe knows.
    ended: Option<End>,
    told: bool,
    /// Nothing is written to it any more.
    pub(super) is_deaf: bool,
}

impl<W: Wire> Side<W> {
    pub(super) fn new(wire: W, sends: Towards) -> Self {
        let (inbox, outbox) = (BytesMut::new(), BytesMut::new());
        let chunk = vec![0; READ_LEN].into_boxed_slice();
        Self { wire, sends, chunk, inbox, outbox, ended: None, told: false, is_deaf: false }
    }

    /// Reads once and writes once, if either can be done now.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, reads: bool) -> Poll<()> {
        let wrote = self.poll_write(cx);
        let read = if reads { self.poll_read(cx) } else { Poll::Pending };
        if wrote.is_ready() { wrote } else { read }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.ended.is_some() {
            return Poll::Pending;
        }
        let mut buf = ReadBuf::new(&mut self.chunk);
        let result = ready!(Pin::new(&mut self.wire).poll_read(cx, &mut buf));
        match result {
            Ok(()) if buf.filled().is_empty() => self.ended = Some(End::HalfClose),
            Ok(()) => self.inbox.extend_from_slice(buf.filled()),
            Err(_) => self.ended = Some(End::Reset),
        }
        Poll::Ready(())
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.outbox.is_empty() {
            return Poll::Pending;
        }
        match ready!(Pin::new(&mut self.wire).poll_write(cx, &self.outbox)) {
            Ok(written @ 1..) => self.outbox.advance(written),
            // it does not listen any more; whatever it still has to say is read
            Ok(0) | Err(_) => {
                self.outbox.clear();
                self.is_deaf = true;
            }
        }
        Poll::Ready(())
    }

    /// Takes what waits in the kernel, so that closing the socket sends no reset.
    pub(super) async fn drain(&mut self) {
        std::future::poll_fn(|cx| {
            loop {
                let mut buf = ReadBuf::new(&mut self.chunk);
                match Pin::new(&mut self.wire).poll_read(cx, &mut buf) {
                    Poll::Ready(Ok(())) if !buf.filled().is_empty() => {}
                    Poll::Ready(_) | Poll::Pending => return Poll::Ready(()),
                }
            }
        })
        .await;
    }

    /// Gives the pipe what has come from here; how much that was.
    pub(super) fn hand_over(&mut self, now: Duration, pipe: &mut Pipe) -> u64 {
        let came = self.inbox.len() as u64;
        if came > 0 {
            pipe.handle_bytes(now, self.sends, &self.inbox);
            self.inbox.clear();
        }
        if let Some(how) = self.ended.filter(|_| !self.told) {
            pipe.handle_end(now, self.sends, how);
            self.told = true;
        }
        came
    }

    /// Takes from the pipe the next write to here, or the end; how much is to be written.
    pub(super) fn take(&mut self, now: Duration, pipe: &mut Pipe) -> (Option<End>, u64) {
        let towards = match self.sends {
            Towards::Server => Towards::Client,
            Towards::Client => Towards::Server,
        };
        while self.outbox.is_empty() {
            match pipe.poll_output(now, towards) {
                Some(Output::Write(_)) if self.is_deaf => {}
                Some(Output::Write(bytes)) => {
                    let len = bytes.len() as u64;
                    self.outbox = bytes;
                    return (None, len);
                }
                Some(Output::End(how)) => return (Some(how), 0),
                None => break,
            }
        }
        (None, 0)
    }
}
