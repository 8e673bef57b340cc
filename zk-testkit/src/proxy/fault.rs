//! What can be wrong with one direction of a connection.
//!
//! Must not know how it is carried out; the pipe does.

use std::{
    num::NonZeroU32,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use zk_proto::OpCode;

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Both sides are sent a FIN, in order behind everything that was passed on.
    Close,
    /// Only the side that this direction leads to is sent a FIN; the other direction goes on, and what still comes in
    /// this one is thrown away.
    HalfClose,
    /// Both sides are sent an RST (`SO_LINGER` 0).
    Reset,
}

/// The state of one direction, for as long as it lasts. The default is a healthy line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// Everything arrives this much later.
    pub delay: Duration,
    /// And up to this much later still, by chance; nothing overtakes.
    pub jitter: Duration,
    /// How many bytes pass in a second.
    pub bytes_per_second: Option<NonZeroU32>,
    /// Bytes arrive in small pieces.
    pub dribble: Option<Dribble>,
    /// Nothing arrives, not even an end. The sender does not notice before 4 MiB wait; all of it arrives when the black
    /// hole ends.
    pub black_hole: bool,
    /// Nothing is read from the sender, whose writes get stuck once the kernel's buffers are full: a window of 0.
    pub stop_reading: bool,
}

/// How bytes are cut into pieces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dribble {
    /// Bytes of a piece; 0 is taken for 1.
    pub bytes: usize,
    /// Time between two pieces. Zero: as fast as they can be written, each by a write of its own.
    pub every: Duration,
}

/// Which frames a [`Rule`] is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pick {
    /// The frame with this number in its direction; the greeting is number 0.
    Nth(u64),
    /// Requests with this opcode, or replies to them. Events are [`OpCode::NOTIFICATION`].
    Op(OpCode),
    /// Any but the greeting.
    Any,
    /// Of any thousand but the greeting, this many, by chance.
    PerMille(u16),
}

/// What becomes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// It does not arrive.
    Drop,
    /// It arrives twice.
    Duplicate,
    /// One of its bytes is wrong.
    Corrupt {
        /// Which byte, the four of the length included; beyond the end: the last one. `None`: any behind the length, by
        /// chance.
        at: Option<usize>,
        /// The bits that are flipped; with 0 nothing is wrong.
        mask: u8,
    },
    /// The connection ends inside it.
    Cut {
        /// After this many of its bytes, the four of the length included; beyond the end: behind it.
        after: usize,
        /// How.
        how: End,
    },
}

/// Acts forever.
const ALWAYS: u32 = u32::MAX;

/// Something to be done to a frame, or at a byte: once, unless it says otherwise. Clones share how often.
#[derive(Clone, Debug)]
#[must_use = "a rule does nothing before it is given to a proxy or a pipe"]
pub struct Rule {
    pub(super) what: What,
    left: Arc<AtomicU32>,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum What {
    CutAtByte { byte: u64, how: End },
    Frame { pick: Pick, deed: Deed },
}

impl Rule {
    fn new(what: What) -> Self {
        Self { what, left: Arc::new(AtomicU32::new(1)) }
    }

    /// Does something to a frame.
    pub fn frame(pick: Pick, deed: Deed) -> Self {
        Self::new(What::Frame { pick, deed })
    }

    /// Ends a connection when exactly this many bytes have passed in this direction since it began. Does nothing to a
    /// connection on which more have passed already.
    pub fn cut_at_byte(byte: u64, how: End) -> Self {
        Self::new(What::CutAtByte { byte, how })
    }

    /// Acts so many times.
    pub fn times(mut self, times: u32) -> Self {
        self.left = Arc::new(AtomicU32::new(times));
        self
    }

    /// Acts whenever it can.
    pub fn always(self) -> Self {
        self.times(ALWAYS)
    }

    /// Whether it may act; then it has.
    pub(super) fn take(&self) -> bool {
        let spend = |left: u32| match left {
            0 => None,
            ALWAYS => Some(ALWAYS),
            left => Some(left - 1),
        };
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, spend).is_ok()
    }

    pub(super) fn is_spent(&self) -> bool {
        self.left.load(Ordering::Relaxed) == 0
    }
}
