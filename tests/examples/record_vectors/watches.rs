//! Scenes of watches: leaving them, removing them, setting them again, and their events.

use crate::client::{Client, Done, Stage, frame};
use crate::value::{Value, args, item, open, request};

/// What is played on a server of any version.
pub(crate) fn play(stage: &Stage<'_>) -> Done {
    let mut changer = stage.session()?;
    let c = &mut changer;
    for path in ["/w", "/w/a", "/w/p", "/w/p/child", "/w/r", "/w/many", "/w/x", "/w/y"] {
        c.must("create", args![path, "", open(), 0])?;
    }
    events(stage, c)?;
    add(stage, c)?;
    remove(stage, c)?;
    check(stage)?;
    again(stage, c)
}

fn events(stage: &Stage<'_>, c: &mut Client<'_>) -> Done {
    let mut watcher = stage.session()?;
    let w = &mut watcher;
    let zxid = if stage.at_least(9) {
        "The data of a watched znode was set. Since 3.9 the header carries the zxid of the transaction \
            (ZOOKEEPER-4655)."
    } else {
        "The data of a watched znode was set. Before 3.9 the header's zxid is -1."
    };
    w.must("getData", args!["/w/a", true])?;
    c.must("setData", args!["/w/a", "1", -1])?;
    w.event("notification", zxid, 1)?;

    w.call("exists", args!["/w/new", true])?;
    c.must("create", args!["/w/new", "", open(), 0])?;
    w.event("created", "The watch of an exists that found nothing.", 1)?;

    w.must("getChildren", args!["/w/p", true])?;
    c.must("create", args!["/w/p/second", "", open(), 0])?;
    w.event("children changed", "A child was created, or deleted; the event does not say which.", 1)?;

    w.must("getData", args!["/w/new", true])?;
    w.must("getChildren", args!["/w/new", true])?;
    c.must("delete", args!["/w/new", -1])?;
    w.event(
        "deleted",
        "One event for all watches that the connection has on the path: here of the data and of the children.",
        1,
    )?;

    w.must("getData", args!["/w/x", true])?;
    w.must("getData", args!["/w/y", true])?;
    let both = args![item("setData", args!["/w/x", "1", -1]), item("setData", args!["/w/y", "1", -1])];
    c.must("multi", both)?;
    let why = if stage.at_least(9) {
        "Two events of one transaction share its zxid. So a client that has seen one must not believe it has seen \
            that zxid."
    } else {
        "Two events of one transaction; without a zxid nobody can tell."
    };
    w.event("one transaction", why, 2)
}

fn add(stage: &Stage<'_>, c: &mut Client<'_>) -> Done {
    let mut watcher = stage.session()?;
    let w = &mut watcher;
    let why = "A watch that stays, for the znode and its children, which need not exist. The reply's body is four \
        zero bytes.";
    w.scene("addWatch", why).ok("addWatch", args!["/w/many", 0])?;
    c.must("create", args!["/w/many/child", "", open(), 0])?;
    w.event("persistent", "A persistent watch says that children changed, as a one-shot watch does.", 1)?;
    w.scene("recursive", "Mode 1: the whole subtree.").ok("addWatch", args!["/w/r", 1])?;
    c.must("create", args!["/w/r/child", "", open(), 0])?;
    w.event("recursive", "A recursive watch names the child and never says that children changed.", 1)?;
    let why = "No such mode: MARSHALLING_ERROR, and the connection stays open.";
    w.scene("mode unknown", why).answered(-5, "addWatch", args!["/w/r", 2])?;
    let why = "The events of one's own change come before its reply.";
    w.scene("own change", why).within("notification").with_events().ok("setData", args!["/w/r/child", "mine", -1])?;
    Ok(())
}

fn remove(stage: &Stage<'_>, c: &mut Client<'_>) -> Done {
    let mut watcher = stage.session()?;
    let w = &mut watcher;
    w.must("getData", args!["/w/a", true])?;
    let why = "Type 2, data: a watch of getData or exists. No event tells of it.";
    w.scene("removeWatches", why).ok("removeWatches", args!["/w/a", 2])?;
    let why = "The connection has no such watch; it may just have fired.";
    w.scene("no watch", why).answered(-121, "removeWatches", args!["/w/a", 2])?;
    w.must("getChildren", args!["/w/p", true])?;
    w.scene("children", "Type 1: a watch of getChildren.").ok("removeWatches", args!["/w/p", 1])?;
    w.must("getData", args!["/w/x", true])?;
    w.scene("any", "Type 3: everything that the connection has on this path.").ok("removeWatches", args!["/w/x", 3])?;
    w.must("addWatch", args!["/w/y", 0])?;
    w.must("addWatch", args!["/w/r", 1])?;
    if stage.at_least(9) {
        w.scene("persistent", "Type 4, since 3.9.").ok("removeWatches", args!["/w/y", 4])?;
        w.scene("persistent recursive", "Type 5, since 3.9.").ok("removeWatches", args!["/w/r", 5])?;
        w.must("addWatch", args!["/w/y", 0])?;
        let why = "Since 3.9 a persistent watch is no data watch, and stays whole.";
        w.scene("data of a persistent watch", why).answered(-121, "removeWatches", args!["/w/y", 2])?;
    } else {
        let why = "Servers before 3.9 do not know types 4 and 5 (ZOOKEEPER-4472).";
        w.scene("persistent", why).answered(-5, "removeWatches", args!["/w/y", 4])?;
        w.scene("persistent recursive", why).answered(-5, "removeWatches", args!["/w/r", 5])?;
        let why = "Before 3.9 this takes half of a persistent watch away (ZOOKEEPER-4471).";
        w.scene("data of a persistent watch", why).ok("removeWatches", args!["/w/y", 2])?;
        c.must("setData", args!["/w/y", "half", -1])?;
    }
    w.scene("type unknown", "No such type.").answered(-5, "removeWatches", args!["/w/y", 0])?;
    Ok(())
}

fn check(stage: &Stage<'_>) -> Done {
    let mut watcher = stage.session()?;
    let w = &mut watcher;
    w.must("getData", args!["/w/a", true])?;
    let why = "Is there such a watch? Types as for removeWatches.";
    w.scene("checkWatches", why).ok("checkWatches", args!["/w/a", 2])?;
    let mut other = stage.session()?;
    if stage.at_least(9) {
        let why = "Another connection's watch does not count.";
        other.scene("another's watch", why).answered(-121, "checkWatches", args!["/w/a", 2])?;
    } else {
        let why = "Before 3.9 another connection's watch on the path counts too.";
        other.scene("another's watch", why).ok("checkWatches", args!["/w/a", 2])?;
    }
    w.scene("no watch", "There is none.").answered(-121, "checkWatches", args!["/w/none", 3])?;
    w.scene("type unknown", "No such type.").answered(-5, "checkWatches", args!["/w/a", 6])?;
    Ok(())
}

/// Watches after a reconnect.
fn again(stage: &Stage<'_>, c: &mut Client<'_>) -> Done {
    c.must("ping", args![])?;
    let seen = c.must("setData", args!["/w/x", "seen", -1])?.zxid;
    c.must("setData", args!["/w/a", "unseen", -1])?;
    c.must("create", args!["/w/p/third", "", open(), 0])?;
    let paths = |paths: &[&str]| -> Value { paths.iter().map(|path| Value::from(*path)).collect::<Vec<_>>().into() };
    let one_shot =
        || args![seen, paths(&["/w/a", "/w/x", "/w/gone"]), paths(&["/w/y", "/w/never"]), paths(&["/w/p", "/w/many"])];
    let why = "After a reconnect: watches left before, and the last zxid seen. What changed since is told at once, \
        before the reply, with zxid -1 on every version: the data of /w/a, that /w/gone is not there, that /w/y is, \
        the children of /w/p. The others are armed again.";
    stage.session()?.scene("setWatches", why).with_events().ok("setWatches", one_shot())?;
    let why = "The same with persistent and recursive watches, for which nothing is ever made up for \
        (ZOOKEEPER-4698).";
    let mut all = one_shot();
    all.extend([paths(&["/w/a"]), paths(&["/w"])]);
    stage.session()?.scene("setWatches2", why).with_events().ok("setWatches2", all)?;
    let empty = || args![seen, paths(&[]), paths(&[]), paths(&[])];
    stage
        .session()?
        .scene("xid -8", "The C client sends it under this number, the Java client under an ordinary one.")
        .raw(0, "setWatches", frame(-8, "setWatches", &request("setWatches", empty())))?;
    let why = "An empty list has count 0; null is an error.";
    stage.session()?.scene("list null", why).answered(
        -5,
        "setWatches",
        args![seen, Value::Null, paths(&[]), paths(&[])],
    )?;
    let why = "A path of null is taken, and watches nothing that could change.";
    stage.session()?.scene("path null", why).ok("addWatch", args![Value::Null, 0])?;
    Ok(())
}
