//! Records about the ensemble and the connection itself: reconfig, whoAmI.
//!
//! Source: protocol.md sections 3.1 and 3.5.

use super::Str;
use crate::jute::{Decode, DecodeError, Encode, List, Reader};
use alloc::string::String;
use bytes::BytesMut;

records! {
    /// Body of **reconfig** (opcode 16, since 3.5.0); null means not given. The reply is a
    /// [`GetDataResponse`](super::GetDataResponse) of `/zookeeper/config`.
    ///
    /// Errors, in the order in which servers look: [`RECONFIG_DISABLED`](crate::ErrorCode::RECONFIG_DISABLED) (the default
    /// since 3.5.3), [`UNIMPLEMENTED`](crate::ErrorCode::UNIMPLEMENTED) on a standalone server (the connection stays),
    /// [`RECONFIG_IN_PROGRESS`](crate::ErrorCode::RECONFIG_IN_PROGRESS),
    /// [`NEW_CONFIG_NO_QUORUM`](crate::ErrorCode::NEW_CONFIG_NO_QUORUM),
    /// [`BAD_VERSION`](crate::ErrorCode::BAD_VERSION) (`config_id`), [`BAD_ARGUMENTS`](crate::ErrorCode::BAD_ARGUMENTS) (the
    /// text), [`NO_AUTH`](crate::ErrorCode::NO_AUTH) without WRITE on `/zookeeper/config`.
    ReconfigRequest<'a> {
        /// Servers to add, comma separated: `server.4=host:2888:3888:participant;2181`.
        joining_servers: Option<Str<'a>>,
        /// Ids of servers to remove, comma separated.
        leaving_servers: Option<Str<'a>>,
        /// The whole new list, instead of the two above.
        new_members: Option<Str<'a>>,
        /// The configuration version it must replace, or -1.
        config_id: i64,
    }
    /// One identity of a connection, in the reply of whoAmI (opcode 107, since 3.7.0).
    ClientInfo {
        /// The scheme.
        scheme: String,
        /// The identity, without any secret.
        user: String,
    }
    /// Reply of **whoAmI** (opcode 107, since 3.7.0).
    WhoAmIResponse {
        /// Always holds at least `ip`.
        identities: List<'static, ClientInfo>,
    }
}
