//! The session machine of a client without IO: bytes in, events and bytes out, drained as a driver does.

use super::{
    Outcome, Workload,
    records::{PATH, accept, event, framed, get_data, get_data_reply, payload, reply_header},
};
use bytes::{Bytes, BytesMut};
use std::{hint::black_box, time::Duration};
use zk_proto::{
    Session, SessionConfig,
    frame::REQUEST_LEN_MAX,
    jute::Encode,
    ops,
    records::{Empty, GetDataRequest},
    session::{Change, EncodedRequest, Event, WatchKind},
};

const NOW: Duration = Duration::from_secs(1);
/// Requests of the pipeline.
const PIPELINED: u32 = 256;
/// Watches to set again.
const WATCHES: usize = 10_000;

/// A session, its inbox, and the end of the wire.
struct Machine {
    session: Session<u32>,
    inbox: BytesMut,
    accept: Vec<u8>,
    reply: Vec<u8>,
    empty: Vec<u8>,
}

impl Machine {
    fn up() -> Outcome<Self> {
        let mut machine = Self {
            session: Session::new(SessionConfig::default()),
            inbox: BytesMut::with_capacity(64 * 1024),
            accept: framed(&payload(&Empty {}, &accept()))?,
            reply: framed(&payload(&reply_header(0), &get_data_reply()?))?,
            empty: framed(&payload(&reply_header(0), &Empty {}))?,
        };
        machine.connect();
        Ok(machine)
    }

    fn connect(&mut self) {
        self.session.handle_dialed(NOW, NOW);
        drop(self.session.poll_transmit());
        self.inbox.extend_from_slice(&self.accept);
        self.turn();
    }

    /// Handles what is in the inbox and drains; how many events there were.
    fn turn(&mut self) -> usize {
        self.session.handle_bytes(NOW, &mut self.inbox);
        let mut events = 0;
        while let Some(event) = self.session.poll_event() {
            events += usize::from(!matches!(black_box(event), Event::Lost { .. }));
        }
        black_box(self.session.poll_timeout());
        events
    }

    fn submit(&mut self, ticket: u32, request: &GetDataRequest<'_>, change: Option<Change>) {
        if let Ok(request) = EncodedRequest::new::<ops::GetData>(request, REQUEST_LEN_MAX) {
            self.session.submit(NOW, request, change, ticket);
        }
    }

    /// Answers each frame that the session has sent, with its number; how many there were.
    fn answer(&mut self, body: impl Fn(&Self) -> &[u8]) -> usize {
        let sent = self.session.poll_transmit().map(BytesMut::freeze).unwrap_or_default();
        let (mut rest, mut frames) = (&sent[..], 0);
        while let Some((prefix, behind)) = rest.split_first_chunk::<4>() {
            let len = u32::from_be_bytes(*prefix) as usize;
            let (Some(xid), Some(next)) = (behind.first_chunk::<4>(), behind.get(len..)) else { break };
            let at = self.inbox.len() + 4;
            let mut inbox = std::mem::take(&mut self.inbox);
            inbox.extend_from_slice(body(self));
            if let Some(slot) = inbox.get_mut(at..at + 4) {
                slot.copy_from_slice(xid);
            }
            self.inbox = inbox;
            (rest, frames) = (next, frames + 1);
        }
        frames
    }

    fn reconnect(&mut self) -> usize {
        self.session.handle_closed();
        self.connect();
        let frames = self.answer(|machine| &machine.empty);
        self.turn();
        frames
    }
}

fn rounds(count: u32, name: &str) -> Outcome<Workload> {
    let mut machine = Machine::up()?;
    let wire = PATH.len() + 4 + 8 + 5 + machine.reply.len();
    let mut run = move || {
        (0..count).for_each(|ticket| machine.submit(ticket, black_box(&get_data()), None));
        machine.answer(|machine| &machine.reply);
        machine.turn()
    };
    if run() != count as usize {
        return Err("a reply is missing".into());
    }
    let workload = Workload::new("machine", name, wire * count as usize, move || {
        black_box(run());
    });
    Ok(Workload { elements: count.into(), ..workload })
}

fn rearming() -> Outcome<Workload> {
    let mut machine = Machine::up()?;
    let paths: Vec<String> = (0..WATCHES).map(|index| format!("/config/app/limits/k{index:06}")).collect();
    for path in &paths {
        let request = GetDataRequest { path: path.into(), watch: true };
        machine.submit(0, &request, Some(Change::Set(WatchKind::Data, path.as_str().into())));
        machine.answer(|machine| &machine.reply);
        machine.turn();
    }
    let wire = paths.iter().map(Encode::encoded_len).sum::<usize>();
    if machine.session.watched_paths() != WATCHES || machine.reconnect() != wire.div_ceil(128 * 1024) {
        return Err("the watches are not set again".into());
    }
    let workload = Workload::new("machine", "reconnect with 10,000 watches to set again", wire, move || {
        black_box(machine.reconnect());
    });
    Ok(Workload { elements: WATCHES as u64, ..workload })
}

pub(super) fn machine() -> Outcome<Vec<Workload>> {
    let bytes = Bytes::from(framed(&payload(&reply_header(-1), &event()))?);
    let mut up = Machine::up()?;
    let mut event = {
        let bytes = bytes.clone();
        move || {
            up.inbox.extend_from_slice(black_box(&bytes));
            up.turn()
        }
    };
    if event() != 1 {
        return Err("no event".into());
    }
    Ok(vec![
        Workload::new("machine", "watch event in, event out", bytes.len(), move || {
            black_box(event());
        }),
        rounds(1, "getData: submit, transmit, reply in, event out")?,
        rounds(PIPELINED, "256 getData, pipelined")?,
        rearming()?,
    ])
}
