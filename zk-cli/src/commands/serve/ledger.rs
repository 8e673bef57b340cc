//! What `zk serve` notes of its connections: lines for people, frames for the record.
//!
//! Must not know sockets, nor where lines go. Runs on the server's threads: it never waits for a reader.

use super::record::{Conversation, Direction, line};
use serde::Serialize;
use std::{collections::HashMap, fmt, fs::File, io, net::SocketAddr};
use tokio::sync::mpsc;
use zk_proto::{jute::decode_from, records::ConnectResponse};
use zk_testkit::server::Seen;

/// What the command is told.
#[derive(Debug)]
pub(super) enum Note {
    Line(Event),
    /// Nothing more is recorded.
    RecordFailed(io::Error),
}

/// A line of `--verbose`; in JSON, names and types are promises.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Event {
    Opened { conn: u64, peer: SocketAddr },
    Session { conn: u64, session: String, timeout_ms: i32 },
    SessionRefused { conn: u64 },
    Closed { conn: u64 },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opened { conn, peer } => write!(f, "conn {conn}: opened by {peer}"),
            Self::Session { conn, session, timeout_ms } => {
                write!(f, "conn {conn}: session {session}, timeout {timeout_ms} ms")
            }
            Self::SessionRefused { conn } => write!(f, "conn {conn}: asked for a session that has expired"),
            Self::Closed { conn } => write!(f, "conn {conn}: closed"),
        }
    }
}

/// Takes everything that passes.
pub(super) struct Ledger {
    file: Option<File>,
    with_secrets: bool,
    verbose: bool,
    notes: mpsc::Sender<Note>,
    conversations: HashMap<u64, Conversation>,
    /// Lines that nobody read in time.
    pub(super) lost: u64,
}

impl Ledger {
    pub(super) fn new(file: Option<File>, with_secrets: bool, verbose: bool, notes: mpsc::Sender<Note>) -> Self {
        Self { file, with_secrets, verbose, notes, conversations: HashMap::new(), lost: 0 }
    }

    pub(super) fn take(&mut self, conn: u64, seen: Seen<'_>) {
        match seen {
            Seen::Opened(peer) => {
                self.conversations.insert(conn, Conversation::default());
                self.tell(Event::Opened { conn, peer });
            }
            Seen::Received(frame) => self.record(conn, Direction::ToServer, frame),
            Seen::Sent(frame) => {
                if self.conversations.get(&conn).is_some_and(|conversation| !conversation.is_greeted()) {
                    self.tell(session(conn, frame));
                }
                self.record(conn, Direction::ToClient, frame);
            }
            Seen::Closed => {
                self.conversations.remove(&conn);
                self.tell(Event::Closed { conn });
            }
            _ => {}
        }
    }

    fn tell(&mut self, event: Event) {
        if self.verbose && self.notes.try_send(Note::Line(event)).is_err() {
            self.lost += 1;
        }
    }

    fn record(&mut self, conn: u64, direction: Direction, frame: &[u8]) {
        let Some(conversation) = self.conversations.get_mut(&conn) else { return };
        let without = conversation.without_secrets(direction, frame);
        let Some(file) = &mut self.file else { return };
        let frame = if self.with_secrets { frame } else { &without };
        // whole lines, at once: who kills the server finds no half of one
        if let Err(error) = io::Write::write_all(file, line(conn, direction, frame).as_bytes()) {
            self.file = None;
            // if it finds no place, thousands of notes wait before it, and nobody reads them
            let _ = self.notes.try_send(Note::RecordFailed(error));
        }
    }
}

fn session(conn: u64, frame: &[u8]) -> Event {
    match decode_from::<ConnectResponse>(&bytes::Bytes::copy_from_slice(frame)) {
        Ok(ConnectResponse { session_id, timeout_ms, .. }) if timeout_ms > 0 => {
            Event::Session { conn, session: format!("{:#x}", session_id.0), timeout_ms }
        }
        _ => Event::SessionRefused { conn },
    }
}
