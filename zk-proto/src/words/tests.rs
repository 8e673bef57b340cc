//! Small texts in, small texts out; real answers are in `tests/tests/hermetic/words.rs`.

use super::*;
use crate::id::{SessionId, Zxid};
use alloc::{
    borrow::ToOwned,
    format,
    string::{String, ToString},
    vec::Vec,
};

const SRVR_3_5: &str = "Zookeeper version: 3.5.10-a32c718, built on 05/29/2022 16:59 GMT\nLatency min/avg/max: 0/2/9\n\
    Received: 15\nSent: 14\nConnections: 3\nOutstanding: 1\nZxid: 0xffffffff00000006\nMode: standalone\nNode count: 9\n";

#[test]
fn words_are_four_bytes_and_known_by_them() {
    assert_eq!(FourLetterWord::KNOWN.len(), 18);
    for word in FourLetterWord::KNOWN {
        assert_eq!(FourLetterWord::from_prefix(*word.as_bytes()), Some(*word));
        assert!(word.text().is_some() && word.to_string().len() == 4);
    }
    let unknown = FourLetterWord(*b"no\x01w");
    assert_eq!((FourLetterWord::from_prefix(unknown.0), unknown.text()), (None, None));
    assert_eq!(format!("{unknown} {:?}", FourLetterWord::RUOK), "no\\x01w FourLetterWord(ruok)");
}

#[test]
fn one_word_answers_may_end_with_a_newline() {
    assert_eq!((Imok::parse("imok"), Imok::parse("imok\n")), (Ok(Imok), Ok(Imok)));
    assert_eq!((IsReadOnly::parse("rw\n"), IsReadOnly::parse("ro")), (Ok(IsReadOnly(false)), Ok(IsReadOnly(true))));
    assert_eq!(IsReadOnly::parse("null"), Err(WordError::NotServing));
    assert_eq!(Imok::parse("nope").unwrap_err().to_string(), "line 1: expected `imok`, got \"nope\"");
    assert_eq!((Imok.to_string(), IsReadOnly(true).to_string()), ("imok".to_owned(), "ro".to_owned()));
}

/// What each parser says of a text.
fn errors(text: &str) -> [Option<WordError>; 8] {
    [
        Imok::parse(text).err(),
        IsReadOnly::parse(text).err(),
        ServerStatus::parse(text).err(),
        Monitor::parse(text).err(),
        Connections::parse(text).err(),
        WatchSummary::parse(text).err(),
        WatchesByPath::parse(text).err(),
        WatchesBySession::parse(text).err(),
    ]
}

#[test]
fn every_parser_knows_the_general_answers() {
    let refused = WordError::NotWhitelisted { word: FourLetterWord::WCHP };
    let general = [
        ("wchp is not executed because it is not in the whitelist.\n", refused),
        ("This ZooKeeper instance is not currently serving requests\n", WordError::NotServing),
        ("", WordError::Empty),
    ];
    for (text, error) in general {
        assert_eq!(errors(text), [const { None }; 8].map(|_: Option<()>| Some(error.clone())), "{text:?}");
    }
    // What is neither is at least not taken for an answer.
    assert!(errors("<html>502 Bad Gateway</html>\n").iter().all(Option::is_some));
}

#[test]
fn a_status_of_3_5_has_a_whole_mean_and_no_proposals() {
    let status = ServerStatus::parse(SRVR_3_5).unwrap();
    assert_eq!(status.release(), "3.5.10");
    assert_eq!(status.latency, Latency { min: 0, avg: 2.0, max: 9 });
    assert_eq!((status.received, status.sent, status.connections, status.outstanding), (15, 14, 3, 1));
    assert_eq!((status.zxid, status.node_count), (Zxid(-0xffff_fffa), 9), "ids are 64 bits and may be negative");
    assert_eq!((&status.mode, status.read_only), (&ServerMode::Standalone, false));
    assert_eq!((&status.clients, status.proposal_sizes), (&None, None));
    assert_eq!(status.to_string(), SRVR_3_5.replace("0/2/9", "0/2.0/9"), "written as 3.9 does");
}

#[test]
fn a_status_of_a_read_only_server_or_a_leader_has_a_line_more() {
    let (version, rest) = SRVR_3_5.split_once('\n').unwrap();
    let text = format!("{version}\nREAD-ONLY mode; serving only read-only clients\n{rest}");
    let status = ServerStatus::parse(&text.replace("standalone", "read-only")).unwrap();
    assert!(status.read_only && status.mode == ServerMode::ReadOnly);

    let text = SRVR_3_5.replace("standalone", "leader") + "Proposal sizes last/min/max: -1/-1/-1\n";
    let status = ServerStatus::parse(&text).unwrap();
    assert_eq!(status.mode, ServerMode::Leader);
    assert_eq!(status.proposal_sizes, Some(ProposalSizes { last: -1, min: -1, max: -1 }));
}

#[test]
fn newer_lines_modes_and_fields_do_not_disturb() {
    let text = format!("A line\nMood: good\n{}", SRVR_3_5.replace("standalone", "dreamer"));
    let status = ServerStatus::parse(&text.replace('\n', "\r\n")).unwrap();
    assert_eq!((status.mode, status.node_count), (ServerMode::Other("dreamer".into()), 9));

    let text = "# hello\n /h/10.0.0.7:5[5](queued=1,recved=2,sent=3,new=x,flag,sid=0xff)\n\n";
    let Connections(all) = Connections::parse(text).unwrap();
    let [one] = &all[..] else { panic!("{all:?}") };
    assert_eq!((one.session, one.peer_addr()), (Some(SessionId(255)), "10.0.0.7:5".parse().ok()));
    assert_eq!((one.interest_ops, one.queued, one.received, one.sent), (5, 1, 2, 3));
    assert_eq!(one.last_op, None);

    assert_eq!(WatchSummary::parse("x\n1 connections watching 2 paths\ny\nTotal watches:3").unwrap().watches, 3);
    assert_eq!(WatchesByPath::parse("x\n/a\n\t0x1\n").unwrap().0, [("/a".to_owned(), [SessionId(1)].to_vec())]);
}

#[test]
fn a_missing_line_is_named() {
    let names = [
        "Zookeeper version",
        "Latency min/avg/max",
        "Received",
        "Sent",
        "Connections",
        "Outstanding",
        "Zxid",
        "Mode",
        "Node count",
    ];
    for name in names {
        let kept: Vec<&str> = SRVR_3_5.lines().filter(|line| !line.starts_with(name)).collect();
        assert_eq!(ServerStatus::parse(&kept.join("\n")), Err(WordError::Missing { line: name }));
    }
    let error = Monitor::parse("zk_version\t3.9.5\n").unwrap_err();
    assert_eq!(
        error.to_string(),
        "the answer has no line `zk_server_state`: it was cut short, or is not of a ZooKeeper server"
    );
    assert_eq!(
        WatchSummary::parse("1 connections watching 1 paths\n"),
        Err(WordError::Missing { line: "Total watches:n" })
    );
}

#[test]
fn a_bad_line_is_numbered_and_quoted() {
    let message = |text: &str| ServerStatus::parse(text).unwrap_err().to_string();
    assert_eq!(
        message(&SRVR_3_5.replace("Sent: 14", "Sent: many")),
        "line 4: expected a whole number, got \"Sent: many\""
    );
    assert_eq!(
        message(&SRVR_3_5.replace("0/2/9", "0/NaN/9")),
        "line 2: expected three numbers such as 0/1.6667/8, got \"Latency min/avg/max: 0/NaN/9\""
    );
    let error = Connections::parse(" /h[1](queued=0,recved=0)\n").unwrap_err().to_string();
    assert!(error.starts_with("line 1: expected a connection such as"), "{error}");
    let error = WatchesByPath::parse("\n\t0x1\n").unwrap_err().to_string();
    assert!(error.starts_with("line 2: expected a session such as"), "{error}");
    let long = "ä".repeat(1000);
    let WordError::Malformed { text, .. } = Imok::parse(&long).unwrap_err() else { panic!() };
    assert_eq!(text.chars().count(), 80);
}

#[test]
fn values_are_whole_decimal_or_text() {
    let decimal = Value::Decimal;
    let text = |text: &str| Value::Text(text.to_owned());
    for (given, value) in [
        ("9", Value::Integer(9)),
        ("-1", Value::Integer(-1)),
        ("0.0", decimal(0.0)),
        ("1.0E-4", decimal(0.0001)),
        ("9223372036854775808", text("9223372036854775808")),
        ("1e999", text("1e999")),
        ("NaN", text("NaN")),
        ("+1", text("+1")),
        (".", text(".")),
        ("", text("")),
        ("leading - broadcast", text("leading - broadcast")),
    ] {
        assert_eq!(Value::from(given), value, "{given:?}");
    }
}

#[test]
fn a_monitor_keeps_what_it_does_not_know() {
    let text =
        "zk_version\t4\nzk_server_state\tfollower\nzk_avg_latency\t2\nno tab\n\tno key\nzk_new\ta\tb\nzk_new\tc\n";
    let monitor = Monitor::parse(text).unwrap();
    assert_eq!((monitor.version(), monitor.release(), monitor.server_state()), ("4", "4", ServerMode::Follower));
    assert_eq!((monitor.avg_latency(), monitor.znode_count(), monitor.peer_state()), (Some(2.0), None, None));
    assert_eq!((monitor.text("zk_new"), monitor.iter().len()), (Some("a\tb"), 5));
}

#[test]
fn addresses_come_in_several_shapes() {
    for (peer, addr) in [
        ("/127.0.0.1:1", Some("127.0.0.1:1")),
        ("localhost/127.0.0.1:1", Some("127.0.0.1:1")),
        ("/[0:0:0:0:0:0:0:1]:1", Some("[::1]:1")),
        ("/0:0:0:0:0:0:0:1:1", Some("[::1]:1")),
        ("null", None),
        ("", None),
    ] {
        let text = format!(" {peer}[0](queued=0,recved=0,sent=0)\n");
        let Connections(all) = Connections::parse(&text).unwrap();
        assert_eq!(all[0].peer, peer);
        assert_eq!(all[0].peer_addr(), addr.map(|addr| addr.parse().unwrap()), "{peer}");
    }
}

/// Random answers; a small generator (xorshift) will do.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.roll() % 1_000_000).unwrap() % end
    }

    /// Small or large, also negative.
    fn number(&mut self) -> i64 {
        let number = self.roll().cast_signed();
        number >> [0, 32, 60][self.below(3)]
    }

    fn decimal(&mut self) -> f64 {
        f64::from(i32::try_from(self.number() >> 32).unwrap()) / [1.0, 10_000.0, 3.0][self.below(3)]
    }

    /// Without what would end a line or a field.
    fn word(&mut self) -> String {
        (0..=self.below(9)).map(|_| ['a', 'Z', '/', '.', ':', '-', 'ß', '水', '9'][self.below(9)]).collect()
    }

    fn perhaps<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.below(2) == 0).then(|| make(self))
    }

    fn list<T>(&mut self, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(4)).map(|_| make(self)).collect()
    }

    fn session(&mut self) -> SessionId {
        SessionId(self.number())
    }

    fn path(&mut self) -> String {
        format!("/{}", self.word())
    }

    fn connection(&mut self) -> ConnectionInfo {
        ConnectionInfo {
            peer: self.word(),
            interest_ops: self.number(),
            queued: self.number(),
            received: self.number(),
            sent: self.number(),
            session: self.perhaps(Self::session),
            last_op: self.perhaps(Self::word),
            established_ms: self.perhaps(Self::number),
            timeout_ms: self.perhaps(Self::number),
            last_cxid: self.perhaps(Self::number),
            last_zxid: self.perhaps(|dice| Zxid(dice.number())),
            last_response_ms: self.perhaps(Self::number),
            last_latency_ms: self.perhaps(Self::number),
            min_latency_ms: self.perhaps(Self::number),
            avg_latency_ms: self.perhaps(Self::number),
            max_latency_ms: self.perhaps(Self::number),
        }
    }

    fn status(&mut self) -> ServerStatus {
        ServerStatus {
            version: self.word(),
            read_only: self.below(2) == 0,
            clients: self.perhaps(|dice| dice.list(Self::connection)),
            latency: Latency { min: self.number(), avg: self.decimal(), max: self.number() },
            received: self.number(),
            sent: self.number(),
            connections: self.number(),
            outstanding: self.number(),
            zxid: Zxid(self.number()),
            mode: ["leader", "follower", "observer", "standalone", "read-only", &self.word()][self.below(6)].into(),
            node_count: self.number(),
            proposal_sizes: self.perhaps(|dice| ProposalSizes {
                last: dice.number(),
                min: dice.number(),
                max: dice.number(),
            }),
        }
    }

    fn monitor(&mut self) -> Monitor {
        let mut monitor = Monitor::new(&self.word(), &ServerMode::Leader);
        for _ in 0..self.below(9) {
            let key = self.word();
            match self.below(3) {
                0 => monitor.push(&key, self.number()),
                1 => monitor.push(&key, Value::Decimal(self.decimal())),
                _ => monitor.push(&key, &*self.word()),
            }
        }
        monitor
    }
}

#[test]
fn what_is_written_is_read_again() {
    for seed in 1..=2_000 {
        let mut dice = Dice(u64::wrapping_mul(seed, 0x9e37_79b9_7f4a_7c15));
        let (status, monitor) = (dice.status(), dice.monitor());
        assert_eq!(ServerStatus::parse(&status.to_string()), Ok(status), "seed {seed}");
        assert_eq!(Monitor::parse(&monitor.to_string()), Ok(monitor), "seed {seed}");
        let connections = Connections(dice.list(Dice::connection));
        assert_eq!(Connections::parse(&connections.to_string()), Ok(connections), "seed {seed}");
        let summary = WatchSummary { connections: dice.number(), paths: dice.number(), watches: dice.number() };
        assert_eq!(WatchSummary::parse(&summary.to_string()), Ok(summary), "seed {seed}");
        let by_path = WatchesByPath(dice.list(|dice| (dice.path(), dice.list(Dice::session))));
        assert_eq!(WatchesByPath::parse(&by_path.to_string()), Ok(by_path), "seed {seed}");
        let by_session = WatchesBySession(dice.list(|dice| (dice.session(), dice.list(Dice::path))));
        assert_eq!(WatchesBySession::parse(&by_session.to_string()), Ok(by_session), "seed {seed}");
    }
}
