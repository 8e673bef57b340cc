//! When what is done to the wire, and whether the mirror noticed.
//!
//! Must not know what is written or held.

use super::follower::Told;
use crate::{
    args::{FaultKind, SoakArgs, name_of},
    error::Failure,
    lab::Lab,
    report,
    server::Server,
    value::now_ns,
};
use serde::Serialize;
use std::time::Duration;
use zk_proto::OpCode;
use zk_testkit::proxy::{Connects, Deed, End, Pick, Rule, Towards};

/// On a busy machine everything takes longer.
const SLACK: Duration = Duration::from_secs(2);
/// Each way, so that a read takes twice that.
const DELAY: Duration = Duration::from_millis(100);
/// Bytes of a reply that arrive before its cut.
const CUT_AFTER: usize = 20;

/// A fault and what came of it.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Outcome {
    fault: String,
    /// Since the first write.
    at_ms: u64,
    for_ms: u64,
    /// From its beginning until the mirror said that it is not live; `None`: it always was.
    told_after_ms: Option<u64>,
    /// From its end until the mirror is live, if it was not.
    live_after_ms: Option<u64>,
    /// It had to be told.
    must_be_told: bool,
}

impl Outcome {
    /// What is wrong with it.
    pub(super) fn wrong(&self) -> Option<String> {
        let Self { fault, at_ms, .. } = self;
        let at_s = at_ms / 1000;
        if self.must_be_told && self.told_after_ms.is_none() {
            return Some(format!("{fault} at {at_s} s was not told as stale"));
        }
        let lost = self.told_after_ms.is_some() && self.live_after_ms.is_none();
        lost.then(|| format!("after {fault} at {at_s} s the mirror was not live again"))
    }

    pub(super) fn row(&self) -> String {
        let cell = |ms: Option<u64>| ms.map_or("-".to_owned(), |ms| ms.to_string());
        let Self { fault, at_ms, for_ms, told_after_ms, live_after_ms, .. } = self;
        let (at_s, for_s) = (at_ms / 1000, *for_ms as f64 / 1000.0);
        format!("| {at_s} | {fault} | {for_s:.1} | {} | {} |", cell(*told_after_ms), cell(*live_after_ms))
    }
}

/// A fault that has begun.
struct Current {
    kind: FaultKind,
    begin_ns: u64,
    /// When it is to end, or when it did.
    end_ns: u64,
    ended: bool,
    told_ns: Option<u64>,
    live_ns: Option<u64>,
}

/// The plan and how far it has come.
pub(super) struct Faults {
    kinds: Vec<FaultKind>,
    every_ns: u64,
    timeout: Duration,
    start_ns: u64,
    /// How many have begun.
    begun: usize,
    /// When the next one is due.
    next_ns: u64,
    /// None begins after this: what it does could not be seen.
    last_ns: u64,
    current: Option<Current>,
    done: Vec<Outcome>,
}

impl Faults {
    pub(super) fn new(args: &SoakArgs, timeout: Duration, can_restart: bool, [start_ns, end_ns]: [u64; 2]) -> Self {
        let mut kinds = args.faults.clone();
        if !can_restart && kinds.contains(&FaultKind::Restart) {
            report::tell("left out: the fault restart, because the server is not ours or keeps no data");
            kinds.retain(|kind| *kind != FaultKind::Restart);
        }
        let every_ns = u64::from(args.fault_every) * 1_000_000_000;
        Self {
            kinds,
            every_ns,
            timeout,
            start_ns,
            begun: 0,
            next_ns: start_ns + every_ns,
            last_ns: end_ns.saturating_sub(every_ns / 2),
            current: None,
            done: Vec::new(),
        }
    }

    /// Looks at the clock: ends and begins what is due. `told` is what the mirror said.
    pub(super) fn turn(&mut self, server: &mut Server, lab: &Lab, told: Told) -> Result<(), Failure> {
        let now = now_ns();
        if let Some(current) = &mut self.current {
            current.see(told);
            if !current.ended && now >= current.end_ns {
                mend(lab, current.kind)?;
                (current.end_ns, current.ended) = (now_ns(), true);
            }
        }
        // One that lasts longer than planned delays the next.
        if now >= self.next_ns && now < self.last_ns && self.is_calm() {
            self.close();
            let next = self.begun.checked_rem(self.kinds.len());
            if let Some(kind) = next.and_then(|next| self.kinds.get(next).copied()) {
                self.current = Some(self.begin(server, lab, kind)?);
            }
            self.begun += 1;
            let busy_ns = self.current.as_ref().map_or(now, |current| current.end_ns);
            self.next_ns = (self.next_ns + self.every_ns).max(busy_ns + self.every_ns / 2);
        }
        Ok(())
    }

    /// Nothing is broken, and the mirror has recovered from what was.
    pub(super) fn is_calm(&self) -> bool {
        self.current.as_ref().is_none_or(|current| current.ended && current.is_over())
    }

    fn begin(&self, server: &mut Server, lab: &Lab, kind: FaultKind) -> Result<Current, Failure> {
        let begin_ns = now_ns();
        report::tell(&format!("{} s: {}", begin_ns.saturating_sub(self.start_ns) / 1_000_000_000, name_of(&kind)));
        harm(server, lab, kind)?;
        let lasts = u64::try_from(lasts(kind, self.timeout).as_nanos()).unwrap_or(u64::MAX);
        // A restart is over when it is done.
        let end_ns = now_ns().max(begin_ns + lasts);
        Ok(Current { kind, begin_ns, end_ns, ended: false, told_ns: None, live_ns: None })
    }

    /// The wire is well from now on.
    pub(super) fn end(&mut self, lab: &Lab) -> Result<(), Failure> {
        if let Some(current) = &mut self.current
            && !current.ended
        {
            mend(lab, current.kind)?;
            (current.end_ns, current.ended) = (now_ns(), true);
            // Cut short: nobody looks any more whether it is told.
            self.current = None;
        }
        self.close();
        Ok(())
    }

    fn close(&mut self) {
        let (start_ns, timeout) = (self.start_ns, self.timeout);
        self.done.extend(self.current.take().map(|current| current.outcome(start_ns, timeout)));
    }

    pub(super) fn outcomes(&self) -> Vec<Outcome> {
        self.done.clone()
    }
}

impl Current {
    fn see(&mut self, told: Told) {
        if told.lost_ns >= self.begin_ns {
            self.told_ns.get_or_insert(told.lost_ns);
        }
        self.live_ns = (self.told_ns.is_some() && self.ended && told.is_live()).then_some(told.live_ns);
    }

    /// Whatever it was, the mirror is well again.
    fn is_over(&self) -> bool {
        self.told_ns.is_none() || self.live_ns.is_some()
    }

    fn outcome(&self, start_ns: u64, timeout: Duration) -> Outcome {
        let ms = |from: u64, to: u64| to.saturating_sub(from) / 1_000_000;
        // A mirror hears nothing for two thirds of the timeout before it gives a connection up.
        let is_long = Duration::from_nanos(self.end_ns.saturating_sub(self.begin_ns)) > timeout * 2 / 3 + SLACK;
        Outcome {
            fault: name_of(&self.kind),
            at_ms: ms(start_ns, self.begin_ns),
            for_ms: ms(self.begin_ns, self.end_ns),
            told_after_ms: self.told_ns.map(|told| ms(self.begin_ns, told)),
            live_after_ms: self.live_ns.map(|live| ms(self.end_ns, live)),
            must_be_told: is_long || self.kind == FaultKind::Refuse,
        }
    }
}

/// How long a fault lasts.
fn lasts(kind: FaultKind, timeout: Duration) -> Duration {
    match kind {
        FaultKind::Reset | FaultKind::Cut | FaultKind::Restart => Duration::ZERO,
        FaultKind::Delay => timeout / 3,
        FaultKind::Refuse => timeout / 2,
        FaultKind::BlackHole => timeout,
        FaultKind::Expire => timeout * 2,
    }
}

fn harm(server: &mut Server, lab: &Lab, kind: FaultKind) -> Result<(), Failure> {
    match kind {
        FaultKind::Reset => lab.proxy.end_all(End::Reset),
        FaultKind::Cut => {
            let deed = Deed::Cut { after: CUT_AFTER, how: End::Reset };
            lab.proxy.script(Towards::Client, Rule::frame(Pick::Op(OpCode::GET_DATA), deed));
        }
        FaultKind::Delay => both(lab, |line| line.delay = DELAY),
        FaultKind::Refuse => {
            connects(lab, Connects::Refuse)?;
            lab.proxy.end_all(End::Close);
        }
        FaultKind::BlackHole | FaultKind::Expire => both(lab, |line| line.black_hole = true),
        FaultKind::Restart => server.restart()?,
    }
    Ok(())
}

fn mend(lab: &Lab, kind: FaultKind) -> Result<(), Failure> {
    if kind == FaultKind::Refuse {
        connects(lab, Connects::Accept)?;
    }
    // A cut that waits for its reply goes on waiting: under load it comes at once.
    if kind != FaultKind::Cut {
        lab.proxy.heal();
    }
    Ok(())
}

fn both(lab: &Lab, change: impl Fn(&mut zk_testkit::proxy::Line)) {
    lab.proxy.set_line(Towards::Server, &change);
    lab.proxy.set_line(Towards::Client, &change);
}

fn connects(lab: &Lab, connects: Connects) -> Result<(), Failure> {
    lab.runtime.block_on(lab.proxy.set_connects(connects)).map_err(Failure::io("open or shut the proxy's door"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(6);
    const S: u64 = 1_000_000_000;

    fn current(kind: FaultKind, seconds: u64) -> Current {
        Current { kind, begin_ns: 10 * S, end_ns: (10 + seconds) * S, ended: true, told_ns: None, live_ns: None }
    }

    #[test]
    fn a_long_silence_must_be_told() {
        let outcome = current(FaultKind::BlackHole, 7).outcome(S, TIMEOUT);
        assert_eq!(outcome.wrong().unwrap(), "black-hole at 9 s was not told as stale");
        assert!(current(FaultKind::Delay, 2).outcome(S, TIMEOUT).wrong().is_none());
        assert!(current(FaultKind::Refuse, 3).outcome(S, TIMEOUT).wrong().is_some());
    }

    #[test]
    fn what_was_told_must_be_well_again() {
        let mut fault = current(FaultKind::Reset, 0);
        let told = |lost, live| Told { lost_ns: lost * S, live_ns: live * S };
        fault.see(told(5, 6));
        assert!(fault.is_over(), "that was before");
        fault.see(told(11, 6));
        assert!(!fault.is_over() && fault.outcome(S, TIMEOUT).wrong().unwrap().contains("not live again"));
        fault.see(told(11, 12));
        let outcome = fault.outcome(S, TIMEOUT);
        assert_eq!((outcome.told_after_ms, outcome.live_after_ms), (Some(1000), Some(2000)));
        assert!(fault.is_over() && outcome.wrong().is_none());
        assert_eq!(outcome.row(), "| 9 | reset | 0.0 | 1000 | 2000 |");
    }
}
