//! Scenes that hang on time: several requests in one write.

use crate::annotate;
use crate::book::Step;
use crate::client::{Client, Done, Seen, Stage};
use crate::value::{Value, args, open};

/// How often a scene may be tried until it turns out as wanted.
const TRIES: usize = 200;
/// Requests in one write, so that some of them wait in the server.
const CROWD: usize = 200;

/// A request behind the end of the session.
pub(crate) fn behind_the_end(stage: &Stage<'_>) -> Done {
    for _ in 0..TRIES {
        let mut client = stage.session()?;
        let end = client.request("closeSession", args![]);
        let behind = client.request("create", args!["/behind", "", open(), 1]);
        client.send_together(&[&end, &behind])?;
        let Seen::Frame(first) = client.receive_reply()? else { continue };
        let Seen::Frame(second) = client.receive_reply()? else { continue };
        if err(&second) != -112 {
            return Err(format!("behind the end: {}", err(&second)).into());
        }
        let steps = vec![
            Step::Frame("request", annotate::request(&end)),
            Step::Frame("request", annotate::request(&behind)),
            Step::Frame("reply", annotate::reply(-11, &first)),
            Step::Frame("refused", annotate::reply(1, &second)),
        ];
        let why = "A request sent behind the end, before the reply to it came: SESSION_EXPIRED, or nothing at all.";
        stage.keep("closeSession", "request behind the end", why, steps);
        return Ok(());
    }
    Err("behind the end: never answered".into())
}

/// An auth packet behind writes.
pub(crate) fn overtaking(stage: &Stage<'_>) -> Done {
    for _ in 0..TRIES {
        let mut client = stage.session()?;
        let write = client.request("create", args!["/overtaken-", "", open(), 3]);
        let auth = client.request("auth", args![0, "digest", "bob:secret"]);
        client.send_together(&[&write, &auth])?;
        let (Seen::Frame(first), Seen::Frame(second)) = (client.receive_reply()?, client.receive_reply()?) else {
            return Err("overtaking: no answer".into());
        };
        if first[..4] == auth[..4] {
            let steps = vec![
                Step::Frame("request", annotate::request(&write)),
                Step::Frame("request", annotate::request(&auth)),
                Step::Frame("reply", annotate::reply(100, &first)),
                Step::Frame("reply", annotate::reply(1, &second)),
            ];
            let why = "Replies come in the order of the requests, but for this one: the reply to an auth packet may \
                come before those to requests that were sent before it. So match by xid.";
            stage.keep("auth", "overtaking", why, steps);
            return Ok(());
        }
    }
    Err("overtaking: never".into())
}

/// Several changes of the configuration at a time, on the leader of an ensemble.
pub(crate) fn reconfig(client: &mut Client<'_>) -> Done {
    let nothing = args![Value::Null, Value::Null, Value::Null, -1_i64];
    for _ in 0..TRIES {
        let requests: Vec<Vec<u8>> = (0..2).map(|_| client.request("reconfig", &nothing)).collect();
        client.send_together(&[&requests[0], &requests[1]])?;
        for request in &requests {
            let Seen::Frame(reply) = client.receive_reply()? else { return Err("reconfig: no answer".into()) };
            if err(&reply) == -14 {
                let steps = vec![
                    Step::Frame("request", annotate::request(request)),
                    Step::Frame("refused", annotate::reply(16, &reply)),
                ];
                client.keep("reconfig", "in progress", "Another change is under way.", steps);
                return Ok(());
            }
        }
    }
    Err("reconfig: never two at a time".into())
}

/// On a server that throws away what waits too long, 3.7 and later.
pub(crate) fn throttled(stage: &Stage<'_>) -> Done {
    let mut client = stage.session()?;
    let requests: Vec<Vec<u8>> =
        (0..CROWD).map(|_| client.request("create", args!["/crowd-", "", open(), 3])).collect();
    client.send_together(&requests.iter().map(Vec::as_slice).collect::<Vec<_>>())?;
    for request in &requests {
        let Seen::Frame(reply) = client.receive_reply()? else { return Err("throttled: no answer".into()) };
        if err(&reply) == -127 {
            let own = requests.iter().find(|own| own[..4] == reply[..4]).unwrap_or(request);
            let steps = vec![
                Step::Frame("request", annotate::request(own)),
                Step::Frame("refused", annotate::reply(1, &reply)),
            ];
            let why = "The request waited longer than `throttledOpWaitTime` (off by default): THROTTLED_OP. It was not \
                done and may be tried later.";
            stage.keep("create", "throttled", why, steps);
            return Ok(());
        }
    }
    Err("throttled: everything was done".into())
}

fn err(frame: &[u8]) -> i32 {
    frame.get(12..16).and_then(|err| err.try_into().ok()).map_or(0, i32::from_be_bytes)
}
