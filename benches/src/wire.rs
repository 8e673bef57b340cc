//! Frames by hand: what the floor and the writer send and read, without any client.
//!
//! The tests hold them to `zk-proto`'s records. Source: protocol.md sections 1 to 4.

use zk_proto::{Op, OpCode, WatchMode, frame::PREFIX_LEN, jute::encode_to_bytes};

/// The number of a watched event, which answers no request.
pub(crate) const EVENT_XID: i32 = -1;

/// The number of an identity and of its answer.
const AUTH_XID: i32 = -4;

/// The greeting of a new session.
pub(crate) fn connect(out: &mut Vec<u8>, timeout_ms: i32) {
    frame(out, |out| {
        out.extend([0; 4]); // protocol version
        out.extend([0; 8]); // last zxid seen
        out.extend(timeout_ms.to_be_bytes());
        out.extend([0; 8]); // session id
        buffer(out, &[0; 16]); // password
        out.push(0); // read-only
    });
}

/// Who we are; it has a number of its own.
pub(crate) fn auth(out: &mut Vec<u8>, scheme: &[u8], credentials: &[u8]) {
    request(out, AUTH_XID, OpCode::AUTH, |out| {
        out.extend([0; 4]); // type
        buffer(out, scheme);
        buffer(out, credentials);
    });
}

/// getData without a watch.
pub(crate) fn get_data(out: &mut Vec<u8>, xid: i32, path: &[u8]) {
    request(out, xid, OpCode::GET_DATA, |out| {
        buffer(out, path);
        out.push(0);
    });
}

/// setData of any version.
pub(crate) fn set_data(out: &mut Vec<u8>, xid: i32, path: &[u8], data: &[u8]) {
    request(out, xid, OpCode::SET_DATA, |out| {
        buffer(out, path);
        buffer(out, data);
        out.extend((-1i32).to_be_bytes());
    });
}

/// addWatch, persistent and recursive.
pub(crate) fn add_recursive_watch(out: &mut Vec<u8>, xid: i32, path: &[u8]) {
    request(out, xid, OpCode::ADD_WATCH, |out| {
        buffer(out, path);
        out.extend(WatchMode::PERSISTENT_RECURSIVE.0.to_be_bytes());
    });
}

/// multiRead of some paths: getData or getChildren of each.
pub(crate) fn read_many<'a>(out: &mut Vec<u8>, xid: i32, op: OpCode, paths: impl IntoIterator<Item = &'a [u8]>) {
    request(out, xid, OpCode::MULTI_READ, |out| {
        for path in paths {
            multi_header(out, op.0, false);
            buffer(out, path);
            out.push(0);
        }
        multi_header(out, -1, true);
    });
}

/// A transaction that sets some paths to the same value, whatever their version.
pub(crate) fn set_many<'a>(out: &mut Vec<u8>, xid: i32, paths: impl IntoIterator<Item = &'a [u8]>, data: &[u8]) {
    request(out, xid, OpCode::MULTI, |out| {
        for path in paths {
            multi_header(out, OpCode::SET_DATA.0, false);
            buffer(out, path);
            buffer(out, data);
            out.extend((-1i32).to_be_bytes());
        }
        multi_header(out, -1, true);
    });
}

/// Any other request, by `zk-proto`'s records: for what is not measured.
pub(crate) fn any<O: Op>(out: &mut Vec<u8>, xid: i32, body: &O::Request<'_>) {
    request(out, xid, O::CODE, |out| out.extend_from_slice(&encode_to_bytes(body)));
}

fn request(out: &mut Vec<u8>, xid: i32, op: OpCode, body: impl FnOnce(&mut Vec<u8>)) {
    frame(out, |out| {
        out.extend(xid.to_be_bytes());
        out.extend(op.0.to_be_bytes());
        body(out);
    });
}

/// A body behind its length.
fn frame(out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend([0; PREFIX_LEN]);
    body(out);
    let len = length(out.len() - start - PREFIX_LEN);
    let prefix = out.get_mut(start..).into_iter().flatten();
    prefix.zip(len).for_each(|(to, from)| *to = from);
}

fn buffer(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(length(bytes.len()));
    out.extend_from_slice(bytes);
}

fn multi_header(out: &mut Vec<u8>, op: i32, done: bool) {
    out.extend(op.to_be_bytes());
    out.push(u8::from(done));
    out.extend((-1i32).to_be_bytes());
}

/// No frame here comes near the limit of this type.
fn length(len: usize) -> [u8; 4] {
    i32::try_from(len).unwrap_or(i32::MAX).to_be_bytes()
}

/// What precedes every reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) xid: i32,
    pub(crate) err: i32,
}

/// A reply's or an event's header, and what is behind it.
pub(crate) fn header(frame: &[u8]) -> Option<(Header, &[u8])> {
    let (xid, rest) = frame.split_first_chunk()?;
    let (_zxid, rest) = rest.split_first_chunk::<8>()?;
    let (err, body) = rest.split_first_chunk()?;
    Some((Header { xid: i32::from_be_bytes(*xid), err: i32::from_be_bytes(*err) }, body))
}

/// The path in an event's body.
pub(crate) fn event_path(body: &[u8]) -> Option<&[u8]> {
    take_buffer(&mut body.get(8..)?)
}

/// The data in getData's body; empty if it is null.
pub(crate) fn data(mut body: &[u8]) -> Option<&[u8]> {
    take_buffer(&mut body)
}

/// What one read of a multiRead found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found<'a> {
    /// Data, and how many children the znode has.
    Data(&'a [u8], i32),
    /// Names of children.
    Names(Vec<&'a [u8]>),
    /// The read failed.
    Failed,
}

/// Each result in multiRead's body, in order; `None` if the body is none.
pub(crate) fn many<'a>(mut body: &'a [u8], mut each: impl FnMut(Found<'a>)) -> Option<()> {
    const STAT_LEN: usize = 68;
    const CHILDREN_AT: usize = 56;
    loop {
        let (op, rest) = body.split_first_chunk()?;
        let (done, rest) = rest.split_first()?;
        let (_err, rest) = rest.split_first_chunk::<4>()?;
        body = rest;
        each(match (*done, OpCode(i32::from_be_bytes(*op))) {
            (0, OpCode::GET_DATA) => {
                let data = take_buffer(&mut body)?;
                let (stat, rest) = body.split_first_chunk::<STAT_LEN>()?;
                body = rest;
                Found::Data(data, i32::from_be_bytes(*stat.get(CHILDREN_AT..)?.first_chunk()?))
            }
            (0, OpCode::GET_CHILDREN) => {
                let (count, rest) = body.split_first_chunk()?;
                body = rest;
                let names = (0..i32::from_be_bytes(*count)).map(|_| take_buffer(&mut body));
                Found::Names(names.collect::<Option<_>>()?)
            }
            (0, OpCode::ERROR) => {
                body = body.get(4..)?;
                Found::Failed
            }
            (0, _) => return None,
            _ => return Some(()),
        });
    }
}

fn take_buffer<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (len, tail) = rest.split_first_chunk()?;
    let len = usize::try_from(i32::from_be_bytes(*len)).unwrap_or(0);
    let (taken, tail) = tail.split_at_checked(len)?;
    *rest = tail;
    Some(taken)
}

#[cfg(test)]
mod tests;
