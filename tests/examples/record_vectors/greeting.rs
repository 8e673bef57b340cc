//! Scenes of the greeting: new sessions, renewals, and what a server says when it does not want us.

use crate::annotate;
use crate::book::Step;
use crate::client::{Client, Done, Seen, Stage};
use crate::value::{self, Value, args};

/// What is played on a server of any version.
pub(crate) fn play(stage: &Stage<'_>) -> Done {
    let no_byte = if stage.version.starts_with("3.9.1") {
        "A client from before 3.4 has no readOnly byte. 3.9.0 to 3.9.2 send theirs all the same (ZOOKEEPER-4814)."
    } else {
        "A client from before 3.4 has no readOnly byte, and so gets none. Read the byte as optional."
    };
    let zeros = || vec![0_u8; 16];
    let new = "A new session: sessionId 0, a password of zeros, the wanted timeout in ms. The answer says what was \
               granted; id and password renew the session later.";
    greet(stage, "connect", new, args![0, 0, 8000, 0, zeros(), false])?;
    greet(stage, "no readOnly byte", no_byte, args![0, 0, 8000, 0, zeros()])?;
    let seven = "No server checks the protocol version; it answers 0.";
    greet(stage, "protocolVersion 7", seven, args![7, 0, 8000, 0, zeros(), false])?;
    let null = "A password of null, which some clients send for a new session, is taken as zeros.";
    greet(stage, "password null", null, args![0, 0, 8000, 0, Value::Null, false])?;
    let short = "The wanted timeout is clamped to the server's limits; these servers' shortest is 400 ms.";
    greet(stage, "timeout too short", short, args![0, 0, 0, 0, zeros(), false])?;
    let unknown = "A session that is unknown, closed or expired: timeOut 0 and zeros. Then the connection is closed.";
    greet(stage, "expired", unknown, args![0, 0, 8000, 0x0100_0000_dead_beef_i64, zeros(), false])?;
    renew(stage)
}

fn renew(stage: &Stage<'_>) -> Done {
    let mut first = stage.session()?;
    let zxid = first.call("ping", args![])?.zxid;
    let renewal = |client: &Client<'_>, zxid: i64, passwd: Vec<u8>| args![0, zxid, 8000, client.session, passwd, false];
    let why = "A renewal, with the highest zxid the client has seen: same id, same password, the timeout is negotiated \
               again. The session's old connection is closed.";
    greet(stage, "renewal", why, renewal(&first, zxid, first.passwd.clone()))?;
    let why = "A wrong password is answered as an expired session is, although the session lives.";
    greet(stage, "wrong password", why, renewal(&first, zxid, vec![1; 16]))?;
    let why = "A client that has seen a newer zxid than the server gets no answer at all: try another server.";
    greet(stage, "zxid ahead", why, renewal(&first, zxid + 1_000_000, first.passwd.clone()))
}

/// Plays a greeting and keeps it, whatever its answer.
pub(crate) fn greet(stage: &Stage<'_>, scene: &str, why: &str, values: Vec<Value>) -> Done {
    let request = value::encode("ConnectRequest", &values);
    let mut client = stage.dial()?;
    client.send(&request)?;
    let mut steps = vec![Step::Frame("connect-request", annotate::record("ConnectRequest", &request))];
    steps.push(match client.receive()? {
        // Too short for a response: it is a reply header. Its zxid may be 0, by chance.
        Seen::Frame(frame) if frame.len() == 16 => {
            let mut header = annotate::record("ReplyHeader", &frame);
            header
                .lines
                .iter_mut()
                .filter(|line| line.shape.starts_with("zxid"))
                .for_each(|line| line.shape.truncate(4));
            Step::Frame("refused", header)
        }
        Seen::Frame(frame) => Step::Frame("connect-response", annotate::record("ConnectResponse", &frame)),
        Seen::Closed => Step::Remark("The server closes the connection without an answer.".into()),
        Seen::Silence => return Err(format!("{scene}: no answer").into()),
    });
    stage.keep("connect", scene, why, steps);
    Ok(())
}
