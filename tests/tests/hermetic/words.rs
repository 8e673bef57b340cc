//! Answers of real servers to four-letter words, recorded by `examples/record_words.rs`.
//!
//! There are two sessions on the server that was asked. The first owns two ephemeral znodes and watches `/words` with
//! all below; the second owns one, watches `/words` in the same way and `/words/c` alone (none does on 3.5).

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Display,
    path::Path,
};

use zk_proto::{
    SessionId, Zxid,
    words::{
        ConnectionInfo, Connections, FourLetterWord, Imok, IsReadOnly, Monitor, ServerMode, ServerStatus, WatchSummary,
        WatchesByPath, WatchesBySession, WordError,
    },
};

/// Servers that serve: version, mode, whether the guests are here.
const SERVING: [(&str, &str, bool); 7] = [
    ("3.5.10", "standalone", true),
    ("3.6.4", "standalone", true),
    ("3.8.6", "standalone", true),
    ("3.9.5", "standalone", true),
    ("3.9.5", "follower", true),
    ("3.9.5", "leader", false),
    ("3.9.5", "read-only", false),
];

fn read(version: &str, mode: &str, word: FourLetterWord) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/words");
    let path = folder.join(format!("{version}-{mode}-{word}.txt"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A parser and a writer as one: the text again, or the error.
type Again = fn(&str) -> Result<String, WordError>;

fn again<T: Display>(parsed: Result<T, WordError>) -> Result<String, WordError> {
    parsed.map(|answer| answer.to_string())
}

const PARSERS: [(FourLetterWord, Again); 9] = [
    (FourLetterWord::RUOK, |text| again(Imok::parse(text))),
    (FourLetterWord::ISRO, |text| again(IsReadOnly::parse(text))),
    (FourLetterWord::SRVR, |text| again(ServerStatus::parse(text))),
    (FourLetterWord::STAT, |text| again(ServerStatus::parse(text))),
    (FourLetterWord::MNTR, |text| again(Monitor::parse(text))),
    (FourLetterWord::CONS, |text| again(Connections::parse(text))),
    (FourLetterWord::WCHS, |text| again(WatchSummary::parse(text))),
    (FourLetterWord::WCHP, |text| again(WatchesByPath::parse(text))),
    (FourLetterWord::WCHC, |text| again(WatchesBySession::parse(text))),
];

#[test]
fn what_real_servers_say_is_written_again_byte_for_byte() {
    for (version, mode, _) in SERVING {
        for (word, again) in PARSERS {
            let mut text = read(version, mode, word);
            let written = again(&text).unwrap_or_else(|error| panic!("{version} {mode} {word}: {error}"));
            if version == "3.5.10" {
                // Before 3.6 the mean is a whole number; we write as 3.9 does.
                text = text.replace("avg/max: 0/2/9", "avg/max: 0/2.0/9");
            }
            assert_eq!(written, text, "{version} {mode} {word}");
        }
    }
}

fn mode_of(name: &str) -> ServerMode {
    let mode = ServerMode::from(name);
    assert!(!matches!(mode, ServerMode::Other(_)), "{name}");
    mode
}

#[test]
fn the_status_tells_version_mode_and_counts() {
    for (version, mode, guests) in SERVING {
        for word in [FourLetterWord::SRVR, FourLetterWord::STAT] {
            let status = ServerStatus::parse(&read(version, mode, word)).unwrap();
            assert_eq!((status.release(), &status.mode), (version, &mode_of(mode)));
            assert_eq!(status.read_only, mode == "read-only");
            assert_eq!(status.proposal_sizes.is_some(), mode == "leader");
            // The asker's own connection is one of them.
            assert_eq!((status.connections, status.outstanding), (if guests { 3 } else { 1 }, 0));
            // 5 of ZooKeeper's own; the read-only server has no more.
            assert_eq!(status.node_count, if mode == "read-only" { 5 } else { 9 });
            let epoch = if matches!(mode, "leader" | "follower") { 1 << 32 } else { 0 };
            assert_eq!(status.zxid, Zxid(if mode == "read-only" { 0 } else { epoch + 6 }), "two sessions, four znodes");
            assert!(status.received > status.sent && status.latency.max >= status.latency.min);
            let clients = status.clients.map(|clients| clients.len());
            assert_eq!(clients, (word == FourLetterWord::STAT).then_some(if guests { 3 } else { 1 }));
        }
    }
}

#[test]
fn the_monitor_has_the_same_facts_as_the_status() {
    for (version, mode, guests) in SERVING {
        let monitor = Monitor::parse(&read(version, mode, FourLetterWord::MNTR)).unwrap();
        let status = ServerStatus::parse(&read(version, mode, FourLetterWord::STAT)).unwrap();
        assert_eq!((monitor.version(), monitor.server_state()), (status.version.as_str(), mode_of(mode)));
        assert_eq!((monitor.release(), monitor.znode_count()), (version, Some(status.node_count)));
        assert_eq!(monitor.num_alive_connections(), Some(status.connections));
        assert_eq!(monitor.ephemerals_count(), Some(if mode == "read-only" { 0 } else { 3 }));
        assert_eq!(monitor.avg_latency().map(f64::floor), Some(status.latency.avg.floor()));
        assert_eq!(monitor.max_latency(), Some(status.latency.max));
        // Three in the data table. Before 3.9 the children's table has all three as well, since then only the one that
        // is not recursive.
        let watches = match version {
            "3.6.4" | "3.8.6" => 6,
            "3.9.5" if guests => 4,
            _ => 0,
        };
        assert_eq!(monitor.watch_count(), Some(watches), "{version} {mode}");
        assert!(monitor.open_file_descriptor_count() < monitor.max_file_descriptor_count());
    }
}

#[test]
fn the_monitor_grew_over_the_versions_and_the_leader_knows_more() {
    let monitor = |version, mode| Monitor::parse(&read(version, mode, FourLetterWord::MNTR)).unwrap();
    let keys = |version, mode| monitor(version, mode).iter().len();
    assert_eq!(["3.5.10", "3.6.4", "3.8.6", "3.9.5"].map(|version| keys(version, "standalone")), [15, 443, 490, 499]);
    assert_eq!((keys("3.9.5", "leader"), keys("3.9.5", "follower")), (543, 506));

    let (leader, follower) = (monitor("3.9.5", "leader"), monitor("3.9.5", "follower"));
    assert_eq!((leader.synced_followers(), leader.learners(), leader.pending_syncs()), (Some(2), Some(2), Some(0)));
    assert_eq!((leader.synced_observers(), leader.synced_non_voting_followers()), (Some(0), Some(0)));
    assert_eq!((leader.peer_state(), leader.quorum_size()), (Some("leading - broadcast"), Some(3)));
    assert_eq!((leader.last_proposal_size(), leader.min_proposal_size()), (Some(96), Some(48)));
    assert!(leader.leader_uptime() < leader.uptime());
    assert_eq!((follower.synced_followers(), follower.learners()), (None, None));
    assert_eq!((follower.peer_state(), follower.global_sessions()), (Some("following - broadcast"), Some(2)));
}

#[test]
fn each_connection_tells_its_session() {
    for (version, mode, guests) in SERVING {
        let Connections(all) = Connections::parse(&read(version, mode, FourLetterWord::CONS)).unwrap();
        assert!(all.iter().all(|one| one.peer_addr().is_some_and(|addr| addr.ip().is_loopback())));
        let (with, without): (Vec<ConnectionInfo>, Vec<_>) = all.into_iter().partition(|one| one.session.is_some());
        let [asker] = &without[..] else { panic!("{without:?}") };
        assert_eq!((asker.received, asker.sent, asker.interest_ops, &asker.last_op), (1, 0, 0, &None));
        assert_eq!(with.len(), if guests { 2 } else { 0 });
        for guest in with {
            let last_op = if version == "3.5.10" { "CREA" } else { "ADDW" };
            assert_eq!((guest.last_op.as_deref(), guest.timeout_ms), (Some(last_op), Some(10_000)));
            assert_eq!(Some(guest.received - 1), guest.last_cxid, "the greeting has no xid");
            assert!(guest.last_zxid.is_some_and(Zxid::is_some) && guest.established_ms > Some(1_700_000_000_000));
            assert!(guest.last_response_ms.is_some() && guest.last_latency_ms <= guest.max_latency_ms);
            assert!(guest.min_latency_ms <= guest.avg_latency_ms && guest.avg_latency_ms <= guest.max_latency_ms);
        }
    }
}

#[test]
fn three_words_tell_the_same_watches() {
    for (version, mode, guests) in SERVING {
        let summary = WatchSummary::parse(&read(version, mode, FourLetterWord::WCHS)).unwrap();
        let WatchesByPath(by_path) = WatchesByPath::parse(&read(version, mode, FourLetterWord::WCHP)).unwrap();
        let WatchesBySession(by_session) = WatchesBySession::parse(&read(version, mode, FourLetterWord::WCHC)).unwrap();
        let counts = (summary.connections, summary.paths, summary.watches);
        assert_eq!(counts, if guests && version != "3.5.10" { (2, 2, 3) } else { (0, 0, 0) }, "{version} {mode}");

        let mut pairs: BTreeSet<(String, i64)> = BTreeSet::new();
        for (path, sessions) in &by_path {
            pairs.extend(sessions.iter().map(|session| (path.clone(), session.0)));
        }
        let mut turned: BTreeMap<String, BTreeSet<i64>> = BTreeMap::new();
        for (SessionId(session), paths) in by_session {
            paths.into_iter().for_each(|path| assert!(turned.entry(path).or_default().insert(session)));
        }
        let turned = turned.into_iter().flat_map(|(path, all)| all.into_iter().map(move |one| (path.clone(), one)));
        assert_eq!(pairs, turned.collect(), "{version} {mode}");
        assert_eq!(i64::try_from(pairs.len()), Ok(summary.watches));
        let paths: BTreeSet<&str> = by_path.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(paths, if summary.paths == 2 { ["/words", "/words/c"].into() } else { BTreeSet::new() });
    }
}

#[test]
fn a_server_without_quorum_is_ok_and_does_not_serve() {
    for (word, again) in PARSERS {
        let answer = again(&read("3.9.5", "alone", word));
        let expected = if word == FourLetterWord::RUOK { Ok("imok".to_owned()) } else { Err(WordError::NotServing) };
        assert_eq!(answer, expected, "{word}");
    }
    assert_eq!(IsReadOnly::parse(&read("3.9.5", "read-only", FourLetterWord::ISRO)), Ok(IsReadOnly(true)));
    assert_eq!(IsReadOnly::parse(&read("3.9.5", "leader", FourLetterWord::ISRO)), Ok(IsReadOnly(false)));
}

#[test]
fn a_word_that_is_not_on_the_white_list_is_named() {
    for word in [FourLetterWord::RUOK, FourLetterWord::MNTR] {
        for (_, again) in PARSERS {
            assert_eq!(again(&read("3.9.5", "refusing", word)), Err(WordError::NotWhitelisted { word }));
        }
    }
}

#[test]
fn cut_and_changed_answers_give_errors_and_no_panic() {
    let mut seed = 0x5eed_0001_u64;
    println!("seed {seed:#x}");
    let mut roll = |end: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed % 1_000_000).unwrap() % end
    };
    let pieces =
        ["\n", "\t", "(", ")", "[", "](", "=", ",", ":", "/", "-", "0x", "\u{0}", "水", "99999999999999999999"];
    for (version, mode, _) in SERVING {
        for (word, _) in PARSERS {
            let text = read(version, mode, word);
            let mut short: String = text.chars().take(600).collect();
            for _ in 0..200 {
                let (at, piece) = (roll(short.len() + 1), pieces[roll(pieces.len())]);
                if short.is_char_boundary(at) {
                    short.insert_str(at, piece);
                }
                let cut = roll(short.len() + 1);
                for candidate in [Some(short.as_str()), short.get(..cut), short.get(cut..)].into_iter().flatten() {
                    for (_, again) in PARSERS {
                        // What is read is written and read again without a change: nothing is half understood.
                        if let Ok(written) = again(candidate) {
                            assert_eq!(again(&written), Ok(written.clone()), "{candidate:?}");
                        }
                    }
                }
                if short.len() > 1_000 {
                    short = text.chars().take(600).collect();
                }
            }
        }
    }
}
