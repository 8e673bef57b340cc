//! Recursive watch; for each event a getData, or one multiRead for events that came together.

use crate::{
    args::WatcherArgs,
    error::Failure,
    raw::{Raw, garbage},
    report,
    samples::{NotifyLine, Parts, Samples},
    value::now_ns,
    wire::{self, EVENT_XID, Found},
};
use std::collections::VecDeque;
use zk_proto::OpCode;

/// Reads on their way, oldest first: when the event came, and how many it was.
type Asked = VecDeque<(u64, bool)>;

pub(super) fn run(args: &WatcherArgs) -> Result<NotifyLine, Failure> {
    let mut raw = Raw::connect(&args.connect)?;
    raw.watch(&args.root)?;
    let mut samples = Samples::new(args.count, 1);
    let mut asked = Asked::new();
    let mut paths: Vec<Vec<u8>> = Vec::new();
    report::print("READY")?;
    loop {
        let Raw { inbox, outbox } = &mut raw;
        let frame = inbox.next_frame().map_err(Failure::io("receive"))?;
        let now = now_ns();
        let (header, body) = wire::header(frame).ok_or_else(|| garbage("read a frame"))?;
        if header.xid == EVENT_XID {
            let path = wire::event_path(body).ok_or_else(|| garbage("read an event"))?;
            if args.many {
                paths.push(path.to_vec());
            } else {
                outbox.add(|out, xid| wire::get_data(out, xid, path));
                asked.push_back((now, false));
            }
        } else if take(body, header.err, &mut asked, &mut samples)? {
            return Ok(samples.line(&args.name, args.split));
        }
        if !inbox.has_frame() {
            ask(&mut raw, &mut paths, &mut asked, now)?;
        }
    }
}

/// Everything that was here has been looked at: sends the reads.
fn ask(raw: &mut Raw, paths: &mut Vec<Vec<u8>>, asked: &mut Asked, now: u64) -> Result<(), Failure> {
    match paths.as_slice() {
        [] => {}
        [path] => {
            raw.outbox.add(|out, xid| wire::get_data(out, xid, path));
            asked.push_back((now, false));
        }
        several => {
            let several = several.iter().map(Vec::as_slice);
            raw.outbox.add(|out, xid| wire::read_many(out, xid, OpCode::GET_DATA, several));
            asked.push_back((now, true));
        }
    }
    paths.clear();
    raw.outbox.flush_if_any()
}

/// A reply. Answers whether the last value came.
fn take(body: &[u8], err: i32, asked: &mut Asked, samples: &mut Samples) -> Result<bool, Failure> {
    let (event_ns, many) = asked.pop_front().ok_or_else(|| garbage("match a reply"))?;
    if err != 0 {
        return Ok(false); // deleted meanwhile
    }
    let mut ended = false;
    let mut hold = |value| {
        let parts = Parts { event_ns, reply_ns: None, held_ns: now_ns() };
        ended |= samples.hold(value, Some(parts));
    };
    if many {
        let each = |found| {
            if let Found::Data(value, _) = found {
                hold(value)
            }
        };
        wire::many(body, each).ok_or_else(|| garbage("read a batch"))?;
    } else {
        hold(wire::data(body).ok_or_else(|| garbage("read a value"))?);
    }
    Ok(ended)
}
