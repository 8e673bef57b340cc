//! Records about znodes: create, delete, data, children.
//!
//! Source: protocol.md sections 3, 3.1 and 3.2.

use super::{Acl, DataRef, Stat, Str};
use crate::{
    create::{ContainerFlags, CreateFlags, Ttl, TtlFlags},
    jute::{Decode, DecodeError, Encode, List, Reader, Text},
};
use alloc::string::String;
use bytes::{Bytes, BytesMut};

records! {
    /// Body of **create** (opcode 1, since 3.0; the reply is the path) and **create2** (opcode 15, since 3.5.0; path and stat).
    ///
    /// Limits: a path by the rules of [`path`](crate::path), an ACL with at least one entry. Errors, in the order in which
    /// servers look: [`BAD_ARGUMENTS`](crate::ErrorCode::BAD_ARGUMENTS) (number, NUL in the path; a TTL's number is
    /// [`UNIMPLEMENTED`](crate::ErrorCode::UNIMPLEMENTED) where TTLs are off),
    /// [`INVALID_ACL`](crate::ErrorCode::INVALID_ACL), [`NO_NODE`](crate::ErrorCode::NO_NODE) (no parent),
    /// [`NO_AUTH`](crate::ErrorCode::NO_AUTH) without CREATE on the parent, `BAD_ARGUMENTS` (the path),
    /// [`NODE_EXISTS`](crate::ErrorCode::NODE_EXISTS),
    /// [`NO_CHILDREN_FOR_EPHEMERALS`](crate::ErrorCode::NO_CHILDREN_FOR_EPHEMERALS),
    /// [`QUOTA_EXCEEDED`](crate::ErrorCode::QUOTA_EXCEEDED) (since 3.7), and
    /// [`EPHEMERAL_ON_LOCAL_SESSION`](crate::ErrorCode::EPHEMERAL_ON_LOCAL_SESSION).
    CreateRequest<'a> {
        /// The path; for a sequential znode the prefix.
        path: Str<'a>,
        /// The data; null and empty differ.
        data: DataRef<'a>,
        /// At least one entry.
        acl: List<'a, Acl>,
        /// The create mode's number: 0 to 3.
        flags: CreateFlags,
    }
    /// Body of **createContainer** (opcode 19, since 3.5.1). Errors: as [`CreateRequest`].
    CreateContainerRequest<'a> {
        /// The path.
        path: Str<'a>,
        /// The data; null and empty differ.
        data: DataRef<'a>,
        /// At least one entry.
        acl: List<'a, Acl>,
        /// Always 4.
        flags: ContainerFlags,
    }
    /// Body of **createTTL** (opcode 21, since 3.5.3).
    ///
    /// Errors: as [`CreateRequest`], and [`UNIMPLEMENTED`](crate::ErrorCode::UNIMPLEMENTED), the connection stays, unless the
    /// server has `extendedTypesEnabled`.
    CreateTtlRequest<'a> {
        /// The path; for a sequential znode the prefix.
        path: Str<'a>,
        /// The data; null and empty differ.
        data: DataRef<'a>,
        /// At least one entry.
        acl: List<'a, Acl>,
        /// 5, or 6 for a sequential znode.
        flags: TtlFlags,
        /// Milliseconds since the last change after which a childless znode goes; 1 to 2^40 - 1.
        ttl: Ttl,
    }
    /// Reply of **create** (opcode 1, since 3.0): the path that was made.
    CreateResponse {
        /// With the sequence number, where one was asked for.
        path: String,
    }
    /// Reply of **create2** (opcode 15, since 3.5.0), **createContainer** (19, since 3.5.1) and **createTTL** (21, since 3.5.3).
    Create2Response {
        /// With the sequence number, where one was asked for.
        path: String,
        /// The new znode's metadata.
        stat: Stat,
    }
    /// Body of **delete** (opcode 2, since 3.0), and of **check** (opcode 13, since 3.4), which stands in a multi only: by itself
    /// it gets no answer when it succeeds, and since 3.8.5 and 3.9.3 costs the connection.
    ///
    /// Errors: [`NO_NODE`](crate::ErrorCode::NO_NODE), [`BAD_VERSION`](crate::ErrorCode::BAD_VERSION),
    /// [`NO_AUTH`](crate::ErrorCode::NO_AUTH) (delete: without DELETE on the parent; check: without READ),
    /// [`BAD_ARGUMENTS`](crate::ErrorCode::BAD_ARGUMENTS) (the root and ZooKeeper's own znodes), and for delete
    /// [`NOT_EMPTY`](crate::ErrorCode::NOT_EMPTY).
    PathVersionRequest<'a> {
        /// The znode.
        path: Str<'a>,
        /// The version it must have, or -1 for any. Other negative numbers match nothing.
        version: i32,
    }
    /// Body of **exists** (opcode 3, since 3.0), **getData** (4, since 3.0), **getChildren** (8, since 3.0) and
    /// **getChildren2** (12, since 3.3).
    ///
    /// Errors: [`NO_NODE`](crate::ErrorCode::NO_NODE), for exists the ordinary "no", which leaves a watch all the same;
    /// [`NO_AUTH`](crate::ErrorCode::NO_AUTH) without READ (exists: since 3.8.4 and 3.9.2). Servers do not check the path: a
    /// strange one is no znode.
    GetDataRequest<'a> {
        /// The znode.
        path: Str<'a>,
        /// Whether to leave a one-shot watch.
        watch: bool,
    }
    /// Reply of **getData** (opcode 4, since 3.0) and **reconfig** (16, since 3.5.0).
    GetDataResponse {
        /// The data, a slice of the frame; null if it was created or set with null.
        data: Option<Bytes>,
        /// The znode's metadata.
        stat: Stat,
    }
    /// Body of **setData** (opcode 5, since 3.0).
    ///
    /// Errors: [`NO_NODE`](crate::ErrorCode::NO_NODE), [`BAD_VERSION`](crate::ErrorCode::BAD_VERSION),
    /// [`NO_AUTH`](crate::ErrorCode::NO_AUTH) without WRITE, [`BAD_ARGUMENTS`](crate::ErrorCode::BAD_ARGUMENTS) (the path),
    /// [`QUOTA_EXCEEDED`](crate::ErrorCode::QUOTA_EXCEEDED) (since 3.7). Limit: 20 bytes and the path less than the frame's.
    SetDataRequest<'a> {
        /// The znode.
        path: Str<'a>,
        /// The new data; null and empty differ.
        data: DataRef<'a>,
        /// The version it must have, or -1 for any.
        version: i32,
    }
    /// Reply of **getChildren** (opcode 8, since 3.0). Servers set no limit to its length.
    GetChildrenResponse {
        /// Names, not paths, in no order.
        children: List<'static, Text>,
    }
    /// Reply of **getChildren2** (opcode 12, since 3.3). Servers set no limit to its length.
    GetChildren2Response {
        /// Names, not paths, in no order.
        children: List<'static, Text>,
        /// The znode's metadata.
        stat: Stat,
    }
    /// Body of **sync** (opcode 9, since 3.0): the reply comes when the server has caught up with its leader.
    ///
    /// Errors: none of its own; the path is not looked at.
    SyncRequest<'a> {
        /// Any path, or null.
        path: Option<Str<'a>>,
    }
    /// Reply of **sync** (opcode 9, since 3.0): the path as it was sent.
    SyncResponse {
        /// Echoed; null if null was sent.
        path: Option<String>,
    }
    /// Body of **getEphemerals** (opcode 103, since 3.6.0): this session's ephemerals. Errors: none of its own.
    GetEphemeralsRequest<'a> {
        /// A prefix of the text, not of components: `/pro` finds `/proto/e`. Null, blank and `/` find all.
        prefix: Option<Str<'a>>,
    }
    /// Reply of **getEphemerals** (opcode 103, since 3.6.0).
    GetEphemeralsResponse {
        /// Paths, not names, in no order.
        paths: List<'static, Text>,
    }
    /// Reply of **getAllChildrenNumber** (opcode 104, since 3.6.0).
    GetAllChildrenNumberResponse {
        /// All descendants, the znode itself not counted.
        total: i32,
    }
}
