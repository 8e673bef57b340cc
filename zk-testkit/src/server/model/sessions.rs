//! Sessions: ids, passwords, timeouts and when they run out.
//!
//! Must not know connections' bytes or znodes. Time is an argument. Source: protocol.md section 2.3.

use std::{collections::BTreeMap, time::Duration};

use zk_proto::SessionId;

use super::ConnId;

/// Bytes of a session's password.
pub(super) const PASSWORD_LEN: usize = 16;

/// One living session.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) timeout: Duration,
    /// When it expires unless something is heard.
    pub(super) deadline: Duration,
    pub(super) conn: Option<ConnId>,
    /// The member that alone knows it; `None` for a session of the ensemble.
    pub(super) local_to: Option<usize>,
}

/// All living sessions.
#[derive(Debug)]
pub(super) struct Sessions {
    tick: Duration,
    bounds: (Duration, Duration),
    next: i64,
    live: BTreeMap<SessionId, Session>,
}

impl Sessions {
    /// `seed` makes ids differ between servers: what ZooKeeper takes from the clock at its start.
    pub(super) fn new(tick: Duration, bounds: (Duration, Duration), seed: i64) -> Self {
        Self { tick, bounds, next: seed, live: BTreeMap::new() }
    }

    pub(super) fn get(&self, id: SessionId) -> Option<&Session> {
        self.live.get(&id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (SessionId, &Session)> {
        self.live.iter().map(|(id, session)| (*id, session))
    }

    pub(super) fn len(&self) -> usize {
        self.live.len()
    }

    /// What a server makes of the timeout that a client wants.
    fn negotiated(&self, wanted: Duration) -> Duration {
        wanted.clamp(self.bounds.0, self.bounds.1.max(self.bounds.0))
    }

    /// Deadlines are buckets of one tick: at least one tick boundary lies between the timeout and the end.
    fn bucket(&self, at: Duration) -> Duration {
        let tick = self.tick.as_nanos().max(1);
        let end = (at.as_nanos() / tick + 1).saturating_mul(tick);
        Duration::from_nanos(u64::try_from(end).unwrap_or(u64::MAX))
    }

    /// A new session.
    pub(super) fn open(
        &mut self,
        now: Duration,
        wanted: Duration,
        conn: ConnId,
        local_to: Option<usize>,
    ) -> (SessionId, Duration) {
        let id = SessionId(self.next);
        self.next = self.next.wrapping_add(1);
        let timeout = self.negotiated(wanted);
        let deadline = self.bucket(now + timeout);
        self.live.insert(id, Session { timeout, deadline, conn: Some(conn), local_to });
        (id, timeout)
    }

    /// Goes on with a session on another connection: its timeout is negotiated again. `None`: it is not there.
    pub(super) fn resume(&mut self, now: Duration, id: SessionId, wanted: Duration, conn: ConnId) -> Option<Duration> {
        let timeout = self.negotiated(wanted);
        let deadline = self.bucket(now + timeout);
        let session = self.live.get_mut(&id)?;
        *session = Session { timeout, deadline, conn: Some(conn), local_to: session.local_to };
        Some(timeout)
    }

    /// Something was heard of a session.
    pub(super) fn touch(&mut self, now: Duration, id: SessionId) {
        let Some(timeout) = self.live.get(&id).map(|session| session.timeout) else { return };
        let deadline = self.bucket(now + timeout);
        if let Some(session) = self.live.get_mut(&id) {
            session.deadline = session.deadline.max(deadline);
        }
    }

    /// A connection is gone; its session lives on.
    pub(super) fn detach(&mut self, id: SessionId, conn: ConnId) {
        if let Some(session) = self.live.get_mut(&id).filter(|session| session.conn == Some(conn)) {
            session.conn = None;
        }
    }

    /// A member is something else than before: it forgets the sessions that it alone knew.
    pub(super) fn forget_local(&mut self, member: usize) {
        self.live.retain(|_, session| session.local_to != Some(member));
    }

    /// Forgets all of them.
    pub(super) fn clear(&mut self) {
        self.live.clear();
    }

    /// A local session becomes one of the ensemble.
    pub(super) fn upgrade(&mut self, id: SessionId) {
        if let Some(session) = self.live.get_mut(&id) {
            session.local_to = None;
        }
    }

    /// Ends a session.
    pub(super) fn remove(&mut self, id: SessionId) -> Option<Session> {
        self.live.remove(&id)
    }

    /// Gives every session its whole timeout again, as a server does when it starts.
    pub(super) fn restart(&mut self, now: Duration) {
        let ids: Vec<SessionId> = self.live.keys().copied().collect();
        for id in ids {
            self.touch(now, id);
        }
    }

    /// The next deadline.
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.live.values().map(|session| session.deadline).min()
    }

    /// Sessions whose deadline has come.
    pub(super) fn due(&self, now: Duration) -> Vec<SessionId> {
        self.live.iter().filter(|(_, session)| session.deadline <= now).map(|(id, _)| *id).collect()
    }
}

/// The password of a session: a pure function of its id, the same as ZooKeeper's own (`java.util.Random` seeded with
/// the id and a constant).
pub(super) fn password(id: SessionId) -> [u8; PASSWORD_LEN] {
    const SECRET: i64 = 0xB341_5C00;
    const MULTIPLIER: i64 = 0x5_DEEC_E66D;
    const MASK: i64 = (1 << 48) - 1;
    let mut seed = (id.0 ^ SECRET ^ MULTIPLIER) & MASK;
    let mut password = [0; PASSWORD_LEN];
    for chunk in password.chunks_mut(4) {
        seed = seed.wrapping_mul(MULTIPLIER).wrapping_add(0xB) & MASK;
        let [_, _, a, b, c, d, _, _] = seed.to_be_bytes();
        chunk.copy_from_slice(&[d, c, b, a]);
    }
    password
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(500);

    #[test]
    fn passwords_are_zookeepers() {
        // recorded from a real 3.9.3, shared/vectors/java-3.9.3.jsonl
        let recorded = [0xdf, 0xf0, 0x86, 0xa6, 0x42, 0x7a, 0x79, 0x25, 0x59, 0xf2, 0x74, 0xe1, 0x84, 0x97, 0x41, 0x9c];
        assert_eq!(password(SessionId(0x0100_0007_62ca_0013)), recorded);
    }

    #[test]
    fn timeouts_are_clamped_and_deadlines_rounded_up() {
        let mut sessions = Sessions::new(TICK, (TICK * 2, TICK * 20), 7);
        let (id, timeout) = sessions.open(Duration::from_millis(1), Duration::ZERO, ConnId(1), None);
        assert_eq!((id, timeout), (SessionId(7), TICK * 2));
        assert_eq!(sessions.next_deadline(), Some(Duration::from_millis(1500)));
        assert_eq!(sessions.resume(Duration::ZERO, id, Duration::MAX, ConnId(2)), Some(TICK * 20));
        assert_eq!(sessions.next_deadline(), Some(Duration::from_millis(10_500)));
        assert!(sessions.due(Duration::from_millis(10_499)).is_empty());
        assert_eq!(sessions.due(Duration::from_millis(10_500)), [id]);
    }
}
