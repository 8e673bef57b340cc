//! Plain reads that are called together travel as one multiRead, and nobody can tell but by the speed.

use crate::stage::{Stage, create, until_connected, within};
use futures_util::future::join_all;
use std::{collections::BTreeMap, fmt::Write as _};
use zk_client::{
    Acl, AuthId, Client, CreateMode, Error, ErrorCode, OPEN_ACL_UNSAFE, OpCode, Outcome, Permissions, Read,
};
use zk_testkit::server::{Fault, Profile, ReplyFault, TestServer};

/// How often the server was asked what, since the last time.
fn asked(server: &Stage) -> BTreeMap<OpCode, usize> {
    let mut counts = BTreeMap::new();
    for request in server.take_requests() {
        *counts.entry(request.op).or_default() += 1;
    }
    counts
}

// goal: N18
#[tokio::test(start_paused = true)]
async fn reads_that_are_called_together_are_few_requests_and_a_lone_one_is_plain() {
    let server = Stage::start().await;
    let client = server.connect().await;
    create(&client, "/a", b"1").await;
    drop(server.take_requests());
    let reads = join_all((0..256).map(|_| client.get_data("/a")));
    assert!(within(reads).await.iter().all(|read| read.as_ref().is_ok_and(|(data, _)| data == "1")));
    // The first ones are few, as long as it is not known what a value weighs.
    let counts = asked(&server);
    assert!(counts[&OpCode::MULTI_READ] == 4 && !counts.contains_key(&OpCode::GET_DATA), "{counts:?}");
    let reads = join_all((0..256).map(|_| client.get_data("/a")));
    assert!(within(reads).await.iter().all(Result::is_ok));
    assert_eq!(asked(&server), BTreeMap::from([(OpCode::MULTI_READ, 2)]));
    within(client.get_data("/a")).await.unwrap();
    assert_eq!(asked(&server), BTreeMap::from([(OpCode::GET_DATA, 1)]));
}

#[tokio::test(start_paused = true)]
async fn what_is_called_between_two_reads_comes_between_them() {
    let server = Stage::start().await;
    let client = server.connect().await;
    create(&client, "/a", b"0").await;
    let mut reads = Vec::new();
    for round in 1..=3 {
        reads.extend([client.get_data("/a"), client.get_data("/a")]);
        drop(client.set_data("/a", &[b'0' + round], None));
    }
    let values: Vec<_> = within(join_all(reads)).await.into_iter().map(|read| read.unwrap().0).collect();
    assert_eq!(values, ["0", "0", "1", "1", "2", "2"]);
}

#[tokio::test(start_paused = true)]
async fn it_can_be_switched_off() {
    let server = Stage::start().await;
    let client = within(server.connector().batch_reads(false).connect()).await.unwrap();
    create(&client, "/a", b"1").await;
    drop(server.take_requests());
    within(join_all((0..100).map(|_| client.get_data("/a")))).await;
    assert_eq!(asked(&server), BTreeMap::from([(OpCode::GET_DATA, 100)]));
}

#[tokio::test(start_paused = true)]
async fn a_server_without_multi_read_is_asked_for_it_once() {
    let server = Stage::like(Profile::V3_5).await;
    let client = server.connect().await;
    create(&client, "/a", b"1").await;
    drop(server.take_requests());
    let reads = within(join_all((0..100).map(|_| client.get_data("/a")))).await;
    let lost = reads.iter().filter(|read| !read.as_ref().is_ok_and(|(data, _)| data == "1")).count();
    assert_eq!(lost, 0);
    assert_eq!(asked(&server)[&OpCode::MULTI_READ], 1, "the second one was not looked at any more");
    let reads = within(join_all((0..100).map(|_| client.get_data("/a")))).await;
    assert!(reads.iter().all(Result::is_ok));
    assert_eq!(asked(&server), BTreeMap::from([(OpCode::GET_DATA, 100)]));
}

/// The answer of one read alone is small enough; of many together it is not.
#[tokio::test(start_paused = true)]
async fn reads_whose_answers_are_too_large_together_are_answered_alone() {
    let server = Stage::start().await;
    let client = within(server.connector().reply_len_max(3_000).connect()).await.unwrap();
    for (path, len) in [("/a", 1_000), ("/b", 2_000), ("/c", 4_000)] {
        server.create(path, &vec![b'.'; len]).unwrap();
    }
    let found = within(join_all(["/a", "/b", "/c", "/a"].map(|path| client.get_data(path)))).await;
    let lens: Vec<_> = found.iter().map(|read| read.as_ref().map(|(data, _)| data.len())).collect();
    assert!(matches!(lens[..], [Ok(1_000), Ok(2_000), Err(Error::ReplyTooLarge { .. }), Ok(1_000)]), "{lens:?}");
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_is_refused_as_a_whole_is_refused_to_each() {
    let server = Stage::start().await;
    let client = server.connect().await;
    create(&client, "/a", b"1").await;
    server.inject(Fault::Refuse(OpCode::MULTI_READ, ErrorCode::THROTTLED_OP)).await;
    for read in within(join_all((0..10).map(|_| client.get_data("/a")))).await {
        assert_eq!(read, Err(Error::Refused { op: OpCode::GET_DATA, code: ErrorCode::THROTTLED_OP }));
    }
}

/// A server that answers with one result where three were asked for: nobody's value is guessed.
#[tokio::test(start_paused = true)]
async fn an_answer_of_another_length_cannot_be_read() {
    let server = Stage::start().await;
    let client = server.connect().await;
    create(&client, "/a", b"1").await;
    let xid = server.requests().last().unwrap().xid + 1;
    let result = [0xff, 0xff, 0xff, 0xff, 0, 0xff, 0xff, 0xff, 0x9b, 0xff, 0xff, 0xff, 0x9b];
    let end = [0xff, 0xff, 0xff, 0xff, 1, 0xff, 0xff, 0xff, 0xff];
    let header = [&xid.to_be_bytes()[..], &server.zxid().0.to_be_bytes(), &[0; 4]].concat();
    let frame = [&[0, 0, 0, 38][..], &header, &result, &end].concat();
    server.inject(Fault::Reply(ReplyFault::Bytes(frame.into()))).await;
    for read in within(join_all((0..3).map(|_| client.get_data("/a")))).await {
        assert!(matches!(read, Err(Error::Protocol { op: OpCode::GET_DATA, .. })), "{read:?}");
    }
    // Nor for who put the batch together by hand.
    let frame = [&[0, 0, 0, 38][..], &(xid + 1).to_be_bytes(), &header[4..], &result, &end].concat();
    server.inject(Fault::Reply(ReplyFault::Bytes(frame.into()))).await;
    let many = within(client.read_many([Read::Data("/a"); 3])).await;
    assert!(matches!(many, Err(Error::Protocol { op: OpCode::MULTI_READ, .. })), "{many:?}");
    assert_eq!(within(client.get_data("/a")).await.unwrap().0, "1", "the session lives");
}

/// Random calls on two like servers, one client that batches and one that does not: every call ends in the same way.
#[tokio::test(start_paused = true)]
async fn batched_or_not_every_call_ends_in_the_same_way() {
    for seed in 1..=150 {
        let mut ends = Vec::new();
        for batch in [true, false] {
            let server = Stage::with(TestServer::builder()).await;
            let client = within(server.connector_below("/root").batch_reads(batch).connect()).await.unwrap();
            prepare(&server).await;
            ends.push(play(&client, seed).await);
            let batches = asked(&server).contains_key(&OpCode::MULTI_READ);
            assert_eq!(batches, batch, "seed {seed}: the seed must batch something");
        }
        assert_eq!(ends[0], ends[1], "seed {seed}");
    }
}

async fn prepare(server: &Stage) {
    server.create("/root", b"").unwrap();
    let other = server.connect().await;
    for name in ["a", "b", "c"] {
        create(&other, &format!("/root/{name}"), name.as_bytes()).await;
    }
    // Others may not read it.
    within(other.add_auth("digest", b"u:p")).await.unwrap();
    let mine = [Acl { permissions: Permissions::ALL, id: AuthId { scheme: "auth".into(), id: "".into() } }];
    let secret = other.create("/root/secret", b"s", CreateMode::Persistent, &mine);
    within(secret).await.unwrap();
    other.close().await;
}

/// Calls that come in bunches, and how each ended.
async fn play(client: &Client, seed: u64) -> String {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut ends = String::new();
    for _ in 0..8 {
        let (mut reads, mut writes) = (Vec::new(), Vec::new());
        for _ in 0..random.usize(2..60) {
            let path = ["/a", "/b", "/c", "/secret", "/none", "/", "/no path/"][random.usize(..7)];
            match random.u32(..12) {
                0 => writes.push(client.set_data(path, &[random.u8(..)], None)),
                1 => writes.push(client.set_data(path, b"", Some(random.i32(..3)))),
                2 => drop(client.delete(path, None)),
                3 => drop(client.create(path, b"new", CreateMode::Persistent, OPEN_ACL_UNSAFE)),
                // nobody waits for it
                4 => drop(client.get_data(path)),
                _ => reads.push(client.get_data(path)),
            }
        }
        for read in within(join_all(reads)).await {
            let _ = writeln!(ends, "{:?}", read.map(|(data, stat)| (data, stat.czxid, stat.mzxid, stat.version)));
        }
        for write in within(join_all(writes)).await {
            let _ = writeln!(ends, "{:?}", write.map(|stat| (stat.mzxid, stat.version)));
        }
    }
    ends
}

/// A connection that breaks at any byte: every read ends once, with its value or with the truth about the loss.
#[tokio::test(start_paused = true)]
async fn a_batch_that_is_cut_at_any_byte_ends_honestly() {
    for len in (41..1_500).step_by(23) {
        let server = Stage::start().await;
        server.create("/a", b"value").unwrap();
        server.cut_after_bytes(len);
        let client = within(server.connector().connect()).await.unwrap();
        let mut lost = 0;
        for read in within(join_all((0..10).map(|_| client.get_data("/a")))).await {
            match read {
                Ok((data, _)) => assert_eq!(data, "value"),
                Err(Error::Interrupted { op: OpCode::GET_DATA, outcome: Outcome::Unknown, .. }) => lost += 1,
                other => panic!("cut after {len}: {other:?}"),
            }
        }
        assert!(lost == 0 || lost == 10, "cut after {len}: one answer for all");
        // The cut may be still to come, and comes once.
        let mut last = within(client.get_data("/a")).await;
        while last.is_err() {
            until_connected(&client).await;
            last = within(client.get_data("/a")).await;
        }
        assert_eq!(last.unwrap().0, "value");
    }
}
