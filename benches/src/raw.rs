//! A blocking socket with a session on it, and no client library.
//!
//! Knows frames and headers; what is in them is `wire`'s.

use crate::{auth, error::Failure, wire};
use bytes::Bytes;
use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
};
use zk_proto::{ErrorCode, Op, jute::decode_from, records::Empty};

/// Longer than anything here is idle.
const SESSION_TIMEOUT_MS: i32 = 30_000;
/// Room for the answers of a burst.
const INBOX_LEN: usize = 256 * 1024;
/// Longer than any reply here; a server that sends more is none.
const FRAME_LEN_MAX: usize = 256 * 1024 * 1024;

/// A session on a blocking socket. The halves can be used apart.
pub(crate) struct Raw {
    pub(crate) inbox: Inbox,
    pub(crate) outbox: Outbox,
}

impl Raw {
    pub(crate) fn connect(addr: &str) -> Result<Self, Failure> {
        let failed = || Failure::io(format!("connect to {addr}"));
        let stream = TcpStream::connect(addr).map_err(failed())?;
        stream.set_nodelay(true).map_err(failed())?;
        let reader = stream.try_clone().map_err(failed())?;
        let mut raw = Self { inbox: Inbox::new(reader), outbox: Outbox { stream, xid: 0, frames: Vec::new() } };
        wire::connect(&mut raw.outbox.frames, SESSION_TIMEOUT_MS);
        raw.outbox.flush()?;
        raw.inbox.next_frame().map_err(failed())?;
        if let Some((scheme, credentials)) = auth::find()? {
            wire::auth(&mut raw.outbox.frames, scheme.as_bytes(), &credentials);
            raw.outbox.flush()?;
            raw.inbox.reply("say who we are")?;
        }
        Ok(raw)
    }

    /// One request and its reply; events in between are lost.
    pub(crate) fn call<O: Op>(&mut self, doing: &str, request: &O::Request<'_>) -> Result<O::Reply, Failure> {
        self.outbox.add(|out, xid| wire::any::<O>(out, xid, request));
        self.outbox.flush()?;
        let body = Bytes::copy_from_slice(self.inbox.reply(doing)?);
        decode_from(&body).map_err(Failure::decode(doing))
    }

    /// Watches a path and all below it.
    pub(crate) fn watch(&mut self, root: &str) -> Result<(), Failure> {
        self.outbox.add(|out, xid| wire::add_recursive_watch(out, xid, root.as_bytes()));
        self.outbox.flush()?;
        self.inbox.reply(&format!("watch {root}")).map(drop)
    }

    /// Ends the session, so that the server need not find out.
    pub(crate) fn close(mut self) -> Result<(), Failure> {
        self.call::<zk_proto::ops::CloseSession>("close the session", &Empty {}).map(drop)
    }
}

/// Requests to be sent together.
pub(crate) struct Outbox {
    stream: TcpStream,
    xid: i32,
    frames: Vec<u8>,
}

impl Outbox {
    /// Adds a request; it gets the next number.
    pub(crate) fn add(&mut self, write: impl FnOnce(&mut Vec<u8>, i32)) {
        self.xid = self.xid.wrapping_add(1).max(1);
        write(&mut self.frames, self.xid);
    }

    /// Ends the connection, so that who reads it sees its end.
    pub(crate) fn end(&self) {
        // It has ended already, or ends now.
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// Sends what was added, if anything was.
    pub(crate) fn flush_if_any(&mut self) -> Result<(), Failure> {
        if self.frames.is_empty() { Ok(()) } else { self.flush() }
    }

    /// Sends what was added, in one write.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        let sent = self.stream.write_all(&self.frames);
        self.frames.clear();
        sent.map_err(Failure::io("send"))
    }
}

/// Frames from the server.
pub(crate) struct Inbox {
    stream: TcpStream,
    buffer: Vec<u8>,
    /// What has arrived and was not handed out is from here..
    begin: usize,
    /// ..to here.
    end: usize,
}

impl Inbox {
    fn new(stream: TcpStream) -> Self {
        Self { stream, buffer: vec![0; INBOX_LEN], begin: 0, end: 0 }
    }

    /// The next frame, without its length.
    pub(crate) fn next_frame(&mut self) -> io::Result<&[u8]> {
        let len = loop {
            match self.frame_len()? {
                Some(len) if self.end - self.begin >= 4 + len => break len,
                Some(len) => self.fill(4 + len)?,
                None => self.fill(4)?,
            }
        };
        let begin = self.begin + 4;
        self.begin = begin + len;
        Ok(self.buffer.get(begin..begin + len).unwrap_or_default())
    }

    /// Whether the next frame is here already.
    pub(crate) fn has_frame(&self) -> bool {
        matches!(self.frame_len(), Ok(Some(len)) if self.end - self.begin >= 4 + len)
    }

    /// Reads what has come; waits if nothing has.
    pub(crate) fn read_once(&mut self) -> io::Result<()> {
        let needed = self.needed()?;
        self.fill(needed)
    }

    /// For who waits for several, or by other means.
    pub(crate) const fn socket(&self) -> &TcpStream {
        &self.stream
    }

    /// The body of the next reply; events are skipped.
    pub(crate) fn reply(&mut self, doing: &str) -> Result<&[u8], Failure> {
        // Looked at twice because a loop cannot hand out what it borrowed.
        while self.peek_xid(doing)? == wire::EVENT_XID {
            self.next_frame().map_err(Failure::io("receive"))?;
        }
        let frame = self.next_frame().map_err(Failure::io("receive"))?;
        let (header, body) = wire::header(frame).ok_or_else(|| garbage(doing))?;
        match header.err {
            0 => Ok(body),
            code => Err(Failure::Refused { doing: doing.to_owned(), code: ErrorCode(code) }),
        }
    }

    fn peek_xid(&mut self, doing: &str) -> Result<i32, Failure> {
        let begin = {
            let len = self.next_frame().map_err(Failure::io("receive"))?.len();
            self.begin - 4 - len
        };
        self.begin = begin;
        let frame = self.buffer.get(begin + 4..).unwrap_or_default();
        wire::header(frame).map(|(header, _)| header.xid).ok_or_else(|| garbage(doing))
    }

    /// The length of the next frame, once its prefix is here.
    fn frame_len(&self) -> io::Result<Option<usize>> {
        let here = self.buffer.get(self.begin..self.end).unwrap_or_default();
        let Some(prefix) = here.first_chunk() else { return Ok(None) };
        let len = usize::try_from(i32::from_be_bytes(*prefix)).ok().filter(|len| *len <= FRAME_LEN_MAX);
        len.map(Some).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "what came is not ZooKeeper"))
    }

    /// How long the next frame is with its prefix, or that alone.
    fn needed(&self) -> io::Result<usize> {
        Ok(self.frame_len()?.map_or(4, |len| 4 + len))
    }

    /// Reads once, with room for at least `needed` bytes from the beginning of the frame.
    fn fill(&mut self, needed: usize) -> io::Result<()> {
        self.make_room(needed);
        let read = self.stream.read(self.buffer.get_mut(self.end..).unwrap_or_default())?;
        self.arrived(read)
    }

    /// Room for what has come, and for all of the next frame; for who reads by other means, and says how much that was.
    pub(crate) fn room(&mut self) -> io::Result<&mut [u8]> {
        let needed = self.needed()?;
        self.make_room(needed);
        Ok(self.buffer.get_mut(self.end..).unwrap_or_default())
    }

    /// So much was read into the room.
    pub(crate) fn arrived(&mut self, read: usize) -> io::Result<()> {
        self.end += read;
        if read == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
    }

    fn make_room(&mut self, needed: usize) {
        if self.begin == self.end {
            (self.begin, self.end) = (0, 0);
        }
        if self.begin + needed > self.buffer.len() {
            self.buffer.copy_within(self.begin..self.end, 0);
            (self.begin, self.end) = (0, self.end - self.begin);
            if needed > self.buffer.len() {
                self.buffer.resize(needed.next_power_of_two(), 0);
            }
        }
    }
}

/// What came cannot be read.
pub(crate) fn garbage(doing: &str) -> Failure {
    let source = io::Error::new(io::ErrorKind::InvalidData, "the reply cannot be read");
    Failure::Io { doing: doing.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn frames_come_whole_however_they_were_cut() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut server = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut inbox = Inbox::new(listener.accept().unwrap().0);
        inbox.buffer.truncate(16);
        let long = [7; 100];
        server.write_all(&[0, 0, 0, 2, 1, 2, 0, 0, 0, 0, 0, 0, 0, 100]).unwrap();
        assert_eq!(inbox.next_frame().unwrap(), [1, 2]);
        assert!(inbox.has_frame());
        assert_eq!(inbox.next_frame().unwrap(), [0; 0]);
        assert!(!inbox.has_frame());
        server.write_all(&long).unwrap();
        assert_eq!(inbox.next_frame().unwrap(), long);
        server.write_all(&[0xff; 4]).unwrap();
        assert_eq!(inbox.next_frame().unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn the_end_of_the_stream_is_an_error() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let mut inbox = Inbox::new(listener.accept().unwrap().0);
        drop(server);
        assert_eq!(inbox.next_frame().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
