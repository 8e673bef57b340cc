//! Frames from the server, each to where it belongs.
//!
//! Knows nothing of transports: a fault in the bytes gives the connection up and nothing else.

use super::{
    End, Established, Event, Loss, ReplyFailure, Session, State, Step,
    greeting::{self, Credentials, Verdict},
    inflight::Purpose,
    xid,
};
use crate::{
    code::ErrorCode,
    frame::{Frame, REPLY_HEADER_LEN, TooLarge},
    id::{SessionId, Zxid},
    jute::{Decode as _, Reader},
    records::{ReplyHeader, WatcherEvent},
    watch::WatchedEvent,
};
use bytes::{Buf as _, Bytes};
use core::time::Duration;

impl<T> Session<T> {
    pub(super) fn handle_frame(&mut self, now: Duration, frame: Frame) {
        if self.state == State::Greeting {
            let verdict = greeting::verdict(&frame, &self.connect_request());
            return self.handle_verdict(now, verdict);
        }
        self.timers.hear(now);
        let (mut bytes, too_large) = match frame {
            Frame::Whole(bytes) => (bytes, None),
            Frame::Oversize { head, size } => (head, Some(size)),
        };
        let mut reader = Reader::new(&bytes);
        let header = match ReplyHeader::decode(&mut reader) {
            Ok(header) => header,
            Err(error) => return self.lose(Loss::Decode(error)),
        };
        match header.xid {
            xid::NOTIFICATION => self.handle_notification(&mut reader, header.zxid),
            xid::PING => {
                self.saw(header.zxid);
                self.events.push_back(Event::Bookmark(header.zxid));
            }
            xid::AUTH => self.handle_auth(&header),
            _ => {
                bytes.advance(REPLY_HEADER_LEN);
                self.handle_reply(&header, bytes, too_large);
            }
        }
    }

    fn handle_verdict(&mut self, now: Duration, verdict: Verdict) {
        match verdict {
            Verdict::Unfit(why) => self.lose(why),
            Verdict::Gone => {
                self.lose(Loss::Expired);
                self.expire();
            }
            Verdict::Taken { credentials, timeout, read_only } => {
                let resumed = credentials.id == self.credentials.id;
                if !resumed && self.credentials.id != SessionId::NONE {
                    // The server made a new session instead of saying that ours is gone.
                    self.expire();
                }
                let step = if self.config.sasl { Step::Taken } else { Step::Established };
                if self.state == State::Ended || !self.step(step) {
                    return;
                }
                let id = credentials.id;
                self.timers.hear(now);
                self.timers.set_timeout(timeout);
                // A read-only server's session is its own invention: no other server knows it.
                self.credentials = if read_only && !resumed { Credentials::NEW } else { credentials };
                let established = Established { id, timeout, read_only, resumed };
                if self.config.sasl {
                    return self.begin_sasl(established);
                }
                self.send_auths();
                self.events.push_back(Event::Established(established));
                self.greet(now);
            }
        }
    }

    fn handle_notification(&mut self, body: &mut Reader<'_>, zxid: Zxid) {
        match WatcherEvent::decode(body) {
            Ok(WatcherEvent { event_type, state, path }) => {
                let event = WatchedEvent { event_type, state, path, zxid };
                self.watches.fired(&event);
                self.events.push_back(Event::Watch(event));
            }
            Err(error) => self.lose(Loss::Decode(error)),
        }
    }

    fn handle_auth(&mut self, header: &ReplyHeader) {
        let has_left = self.auths_given_out() > 0;
        let Some(index) = self.auths.pop_front_if(|_| has_left) else {
            return self.lose(Loss::UnexpectedReply { xid: header.xid });
        };
        if let Some(ticket) = self.identities.get_mut(index).and_then(|identity| identity.ticket.take()) {
            let result = match header.err {
                ErrorCode::OK => Ok(Bytes::new()),
                code => Err(ReplyFailure::Refused(code)),
            };
            self.events.push_back(Event::Reply { ticket, zxid: header.zxid, result });
        }
        if header.err != ErrorCode::OK {
            self.end(End::AuthFailed(header.err));
        }
    }

    fn handle_reply(&mut self, header: &ReplyHeader, body: Bytes, too_large: Option<TooLarge>) {
        // Usually everything was given out before anything arrives.
        if !self.outbox.is_empty() && self.is_unsent(header.xid) {
            return self.lose(Loss::UnexpectedReply { xid: header.xid });
        }
        let Some(pending) = self.in_flight.take(header.xid, header.err) else {
            return self.lose(Loss::UnexpectedReply { xid: header.xid });
        };
        if matches!(pending.purpose, Purpose::Rearm) && header.err != ErrorCode::OK {
            return self.watches_refused(header.err);
        }
        if matches!(pending.purpose, Purpose::Sasl) {
            return self.handle_sasl(header.err, &body);
        }
        self.saw(header.zxid);
        if let Some(change) = pending.change {
            self.watches.answered(change, header.err);
        }
        match pending.purpose {
            Purpose::Call(ticket) => {
                let result = match (header.err, too_large) {
                    (ErrorCode::OK, None) => Ok(body),
                    (ErrorCode::OK, Some(size)) => Err(ReplyFailure::TooLarge(size)),
                    (code, _) => Err(ReplyFailure::Refused(code)),
                };
                self.events.push_back(Event::Reply { ticket, zxid: header.zxid, result });
                if header.err == ErrorCode::SESSION_CLOSED_REQUIRE_SASL_AUTH {
                    self.end(End::AuthFailed(header.err));
                }
            }
            Purpose::Sasl | Purpose::Rearm => {}
            Purpose::Close => self.end(End::Closed),
        }
    }

    /// Without its watches a session must not go on; a demand for authentication will not pass by itself.
    fn watches_refused(&mut self, err: ErrorCode) {
        if err == ErrorCode::SESSION_CLOSED_REQUIRE_SASL_AUTH {
            self.end(End::AuthFailed(err));
        } else {
            self.lose(Loss::WatchesRefused(err));
        }
    }

    /// Every event up to this zxid arrived before the reply that carries it, so a server that is asked
    /// for what came after it leaves nothing out. Events themselves do not count: one transaction may
    /// cause several. Nor do replies that come before the last frame of setting the watches again is
    /// answered: the watches in that frame have not been looked at. Nor what comes before those frames.
    pub(super) fn saw(&mut self, zxid: Zxid) {
        self.last_zxid = self.last_zxid.max(zxid);
        if !self.in_flight.is_rearming() && self.state == State::Up {
            self.watched_zxid = self.last_zxid;
        }
    }
}
