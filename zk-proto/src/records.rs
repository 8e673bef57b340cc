//! Every record of the client protocol, declared once: the fields in wire order make the struct, its
//! encoder and its decoder.
//!
//! Requests borrow their strings and data, so that a client encodes without copying and a server decodes
//! without copying. Replies own theirs; data is a slice of the frame. Which opcode carries which record
//! stands in [`ops`](crate::ops). Source: protocol.md sections 1.4, 2.2, 2.5 and 3.

use crate::{
    code::{ErrorCode, OpCode},
    id::{SessionId, Zxid},
    jute::{Decode, DecodeError, Encode, Label, Reader, Tail, Text},
    watch::{EventType, KeeperState, WatchMode, WatcherType},
};
use alloc::{borrow::Cow, string::String, vec::Vec};
use bytes::{Bytes, BytesMut};

mod acl;
mod secret;

pub use acl::{CREATOR_ALL_ACL, OPEN_ACL_UNSAFE, Permissions, READ_ACL_UNSAFE};
pub use secret::{Secret, SecretBytes};

macro_rules! records {
    ($($(#[$meta:meta])* $name:ident $(<$lt:lifetime>)? { $($(#[$fmeta:meta])* $field:ident: $type:ty,)* })*) => {$(
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name $(<$lt>)? { $($(#[$fmeta])* pub $field: $type,)* }

        impl $(<$lt>)? Encode for $name $(<$lt>)? {
            fn encoded_len(&self) -> usize { 0 $(+ self.$field.encoded_len())* }
            fn encode(&self, _out: &mut BytesMut) { $(self.$field.encode(_out);)* }
        }

        records!(@decode $name $(<$lt>)? { $($field: $type,)* });
    )*};
    (@decode $name:ident { $($field:ident: $type:ty,)* }) => {
        impl<'de> Decode<'de> for $name {
            const LEN_MIN: usize = 0 $(+ <$type as Decode<'de>>::LEN_MIN)*;
            fn decode(_input: &mut Reader<'de>) -> Result<Self, DecodeError> {
                Ok(Self { $($field: Decode::decode(_input).map_err(|e| e.at(stringify!($name), stringify!($field)))?,)* })
            }
        }
    };
    (@decode $name:ident <$lt:lifetime> { $($field:ident: $type:ty,)* }) => {
        impl<$lt> Decode<$lt> for $name<$lt> {
            const LEN_MIN: usize = 0 $(+ <$type as Decode<$lt>>::LEN_MIN)*;
            fn decode(input: &mut Reader<$lt>) -> Result<Self, DecodeError> {
                Ok(Self { $($field: Decode::decode(input).map_err(|e| e.at(stringify!($name), stringify!($field)))?,)* })
            }
        }
    };
}

/// A nullable run of borrowed bytes.
pub type DataRef<'a> = Option<&'a [u8]>;
/// A string that is borrowed where it can be.
pub type Str<'a> = Cow<'a, str>;

records! {
    /// Who: an authentication scheme and an identity in it (`Id` in `zookeeper.jute`).
    AuthId {
        /// `world`, `ip`, `digest`, `auth`, `x509` or `sasl`.
        scheme: Label,
        /// The identity in the scheme's own form.
        id: Label,
    }
    /// One entry of an access control list.
    Acl {
        /// What is allowed.
        permissions: Permissions,
        /// To whom.
        id: AuthId,
    }
    /// The first frame of a client; has no header. The 16 bytes of password prove a resumed session.
    ConnectRequest<'a> {
        /// Always 0; no server checks it.
        protocol_version: i32,
        /// The highest zxid this client has ever seen; a server behind it hangs up.
        last_zxid_seen: Zxid,
        /// The wanted session timeout in milliseconds.
        timeout_ms: i32,
        /// The session to go on with, or 0.
        session_id: SessionId,
        /// 16 bytes, zeros for a new session.
        password: Option<Secret<'a>>,
        /// Whether a read-only server will do; clients before 3.4 leave the byte out.
        read_only: Tail<bool>,
    }
    /// The first frame of a server; has no header.
    ConnectResponse {
        /// Always 0.
        protocol_version: i32,
        /// The negotiated session timeout in milliseconds; 0 or less: the session is gone.
        timeout_ms: i32,
        /// The session, or 0 if refused.
        session_id: SessionId,
        /// 16 bytes, needed to resume the session.
        password: Option<SecretBytes>,
        /// Whether the server is in read-only mode; older servers leave the byte out.
        read_only: Tail<bool>,
    }
    /// Precedes every request but the first.
    RequestHeader {
        /// The request's number; see [`xid`](crate::session::xid).
        xid: i32,
        /// The operation.
        op: OpCode,
    }
    /// Precedes every reply but the first.
    ReplyHeader {
        /// The request's number, or a special one.
        xid: i32,
        /// The last transaction the server has processed; 0 or -1 where it does not say.
        zxid: Zxid,
        /// Whether the operation succeeded.
        err: ErrorCode,
    }
    /// A request or reply without a body.
    Empty {}
    /// Body of create, create2 and createContainer.
    CreateRequest<'a> {
        /// The path; for a sequential znode the prefix.
        path: Str<'a>,
        /// The data; null and empty differ.
        data: DataRef<'a>,
        /// At least one entry.
        acl: Cow<'a, [Acl]>,
        /// The create mode's number: 0 to 4 (protocol.md section 3.2).
        flags: i32,
    }
    /// Body of createTTL.
    CreateTtlRequest<'a> {
        /// The path; for a sequential znode the prefix.
        path: Str<'a>,
        /// The data; null and empty differ.
        data: DataRef<'a>,
        /// At least one entry.
        acl: Cow<'a, [Acl]>,
        /// 5, or 6 for a sequential znode.
        flags: i32,
        /// Milliseconds since the last change after which a childless znode goes; 1 to 2^40 - 1.
        ttl_ms: i64,
    }
    /// The path that create made.
    CreateResponse {
        /// With the sequence number, where one was asked for.
        path: String,
    }
    /// The path and stat that create2, createContainer and createTTL made.
    Create2Response {
        /// With the sequence number, where one was asked for.
        path: String,
        /// The new znode's metadata.
        stat: Stat,
    }
    /// Body of delete and check.
    PathVersionRequest<'a> {
        /// The znode.
        path: Str<'a>,
        /// The version it must have, or -1 for any.
        version: i32,
    }
    /// Body of exists, getData, getChildren and getChildren2.
    GetDataRequest<'a> {
        /// The znode.
        path: Str<'a>,
        /// Whether to leave a one-shot watch.
        watch: bool,
    }
    /// The stat of a znode: reply of exists, setData and setACL.
    StatResponse {
        /// The znode's metadata.
        stat: Stat,
    }
    /// Reply of getData and reconfig.
    GetDataResponse {
        /// The data, a slice of the frame; null if it was created or set with null.
        data: Option<Bytes>,
        /// The znode's metadata.
        stat: Stat,
    }
    /// Body of setData.
    SetDataRequest<'a> {
        /// The znode.
        path: Str<'a>,
        /// The new data; null and empty differ.
        data: DataRef<'a>,
        /// The version it must have, or -1 for any.
        version: i32,
    }
    /// A path and nothing else: body of getACL, sync, getEphemerals (a prefix), getAllChildrenNumber.
    PathRequest<'a> {
        /// The znode, or a prefix of paths.
        path: Str<'a>,
    }
    /// Reply of getACL.
    GetAclResponse {
        /// The entries; without ADMIN permission digests are masked.
        acl: Vec<Acl>,
        /// The znode's metadata.
        stat: Stat,
    }
    /// Body of setACL.
    SetAclRequest<'a> {
        /// The znode.
        path: Str<'a>,
        /// At least one entry.
        acl: Cow<'a, [Acl]>,
        /// The aversion it must have, or -1 for any.
        version: i32,
    }
    /// Reply of getChildren.
    GetChildrenResponse {
        /// Names, not paths, in no order.
        children: Vec<String>,
    }
    /// Reply of getChildren2.
    GetChildren2Response {
        /// Names, not paths, in no order.
        children: Vec<String>,
        /// The znode's metadata.
        stat: Stat,
    }
    /// Reply of sync: the path as it was sent.
    SyncResponse {
        /// Echoed; null if null was sent.
        path: Option<String>,
    }
    /// Body of reconfig; null means not given.
    ReconfigRequest<'a> {
        /// Servers to add, comma separated.
        joining_servers: Option<Str<'a>>,
        /// Ids of servers to remove, comma separated.
        leaving_servers: Option<Str<'a>>,
        /// The whole new list, instead of the two above.
        new_members: Option<Str<'a>>,
        /// The configuration version it must replace, or -1.
        config_id: i64,
    }
    /// Body of checkWatches and removeWatches.
    WatchesRequest<'a> {
        /// The path the watch was set on.
        path: Str<'a>,
        /// Which kind of watch.
        watcher_type: WatcherType,
    }
    /// Body of addWatch.
    AddWatchRequest<'a> {
        /// The path; it need not exist.
        path: Str<'a>,
        /// Persistent or persistent-recursive.
        mode: WatchMode,
    }
    /// Reply of addWatch: four bytes that are always 0, and that some servers forget.
    AddWatchResponse {
        /// Always 0.
        err: Tail<i32>,
    }
    /// Body of setWatches: one-shot watches to set again after a reconnect.
    SetWatchesRequest<'a> {
        /// Changes after this zxid are reported at once.
        relative_zxid: Zxid,
        /// Paths with a data watch.
        data: Vec<Str<'a>>,
        /// Paths with a watch for their creation.
        exist: Vec<Str<'a>>,
        /// Paths with a child watch.
        child: Vec<Str<'a>>,
    }
    /// Body of setWatches2: the same with persistent watches, for which nothing is ever replayed.
    SetWatches2Request<'a> {
        /// Changes after this zxid are reported at once, for the first three lists only.
        relative_zxid: Zxid,
        /// Paths with a data watch.
        data: Vec<Str<'a>>,
        /// Paths with a watch for their creation.
        exist: Vec<Str<'a>>,
        /// Paths with a child watch.
        child: Vec<Str<'a>>,
        /// Paths with a persistent watch.
        persistent: Vec<Str<'a>>,
        /// Paths with a persistent-recursive watch.
        recursive: Vec<Str<'a>>,
    }
    /// A notification's body, behind a reply header with xid -1.
    WatcherEvent {
        /// What happened.
        event_type: EventType,
        /// Always 3, SyncConnected, on the wire.
        state: KeeperState,
        /// To which znode; shares the frame.
        path: Text,
    }
    /// Body of auth. The data is a secret; it is not printed.
    AuthPacket<'a> {
        /// Always 0.
        auth_type: i32,
        /// `digest`, for instance.
        scheme: Str<'a>,
        /// `user:password` for digest.
        auth: Secret<'a>,
    }
    /// Body of a SASL request; null is not allowed.
    SaslRequest<'a> {
        /// The mechanism's token.
        token: Secret<'a>,
    }
    /// Reply of a SASL request.
    SaslResponse {
        /// The mechanism's token; null where the server has no SASL.
        token: Option<SecretBytes>,
    }
    /// Reply of getEphemerals.
    GetEphemeralsResponse {
        /// Paths of this session's ephemeral znodes.
        paths: Vec<String>,
    }
    /// Reply of getAllChildrenNumber.
    GetAllChildrenNumberResponse {
        /// All descendants, the znode itself not counted.
        total: i32,
    }
    /// One identity of a connection.
    ClientInfo {
        /// The scheme.
        scheme: String,
        /// The identity, without any secret.
        user: String,
    }
    /// Reply of whoAmI.
    WhoAmIResponse {
        /// Always holds at least `ip`.
        identities: Vec<ClientInfo>,
    }
}

impl Copy for Stat {}

records! {
    /// A znode's metadata: 68 bytes on the wire.
    ///
    /// `(czxid, mzxid)` identifies a value: a znode that was deleted and created again has a new `czxid`
    /// although its `version` may be the old one.
    Stat {
        /// The transaction that created the znode.
        czxid: Zxid,
        /// The transaction that last set its data.
        mzxid: Zxid,
        /// When it was created: milliseconds since the epoch, on the leader's clock.
        ctime: i64,
        /// When its data was last set: milliseconds since the epoch, on the leader's clock.
        mtime: i64,
        /// How often the data was set since the creation.
        version: i32,
        /// How often a child was created or deleted.
        cversion: i32,
        /// How often the ACL was set.
        aversion: i32,
        /// The session that owns an ephemeral znode, or 0.
        ephemeral_owner: SessionId,
        /// Bytes of data.
        data_length: i32,
        /// Number of children.
        num_children: i32,
        /// The transaction that last created or deleted a child.
        pzxid: Zxid,
    }
}

impl Stat {
    /// Whether two stats describe the same value of the same znode: same creation, same last change.
    #[must_use]
    pub fn same_value(&self, other: &Self) -> bool {
        (self.czxid, self.mzxid) == (other.czxid, other.mzxid)
    }
}
