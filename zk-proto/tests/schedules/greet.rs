//! How a server answers a ConnectRequest: as it should, or wrongly.

use super::{
    chance::Rng,
    host::{Host, Site},
    marks::Mark,
    plan::{GreetFault, password},
};
use std::time::Duration;
use zk_proto::{
    SessionId, Zxid,
    server::{Accepted, Greeting},
};

/// What is not ZooKeeper, or not any more.
const GARBAGE_GREETINGS: [(&[u8], Mark); 9] = [
    (b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n", Mark::GarbageHttp),
    (&[0x15, 3, 3, 0, 2, 2, 40], Mark::GarbageTls),
    (&[0x16, 3, 1, 0, 2, 2, 40], Mark::GarbageTls),
    (&[0xff, 0xff, 0xff, 0xff], Mark::GarbageGreeting),
    (&[0, 0x10, 0, 0, 1], Mark::GarbageGreeting),
    (&[0, 0, 0, 0], Mark::GarbageGreeting),
    (&[0, 0, 0, 3, 1, 2, 3], Mark::GarbageGreeting),
    // A password that runs over the end of its frame.
    (
        &[0, 0, 0, 24, 0, 0, 0, 0, 0, 0, 0x17, 0x70, 0, 0, 0, 0, 0, 0, 0, 9, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0],
        Mark::GarbageGreeting,
    ),
    (
        &[0, 0, 0, 20, 0, 0, 0, 0, 0, 0, 0x17, 0x70, 0, 0, 0, 0, 0, 0, 0, 9, 0xff, 0xff, 0xff, 0xfe],
        Mark::GarbageGreeting,
    ),
];

/// What a server cannot have meant, behind the greeting.
const GARBAGE: [(&[u8], Mark); 11] = [
    (&[0xff, 0xff, 0xff, 0xf0], Mark::GarbageLength),
    (&[0x80, 0, 0, 0], Mark::GarbageLength),
    (&[0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0], Mark::GarbageHeader),
    (&[0, 0, 0, 0], Mark::GarbageHeader),
    // xid 0, xid -3, and an xid that is far away.
    (&[0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0], Mark::GarbageXid),
    (&[0, 0, 0, 16, 0xff, 0xff, 0xff, 0xfd, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0], Mark::GarbageXid),
    (&[0, 0, 0, 16, 0x3f, 0, 0, 0, 0x7f, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0], Mark::GarbageXid),
    // Two gigabytes, of a reply to nothing and of an event.
    (&[0x7f, 0xff, 0xff, 0xff, 0x3f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0], Mark::GarbageHuge),
    (&[0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0], Mark::GarbageHuge),
    // An event without a body, and one whose path runs over the end.
    (&[0, 0, 0, 16, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0], Mark::GarbageEvent),
    (
        &[
            0, 0, 0, 29, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 3, 0x7f, 0,
            0, 0, b'/',
        ],
        Mark::GarbageEvent,
    ),
];

/// Strange, and no reason to hang up: an event of no type and no path, as old servers told state changes; an event of a
/// type that is yet to come; events with bytes behind them, and with a path that is not UTF-8; a ping's answer with a
/// body.
const ODDITIES: [&[u8]; 5] = [
    &[
        0, 0, 0, 28, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 3, 0,
        0, 0, 0,
    ],
    &[
        0, 0, 0, 30, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 77, 0, 0, 0, 3, 0, 0, 0, 2,
        b'/', b'!',
    ],
    &[
        0, 0, 0, 32, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 88, 0, 0, 0, 3, 0, 0, 0, 2,
        b'/', b'!', 1, 2,
    ],
    &[
        0, 0, 0, 30, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 99, 0, 0, 0, 3, 0, 0, 0, 2,
        b'/', 0xff,
    ],
    &[0, 0, 0, 20, 0xff, 0xff, 0xff, 0xfe, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
];

/// An auth reply that nobody asked for; garbage only when no auth packet is on its way.
const AUTH_REPLY: [u8; 20] = [0, 0, 0, 16, 0xff, 0xff, 0xff, 0xfc, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

/// Some garbage for a connection that is up.
pub(crate) fn garbage(rng: &mut Rng, auth_is_asked: bool) -> (&'static [u8], Mark) {
    if !auth_is_asked && rng.one_in(6) {
        (&AUTH_REPLY, Mark::GarbageAuth)
    } else if rng.one_in(4) {
        (rng.pick(&ODDITIES), Mark::Oddity)
    } else {
        rng.pick(&GARBAGE)
    }
}

impl Host {
    pub(crate) fn greet(&mut self, greeting: &Greeting, site: &mut Site<'_>) {
        let fault = !site.is_healthy && !site.plan.greet_faults.is_empty();
        if fault && site.rng.one_in(site.plan.greet_fault_rate) {
            let fault = site.rng.pick(&site.plan.greet_faults);
            return self.greet_wrongly(fault, greeting, site);
        }
        let read_only = site.ensemble.members[self.member].read_only;
        if greeting.last_zxid_seen.0 > site.ensemble.zxid(self.member) {
            site.marks.hit(Mark::ServerBehind);
            return self.wire.close();
        }
        if read_only && (!greeting.read_only || greeting.id != SessionId::NONE) {
            site.marks.hit(Mark::ReadOnlyHangsUp);
            return self.wire.close();
        }
        if read_only && site.plan.no_local_sessions {
            site.marks.hit(Mark::ReadOnlyRefusal);
            return self.wire.refuse_read_only(Zxid(site.ensemble.zxid(self.member)));
        }
        if greeting.id == SessionId::NONE {
            return self.open(greeting, site);
        }
        let id = greeting.id.0;
        let proof = greeting.password.as_ref().map(|password| &password.0[..]);
        assert_eq!(proof, Some(&password(id)[..]), "W11: session {id:#x} with a wrong password");
        let (timeout, member, now) = (granted(greeting, site), self.member, site.now);
        let Some(session) = site.ensemble.session(id) else {
            if site.plan.is_keeper {
                site.marks.hit(Mark::SilentlyReplaced);
                return self.open(greeting, site);
            }
            return self.wire.refuse_expired();
        };
        if session.member != member {
            site.marks.hit(Mark::MovedBetweenServers);
        }
        (session.timeout, session.touched, session.member) = (timeout, now, member);
        self.accept(id, timeout, read_only);
    }

    fn open(&mut self, greeting: &Greeting, site: &mut Site<'_>) {
        let timeout = granted(greeting, site);
        let read_only = site.ensemble.members[self.member].read_only;
        let id = site.ensemble.open(self.member, timeout, site.now);
        if read_only {
            site.marks.hit(Mark::ReadOnlySession);
        } else {
            self.catch_up(site);
        }
        self.accept(id, timeout, read_only);
    }

    fn accept(&mut self, id: i64, timeout: u64, read_only: bool) {
        self.session = id;
        let timeout = Duration::from_millis(timeout);
        self.wire.accept(&Accepted { id: SessionId(id), timeout, password: password(id), read_only });
    }

    fn greet_wrongly(&mut self, fault: GreetFault, greeting: &Greeting, site: &mut Site<'_>) {
        match fault {
            GreetFault::Close => self.wire.close(),
            GreetFault::SayExpired => self.wire.refuse_expired(),
            GreetFault::AnotherId if site.ensemble.members[self.member].read_only => self.wire.close(),
            // Not behind what the client has seen, or all bets are off.
            GreetFault::AnotherId if greeting.last_zxid_seen.0 > site.ensemble.zxid(self.member) => self.wire.close(),
            GreetFault::AnotherId => {
                if greeting.id != SessionId::NONE {
                    site.marks.hit(Mark::SilentlyReplaced);
                }
                self.open(greeting, site);
            }
            GreetFault::Garbage => {
                let (bytes, mark) = site.rng.pick(&GARBAGE_GREETINGS);
                site.marks.hit(mark);
                self.wire.transmit_raw(bytes);
            }
            GreetFault::Mute => {}
            GreetFault::RefuseInSixteenBytes => {
                site.marks.hit(Mark::ReadOnlyRefusal);
                self.wire.refuse_read_only(Zxid(site.ensemble.zxid(self.member)));
            }
        }
    }
}

/// Servers clamp the wanted timeout.
fn granted(greeting: &Greeting, site: &Site<'_>) -> u64 {
    (greeting.timeout.as_millis() as u64).min(site.plan.timeout_max)
}
