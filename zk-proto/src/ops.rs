//! The table that pairs an opcode with its request and its reply, and the only such place.
//!
//! A new operation costs its records, one row here and one vector in `tests/vectors`.
//! Source: protocol.md section 3.

use crate::{
    code::OpCode,
    jute::{Decode, Encode},
    multi::{MultiReadRequest, MultiRequest, MultiResponse},
    records as r,
};

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
    ($($code:ident $name:ident: $request:ident $(<$lt:lifetime>)? => $reply:ident, since $since:literal;)*) => {
        $(
            #[doc = concat!("[`", stringify!($code), "`](OpCode::", stringify!($code), "), known to servers since ", $since, ".")]
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

        /// Decodes and encodes again the body of a request; the test of the table.
        ///
        /// # Errors
        /// [`DecodeError`](crate::DecodeError) when the body is not such a request. `None` is an opcode
        /// that is not in the table.
        pub fn recode_request(op: OpCode, body: &bytes::Bytes) -> Option<Result<bytes::BytesMut, crate::DecodeError>> {
            match op {
                $(OpCode::$code => Some(crate::jute::decode_from::<<$name as Op>::Request<'_>>(body).map(|r| crate::jute::encode_to_bytes(&r))),)*
                _ => None,
            }
        }

        /// Decodes and encodes again the body of a reply; the test of the table.
        ///
        /// # Errors
        /// [`DecodeError`](crate::DecodeError) when the body is not such a reply. `None` is an opcode
        /// that is not in the table.
        pub fn recode_reply(op: OpCode, body: &bytes::Bytes) -> Option<Result<bytes::BytesMut, crate::DecodeError>> {
            match op {
                $(OpCode::$code => Some(crate::jute::decode_from::<<$name as Op>::Reply>(body).map(|r| crate::jute::encode_to_bytes(&r))),)*
                _ => None,
            }
        }
    };
    (@request MultiRequest<$lt:lifetime>) => { MultiRequest<$lt> };
    (@request MultiReadRequest<$lt:lifetime>) => { MultiReadRequest<$lt> };
    (@request $request:ident $(<$lt:lifetime>)?) => { r::$request $(<$lt>)? };
    (@reply MultiResponse) => { MultiResponse };
    (@reply $reply:ident) => { r::$reply };
}

ops! {
    CREATE Create: CreateRequest<'a> => CreateResponse, since "3.0";
    DELETE Delete: PathVersionRequest<'a> => Empty, since "3.0";
    EXISTS Exists: GetDataRequest<'a> => StatResponse, since "3.0";
    GET_DATA GetData: GetDataRequest<'a> => GetDataResponse, since "3.0";
    SET_DATA SetData: SetDataRequest<'a> => StatResponse, since "3.0";
    GET_ACL GetAcl: PathRequest<'a> => GetAclResponse, since "3.0";
    SET_ACL SetAcl: SetAclRequest<'a> => StatResponse, since "3.0";
    GET_CHILDREN GetChildren: GetDataRequest<'a> => GetChildrenResponse, since "3.0";
    SYNC Sync: PathRequest<'a> => SyncResponse, since "3.0";
    PING Ping: Empty => Empty, since "3.0";
    GET_CHILDREN2 GetChildren2: GetDataRequest<'a> => GetChildren2Response, since "3.3";
    CHECK Check: PathVersionRequest<'a> => Empty, since "3.4, inside multi only";
    MULTI Multi: MultiRequest<'a> => MultiResponse, since "3.4";
    CREATE2 Create2: CreateRequest<'a> => Create2Response, since "3.5.0";
    RECONFIG Reconfig: ReconfigRequest<'a> => GetDataResponse, since "3.5.0";
    CHECK_WATCHES CheckWatches: WatchesRequest<'a> => Empty, since "3.5.0";
    REMOVE_WATCHES RemoveWatches: WatchesRequest<'a> => Empty, since "3.5.0";
    CREATE_CONTAINER CreateContainer: CreateRequest<'a> => Create2Response, since "3.5.1";
    CREATE_TTL CreateTtl: CreateTtlRequest<'a> => Create2Response, since "3.5.3";
    MULTI_READ MultiRead: MultiReadRequest<'a> => MultiResponse, since "3.6.0";
    AUTH Auth: AuthPacket<'a> => Empty, since "3.0";
    SET_WATCHES SetWatches: SetWatchesRequest<'a> => Empty, since "3.0";
    SASL Sasl: SaslRequest<'a> => SaslResponse, since "3.4";
    GET_EPHEMERALS GetEphemerals: PathRequest<'a> => GetEphemeralsResponse, since "3.6.0";
    GET_ALL_CHILDREN_NUMBER GetAllChildrenNumber: PathRequest<'a> => GetAllChildrenNumberResponse, since "3.6.0";
    SET_WATCHES2 SetWatches2: SetWatches2Request<'a> => Empty, since "3.6.0";
    ADD_WATCH AddWatch: AddWatchRequest<'a> => AddWatchResponse, since "3.6.0";
    WHO_AM_I WhoAmI: Empty => WhoAmIResponse, since "3.7.0";
    CLOSE_SESSION CloseSession: Empty => Empty, since "3.0";
}
