//! The table that pairs an opcode with its request and its reply, and the only such place.
//!
//! A new operation costs its records, one row here and one vector in `tests/vectors`. [`RequestBody`] and [`ReplyBody`] are
//! the table as enums, for who must take whatever comes: servers, proxies, fuzzers. Clients name the operation instead
//! ([`Op`]). Not in the table: createSession (-10), which servers send each other. Source: protocol.md section 3.

use crate::{
    code::{ErrorCode, OpCode},
    jute::{Decode, DecodeError, Encode, decode_from},
    multi::{MultiReadRequest, MultiRequest, MultiResponse},
    records as r,
};
use bytes::{Bytes, BytesMut};

/// An operation: its opcode, what is sent and what comes back.
pub trait Op {
    /// The number in the request's header.
    const CODE: OpCode;
    /// The body behind the request's header.
    type Request<'a>: Encode + Decode<'a>;
    /// The body behind a reply's header when its error code is 0.
    type Reply: Encode + for<'a> Decode<'a>;
}

macro_rules! ops {
    ($($code:ident $name:ident: $request:ident $(<$lt:lifetime>)? => $reply:ident, since $since:literal, errors [$($error:ident)*];)*) => {
        $(
            #[doc = concat!("[`", stringify!($code), "`](OpCode::", stringify!($code), "), known to servers since ", $since, ".\n")]
            #[doc = concat!("\nErrors of its own:" $(, " [`", stringify!($error), "`](ErrorCode::", stringify!($error), ")")*, ".")]
            #[derive(Clone, Copy, Debug)]
            pub enum $name {}

            impl Op for $name {
                const CODE: OpCode = OpCode::$code;
                type Request<'a> = ops!(@request $request $(<$lt>)?);
                type Reply = ops!(@reply $reply);
            }
        )*

        /// Every operation's opcode and the first server version that knows it.
        pub const TABLE: &[(OpCode, &str)] = &[$((OpCode::$code, $since)),*];

        /// What servers answer an operation besides success and the errors that every request can have; nothing for an
        /// opcode that is not in the table.
        #[must_use]
        pub const fn errors(op: OpCode) -> &'static [ErrorCode] {
            match op { $(OpCode::$code => &[$(ErrorCode::$error),*],)* _ => &[] }
        }

        /// The body of any request.
        ///
        /// ```
        /// use zk_proto::{OpCode, jute::encode_to_bytes, ops::RequestBody, records::GetDataRequest};
        ///
        /// let bytes = encode_to_bytes(&GetDataRequest { path: "/a".into(), watch: true }).freeze();
        /// let body = RequestBody::decode(OpCode::GET_DATA, &bytes).expect("an operation of the table")?;
        /// assert!(matches!(body, RequestBody::GetData(request) if request.path == "/a"));
        /// assert!(RequestBody::decode(OpCode(4711), &bytes).is_none());
        /// # Ok::<(), zk_proto::DecodeError>(())
        /// ```
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum RequestBody<'a> {
            $(#[doc = concat!("Of ", stringify!($code), ".")] $name(ops!(@request $request $(<$lt>)?)),)*
        }

        impl<'a> RequestBody<'a> {
            /// Reads the body of a request; `None` for an opcode that is not in the table.
            ///
            /// # Errors
            /// [`DecodeError`] when the body is not such a request.
            #[must_use]
            pub fn decode(op: OpCode, body: &'a Bytes) -> Option<Result<Self, DecodeError>> {
                match op { $(OpCode::$code => Some(decode_from(body).map(Self::$name)),)* _ => None }
            }

            /// The operation's number.
            #[must_use]
            pub const fn op(&self) -> OpCode {
                match self { $(Self::$name(_) => OpCode::$code,)* }
            }
        }

        impl Encode for RequestBody<'_> {
            fn encoded_len(&self) -> usize {
                match self { $(Self::$name(body) => body.encoded_len(),)* }
            }
            fn encode(&self, out: &mut BytesMut) {
                match self { $(Self::$name(body) => body.encode(out),)* }
            }
        }

        /// The body of any reply whose error code is 0.
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub enum ReplyBody {
            $(#[doc = concat!("Of ", stringify!($code), ".")] $name(ops!(@reply $reply)),)*
        }

        impl ReplyBody {
            /// Reads the body of a reply to a request with this opcode; `None` for one that is not in the table.
            ///
            /// # Errors
            /// [`DecodeError`] when the body is not such a reply.
            #[must_use]
            pub fn decode(op: OpCode, body: &Bytes) -> Option<Result<Self, DecodeError>> {
                match op { $(OpCode::$code => Some(decode_from(body).map(Self::$name)),)* _ => None }
            }

            /// The number of the operation that it answers.
            #[must_use]
            pub const fn op(&self) -> OpCode {
                match self { $(Self::$name(_) => OpCode::$code,)* }
            }
        }

        impl Encode for ReplyBody {
            fn encoded_len(&self) -> usize {
                match self { $(Self::$name(body) => body.encoded_len(),)* }
            }
            fn encode(&self, out: &mut BytesMut) {
                match self { $(Self::$name(body) => body.encode(out),)* }
            }
        }

        #[cfg(feature = "arbitrary")]
        crate::generate::bodies!($($name),*);
    };
    (@request MultiRequest<$lt:lifetime>) => { MultiRequest<$lt> };
    (@request MultiReadRequest<$lt:lifetime>) => { MultiReadRequest<$lt> };
    (@request $request:ident $(<$lt:lifetime>)?) => { r::$request $(<$lt>)? };
    (@reply MultiResponse) => { MultiResponse };
    (@reply $reply:ident) => { r::$reply };
}

ops! {
    CREATE Create: CreateRequest<'a> => CreateResponse, since "3.0",
        errors [BAD_ARGUMENTS UNIMPLEMENTED INVALID_ACL NO_NODE NO_AUTH NODE_EXISTS NO_CHILDREN_FOR_EPHEMERALS QUOTA_EXCEEDED EPHEMERAL_ON_LOCAL_SESSION];
    DELETE Delete: PathVersionRequest<'a> => Empty, since "3.0",
        errors [BAD_ARGUMENTS NO_NODE NO_AUTH BAD_VERSION NOT_EMPTY];
    EXISTS Exists: GetDataRequest<'a> => StatResponse, since "3.0", errors [NO_NODE BAD_ARGUMENTS NO_AUTH];
    GET_DATA GetData: GetDataRequest<'a> => GetDataResponse, since "3.0", errors [NO_NODE NO_AUTH];
    SET_DATA SetData: SetDataRequest<'a> => StatResponse, since "3.0",
        errors [BAD_ARGUMENTS NO_NODE NO_AUTH BAD_VERSION QUOTA_EXCEEDED];
    GET_ACL GetAcl: PathRequest<'a> => GetAclResponse, since "3.0", errors [NO_NODE NO_AUTH];
    SET_ACL SetAcl: SetAclRequest<'a> => StatResponse, since "3.0",
        errors [BAD_ARGUMENTS INVALID_ACL NO_NODE NO_AUTH BAD_VERSION];
    GET_CHILDREN GetChildren: GetDataRequest<'a> => GetChildrenResponse, since "3.0", errors [NO_NODE NO_AUTH];
    SYNC Sync: SyncRequest<'a> => SyncResponse, since "3.0", errors [];
    PING Ping: Empty => Empty, since "3.0", errors [];
    GET_CHILDREN2 GetChildren2: GetDataRequest<'a> => GetChildren2Response, since "3.3", errors [NO_NODE NO_AUTH];
    CHECK Check: PathVersionRequest<'a> => Empty, since "3.4, inside multi only",
        errors [BAD_ARGUMENTS NO_NODE NO_AUTH BAD_VERSION];
    MULTI Multi: MultiRequest<'a> => MultiResponse, since "3.4", errors [];
    CREATE2 Create2: CreateRequest<'a> => Create2Response, since "3.5.0",
        errors [BAD_ARGUMENTS UNIMPLEMENTED INVALID_ACL NO_NODE NO_AUTH NODE_EXISTS NO_CHILDREN_FOR_EPHEMERALS QUOTA_EXCEEDED EPHEMERAL_ON_LOCAL_SESSION];
    RECONFIG Reconfig: ReconfigRequest<'a> => GetDataResponse, since "3.5.0",
        errors [RECONFIG_DISABLED UNIMPLEMENTED RECONFIG_IN_PROGRESS NEW_CONFIG_NO_QUORUM BAD_VERSION BAD_ARGUMENTS NO_AUTH];
    CHECK_WATCHES CheckWatches: WatchesRequest<'a> => Empty, since "3.5.0", errors [NO_WATCHER];
    REMOVE_WATCHES RemoveWatches: WatchesRequest<'a> => Empty, since "3.5.0", errors [NO_WATCHER];
    CREATE_CONTAINER CreateContainer: CreateContainerRequest<'a> => Create2Response, since "3.5.1",
        errors [BAD_ARGUMENTS INVALID_ACL NO_NODE NO_AUTH NODE_EXISTS NO_CHILDREN_FOR_EPHEMERALS QUOTA_EXCEEDED];
    DELETE_CONTAINER DeleteContainer: PathRequest<'a> => Empty, since "3.5.1, the servers' own",
        errors [BAD_ARGUMENTS NO_NODE BAD_VERSION NOT_EMPTY];
    CREATE_TTL CreateTtl: CreateTtlRequest<'a> => Create2Response, since "3.5.3",
        errors [BAD_ARGUMENTS UNIMPLEMENTED INVALID_ACL NO_NODE NO_AUTH NODE_EXISTS NO_CHILDREN_FOR_EPHEMERALS QUOTA_EXCEEDED];
    MULTI_READ MultiRead: MultiReadRequest<'a> => MultiResponse, since "3.6.0", errors [];
    AUTH Auth: AuthPacket<'a> => Empty, since "3.0", errors [AUTH_FAILED];
    SET_WATCHES SetWatches: SetWatchesRequest<'a> => Empty, since "3.0", errors [];
    SASL Sasl: SaslRequest<'a> => SaslResponse, since "3.4", errors [AUTH_FAILED];
    GET_EPHEMERALS GetEphemerals: GetEphemeralsRequest<'a> => GetEphemeralsResponse, since "3.6.0", errors [];
    GET_ALL_CHILDREN_NUMBER GetAllChildrenNumber: PathRequest<'a> => GetAllChildrenNumberResponse, since "3.6.0",
        errors [NO_NODE NO_AUTH];
    SET_WATCHES2 SetWatches2: SetWatches2Request<'a> => Empty, since "3.6.0", errors [];
    ADD_WATCH AddWatch: AddWatchRequest<'a> => AddWatchResponse, since "3.6.0", errors [];
    WHO_AM_I WhoAmI: Empty => WhoAmIResponse, since "3.7.0", errors [];
    CLOSE_SESSION CloseSession: Empty => Empty, since "3.0", errors [];
}
