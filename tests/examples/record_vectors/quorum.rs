//! Scenes that need an ensemble: reconfiguration, read-only servers, local sessions.

use crate::auth;
use crate::client::{Done, Stage};
use crate::greeting::greet;
use crate::races;
use crate::value::{Value, args, item, open};

const NULL: Value = Value::Null;

/// On standalone servers: the feature off, or on.
pub(crate) fn reconfig_alone(stage: &Stage<'_>, enabled: bool) -> Done {
    let mut client = stage.session()?;
    let nothing = args![NULL, NULL, NULL, -1_i64];
    if enabled {
        let why = "A standalone server has no configuration to change; the connection stays open.";
        client.scene("standalone", why).answered(-6, "reconfig", nothing)?;
    } else {
        let why = "Off, as it is by default (`reconfigEnabled`).";
        client.scene("disabled", why).answered(-123, "reconfig", nothing)?;
    }
    Ok(())
}

/// On the leader of an ensemble of three with `reconfigEnabled`; `follower` is the `myid` of another server.
pub(crate) fn reconfig(stage: &Stage<'_>, follower: usize) -> Done {
    let why = "Needs WRITE on /zookeeper/config, which by default only the super user has.";
    stage.session()?.scene("no permission", why).answered(-102, "reconfig", args![NULL, NULL, NULL, -1_i64])?;
    let mut client = auth::superuser(stage)?;
    let c = &mut client;
    let why = "An ensemble's configuration: the servers and a version in hexadecimal, which is a zxid.";
    let config = c.scene("configuration of an ensemble", why).ok("getData", args!["/zookeeper/config", false])?;
    let config = String::from_utf8_lossy(config.body()).into_owned();
    let head = format!("server.{follower}=");
    let member =
        config.lines().find(|line| line.contains(&head)).and_then(|line| line.find(&head).map(|at| &line[at..]));
    let member = member.ok_or("the configuration does not name the follower")?;
    let why = "A server leaves. The reply is as getData's: the new configuration and its stat.";
    c.scene("reconfig", why).ok("reconfig", args![NULL, &follower.to_string()[..], NULL, -1_i64])?;
    c.scene("joining", "It comes back.").ok("reconfig", args![member, NULL, NULL, -1_i64])?;
    let why = "Three times null: a change that changes nothing but the version.";
    c.scene("nothing given", why).ok("reconfig", args![NULL, NULL, NULL, -1_i64])?;
    let why = "The version must be the configuration's, or -1.";
    c.scene("version wrong", why).answered(-103, "reconfig", args![NULL, NULL, NULL, 1_i64])?;
    let why = "BAD_ARGUMENTS.";
    c.scene("not readable", why).answered(-8, "reconfig", args!["server.9=nonsense", NULL, NULL, -1_i64])?;
    races::reconfig(c)?;
    let strangers = "server.7=127.0.0.1:1:2;127.0.0.1:3,server.8=127.0.0.1:4:5;127.0.0.1:6";
    let why = "Nobody of the new configuration is connected.";
    c.scene("no quorum", why).answered(-13, "reconfig", args![NULL, NULL, strangers, -1_i64])?;
    Ok(())
}

/// On an ensemble with `localSessionsEnabled` and without their upgrade.
pub(crate) fn local_session(stage: &Stage<'_>) -> Done {
    let why = "A local session that may not become a global one (`localSessionsUpgradingEnabled` is off) cannot own \
        an ephemeral znode.";
    let mut client = stage.session()?;
    for op in ["create", "create2"] {
        client.scene("ephemeral of a local session", why).answered(-120, op, args!["/eph", "", open(), 1])?;
    }
    Ok(())
}

/// On a server that has lost its quorum and is read-only; `local` where local sessions are enabled.
pub(crate) fn read_only(stage: &Stage<'_>, local: bool) -> Done {
    let zeros = || vec![0_u8; 16];
    let asked = args![0, 0, 8000, 0, zeros(), true];
    if !local {
        let why = if stage.at_least(7) {
            "A read-only server since 3.7 without local sessions, the default: 16 bytes as of a reply, and no \
                response. \
             The socket stays open. Close it, and try another server."
        } else {
            "A read-only server, asked by a client that takes one: readOnly is 1."
        };
        let scene = if stage.at_least(7) { "read-only refused" } else { "read-only" };
        greet(stage, scene, why, asked)?;
        let why = "A read-only server, asked by a client that does not take one: closed.";
        greet(stage, "read-only unwanted", why, args![0, 0, 8000, 0, zeros(), false])?;
        if stage.at_least(7) {
            return Ok(());
        }
    } else {
        let why = "A read-only server, asked by a client that takes one: readOnly is 1. Since 3.7 it must have \
            `localSessionsEnabled`.";
        greet(stage, "read-only", why, asked)?;
    }
    let mut client = stage.dial()?;
    client.greet(true)?;
    client.must("getData", args!["/", false])?;
    let why = "NOT_READ_ONLY, and the connection stays open.";
    client.scene("read-only server", why).answered(-119, "create", args!["/no", "", open(), 0])?;
    client.scene("read-only server", "A sync needs a leader.").answered(-119, "sync", args!["/"])?;
    let why = "A multi is a write, whatever is in it.";
    client.scene("read-only server", why).answered(-119, "multi", args![item("check", args!["/", -1])])?;
    Ok(())
}
