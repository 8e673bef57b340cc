//! Recursive watch; for each event a getData, or one multiRead for events that came together. Several sessions share a
//! thread that waits for all of them.

use crate::{
    args::WatcherArgs,
    error::Failure,
    raw::{Raw, garbage},
    report,
    samples::{NotifyLine, Parts, Samples},
    value::now_ns,
    wire::{self, EVENT_XID, Found},
};
use rustix::{
    buffer::spare_capacity,
    event::epoll::{self, CreateFlags, Event, EventData, EventFlags},
    io::Errno,
};
use std::{collections::VecDeque, io};
use zk_proto::OpCode;

/// Sessions that the kernel tells of at once.
const EVENTS_MAX: usize = 256;

/// One session, and what it waits for.
pub(super) struct Watch {
    pub(super) raw: Raw,
    /// Reads on their way, oldest first: when the event came, and whether it was several.
    asked: VecDeque<(u64, bool)>,
    /// Changed, and not yet asked for.
    paths: Vec<Vec<u8>>,
    many: bool,
    /// The last value came.
    pub(super) ended: bool,
}

pub(super) fn run(args: &WatcherArgs) -> Result<NotifyLine, Failure> {
    let watches = (0..args.sessions).map(|_| Watch::open(args)).collect::<Result<Vec<_>, _>>()?;
    let mut samples = Samples::new(args.count, args.sessions);
    report::print("READY")?;
    match <[Watch; 1]>::try_from(watches) {
        Ok([mut watch]) => {
            while !watch.ended {
                watch.next_frame(&mut samples)?;
            }
        }
        Err(watches) => wait_for_all(watches, &mut samples)?,
    }
    Ok(samples.line(&args.name, args.split))
}

impl Watch {
    pub(super) fn open(args: &WatcherArgs) -> Result<Self, Failure> {
        let mut raw = Raw::connect(&args.connect)?;
        raw.watch(&args.root)?;
        Ok(Self { raw, asked: VecDeque::new(), paths: Vec::new(), many: args.many, ended: false })
    }

    /// Waits for a frame and handles it; when no further one is here, sends the reads.
    pub(super) fn next_frame(&mut self, samples: &mut Samples) -> Result<(), Failure> {
        let frame = self.raw.inbox.next_frame().map_err(Failure::io("receive"))?;
        let now = now_ns();
        let (header, body) = wire::header(frame).ok_or_else(|| garbage("read a frame"))?;
        if header.xid == EVENT_XID {
            let path = wire::event_path(body).ok_or_else(|| garbage("read an event"))?;
            if self.many {
                self.paths.push(path.to_vec());
            } else {
                self.raw.outbox.add(|out, xid| wire::get_data(out, xid, path));
                self.asked.push_back((now, false));
            }
        } else {
            let asked = self.asked.pop_front().ok_or_else(|| garbage("match a reply"))?;
            // An error says that it was deleted meanwhile.
            self.ended |= header.err == 0 && take(body, asked, samples)?;
        }
        if self.raw.inbox.has_frame() { Ok(()) } else { self.ask(now) }
    }

    /// Everything that was here has been looked at: sends the reads.
    fn ask(&mut self, now: u64) -> Result<(), Failure> {
        match self.paths.as_slice() {
            [] => {}
            [path] => {
                self.raw.outbox.add(|out, xid| wire::get_data(out, xid, path));
                self.asked.push_back((now, false));
            }
            several => {
                let several = several.iter().map(Vec::as_slice);
                self.raw.outbox.add(|out, xid| wire::read_many(out, xid, OpCode::GET_DATA, several));
                self.asked.push_back((now, true));
            }
        }
        self.paths.clear();
        self.raw.outbox.flush_if_any()
    }
}

/// A reply. Answers whether the last value came.
fn take(body: &[u8], (event_ns, many): (u64, bool), samples: &mut Samples) -> Result<bool, Failure> {
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

/// Handles whatever comes on any session, until all have the last value.
fn wait_for_all(mut watches: Vec<Watch>, samples: &mut Samples) -> Result<(), Failure> {
    let failed = |error: Errno| Failure::io("wait for sockets")(io::Error::from(error));
    let poll = epoll::create(CreateFlags::CLOEXEC).map_err(failed)?;
    for (at, watch) in (0..).zip(&watches) {
        epoll::add(&poll, watch.raw.inbox.socket(), EventData::new_u64(at), EventFlags::IN).map_err(failed)?;
    }
    let mut events: Vec<Event> = Vec::with_capacity(EVENTS_MAX);
    while !watches.iter().all(|watch| watch.ended) {
        events.clear();
        match epoll::wait(&poll, spare_capacity(&mut events), None) {
            Err(Errno::INTR) => continue,
            other => other.map_err(failed)?,
        };
        for event in &events {
            let at = usize::try_from(event.data.u64()).unwrap_or(usize::MAX);
            let Some(watch) = watches.get_mut(at) else { continue };
            watch.raw.inbox.read_once().map_err(Failure::io("receive"))?;
            while watch.raw.inbox.has_frame() {
                watch.next_frame(samples)?;
            }
        }
    }
    Ok(())
}
