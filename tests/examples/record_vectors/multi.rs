//! Scenes of transactions and of batched reads.

use crate::client::{Client, Done, Stage, frame};
use crate::value::{Value, acl, args, item, open, request};

/// What is played on a server of any version.
pub(crate) fn play(stage: &Stage<'_>) -> Done {
    let mut client = stage.session()?;
    let c = &mut client;
    c.must("create", args!["/m", "", open(), 0])?;
    c.must("create", args!["/m/a", "one", open(), 0])?;
    c.must("create", args!["/m/gone", "", open(), 0])?;
    multi(c)?;
    create2(c)?;
    refused(c)?;
    reads(c)
}

fn multi(c: &mut Client<'_>) -> Done {
    let all = || {
        args![
            item("check", args!["/m/a", 0]),
            item("create", args!["/m/b", "two", open(), 0]),
            item("setData", args!["/m/a", "three", 0]),
            item("delete", args!["/m/gone", -1]),
        ]
    };
    let why = "All or nothing, under one zxid. Each operation stands behind a header with its opcode; a header with \
        done 1 ends the list. Each result has the operation's own record; delete and check have none.";
    c.scene("multi", why).ok("multi", all())?;
    // The same in the file of check, which has no other place to be in.
    c.must("create", args!["/m/gone", "", open(), 0])?;
    let why = "Only inside a multi: the transaction fails unless the znode has this version. Its result is a header.";
    c.scene("check", why).within("check").ok("multi", args![item("check", args!["/m/a", 1])])?;
    let why = "The version is wrong: the reply's header says OK, the failure is in the result.";
    c.scene("failed", why).within("check").ok("multi", args![item("check", args!["/m/a", 9])])?;
    c.must("create", args!["/m/secret", "", acl(16, "world", "anyone"), 0])?;
    for (scene, why, path) in [
        ("missing", "NO_NODE.", "/m/none"),
        ("no permission", "The ACL lacks READ.", "/m/secret"),
        ("path invalid", "No component may be `..`.", "/m/.."),
    ] {
        c.scene(scene, why).within("check").ok("multi", args![item("check", args![path, -1])])?;
    }
    let why = "The header says err 0 all the same. Results before the culprit say 0, the culprit says why, those \
        behind it -2. Nothing was done.";
    c.scene("failed", why).ok(
        "multi",
        args![
            item("setData", args!["/m/a", "never", -1]),
            item("create", args!["/m/b", Value::Null, open(), 0]),
            item("delete", args!["/m/gone", -1]),
        ],
    )?;
    c.scene("empty", "Allowed: the end, both ways.").ok("multi", args![])?;
    let why = "An operation sees what those before it did.";
    c.scene("parent and child", why).ok(
        "multi",
        args![item("create", args!["/m/new", "", open(), 0]), item("create", args!["/m/new/child", "", open(), 0]),],
    )?;
    Ok(())
}

/// Answered as create before 3.7.2, 3.8.2 and 3.9.0.
pub(crate) fn create2(c: &mut Client<'_>) -> Done {
    let old = c.is_any_of(&["3.6.4", "3.8.1"]);
    let (create2, container) = if old {
        (
            "Before 3.7.2 and 3.8.2 a create2 in a multi is answered as a create: type 1, without the stat \
                (ZOOKEEPER-4026).",
            "A container is answered as a create2, type 15; type 19 never comes back.",
        )
    } else {
        (
            "A create2 in a multi is answered as type 15 with the stat.",
            "A container is answered as a create2, type 15; type 19 never comes back.",
        )
    };
    c.scene("create2 inside", create2).ok("multi", args![item("create2", args!["/m/c2", "", open(), 0])])?;
    c.scene("createContainer inside", container)
        .ok("multi", args![item("createContainer", args!["/m/c", "", open(), 4])])?;
    Ok(())
}

/// On a server that knows znodes with a time to live.
pub(crate) fn ttl(stage: &Stage<'_>) -> Done {
    let mut c = stage.session()?;
    let create = item("createTTL", args!["/mt", "", open(), 5, 60_000_i64]);
    let why = "A znode with a time to live is answered as a create2, type 15; type 21 never comes back.";
    c.scene("createTTL inside", why).ok("multi", args![create])?;
    Ok(())
}

/// Only what differs: for versions whose other scenes are known from a sister.
pub(crate) fn old(stage: &Stage<'_>) -> Done {
    let mut c = stage.session()?;
    c.must("create", args!["/m", "", open(), 0])?;
    create2(&mut c)?;
    bad_flags(&mut c)
}

fn bad_flags(c: &mut Client<'_>) -> Done {
    let bad = args![item("create", args!["/m/bad", "", open(), 9])];
    if c.call("multi", bad.clone())?.err == 0 {
        c.scene("flags unknown", "A create with flags that are no mode: the result is -8.").ok("multi", bad)?;
    } else {
        let why = "A create with flags that are no mode: the whole request is refused, with no body.";
        c.scene("flags unknown", why).answered(-5, "multi", bad)?;
    }
    Ok(())
}

fn refused(c: &mut Client<'_>) -> Done {
    bad_flags(c)?;
    let why = "A multi holds no reads.";
    c.scene("read inside", why).answered(-5, "multi", args![item("getData", args!["/m/a", false])])?;
    let mut endless = request("multi", args![item("delete", args!["/m/none", -1])]);
    endless.truncate(endless.len() - 9);
    c.scene("no end", "The list does not end: MARSHALLING_ERROR.").raw(-5, "multi", frame(1003, "multi", &endless))?;
    Ok(())
}

fn reads(c: &mut Client<'_>) -> Done {
    let why = "Several reads at one zxid. There are getData and getChildren; the watch byte must be there and is \
        ignored.";
    c.scene("multiRead", why)
        .ok("multiRead", args![item("getData", args!["/m/a", false]), item("getChildren", args!["/m", false])])?;
    let why = "Each succeeds or fails by itself.";
    c.scene("one fails", why)
        .ok("multiRead", args![item("getData", args!["/m/none", false]), item("getData", args!["/m/a", true])])?;
    c.scene("empty", "Allowed.").ok("multiRead", args![])?;
    let why = "Refused as a whole, but with a body behind the error: an empty list of results. Ignore what follows \
        an error.";
    c.scene("write inside", why).answered(-5, "multiRead", args![item("setData", args!["/m/a", "x", -1])])?;
    Ok(())
}
