//! Numbers that mean something on the wire: error codes and opcodes.
//!
//! They are open newtypes, not enums: a number that this crate does not know decodes, compares and
//! prints. Source: protocol.md sections 3 and 7.

use core::fmt;

macro_rules! codes {
    ($(#[$meta:meta])* $name:ident, $unknown:literal { $($(#[$cmeta:meta])* $konst:ident = $value:literal $text:literal;)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub i32);

        impl $name {
            $(#[doc = $text] $(#[$cmeta])* pub const $konst: Self = Self($value);)*

            /// Every value that this crate has a name for.
            pub const KNOWN: &'static [Self] = &[$(Self($value)),*];

            /// The constant's name, or `None` for a number that a newer server made up.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 { $($value => Some(stringify!($konst)),)* _ => None }
            }

            /// What it means in plain words, or `None` for an unknown number.
            #[must_use]
            pub const fn text(self) -> Option<&'static str> {
                match self.0 { $($value => Some($text),)* _ => None }
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.name() {
                    Some(name) => write!(f, "{name}({})", self.0),
                    None => write!(f, concat!(stringify!($name), "({})"), self.0),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.text() {
                    Some(text) => write!(f, "{text} ({})", self.0),
                    None => write!(f, concat!($unknown, " {}"), self.0),
                }
            }
        }
    };
}
pub(crate) use codes;

codes! {
    /// What a server answers instead of a result.
    ErrorCode, "unknown error code" {
        OK = 0 "no error";
        SYSTEM_ERROR = -1 "the server failed";
        RUNTIME_INCONSISTENCY = -2 "not tried, because another operation of the same transaction failed";
        DATA_INCONSISTENCY = -3 "the server found its data inconsistent";
        MARSHALLING_ERROR = -5 "the server could not read the request";
        UNIMPLEMENTED = -6 "the server does not know this operation";
        BAD_ARGUMENTS = -8 "the server refuses these arguments";
        UNKNOWN_SESSION = -12 "the session is not known";
        NEW_CONFIG_NO_QUORUM = -13 "no quorum of the new configuration is connected";
        RECONFIG_IN_PROGRESS = -14 "another reconfiguration is running";
        API_ERROR = -100 "the request was refused";
        NO_NODE = -101 "the znode does not exist";
        NO_AUTH = -102 "permission denied by the znode's ACL";
        BAD_VERSION = -103 "the version does not match";
        NO_CHILDREN_FOR_EPHEMERALS = -108 "an ephemeral znode cannot have children";
        NODE_EXISTS = -110 "the znode exists already";
        NOT_EMPTY = -111 "the znode has children";
        SESSION_EXPIRED = -112 "the session has expired";
        INVALID_ACL = -114 "the ACL is empty or not valid";
        AUTH_FAILED = -115 "authentication failed";
        SESSION_MOVED = -118 "the session moved to another server";
        NOT_READ_ONLY = -119 "the server is read-only";
        EPHEMERAL_ON_LOCAL_SESSION = -120 "a local session cannot own ephemeral znodes";
        NO_WATCHER = -121 "there is no such watch";
        RECONFIG_DISABLED = -123 "reconfiguration is switched off on the server";
        SESSION_CLOSED_REQUIRE_SASL_AUTH = -124 "the server demands authentication";
        QUOTA_EXCEEDED = -125 "the quota is used up";
        THROTTLED_OP = -127 "the server threw the request away under load; try again later";
    }
}

codes! {
    /// The number of an operation, in the request's header.
    OpCode, "opcode" {
        NOTIFICATION = 0 "notification";
        CREATE = 1 "create";
        DELETE = 2 "delete";
        EXISTS = 3 "exists";
        GET_DATA = 4 "getData";
        SET_DATA = 5 "setData";
        GET_ACL = 6 "getACL";
        SET_ACL = 7 "setACL";
        GET_CHILDREN = 8 "getChildren";
        SYNC = 9 "sync";
        PING = 11 "ping";
        GET_CHILDREN2 = 12 "getChildren2";
        CHECK = 13 "check";
        MULTI = 14 "multi";
        CREATE2 = 15 "create2";
        RECONFIG = 16 "reconfig";
        CHECK_WATCHES = 17 "checkWatches";
        REMOVE_WATCHES = 18 "removeWatches";
        CREATE_CONTAINER = 19 "createContainer";
        DELETE_CONTAINER = 20 "deleteContainer";
        CREATE_TTL = 21 "createTTL";
        MULTI_READ = 22 "multiRead";
        AUTH = 100 "auth";
        SET_WATCHES = 101 "setWatches";
        SASL = 102 "sasl";
        GET_EPHEMERALS = 103 "getEphemerals";
        GET_ALL_CHILDREN_NUMBER = 104 "getAllChildrenNumber";
        SET_WATCHES2 = 105 "setWatches2";
        ADD_WATCH = 106 "addWatch";
        WHO_AM_I = 107 "whoAmI";
        CREATE_SESSION = -10 "createSession";
        CLOSE_SESSION = -11 "closeSession";
        ERROR = -1 "error";
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn unknown_numbers_survive_and_print() {
        assert_eq!(ErrorCode(-999).to_string(), "unknown error code -999");
        assert_eq!(alloc::format!("{:?}", ErrorCode(-101)), "NO_NODE(-101)");
        assert_eq!(ErrorCode::NO_NODE.to_string(), "the znode does not exist (-101)");
        assert_eq!(OpCode(4711).name(), None);
    }
}
