//! One connection through the proxy, without sockets and clock: chunks and times in, writes and ends out.
//!
//! Must not know tokio. Chance comes from the seed alone: the same inputs give the same outputs.

use std::{collections::VecDeque, time::Duration};

use bytes::BytesMut;

use super::{
    fault::{Deed, End, Line, Pick, Rule, What},
    frames::{Dialogue, FrameSeen, Frames, Head, Piece, Towards},
    queue::Queue,
};

/// Bytes that wait in one direction before its sender is no longer read from.
const HOLD_LEN_MAX: usize = 4 * 1024 * 1024;

/// What is to be done at the side that a direction leads to.
#[derive(Debug, PartialEq, Eq)]
pub enum Output {
    /// One write.
    Write(BytesMut),
    /// The end of this direction; [`End::Close`] and [`End::Reset`] are that of the connection.
    End(End),
}

/// One connection.
///
/// # Rule
/// After every call that takes `now` or changes a line or the rules, do what [`poll_output`](Self::poll_output) says for
/// both directions until it gives nothing, and arm a timer by [`poll_timeout`](Self::poll_timeout).
#[derive(Debug)]
pub struct Pipe {
    link: u64,
    to_server: Way,
    to_client: Way,
    dialogue: Dialogue,
    chance: fastrand::Rng,
    seen: VecDeque<FrameSeen>,
    abandoned: Option<End>,
}

/// One direction.
#[derive(Debug)]
struct Way {
    line: Line,
    rules: Vec<Rule>,
    frames: Frames,
    queue: Queue,
    /// Bytes that were taken in.
    came: u64,
    /// Bytes that were passed on.
    passed: u64,
    next_frame: u64,
    /// What is being done to the current frame, and how many of its bytes are through.
    deed: Option<Doing>,
    done_len: usize,
    told_end: bool,
}

/// A [`Deed`] on its way.
#[derive(Debug)]
enum Doing {
    Drop,
    Duplicate(BytesMut),
    Corrupt { at: usize, mask: u8 },
    Cut { after: usize, how: End },
}

impl Pipe {
    /// A healthy connection with this number.
    #[must_use]
    pub fn new(link: u64, seed: u64) -> Self {
        Self {
            link,
            to_server: Way::new(Towards::Server),
            to_client: Way::new(Towards::Client),
            dialogue: Dialogue::default(),
            chance: fastrand::Rng::with_seed(seed ^ link.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            seen: VecDeque::new(),
            abandoned: None,
        }
    }

    /// Changes the state of a direction. What is on its way already keeps its times, but for a black hole.
    pub fn set_line(&mut self, towards: Towards, line: Line) {
        self.way(towards).line = line;
    }

    /// Adds a rule; of several for one frame the first acts.
    pub fn add_rule(&mut self, now: Duration, towards: Towards, rule: Rule) {
        let (way, chance) = self.way_and_chance(towards);
        way.rules.push(rule);
        way.forward(now, chance, BytesMut::new());
    }

    /// Takes all rules away.
    pub fn clear_rules(&mut self) {
        self.to_server.rules.clear();
        self.to_client.rules.clear();
    }

    /// Bytes have come that go in this direction.
    pub fn handle_bytes(&mut self, now: Duration, towards: Towards, bytes: &[u8]) {
        let way = match towards {
            Towards::Server => &mut self.to_server,
            Towards::Client => &mut self.to_client,
        };
        way.came += bytes.len() as u64;
        way.frames.push(bytes);
        while let Some(piece) = way.frames.next_piece(&mut self.dialogue) {
            if let Some((len, head)) = piece.begins {
                let (link, index) = (self.link, way.next_frame);
                let offset = way.came - (way.frames.rest_len() + piece.bytes.len()) as u64;
                self.seen.push_back(FrameSeen { link, towards, at: now, index, offset, len, head });
                way.begin(&mut self.chance, len, &head);
            }
            way.pass(now, &mut self.chance, piece);
        }
    }

    /// Whoever sends in this direction has ended it: by a FIN ([`End::HalfClose`]) or by a reset.
    pub fn handle_end(&mut self, now: Duration, towards: Towards, how: End) {
        let (way, chance) = self.way_and_chance(towards);
        let rest = way.frames.rest();
        way.pass(now, chance, rest);
        let line = way.line.clone();
        way.queue.end(now, &line, chance, how);
    }

    /// Ends the connection at once; what was on its way does not arrive.
    pub fn abandon(&mut self, how: End) {
        self.abandoned = Some(how);
        for way in [&mut self.to_server, &mut self.to_client] {
            way.line.black_hole = false;
            way.queue.abandon(how);
        }
    }

    /// How it was [abandoned](Self::abandon): what was polled and is not written yet is to be thrown away.
    #[must_use]
    pub const fn abandoned(&self) -> Option<End> {
        self.abandoned
    }

    /// What is to be done now at the end of a direction. An [`Output::End`] comes once, and nothing behind it.
    pub fn poll_output(&mut self, now: Duration, towards: Towards) -> Option<Output> {
        let way = self.way(towards);
        if way.line.black_hole || way.told_end {
            return None;
        }
        if let Some(bytes) = way.queue.pop(now) {
            return Some(Output::Write(bytes));
        }
        let end = way.queue.pop_end(now)?;
        way.told_end = true;
        Some(Output::End(end))
    }

    /// When there is something to do.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        [Towards::Server, Towards::Client].into_iter().filter_map(|towards| self.next_due(towards)).min()
    }

    /// When there is something to do at the end of a direction.
    #[must_use]
    pub fn next_due(&self, towards: Towards) -> Option<Duration> {
        let way = match towards {
            Towards::Server => &self.to_server,
            Towards::Client => &self.to_client,
        };
        if way.line.black_hole || way.told_end { None } else { way.queue.next_due() }
    }

    /// Whether more bytes for this direction are to be read from their sender.
    #[must_use]
    pub const fn wants(&self, towards: Towards) -> bool {
        let way = match towards {
            Towards::Server => &self.to_server,
            Towards::Client => &self.to_client,
        };
        !way.line.stop_reading && way.queue.len() < HOLD_LEN_MAX
    }

    /// The next frame that was seen.
    pub fn poll_frame(&mut self) -> Option<FrameSeen> {
        self.seen.pop_front()
    }

    const fn way(&mut self, towards: Towards) -> &mut Way {
        self.way_and_chance(towards).0
    }

    const fn way_and_chance(&mut self, towards: Towards) -> (&mut Way, &mut fastrand::Rng) {
        match towards {
            Towards::Server => (&mut self.to_server, &mut self.chance),
            Towards::Client => (&mut self.to_client, &mut self.chance),
        }
    }
}

impl Way {
    fn new(towards: Towards) -> Self {
        Self {
            line: Line::default(),
            rules: Vec::new(),
            frames: Frames::new(towards),
            queue: Queue::default(),
            came: 0,
            passed: 0,
            next_frame: 0,
            deed: None,
            done_len: 0,
            told_end: false,
        }
    }

    /// A frame begins: is there a rule for it?
    fn begin(&mut self, chance: &mut fastrand::Rng, len: usize, head: &Head) {
        let index = self.next_frame;
        self.next_frame += 1;
        self.done_len = 0;
        let is_greeting = index == 0;
        let deed = self.rules.iter().find_map(|rule| {
            let What::Frame { pick, deed } = rule.what else { return None };
            let is_picked = match pick {
                Pick::Nth(wanted) => wanted == index,
                Pick::Op(op) => head.op() == Some(op),
                Pick::Any => !is_greeting,
                Pick::PerMille(rate) => !is_greeting && chance.u16(..1000) < rate,
            };
            (is_picked && rule.take()).then_some(deed)
        });
        self.rules.retain(|rule| !rule.is_spent());
        let whole = len + zk_proto::frame::PREFIX_LEN;
        self.deed = deed.map(|deed| match deed {
            Deed::Drop => Doing::Drop,
            Deed::Duplicate => Doing::Duplicate(BytesMut::new()),
            Deed::Corrupt { at, mask } => {
                let at = at.unwrap_or_else(|| chance.usize(zk_proto::frame::PREFIX_LEN.min(whole - 1)..whole));
                Doing::Corrupt { at: at.min(whole - 1), mask }
            }
            Deed::Cut { after, how } => Doing::Cut { after: after.min(whole), how },
        });
    }

    /// Passes on a part of the current frame, or bytes of none.
    fn pass(&mut self, now: Duration, chance: &mut fastrand::Rng, piece: Piece) {
        let Piece { mut bytes, ends, .. } = piece;
        let (from, to) = (self.done_len, self.done_len + bytes.len());
        self.done_len = to;
        match &mut self.deed {
            None => {}
            Some(Doing::Drop) => bytes.clear(),
            Some(Doing::Duplicate(copy)) => {
                copy.extend_from_slice(&bytes);
                if ends {
                    bytes.extend_from_slice(&copy.split());
                }
            }
            Some(Doing::Corrupt { at, mask }) => {
                if let Some(byte) = at.checked_sub(from).and_then(|at| bytes.get_mut(at)) {
                    *byte ^= *mask;
                }
            }
            Some(Doing::Cut { after, how }) if to >= *after => {
                let how = *how;
                bytes.truncate(after.saturating_sub(from));
                self.forward(now, chance, bytes);
                return self.cut(now, chance, how);
            }
            Some(Doing::Cut { .. }) => {}
        }
        if ends {
            self.deed = None;
        }
        self.forward(now, chance, bytes);
    }

    /// Passes bytes on, up to a byte that is the last one.
    fn forward(&mut self, now: Duration, chance: &mut fastrand::Rng, mut bytes: BytesMut) {
        if self.queue.is_ended() {
            return;
        }
        let after = self.passed + bytes.len() as u64;
        let cuts = self.rules.iter().filter_map(|rule| match rule.what {
            What::CutAtByte { byte, how } if (self.passed..=after).contains(&byte) => Some((byte, how, rule)),
            What::CutAtByte { .. } | What::Frame { .. } => None,
        });
        let cut =
            cuts.min_by_key(|(byte, ..)| *byte).filter(|(.., rule)| rule.take()).map(|(byte, how, _)| (byte, how));
        if let Some((byte, _)) = cut {
            bytes.truncate(usize::try_from(byte - self.passed).unwrap_or(usize::MAX));
        }
        self.passed += bytes.len() as u64;
        self.queue.push(now, &self.line, chance, bytes);
        if let Some((_, how)) = cut {
            self.cut(now, chance, how);
        }
    }

    fn cut(&mut self, now: Duration, chance: &mut fastrand::Rng, how: End) {
        self.queue.end(now, &self.line, chance, how);
    }
}
