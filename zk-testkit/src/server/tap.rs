//! What passes on the connections of a server, as frames, for whoever records or prints it.
//!
//! Must not know what the frames mean. Source of the framing: protocol.md section 1.

use std::{fmt, net::SocketAddr, sync::Arc};

use bytes::{Buf as _, BytesMut};
use zk_proto::frame::{PREFIX_LEN, REQUEST_LEN_MAX};

use super::model::ConnId;

/// Something that happened on a connection; see [`Builder::tap`](super::Builder::tap).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Seen<'a> {
    /// A client has connected. Always the first of a connection.
    Opened(SocketAddr),
    /// A whole frame came from the client; without its length prefix.
    Received(&'a [u8]),
    /// The socket has taken a whole frame to the client; without its length prefix.
    Sent(&'a [u8]),
    /// The connection has ended. Always the last.
    Closed,
}

/// Somebody who is told.
#[derive(Clone)]
pub(super) struct Tap(Arc<dyn Fn(ConnId, Seen<'_>) + Send + Sync>);

impl Tap {
    pub(super) fn new(tell: impl Fn(ConnId, Seen<'_>) + Send + Sync + 'static) -> Self {
        Self(Arc::new(tell))
    }
}

impl fmt::Debug for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tap")
    }
}

/// One connection's part of a tap, if there is one. A connection that does not speak in frames (four-letter words, bytes
/// by a test's script) goes silent where that shows.
#[derive(Debug)]
pub(super) struct Wiretap {
    tap: Option<Tap>,
    id: ConnId,
    received: BytesMut,
    sent: BytesMut,
    /// Frames no more.
    is_deaf: bool,
}

impl Wiretap {
    pub(super) fn new(tap: Option<Tap>, id: ConnId, peer: SocketAddr) -> Self {
        let wiretap = Self { tap, id, received: BytesMut::new(), sent: BytesMut::new(), is_deaf: false };
        wiretap.tell(Seen::Opened(peer));
        wiretap
    }

    fn tell(&self, seen: Seen<'_>) {
        if let Some(Tap(tell)) = &self.tap {
            tell(self.id, seen);
        }
    }

    /// Takes what was read from the socket.
    pub(super) fn received(&mut self, bytes: &[u8]) {
        if self.tap.is_none() || self.is_deaf {
            return;
        }
        self.received.extend_from_slice(bytes);
        let mut inbox = std::mem::take(&mut self.received);
        self.is_deaf = !cut(&mut inbox, REQUEST_LEN_MAX, |frame| self.tell(Seen::Received(frame)));
        self.received = inbox;
    }

    /// Takes what the socket has taken.
    pub(super) fn sent(&mut self, bytes: &[u8]) {
        if self.tap.is_none() || self.is_deaf {
            return;
        }
        self.sent.extend_from_slice(bytes);
        let mut outbox = std::mem::take(&mut self.sent);
        self.is_deaf = !cut(&mut outbox, usize::MAX, |frame| self.tell(Seen::Sent(frame)));
        self.sent = outbox;
    }
}

impl Drop for Wiretap {
    fn drop(&mut self) {
        self.tell(Seen::Closed);
    }
}

/// Takes whole frames off the front; whether the bytes can be frames at all.
fn cut(bytes: &mut BytesMut, limit: usize, mut tell: impl FnMut(&[u8])) -> bool {
    while let Some(prefix) = bytes.first_chunk::<PREFIX_LEN>() {
        let len = usize::try_from(i32::from_be_bytes(*prefix)).ok().filter(|len| *len <= limit);
        let Some(len) = len else { return false };
        let Some(frame) = bytes.get(PREFIX_LEN..PREFIX_LEN.saturating_add(len)) else { return true };
        tell(frame);
        bytes.advance(PREFIX_LEN + len);
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    fn wiretap(log: &Arc<Mutex<Vec<String>>>) -> Wiretap {
        let log = Arc::clone(log);
        let tap = Tap::new(move |id, seen| log.lock().unwrap().push(format!("{} {seen:?}", id.0)));
        Wiretap::new(Some(tap), ConnId(3), SocketAddr::from(([127, 0, 0, 1], 9)))
    }

    #[test]
    fn frames_are_whole_however_they_come() {
        let log = Arc::default();
        let mut wiretap = wiretap(&log);
        for byte in [0, 0, 0, 2, 7, 8, 0, 0, 0, 0, 0, 0] {
            wiretap.received(&[byte]);
        }
        wiretap.sent(&[0, 0, 0, 1, 9, 0, 0, 0, 1, 10]);
        drop(wiretap);
        let expected = [
            "3 Opened(127.0.0.1:9)",
            "3 Received([7, 8])",
            "3 Received([])",
            "3 Sent([9])",
            "3 Sent([10])",
            "3 Closed",
        ];
        assert_eq!(*log.lock().unwrap(), expected);
    }

    #[test]
    fn words_and_garbage_are_no_frames() {
        for first in [&b"ruok"[..], &[0xff; 8]] {
            let log = Arc::default();
            let mut wiretap = wiretap(&log);
            wiretap.received(first);
            wiretap.sent(b"imok, I am");
            wiretap.received(&[0, 0, 0, 0]);
            drop(wiretap);
            assert_eq!(*log.lock().unwrap(), ["3 Opened(127.0.0.1:9)", "3 Closed"]);
        }
    }
}
