//! The first exchange on a connection: the ConnectRequest, and every answer a server may give to it.
//!
//! Knows nothing of timers or queues. Source: protocol.md sections 2.2 and 2.3.

use super::event::{Looks, Loss};
use crate::{
    frame::{CONNECT_REPLY_LEN_MAX, Frame},
    id::{SessionId, Zxid},
    jute::{Encode, Tail, decode_from},
    records::{ConnectRequest, ConnectResponse, ReplyHeader, Secret},
};
use bytes::{BufMut, Bytes, BytesMut};
use core::{fmt, time::Duration};
use zeroize::Zeroizing;

/// Length of a session's password.
const PASSWORD_LEN: usize = 16;

/// A refusal has the shape of a reply header: 16 bytes, too short for a ConnectResponse.
const CONNECT_RESPONSE_LEN_MIN: usize = 20;

/// What resumes a session: its id and its password. The password never shows in `Debug` output.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The session.
    pub id: SessionId,
    /// 16 bytes that prove it is ours.
    pub password: Bytes,
}

impl Credentials {
    pub(super) const NEW: Self = Self { id: SessionId::NONE, password: Bytes::from_static(&[0; PASSWORD_LEN]) };
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What a server made of a ConnectRequest.
pub(super) enum Verdict {
    /// A session, ours or a new one.
    Taken { credentials: Credentials, timeout: Duration, read_only: bool },
    /// The session is gone.
    Gone,
    /// This server will not have us; another may.
    Unfit(Loss),
}

/// What asks a server for this session.
pub(super) fn request(
    session: &Credentials,
    last_zxid: Zxid,
    timeout: Duration,
    read_only: bool,
) -> ConnectRequest<'_> {
    ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: last_zxid,
        timeout_ms: i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX),
        session_id: session.id,
        password: Some(Secret(&session.password)),
        read_only: Tail(Some(read_only)),
    }
}

pub(super) fn put(out: &mut BytesMut, request: &ConnectRequest<'_>) {
    out.put_u32(u32::try_from(request.encoded_len()).unwrap_or(u32::MAX));
    request.encode(out);
}

/// What the first frame says to whom `asked` that.
pub(super) fn verdict(frame: &Frame, asked: &ConnectRequest<'_>) -> Verdict {
    let Frame::Whole(bytes) = frame else { return Verdict::Unfit(Loss::NotZooKeeper(Looks::Unknown)) };
    // Read as an answer, it may make a session: the first half of the zxid is its timeout.
    if decode_from::<ConnectRequest<'_>>(bytes).is_ok_and(|request| request == *asked) {
        return Verdict::Unfit(Loss::NotZooKeeper(Looks::Echo));
    }
    if bytes.len() < CONNECT_RESPONSE_LEN_MIN {
        let code = decode_from::<ReplyHeader>(bytes).ok().map(|header| header.err);
        return Verdict::Unfit(Loss::Refused(code));
    }
    let response: ConnectResponse = match decode_from(bytes) {
        Ok(response) => response,
        Err(error) => return Verdict::Unfit(Loss::Decode(error)),
    };
    match u64::try_from(response.timeout_ms) {
        Ok(timeout_ms @ 1..) => Verdict::Taken {
            credentials: Credentials {
                id: response.session_id,
                // Copied: a slice would keep the read buffer alive for the session's whole life. Zeroized with its last
                // clone.
                password: response
                    .password
                    .map(|secret| Bytes::from_owner(Zeroizing::new(secret.0.to_vec())))
                    .unwrap_or_default(),
            },
            timeout: Duration::from_millis(timeout_ms),
            read_only: response.read_only.0.unwrap_or(false),
        },
        Ok(0) | Err(_) => Verdict::Gone,
    }
}

/// Whether the first bytes of an answer can be a ConnectResponse's; told before the frame is whole, since
/// the "length" of an HTTP answer is a gigabyte.
pub(super) fn check_prefix(inbox: &[u8]) -> Result<(), Loss> {
    let Some(prefix) = inbox.first_chunk::<4>() else { return Ok(()) };
    let looks = match prefix {
        b"HTTP" => Looks::Http,
        [0x15 | 0x16, 3, 0..=4, _] => Looks::Tls,
        _ if u32::from_be_bytes(*prefix) as usize > CONNECT_REPLY_LEN_MAX => Looks::Unknown,
        _ => return Ok(()),
    };
    Err(Loss::NotZooKeeper(looks))
}
