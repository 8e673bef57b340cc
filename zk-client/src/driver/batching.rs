//! Plain reads that were called together travel as one multiRead.
//!
//! A read that is on its way alone leaves at once: nothing waits for company. What comes between two reads, comes between
//! them at the server, too. multiRead carries getData and getChildren and no other read, and sets no watch (protocol.md
//! section 3.3); its answer for a read is that read's own answer, byte for byte, with the zxid of the whole. Servers before
//! 3.6 do not know it: they refuse, and hang up.

use super::ticket::Ticket;
use crate::{call::Outcomes, caller::Caller};
use std::time::Duration;
use zk_proto::{
    Bytes, OpCode, Session, Zxid,
    jute::decode_from,
    multi::MultiResponse,
    session::{EncodedRequest, ReplyFailure},
};

/// Reads in one request. More would make the server answer fewer requests between two looks at its queue, and would save
/// next to nothing.
const READS_MAX: usize = 128;

/// Bytes that the answer of one request should not exceed, as far as can be foreseen.
const REPLY_BYTES: usize = 256 * 1024;

/// Bytes of one request, unless the client may send less.
const REQUEST_BYTES: usize = 64 * 1024;

/// What a read takes up beside its own frame, and what a batch does: its header and its end.
const READ_OVERHEAD: usize = 1;
const BATCH_OVERHEAD: usize = 8 + 9;

/// What an answer is taken to weigh before any was seen.
const READ_BYTES_GUESS: usize = 4 * 1024;

/// A read, and who waits for it.
pub(crate) type Read = (EncodedRequest, Caller);

/// Reads that were called one after the other and have not left.
#[derive(Debug)]
pub(super) struct Batching {
    is_on: bool,
    request_bytes: usize,
    reads: Vec<Read>,
    bytes: usize,
    /// What an answer weighs, once one was seen.
    read_bytes: Option<usize>,
}

impl Batching {
    pub(super) fn new(is_on: bool, request_len_max: usize) -> Self {
        Self { is_on, request_bytes: REQUEST_BYTES.min(request_len_max), reads: Vec::new(), bytes: 0, read_bytes: None }
    }

    /// Whether a request may travel with others: a read that leaves no watch. Those that do come by another way, as a
    /// [`WatchCommand`](super::ticket::WatchCommand). Without a connection nothing is put together: what waits may be taken
    /// back.
    pub(super) fn takes(&self, request: &EncodedRequest, is_connected: bool) -> bool {
        self.is_on && is_connected && matches!(request.op(), OpCode::GET_DATA | OpCode::GET_CHILDREN)
    }

    /// Adds a read; [`flush`](Self::flush) sends it.
    pub(super) fn push(&mut self, session: &mut Session<Ticket>, now: Duration, read: Read) {
        let most = (REPLY_BYTES / self.read_bytes.unwrap_or(READ_BYTES_GUESS)).clamp(1, READS_MAX);
        let bytes = read.0.frame_len() + READ_OVERHEAD;
        if self.reads.len() >= most || BATCH_OVERHEAD + self.bytes + bytes > self.request_bytes {
            self.flush(session, now);
        }
        self.bytes += bytes;
        self.reads.push(read);
    }

    /// Sends what was put together.
    pub(super) fn flush(&mut self, session: &mut Session<Ticket>, now: Duration) {
        self.bytes = 0;
        if self.reads.len() > 1
            && let Some(request) = EncodedRequest::multi_read(self.reads.iter().map(|(request, _)| request))
        {
            let reads = std::mem::take(&mut self.reads);
            return session.submit(now, request, None, Ticket::Batch(reads));
        }
        for (request, caller) in self.reads.drain(..) {
            session.submit(now, request, None, Ticket::Call(caller));
        }
    }

    /// The answer to a batch.
    pub(super) fn answered(
        &mut self,
        session: &mut Session<Ticket>,
        now: Duration,
        reads: Vec<Read>,
        zxid: Zxid,
        result: Result<Bytes, ReplyFailure>,
    ) {
        match result {
            Ok(body) => self.deal_out(reads, zxid, &body),
            Err(ReplyFailure::Refused(zk_proto::ErrorCode::UNIMPLEMENTED)) => {
                tracing::info!("the server has no multiRead: reads are sent one by one from now on");
                self.is_on = false;
                again(session, now, reads);
            }
            // Too much together; alone, each says which one it is.
            Err(ReplyFailure::TooLarge(size)) => {
                self.weigh(size.len / reads.len().max(1));
                again(session, now, reads);
            }
            Err(refused @ ReplyFailure::Refused(_)) => {
                for (_, caller) in reads {
                    caller.send(Outcomes::Reply { zxid, result: Err(refused) });
                }
            }
        }
    }

    fn deal_out(&mut self, reads: Vec<Read>, zxid: Zxid, body: &Bytes) {
        self.weigh(body.len() / reads.len().max(1));
        let response = decode_from::<MultiResponse>(body).unwrap_or_default();
        // An answer of another length or kind than was asked for cannot be read, and neither can its parts.
        let is_whole = response.results.len() == reads.len();
        let mut bodies = response.results.bodies().filter(|_| is_whole);
        for (request, caller) in reads {
            let result = match bodies.next() {
                Some((op, Ok(body))) if op == request.op() => Ok(body),
                Some((_, Err(code))) => Err(ReplyFailure::Refused(code)),
                Some((_, Ok(_))) | None => Ok(Bytes::new()),
            };
            caller.send(Outcomes::Reply { zxid, result });
        }
    }

    /// A batch was lost with its connection; answers whether its reads were sent again. As long as no server has answered
    /// one, or since one has refused, this is what a server does that knows no multiRead and was sent several.
    pub(super) fn lost(&mut self, session: &mut Session<Ticket>, now: Duration, reads: Vec<Read>) -> Option<Vec<Read>> {
        if self.is_on && self.read_bytes.is_some() {
            return Some(reads);
        }
        again(session, now, reads);
        None
    }

    /// Learns what an answer weighs; large ones count at once, small ones slowly.
    fn weigh(&mut self, bytes: usize) {
        let slowly = |known| (known * 15 + bytes) / 16;
        self.read_bytes = Some(self.read_bytes.map_or(bytes, slowly).max(bytes).max(1));
    }
}

/// Sends reads one by one. The connection may be about to end; reading twice does no harm, so they follow to the next one.
fn again(session: &mut Session<Ticket>, now: Duration, reads: Vec<Read>) {
    for (request, caller) in reads {
        let copy = request.clone();
        session.submit(now, request, None, Ticket::Again(Box::new((Some(copy), caller))));
    }
}
