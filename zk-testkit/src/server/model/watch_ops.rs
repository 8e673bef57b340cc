//! Requests about watches: set again after a reconnect, set for good, looked for, removed.
//!
//! Must not know how a change finds its watchers. Source: protocol.md sections 3.4, 4.4 and 4.6.

use zk_proto::{
    DecodeError, ErrorCode, EventType, OpCode, WatchMode, Zxid,
    jute::{Decode, List, Reader, Tail, Text},
    records::{AddWatchResponse, Empty, SetWatches2Request, SetWatchesRequest, Str},
};

use super::{Model, dispatch::Call, watches::Side, writes::watched_event};

/// One list of setWatches.
type Paths<'a> = List<'a, Text>;

impl Model {
    /// Whether the opcode was one about watches; then it is answered.
    pub(super) fn dispatch_watch(&mut self, call: &Call<'_>) -> bool {
        match call.op {
            OpCode::ADD_WATCH => {
                let result = self.add_watch(call);
                self.reply(call, &result);
            }
            OpCode::CHECK_WATCHES => {
                let result = self.check_watches(call);
                self.reply(call, &result);
            }
            OpCode::REMOVE_WATCHES => {
                let result = self.remove_watches(call);
                self.reply(call, &result);
            }
            OpCode::SET_WATCHES => {
                let result = call.record::<SetWatchesRequest<'_>>().and_then(|request| {
                    let SetWatchesRequest { relative_zxid, data, exist, child } = &request;
                    self.set_watches(call, *relative_zxid, [data, exist, child])
                });
                self.reply(call, &result);
            }
            OpCode::SET_WATCHES2 => {
                let result = call.record::<SetWatches2Request<'_>>().and_then(|request| {
                    let SetWatches2Request { relative_zxid, data, exist, child, persistent, recursive } = &request;
                    self.set_watches(call, *relative_zxid, [data, exist, child])?;
                    for path in not_null(persistent)? {
                        let (profile, watches) = self.watching(call.conn);
                        watches.add_persistent(profile, &path, call.conn);
                    }
                    for path in not_null(recursive)? {
                        let (profile, watches) = self.watching(call.conn);
                        watches.add_recursive(profile, &path, call.conn);
                    }
                    Ok(Empty {})
                });
                self.reply(call, &result);
            }
            _ => return false,
        }
        true
    }

    /// What happened while the client was away is told at once, with zxid -1 in every version; what did not is
    /// watched again.
    fn set_watches(
        &mut self,
        call: &Call<'_>,
        relative: Zxid,
        [data, exist, child]: [&Paths<'_>; 3],
    ) -> Result<Empty, ErrorCode> {
        for path in not_null(data)? {
            let missed = match self.node(call.conn, &path) {
                None => Some(EventType::NODE_DELETED),
                Some(node) => (node.mzxid > relative).then_some(EventType::NODE_DATA_CHANGED),
            };
            self.catch_up(call, Side::Data, &path, missed);
        }
        for path in not_null(exist)? {
            let missed = self.node(call.conn, &path).map(|_| EventType::NODE_CREATED);
            self.catch_up(call, Side::Data, &path, missed);
        }
        for path in not_null(child)? {
            let missed = match self.node(call.conn, &path) {
                None => Some(EventType::NODE_DELETED),
                Some(node) => (node.pzxid > relative).then_some(EventType::NODE_CHILDREN_CHANGED),
            };
            self.catch_up(call, Side::Child, &path, missed);
        }
        Ok(Empty {})
    }

    fn catch_up(&mut self, call: &Call<'_>, side: Side, path: &str, missed: Option<EventType>) {
        match missed {
            None => {
                let (profile, watches) = self.watching(call.conn);
                watches.add(profile, side, path, call.conn);
            }
            Some(event) => {
                if let Some(conn) = self.conns.get_mut(&call.conn) {
                    conn.say().notify(&watched_event(Zxid::NONE, event, path));
                }
            }
        }
    }

    /// The path need not exist, and no ACL is looked at. A path that is null is accepted, and never fires.
    fn add_watch(&mut self, call: &Call<'_>) -> Result<AddWatchResponse, ErrorCode> {
        let OnPath { path, what: mode } = call.record()?;
        match (mode, path) {
            (WatchMode::PERSISTENT, Some(path)) => {
                let (profile, watches) = self.watching(call.conn);
                watches.add_persistent(profile, &path, call.conn);
            }
            (WatchMode::PERSISTENT_RECURSIVE, Some(path)) => {
                let (profile, watches) = self.watching(call.conn);
                watches.add_recursive(profile, &path, call.conn);
            }
            (WatchMode::PERSISTENT | WatchMode::PERSISTENT_RECURSIVE, None) => {}
            _ => return Err(ErrorCode::MARSHALLING_ERROR),
        }
        Ok(AddWatchResponse { err: Tail(Some(0)) })
    }

    fn check_watches(&mut self, call: &Call<'_>) -> Result<Empty, ErrorCode> {
        let OnPath { path, what: kind } = call.record()?;
        let (profile, watches) = self.watching(call.conn);
        outcome(watches.contains(profile, path.as_deref(), kind, call.conn))
    }

    /// Fires nothing.
    fn remove_watches(&mut self, call: &Call<'_>) -> Result<Empty, ErrorCode> {
        let OnPath { path, what: kind } = call.record()?;
        let (profile, watches) = self.watching(call.conn);
        outcome(watches.remove(profile, path.as_deref(), kind, call.conn))
    }
}

/// A record of a path and one thing more; other than zk-proto's, which clients use, it can do with null.
struct OnPath<'a, T> {
    path: Option<Str<'a>>,
    what: T,
}

impl<'a, T: Decode<'a>> Decode<'a> for OnPath<'a, T> {
    const LEN_MIN: usize = 4 + T::LEN_MIN;

    fn decode(input: &mut Reader<'a>) -> Result<Self, DecodeError> {
        Ok(Self { path: Decode::decode(input)?, what: T::decode(input)? })
    }
}

/// Java goes through the lists one after the other, and stumbles over the first that is null.
fn not_null<'l>(paths: &'l Paths<'_>) -> Result<&'l Paths<'l>, ErrorCode> {
    if paths.is_null() { Err(ErrorCode::MARSHALLING_ERROR) } else { Ok(paths) }
}

fn outcome(found: Option<bool>) -> Result<Empty, ErrorCode> {
    match found {
        None => Err(ErrorCode::MARSHALLING_ERROR),
        Some(false) => Err(ErrorCode::NO_WATCHER),
        Some(true) => Ok(Empty {}),
    }
}
