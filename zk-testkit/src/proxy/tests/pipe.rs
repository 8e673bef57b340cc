//! A pipe: what goes in, what comes out, and when.

use std::{num::NonZeroU32, time::Duration};

use zk_proto::{ErrorCode, OpCode, SessionId, Zxid};

use super::{create, frame, greeting, request};
use crate::proxy::{Deed, Dribble, End, Head, Line, Output, Pick, Pipe, Rule, Towards};

const MS: Duration = Duration::from_millis(1);

/// A reply of the bytes of its header and this body.
fn reply(xid: i32, zxid: i64, err: i32, body: &[u8]) -> Vec<u8> {
    frame(&[&xid.to_be_bytes()[..], &zxid.to_be_bytes(), &err.to_be_bytes(), body].concat())
}

fn greeted() -> Vec<u8> {
    frame(&[&[0; 4][..], &6000_i32.to_be_bytes(), &7_i64.to_be_bytes(), &16_i32.to_be_bytes(), &[0; 17]].concat())
}

/// Everything that comes out at a time, in one, and how it ends.
fn out(pipe: &mut Pipe, now: Duration, towards: Towards) -> (Vec<u8>, Option<End>) {
    let mut bytes = Vec::new();
    loop {
        match pipe.poll_output(now, towards) {
            Some(Output::Write(more)) => bytes.extend_from_slice(&more),
            Some(Output::End(how)) => return (bytes, Some(how)),
            None => return (bytes, None),
        }
    }
}

/// What comes out, write by write, with the times, until nothing more is to come.
fn timeline(pipe: &mut Pipe, towards: Towards) -> Vec<(Duration, Vec<u8>)> {
    let (mut now, mut writes) = (Duration::ZERO, Vec::new());
    loop {
        while let Some(output) = pipe.poll_output(now, towards) {
            let Output::Write(bytes) = output else { return writes };
            writes.push((now, bytes.to_vec()));
        }
        let Some(due) = pipe.poll_timeout() else { return writes };
        assert!(due > now, "a timer that is due already");
        now = due;
    }
}

/// Both directions of a short session, and where each of their frames begins.
fn session() -> [(Towards, Vec<u8>); 6] {
    [
        (Towards::Server, greeting()),
        (Towards::Client, greeted()),
        (Towards::Server, create(1, "/a")),
        (Towards::Client, reply(-1, 5, 0, b"event")),
        (Towards::Client, reply(1, 5, -110, b"")),
        (Towards::Server, request(-2, OpCode::PING, &zk_proto::records::Empty {})),
    ]
}

#[test]
fn bytes_pass_unchanged_and_frames_are_seen_however_they_are_chunked() {
    for chunk in [1, 2, 3, 7, 1000] {
        let mut pipe = Pipe::new(3, 1);
        let mut heads = Vec::new();
        for (towards, bytes) in session() {
            let mut passed = Vec::new();
            for part in bytes.chunks(chunk) {
                pipe.handle_bytes(MS, towards, part);
                passed.extend(out(&mut pipe, MS, towards).0);
            }
            assert_eq!(passed, bytes, "{chunk}");
            while let Some(seen) = pipe.poll_frame() {
                assert_eq!((seen.link, seen.towards, seen.at, seen.len), (3, towards, MS, bytes.len() - 4));
                heads.push((seen.index, seen.offset, seen.head));
            }
        }
        let (session, op) = (SessionId(7), OpCode::CREATE);
        let (zxid, err) = (Zxid(5), ErrorCode::NODE_EXISTS);
        let event_at = greeted().len() as u64;
        let expected = [
            (0, 0, Head::ConnectRequest { last_zxid_seen: Zxid(0), session: SessionId::NONE }),
            (0, 0, Head::ConnectResponse { timeout_ms: 6000, session }),
            (1, 49, Head::Request { xid: 1, op }),
            (1, event_at, Head::Notification { zxid }),
            (2, event_at + 25, Head::Reply { xid: 1, zxid, err, op: Some(op) }),
            (2, 49 + create(1, "/a").len() as u64, Head::Request { xid: -2, op: OpCode::PING }),
        ];
        assert_eq!(heads, expected, "{chunk}");
    }
}

// goal: P5
#[test]
fn what_is_no_frame_passes_as_bytes() {
    let tls = [0x16, 3, 1, 0, 200, 1, 0, 0];
    for words in [&b"ruok"[..], &tls, b"GET / HTTP/1.1\r\n", &[0xff; 9]] {
        let mut pipe = Pipe::new(0, 1);
        pipe.add_rule(MS, Towards::Server, Rule::frame(Pick::Nth(0), Deed::Drop));
        pipe.handle_bytes(MS, Towards::Server, words);
        assert_eq!(out(&mut pipe, MS, Towards::Server).0, words);
        pipe.handle_bytes(MS, Towards::Client, b"im");
        assert_eq!(out(&mut pipe, MS, Towards::Client).0, b"im");
        assert!(pipe.poll_frame().is_none());
    }
    let mut pipe = Pipe::new(0, 1);
    pipe.handle_bytes(MS, Towards::Server, &[0, 0]);
    assert_eq!(out(&mut pipe, MS, Towards::Server), (vec![], None), "a head is held until it is whole");
    pipe.handle_end(MS, Towards::Server, End::HalfClose);
    assert_eq!(out(&mut pipe, MS, Towards::Server), (vec![0, 0], Some(End::HalfClose)));
}

#[test]
fn a_cut_comes_after_exactly_so_many_bytes() {
    let stream = [greeting(), create(1, "/a"), create(2, "/b")].concat();
    for byte in 0..=stream.len() {
        for chunk in [1, 5, stream.len()] {
            let mut pipe = Pipe::new(0, 1);
            pipe.add_rule(MS, Towards::Server, Rule::cut_at_byte(byte as u64, End::Reset));
            for part in stream.chunks(chunk) {
                pipe.handle_bytes(MS, Towards::Server, part);
            }
            assert_eq!(out(&mut pipe, MS, Towards::Server), (stream[..byte].to_vec(), Some(End::Reset)), "{chunk}");
        }
    }
}

/// A session's requests through a pipe with one rule.
fn with_rule(towards: Towards, rule: Rule, chunk: usize) -> (Vec<u8>, Option<End>) {
    let mut pipe = Pipe::new(0, 1);
    pipe.add_rule(MS, towards, rule);
    let mut passed = (Vec::new(), None);
    for (way, bytes) in session() {
        for part in bytes.chunks(chunk) {
            pipe.handle_bytes(MS, way, part);
        }
        let (more, end) = out(&mut pipe, MS, towards);
        passed.0.extend(more);
        passed.1 = passed.1.or(end);
    }
    passed
}

#[test]
fn frames_are_lost_doubled_spoiled_and_cut() {
    let of = |wanted| session().into_iter().filter(move |(way, _)| *way == wanted).map(|(_, bytes)| bytes);
    let [hello, create, ping] = &of(Towards::Server).collect::<Vec<_>>()[..] else { panic!("three requests") };
    let [welcome, event, answer] = &of(Towards::Client).collect::<Vec<_>>()[..] else { panic!("three replies") };
    for chunk in [1, 4, 13, 1000] {
        let ask = |pick, deed| with_rule(Towards::Server, Rule::frame(pick, deed), chunk);
        let tell = |pick, deed| with_rule(Towards::Client, Rule::frame(pick, deed), chunk);
        let op = Pick::Op(OpCode::CREATE);
        assert_eq!(ask(op, Deed::Drop), ([&hello[..], ping].concat(), None));
        assert_eq!(ask(Pick::Nth(0), Deed::Drop), ([&create[..], ping].concat(), None));
        assert_eq!(ask(Pick::Any, Deed::Duplicate), ([&hello[..], create, create, ping].concat(), None));
        assert_eq!(tell(op, Deed::Duplicate), ([&welcome[..], event, answer, answer].concat(), None));
        assert_eq!(tell(Pick::Op(OpCode::NOTIFICATION), Deed::Drop), ([&welcome[..], answer].concat(), None));
        for at in [0, 3, 4, 12, 19, 99] {
            let mut spoiled = answer.clone();
            spoiled[at.min(19)] ^= 0x81;
            let deed = Deed::Corrupt { at: Some(at), mask: 0x81 };
            assert_eq!(tell(op, deed), ([&welcome[..], event, &spoiled].concat(), None));
        }
        for after in 0..=create.len() {
            let (passed, end) = ask(op, Deed::Cut { after, how: End::HalfClose });
            assert_eq!((passed, end), ([hello, &create[..after]].concat(), Some(End::HalfClose)));
        }
    }
}

#[test]
fn a_rule_acts_as_often_as_it_says_on_all_connections_together() {
    let stream = [greeting(), create(1, "/a"), create(2, "/b")].concat();
    let lost = |rule: &Rule| {
        let mut pipe = Pipe::new(0, 1);
        pipe.add_rule(MS, Towards::Server, rule.clone());
        pipe.handle_bytes(MS, Towards::Server, &stream);
        (stream.len() - out(&mut pipe, MS, Towards::Server).0.len()) / create(1, "/a").len()
    };
    let drop = || Rule::frame(Pick::Any, Deed::Drop);
    let (once, thrice, always) = (drop(), drop().times(3), drop().always());
    assert_eq!([lost(&once), lost(&once)], [1, 0]);
    assert_eq!([lost(&thrice), lost(&thrice), lost(&thrice)], [2, 1, 0]);
    assert_eq!([lost(&always), lost(&always)], [2, 2]);
    let always = |rate| Rule::frame(Pick::PerMille(rate), Deed::Drop).always();
    assert_eq!([lost(&always(0)), lost(&always(1000))], [0, 2]);
}

/// A pipe with a line to the server on which a hundred bytes are sent at the time 0, and a hundred more after 10 ms.
fn sent(line: Line, seed: u64) -> Vec<(Duration, Vec<u8>)> {
    let mut pipe = Pipe::new(0, seed);
    pipe.set_line(Towards::Server, line);
    let bytes: Vec<u8> = (0..200).collect();
    let bytes = frame(&bytes);
    pipe.handle_bytes(Duration::ZERO, Towards::Server, &bytes[..100]);
    pipe.handle_bytes(MS * 10, Towards::Server, &bytes[100..]);
    let writes = timeline(&mut pipe, Towards::Server);
    assert_eq!(writes.iter().flat_map(|(_, part)| part.clone()).collect::<Vec<_>>(), bytes, "all of it, in order");
    writes
}

#[test]
fn a_line_delays_limits_and_slices() {
    let at = |writes: &[(Duration, Vec<u8>)]| writes.iter().map(|(at, _)| at.as_millis()).collect::<Vec<_>>();
    assert_eq!(at(&sent(Line { delay: MS * 50, ..Line::default() }, 1)), [50, 60]);
    let rate = NonZeroU32::new(1000);
    let slow = sent(Line { bytes_per_second: rate, ..Line::default() }, 1);
    assert_eq!(at(&slow), [0, 28, 100], "after 28 bytes of a head the rest of a chunk; 100 bytes take 100 ms");
    let dribble = Some(Dribble { bytes: 50, every: MS * 7 });
    let sliced = sent(Line { dribble, ..Line::default() }, 1);
    assert!(sliced.iter().all(|(_, part)| part.len() <= 50));
    assert_eq!(at(&sliced), [0, 7, 14, 21, 28, 35]);
    let one_by_one = sent(Line { dribble: Some(Dribble { bytes: 1, every: Duration::ZERO }), ..Line::default() }, 1);
    assert_eq!(one_by_one.len(), 204);
}

#[test]
fn jitter_keeps_the_order_and_is_the_seeds() {
    let line = Line { delay: MS, jitter: MS * 40, ..Line::default() };
    let once = sent(line.clone(), 7);
    assert!(once.iter().all(|(at, _)| (MS..MS * 52).contains(at)));
    assert_eq!(once, sent(line.clone(), 7));
    assert_ne!(once, sent(line, 8));
}

#[test]
fn a_black_hole_gives_back_what_it_took() {
    let mut pipe = Pipe::new(0, 1);
    pipe.set_line(Towards::Server, Line { black_hole: true, ..Line::default() });
    pipe.handle_bytes(MS, Towards::Server, &greeting());
    pipe.handle_end(MS, Towards::Server, End::HalfClose);
    assert_eq!(pipe.poll_output(MS * 99, Towards::Server), None);
    assert_eq!(pipe.poll_timeout(), None, "nothing is to come");
    pipe.set_line(Towards::Server, Line::default());
    assert_eq!(out(&mut pipe, MS * 99, Towards::Server), (greeting(), Some(End::HalfClose)));
}

// goal: P2
#[test]
fn who_sends_faster_than_the_line_is_not_read_from() {
    let mut pipe = Pipe::new(0, 1);
    pipe.set_line(Towards::Server, Line { delay: MS, ..Line::default() });
    let mut taken = 0;
    while pipe.wants(Towards::Server) {
        pipe.handle_bytes(Duration::ZERO, Towards::Server, &frame(&[0; 60_000]));
        taken += 60_004;
    }
    assert!((4 << 20..5 << 20).contains(&taken));
    assert_eq!(out(&mut pipe, MS, Towards::Server).0.len(), taken);
    assert!(pipe.wants(Towards::Server));
    pipe.set_line(Towards::Server, Line { stop_reading: true, ..Line::default() });
    assert!(!pipe.wants(Towards::Server) && pipe.wants(Towards::Client));
}

#[test]
fn an_abandoned_connection_ends_at_once() {
    let mut pipe = Pipe::new(0, 1);
    pipe.set_line(Towards::Server, Line { delay: MS * 50, black_hole: true, ..Line::default() });
    pipe.handle_bytes(MS, Towards::Server, &greeting());
    pipe.abandon(End::Reset);
    for towards in [Towards::Server, Towards::Client] {
        assert_eq!(out(&mut pipe, MS, towards), (vec![], Some(End::Reset)));
    }
    assert_eq!(pipe.poll_timeout(), None);
}

/// Whatever comes, with whatever rules: no panic, and without rules everything arrives.
// goal: P2
#[test]
fn chance_finds_nothing_that_breaks_it() {
    for seed in 0..2000 {
        let mut chance = fastrand::Rng::with_seed(seed);
        let mut pipe = Pipe::new(0, seed);
        let has_rules = chance.bool();
        for _ in 0..if has_rules { 3 } else { 0 } {
            let how = chance.choice([End::Close, End::HalfClose, End::Reset]).unwrap();
            let deed = match chance.u8(..4) {
                0 => Deed::Drop,
                1 => Deed::Duplicate,
                2 => Deed::Corrupt { at: chance.bool().then(|| chance.usize(..60)), mask: chance.u8(..) },
                _ => Deed::Cut { after: chance.usize(..60), how },
            };
            let rule = match chance.u8(..3) {
                0 => Rule::cut_at_byte(chance.u64(..200), how),
                1 => Rule::frame(Pick::PerMille(300), deed).always(),
                _ => Rule::frame(Pick::Nth(chance.u64(..4)), deed),
            };
            pipe.add_rule(MS, if chance.bool() { Towards::Server } else { Towards::Client }, rule);
        }
        let (mut sent, mut arrived) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
        for _ in 0..30 {
            let way = chance.usize(..2);
            let towards = [Towards::Server, Towards::Client][way];
            let len = chance.usize(..50);
            let payload: Vec<u8> = std::iter::repeat_with(|| chance.u8(..)).take(len).collect();
            let bytes = if chance.u8(..20) == 0 { payload } else { frame(&payload) };
            let split = chance.usize(..=bytes.len());
            for part in [&bytes[..split], &bytes[split..]] {
                pipe.handle_bytes(MS, towards, part);
            }
            sent[way].extend(bytes);
            arrived[way].extend(out(&mut pipe, MS, towards).0);
        }
        for (way, towards) in [Towards::Server, Towards::Client].into_iter().enumerate() {
            pipe.handle_end(MS, towards, End::HalfClose);
            let (rest, end) = out(&mut pipe, MS, towards);
            arrived[way].extend(rest);
            assert!(has_rules || end == Some(End::HalfClose) && arrived[way] == sent[way], "seed {seed}");
        }
    }
}
