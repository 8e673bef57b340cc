//! Plain reads that are called together travel as one multiRead, and nobody can tell but by the speed.

use crate::stage::{Stage, create, until_connected, within};
use futures_util::future::join_all;
use std::{collections::BTreeMap, fmt::Write as _, pin::Pin};
use zk_client::{
    Acl, AuthId, Bytes, Call, Client, CreateMode, Error, ErrorCode, OPEN_ACL_UNSAFE, OpCode, Outcome, Permissions,
    Read, Stat,
};
use zk_proto::{
    jute::{Encode as _, List, encode_to_bytes},
    multi::{MultiResponse, MultiResult},
    records::{GetDataResponse, ReplyHeader},
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

/// multiRead has two kinds of read, and an answer is that of the kind that was asked for.
// goal: N18
#[tokio::test(start_paused = true)]
async fn values_and_lists_of_children_travel_together_and_other_reads_between_them() {
    let server = Stage::start().await;
    let client = server.connect().await;
    for (path, data) in [("/a", "1"), ("/a/b", ""), ("/a/c", "3")] {
        create(&client, path, data.as_bytes()).await;
    }
    drop(server.take_requests());
    let (data, lists) = (["/a", "/none", "/a/c"], ["/a", "/none", "/a/c"]);
    let reads = data.iter().zip(lists).map(|(data, list)| (client.get_data(data), client.list_children(list)));
    let (data, lists): (Vec<_>, Vec<_>) = reads.unzip();
    let data = within(join_all(data)).await;
    let mut lists = within(join_all(lists)).await;
    lists[0].as_mut().unwrap().sort_unstable();
    let refused = |op| Error::Refused { op, code: ErrorCode::NO_NODE };
    assert!(data[0].as_ref().is_ok_and(|(data, stat)| data == "1" && stat.num_children == 2), "{data:?}");
    assert_eq!(data[1], Err(refused(OpCode::GET_DATA)));
    assert!(data[2].as_ref().is_ok_and(|(data, _)| data == "3"), "{data:?}");
    assert_eq!(lists[0], Ok(vec!["b".to_owned(), "c".to_owned()]));
    assert_eq!(lists[1], Err(refused(OpCode::GET_CHILDREN)));
    assert_eq!(lists[2], Ok(Vec::new()));
    assert_eq!(asked(&server), BTreeMap::from([(OpCode::MULTI_READ, 1)]));

    // What multiRead does not have, and what leaves a watch, goes between them as it is.
    let (first, stat) = (client.list_children("/a"), client.exists("/a"));
    let (second, with_stat) = (client.get_data("/a"), client.get_children("/a"));
    let (third, watching) = (client.list_children("/a"), client.get_children_and_watch("/a"));
    let (fourth, fifth) = (client.get_data("/a"), client.list_children("/a"));
    let found = within(async { tokio::join!(first, stat, second, with_stat, third, watching, fourth, fifth) }).await;
    assert_eq!(found.0, found.7);
    let ops: Vec<_> = server.take_requests().into_iter().map(|request| request.op).collect();
    use OpCode as Op;
    let (list, data) = (Op::GET_CHILDREN, Op::GET_DATA);
    assert_eq!(ops, [list, Op::EXISTS, data, Op::GET_CHILDREN2, list, Op::GET_CHILDREN2, Op::MULTI_READ]);
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
    within(join_all((0..100).map(|_| client.list_children("/a")))).await;
    assert_eq!(asked(&server), BTreeMap::from([(OpCode::GET_CHILDREN, 100), (OpCode::GET_DATA, 100)]));
}

#[tokio::test(start_paused = true)]
async fn a_server_without_multi_read_is_asked_for_it_once() {
    let server = Stage::like(Profile::V3_5).await;
    let client = server.connect().await;
    create(&client, "/a", b"1").await;
    drop(server.take_requests());
    let reads = (0..100).map(|_| (client.get_data("/a"), client.list_children("/")));
    let (data, lists): (Vec<_>, Vec<_>) = reads.unzip();
    let data = within(join_all(data)).await;
    assert_eq!(data.iter().filter(|read| !read.as_ref().is_ok_and(|(data, _)| data == "1")).count(), 0);
    let lists = within(join_all(lists)).await;
    assert_eq!(lists.iter().filter(|read| !read.as_ref().is_ok_and(|names| names.len() == 2)).count(), 0);
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
    for child in 0..60 {
        server.create(&format!("/a/child-{child:040}"), b"").unwrap();
        server.create(&format!("/b/{child}"), b"").unwrap();
    }
    let (data, lists) = (client.get_data("/b"), ["/a", "/b", "/c"].map(|path| client.list_children(path)));
    let (data, lists) = within(async { tokio::join!(data, join_all(lists)) }).await;
    assert_eq!(data.unwrap().0.len(), 2_000);
    assert!(matches!(&lists[0], Err(Error::ReplyTooLarge { path: Some(path), .. }) if path == "/a"), "{lists:?}");
    assert!(matches!(&lists[1..], [Ok(some), Ok(none)] if some.len() == 60 && none.is_empty()), "{lists:?}");
}

/// Long lists are few in a request, however many are asked for together.
#[tokio::test(start_paused = true)]
async fn long_lists_of_children_leave_in_small_batches() {
    let server = Stage::start().await;
    let client = server.connect().await;
    server.create("/wide", b"").unwrap();
    let mut names: Vec<_> = (0..2_000).map(|child| format!("child-{child:024}")).collect();
    names.iter().for_each(|name| assert!(server.create(&format!("/wide/{name}"), b"").is_ok()));
    names.sort_unstable();
    drop(server.take_requests());
    // What a list weighs is not known at first; then a read weighs 45 KB on average, five of which are less than 256 KB.
    for requests in [1, 12] {
        let reads = (0..60).map(|at| if at % 3 == 0 { "/" } else { "/wide" }).map(|path| client.list_children(path));
        for (at, list) in within(join_all(reads)).await.into_iter().enumerate() {
            let mut list = list.unwrap();
            list.sort_unstable();
            assert!(if at % 3 == 0 { list == ["wide", "zookeeper"] } else { list == names }, "{at}");
        }
        assert_eq!(asked(&server), BTreeMap::from([(OpCode::MULTI_READ, requests)]));
    }
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

/// A server that answers with a value where a list was asked for, and the other way round.
#[tokio::test(start_paused = true)]
async fn an_answer_of_another_kind_cannot_be_read() {
    let server = Stage::start().await;
    let client = server.connect().await;
    let stat = within(client.exists("/")).await.unwrap().unwrap();
    let value = || MultiResult::GetData(GetDataResponse { data: Some(Bytes::new()), stat });
    let list = || MultiResult::GetChildren(List::of_texts(["name"]));
    let swapped = vec![list(), value(), MultiResult::Error(ErrorCode::NO_AUTH), value(), list()];
    let body = encode_to_bytes(&MultiResponse { results: swapped.into() });
    let header = ReplyHeader { xid: 2, zxid: server.zxid(), err: ErrorCode::OK };
    let len = u32::try_from(header.encoded_len() + body.len()).unwrap();
    let frame = [&len.to_be_bytes()[..], &encode_to_bytes(&header), &body].concat();
    server.inject(Fault::Reply(ReplyFault::Bytes(frame.into()))).await;
    let (first, second, third) = (client.get_data("/"), client.list_children("/"), client.get_data("/"));
    let (fourth, fifth) = (client.get_data("/"), client.list_children("/"));
    let found = within(async { tokio::join!(first, second, third, fourth, fifth) }).await;
    assert!(matches!(found.0, Err(Error::Protocol { op: OpCode::GET_DATA, .. })), "{found:?}");
    assert!(matches!(found.1, Err(Error::Protocol { op: OpCode::GET_CHILDREN, .. })), "{found:?}");
    assert_eq!(found.2, Err(Error::Refused { op: OpCode::GET_DATA, code: ErrorCode::NO_AUTH }));
    assert_eq!(found.3, Ok((Bytes::new(), stat)));
    assert_eq!(found.4, Ok(vec!["name".to_owned()]));
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

type End = Pin<Box<dyn Future<Output = String>>>;

fn data(call: Call<(Bytes, Stat)>) -> End {
    let told = |(data, stat): (Bytes, Stat)| (data, stat.czxid, stat.mzxid, stat.version);
    Box::pin(async move { format!("{:?}\n", call.await.map(told)) })
}

/// Names are in the server's order.
fn list(call: Call<Vec<String>>) -> End {
    Box::pin(async move { format!("{:?}\n", call.await) })
}

/// Calls that come in bunches, and how each ended.
async fn play(client: &Client, seed: u64) -> String {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut ends = String::new();
    for _ in 0..8 {
        let (mut reads, mut writes) = (Vec::new(), Vec::new());
        for _ in 0..random.usize(2..60) {
            let path = ["/a", "/b", "/c", "/secret", "/none", "/", "/no path/"][random.usize(..7)];
            match random.u32(..16) {
                0 => writes.push(client.set_data(path, &[random.u8(..)], None)),
                1 => writes.push(client.set_data(path, b"", Some(random.i32(..3)))),
                2 => drop(client.delete(path, None)),
                3 => drop(client.create(path, b"new", CreateMode::Persistent, OPEN_ACL_UNSAFE)),
                // nobody waits for it
                4 => drop(client.get_data(path)),
                5 => drop(client.list_children(path)),
                6..11 => reads.push(list(client.list_children(path))),
                _ => reads.push(data(client.get_data(path))),
            }
        }
        within(join_all(reads)).await.into_iter().for_each(|end| ends.push_str(&end));
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
        for (path, data) in [("/a", "value"), ("/a/b", ""), ("/a/b/c", "")] {
            server.create(path, data.as_bytes()).unwrap();
        }
        server.cut_after_bytes(len);
        let client = within(server.connector().connect()).await.unwrap();
        let mut lost = 0;
        let reads = (0..5).map(|_| (client.get_data("/a"), client.list_children("/a/b")));
        let (data, lists): (Vec<_>, Vec<_>) = reads.unzip();
        for read in within(join_all(data)).await {
            match read {
                Ok((data, _)) => assert_eq!(data, "value"),
                Err(Error::Interrupted { op: OpCode::GET_DATA, outcome: Outcome::Unknown, .. }) => lost += 1,
                other => panic!("cut after {len}: {other:?}"),
            }
        }
        for read in within(join_all(lists)).await {
            match read {
                Ok(names) => assert_eq!(names, ["c"]),
                Err(Error::Interrupted { op: OpCode::GET_CHILDREN, outcome: Outcome::Unknown, .. }) => lost += 1,
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
