//! What the client sends: W2, W3, W7, W9.

use super::{
    super::{
        calls::{PERSISTENT, ticket_of, watch_lists},
        marks::{Mark, Marks},
        paths::Paths,
        plan::password,
        wire::What,
    },
    Broken, Held, Rules, Stage, hold,
};
use zk_proto::{OpCode, session::xid};

/// No frame of watches is longer, unless one path alone is (protocol.md section 2.6).
const WATCHES_FRAME_MAX: usize = 128 * 1024;

/// A schedule has no more requests.
const GAP_MAX: i64 = 300;

fn i32_at(bytes: &[u8], at: usize) -> Option<i32> {
    bytes.get(at..)?.first_chunk().map(|chunk| i32::from_be_bytes(*chunk))
}

impl Rules {
    /// Everything the client had to say: whole frames.
    pub(crate) fn transmitted(&mut self, mut bytes: &[u8], now: u64, paths: &Paths, marks: &mut Marks) -> Held {
        hold!("W8", self.is_open, "{} bytes without a connection", bytes.len());
        while !bytes.is_empty() {
            let frame = i32_at(bytes, 0).and_then(|len| bytes.get(4..4 + usize::try_from(len).ok()?));
            let Some(frame) = frame else {
                hold!("W9", false, "half a frame");
                return Ok(());
            };
            bytes = &bytes[4 + frame.len()..];
            if self.is_greeted {
                self.request(frame, now, paths, marks)?;
            } else {
                self.greeting(frame)?;
            }
        }
        Ok(())
    }

    fn greeting(&mut self, frame: &[u8]) -> Held {
        hold!("W9", self.stage == Stage::Connecting && frame.len() == 45, "{} bytes of ConnectRequest", frame.len());
        self.is_greeted = true;
        let i64_at = |at: usize| i64::from_be_bytes(*frame[at..].first_chunk().unwrap());
        let (zxid, id) = (i64_at(4), i64_at(16));
        // W7: exactly what replies said: less would let reads go back, more would hide changes.
        hold!("W7", zxid == self.seen_zxid, "lastZxidSeen is {zxid:#x}, replies said {:#x}", self.seen_zxid);
        // W11: our session, or none; never one that expired or that a read-only server made up.
        hold!("W11", id == self.held.unwrap_or(0), "asked for session {id:#x}, holds {:x?}", self.held);
        let proof = if id == 0 { [0; 16] } else { password(id) };
        hold!("W11", frame[28..44] == proof, "a wrong password");
        hold!("W9", i32_at(frame, 12) == Some(self.wanted_timeout as i32), "another timeout is wanted");
        hold!("W9", frame[44] == u8::from(self.may_be_read_only), "the wrong readOnly byte");
        Ok(())
    }

    fn request(&mut self, frame: &[u8], now: u64, paths: &Paths, marks: &mut Marks) -> Held {
        let (Some(number), Some(op), Some(body)) = (i32_at(frame, 0), i32_at(frame, 4), frame.get(8..)) else {
            hold!("W9", false, "a frame without a header");
            return Ok(());
        };
        let op = OpCode(op);
        // W9: nothing before the greeting is answered; then identities, watches, requests.
        hold!("W9", self.is_up, "{op:?} before the greeting was answered");
        if op == OpCode::AUTH {
            return self.auth(number, body);
        }
        let silent = now - std::mem::replace(&mut self.talked, now);
        hold!("W9", self.auths_sent >= self.auths_first, "{op:?} before the identities");
        if op == OpCode::PING {
            hold!("W1", number == xid::PING && body.is_empty(), "a ping with xid {number}");
            hold!("W10", silent >= self.timeout / 3, "a ping after {silent} ms without sending");
            self.pings += 1;
            return Ok(());
        }
        self.numbered(number)?;
        hold!("W2", self.wire.sent.iter().all(|(sent, _)| *sent != number), "xid {number} is on its way already");
        if number == i32::MAX {
            marks.hit(Mark::XidWrap);
        }
        self.next_xid = if number == i32::MAX { 1 } else { number + 1 };
        hold!("W9", self.stage < Stage::Closing, "{op:?} behind the close");
        let what = match op {
            OpCode::SET_WATCHES | OpCode::SET_WATCHES2 => {
                self.watches_frame(op, frame, paths, marks)?;
                What::Rearm
            }
            OpCode::CLOSE_SESSION => {
                hold!("W4", self.is_closing, "closed by itself");
                self.stage = Stage::Closing;
                What::Close
            }
            _ => self.call(op, body, marks)?,
        };
        hold!("W9", self.owed.is_empty() || what == What::Rearm, "{op:?} before the watches {:?}", self.owed);
        self.wire.sent.push_back((number, what));
        Ok(())
    }

    /// W2: numbers count on, around from `i32::MAX` to 1. Between two connections a few may be missing: those of requests
    /// that were lost with a connection before they left.
    fn numbered(&mut self, number: i32) -> Held {
        let is_first = !std::mem::replace(&mut self.has_numbered, true);
        let gap = i64::from(number) - i64::from(self.next_xid);
        let gap = if gap < 0 { gap + i64::from(i32::MAX) } else { gap };
        let gap_max = if is_first { GAP_MAX } else { 0 };
        hold!("W2", number > 0 && gap <= gap_max, "xid {number} where {} is next", self.next_xid);
        Ok(())
    }

    fn auth(&mut self, number: i32, body: &[u8]) -> Held {
        hold!("W1", number == xid::AUTH, "an auth packet with xid {number}");
        let is_old = self.auths_sent < self.auths_first;
        hold!("W9", self.stage == Stage::Auth || !is_old, "an old identity behind {:?}", self.stage);
        // The identities say which they are.
        let identity = body.last().map(|byte| usize::from(*byte));
        hold!("W9", identity == Some(self.auths_sent), "identity {identity:?} in place of {}", self.auths_sent);
        self.wire.auths.push_back(self.auths_sent);
        self.auths_sent += 1;
        self.identities_sent = self.identities_sent.max(self.auths_sent);
        Ok(())
    }

    /// W9: each watch once, and none that is not wanted, in frames that a server reads.
    fn watches_frame(&mut self, op: OpCode, frame: &[u8], paths: &Paths, marks: &mut Marks) -> Held {
        hold!("W9", self.stage <= Stage::Watches, "watches behind requests");
        self.stage = Stage::Watches;
        let (mut strange, mut count, mut needs_new_op) = (None, 0, false);
        let relative = watch_lists(op, &frame[8..], |list, path| {
            count += 1;
            needs_new_op |= list >= PERSISTENT;
            let path = paths.index(path);
            match self.owed.iter().position(|owed| path.is_some_and(|path| *owed == (list, path))) {
                Some(index) => drop(self.owed.swap_remove(index)),
                None => strange = Some((list, path)),
            }
        });
        // Servers before 3.6 do not know setWatches2.
        hold!("W9", needs_new_op == (op == OpCode::SET_WATCHES2), "{op:?} where the other one is needed");
        hold!("W9", strange.is_none(), "list and path {strange:?} are not to be set");
        let Some(relative) = relative else {
            hold!("W9", false, "a broken frame of watches");
            return Ok(());
        };
        hold!("W7", relative <= self.seen_zxid, "compared with {relative:#x}, replies said {:#x}", self.seen_zxid);
        let is_short = frame.len() + 4 <= WATCHES_FRAME_MAX || count == 1;
        hold!("E6", is_short && count > 0, "a frame with {count} watches has {} bytes", frame.len());
        self.frames_of_watches += 1;
        self.rearms_sent += 1;
        if self.rearms_sent == 2 {
            marks.hit(Mark::RearmedInSeveralFrames);
        }
        Ok(())
    }

    fn call(&mut self, op: OpCode, body: &[u8], marks: &mut Marks) -> Result<What, Broken> {
        let ticket = ticket_of(op, body).unwrap_or(u32::MAX);
        let Some(call) = self.calls.get_mut(ticket as usize) else {
            return Err(Broken(format!("W3: {op:?} that nobody asked for")));
        };
        if call.is_sent || call.outcome.is_some() {
            return Err(Broken(format!("W3: ticket {ticket} is sent again: {call:?}")));
        }
        call.is_sent = true;
        if call.had_to_wait {
            marks.hit(Mark::WaitedForConnection);
        }
        self.stage = Stage::Requests;
        Ok(What::Call(ticket))
    }
}
