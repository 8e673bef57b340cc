//! Carries a script out on one server and writes down everything that the server says, step by step.
//!
//! After each step every connection is pinged, so that what a step causes is seen at that step, on every connection.
//! Must not know which server it is.

use std::{
    mem,
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use zk_proto::{
    ErrorCode, OpCode, SessionId, Zxid,
    jute::{Decode, Reader, Tail, decode_from, encode_to_bytes},
    records::{ConnectRequest, ConnectResponse, GetChildrenResponse, ReplyHeader, Secret},
};

use super::{
    encode::{self, Context},
    script::{SLOTS, Step},
    show::Eyes,
    wire::{Heard, Link},
};

/// A digest that both servers take for the superuser's, `super:secret`.
pub const SUPER_DIGEST: &str = "super:lK75jTNcA+U9vtVEw5vB51mj/w4=";
pub const SUPER_CREDENTIALS: &str = "super:secret";

/// The longest timeout that both servers grant, so that nothing expires unless a step says so.
const LONG_MS: i32 = 60_000;

/// Less than any server grants: it becomes the shortest timeout.
const SHORT_MS: i32 = -1;

/// By when a session that ran out has ended on any machine.
const AT_LAST: Duration = Duration::from_secs(20);

/// What a server said at a step, a line a frame.
pub type Trace = Vec<Vec<String>>;

/// A session as its client knows it.
#[derive(Clone, Debug)]
struct Ticket {
    id: SessionId,
    password: Bytes,
}

impl Ticket {
    fn none() -> Self {
        Self { id: SessionId::NONE, password: Bytes::from_static(&[0; 16]) }
    }
}

/// One server, and a connection to it that may do everything.
#[derive(Debug)]
pub struct Player {
    addr: SocketAddr,
    admin: Link,
}

impl Player {
    pub fn new(addr: SocketAddr) -> Self {
        let mut admin = Link::dial(addr);
        admin.send(&connect_request(Zxid(0), LONG_MS, &Ticket::none(), Some(false)));
        assert!(matches!(admin.next(), Heard::Frame(_)), "no session for the administrator");
        let mut player = Self { addr, admin };
        assert_eq!(player.ask(&Step::new(0, &format!("auth digest {SUPER_CREDENTIALS}")), "").0.err.0, 0);
        player
    }

    /// One request of the administrator.
    fn ask(&mut self, step: &Step, root: &str) -> (ReplyHeader, OpCode, Bytes) {
        let context = Context { root, base: Zxid(0), last: Zxid(0) };
        let (op, payload) = encode::payload(step, 1, &context);
        self.admin.send(&payload);
        let Heard::Frame(frame) = self.admin.next() else { panic!("the administrator was dropped at {step}") };
        let header = ReplyHeader::decode(&mut Reader::new(&frame)).unwrap();
        (header, op, frame)
    }

    fn last_zxid(&mut self) -> Zxid {
        self.ask(&Step::new(0, "ping"), "").0.zxid
    }

    /// The last zxid, once it is past this one. A real server hangs up on an idle connection when the connection's own clock
    /// says so (`cnxnExpiryQueue`), which may be a moment before the session's end is written.
    fn zxid_past(&mut self, before: Zxid) -> Zxid {
        let patience = Instant::now() + AT_LAST;
        loop {
            let last = self.last_zxid();
            if last > before || Instant::now() > patience {
                return last;
            }
        }
    }

    /// Runs a script under a root of its own. The last lines are about what is left of it: sessions, then znodes.
    pub fn play(&mut self, root: &str, script: &[Step]) -> Trace {
        let base = self.last_zxid();
        let made = self.ask(&Step::new(0, "create / 0 open _"), root).0;
        assert_eq!(made.err.0, 0, "{root}");
        let mut scene = Scene {
            root: root.to_owned(),
            base,
            last: made.zxid,
            eyes: Eyes::new(root, base),
            links: Vec::new(),
            slots: std::array::from_fn(|_| Slot { link: None, ticket: Ticket::none(), xid: 0 }),
            tickets: Vec::new(),
            lines: Vec::new(),
            player: self,
        };
        let mut trace: Trace = script.iter().map(|step| scene.step(step)).collect();
        trace.push(scene.leave());
        let mut eyes = scene.eyes;
        trace.push(self.clear(root, &mut eyes));
        trace
    }

    /// Shows what is below a root, and deletes it.
    fn clear(&mut self, root: &str, eyes: &mut Eyes) -> Vec<String> {
        let mut lines = Vec::new();
        let mut paths = vec!["/".to_owned()];
        let mut index = 0;
        while let Some(path) = paths.get(index).cloned() {
            index += 1;
            for verb in ["get", "getacl", "ls"] {
                let (_, op, frame) = self.ask(&Step::new(0, &format!("{verb} {path} -")), root);
                lines.push(format!("{path} {verb} {}", eyes.frame(op, &frame)));
                if verb == "ls"
                    && let Ok(GetChildrenResponse { children }) = decode_from(&frame.slice(16..))
                {
                    let below = if path == "/" { "" } else { &path };
                    paths.extend(children.iter().map(|name| format!("{below}/{}", escape(&name))));
                }
            }
        }
        lines.sort_unstable();
        for path in paths.iter().rev() {
            let (header, ..) = self.ask(&Step::new(0, &format!("delete {path} -1")), root);
            lines.push(format!("delete {} zxid={}", header.err.0, eyes.zxid(header.zxid)));
        }
        lines
    }
}

/// A name as a script writes it.
fn escape(name: &str) -> String {
    name.chars()
        .map(|c| if c.is_whitespace() || c == '%' { format!("%{:02x}", u32::from(c)) } else { c.into() })
        .collect()
}

fn connect_request(seen: Zxid, timeout_ms: i32, ticket: &Ticket, read_only: Option<bool>) -> Vec<u8> {
    let request = ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: seen,
        timeout_ms,
        session_id: ticket.id,
        password: Some(Secret(&ticket.password)),
        read_only: Tail(read_only),
    };
    encode_to_bytes(&request).to_vec()
}

/// A connection that acts in a script.
#[derive(Debug)]
struct Slot {
    /// The index of its link.
    link: Option<usize>,
    ticket: Ticket,
    xid: i32,
}

/// A script on its way.
struct Scene<'p> {
    player: &'p mut Player,
    root: String,
    base: Zxid,
    last: Zxid,
    eyes: Eyes,
    /// Every connection there ever was; those that no slot uses any more are still listened to.
    links: Vec<Link>,
    slots: [Slot; SLOTS],
    /// Every session there ever was.
    tickets: Vec<Ticket>,
    lines: Vec<String>,
}

impl Scene<'_> {
    /// What all connections hear of a step.
    fn step(&mut self, step: &Step) -> Vec<String> {
        match step.verb() {
            "open" | "renew" | "badpw" | "ghost" | "ahead" => self.connect(step),
            "expire" => self.expire(step.slot),
            "bytes" => self.send_bytes(step),
            _ => self.request(step),
        }
        self.flush();
        if let Some(link) = self.slots[step.slot].link.filter(|link| self.links[*link].over) {
            self.lines.push(format!("L{link} is over"));
            self.slots[step.slot].link = None;
        }
        let lines = mem::take(&mut self.lines);
        // in which order the ephemerals of a session go is nobody's business
        if matches!(step.verb(), "close" | "expire") { with_sorted_events(lines) } else { lines }
    }

    fn request(&mut self, step: &Step) {
        let slot = &mut self.slots[step.slot];
        let Some(link) = slot.link else {
            self.lines.push("no connection".into());
            return;
        };
        slot.xid += 1;
        let context = Context { root: &self.root, base: self.base, last: self.last };
        let (op, payload) = encode::payload(step, slot.xid, &context);
        self.links[link].send(&payload);
        self.listen(link, op);
    }

    /// Notes what comes, up to the next frame that is no notification, or up to the end if that frame is the last.
    fn listen(&mut self, link: usize, op: OpCode) {
        loop {
            let line = match self.links[link].next() {
                Heard::Frame(frame) => {
                    let header = ReplyHeader::decode(&mut Reader::new(&frame));
                    let shown = self.eyes.frame(op, &frame);
                    let is_last = header.as_ref().is_ok_and(|header| is_last(op, header));
                    let is_event = header.as_ref().is_ok_and(|header| header.xid == -1);
                    if let Ok(header) = header
                        && !is_event
                        && header.zxid.is_some()
                    {
                        self.last = header.zxid;
                    }
                    self.lines.push(format!("L{link} {shown}"));
                    if is_event || is_last {
                        continue;
                    }
                    return;
                }
                Heard::Closed => "closed",
                Heard::Silence => "silence",
            };
            self.lines.push(format!("L{link} {line}"));
            return;
        }
    }

    /// Pings every connection, and notes what stands before the answers.
    fn flush(&mut self) {
        let open: Vec<usize> = (0..self.links.len()).filter(|link| !self.links[*link].over).collect();
        let ping = encode::payload(&Step::new(0, "ping"), 0, &self.context()).1;
        for link in &open {
            self.links[*link].send(&ping);
        }
        for link in open {
            self.listen(link, OpCode::PING);
        }
    }

    fn context(&self) -> Context<'_> {
        Context { root: &self.root, base: self.base, last: self.last }
    }

    fn connect(&mut self, step: &Step) {
        let mut arguments = step.arguments();
        let timeout_ms = arguments.next().and_then(|word| word.parse().ok()).unwrap_or(LONG_MS);
        let read_only = match arguments.next() {
            Some("old") => None,
            word => Some(word == Some("ro")),
        };
        let mut ticket = self.slots[step.slot].ticket.clone();
        let mut seen = self.last;
        match step.verb() {
            "open" => (ticket, seen) = (Ticket::none(), Zxid(0)),
            "badpw" => ticket.password = ticket.password.iter().map(|byte| !byte).collect(),
            "ghost" => ticket.id = SessionId(0x00AB_CDEF),
            "ahead" => seen.0 += 1000,
            _ => {}
        }
        let link = self.dial(&connect_request(seen, timeout_ms, &ticket, read_only));
        self.greet(step.slot, link);
    }

    fn dial(&mut self, request: &[u8]) -> usize {
        let mut link = Link::dial(self.player.addr);
        link.send(request);
        self.links.push(link);
        self.links.len() - 1
    }

    /// Reads the answer to a ConnectRequest; a granted session is the slot's from now on.
    fn greet(&mut self, slot: usize, link: usize) {
        let line = match self.links[link].next() {
            Heard::Closed => "closed".into(),
            Heard::Silence => "silence".into(),
            Heard::Frame(frame) => match decode_from::<ConnectResponse>(&frame) {
                Err(error) => format!("no greeting ({error}): {frame:02x?}"),
                Ok(response) => {
                    self.eyes.meet(response.session_id);
                    let own = response.password.as_ref().map(|password| password.0.clone()).unwrap_or_default();
                    let known = self.tickets.iter().find(|ticket| ticket.id == response.session_id);
                    let first = known.map_or_else(|| own.clone(), |ticket| ticket.password.clone());
                    if response.timeout_ms > 0 {
                        let ticket = Ticket { id: response.session_id, password: own };
                        if known.is_none() {
                            self.tickets.push(ticket.clone());
                        }
                        self.slots[slot] = Slot { link: Some(link), ticket, xid: 0 };
                    }
                    self.eyes.greeting(&response, &first, &frame)
                }
            },
        };
        self.lines.push(format!("L{link} {line}"));
    }

    /// Sends bytes that are no frame of a request: hex digits.
    fn send_bytes(&mut self, step: &Step) {
        let Some(link) = self.slots[step.slot].link else {
            self.lines.push("no connection".into());
            return;
        };
        let hex: String = step.arguments().collect();
        let digits = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
        let bytes: Vec<u8> = digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect();
        self.links[link].send_bytes(&bytes);
        self.listen(link, OpCode::NOTIFICATION);
    }

    /// Lets a session run out: it gets the shortest timeout, and is not heard of any more. Its end is a transaction.
    fn expire(&mut self, slot: usize) {
        if self.slots[slot].link.is_none() {
            self.lines.push("no connection".into());
            return;
        }
        let ticket = self.slots[slot].ticket.clone();
        // nobody else writes, and a session that is taken up again is no transaction: so it holds up to the session's end,
        // however late we are
        let before = self.player.last_zxid();
        let link = self.dial(&connect_request(Zxid(0), SHORT_MS, &ticket, Some(false)));
        self.greet(slot, link);
        let is_granted = !self.links[link].over && self.slots[slot].link == Some(link);
        self.listen_to_the_end(link);
        let after = if is_granted { self.player.zxid_past(before) } else { self.player.last_zxid() };
        self.lines.push(format!("expiry took {} transactions", after.0 - before.0));
    }

    fn listen_to_the_end(&mut self, link: usize) {
        while !self.links[link].over {
            self.listen(link, OpCode::NOTIFICATION);
        }
    }

    /// Ends every session that is still there.
    fn leave(&mut self) -> Vec<String> {
        for ticket in mem::take(&mut self.tickets) {
            self.slots[0].link = None;
            let link = self.dial(&connect_request(self.last, LONG_MS, &ticket, Some(false)));
            self.greet(0, link);
            if self.slots[0].link.is_some() {
                self.request(&Step::new(0, "close"));
            }
            self.flush();
        }
        self.flush();
        with_sorted_events(mem::take(&mut self.lines))
    }
}

/// Whether the server hangs up after this reply: not at once, and a ping may slip in between.
fn is_last(op: OpCode, header: &ReplyHeader) -> bool {
    match header.err {
        ErrorCode::OK => op == OpCode::CLOSE_SESSION,
        ErrorCode::UNIMPLEMENTED => header.zxid == Zxid::NONE,
        code => code == ErrorCode::AUTH_FAILED,
    }
}

/// Sorts notifications that follow each other on a connection.
fn with_sorted_events(mut lines: Vec<String>) -> Vec<String> {
    let is_event = |line: &String| line.contains(" event ");
    let link = |line: &String| line.split(' ').next().unwrap_or_default().to_owned();
    for run in lines.chunk_by_mut(|a, b| is_event(a) && is_event(b) && link(a) == link(b)) {
        run.sort_unstable();
    }
    lines
}
