//! Single operations: protocol.md sections 3.1, 3.2 and 8.3.

use std::time::Duration;

use zk_proto::{
    ErrorCode, Zxid,
    create::{ContainerFlags, CreateFlags, Ttl, TtlFlags},
    ops,
    records::{
        CreateContainerRequest, CreateRequest, CreateTtlRequest, GetDataRequest, GetEphemeralsRequest, OPEN_ACL_UNSAFE,
        PathRequest, PathVersionRequest, ReconfigRequest, SetAclRequest, SetDataRequest, SyncRequest,
    },
};

use super::{Script, plain};
use crate::server::Profile;

#[test]
fn stats_are_counted_as_zookeeper_counts() {
    let mut script = Script::new(Profile::V3_9);
    let mut client = script.client();
    script.create(&mut client, "/a", 0).unwrap();
    let czxid = client.zxid;
    script.now = Duration::from_millis(5);
    for child in ["/a/1", "/a/2", "/a/3"] {
        script.create(&mut client, child, 0).unwrap();
    }
    script.delete(&mut client, "/a/2").unwrap();
    let pzxid = client.zxid;
    script.set(&mut client, "/a/1", 0).unwrap();
    assert_eq!(script.set(&mut client, "/a", 0), Ok(1));
    let mzxid = client.zxid;
    assert_eq!(script.set(&mut client, "/a", 0), Err(ErrorCode::BAD_VERSION));
    assert_eq!(client.zxid.0, mzxid.0 + 1, "a failed write uses a zxid up");
    let acl = SetAclRequest { path: "/a".into(), acl: OPEN_ACL_UNSAFE.into(), version: 0 };
    let stat = script.call::<ops::SetAcl>(&mut client, &acl).unwrap().stat;
    assert_eq!((stat.czxid, stat.mzxid, stat.pzxid), (czxid, mzxid, pzxid));
    assert_eq!((stat.version, stat.cversion, stat.aversion), (1, 4, 1));
    assert_eq!((stat.ctime, stat.mtime), (1_000_000, 1_000_005));
    assert_eq!((stat.data_length, stat.num_children, stat.ephemeral_owner.0), (1, 2, 0));
}

#[test]
fn sequence_numbers_count_every_child_ever_created() {
    let mut script = Script::new(Profile::V3_9);
    let mut client = script.client();
    script.create(&mut client, "/p", 0).unwrap();
    script.create(&mut client, "/p/plain", 0).unwrap();
    script.delete(&mut client, "/p/plain").unwrap();
    assert_eq!(script.create(&mut client, "/p/a-", 2).unwrap(), "/p/a-0000000001");
    assert_eq!(script.create(&mut client, "/p/b-", 3).unwrap(), "/p/b-0000000002");
    assert_eq!(script.create(&mut client, "/p/", 2).unwrap(), "/p/0000000003");
}

#[test]
fn the_sequence_counter_sticks_and_before_3_6_wraps() {
    for (profile, after) in [(Profile::V3_9, "/p/b-2147483647"), (Profile::V3_5, "/p/b--2147483648")] {
        let mut script = Script::new(profile);
        let mut client = script.client();
        script.create(&mut client, "/p", 0).unwrap();
        script.model.tree.get_mut("/p").unwrap().creates = i32::MAX;
        assert_eq!(script.create(&mut client, "/p/a-", 2).unwrap(), "/p/a-2147483647");
        assert_eq!(script.create(&mut client, "/p/b-", 2).unwrap(), after);
    }
}

#[test]
fn creates_are_refused_in_zookeepers_order() {
    let mut script = Script::new(Profile::V3_9);
    let mut client = script.client();
    script.create(&mut client, "/e", 1).unwrap();
    let mut check = |path: &str, flags: i32, expected: ErrorCode| {
        assert_eq!(script.create(&mut client, path, flags), Err(expected), "{path} {flags}");
    };
    check("/a", 7, ErrorCode::BAD_ARGUMENTS);
    check("/a", 5, ErrorCode::BAD_ARGUMENTS);
    check("a", 0, ErrorCode::BAD_ARGUMENTS);
    check("/missing/a//b", 0, ErrorCode::NO_NODE);
    check("/e/.", 0, ErrorCode::BAD_ARGUMENTS);
    check("/e", 0, ErrorCode::NODE_EXISTS);
    check("/", 0, ErrorCode::NODE_EXISTS);
    check("/e/child", 0, ErrorCode::NO_CHILDREN_FOR_EPHEMERALS);
    let no_acl = CreateRequest {
        path: "/missing/a".into(),
        data: None,
        acl: [].as_slice().into(),
        flags: CreateFlags::PERSISTENT,
    };
    assert_eq!(script.call::<ops::Create>(&mut client, &no_acl), Err(ErrorCode::INVALID_ACL));
}

#[test]
fn deletes_are_refused_in_zookeepers_order() {
    let mut script = Script::new(Profile::V3_9);
    let mut client = script.client();
    script.create(&mut client, "/a", 0).unwrap();
    script.create(&mut client, "/a/b", 0).unwrap();
    let mut check = |path: &str, version: i32, expected: ErrorCode| {
        let request = PathVersionRequest { path: path.into(), version };
        assert_eq!(script.call::<ops::Delete>(&mut client, &request).map(|_| ()), Err(expected), "{path}");
    };
    for protected in ["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"] {
        check(protected, -1, ErrorCode::BAD_ARGUMENTS);
    }
    check("/none", -1, ErrorCode::NO_NODE);
    check("/a", 9, ErrorCode::BAD_VERSION);
    check("/a", -5, ErrorCode::BAD_VERSION);
    check("/a", 0, ErrorCode::NOT_EMPTY);
}

#[test]
fn null_and_empty_data_differ() {
    let mut script = Script::new(Profile::V3_9);
    let mut client = script.client();
    for (path, data) in [("/null", None), ("/empty", Some(&b""[..]))] {
        let request =
            CreateRequest { path: path.into(), data, acl: OPEN_ACL_UNSAFE.into(), flags: CreateFlags::PERSISTENT };
        script.call::<ops::Create2>(&mut client, &request).unwrap();
        let read = GetDataRequest { path: path.into(), watch: false };
        let reply = script.call::<ops::GetData>(&mut client, &read).unwrap();
        assert_eq!((reply.data.as_deref(), reply.stat.data_length), (data, 0));
    }
}

#[test]
fn reads_of_strange_paths_find_nothing_and_the_empty_one_is_the_root() {
    let mut script = Script::new(Profile::V3_9);
    let mut client = script.client();
    script.create(&mut client, "/a", 0).unwrap();
    for path in ["/a/", "/a//b", "a"] {
        let read = GetDataRequest { path: path.into(), watch: false };
        assert_eq!(script.call::<ops::GetData>(&mut client, &read), Err(ErrorCode::NO_NODE));
    }
    let root = GetDataRequest { path: "".into(), watch: false };
    assert_eq!(script.call::<ops::GetChildren>(&mut client, &root).unwrap().children.to_strings(), ["a", "zookeeper"]);
    let set = SetDataRequest { path: "/a/".into(), data: None, version: -1 };
    assert_eq!(script.call::<ops::SetData>(&mut client, &set), Err(ErrorCode::BAD_ARGUMENTS));
    let all = PathRequest { path: "/".into() };
    assert_eq!(script.call::<ops::GetAllChildrenNumber>(&mut client, &all).unwrap().total, 4);
}

#[test]
fn sync_echoes_any_path() {
    let mut script = Script::new(Profile::V3_9);
    let mut client = script.client();
    let reply = script.call::<ops::Sync>(&mut client, &SyncRequest { path: Some("/nowhere".into()) }).unwrap();
    assert_eq!(reply.path.as_deref(), Some("/nowhere"));
    assert_eq!(client.zxid, Zxid(1), "sync is no transaction");
}

#[test]
fn ephemerals_are_listed_by_prefix_of_the_text() {
    let mut script = Script::new(Profile::V3_9);
    let (mut client, mut other) = (script.client(), script.client());
    script.create(&mut client, "/pro", 1).unwrap();
    script.create(&mut client, "/proto", 1).unwrap();
    script.create(&mut other, "/prone", 1).unwrap();
    let mut list = |prefix: &'static str| {
        script
            .call::<ops::GetEphemerals>(&mut client, &GetEphemeralsRequest { prefix: Some(prefix.into()) })
            .unwrap()
            .paths
            .to_strings()
    };
    assert_eq!(list("/pro"), ["/pro", "/proto"]);
    assert_eq!(list("/prot"), ["/proto"]);
    assert_eq!(list("/"), ["/pro", "/proto"]);
    assert_eq!(list(""), ["/pro", "/proto"]);
}

#[test]
fn containers_go_after_their_last_child() {
    let mut script = Script::new(Profile::V3_9);
    let (mut client, mut watcher) = (script.client(), script.client());
    for path in ["/c", "/unused"] {
        let (acl, flags) = (OPEN_ACL_UNSAFE.into(), ContainerFlags::CONTAINER);
        let request = CreateContainerRequest { path: path.into(), data: None, acl, flags };
        let stat = script.call::<ops::CreateContainer>(&mut client, &request).unwrap().stat;
        assert_eq!(stat.ephemeral_owner.0, 0);
    }
    script.create(&mut client, "/c/x", 0).unwrap();
    script.watch::<ops::Exists>(&mut watcher, "/c").unwrap();
    script.model.sweep_containers(script.now);
    script.delete(&mut client, "/c/x").unwrap();
    assert!(script.seen(&mut watcher).is_empty());
    script.model.sweep_containers(script.now);
    assert_eq!(plain(&script.seen(&mut watcher)), ["DELETED /c"]);
    assert!(script.model.get("/unused").is_some());
    // under its own opcode only is a container one
    script.create(&mut client, "/plain", 4).unwrap();
    script.create(&mut client, "/plain/x", 0).unwrap();
    script.delete(&mut client, "/plain/x").unwrap();
    script.model.sweep_containers(script.now);
    assert!(script.model.get("/plain").is_some());
}

#[test]
fn a_time_to_live_counts_from_the_last_change() {
    let ttl = |flags, ttl_ms| CreateTtlRequest {
        path: "/t".into(),
        data: None,
        acl: OPEN_ACL_UNSAFE.into(),
        flags: TtlFlags::raw(flags),
        ttl: Ttl::raw(ttl_ms),
    };
    let mut script = Script::new(Profile::V3_9);
    let mut client = script.client();
    assert_eq!(script.call::<ops::CreateTtl>(&mut client, &ttl(5, 100)).map(|_| ()), Err(ErrorCode::UNIMPLEMENTED));
    assert!(!client.closed, "unlike an unknown operation");
    let mut script = Script::new(Profile::V3_9.with_ttl());
    let mut client = script.client();
    for (flags, ttl_ms) in [(5, 0), (5, 1 << 40), (0, 100)] {
        let refused = script.call::<ops::CreateTtl>(&mut client, &ttl(flags, ttl_ms)).map(|_| ());
        assert_eq!(refused, Err(ErrorCode::BAD_ARGUMENTS));
    }
    script.call::<ops::CreateTtl>(&mut client, &ttl(5, 100)).unwrap();
    script.now = Duration::from_millis(90);
    script.set(&mut client, "/t", -1).unwrap();
    script.model.sweep_containers(Duration::from_millis(190));
    assert!(script.model.get("/t").is_some());
    script.model.sweep_containers(Duration::from_millis(191));
    assert!(script.model.get("/t").is_none());
}

#[test]
fn reconfig_is_switched_off() {
    let mut script = Script::new(Profile::V3_9);
    let mut client = script.client();
    let request = ReconfigRequest { joining_servers: None, leaving_servers: None, new_members: None, config_id: -1 };
    assert_eq!(script.call::<ops::Reconfig>(&mut client, &request), Err(ErrorCode::RECONFIG_DISABLED));
}
