//! Records about watches: set, set again, looked for, removed, fired.
//!
//! Source: protocol.md sections 2.6, 3.4, 4.1 and 4.4.

use super::Str;
use crate::{
    id::Zxid,
    jute::{Decode, DecodeError, Encode, List, Reader, Tail, Text},
    watch::{EventType, KeeperState, WatchMode, WatcherType},
};
use bytes::BytesMut;

records! {
    /// Body of **checkWatches** (opcode 17, since 3.5.0) and **removeWatches** (18, since 3.5.0). Fires nothing.
    ///
    /// Errors: [`NO_WATCHER`](crate::ErrorCode::NO_WATCHER) if this connection has no such watch (it may just have fired),
    /// [`MARSHALLING_ERROR`](crate::ErrorCode::MARSHALLING_ERROR) for a type that the server does not know: 4 and 5 before
    /// 3.9.0. Before 3.9, removing data or child watches tears half of a persistent watch away (ZOOKEEPER-4471).
    WatchesRequest<'a> {
        /// The path the watch was set on.
        path: Str<'a>,
        /// Which kind of watch.
        watcher_type: WatcherType,
    }
    /// Body of **addWatch** (opcode 106, since 3.6.0): a watch that stays. Neither the path nor an ACL is looked at.
    ///
    /// Errors: [`MARSHALLING_ERROR`](crate::ErrorCode::MARSHALLING_ERROR) for an unknown mode. Servers before 3.6 answer
    /// [`UNIMPLEMENTED`](crate::ErrorCode::UNIMPLEMENTED) and hang up. Before 3.9 a connection has one mode a path.
    AddWatchRequest<'a> {
        /// The path; it need not exist.
        path: Str<'a>,
        /// Persistent or persistent-recursive.
        mode: WatchMode,
    }
    /// Reply of **addWatch** (opcode 106, since 3.6.0): four bytes that are always 0, and that some servers forget.
    AddWatchResponse {
        /// Always 0.
        err: Tail<i32>,
    }
    /// Body of **setWatches** (opcode 101, since 3.0): one-shot watches to set again after a reconnect.
    ///
    /// What changed since `relative_zxid` is told by events with zxid -1, all before the reply. Limit: Java's clients, and
    /// ours, put 128 KiB of paths into a frame; the next frame has the same zxid. Errors: none of its own, but a null list
    /// is [`MARSHALLING_ERROR`](crate::ErrorCode::MARSHALLING_ERROR).
    SetWatchesRequest<'a> {
        /// Changes after this zxid are reported at once.
        relative_zxid: Zxid,
        /// Paths with a data watch.
        data: List<'a, Text>,
        /// Paths with a watch for their creation.
        exist: List<'a, Text>,
        /// Paths with a child watch.
        child: List<'a, Text>,
    }
    /// Body of **setWatches2** (opcode 105, since 3.6.0): the same with persistent watches, for which nothing is ever replayed.
    ///
    /// Errors: as [`SetWatchesRequest`]; servers before 3.6 answer [`UNIMPLEMENTED`](crate::ErrorCode::UNIMPLEMENTED) and
    /// hang up, so it is sent only when there are persistent watches.
    SetWatches2Request<'a> {
        /// Changes after this zxid are reported at once, for the first three lists only.
        relative_zxid: Zxid,
        /// Paths with a data watch.
        data: List<'a, Text>,
        /// Paths with a watch for their creation.
        exist: List<'a, Text>,
        /// Paths with a child watch.
        child: List<'a, Text>,
        /// Paths with a persistent watch.
        persistent: List<'a, Text>,
        /// Paths with a persistent-recursive watch.
        recursive: List<'a, Text>,
    }
    /// Body of a **notification** (opcode 0, which is never sent), behind a reply header with xid -1. Since 3.0.
    ///
    /// The header's zxid is the transaction's since 3.9.0, and -1 before that and for what setWatches tells.
    WatcherEvent {
        /// What happened.
        event_type: EventType,
        /// Always 3, SyncConnected, on the wire.
        state: KeeperState,
        /// To which znode; shares the frame.
        path: Text,
    }
}
