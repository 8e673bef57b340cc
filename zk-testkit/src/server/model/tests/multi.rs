//! Transactions: protocol.md section 3.3.

use bytes::Bytes;
use zk_proto::{
    ErrorCode, OpCode,
    create::{ContainerFlags, CreateFlags},
    jute::encode_to_bytes,
    multi::{MultiOp, MultiReadRequest, MultiRequest, MultiResult, ReadOp},
    ops,
    records::{
        CreateContainerRequest, CreateRequest, GetDataRequest, OPEN_ACL_UNSAFE, PathVersionRequest, SetDataRequest,
    },
};

use super::{Script, plain};
use crate::server::Profile;

fn create(path: &str, flags: i32) -> CreateRequest<'_> {
    CreateRequest { path: path.into(), data: Some(b""), acl: OPEN_ACL_UNSAFE.into(), flags: CreateFlags::raw(flags) }
}

fn container(path: &str) -> CreateContainerRequest<'_> {
    let CreateRequest { path, data, acl, .. } = create(path, 0);
    CreateContainerRequest { path, data, acl, flags: ContainerFlags::CONTAINER }
}

fn set(path: &str, version: i32) -> MultiOp<'_> {
    MultiOp::SetData(SetDataRequest { path: path.into(), data: Some(b"m"), version })
}

fn delete(path: &str) -> MultiOp<'_> {
    MultiOp::Delete(PathVersionRequest { path: path.into(), version: -1 })
}

#[test]
fn operations_see_each_other_and_share_a_zxid() {
    let mut script = Script::new(Profile::V3_9);
    let (mut client, mut watcher) = (script.client(), script.client());
    script.watch::<ops::Exists>(&mut watcher, "/a").unwrap_err();
    script.watch::<ops::GetChildren>(&mut watcher, "/").unwrap();
    let ops = vec![
        MultiOp::Create(create("/a", 0)),
        MultiOp::Create2(create("/a/b", 0)),
        MultiOp::CreateContainer(container("/a/c")),
        set("/a", 0),
        MultiOp::Check(PathVersionRequest { path: "/a".into(), version: 1 }),
        delete("/a/b"),
    ];
    let reply = script.call::<ops::Multi>(&mut client, &MultiRequest { ops: ops.into() }).unwrap();
    let zxid = client.zxid;
    let [
        MultiResult::Create(a),
        MultiResult::Create2(b, b_stat),
        MultiResult::Create2(c, _),
        MultiResult::SetData(set),
        MultiResult::Check,
        MultiResult::Delete,
    ] = &reply.results.to_vec()[..]
    else {
        panic!("{reply:?}")
    };
    assert_eq!((a.as_str(), b.as_str(), c.as_str()), ("/a", "/a/b", "/a/c"));
    assert_eq!((b_stat.czxid, set.mzxid, set.version, set.num_children), (zxid, zxid, 1, 2));
    assert_eq!(script.model.get("/a").unwrap().1.cversion, 3);
    assert_eq!(
        script.seen(&mut watcher),
        [format!("CREATED /a @{}", zxid.0), format!("CHILDREN_CHANGED / @{}", zxid.0)]
    );
}

#[test]
fn a_failure_undoes_everything_and_names_the_culprit() {
    let mut script = Script::new(Profile::V3_9);
    let (mut client, mut watcher) = (script.client(), script.client());
    for path in ["/kept", "/kept/child"] {
        script.create(&mut client, path, 0).unwrap();
    }
    script.watch::<ops::Exists>(&mut watcher, "/new").unwrap_err();
    script.watch::<ops::GetChildren>(&mut watcher, "/kept").unwrap();
    let (root, kept, before) = (script.model.get("/"), script.model.get("/kept"), client.zxid);
    let ops = vec![
        MultiOp::Create(create("/new", 0)),
        delete("/kept/child"),
        MultiOp::Create(create("/kept/n-", 2)),
        set("/kept", -1),
        set("/kept", 77),
        delete("/kept"),
    ];
    let reply = script.call::<ops::Multi>(&mut client, &MultiRequest { ops: ops.into() }).unwrap();
    assert_eq!(reply.failure(), Some((4, ErrorCode::BAD_VERSION)));
    let codes = [0, 0, 0, 0, -103, -2].map(|code| MultiResult::Error(ErrorCode(code)));
    assert_eq!(reply.results.to_vec(), codes);
    assert_eq!(client.zxid.0, before.0 + 1, "a failure uses a zxid up");
    assert_eq!((script.model.get("/"), script.model.get("/kept")), (root, kept));
    assert_eq!(script.model.children("/kept").unwrap(), ["child"]);
    assert!(script.model.get("/new").is_none());
    assert!(script.seen(&mut watcher).is_empty(), "nothing fires");
    assert_eq!(script.model.watches(watcher.conn).len(), 2, "and no watch is used up");
}

#[test]
fn a_failed_multi_is_these_bytes() {
    // protocol.md section 13
    let mut script = Script::new(Profile::V3_9);
    let mut client = script.client();
    let ops = vec![MultiOp::Create(create("/a", 0)), set("/", 5)];
    let reply = script.call::<ops::Multi>(&mut client, &MultiRequest { ops: ops.into() }).unwrap();
    let expected = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, // undone
        0xff, 0xff, 0xff, 0xff, 0, 0xff, 0xff, 0xff, 0x99, 0xff, 0xff, 0xff, 0x99, // the culprit
        0xff, 0xff, 0xff, 0xff, 1, 0xff, 0xff, 0xff, 0xff, // the end
    ];
    assert_eq!(encode_to_bytes(&reply), &expected[..]);
}

#[test]
fn an_empty_multi_is_legal_and_an_impossible_flag_is_not() {
    let mut script = Script::new(Profile::V3_9);
    let mut client = script.client();
    assert_eq!(script.call::<ops::Multi>(&mut client, &MultiRequest::default()).unwrap().results.len(), 0);
    let bad = || MultiRequest { ops: vec![MultiOp::Create(create("/a", 9))].into() };
    assert_eq!(script.call::<ops::Multi>(&mut client, &bad()), Err(ErrorCode::MARSHALLING_ERROR));
    assert!(!client.closed);
    let mut old = Script::new(Profile::V3_8);
    let mut client = old.client();
    let reply = old.call::<ops::Multi>(&mut client, &bad()).unwrap();
    assert_eq!(reply.failure(), Some((0, ErrorCode::BAD_ARGUMENTS)));
}

#[test]
fn before_3_8_2_create2_loses_its_stat() {
    for (profile, op) in [(Profile::V3_8_0, OpCode::CREATE), (Profile::V3_8, OpCode::CREATE2)] {
        let mut script = Script::new(profile);
        let mut client = script.client();
        let request = MultiRequest { ops: vec![MultiOp::Create2(create("/a", 0))].into() };
        let reply = encode_to_bytes(&script.call::<ops::Multi>(&mut client, &request).unwrap());
        assert_eq!(reply[..4], op.0.to_be_bytes());
    }
}

#[test]
fn batched_reads_fail_one_by_one_and_watch_nothing() {
    let mut script = Script::new(Profile::V3_9);
    let mut client = script.client();
    script.create(&mut client, "/a", 0).unwrap();
    let read = |path: &'static str| GetDataRequest { path: path.into(), watch: true };
    let ops = vec![ReadOp::GetData(read("/a")), ReadOp::GetData(read("/b")), ReadOp::GetChildren(read("/"))];
    let reply = script.call::<ops::MultiRead>(&mut client, &MultiReadRequest { ops: ops.into() }).unwrap();
    let [MultiResult::GetData(data), MultiResult::Error(ErrorCode::NO_NODE), MultiResult::GetChildren(names)] =
        &reply.results.to_vec()[..]
    else {
        panic!("{reply:?}")
    };
    assert_eq!(
        (data.data.clone(), names.to_strings()),
        (Some(Bytes::from_static(b"x")), ["a", "zookeeper"].map(String::from).to_vec())
    );
    script.delete(&mut client, "/a").unwrap();
    assert_eq!(plain(&script.seen(&mut client)), [""; 0]);
}
