//! An encrypted stream as the driver wants it: it is never flushed by hand, and its end is an end.

use super::explain;
use crate::dial::Transport;
use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::client::TlsStream;

/// A stream behind a handshake.
pub(super) struct Encrypted {
    stream: TlsStream<Box<dyn Transport>>,
    /// Something that was written may not have left: the socket was full.
    is_unflushed: bool,
}

impl Encrypted {
    pub(super) fn new(stream: TlsStream<Box<dyn Transport>>) -> Self {
        Self { stream, is_unflushed: false }
    }

    /// Sends what was left. The task is woken when the socket takes more.
    fn flush(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        if self.is_unflushed
            && let Poll::Ready(flushed) = Pin::new(&mut self.stream).poll_flush(cx)
        {
            self.is_unflushed = false;
            flushed?;
        }
        Ok(())
    }
}

impl AsyncRead for Encrypted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.flush(cx)?;
        match ready!(Pin::new(&mut self.stream).poll_read(cx, buf)) {
            // Without a parting word. ZooKeeper's frames have lengths: nothing can be cut off unnoticed.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(())),
            Err(error) => Poll::Ready(Err(explain::stream(error))),
            Ok(()) => Poll::Ready(Ok(())),
        }
    }
}

impl AsyncWrite for Encrypted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        if let Poll::Ready(Ok(_)) = written {
            self.is_unflushed = true;
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
