//! A connection to a server, frame by frame over a blocking socket, and the scenes that are recorded of it.
//!
//! Must not know what is worth recording.

use std::cell::RefCell;
use std::error::Error;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::annotate;
use crate::book::{Book, Entry, Step};
use crate::schema::op;
use crate::value::{self, Value, args};

/// A scene that cannot be played says so by an error.
pub(crate) type Done<T = ()> = Result<T, Box<dyn Error>>;

/// How long a server may take to answer.
const ANSWER_WAIT: Duration = Duration::from_secs(10);
/// After this long we believe that no answer comes.
const SILENCE_WAIT: Duration = Duration::from_secs(2);
/// The session timeout that we ask for, unless the scene is about it.
pub(crate) const TIMEOUT_MS: i32 = 20_000;

/// A server that scenes are played on.
#[derive(Debug)]
pub(crate) struct Stage<'b> {
    pub(crate) book: &'b RefCell<Book>,
    pub(crate) addr: SocketAddr,
    pub(crate) version: String,
    pub(crate) setup: &'static str,
}

impl Stage<'_> {
    /// Whether the server is of this release line or newer.
    pub(crate) fn at_least(&self, minor: u32) -> bool {
        let own = self.version.split('.').nth(1).and_then(|minor| minor.parse().ok());
        own.is_some_and(|own: u32| own >= minor)
    }

    /// A connection without a greeting.
    pub(crate) fn dial(&self) -> Done<Client<'_>> {
        let stream = TcpStream::connect(self.addr)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(ANSWER_WAIT))?;
        Ok(Client { stage: self, stream, xid: 0, session: 0, passwd: vec![0; 16], zxid: 0, events: Vec::new() })
    }

    /// A connection with a new session.
    pub(crate) fn session(&self) -> Done<Client<'_>> {
        let mut client = self.dial()?;
        client.greet(false)?;
        Ok(client)
    }

    /// Writes an entry into the book.
    pub(crate) fn keep(&self, file: &str, scene: &str, why: &str, steps: Vec<Step>) {
        let (version, setup) = (self.version.clone(), self.setup.to_owned());
        let (file, scene, why) = (file.to_owned(), scene.to_owned(), why.to_owned());
        self.book.borrow_mut().add(Entry { file, scene, why, version, setup, steps, alike: Vec::new() });
    }
}

/// A reply: its header, and its bytes.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) zxid: i64,
    pub(crate) err: i32,
    pub(crate) frame: Vec<u8>,
}

impl Reply {
    fn read(frame: Vec<u8>) -> Done<Self> {
        let header: &[u8; 16] = frame.first_chunk().ok_or("a reply without a header")?;
        let (zxid, err) = (i64::from_be_bytes(header[4..12].try_into()?), i32::from_be_bytes(header[12..].try_into()?));
        Ok(Self { zxid, err, frame })
    }

    /// The bytes behind the header.
    pub(crate) fn body(&self) -> &[u8] {
        &self.frame[16..]
    }
}

/// What came, or did not.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Frame(Vec<u8>),
    Closed,
    Silence,
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Client<'s> {
    stage: &'s Stage<'s>,
    stream: TcpStream,
    xid: i32,
    pub(crate) session: i64,
    pub(crate) passwd: Vec<u8>,
    /// The last zxid of a reply.
    pub(crate) zxid: i64,
    /// Events that came before a reply.
    pub(crate) events: Vec<Vec<u8>>,
}

impl<'s> Client<'s> {
    /// As [`Stage::at_least`].
    pub(crate) fn at_least(&self, minor: u32) -> bool {
        self.stage.at_least(minor)
    }

    /// Whether the server is of one of these versions.
    pub(crate) fn is_any_of(&self, versions: &[&str]) -> bool {
        versions.contains(&self.stage.version.as_str())
    }

    /// Asks for a new session.
    pub(crate) fn greet(&mut self, read_only: bool) -> Done {
        let wanted = value::encode("ConnectRequest", args![0, 0, TIMEOUT_MS, 0, vec![0_u8; 16], read_only]);
        self.send(&wanted)?;
        match self.receive()? {
            Seen::Frame(frame) => self.welcome(&frame),
            other => Err(format!("greeting: {other:?}").into()),
        }
    }

    /// As [`Stage::keep`].
    pub(crate) fn keep(&self, file: &str, scene: &str, why: &str, steps: Vec<Step>) {
        self.stage.keep(file, scene, why, steps);
    }

    /// Takes the session of a greeting's answer.
    pub(crate) fn welcome(&mut self, frame: &[u8]) -> Done {
        self.session = i64::from_be_bytes(frame.get(8..16).ok_or("a short greeting")?.try_into()?);
        self.passwd = frame.get(20..36).ok_or("a short greeting")?.to_vec();
        Ok(())
    }

    pub(crate) fn send(&mut self, frame: &[u8]) -> Done {
        self.send_together(&[frame])
    }

    /// Sends frames in one write.
    pub(crate) fn send_together(&mut self, frames: &[&[u8]]) -> Done {
        let mut framed = Vec::new();
        for frame in frames {
            framed.extend(u32::try_from(frame.len())?.to_be_bytes());
            framed.extend(*frame);
        }
        Ok(self.stream.write_all(&framed)?)
    }

    /// The next frame.
    pub(crate) fn receive(&mut self) -> Done<Seen> {
        let mut len = [0; 4];
        let mut frame = Vec::new();
        let read = self.stream.read_exact(&mut len).and_then(|()| {
            frame = vec![0; u32::from_be_bytes(len) as usize];
            self.stream.read_exact(&mut frame)
        });
        match read.map_err(|error| error.kind()) {
            Ok(()) => Ok(Seen::Frame(frame)),
            Err(ErrorKind::WouldBlock | ErrorKind::TimedOut) => Ok(Seen::Silence),
            Err(ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset) => Ok(Seen::Closed),
            Err(kind) => Err(format!("read: {kind}").into()),
        }
    }

    /// The next frame that is no event; events are kept.
    pub(crate) fn receive_reply(&mut self) -> Done<Seen> {
        loop {
            match self.receive()? {
                Seen::Frame(frame) if frame.starts_with(&[0xff; 4]) => self.events.push(frame),
                other => return Ok(other),
            }
        }
    }

    /// The frame of a request, with the next number.
    pub(crate) fn request(&mut self, name: &str, values: impl AsRef<[Value]>) -> Vec<u8> {
        self.xid += 1;
        let xid = match name {
            "ping" => -2,
            "auth" => -4,
            _ => self.xid,
        };
        frame(xid, name, &value::request(name, values))
    }

    /// Sends a request that is not worth recording, and reads its reply.
    pub(crate) fn call(&mut self, name: &str, values: Vec<Value>) -> Done<Reply> {
        let request = self.request(name, &values);
        self.send(&request)?;
        match self.receive_reply()? {
            Seen::Frame(frame) => {
                let reply = Reply::read(frame)?;
                self.zxid = reply.zxid.max(self.zxid);
                Ok(reply)
            }
            other => Err(format!("{name} {values:?}: {other:?}").into()),
        }
    }

    /// As [`call`](Self::call), and it must succeed.
    pub(crate) fn must(&mut self, name: &str, values: Vec<Value>) -> Done<Reply> {
        let what = format!("{name} {values:?}");
        let reply = self.call(name, values)?;
        if reply.err == 0 { Ok(reply) } else { Err(format!("{what}: error {}", reply.err).into()) }
    }

    /// Begins a scene that is recorded.
    pub(crate) fn scene<'c>(&'c mut self, scene: &'static str, why: &'static str) -> Scene<'c, 's> {
        Scene { client: self, file: None, scene, why, with_events: false, then_closed: false }
    }

    /// Records the next event in `notification.hex`.
    pub(crate) fn event(&mut self, scene: &str, why: &str, count: usize) -> Done {
        while self.events.len() < count {
            let Seen::Frame(frame) = self.receive()? else { return Err(format!("{scene}: no event").into()) };
            self.events.push(frame);
        }
        let steps = self.events.drain(..).map(|frame| Step::Frame("notification", annotate::notification(&frame)));
        self.stage.keep("notification", scene, why, steps.collect());
        Ok(())
    }
}

/// A request's frame.
pub(crate) fn frame(xid: i32, name: &str, body: &[u8]) -> Vec<u8> {
    let mut frame = value::encode("RequestHeader", args![xid, op(name).code]);
    frame.extend(body);
    frame
}

/// A scene: one request and what comes of it. It ends with one of the functions that send.
#[derive(Debug)]
pub(crate) struct Scene<'c, 's> {
    client: &'c mut Client<'s>,
    file: Option<&'static str>,
    scene: &'static str,
    why: &'static str,
    with_events: bool,
    then_closed: bool,
}

impl Scene<'_, '_> {
    /// Keeps it in another file than the operation's.
    pub(crate) fn within(mut self, file: &'static str) -> Self {
        self.file = Some(file);
        self
    }

    /// Keeps the events that come before the reply too.
    pub(crate) fn with_events(mut self) -> Self {
        self.with_events = true;
        self
    }

    /// The server closes the connection behind its reply.
    pub(crate) fn then_closed(mut self) -> Self {
        self.then_closed = true;
        self
    }

    /// The request succeeds.
    pub(crate) fn ok(self, name: &str, values: Vec<Value>) -> Done<Reply> {
        self.answered(0, name, values)
    }

    /// The request is answered with this code.
    pub(crate) fn answered(self, err: i32, name: &str, values: Vec<Value>) -> Done<Reply> {
        let request = self.client.request(name, &values);
        self.raw(err, name, request)
    }

    /// These bytes are answered with this code.
    pub(crate) fn raw(self, err: i32, name: &str, request: Vec<u8>) -> Done<Reply> {
        let Self { client, file, scene, why, with_events, then_closed } = self;
        client.events.clear();
        client.send(&request)?;
        let seen = client.receive_reply()?;
        let Seen::Frame(frame) = seen else { return Err(format!("{scene}: {seen:?} and no reply").into()) };
        let reply = Reply::read(frame)?;
        if reply.err != err {
            // Not the end of the run: one shows all that is not as it was.
            let wrong = format!("{} {name} {scene:?}: error {} and not {err}", client.stage.version, reply.err);
            client.stage.book.borrow_mut().surprises.push(wrong);
            return Ok(reply);
        }
        client.zxid = reply.zxid.max(client.zxid);
        let mut steps = vec![Step::Frame("request", annotate::request(&request))];
        if with_events {
            let events = client.events.drain(..);
            steps.extend(events.map(|frame| Step::Frame("notification", annotate::notification(&frame))));
        }
        let kind = if err == 0 { "reply" } else { "refused" };
        steps.push(Step::Frame(kind, annotate::reply(op(name).code, &reply.frame)));
        if then_closed {
            match client.receive_reply()? {
                Seen::Closed => steps.push(Step::Remark("Then the server closes the connection.".into())),
                other => return Err(format!("{scene}: not closed: {other:?}").into()),
            }
        }
        client.stage.keep(file.unwrap_or(name), scene, why, steps);
        Ok(reply)
    }

    /// The request is not answered.
    pub(crate) fn unanswered(self, name: &str, values: Vec<Value>) -> Done {
        let Self { client, file, scene, why, .. } = self;
        let request = client.request(name, &values);
        client.send(&request)?;
        client.stream.set_read_timeout(Some(SILENCE_WAIT))?;
        let remark = match client.receive_reply()? {
            Seen::Silence => "The server does not answer, and leaves the connection open.",
            Seen::Closed => "The server does not answer, and closes the connection.",
            Seen::Frame(frame) => return Err(format!("{scene}: answered by {frame:02x?}").into()),
        };
        client.stream.set_read_timeout(Some(ANSWER_WAIT))?;
        let steps = vec![Step::Frame("request", annotate::request(&request)), Step::Remark(remark.into())];
        client.stage.keep(file.unwrap_or(name), scene, why, steps);
        Ok(())
    }
}
