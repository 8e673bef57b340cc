//! What arrived from the transport and was not taken yet: the buffer, and how it grows.
//!
//! Callers get slices of it, so nothing is moved that need not be. Of the bytes it knows only how many are missing behind them.

use super::ticket::Ticket;
use bytes::BytesMut;
use std::time::Duration;
use zk_proto::{Session, frame::REPLY_LEN_MAX};

/// Room for one read from the transport, and for many replies.
const READ_BYTES: usize = 16 * 1024;

/// With less room than this, more is made before the next read.
const READ_BYTES_MIN: usize = 2 * 1024;

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
}

impl Inbox {
    /// The buffer, with room for a read.
    ///
    /// Once a frame's length is known, all that is missing of it gets room at once. So its bytes are moved once at most, and
    /// only those that the read which told the length has brought.
    pub(super) fn with_room(&mut self) -> &mut BytesMut {
        let (held, missing) = (self.bytes.len(), self.missing);
        let enough = match missing {
            0 => READ_BYTES_MIN,
            // Its buffer was made as long as it may be at once.
            missing if self.made > 2 * READ_BYTES => missing.min(READ_BYTES_MIN),
            missing => missing,
        };
        if self.bytes.capacity() - held >= enough {
            return &mut self.bytes;
        }
        // Where nobody holds a slice any more, the same memory serves again; but a long one would be held for ever.
        let is_reused = held == 0 && self.made == READ_BYTES && self.bytes.try_reclaim(READ_BYTES);
        if !is_reused {
            self.made = held + missing.min(AHEAD_BYTES.max(held)).max(READ_BYTES);
            let mut bytes = BytesMut::with_capacity(self.made);
            bytes.extend_from_slice(&self.bytes);
            self.bytes = bytes;
        }
        &mut self.bytes
    }

    /// Lets the machine take what has arrived.
    pub(super) fn hand_to(&mut self, session: &mut Session<Ticket>, now: Duration) {
        session.handle_bytes(now, &mut self.bytes);
        self.missing = session.missing(&self.bytes);
    }
}
