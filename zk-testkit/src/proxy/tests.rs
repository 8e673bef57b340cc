//! The proxy: one connection by hand and in no time, then over sockets and on a paused clock.

mod pipe;
mod wire;

use bytes::BytesMut;
use zk_proto::{
    OpCode, SessionId, Zxid,
    create::CreateFlags,
    jute::{Encode, Tail, encode_to_bytes},
    records::{ConnectRequest, CreateRequest, OPEN_ACL_UNSAFE, RequestHeader, Secret},
};

fn frame(payload: &[u8]) -> Vec<u8> {
    [&u32::try_from(payload.len()).unwrap().to_be_bytes()[..], payload].concat()
}

/// A ConnectRequest for a new session.
fn greeting() -> Vec<u8> {
    let request = ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: Zxid(0),
        timeout_ms: 10_000,
        session_id: SessionId::NONE,
        password: Some(Secret(&[0; 16])),
        read_only: Tail(Some(false)),
    };
    frame(&encode_to_bytes(&request))
}

fn request(xid: i32, op: OpCode, body: &impl Encode) -> Vec<u8> {
    let mut payload: BytesMut = encode_to_bytes(&RequestHeader { xid, op });
    body.encode(&mut payload);
    frame(&payload)
}

fn create(xid: i32, path: &str) -> Vec<u8> {
    let flags = CreateFlags::PERSISTENT;
    let body = CreateRequest { path: path.into(), data: Some(b"x"), acl: OPEN_ACL_UNSAFE.into(), flags };
    request(xid, OpCode::CREATE, &body)
}
