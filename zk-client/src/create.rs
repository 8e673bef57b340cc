//! How a znode is created: modes that cannot express what a server refuses.
//!
//! Source: protocol.md section 3.2.

use std::time::Duration;
use zk_proto::OpCode;

/// What kind of znode [`create`](crate::Client::create) makes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CreateMode {
    /// Stays until it is deleted.
    #[default]
    Persistent,
    /// Stays, with a ten-digit number behind its name, counted by the parent.
    PersistentSequential,
    /// Gone with its session; cannot have children.
    Ephemeral,
    /// Gone with its session, with a ten-digit number behind its name.
    EphemeralSequential,
    /// The server deletes it some time after its last child went.
    Container,
    /// The server deletes it when it has no children and its data was not set for this long: 1 ms to
    /// 2^40 - 1 ms. Servers refuse it unless `extendedTypesEnabled` is set.
    PersistentWithTtl(Duration),
    /// The same with a ten-digit number behind its name.
    PersistentSequentialWithTtl(Duration),
}

/// The longest time to live that ZooKeeper stores.
const TTL_MS_MAX: i64 = (1 << 40) - 1;

impl CreateMode {
    pub(crate) const fn flags(self) -> i32 {
        match self {
            Self::Persistent => 0,
            Self::Ephemeral => 1,
            Self::PersistentSequential => 2,
            Self::EphemeralSequential => 3,
            Self::Container => 4,
            Self::PersistentWithTtl(_) => 5,
            Self::PersistentSequentialWithTtl(_) => 6,
        }
    }

    /// The operation that answers with path and stat.
    pub(crate) const fn op(self) -> OpCode {
        match self {
            Self::Persistent | Self::PersistentSequential | Self::Ephemeral | Self::EphemeralSequential => {
                OpCode::CREATE2
            }
            Self::Container => OpCode::CREATE_CONTAINER,
            Self::PersistentWithTtl(_) | Self::PersistentSequentialWithTtl(_) => OpCode::CREATE_TTL,
        }
    }

    /// Whether the server puts a number behind the name.
    #[must_use]
    pub const fn is_sequential(self) -> bool {
        matches!(self, Self::PersistentSequential | Self::EphemeralSequential | Self::PersistentSequentialWithTtl(_))
    }

    /// The time to live in milliseconds: `None` where there is none, an error where no server takes it.
    pub(crate) fn ttl_ms(self) -> Result<Option<i64>, Duration> {
        match self {
            Self::PersistentWithTtl(ttl) | Self::PersistentSequentialWithTtl(ttl) => {
                match i64::try_from(ttl.as_millis()) {
                    Ok(ms @ 1..=TTL_MS_MAX) => Ok(Some(ms)),
                    Ok(_) | Err(_) => Err(ttl),
                }
            }
            Self::Persistent
            | Self::PersistentSequential
            | Self::Ephemeral
            | Self::EphemeralSequential
            | Self::Container => Ok(None),
        }
    }
}
