//! Requests of the client under test. Each has its ticket behind its body, which servers ignore; so the model knows
//! who it is from, however often it arrives.

use super::{chance::Rng, paths::Paths, plan::Plan};
use bytes::BytesMut;
use std::{marker::PhantomData, time::Duration};
use zk_proto::{
    DecodeError, Op, OpCode, Session, WatchMode,
    frame::REQUEST_LEN_MAX,
    jute::{Decode, Encode, Reader},
    ops,
    records::{AddWatchRequest, GetDataRequest, SetDataRequest, WatchesRequest},
    session::{Change, EncodedRequest, WatchKind},
    watch::WatcherType,
};

struct Tagged<R>(R, i32);

impl<R: Encode> Encode for Tagged<R> {
    fn encoded_len(&self) -> usize {
        self.0.encoded_len() + 4
    }
    fn encode(&self, out: &mut BytesMut) {
        self.0.encode(out);
        self.1.encode(out);
    }
}

impl<'a, R: Decode<'a>> Decode<'a> for Tagged<R> {
    const LEN_MIN: usize = R::LEN_MIN + 4;
    fn decode(input: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self(R::decode(input)?, i32::decode(input)?))
    }
}

struct TaggedOp<O>(PhantomData<O>);

impl<O: Op> Op for TaggedOp<O> {
    const CODE: OpCode = O::CODE;
    type Request<'a> = Tagged<O::Request<'a>>;
    type Reply = O::Reply;
}

fn tagged<O: Op>(request: O::Request<'_>, ticket: u32) -> EncodedRequest {
    EncodedRequest::new::<TaggedOp<O>>(&Tagged(request, ticket as i32), REQUEST_LEN_MAX).unwrap()
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Watch(WatchKind),
    Remove(WatchKind),
    RemoveAll,
    Write,
    Read,
}

const WATCHES: [WatchKind; 5] =
    [WatchKind::Data, WatchKind::Exist, WatchKind::Child, WatchKind::Persistent, WatchKind::PersistentRecursive];

/// One request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask {
    pub(crate) kind: Kind,
    pub(crate) path: usize,
}

impl Ask {
    pub(crate) fn new(rng: &mut Rng, plan: &Plan) -> Self {
        let path = rng.below(plan.paths);
        // Long paths are there to be set again.
        let kind = match rng.below(if plan.long_paths { 11 } else { 16 }) {
            0..6 => Kind::Watch(rng.pick(&WATCHES)),
            6..11 => Kind::Watch(WATCHES[path]),
            11 if rng.one_in(2) => Kind::RemoveAll,
            11 => Kind::Remove(rng.pick(&WATCHES)),
            12 | 13 => Kind::Write,
            _ => Kind::Read,
        };
        Self { kind, path }
    }

    /// Submits it the other way, if there is one: encoded where it leaves from.
    pub(crate) fn submit_op(
        self,
        session: &mut Session<u32>,
        now: Duration,
        ticket: u32,
        paths: &Paths,
        plan: &Plan,
    ) -> bool {
        let path = paths.names[self.path].as_str().into();
        let submitted = match self.kind {
            Kind::Write => {
                let data = vec![b'w'; plan.write_len];
                let request = Tagged(SetDataRequest { path, data: Some(&data), version: -1 }, ticket as i32);
                session.submit_op::<TaggedOp<ops::SetData>>(now, &request, REQUEST_LEN_MAX, ticket)
            }
            Kind::Read => {
                let request = Tagged(GetDataRequest { path, watch: false }, ticket as i32);
                session.submit_op::<TaggedOp<ops::GetData>>(now, &request, REQUEST_LEN_MAX, ticket)
            }
            Kind::Watch(_) | Kind::Remove(_) | Kind::RemoveAll => return false,
        };
        submitted.unwrap();
        true
    }

    pub(crate) fn encode(self, ticket: u32, paths: &Paths, plan: &Plan) -> (EncodedRequest, Option<Change>) {
        let path = paths.names[self.path].as_str();
        let read = |watch| GetDataRequest { path: path.into(), watch };
        let add = |mode| tagged::<ops::AddWatch>(AddWatchRequest { path: path.into(), mode }, ticket);
        let remove =
            |watcher_type| tagged::<ops::RemoveWatches>(WatchesRequest { path: path.into(), watcher_type }, ticket);
        match self.kind {
            Kind::Watch(kind) => {
                let request = match kind {
                    WatchKind::Data => tagged::<ops::GetData>(read(true), ticket),
                    WatchKind::Exist => tagged::<ops::Exists>(read(true), ticket),
                    WatchKind::Child => tagged::<ops::GetChildren2>(read(true), ticket),
                    WatchKind::Persistent => add(WatchMode::PERSISTENT),
                    WatchKind::PersistentRecursive => add(WatchMode::PERSISTENT_RECURSIVE),
                };
                (request, Some(Change::Set(kind, path.into())))
            }
            Kind::Remove(kind) => (remove(watcher_type(kind)), Some(Change::Remove(kind, path.into()))),
            Kind::RemoveAll => (remove(WatcherType::ANY), Some(Change::RemoveAll(path.into()))),
            Kind::Write => {
                let data = vec![b'w'; plan.write_len];
                let request = SetDataRequest { path: path.into(), data: Some(&data), version: -1 };
                (tagged::<ops::SetData>(request, ticket), None)
            }
            Kind::Read => (tagged::<ops::GetData>(read(false), ticket), None),
        }
    }
}

const fn watcher_type(kind: WatchKind) -> WatcherType {
    match kind {
        WatchKind::Data | WatchKind::Exist => WatcherType::DATA,
        WatchKind::Child => WatcherType::CHILDREN,
        WatchKind::Persistent => WatcherType::PERSISTENT,
        WatchKind::PersistentRecursive => WatcherType::PERSISTENT_RECURSIVE,
    }
}

/// The ticket behind a request's body; `None` for what the session sends by itself.
pub(crate) fn ticket_of(op: OpCode, body: &[u8]) -> Option<u32> {
    let own = [OpCode::PING, OpCode::AUTH, OpCode::SET_WATCHES, OpCode::SET_WATCHES2, OpCode::CLOSE_SESSION];
    if own.contains(&op) {
        return None;
    }
    body.last_chunk().map(|ticket| u32::from_be_bytes(*ticket))
}

/// Lists of watches, in wire order.
pub(crate) const DATA: usize = 0;
pub(crate) const EXIST: usize = 1;
pub(crate) const CHILD: usize = 2;
pub(crate) const PERSISTENT: usize = 3;
pub(crate) const RECURSIVE: usize = 4;

/// Calls `each` with list and path of every watch in a setWatches or setWatches2, and gives the zxid that they are
/// compared with. `None`: the frame is broken.
pub(crate) fn watch_lists(op: OpCode, body: &[u8], mut each: impl FnMut(usize, &[u8])) -> Option<i64> {
    let (zxid, mut rest) = body.split_first_chunk::<8>()?;
    for list in 0..if op == OpCode::SET_WATCHES2 { 5 } else { 3 } {
        let (count, tail) = rest.split_first_chunk::<4>()?;
        rest = tail;
        for _ in 0..i32::from_be_bytes(*count) {
            let (len, tail) = rest.split_first_chunk::<4>()?;
            let (path, tail) = tail.split_at_checked(usize::try_from(i32::from_be_bytes(*len)).ok()?)?;
            each(list, path);
            rest = tail;
        }
    }
    rest.is_empty().then(|| i64::from_be_bytes(*zxid))
}
