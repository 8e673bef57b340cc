//! What the thread has received and the driver has not taken.
//!
//! One chunk: the thread receives the next one when this one has been taken, so that a driver that does not read holds up the
//! server, as with any socket.

use std::{
    io,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    task::{Poll, Waker},
};
use tokio::io::ReadBuf;

/// What is received at once.
const CHUNK_BYTES: usize = 64 * 1024;

/// Bytes from the server; those in the middle wait to be taken.
pub(super) struct Chunk {
    bytes: Box<[u8]>,
    taken: usize,
    filled: usize,
}

impl Chunk {
    pub(super) fn new() -> Self {
        Self { bytes: vec![0; CHUNK_BYTES].into(), taken: 0, filled: 0 }
    }

    /// The whole of it, to be filled anew.
    pub(super) fn fill(&mut self, receive: impl FnOnce(&mut [u8]) -> io::Result<usize>) -> io::Result<usize> {
        let filled = receive(&mut self.bytes)?;
        (self.taken, self.filled) = (0, filled);
        Ok(filled)
    }

    fn take(&mut self, buf: &mut ReadBuf<'_>) {
        let waiting = self.bytes.get(self.taken..self.filled).unwrap_or_default();
        let taken = waiting.len().min(buf.remaining());
        buf.put_slice(waiting.get(..taken).unwrap_or_default());
        self.taken += taken;
    }

    fn is_empty(&self) -> bool {
        self.taken == self.filled
    }
}

/// Between the thread and the transport.
pub(super) struct Arrivals {
    here: Mutex<Here>,
    /// The thread waits for the chunk to be taken.
    taken: Condvar,
}

struct Here {
    chunk: Chunk,
    /// The server's last word, or what went wrong.
    end: Option<io::Result<()>>,
    /// Who waits for the next chunk.
    reader: Option<Waker>,
    /// The thread waits for room. Mostly it does not, being the one that takes; and to wake nobody is a system call, too.
    is_waiting: bool,
    /// Nobody takes anything any more.
    is_left: bool,
}

impl Arrivals {
    pub(super) fn new() -> Self {
        let here = Here { chunk: Chunk::new(), end: None, reader: None, is_waiting: false, is_left: false };
        Self { here: Mutex::new(here), taken: Condvar::new() }
    }

    /// What has arrived changes places with a chunk that was taken. Answers who waits for it.
    pub(super) fn put(&self, chunk: &mut Chunk) -> Option<Waker> {
        let mut here = self.here();
        std::mem::swap(&mut here.chunk, chunk);
        here.reader.take()
    }

    /// Nothing arrives any more. Answers who waits.
    pub(super) fn end(&self, end: io::Result<()>) -> Option<Waker> {
        let mut here = self.here();
        here.end = Some(end);
        here.reader.take()
    }

    /// Waits until the chunk has been taken; answers whether there will be another one to take.
    pub(super) fn wait_for_room(&self) -> bool {
        let waits = |here: &mut Here| {
            here.is_waiting = !here.chunk.is_empty() && !here.is_left;
            here.is_waiting
        };
        !self.taken.wait_while(self.here(), waits).unwrap_or_else(PoisonError::into_inner).is_left
    }

    /// Takes what is here, as far as there is room for it. At the end there is nothing, or the error, once.
    pub(super) fn take(&self, reader: &Waker, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut here = self.here();
        if !here.chunk.is_empty() {
            here.chunk.take(buf);
            if here.chunk.is_empty() && here.is_waiting {
                self.taken.notify_one();
            }
            return Poll::Ready(Ok(()));
        }
        if let Some(end) = &mut here.end {
            return Poll::Ready(std::mem::replace(end, Ok(())));
        }
        here.reader = Some(reader.clone());
        Poll::Pending
    }

    /// Nobody takes anything any more.
    pub(super) fn leave(&self) {
        let mut here = self.here();
        here.is_left = true;
        here.reader = None;
        self.taken.notify_one();
    }

    fn here(&self) -> MutexGuard<'_, Here> {
        self.here.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
