//! Records that open a connection, and those around every other record: greeting, headers, identities.
//!
//! Source: protocol.md sections 2.2, 2.5, 6.2 and 6.3.

use super::{Secret, SecretBytes, Str};
use crate::{
    code::{ErrorCode, OpCode},
    id::{SessionId, Zxid},
    jute::{Decode, DecodeError, Encode, Reader, Tail},
};
use bytes::BytesMut;

records! {
    /// The first frame of a client; has no header and so no opcode. Since 3.0.
    ///
    /// Answered with a [`ConnectResponse`]; by hanging up, when the server serves nobody or has not seen `last_zxid_seen`; or
    /// by a read-only server since 3.7 with the 16 bytes of a [`ReplyHeader`].
    ConnectRequest<'a> {
        /// Always 0; no server checks it.
        protocol_version: i32,
        /// The highest zxid this client has ever seen; a server behind it hangs up.
        last_zxid_seen: Zxid,
        /// The wanted session timeout in milliseconds; servers clamp it, by default to 2 to 20 ticks.
        timeout_ms: i32,
        /// The session to go on with, or 0.
        session_id: SessionId,
        /// 16 bytes that prove a resumed session, zeros for a new one; servers take null for zeros.
        password: Option<Secret<'a>>,
        /// Whether a read-only server will do; clients before 3.4 leave the byte out.
        read_only: Tail<bool>,
    }
    /// The first frame of a server; has no header and so no opcode. Since 3.0.
    ConnectResponse {
        /// Always 0.
        protocol_version: i32,
        /// The negotiated session timeout in milliseconds; 0 or less: the session is gone.
        timeout_ms: i32,
        /// The session, or 0 if refused. Another one than was asked for means that ours is gone.
        session_id: SessionId,
        /// 16 bytes, needed to resume the session; zeros if refused.
        password: Option<SecretBytes>,
        /// Whether the server is in read-only mode. Sent if the request had the byte; by 3.9.0 to 3.9.2 always.
        read_only: Tail<bool>,
    }
    /// Precedes every request but the first: 8 bytes.
    RequestHeader {
        /// The request's number; see [`xid`](crate::session::xid).
        xid: i32,
        /// The operation. One that the server does not know costs the connection.
        op: OpCode,
    }
    /// Precedes every reply but the first, and every notification: 16 bytes.
    ReplyHeader {
        /// The request's number, or a special one.
        xid: i32,
        /// The last transaction the server has processed; 0 or -1 where it does not say.
        zxid: Zxid,
        /// Whether the operation succeeded. If not, whatever follows means nothing.
        err: ErrorCode,
    }
    /// Body of **auth** (opcode 100, xid -4, since 3.0): adds an identity to the connection, until the connection ends.
    ///
    /// The data is a secret; it is not printed. Answered at once, ahead of earlier requests. Errors:
    /// [`AUTH_FAILED`](ErrorCode::AUTH_FAILED), and the server hangs up.
    AuthPacket<'a> {
        /// Always 0.
        auth_type: i32,
        /// `digest`, for instance.
        scheme: Str<'a>,
        /// `user:password` for digest; empty for `ip`. Null is refused by digest.
        auth: Option<Secret<'a>>,
    }
    /// Body of **sasl** (opcode 102, since 3.4): one step of the exchange, before any other request.
    ///
    /// Errors: [`AUTH_FAILED`](ErrorCode::AUTH_FAILED), or
    /// [`SESSION_CLOSED_REQUIRE_SASL_AUTH`](ErrorCode::SESSION_CLOSED_REQUIRE_SASL_AUTH) where SASL is mandatory; the server
    /// hangs up behind both. A null token costs the connection, so there is none here.
    SaslRequest<'a> {
        /// The mechanism's token; empty, not null, to begin with.
        token: Secret<'a>,
    }
    /// Reply of **sasl** (opcode 102, since 3.4).
    SaslResponse {
        /// The mechanism's token; null where the server has no SASL, and behind a failure.
        token: Option<SecretBytes>,
    }
}
