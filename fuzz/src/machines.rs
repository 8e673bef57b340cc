//! Targets of the machines: the session with scripted bytes, a server with a client's bytes, and the two together.

use super::memory::bounded;
use arbitrary::{Arbitrary, Unstructured};
use bytes::BytesMut;
use std::time::Duration;
use zk_proto::{
    OpCode, Session, SessionConfig,
    frame::REQUEST_LEN_MAX,
    ops::{self, ReplyBody, RequestBody},
    records::GetDataRequest,
    session::{Change, EncodedRequest, Event, State, WatchKind},
};
use zk_testkit::server::model::{ConnId, Model, ModelConfig};

/// How long a greeting may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// The session machine with a script: a byte says what happens, and for a read how much of the rest arrives.
pub fn session(data: &[u8]) {
    let mut session: Session<usize> = Session::new(SessionConfig { reply_len_max: 256, ..SessionConfig::default() });
    let (mut now, mut inbox, mut rest) = (Duration::ZERO, BytesMut::new(), data);
    let (mut submitted, mut ended) = (0_usize, 0_usize);
    while let Some((step, behind)) = rest.split_first() {
        rest = behind;
        match step % 8 {
            0 => {
                inbox.clear();
                session.handle_dialed(now, PATIENCE);
            }
            1 => session.handle_closed(),
            2 => {
                now += Duration::from_millis(u64::from(*step) * 50);
                session.handle_timeout(now);
            }
            3 => {
                let request = GetDataRequest { path: "/a".into(), watch: true };
                let encoded = EncodedRequest::new::<ops::GetData>(&request, 1024).expect("small");
                let change = Change::Set(WatchKind::Data, "/a".into());
                session.submit(now, encoded, Some(change), submitted);
                submitted += 1;
            }
            4 if *step > 250 => session.close(now),
            _ => {
                let (arrived, behind) = rest.split_at(usize::from(step / 4).min(rest.len()));
                rest = behind;
                inbox.extend_from_slice(arrived);
                // The end of a connection gives every ticket back: that is the caller's own doing.
                let tickets = session.queued() * TICKET_BYTES_MAX;
                bounded(inbox.len() + tickets, || session.handle_bytes(now, &mut inbox));
            }
        }
        while let Some(event) = session.poll_event() {
            ended += usize::from(matches!(event, Event::Reply { .. } | Event::Interrupted { .. }));
        }
        while session.poll_transmit().is_some() {}
        assert!(session.poll_timeout().is_none() || session.state() != State::Ended);
        assert!(ended <= submitted && submitted - ended <= session.queued(), "every request ends once");
    }
}

/// What a ticket costs when it comes back, and what its request costs when it is sent.
const TICKET_BYTES_MAX: usize = 256;

/// The server's model: whatever a client sends, before or behind a good greeting, it answers or hangs up.
pub fn server(data: &[u8]) {
    let Some((first, sent)) = data.split_first() else { return };
    let (mut model, now) = (Model::new(ModelConfig::default()), Duration::ZERO);
    let conn = model.open(now, 0, std::net::SocketAddr::from(([127, 0, 0, 1], 1)));
    let mut inbox = BytesMut::new();
    if first % 2 == 0 {
        let mut client: Session<()> = Session::new(SessionConfig::default());
        client.handle_dialed(now, PATIENCE);
        inbox.extend(client.poll_transmit().map(BytesMut::freeze));
        model.handle_bytes(now, conn, &mut inbox);
    }
    inbox.extend_from_slice(sent);
    model.handle_bytes(now, conn, &mut inbox);
    model.handle_timeout(Duration::from_secs(100));
}

/// The session machine against the server: any requests, links that deliver a part and break anywhere, time. Both are
/// ours, so nothing that one says may surprise the other; and once the faults end, every request has ended once.
pub fn pair(data: &[u8]) {
    let mut pair = Pair::new();
    let mut u = Unstructured::new(data);
    while !u.is_empty() {
        if pair.step(&mut u).is_err() {
            break;
        }
        pair.settle();
    }
    pair.come_to_rest();
}

/// A connection: the server's name for it, and bytes on their way in both directions.
struct Link {
    conn: ConnId,
    to_server: BytesMut,
    to_client: BytesMut,
    inbox: BytesMut,
    at_server: BytesMut,
}

struct Pair {
    now: Duration,
    session: Session<usize>,
    model: Model,
    link: Option<Link>,
    /// The operation of each ticket, until it has ended.
    tickets: Vec<Option<OpCode>>,
}

impl Pair {
    fn new() -> Self {
        Self {
            now: Duration::ZERO,
            session: Session::new(SessionConfig::default()),
            model: Model::new(ModelConfig::default()),
            link: None,
            tickets: Vec::new(),
        }
    }

    fn step(&mut self, u: &mut Unstructured<'_>) -> arbitrary::Result<()> {
        match u.int_in_range(0..=11)? {
            0..=3 => self.submit(&RequestBody::arbitrary(u)?),
            4 => self.dial(),
            5 | 6 => {
                let part = u.int_in_range(1..=255)?;
                self.carry_to_server(part);
            }
            7 | 8 => {
                let part = u.int_in_range(1..=255)?;
                self.carry_to_client(part);
            }
            9 => self.pass(Duration::from_millis(u.int_in_range(0..=20_000)?)),
            10 => self.cut(),
            _ => {
                let ticket = self.ticket(OpCode::AUTH);
                self.session.add_auth(self.now, "digest", b"a:b", ticket);
            }
        }
        Ok(())
    }

    fn ticket(&mut self, op: OpCode) -> usize {
        self.tickets.push(Some(op));
        self.tickets.len() - 1
    }

    /// Anything but what the session sends by itself; a bare check that succeeds is never answered.
    fn submit(&mut self, body: &RequestBody<'_>) {
        let op = body.op();
        let own = [OpCode::PING, OpCode::AUTH, OpCode::SET_WATCHES, OpCode::SET_WATCHES2, OpCode::CLOSE_SESSION];
        if own.contains(&op) || op == OpCode::CHECK {
            return;
        }
        let Ok(request) = EncodedRequest::from_body(body, REQUEST_LEN_MAX) else { return };
        let change = match body {
            RequestBody::GetData(r) if r.watch => Some(Change::Set(WatchKind::Data, r.path.as_ref().into())),
            RequestBody::Exists(r) if r.watch => Some(Change::Set(WatchKind::Exist, r.path.as_ref().into())),
            RequestBody::GetChildren(r) | RequestBody::GetChildren2(r) if r.watch => {
                Some(Change::Set(WatchKind::Child, r.path.as_ref().into()))
            }
            RequestBody::AddWatch(r) => Some(Change::Set(r.mode.into(), r.path.as_ref().into())),
            RequestBody::RemoveWatches(r) => Some(Change::RemoveAll(r.path.as_ref().into())),
            _ => None,
        };
        let ticket = self.ticket(op);
        self.session.submit(self.now, request, change, ticket);
    }

    fn dial(&mut self) {
        if self.session.state() != State::Down {
            return;
        }
        let conn = self.model.open(self.now, 0, std::net::SocketAddr::from(([127, 0, 0, 1], 1)));
        let [to_server, to_client, inbox, at_server] = [(); 4].map(|()| BytesMut::new());
        self.link = Some(Link { conn, to_server, to_client, inbox, at_server });
        self.session.handle_dialed(self.now, PATIENCE);
    }

    fn carry_to_server(&mut self, part: usize) {
        let Some(link) = &mut self.link else { return };
        let part = link.to_server.split_to(part.min(link.to_server.len()));
        link.at_server.unsplit(part);
        self.model.handle_bytes(self.now, link.conn, &mut link.at_server);
    }

    fn carry_to_client(&mut self, part: usize) {
        let Some(link) = &mut self.link else { return };
        let output = self.model.take_output(link.conn);
        link.to_client.unsplit(output.bytes);
        let part = link.to_client.split_to(part.min(link.to_client.len()));
        link.inbox.unsplit(part);
        self.session.handle_bytes(self.now, &mut link.inbox);
        if output.close.is_some() && link.to_client.is_empty() {
            self.cut();
        }
    }

    fn cut(&mut self) {
        if let Some(link) = self.link.take() {
            self.session.handle_closed();
            self.model.close(link.conn);
        }
    }

    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(at) = self.session.poll_timeout().filter(|at| *at <= until) {
            assert!(at >= self.now, "a deadline in the past");
            self.now = at;
            self.session.handle_timeout(at);
            self.settle();
        }
        self.now = until;
        self.model.handle_timeout(until);
    }

    fn settle(&mut self) {
        while let Some(event) = self.session.poll_event() {
            match event {
                Event::Lost { .. } | Event::Ended(_) => {
                    if let Some(link) = self.link.take() {
                        self.model.close(link.conn);
                    }
                }
                Event::Reply { ticket, result, .. } => {
                    let op = self.tickets[ticket].take().expect("a ticket comes back once");
                    if let Ok(body) = result {
                        let readable = ReplyBody::decode(op, &body).expect("an opcode of the table");
                        assert!(readable.is_ok(), "{op:?}: {readable:?}");
                    }
                }
                Event::Interrupted { ticket, .. } => {
                    self.tickets[ticket].take().expect("a ticket comes back once");
                }
                Event::Established(_)
                | Event::Expired { .. }
                | Event::Watch(_)
                | Event::Bookmark(_)
                | Event::SaslWanted
                | Event::SaslToken(_) => {}
            }
        }
        while let Some(bytes) = self.session.poll_transmit() {
            match &mut self.link {
                Some(link) => link.to_server.unsplit(bytes),
                None => panic!("bytes without a connection"),
            }
        }
    }

    /// No more faults: connects until nothing is on its way, and closes.
    fn come_to_rest(&mut self) {
        self.settle();
        for _ in 0..1000 {
            if self.session.state() == State::Ended || self.session.queued() == 0 && self.session.state() == State::Up {
                break;
            }
            self.dial();
            self.settle();
            self.carry_to_server(usize::MAX);
            self.carry_to_client(usize::MAX);
            self.settle();
        }
        assert!(self.session.queued() == 0 || self.session.state() == State::Ended, "it comes to rest");
        self.session.close(self.now);
        self.settle();
        self.carry_to_server(usize::MAX);
        self.carry_to_client(usize::MAX);
        self.settle();
        self.cut();
        self.settle();
        assert_eq!(self.session.state(), State::Ended);
        assert!(self.tickets.iter().all(Option::is_none), "every request ends once");
    }
}
