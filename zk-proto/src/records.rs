//! Every record of the client protocol, declared once: the fields in wire order make the struct, its
//! encoder and its decoder.
//!
//! Requests borrow their strings and data, so that a client encodes without copying and a server decodes
//! without copying. Replies own theirs; data, names and lists are slices of the frame. Which opcode carries which record
//! stands in [`ops`](crate::ops). Source: protocol.md sections 1.4, 2.2, 2.5 and 3.
//!
//! Every request can also be answered with
//! [`MARSHALLING_ERROR`](crate::ErrorCode::MARSHALLING_ERROR) (the server cannot read it),
//! [`SESSION_EXPIRED`](crate::ErrorCode::SESSION_EXPIRED), [`NOT_READ_ONLY`](crate::ErrorCode::NOT_READ_ONLY) (a write, or
//! sync, on a read-only server), [`SESSION_CLOSED_REQUIRE_SASL_AUTH`](crate::ErrorCode::SESSION_CLOSED_REQUIRE_SASL_AUTH)
//! or [`THROTTLED_OP`](crate::ErrorCode::THROTTLED_OP); and by hanging up. The records name what comes on top of that. No
//! request may be longer than [`REQUEST_LEN_MAX`](crate::frame::REQUEST_LEN_MAX), header included.

use crate::{
    id::{SessionId, Zxid},
    jute::{Decode, DecodeError, Encode, Reader},
};
use alloc::borrow::Cow;
use bytes::BytesMut;

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
        #[cfg(feature = "arbitrary")]
        crate::generate::record!($name $(<$lt>)? { $($field,)* });
    )*};
    (@decode $name:ident { $($field:ident: $type:ty,)* }) => {
        impl<'de> Decode<'de> for $name { records!(@methods 'de $name { $($field: $type,)* }); }
    };
    (@decode $name:ident <$lt:lifetime> { $($field:ident: $type:ty,)* }) => {
        impl<$lt> Decode<$lt> for $name<$lt> { records!(@methods $lt $name { $($field: $type,)* }); }
    };
    (@methods $lt:lifetime $name:ident { $($field:ident: $type:ty,)* }) => {
        const LEN_MIN: usize = 0 $(+ <$type as Decode<$lt>>::LEN_MIN)*;
        const LEN_FIXED: bool = true $(&& <$type as Decode<$lt>>::LEN_FIXED)*;
        fn decode(_input: &mut Reader<$lt>) -> Result<Self, DecodeError> {
            // The fields are written out twice: as one function, called for both, they would be checked one by one for both.
            if Self::LEN_FIXED && let Some(mut whole) = _input.split(Self::LEN_MIN) {
                let _input = &mut whole;
                return records!(@fields _input $name { $($field,)* });
            }
            records!(@fields _input $name { $($field,)* })
        }
        fn skip(_input: &mut Reader<$lt>) -> Result<(), DecodeError> {
            if Self::LEN_FIXED && _input.split(Self::LEN_MIN).is_some() {
                return Ok(());
            }
            $(<$type>::skip(_input).map_err(|e| e.at(stringify!($name), stringify!($field)))?;)*
            Ok(())
        }
    };
    (@fields $input:ident $name:ident { $($field:ident,)* }) => {
        Ok(Self { $($field: Decode::decode($input).map_err(|e| e.at(stringify!($name), stringify!($field)))?,)* })
    };
}

mod acl;
mod admin;
mod connection;
mod secret;
mod watches;
mod znodes;

pub use acl::*;
pub use admin::*;
pub use connection::*;
pub use secret::{Secret, SecretBytes};
pub use watches::*;
pub use znodes::*;

/// A nullable run of borrowed bytes.
pub type DataRef<'a> = Option<&'a [u8]>;
/// A string that is borrowed where it can be.
pub type Str<'a> = Cow<'a, str>;

records! {
    /// A request or reply without a body: **ping** (opcode 11, since 3.0), **closeSession** (-11, since 3.0) and **whoAmI**
    /// (107, since 3.7.0) as requests; delete, exists' "no", auth, setWatches, checkWatches and others as replies.
    Empty {}
    /// A path and nothing else: body of **getACL** (opcode 6, since 3.0), **getAllChildrenNumber** (104, since 3.6.0) and
    /// **deleteContainer** (20, the servers' own since 3.5.1: clients do not send it).
    ///
    /// Errors: [`NO_NODE`](crate::ErrorCode::NO_NODE), [`NO_AUTH`](crate::ErrorCode::NO_AUTH) without READ (getACL: READ or
    /// ADMIN).
    PathRequest<'a> {
        /// The znode.
        path: Str<'a>,
    }
    /// The stat of a znode: reply of **exists** (opcode 3), **setData** (5) and **setACL** (7), all since 3.0.
    StatResponse {
        /// The znode's metadata.
        stat: Stat,
    }
    /// A znode's metadata: 68 bytes on the wire, in the replies of opcodes 3, 4, 5, 6, 7, 12, 15, 16, 19 and 21.
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
        /// How often the data was set since the creation; wraps through negatives.
        version: i32,
        /// How often a child was created or deleted.
        cversion: i32,
        /// How often the ACL was set.
        aversion: i32,
        /// The session that owns an ephemeral znode, or 0; containers and znodes with a TTL have 0 too.
        ephemeral_owner: SessionId,
        /// Bytes of data; 0 for null.
        data_length: i32,
        /// Number of children.
        num_children: i32,
        /// The transaction that last created or deleted a child; at first `czxid`.
        pzxid: Zxid,
    }
}

impl Copy for Stat {}

impl Stat {
    /// Whether two stats describe the same value of the same znode: same creation, same last change.
    #[must_use]
    pub fn same_value(&self, other: &Self) -> bool {
        (self.czxid, self.mzxid) == (other.czxid, other.mzxid)
    }
}
