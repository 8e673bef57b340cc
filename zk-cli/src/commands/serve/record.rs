//! `--record`: frames as JSON lines, in the format of `tests/tests/vectors/java-*.jsonl`, with zeros for secrets.
//!
//! Must not know files but by name. Secrets are the session password in both greetings, the data of auth packets and
//! the tokens of SASL; source: protocol.md sections 2.2, 6.2 and 6.3.

use std::{
    borrow::Cow,
    collections::VecDeque,
    fmt::Write as _,
    fs::{File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};
use zk_proto::OpCode;

/// SASL steps without an answer that are remembered; a client waits for each.
const SASL_STEPS_MAX: usize = 64;

/// A new file, for its owner only: a record says much.
pub(super) fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Which way a frame goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Direction {
    ToServer,
    ToClient,
}

/// A frame as a line.
pub(super) fn line(conn: u64, direction: Direction, frame: &[u8]) -> String {
    let dir = match direction {
        Direction::ToServer => "c2s",
        Direction::ToClient => "s2c",
    };
    let mut line = String::with_capacity(frame.len() * 2 + 64);
    // writing into a string does not fail
    let _ = write!(line, r#"{{"conn": {conn}, "dir": "{dir}", "frame": ""#);
    for byte in frame {
        let _ = write!(line, "{byte:02x}");
    }
    line.push_str("\"}\n");
    line
}

/// What must be known of a connection to find the secrets.
#[derive(Debug, Default)]
pub(super) struct Conversation {
    asked: bool,
    answered: bool,
    /// xids of SASL steps that wait for their answers.
    sasl: VecDeque<i32>,
}

impl Conversation {
    /// Whether the server's greeting has passed.
    pub(super) const fn is_greeted(&self) -> bool {
        self.answered
    }

    /// The frame with zeros for its secrets, as long as before.
    pub(super) fn without_secrets<'f>(&mut self, direction: Direction, frame: &'f [u8]) -> Cow<'f, [u8]> {
        match direction {
            Direction::ToServer if !self.asked => {
                self.asked = true;
                without_buffer(frame, CONNECT_REQUEST_PASSWORD)
            }
            Direction::ToClient if !self.answered => {
                self.answered = true;
                without_buffer(frame, CONNECT_RESPONSE_PASSWORD)
            }
            Direction::ToServer => self.request(frame),
            Direction::ToClient => self.reply(frame),
        }
    }

    fn request<'f>(&mut self, frame: &'f [u8]) -> Cow<'f, [u8]> {
        let (Some(xid), Some(op)) = (int(frame, 0), int(frame, OP)) else { return Cow::Borrowed(frame) };
        match OpCode(op) {
            OpCode::AUTH => {
                let scheme = int(frame, AUTH_SCHEME).unwrap_or(0);
                without_buffer(frame, AUTH_SCHEME + LENGTH_LEN + usize::try_from(scheme).unwrap_or(0))
            }
            OpCode::SASL => {
                self.sasl.push_back(xid);
                self.sasl.drain(..self.sasl.len().saturating_sub(SASL_STEPS_MAX));
                without_buffer(frame, SASL_TOKEN)
            }
            _ => Cow::Borrowed(frame),
        }
    }

    fn reply<'f>(&mut self, frame: &'f [u8]) -> Cow<'f, [u8]> {
        let xid = int(frame, 0);
        let Some(at) = self.sasl.iter().position(|step| Some(*step) == xid) else { return Cow::Borrowed(frame) };
        self.sasl.drain(..=at);
        without_buffer(frame, SASL_ANSWER_TOKEN)
    }
}

/// A length on the wire, in bytes; so are the places below, from the frame's first byte.
const LENGTH_LEN: usize = 4;
/// Behind the xid.
const OP: usize = 4;
/// Behind protocol version, zxid, timeout and session id.
const CONNECT_REQUEST_PASSWORD: usize = 4 + 8 + 4 + 8;
/// Behind protocol version, timeout and session id.
const CONNECT_RESPONSE_PASSWORD: usize = 4 + 4 + 8;
/// Behind the header and the type; the data is behind the scheme.
const AUTH_SCHEME: usize = 8 + 4;
/// Behind the header.
const SASL_TOKEN: usize = 8;
/// Behind the header.
const SASL_ANSWER_TOKEN: usize = 16;

fn int(frame: &[u8], at: usize) -> Option<i32> {
    frame.get(at..)?.first_chunk().map(|bytes| i32::from_be_bytes(*bytes))
}

/// The frame with zeros in the buffer whose length is at `at`; with zeros from there on if it does not fit.
fn without_buffer(frame: &[u8], at: usize) -> Cow<'_, [u8]> {
    let len = match int(frame, at) {
        Some(-1) => return Cow::Borrowed(frame), // null
        Some(len) => usize::try_from(len).unwrap_or(usize::MAX),
        None => usize::MAX,
    };
    let begin = at.saturating_add(LENGTH_LEN);
    let range = match begin.checked_add(len).filter(|end| *end <= frame.len()) {
        Some(end) => begin..end,
        None => at.min(frame.len())..frame.len(),
    };
    let mut frame = frame.to_vec();
    if let Some(secret) = frame.get_mut(range) {
        secret.fill(0);
    }
    Cow::Owned(frame)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Direction::{ToClient, ToServer};
    use zk_proto::{
        ErrorCode, SessionId, Zxid,
        jute::{Encode, Tail, encode_to_bytes},
        records::{
            AuthPacket, ConnectRequest, ConnectResponse, ReplyHeader, RequestHeader, SaslRequest, SaslResponse, Secret,
            SecretBytes,
        },
    };

    const SECRET: &[u8; 16] = b"a_very_secret_16";

    fn request(secret: &[u8]) -> Vec<u8> {
        let password = Some(Secret(secret));
        let (session_id, last_zxid_seen) = (SessionId(7), Zxid(9));
        let read_only = Tail(Some(true));
        let request =
            ConnectRequest { protocol_version: 0, last_zxid_seen, timeout_ms: 5, session_id, password, read_only };
        encode_to_bytes(&request).to_vec()
    }

    fn response(secret: &[u8]) -> Vec<u8> {
        let password = Some(SecretBytes(secret.to_vec().into()));
        let (session_id, read_only) = (SessionId(7), Tail(Some(true)));
        encode_to_bytes(&ConnectResponse { protocol_version: 0, timeout_ms: 5, session_id, password, read_only })
            .to_vec()
    }

    fn framed(header: &impl Encode, body: &impl Encode) -> Vec<u8> {
        [&encode_to_bytes(header)[..], &encode_to_bytes(body)[..]].concat()
    }

    fn auth(secret: &[u8]) -> Vec<u8> {
        let packet = AuthPacket { auth_type: 0, scheme: "digest".into(), auth: Some(Secret(secret)) };
        framed(&RequestHeader { xid: -4, op: OpCode::AUTH }, &packet)
    }

    fn sasl(secret: &[u8]) -> Vec<u8> {
        framed(&RequestHeader { xid: 3, op: OpCode::SASL }, &SaslRequest { token: Secret(secret) })
    }

    fn challenge(secret: &[u8]) -> Vec<u8> {
        let header = ReplyHeader { xid: 3, zxid: Zxid(0), err: ErrorCode::OK };
        framed(&header, &SaslResponse { token: Some(SecretBytes(secret.to_vec().into())) })
    }

    #[test]
    fn secrets_are_zeros_and_nothing_else_is() {
        type Make = fn(&[u8]) -> Vec<u8>;
        let script: [(Direction, Make); 5] =
            [(ToServer, request), (ToClient, response), (ToServer, auth), (ToServer, sasl), (ToClient, challenge)];
        let mut conversation = Conversation::default();
        for (direction, make) in script {
            let frame = make(SECRET);
            assert_eq!(*conversation.without_secrets(direction, &frame), make(&[0; 16])[..], "{frame:?}");
        }
        let plain = challenge(SECRET);
        assert_eq!(*conversation.without_secrets(ToClient, &plain), plain[..], "its step is over: an ordinary reply");
    }

    #[test]
    fn a_frame_that_is_no_record_keeps_no_secret() {
        for (direction, frame, keeps) in [(ToServer, request(SECRET), 24), (ToClient, response(SECRET), 16)] {
            let cut = &frame[..frame.len() - 4];
            let mut expected = cut[..keeps].to_vec();
            expected.resize(cut.len(), 0);
            assert_eq!(*Conversation::default().without_secrets(direction, cut), expected[..]);
        }
        let mut conversation = Conversation { asked: true, answered: true, ..Conversation::default() };
        for len in 0..30 {
            let frame = &auth(SECRET)[..len];
            let kept = conversation.without_secrets(ToServer, frame);
            assert!(kept.len() == len && !kept.windows(2).any(|pair| pair == b"a_"), "{len}");
        }
    }

    #[test]
    fn a_line_is_one_of_the_vectors() {
        assert_eq!(line(3, ToServer, &[0, 0xff]), "{\"conn\": 3, \"dir\": \"c2s\", \"frame\": \"00ff\"}\n");
        assert_eq!(line(4, ToClient, &[]), "{\"conn\": 4, \"dir\": \"s2c\", \"frame\": \"\"}\n");
    }
}
