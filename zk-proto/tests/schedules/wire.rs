//! What the server's bytes mean, read a second time and independently of the machine: the events that must follow.

use super::{chance::print_of, paths::PATHS};
use std::collections::VecDeque;
use zk_proto::{
    OpCode,
    frame::CONNECT_REPLY_LEN_MAX,
    session::{Looks, Loss, xid},
};

/// Bytes of an unfinished frame that are a sign of life.
const LIFE_BYTES: usize = 4096;

/// A frame's prefix and header may or may not be counted.
const LIFE_SLACK: usize = 20;

const REPLY_HEADER_LEN: usize = 16;

/// Why bytes cost the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fatal {
    NotZooKeeper(Looks),
    Refused,
    Gone,
    Decode,
    Length,
    Unexpected,
    WatchesRefused,
}

impl Fatal {
    pub(crate) fn is(self, loss: &Loss) -> bool {
        if let (Self::NotZooKeeper(looks), Loss::NotZooKeeper(told)) = (self, loss) {
            return looks == *told;
        }
        matches!(
            (self, loss),
            (Self::Refused, Loss::Refused(_))
                | (Self::Gone, Loss::Expired)
                | (Self::Decode, Loss::Decode(_))
                | (Self::Length, Loss::Frame(_))
                | (Self::Unexpected, Loss::UnexpectedReply { .. })
                | (Self::WatchesRefused, Loss::WatchesRefused(_))
        )
    }
}

/// What is on its way to a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Call(u32),
    Rearm,
    Close,
}

/// What bytes mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    Taken { id: i64, timeout: u64, read_only: bool },
    Reply { what: What, zxid: i64, err: i32, body: Body },
    Auth { identity: usize, err: i32 },
    Watch { kind: i32, zxid: i64, path: usize },
    Bookmark(i64),
    Fatal(Fatal),
}

/// A reply's body: its fingerprint, or that it is over the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    Whole(u64),
    TooLarge(usize),
}

/// One connection as it is seen on the wire, in the client's direction.
#[derive(Default)]
pub(crate) struct Wire {
    buf: Vec<u8>,
    limit: usize,
    is_greeted: bool,
    /// Nothing more counts.
    pub(crate) is_dead: bool,
    /// Bytes of a frame over the limit that are still to come, and that came.
    skip: usize,
    skipped: usize,
    /// How often the unfinished frame was a sign of life.
    progress: [usize; 3],
    /// Requests without an answer, and identities.
    pub(crate) sent: VecDeque<(i32, What)>,
    pub(crate) auths: VecDeque<usize>,
    /// A frame over the limit was skipped.
    pub(crate) has_skipped: bool,
}

/// How alive the peer looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Life {
    None,
    /// Something that costs the connection.
    Garbage,
    Part,
    /// A part, however it is counted.
    SurePart,
    Frame,
}

fn i32_at(bytes: &[u8], at: usize) -> Option<i32> {
    bytes.get(at..)?.first_chunk().map(|chunk| i32::from_be_bytes(*chunk))
}

fn i64_at(bytes: &[u8], at: usize) -> Option<i64> {
    bytes.get(at..)?.first_chunk().map(|chunk| i64::from_be_bytes(*chunk))
}

impl Wire {
    /// A new connection.
    pub(crate) fn reset(&mut self, limit: usize) {
        self.buf.clear();
        self.sent.clear();
        self.auths.clear();
        let Self { buf, sent, auths, .. } = std::mem::take(self);
        *self = Self { buf, sent, auths, limit, ..Self::default() };
    }

    /// Bytes were delivered; `each` is told what they mean.
    pub(crate) fn delivered(&mut self, bytes: &[u8], mut each: impl FnMut(&mut Self, Meaning)) -> Life {
        if self.is_dead {
            return Life::None;
        }
        let mut life = Life::None;
        let mut buf = std::mem::take(&mut self.buf);
        buf.extend_from_slice(bytes);
        let mut at = 0;
        while !self.is_dead {
            if self.skip > 0 {
                let some = self.skip.min(buf.len() - at);
                at += some;
                self.skip -= some;
                self.skipped += some;
                if self.skip > 0 {
                    break;
                }
                self.has_skipped = true;
                life = Life::Frame;
            }
            let Some((meaning, len)) = self.next(&buf[at..]) else { break };
            at += len;
            life = life.max(if meaning.is_ok() { Life::Frame } else { Life::Garbage });
            let meaning = meaning.unwrap_or_else(Meaning::Fatal);
            self.is_dead |= matches!(meaning, Meaning::Fatal(_));
            self.is_greeted |= matches!(meaning, Meaning::Taken { .. });
            each(self, meaning);
        }
        buf.drain(..at);
        self.buf = buf;
        self.life(life)
    }

    /// A frame that is not finished may be a sign of life too.
    fn life(&mut self, life: Life) -> Life {
        if life == Life::Frame {
            self.progress = [0; 3];
        }
        let unfinished = if self.skip > 0 { self.skipped } else { self.buf.len() };
        if self.is_dead {
            // What is behind garbage is not read.
            return life;
        }
        let counts = [unfinished.saturating_sub(LIFE_SLACK), unfinished, unfinished + LIFE_SLACK];
        let progress = counts.map(|bytes| bytes / LIFE_BYTES);
        let is_more = |way: usize| progress[way] > self.progress[way];
        let part = match [is_more(0), is_more(1), is_more(2)] {
            [true, true, true] => Life::SurePart,
            [false, false, false] => Life::None,
            _ => Life::Part,
        };
        self.progress = progress;
        life.max(part)
    }

    /// What the next frame means, and its length.
    fn next(&mut self, rest: &[u8]) -> Option<(Result<Meaning, Fatal>, usize)> {
        let prefix = i32_at(rest, 0)?;
        if !self.is_greeted {
            let Some(len) = usize::try_from(prefix).ok().filter(|len| *len <= CONNECT_REPLY_LEN_MAX) else {
                let looks = match rest {
                    [b'H', b'T', b'T', b'P', ..] => Looks::Http,
                    [0x15 | 0x16, 3, 0..=4, ..] => Looks::Tls,
                    _ => Looks::Unknown,
                };
                return Some((Err(Fatal::NotZooKeeper(looks)), 0));
            };
            let frame = rest.get(4..4 + len)?;
            return Some((greeted(frame), 4 + len));
        }
        let Ok(len) = usize::try_from(prefix) else { return Some((Err(Fatal::Length), 0)) };
        if len > self.limit && len >= REPLY_HEADER_LEN {
            let head = rest.get(4..4 + REPLY_HEADER_LEN)?;
            (self.skip, self.skipped) = (len - REPLY_HEADER_LEN, 0);
            return Some((self.frame(head, Some(len)), 4 + REPLY_HEADER_LEN));
        }
        let frame = rest.get(4..4 + len)?;
        Some((self.frame(frame, None), 4 + len))
    }

    fn frame(&mut self, frame: &[u8], too_large: Option<usize>) -> Result<Meaning, Fatal> {
        let header = (i32_at(frame, 0), i64_at(frame, 4), i32_at(frame, 12));
        let (Some(number), Some(zxid), Some(err)) = header else { return Err(Fatal::Decode) };
        let body = &frame[REPLY_HEADER_LEN..];
        match number {
            xid::NOTIFICATION => event(body, zxid).ok_or(Fatal::Decode),
            xid::PING => Ok(Meaning::Bookmark(zxid)),
            xid::AUTH => {
                let identity = self.auths.pop_front().ok_or(Fatal::Unexpected)?;
                Ok(Meaning::Auth { identity, err })
            }
            _ => {
                let index = self.sent.iter().position(|(sent, _)| *sent == number).ok_or(Fatal::Unexpected)?;
                let (_, what) = self.sent.remove(index).unwrap();
                if what == What::Rearm && err != 0 && err != -124 {
                    return Err(Fatal::WatchesRefused);
                }
                let body = too_large.map_or_else(|| Body::Whole(print_of(body)), Body::TooLarge);
                Ok(Meaning::Reply { what, zxid, err, body })
            }
        }
    }
}

fn greeted(frame: &[u8]) -> Result<Meaning, Fatal> {
    if frame.len() < 20 {
        return Err(Fatal::Refused);
    }
    let (timeout, id) = (i32_at(frame, 4).unwrap(), i64_at(frame, 8).unwrap());
    let password = i32_at(frame, 16).unwrap();
    // -1 is null.
    let behind = 20 + usize::try_from(if password == -1 { 0 } else { password }).map_err(|_| Fatal::Decode)?;
    if behind > frame.len() {
        return Err(Fatal::Decode);
    }
    let read_only = frame.get(behind).is_some_and(|byte| *byte != 0);
    match u64::try_from(timeout) {
        Ok(timeout @ 1..) => Ok(Meaning::Taken { id, timeout, read_only }),
        _ => Err(Fatal::Gone),
    }
}

fn event(body: &[u8], zxid: i64) -> Option<Meaning> {
    let kind = i32_at(body, 0)?;
    let len = usize::try_from(i32_at(body, 8)?).ok()?;
    let path = body.get(12..12 + len)?;
    // Paths that are none of ours only come in oddities.
    let index = path.get(1).map(|byte| usize::from(byte.wrapping_sub(b'0'))).filter(|index| *index < PATHS);
    Some(Meaning::Watch { kind, zxid, path: index.unwrap_or(usize::MAX) })
}

/// The client's frames as a reader of a trace wants them.
pub(crate) fn sketch(mut bytes: &[u8]) -> String {
    let mut text = String::new();
    while let Some(frame) = i32_at(bytes, 0).and_then(|len| bytes.get(4..4 + len as usize)) {
        bytes = &bytes[4 + frame.len()..];
        let (xid, op) = (i32_at(frame, 0).unwrap_or(0), OpCode(i32_at(frame, 4).unwrap_or(0)));
        text += &match (xid, op.name()) {
            (0, _) => format!(
                "[ConnectRequest, seen {:#x}, session {:#x}] ",
                i64_at(frame, 4).unwrap_or(0),
                i64_at(frame, 16).unwrap_or(0)
            ),
            (xid, name) => format!("[{xid} {}] ", name.unwrap_or("?")),
        };
    }
    text
}
