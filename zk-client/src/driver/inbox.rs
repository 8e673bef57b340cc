//! What arrived from the transport and was not taken yet: the buffer, and how far it is read into.
//!
//! Callers get slices of it, so their data is never moved: while any is on its way, the length of each frame is read first, and
//! then the frame to where it all fits, unless it is longer than what is reserved on a server's word. For consumers in this
//! task a read takes in whatever has arrived, because that is cheaper. Their replies have to move when they do not fit where
//! they begin: so there is room for the end of one behind that in which they begin, and while they are longer, their lengths
//! are read first, too. That leaves the first one that is longer than those before it.
//! Of the bytes the inbox knows only how many are missing behind them.

use super::ticket::Ticket;
use bytes::{BufMut, BytesMut, buf::Limit};
use std::time::Duration;
use zk_proto::{
    Session,
    frame::{PREFIX_LEN, REPLY_LEN_MAX},
};

/// Frames begin in the first bytes of a buffer: room for one read from the transport, and for many replies.
const BEGIN_BYTES: usize = 16 * 1024;

/// With less room to begin in than this, more is made before the next read.
const BEGIN_BYTES_MIN: usize = 2 * 1024;

/// Behind them one ends. A frame of this length fits wherever it began; any other is a long one.
const END_BYTES: usize = 16 * 1024;

/// A buffer that is not made for one frame.
const BUFFER_BYTES: usize = BEGIN_BYTES + END_BYTES;

/// Reads to the end of a frame, and of no long one, after which no long one is expected.
const LONG_EXPECTED: u32 = 16;

/// The most that is reserved on a server's word, unless as much has arrived: what a reply may have by default.
const AHEAD_BYTES: usize = REPLY_LEN_MAX;

/// Bytes from the transport; the first of them begin a frame.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    bytes: BytesMut,
    /// How many bytes are missing to the end of that frame, as far as that is known.
    missing: usize,
    /// How long the buffer was made.
    made: usize,
    /// Until this is zero, a length is read before what it belongs to.
    long_expected: u32,
    /// A caller's data is on its way: a length is read first, and no more than the frame.
    is_data_expected: bool,
}

impl Inbox {
    /// Says whether a caller's data is on its way.
    pub(super) const fn expect_data(&mut self, is_expected: bool) {
        self.is_data_expected = is_expected;
    }

    /// The buffer, with room for a read: for all that is missing of the frame, once that is known.
    pub(super) fn with_room(&mut self) -> Limit<&mut BytesMut> {
        let held = self.bytes.len();
        if held == 0 && self.made == BUFFER_BYTES {
            // Where nobody holds a slice any more, the same memory serves again, from its first byte on.
            let _ = self.bytes.try_reclaim(BUFFER_BYTES);
        }
        let fits = match self.missing {
            0 if held == 0 => self.room_to_begin() >= BEGIN_BYTES_MIN,
            0 => self.room() >= PREFIX_LEN.saturating_sub(held).max(1),
            // Its buffer was made as long as it may be at once.
            missing if self.made > BUFFER_BYTES => self.room() >= missing.min(BEGIN_BYTES_MIN),
            missing => self.room() >= missing,
        };
        if !fits {
            let ahead = self.missing.min(AHEAD_BYTES.max(held));
            self.made = (held + ahead + PREFIX_LEN).max(BUFFER_BYTES);
            let mut bytes = BytesMut::with_capacity(self.made);
            bytes.extend_from_slice(&self.bytes);
            self.bytes = bytes;
        }
        let least = match self.missing {
            0 => PREFIX_LEN.saturating_sub(held).max(1),
            // The length behind it comes along, and shows whether more has arrived.
            missing => (missing + PREFIX_LEN).min(self.room()),
        };
        let is_long_expected = self.long_expected > 0 && self.missing == 0 && held == 0;
        let most = if self.is_data_expected || is_long_expected { least } else { least.max(self.room_to_begin()) };
        (&mut self.bytes).limit(most)
    }

    fn room(&self) -> usize {
        self.bytes.capacity() - self.bytes.len()
    }

    /// None behind a frame for which the buffer was made.
    fn room_to_begin(&self) -> usize {
        self.room().saturating_sub(END_BYTES)
    }

    /// Lets the machine take what has arrived.
    pub(super) fn hand_to(&mut self, session: &mut Session<Ticket>, now: Duration) {
        session.handle_bytes(now, &mut self.bytes);
        self.missing = session.missing(&self.bytes);
        if self.bytes.len() + self.missing > END_BYTES {
            self.long_expected = LONG_EXPECTED;
        } else if self.bytes.is_empty() {
            self.long_expected = self.long_expected.saturating_sub(1);
        }
    }
}
