//! Scenes of reading and writing znodes.

use crate::client::{Client, Done, Stage, frame};
use crate::value::{Value, acl, args, open, request};

/// What is played on a server of any version.
pub(crate) fn play(stage: &Stage<'_>) -> Done {
    let mut client = stage.session()?;
    let c = &mut client;
    c.must("create", args!["/v", "", open(), 0])?;
    create(c)?;
    create2(c)?;
    delete(c)?;
    exists(c)?;
    read(c)?;
    write(c)?;
    children(c)?;
    sync(c)?;
    lists(c)?;
    malformed(c)?;
    forbidden(c)?;
    others(c)?;
    let why = "A container goes by itself some time after its last child went. On the wire its stat is a persistent \
        znode's.";
    c.scene("createContainer", why).ok("createContainer", args!["/v/container", "", open(), 4])?;
    let why = "The operation makes it a container, whatever the flags say.";
    c.scene("flags 0", why).ok("createContainer", args!["/v/container-0", "", open(), 0])?;
    let (err, why) = if stage.at_least(9) {
        let why = "Internal: servers clean up with it. 3.9 executes it for every client and every childless znode, \
            without asking the ACL: never send it.";
        (0, why)
    } else {
        (-8, "Internal: servers clean up with it. Before 3.9 a client that sends it is refused.")
    };
    c.scene("deleteContainer", why).answered(err, "deleteContainer", args!["/v/container"])?;
    let why = "Without `extendedTypesEnabled` a server does not know znodes with a time to live; the connection \
        stays open.";
    c.scene("TTL off", why).answered(-6, "createTTL", args!["/v/ttl", "", open(), 5, 5000_i64])?;
    c.must("ping", args![])?;
    let why = "The end of a session, with its ephemerals. A header is all of it, both ways.";
    c.scene("closeSession", why).then_closed().ok("closeSession", args![])?;
    Ok(())
}

fn create(c: &mut Client<'_>) -> Done {
    let why = "A znode: path, data, one ACL entry for everybody, flags for the mode. The reply is the path.";
    c.scene("create", why).ok("create", args!["/v/a", "one", open(), 0])?;
    let why = "Null and empty data differ, and stay what they are.";
    c.scene("data null", why).ok("create", args!["/v/null", Value::Null, open(), 0])?;
    c.scene("data empty", "Empty data.").ok("create", args!["/v/empty", "", open(), 0])?;
    c.scene("ephemeral", "A znode that goes with its session.").ok("create", args!["/v/eph", "", open(), 1])?;
    let why = "The server appends ten digits: how many children the parent has ever had.";
    c.scene("sequential", why).ok("create", args!["/v/n-", "", open(), 2])?;
    c.scene("ephemeral sequential", "Both.").ok("create", args!["/v/e-", "", open(), 3])?;
    let why = "For a sequential znode the path may end with a slash: the name is the number.";
    c.scene("sequential below a slash", why).ok("create", args!["/v/", "", open(), 2])?;
    let why = "Flag 4 belongs to createContainer; under create it gives a plain persistent znode.";
    c.scene("container flag", why).ok("create", args!["/v/no-container", "", open(), 4])?;
    c.scene("exists already", "NODE_EXISTS.").answered(-110, "create", args!["/v/a", "", open(), 0])?;
    let why = "NO_NODE means the parent here.";
    c.scene("no parent", why).answered(-101, "create", args!["/v/none/a", "", open(), 0])?;
    let why = "An ephemeral znode cannot have children.";
    c.scene("below an ephemeral", why).answered(-108, "create", args!["/v/eph/a", "", open(), 0])?;
    let why = "Nobody could do anything with it: INVALID_ACL.";
    c.scene("ACL empty", why).answered(-114, "create", args!["/v/b", "", Value::List(Vec::new()), 0])?;
    c.scene("ACL null", "As the empty one.").answered(-114, "create", args!["/v/b", "", Value::Null, 0])?;
    let why = "Flags are a number, not bits; this one is no mode.";
    c.scene("flags unknown", why).answered(-8, "create", args!["/v/b", "", open(), 7])?;
    let why = "Flag 5 belongs to createTTL; a server without `extendedTypesEnabled` does not know it.";
    c.scene("TTL flag while TTL is off", why).answered(-6, "create", args!["/v/b", "", open(), 5])?;
    c.scene("path invalid", "No component may be `..`.").answered(-8, "create", args!["/v/..", "", open(), 0])?;
    let why = "Nor empty; but the parent `/v/` is looked for first.";
    c.scene("path invalid and no parent", why).answered(-101, "create", args!["/v//b", "", open(), 0])?;
    let why = "The server fails over it, and says so as for any body that it cannot read.";
    c.scene("path null", why).answered(-5, "create", args![Value::Null, "", open(), 0])?;
    c.must("create", args!["/v/locked", "", acl(1, "world", "anyone"), 0])?;
    let why = "The parent's ACL lacks CREATE.";
    c.scene("no permission", why).answered(-102, "create", args!["/v/locked/a", "", open(), 0])?;
    Ok(())
}

fn create2(c: &mut Client<'_>) -> Done {
    c.scene("create2", "As create, and the reply has the stat too.").ok("create2", args!["/v/c2", "two", open(), 0])?;
    let why = "ephemeralOwner is the session's id; of all other znodes it is 0.";
    c.scene("ephemeral", why).ok("create2", args!["/v/c2-eph", Value::Null, open(), 1])?;
    c.scene("sequential", "The path in the reply is the real one.").ok("create2", args!["/v/c2-", "", open(), 2])?;
    Ok(())
}

fn delete(c: &mut Client<'_>) -> Done {
    c.must("create", args!["/v/del", "", open(), 0])?;
    c.must("create", args!["/v/full", "", open(), 0])?;
    c.must("create", args!["/v/full/child", "", open(), 0])?;
    let why = "The version must be the znode's, or -1 for any.";
    c.scene("version wrong", why).answered(-103, "delete", args!["/v/del", 3])?;
    c.scene("delete", "The reply is a header.").ok("delete", args!["/v/del", -1])?;
    c.scene("missing", "NO_NODE.").answered(-101, "delete", args!["/v/del", -1])?;
    c.scene("has children", "NOT_EMPTY.").answered(-111, "delete", args!["/v/full", -1])?;
    let why = "The root and the znodes of ZooKeeper itself cannot be deleted.";
    c.scene("root", why).answered(-8, "delete", args!["/", -1])?;
    Ok(())
}

fn exists(c: &mut Client<'_>) -> Done {
    let why = "The stat of a znode. The last byte of the request asks for a watch.";
    c.scene("exists", why).ok("exists", args!["/v/a", false])?;
    c.scene("with a watch", "The reply does not say that there is a watch now.").ok("exists", args!["/v/a", true])?;
    let why = "The usual way to say no. A watch is left all the same.";
    c.scene("missing", why).answered(-101, "exists", args!["/v/none", true])?;
    c.scene("path empty", "The empty path is the root.").ok("exists", args!["", false])?;
    c.scene("path null", "Not a path.").answered(-5, "exists", args![Value::Null, false])?;
    c.scene("path with NUL", "Not a path either.").answered(-8, "exists", args!["/v/\0", false])?;
    let by_number = frame(-77, "exists", &request("exists", args!["/v/a", false]));
    let why = "The server checks no number: 0, negative ones and those in use are echoed. But a client could not \
        tell -1, -2 and \
        -4 from events, pings and auth.";
    c.scene("xid -77", why).raw(0, "exists", by_number)?;
    c.must("create", args!["/v/secret", "", acl(16, "world", "anyone"), 0])?;
    if c.at_least(8) {
        let why = "The ACL lacks READ, which exists needs since 3.8.4 and 3.9.2.";
        c.scene("no permission", why).answered(-102, "exists", args!["/v/secret", false])?;
    } else {
        let why = "The ACL lacks READ, which exists did not need before 3.8.4 and 3.9.2.";
        c.scene("no permission", why).ok("exists", args!["/v/secret", false])?;
    }
    Ok(())
}

fn read(c: &mut Client<'_>) -> Done {
    c.scene("getData", "Data and stat.").ok("getData", args!["/v/a", false])?;
    c.scene("data null", "Null is -1 as the length, and dataLength 0.").ok("getData", args!["/v/null", false])?;
    c.scene("data empty", "Empty is 0 as the length.").ok("getData", args!["/v/empty", false])?;
    c.scene("missing", "NO_NODE.").answered(-101, "getData", args!["/v/none", false])?;
    let why = "Reads do not check paths: this one is merely not there.";
    c.scene("path not valid", why).answered(-101, "getData", args!["/v//a", false])?;
    let why = "A standalone server has the znode of the configuration, but nothing in it.";
    c.scene("configuration", why).ok("getData", args!["/zookeeper/config", false])?;
    c.scene("no permission", "The ACL lacks READ.").answered(-102, "getData", args!["/v/secret", false])?;
    c.scene("bool of 2", "A boolean is a byte, and every byte but 0 is true.").raw(0, "getData", {
        let mut body = request("getData", args!["/v/a"]);
        body.push(2);
        frame(1000, "getData", &body)
    })?;
    c.scene("getACL", "The entries, and the stat.").ok("getACL", args!["/v/a"])?;
    let both: Value = args![args![1, args!["world", "anyone"]], args![31, args!["digest", "joe:AAAA"]]].into();
    c.must("create", args!["/v/joe", "", both, 0])?;
    let why = "Without ADMIN permission the hash behind a user's name is hidden: `joe:AAAA` becomes `joe:x`.";
    c.scene("masked", why).ok("getACL", args!["/v/joe"])?;
    c.scene("missing", "NO_NODE.").answered(-101, "getACL", args!["/v/none"])?;
    Ok(())
}

fn write(c: &mut Client<'_>) -> Done {
    let why = "Path, data, and the version that the znode must have, here any. The reply is the new stat.";
    c.scene("setData", why).ok("setData", args!["/v/a", "two", -1])?;
    c.scene("data null", "Null is data too.").ok("setData", args!["/v/null", Value::Null, 0])?;
    c.scene("missing", "NO_NODE.").answered(-101, "setData", args!["/v/none", "", -1])?;
    c.scene("version wrong", "BAD_VERSION.").answered(-103, "setData", args!["/v/a", "", 9])?;
    c.scene("version -2", "Only -1 means any version.").answered(-103, "setData", args!["/v/a", "", -2])?;
    c.scene("no permission", "The ACL lacks WRITE.").answered(-102, "setData", args!["/v/locked", "", -1])?;
    c.scene("trailing bytes", "What stands behind the record is ignored: records grow at their end.").raw(
        0,
        "setData",
        {
            let mut body = request("setData", args!["/v/a", "three", -1]);
            body.extend([1, 2, 3]);
            frame(1001, "setData", &body)
        },
    )?;
    let why = "The version is the aversion, which counts the changes of the ACL. Nothing else in the stat changes.";
    c.scene("setACL", why).ok("setACL", args!["/v/null", acl(31, "world", "anyone"), 0])?;
    c.scene("version wrong", "BAD_VERSION.").answered(-103, "setACL", args!["/v/null", open(), 0])?;
    c.scene("scheme unknown", "INVALID_ACL.").answered(-114, "setACL", args!["/v/null", acl(31, "nobody", "x"), -1])?;
    let why = "The id of digest is a user and a hash, with one colon between them.";
    c.scene("id malformed", why).answered(-114, "setACL", args!["/v/null", acl(31, "digest", "joe"), -1])?;
    c.scene("missing", "NO_NODE.").answered(-101, "setACL", args!["/v/none", open(), -1])?;
    let why = "The scheme `auth` stands for who we are; who has not said so gets INVALID_ACL.";
    c.scene("auth without identity", why).answered(-114, "setACL", args!["/v/null", acl(31, "auth", ""), -1])?;
    Ok(())
}

fn children(c: &mut Client<'_>) -> Done {
    c.must("create", args!["/v/p", "", open(), 0])?;
    for name in ["/v/p/one", "/v/p/two", "/v/p/two/deep"] {
        c.must("create", args![name, "", open(), 0])?;
    }
    c.scene("getChildren", "Names, not paths, in no order.").ok("getChildren", args!["/v/p", false])?;
    c.scene("no children", "An empty list.").ok("getChildren", args!["/v/a", false])?;
    c.scene("missing", "NO_NODE.").answered(-101, "getChildren", args!["/v/none", false])?;
    c.scene("getChildren2", "The same with the znode's stat.").ok("getChildren2", args!["/v/p", false])?;
    c.scene("missing", "NO_NODE.").answered(-101, "getChildren2", args!["/v/none", false])?;
    let why = "All descendants, not only children, and not the znode itself.";
    c.scene("getAllChildrenNumber", why).ok("getAllChildrenNumber", args!["/v/p"])?;
    c.scene("missing", "NO_NODE.").answered(-101, "getAllChildrenNumber", args!["/v/none"])?;
    Ok(())
}

fn sync(c: &mut Client<'_>) -> Done {
    let why = "The pipeline to the leader is flushed. The reply is the path as it was sent.";
    c.scene("sync", why).ok("sync", args!["/v/a"])?;
    c.scene("missing", "The path is not looked up.").ok("sync", args!["/v/none"])?;
    let why = "A character above U+FFFF is sent in 4 bytes of UTF-8 and comes back as two surrogates of 3 bytes \
        each: Java's strings.";
    c.scene("CESU-8", why).ok("sync", args!["/\u{1F600}"])?;
    c.scene("path null", "Null is echoed too.").ok("sync", args![Value::Null])?;
    Ok(())
}

fn lists(c: &mut Client<'_>) -> Done {
    let why = "This session's ephemeral znodes whose path begins with these characters; not a path: `/v/e` matches \
        `/v/eph`.";
    c.scene("getEphemerals", why).ok("getEphemerals", args!["/v/ep"])?;
    c.scene("none", "Nothing begins so.").ok("getEphemerals", args!["/w"])?;
    let why = "Null, blank and `/` ask for all; this session has three.";
    c.scene("prefix null", why).ok("getEphemerals", args![Value::Null])?;
    c.scene("ping", "Keeps the session alive; its xid is -2, and it has no body.").ok("ping", args![])?;
    let why = "Whatever the number of the request, the reply's is -2.";
    c.scene("other xid", why).raw(0, "ping", frame(55, "ping", &[]))?;
    if c.at_least(7) {
        c.scene("whoAmI", "Everybody is somebody by their address.").ok("whoAmI", args![])?;
    }
    Ok(())
}

fn malformed(c: &mut Client<'_>) -> Done {
    let mut short = request("getData", args!["/v/a"]);
    short.truncate(6);
    let why = "The path has 4 bytes and 2 of them are there: MARSHALLING_ERROR, and the connection stays open.";
    c.scene("cut body", why).raw(-5, "getData", frame(1002, "getData", &short))?;
    let mut negative = request("getData", args!["/v/a", false]);
    negative[..4].copy_from_slice(&(-2_i32).to_be_bytes());
    let why = "A length of -1 is null; no other may be negative.";
    c.scene("length -2", why).raw(-5, "getData", frame(1003, "getData", &negative))?;
    let mut count = request("create", args!["/v/count", "", Value::Null, 0]);
    let at = count.len() - 8;
    count[at..at + 4].copy_from_slice(&(-2_i32).to_be_bytes());
    let why = "For a count Java takes every negative number as 0: an ACL without entries.";
    c.scene("ACL count -2", why).raw(-114, "create", frame(1004, "create", &count))?;
    c.must("ping", args![])?;
    Ok(())
}

/// Refusals by the ACL and by the path, operation by operation.
fn forbidden(c: &mut Client<'_>) -> Done {
    for (op, args) in [("getChildren", args!["/v/secret", false]), ("getChildren2", args!["/v/secret", false])] {
        c.scene("no permission", "The ACL lacks READ.").answered(-102, op, args)?;
    }
    c.scene("no permission", "The ACL lacks READ.").answered(-102, "getAllChildrenNumber", args!["/v/secret"])?;
    c.must("create", args!["/v/blind", "", acl(2, "world", "anyone"), 0])?;
    c.scene("no permission", "The ACL lacks READ and ADMIN.").answered(-102, "getACL", args!["/v/blind"])?;
    c.scene("no permission", "The ACL lacks ADMIN.").answered(-102, "setACL", args!["/v/blind", open(), -1])?;
    c.must("create", args!["/v/keep", "", acl(5, "world", "anyone"), 0])?;
    c.must("create", args!["/v/keep/child", "", open(), 0])?;
    c.scene("no permission", "The parent's ACL lacks DELETE.").answered(-102, "delete", args!["/v/keep/child", -1])?;
    c.scene("path invalid", "No component may be `..`.").answered(-8, "setData", args!["/v/..", "", -1])?;
    c.scene("path invalid", "No component may be `..`.").answered(-8, "setACL", args!["/v/..", open(), -1])?;
    Ok(())
}

/// Refusals of the other ways to create and delete.
fn others(c: &mut Client<'_>) -> Done {
    as_create(c, "create2", &[0])?;
    as_create(c, "createContainer", &[4])?;
    if c.at_least(9) {
        c.scene("has children", "As delete.").answered(-111, "deleteContainer", args!["/v/full"])?;
        c.scene("missing", "As delete.").answered(-101, "deleteContainer", args!["/v/none"])?;
    }
    Ok(())
}

/// The refusals of create, for an operation whose record goes on with `rest` behind the ACL.
fn as_create(c: &mut Client<'_>, op: &str, rest: &[i64]) -> Done {
    let record = |path: &str, acl: Value| {
        [args![path, ""], vec![acl], rest.iter().map(|number| Value::from(*number)).collect()].concat()
    };
    for (scene, err, path) in [
        ("exists already", -110, "/v/locked"),
        ("no parent", -101, "/v/none/a"),
        ("no permission", -102, "/v/locked/a"),
        ("below an ephemeral", -108, "/v/eph/a"),
        ("path invalid", -8, "/v/.."),
    ] {
        c.scene(scene, "As create.").answered(err, op, record(path, open()))?;
    }
    c.scene("ACL empty", "As create.").answered(-114, op, record("/v/b", Value::List(Vec::new())))?;
    Ok(())
}

/// What a server does not know, or must not be asked. Each costs a connection.
pub(crate) fn unknown(stage: &Stage<'_>) -> Done {
    let why = "An opcode that no server knows: UNIMPLEMENTED with zxid -1. All other requests under way are lost.";
    stage.session()?.scene("opcode 999", why).then_closed().answered(-6, "unknown", args![])?;
    let why = "Opcode 0 is the number of events in the source, and no request.";
    stage.session()?.scene("as a request", why).within("unknown").then_closed().answered(
        -6,
        "notification",
        args![],
    )?;
    let why = "createSession is what servers call a greeting among themselves; as a request it cannot be read.";
    stage.session()?.scene("createSession", why).within("unknown").answered(-5, "createSession", args![])?;
    if !stage.at_least(7) {
        let why = "Before 3.7 the operation is unknown.";
        stage.session()?.scene("unknown before 3.7", why).then_closed().answered(-6, "whoAmI", args![])?;
    }
    check(stage)
}

/// A check that stands by itself.
pub(crate) fn check(stage: &Stage<'_>) -> Done {
    let mut client = stage.session()?;
    if ["3.8.6", "3.9.5"].contains(&stage.version.as_str()) {
        let why = "Belongs into a multi. By itself it is unknown since 3.8.5 and 3.9.3.";
        client.scene("by itself", why).then_closed().answered(-6, "check", args!["/v", 0])?;
    } else {
        let why = "Belongs into a multi. Before 3.8.5 and 3.9.3 a server answers it by itself only when it fails.";
        client.scene("by itself and failing", why).answered(-101, "check", args!["/none", 0])?;
        let why = "The same where the check succeeds: no answer, and a client that waits for one hangs.";
        client.scene("by itself", why).unanswered("check", args!["/", -1])?;
    }
    Ok(())
}

/// On a server whose `jute.maxbuffer` is 100 bytes.
pub(crate) fn too_long(stage: &Stage<'_>) -> Done {
    let why = "A frame longer than the server's `jute.maxbuffer`, here 100 bytes and by default 1,048,575, ends the connection.";
    let data = "x".repeat(100);
    stage.session()?.scene("frame too long", why).unanswered("setData", args!["/", &data[..], -1])
}

/// What needs `extendedTypesEnabled`.
pub(crate) fn ttl(stage: &Stage<'_>) -> Done {
    let mut c = stage.session()?;
    let ttl = |path: &str, flags: i32, ttl: i64| args![path, "", open(), flags, ttl];
    let why = "A znode that goes when it has no children and was not set for so many ms. Its stat does not tell it \
        from others.";
    c.scene("createTTL", why).ok("createTTL", ttl("/ttl", 5, 60_000))?;
    c.scene("sequential", "Flag 6.").ok("createTTL", ttl("/ttl-", 6, 60_000))?;
    c.must("create", args!["/v", "", open(), 0])?;
    c.must("create", args!["/v/locked", "", acl(1, "world", "anyone"), 0])?;
    c.must("create", args!["/v/eph", "", open(), 1])?;
    as_create(&mut c, "createTTL", &[5, 60_000])?;
    c.scene("flags of create", "Flag 0 belongs to create.").answered(-8, "createTTL", ttl("/t", 0, 60_000))?;
    c.scene("TTL flag", "Flag 5 belongs to createTTL.").answered(-8, "create", args!["/t", "", open(), 5])?;
    c.scene("ttl too long", "At most 2^40 - 1 ms.").answered(-8, "createTTL", ttl("/t", 5, 1 << 40))?;
    c.scene("ttl 0", "At least 1 ms.").answered(-8, "createTTL", ttl("/t", 5, 0))?;
    Ok(())
}

/// What needs `enforceQuota` and 3.7.
pub(crate) fn quota(stage: &Stage<'_>) -> Done {
    let mut c = stage.session()?;
    for (path, data) in [
        ("/q", ""),
        ("/zookeeper/quota/q", ""),
        ("/zookeeper/quota/q/zookeeper_limits", "count=-1,bytes=-1=;byteHardLimit=10;countHardLimit=2"),
        ("/zookeeper/quota/q/zookeeper_stats", "count=1,bytes=0"),
    ] {
        c.must("create", args![path, data, open(), 0])?;
    }
    let why = "A hard limit of 10 bytes for the subtree, on a server with `enforceQuota`.";
    c.scene("over quota", why).answered(-125, "setData", args!["/q", "more than ten bytes", -1])?;
    c.must("create", args!["/q/one", "", open(), 0])?;
    let why = "A hard limit of 2 znodes for the subtree.";
    for (op, flags) in [("create", 0), ("create2", 0), ("createContainer", 4)] {
        c.scene("over quota", why).answered(-125, op, args!["/q/two", "", open(), flags])?;
    }
    c.scene("over quota", why).answered(-125, "createTTL", args!["/q/two", "", open(), 5, 60_000_i64])?;
    Ok(())
}
