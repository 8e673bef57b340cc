//! Scripts out of a seed. The same seed gives the same script for ever: no crate's generator, which may change.
//!
//! Must not know servers; only which release line's operations are worth sending often.

use super::script::{SLOTS, Step};

/// Steps of a script, besides the first that open the connections.
const STEPS: usize = 100;

/// One script in this many has a session run out; it takes as long as ten others.
const EXPIRY_EVERY: u64 = 100;

/// Few, so that they collide.
const PATHS: [&str; 12] = ["/a", "/b", "/c", "/a/a", "/a/b", "/b/a", "/b/b", "/c/a", "/a/a/a", "/a/b/a", "/b/a/a", "/"];

/// Where most of it happens.
const CROWDED_PATHS: [&str; 4] = ["/a", "/a/a", "/a/b", "/b"];

/// Paths that are often wrong, in every way that a path can be.
const STRANGE_PATHS: [&str; 22] = [
    "/s-0000000001",
    "/a/s-0000000000",
    "/a/0000000002",
    "/no/such",
    "/a/",
    "/a//b",
    "/a/./b",
    "/a/../b",
    "/a/%00",
    "/a%01",
    "/%e9",
    "/%7f",
    "/a%20b",
    "abs:",
    "abs:/",
    "abs:a",
    "abs:/zookeeper",
    "abs:/zookeeper/config",
    "abs:/zookeeper/quota",
    "abs:/%00",
    "/a/b/a/a",
    "null",
];

/// Prefixes of sequential znodes.
const PREFIXES: [&str; 5] = ["/s-", "/a/", "/a/s-", "/b/s-", "/c/"];

const ACLS: [&str; 22] = [
    "31=digest:bob",
    "31=digest:bob,1=world:anyone",
    "1=world:anyone",
    "30=world:anyone",
    "16=world:anyone",
    "15=world:anyone",
    "27=world:anyone",
    "23=world:anyone",
    "1=digest:eve,31=auth:",
    "31=auth:",
    "1=auth:x,2=auth:y",
    "31=ip:127.0.0.1",
    "31=ip:10.0.0.1/8,1=ip:127.0.0.0/8",
    "31=world:anyone,31=world:anyone",
    "1=world:anyone,2=world:anyone",
    "0=world:anyone",
    "none",
    "31=world:me",
    "31=digest:nobody",
    "31=ip:1.2.3",
    "31=foo:bar",
    "31=sasl:bob",
];

/// Not what outlives a script: the next one is to find it as it was.
fn own(path: &'static str) -> &'static str {
    if ["abs:/", "abs:/zookeeper", "abs:/zookeeper/quota"].contains(&path) { "/a" } else { path }
}

/// A stream of numbers (splitmix64).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// True once in so many times.
    fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        let index = self.below(of.len() as u64);
        of[usize::try_from(index).unwrap()]
    }

    fn weighted(&mut self, of: &[(u64, &'static str)]) -> &'static str {
        let mut at = self.below(of.iter().map(|(weight, _)| weight).sum());
        for (weight, what) in of {
            match at.checked_sub(*weight) {
                Some(rest) => at = rest,
                None => return what,
            }
        }
        unreachable!("the weights sum up to more")
    }

    fn path(&mut self) -> &'static str {
        match self.below(16) {
            0 => self.pick(&STRANGE_PATHS),
            1..=9 => self.pick(&CROWDED_PATHS),
            _ => self.pick(&PATHS),
        }
    }

    fn acl(&mut self) -> &'static str {
        if self.once_in(6) { self.pick(&ACLS) } else { "open" }
    }

    fn data(&mut self) -> &'static str {
        self.pick(&["x", "y", "longer-than-before", "_", "-"])
    }

    fn version(&mut self) -> &'static str {
        self.pick(&["-1", "-1", "-1", "-1", "-1", "-1", "0", "1", "2", "-2"])
    }

    fn watch(&mut self) -> &'static str {
        self.pick(&["w", "w", "-"])
    }

    fn since(&mut self) -> String {
        match self.below(6) {
            0 => "0".into(),
            1 => "-1".into(),
            2 => format!("+{}", self.below(90)),
            3 => "+100000".into(),
            _ => format!("@{}", self.below(20)),
        }
    }

    /// create and its kin, inside and outside of a multi.
    fn create(&mut self, verb: &str) -> String {
        let sequential = self.once_in(5);
        let path = if sequential { self.pick(&PREFIXES) } else { self.path() };
        let (acl, data) = (self.acl(), self.data());
        match (verb, sequential) {
            ("container", _) => format!("container {path} 4 {acl} {data}"),
            ("ttl", false) => format!("ttl {path} 5 3600000 {acl} {data}"),
            ("ttl", true) => format!("ttl {path} 6 1099511627775 {acl} {data}"),
            (_, false) => format!("{verb} {path} {} {acl} {data}", self.pick(&["0", "0", "0", "1"])),
            (_, true) => format!("{verb} {path} {} {acl} {data}", self.pick(&["2", "3"])),
        }
    }

    fn multi(&mut self) -> String {
        let mut text = "multi".to_owned();
        for _ in 0..self.below(5) {
            let verb = self.weighted(&[
                (4, "create"),
                (3, "create2"),
                (1, "container"),
                (1, "ttl"),
                (4, "delete"),
                (5, "set"),
                (2, "check"),
            ]);
            text.push_str(" + ");
            text.push_str(&self.operation(verb));
        }
        text
    }

    fn multi_read(&mut self, verb: &str) -> String {
        let mut text = verb.to_owned();
        for _ in 0..self.below(4) {
            let part = format!(" + {} {} {}", self.pick(&["get", "ls"]), self.path(), self.watch());
            text.push_str(&part);
        }
        text
    }

    fn set_watches(&mut self, verb: &str) -> String {
        let letters = if verb == "setwatches" { "dec" } else { "decpr" };
        let mut text = format!("{verb} {}", self.since());
        for letter in letters.chars() {
            for _ in 0..self.below(3) {
                text.push_str(&format!(" {letter}{}", self.path()));
            }
        }
        // null has a meaning only where it is the first argument
        text.replace("null", "/a")
    }

    fn operation(&mut self, verb: &str) -> String {
        let path = self.path();
        match verb {
            "create" | "create2" | "container" | "ttl" => self.create(verb),
            "delete" | "check" => format!("{verb} {path} {}", self.version()),
            "set" => format!("set {} {} {}", own(path), self.data(), self.version()),
            "setacl" => {
                let path = own(path);
                let path = if path == "/" && !self.once_in(8) { "/a" } else { path };
                format!("setacl {path} {} {}", self.acl(), self.version())
            }
            "exists" | "get" | "ls" | "ls2" => format!("{verb} {path} {}", self.watch()),
            "getacl" | "sync" | "count" | "ephemerals" => format!("{verb} {path}"),
            // older servers accept null, and then fall over their own table when the connection ends
            "addwatch" => format!(
                "addwatch {} {}",
                path.replace("null", "/a"),
                self.pick(&["0", "1", "0", "1", "0", "1", "2", "-1"])
            ),
            "rmwatch" | "chkwatch" => {
                format!("{verb} {path} {}", self.pick(&["1", "2", "3", "4", "5", "1", "2", "3", "4", "5", "0", "6"]))
            }
            "multi" => self.multi(),
            "multiread" | "multi-of-reads" => self.multi_read(verb),
            "multiread-of-writes" => self.multi().replacen("multi", verb, 1),
            "setwatches" | "setwatches2" => self.set_watches(verb),
            "auth" => {
                let who = [
                    "digest bob:secret",
                    "digest bob:secret",
                    "digest bob:secret",
                    "digest bob:secret",
                    "digest bob:secret",
                    "digest eve:secret",
                    "digest eve:secret",
                    "digest eve:secret",
                    "digest eve:secret",
                    "digest nocolon",
                    "digest _",
                    "ip x",
                    "world anyone",
                    "foo x",
                    "sasl x",
                    "x509 x",
                ];
                format!("auth {}", self.pick(&who))
            }
            "unknown" => format!("unknown {}", self.pick(&["0", "10", "23", "99", "999", "-1", "4711"])),
            "bytes" => {
                format!("bytes {}", self.pick(&["ffffffff", "00000000", "0000000400000001", "7fffffff", "00100000"]))
            }
            "renew" | "open" => {
                let timeout = self.pick(&["60000", "60000", "30000", "45000", "100000"]);
                format!("{verb} {timeout} {}", self.pick(&["new", "new", "old", "ro"]))
            }
            other => other.to_owned(),
        }
    }
}

/// How often each verb comes. The verbs that a release line does not know cost the connection: they are rare there.
fn weights(minor: u32) -> Vec<(u64, &'static str)> {
    let since = |line: u32, weight: u64| if minor >= line { weight * 10 } else { 2 };
    let mut weights = vec![
        (130, "create"),
        (60, "create2"),
        (20, "container"),
        (20, "ttl"),
        (70, "delete"),
        (70, "exists"),
        (70, "get"),
        (50, "ls"),
        (30, "ls2"),
        (110, "set"),
        (20, "getacl"),
        (30, "setacl"),
        (80, "multi"),
        (20, "sync"),
        (50, "rmwatch"),
        (40, "chkwatch"),
        (30, "setwatches"),
        (20, "auth"),
        (6, "close"),
        (10, "renew"),
        (5, "open"),
        (3, "badpw"),
        (3, "ahead"),
        (2, "ghost"),
        (2, "unknown"),
        (2, "bytes"),
        (2, "sasl"),
        (3, "reconfig"),
        (5, "ping"),
        (3, "multi-of-reads"),
        (since(6, 3), "multiread"),
        (since(6, 9), "addwatch"),
        (since(6, 3), "setwatches2"),
        (since(6, 2), "ephemerals"),
        (since(6, 2), "count"),
        (since(7, 1), "whoami"),
    ];
    if minor >= 6 {
        weights.push((3, "multiread-of-writes"));
    }
    if minor >= 8 {
        // older servers do not answer it at all, and it is nothing to probe them with
        weights.push((2, "check"));
    }
    weights
}

/// What has probably become of a slot.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Up,
    /// Without a connection.
    Down,
    /// Without a session too.
    Gone,
}

fn after(before: State, verb: &str, text: &str) -> State {
    match verb {
        "open" => State::Up,
        "renew" if before == State::Down => State::Up,
        "close" | "expire" => State::Gone,
        "badpw" | "unknown" | "check" | "bytes" if before == State::Up => State::Down,
        "auth" if ["world", "foo", "sasl", "x509"].iter().any(|scheme| text.contains(scheme)) => State::Down,
        _ => before,
    }
}

/// The script of a seed, for a release line: `9` of 3.9.
pub fn script(seed: u64, minor: u32) -> Vec<Step> {
    let mut dice = Dice(seed.wrapping_mul(0xD134_2543_DE82_EF95) ^ 0x5EED);
    let weights = weights(minor);
    let mut steps: Vec<Step> = (0..SLOTS).map(|slot| Step::new(slot, "open 60000 new")).collect();
    for path in ["/a", "/b", "/a/a", "/a/b", "/c"] {
        if !dice.once_in(4) {
            let text = format!("create {path} 0 {} {}", dice.acl(), dice.data());
            steps.push(Step::new(0, &text));
        }
    }
    let mut states = [State::Up; SLOTS];
    let expiry = (seed.is_multiple_of(EXPIRY_EVERY)).then(|| STEPS / 2 + usize::try_from(dice.below(40)).unwrap());
    while steps.len() < STEPS + SLOTS {
        let slot = usize::try_from(dice.below(SLOTS as u64)).unwrap();
        let verb = match (states[slot], expiry) {
            (State::Down, _) => dice.pick(&["renew", "renew", "renew", "renew", "renew", "open", "badpw", "ahead"]),
            (State::Gone, _) => dice.pick(&["open", "open", "open", "open", "open", "renew"]),
            (State::Up, Some(at)) if at == steps.len() => "expire",
            _ => dice.weighted(&weights),
        };
        let mut text = dice.operation(verb);
        let connects = matches!(verb, "open" | "renew" | "badpw" | "ghost" | "ahead" | "expire" | "bytes");
        if !connects && !text.contains("null") && dice.once_in(60) {
            text = format!("cut:{} {text}", 1 + dice.below(12));
        } else if !connects && dice.once_in(60) {
            text = format!("xid:{} {text}", dice.pick(&["0", "1", "7", "2147483647", "-2", "-4", "-8", "-77"]));
        }
        states[slot] = after(states[slot], verb, &text);
        steps.push(Step::new(slot, &text));
    }
    steps
}

#[test]
fn a_seed_is_a_script_for_ever() {
    let hash = |seed, minor| {
        let text = super::script::text(&script(seed, minor));
        text.bytes()
            .fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3))
    };
    // the ledger counts by seeds: whoever changes the scripts runs it anew
    assert_eq!((hash(1, 9), hash(1, 5)), (6_014_726_803_769_889_958, 10_958_751_932_242_276_993));
}
