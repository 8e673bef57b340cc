//! Faults by a seed: what goes wrong when, to be repeated exactly.
//!
//! Must not know clocks other than tokio's, which tests may pause.

use std::{fmt, io, time::Duration};

use bytes::Bytes;
use zk_proto::{ErrorCode, OpCode, Zxid};

use super::{
    Fault, TestServer,
    model::{ConnectAnswer, ReplyFault},
};

/// How many kinds of fault a plan draws from: with few at a time, each seed is another weather (swarm testing).
const KINDS_PER_PLAN: usize = 6;

/// The longest pause between two faults, and the longest that a lasting one lasts.
const PAUSE_MAX_MS: u64 = 2000;

/// A fault, when it begins, and when it ends if it lasts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Planned {
    /// After the beginning of the plan.
    pub at: Duration,
    /// What goes wrong.
    pub fault: Fault,
    /// How long, if it is [lasting](Fault::is_lasting); zero if it is not.
    pub lasts: Duration,
}

/// Faults in order, drawn by a seed. Prints itself as a line a fault.
///
/// ```
/// use zk_testkit::server::FaultPlan;
///
/// let plan = FaultPlan::seeded(7, 10);
/// assert_eq!(plan, FaultPlan::seeded(7, 10));
/// assert!(plan.to_string().starts_with("seed 7, 10 faults"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultPlan {
    seed: u64,
    faults: Vec<Planned>,
}

impl FaultPlan {
    /// Draws a subset of all kinds of fault, and then so many faults of these kinds. Every fault but
    /// [`Fault::Rebuild`] can be in it: after that one nothing is as it was, which is for a test to want.
    #[must_use]
    pub fn seeded(seed: u64, faults: usize) -> Self {
        let mut chance = fastrand::Rng::with_seed(seed);
        let kinds = chance.choose_multiple(0..KINDS, KINDS_PER_PLAN);
        let mut at = Duration::ZERO;
        let faults = (0..faults).map(|_| {
            at += Duration::from_millis(chance.u64(0..PAUSE_MAX_MS));
            let fault = draw(&mut chance, &kinds);
            let lasts =
                if fault.is_lasting() { Duration::from_millis(chance.u64(1..PAUSE_MAX_MS)) } else { Duration::ZERO };
            let planned = Planned { at, fault, lasts };
            at += lasts;
            planned
        });
        Self { seed, faults: faults.collect() }
    }

    /// The faults, in order; no two overlap.
    #[must_use]
    pub fn faults(&self) -> &[Planned] {
        &self.faults
    }

    /// Carries the plan out, and heals the server after each lasting fault and at the end.
    ///
    /// # Errors
    /// The port could not be listened on again.
    pub async fn run(&self, server: &TestServer) -> io::Result<()> {
        let start = tokio::time::Instant::now();
        for Planned { at, fault, lasts } in &self.faults {
            tokio::time::sleep_until(start + *at).await;
            server.inject(fault.clone()).await;
            if fault.is_lasting() {
                tokio::time::sleep(*lasts).await;
                server.heal().await?;
            }
        }
        server.heal().await
    }
}

impl fmt::Display for FaultPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}, {} faults", self.seed, self.faults.len())?;
        for Planned { at, fault, lasts } in &self.faults {
            write!(f, "\n{at:>10.3?} {fault}")?;
            if fault.is_lasting() {
                write!(f, " for {lasts:?}")?;
            }
        }
        Ok(())
    }
}

/// Kinds that [`draw`] knows.
const KINDS: usize = 21;

fn draw(chance: &mut fastrand::Rng, kinds: &[usize]) -> Fault {
    let ms = |chance: &mut fastrand::Rng| Duration::from_millis(chance.u64(1..500));
    match chance.choice(kinds).copied().unwrap_or_default() {
        0 => Fault::Stop,
        1 => Fault::Reset,
        2 => Fault::Close,
        3 => Fault::HalfClose,
        4 => Fault::BlackHole,
        5 => Fault::Trickle(chance.usize(1..64), Duration::from_millis(chance.u64(1..10))),
        6 => Fault::DelayReplies(ms(chance)),
        7 => Fault::DelayRequests(ms(chance)),
        8 => Fault::Deaf,
        9 => Fault::CutReplies(chance.usize(0..200)),
        10 => Fault::CutRequests(chance.usize(0..200)),
        11 => Fault::HoldReplies,
        12 => Fault::Connect(draw_answer(chance)),
        13 => Fault::Reply(draw_reply(chance)),
        14 => Fault::Expire,
        15 => Fault::Kick,
        16 => Fault::ReadOnly,
        17 => Fault::Refuse(draw_op(chance), ErrorCode::THROTTLED_OP),
        18 => Fault::Refuse(draw_op(chance), ErrorCode::SESSION_CLOSED_REQUIRE_SASL_AUTH),
        19 => Fault::ConnectionLimit(chance.usize(0..3)),
        _ => Fault::WallClock(chance.i64(-3_600_000..3_600_000)),
    }
}

fn draw_op(chance: &mut fastrand::Rng) -> OpCode {
    let ops = [OpCode::CREATE, OpCode::SET_DATA, OpCode::GET_DATA, OpCode::SYNC, OpCode::MULTI, OpCode::EXISTS];
    chance.choice(ops).unwrap_or(OpCode::GET_DATA)
}

fn draw_answer(chance: &mut fastrand::Rng) -> ConnectAnswer {
    match chance.u8(0..5) {
        0 => ConnectAnswer::Close,
        1 => ConnectAnswer::AnotherId,
        2 => ConnectAnswer::Expired,
        3 => ConnectAnswer::ReadOnlyRefusal,
        _ => ConnectAnswer::Bytes(draw_bytes(chance)),
    }
}

fn draw_reply(chance: &mut fastrand::Rng) -> ReplyFault {
    match chance.u8(0..8) {
        0 => ReplyFault::Never,
        1 => ReplyFault::Late,
        2 => ReplyFault::Twice,
        3 => ReplyFault::UnknownXid,
        4 => ReplyFault::Zxid(Zxid(chance.i64(-1..3))),
        5 => ReplyFault::length(chance.choice([-1, i32::MIN, i32::MAX, 0, 15]).unwrap_or(-1)),
        6 => ReplyFault::Code(ErrorCode(chance.i32(-200..0))),
        _ => ReplyFault::Bytes(draw_bytes(chance)),
    }
}

/// Garbage, and what speaks another protocol.
fn draw_bytes(chance: &mut fastrand::Rng) -> Bytes {
    match chance.u8(0..3) {
        0 => Bytes::from_static(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"),
        1 => Bytes::from_static(b"\x15\x03\x03\x00\x02\x02\x28"),
        _ => {
            let len = chance.usize(1..64);
            std::iter::repeat_with(|| chance.u8(..)).take(len).collect()
        }
    }
}
