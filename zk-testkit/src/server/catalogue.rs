//! Everything that can be broken, as values: to be injected by name, drawn by a seed, printed.
//!
//! Must not know how each is done; `faults` and the model do. The numbers are those of the project's catalogue of faults
//! (reliability.md section 3).
//!
//! | number | what | here |
//! |---|---|---|
//! | 1, 3, 4 | a server is killed, comes back | [`Fault::Stop`], [`TestServer::stop`], [`TestServer::start_again`] |
//! | 2 | the leader is lost | `TestEnsemble::depose_leader`, or stop it |
//! | 3 | no quorum | [`TestServer::partition`], or stop most members |
//! | 5, 6, 35 | a server stands still | [`Fault::BlackHole`]; a real one by the launcher's `pause` |
//! | 7, 18, 37, 38 | the client stands still, names, cancellation, shutdown | not a server's doing |
//! | 8 | reset | [`Fault::Reset`] |
//! | 9 | end, end of one direction | [`Fault::Close`], [`Fault::HalfClose`] |
//! | 10 | nothing gets through | [`Fault::BlackHole`] |
//! | 11 | nothing gets through from the start | [`Fault::BlackHole`] before the client connects; a lost SYN needs a firewall |
//! | 12, 14 | dribble, bandwidth | [`Fault::Trickle`] |
//! | 13 | delay, by direction | [`Fault::DelayReplies`], [`Fault::DelayRequests`] |
//! | 15 | the peer does not read | [`Fault::Deaf`] |
//! | 16 | cut at byte n, by direction | [`Fault::CutReplies`], [`Fault::CutRequests`] |
//! | 17 | another list of servers | start more servers; the list is the client's |
//! | 19, 20 | short answers, garbage | [`Fault::Connect`] and [`Fault::Reply`] with bytes, [`ConnectAnswer::Followed`] by some |
//! | 21, 22 | lengths too large, negative | [`ReplyFault::length`] |
//! | 23 | unknown xid, order, duplicates | [`ReplyFault::UnknownXid`], [`ReplyFault::Late`], [`ReplyFault::Twice`] |
//! | 24 | events that nobody knows | [`TestServer::send`] |
//! | 25 | zxid -1, 0, going back | [`ReplyFault::Zxid`], [`Fault::Rebuild`] |
//! | 26 | a server behind its client | [`TestServer::lag`], [`Fault::Rebuild`] |
//! | 27 | expiry | [`Fault::Expire`], [`ConnectAnswer::Expired`] |
//! | 28, 29 | moved away, kicked out | [`Fault::Kick`]; another client with the same session does it for real |
//! | 30 | read-only | [`Fault::ReadOnly`], `Builder::read_only_mode`, [`ConnectAnswer::ReadOnlyRefusal`] |
//! | 31, 32 | refusals by code: auth, throttled, quota | [`Fault::Refuse`], `Builder::enforce_quota` |
//! | 32 | too many connections | [`Fault::ConnectionLimit`] |
//! | 33 | disk full | ends as 1; nothing here has a disk |
//! | 34 | the wall clock jumps | [`Fault::WallClock`] |
//! | 36, 39, 40, 44 | slow consumers, size, storms, memory | the client's, or the test's load |
//! | 41 | ACLs taken and given | [`TestServer::set_acl`] |
//! | 42 | wiped, restored from a backup | [`Fault::Rebuild`] |
//! | 43 | TLS | not here |
//! | 1 to 16 | outcomes unknown | [`Fault::HoldReplies`], then any loss |

use std::{fmt, io, time::Duration};

use bytes::Bytes;
use zk_proto::{ErrorCode, OpCode};

use super::{
    TestServer,
    model::{Close, ConnectAnswer, ReplyFault},
};

/// Something that a server or its network does wrong. Those marked *lasting* hold until [`TestServer::heal`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 1: the server is gone: its connections are reset, its port refuses. *Lasting.*
    Stop,
    /// 8: every connection is reset.
    Reset,
    /// 9: every connection is ended, after everything was written.
    Close,
    /// 9: the server's direction of every connection ends, now and later; it still reads. *Lasting.*
    HalfClose,
    /// 10, 11: nothing gets through in either direction. *Lasting.*
    BlackHole,
    /// 12, 14: to clients go at most so many bytes, then nothing for so long. *Lasting.*
    Trickle(usize, Duration),
    /// 13: everything to clients comes later. *Lasting.*
    DelayReplies(Duration),
    /// 13: everything from clients comes later. *Lasting.*
    DelayRequests(Duration),
    /// 15: the server reads nothing from its sockets. *Lasting.*
    Deaf,
    /// 16: the next connection ends after so many bytes to the client; the answer to the handshake is 41.
    CutReplies(usize),
    /// 16: the next connection ends after so many bytes from the client; the handshake is 49.
    CutRequests(usize),
    /// Requests are carried out, and nobody is told: outcomes stay unknown. *Lasting.*
    HoldReplies,
    /// 19, 20, 27, 30: the next ConnectRequest is answered like this.
    Connect(ConnectAnswer),
    /// 19 to 25: the next reply to a request goes wrong like this.
    Reply(ReplyFault),
    /// 27: every session expires.
    Expire,
    /// 28, 29: every session loses its connection, as to somebody else with the same id.
    Kick,
    /// 30: read-only mode. *Lasting.*
    ReadOnly,
    /// 31, 32: the next request with this opcode is answered with this code and not carried out.
    Refuse(OpCode, ErrorCode),
    /// 32: connections over this number are closed at once. *Lasting.*
    ConnectionLimit(usize),
    /// 34: the wall clock, which stamps ctime and mtime, goes by so many ms; back if negative.
    WallClock(i64),
    /// 42: the ensemble is built anew: no znodes, no sessions, zxids from the start.
    Rebuild,
}

impl Fault {
    /// Whether it holds until [`TestServer::heal`].
    #[must_use]
    pub const fn is_lasting(&self) -> bool {
        matches!(
            self,
            Self::Stop
                | Self::HalfClose
                | Self::BlackHole
                | Self::Trickle(..)
                | Self::DelayReplies(_)
                | Self::DelayRequests(_)
                | Self::Deaf
                | Self::HoldReplies
                | Self::ReadOnly
                | Self::ConnectionLimit(_)
        )
    }
}

/// As code, so that a printed plan can be pasted into a test.
impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl ReplyFault {
    /// 21, 22: in place of the reply a frame that claims this length and has nothing.
    #[must_use]
    pub fn length(len: i32) -> Self {
        Self::Bytes(Bytes::copy_from_slice(&len.to_be_bytes()))
    }
}

impl TestServer {
    /// Makes something go wrong here and now.
    pub async fn inject(&self, fault: Fault) {
        match fault {
            Fault::Stop => self.stop().await,
            Fault::Reset => self.drop_connections(),
            Fault::Close => self.hub.drop_connections(self.member, Close::Gently),
            Fault::HalfClose => self.hub.set_faults(self.member, |faults| faults.half_close = true),
            Fault::BlackHole => self.black_hole(true),
            Fault::Trickle(len, pause) => {
                self.hub.set_faults(self.member, |faults| faults.trickle = Some((len, pause)))
            }
            Fault::DelayReplies(delay) => self.delay_replies(delay),
            Fault::DelayRequests(delay) => self.hub.set_faults(self.member, |faults| faults.delay_in = delay),
            Fault::Deaf => self.hub.set_faults(self.member, |faults| faults.deaf = true),
            Fault::CutReplies(len) => self.cut_after_bytes(len),
            Fault::CutRequests(len) => self.hub.set_faults(self.member, |faults| faults.cut_next_in = Some(len)),
            Fault::HoldReplies => self.hold_replies(true),
            Fault::Connect(answer) => self.script_next_connect(answer),
            Fault::Reply(fault) => self.hub.act(|state, _| state.model.script_reply(fault)),
            Fault::Expire => {
                for session in self.sessions() {
                    self.expire_session(session.id);
                }
            }
            Fault::Kick => self.hub.act(|state, _| state.model.kick_all(self.member)),
            Fault::ReadOnly => self.read_only(true),
            Fault::Refuse(op, code) => self.refuse_next(op, code),
            Fault::ConnectionLimit(max) => {
                self.hub.set_faults(self.member, |faults| faults.connections_max = Some(max));
            }
            Fault::WallClock(ms) => self.hub.act(|state, _| state.model.shift_wall_clock(ms)),
            Fault::Rebuild => self.hub.act(|state, _| state.model.rebuild()),
        }
    }

    /// Ends everything that lasts, and forgets what was scripted and has not happened; what was on its way arrives.
    ///
    /// # Errors
    /// The port could not be listened on.
    pub async fn heal(&self) -> io::Result<()> {
        self.hub.set_faults(self.member, |faults| *faults = super::hub::Faults::default());
        self.hub.act(|state, _| state.model.forget_scripts());
        self.read_only(false);
        self.start_again().await
    }
}
