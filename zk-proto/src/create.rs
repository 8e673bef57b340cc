//! What create can make: modes, their numbers on the wire, and times to live.
//!
//! The numbers are an enumeration, not bits, and each opcode takes only its own: a container's number under plain create
//! makes a persistent znode, a TTL's is refused, and some servers do worse. So each request has a type of its own for its
//! number, and what is not legal is made by [`raw`](CreateFlags::raw) only, which servers and fuzzers need. Source:
//! protocol.md section 3.2.

use crate::{
    code::OpCode,
    frame::TooLarge,
    jute::List,
    multi::MultiOp,
    ops,
    records::{Acl, CreateContainerRequest, CreateRequest, CreateTtlRequest, DataRef, Str},
    session::EncodedRequest,
};
use core::{fmt, time::Duration};

/// Which kind of znode is created.
///
/// A TTL without a time does not compile, and a time that servers refuse is refused when the [`Ttl`] is made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
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
    /// The server deletes it some time after its last child went. Since 3.5.1.
    Container,
    /// The server deletes it when it has no children and its data was not set for this long. Since 3.5.3; servers
    /// refuse it with [`UNIMPLEMENTED`](crate::ErrorCode::UNIMPLEMENTED) unless `extendedTypesEnabled` is set.
    PersistentWithTtl(Ttl),
    /// The same with a ten-digit number behind its name.
    PersistentSequentialWithTtl(Ttl),
}

impl CreateMode {
    /// Whether the server puts a number behind the name.
    #[must_use]
    pub const fn is_sequential(self) -> bool {
        matches!(self, Self::PersistentSequential | Self::EphemeralSequential | Self::PersistentSequentialWithTtl(_))
    }

    /// Whether the znode goes with its session.
    #[must_use]
    pub const fn is_ephemeral(self) -> bool {
        matches!(self, Self::Ephemeral | Self::EphemeralSequential)
    }

    /// The time to live, where the mode has one.
    #[must_use]
    pub const fn ttl(self) -> Option<Ttl> {
        match self {
            Self::PersistentWithTtl(ttl) | Self::PersistentSequentialWithTtl(ttl) => Some(ttl),
            Self::Persistent
            | Self::PersistentSequential
            | Self::Ephemeral
            | Self::EphemeralSequential
            | Self::Container => None,
        }
    }

    /// The operation that makes such a znode and answers its path and stat.
    #[must_use]
    pub const fn op(self) -> OpCode {
        match self {
            Self::Persistent | Self::PersistentSequential | Self::Ephemeral | Self::EphemeralSequential => {
                OpCode::CREATE2
            }
            Self::Container => OpCode::CREATE_CONTAINER,
            Self::PersistentWithTtl(_) | Self::PersistentSequentialWithTtl(_) => OpCode::CREATE_TTL,
        }
    }
}

/// A time to live: 1 ms to 2^40 - 1 ms, some 34 years.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ttl(i64);

impl Ttl {
    /// The longest time that servers store: they have 40 bits for it.
    pub const MAX_MS: i64 = (1 << 40) - 1;

    /// A time in milliseconds.
    ///
    /// # Errors
    /// [`TtlOutOfRange`] for zero and for more than [`MAX_MS`](Self::MAX_MS).
    pub const fn from_millis(ms: i64) -> Result<Self, TtlOutOfRange> {
        match Self(ms).check() {
            Ok(()) => Ok(Self(ms)),
            Err(error) => Err(error),
        }
    }

    /// Any number of milliseconds, also those that servers refuse: for test servers and fuzzers.
    #[must_use]
    pub const fn raw(ms: i64) -> Self {
        Self(ms)
    }

    /// In milliseconds.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Whether a server takes it.
    ///
    /// # Errors
    /// As [`from_millis`](Self::from_millis).
    pub const fn check(self) -> Result<(), TtlOutOfRange> {
        if matches!(self.0, 1..=Self::MAX_MS) { Ok(()) } else { Err(TtlOutOfRange) }
    }
}

impl TryFrom<Duration> for Ttl {
    type Error = TtlOutOfRange;
    /// Rounded down to whole milliseconds.
    fn try_from(time: Duration) -> Result<Self, TtlOutOfRange> {
        i64::try_from(time.as_millis()).map_err(|_| TtlOutOfRange).and_then(Self::from_millis)
    }
}

/// A time to live that no server takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TtlOutOfRange;

impl fmt::Display for TtlOutOfRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a time to live is 1 to {} ms", Ttl::MAX_MS)
    }
}

impl core::error::Error for TtlOutOfRange {}

/// Numbers of create modes, one type for each opcode's own.
macro_rules! flags {
    ($($(#[$meta:meta])* $name:ident { $($(#[$cmeta:meta])* $konst:ident = $value:literal;)* })*) => {$(
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct $name(i32);

        impl $name {
            $($(#[$cmeta])* pub const $konst: Self = Self($value);)*

            /// Every legal number.
            pub const LEGAL: &'static [Self] = &[$(Self::$konst),*];

            /// Any number, also those that a server refuses or misunderstands: for test servers and fuzzers.
            #[must_use]
            pub const fn raw(number: i32) -> Self {
                Self(number)
            }

            /// The number on the wire.
            #[must_use]
            pub const fn number(self) -> i32 {
                self.0
            }

            /// Whether the number may stand under this opcode.
            #[must_use]
            pub const fn is_legal(self) -> bool {
                false $(|| self.0 == $value)*
            }
        }
    )*};
}

flags! {
    /// The number in create and create2.
    CreateFlags {
        /// Stays until it is deleted.
        PERSISTENT = 0;
        /// Gone with its session.
        EPHEMERAL = 1;
        /// Stays, with a number behind its name.
        PERSISTENT_SEQUENTIAL = 2;
        /// Gone with its session, with a number behind its name.
        EPHEMERAL_SEQUENTIAL = 3;
    }
    /// The number in createContainer.
    ContainerFlags {
        /// The only one.
        CONTAINER = 4;
    }
    /// The number in createTTL.
    TtlFlags {
        /// Goes when it is old and has no children.
        PERSISTENT_WITH_TTL = 5;
        /// The same with a number behind its name.
        PERSISTENT_SEQUENTIAL_WITH_TTL = 6;
    }
}

/// A znode to be created; the mode decides which request that is.
///
/// ```
/// use zk_proto::{CreateMode, OpCode, create::{Create, Ttl}, frame::REQUEST_LEN_MAX, records::OPEN_ACL_UNSAFE};
///
/// let mode = CreateMode::PersistentWithTtl(Ttl::from_millis(60_000)?);
/// let create = Create { path: "/app/lease".into(), data: Some(b""), acl: OPEN_ACL_UNSAFE.into(), mode };
/// assert_eq!(create.encode(REQUEST_LEN_MAX)?.op(), OpCode::CREATE_TTL);
/// assert!(Ttl::from_millis(0).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Create<'a> {
    /// The path; for a sequential znode the prefix.
    pub path: Str<'a>,
    /// The data; null and empty differ.
    pub data: DataRef<'a>,
    /// At least one entry.
    pub acl: List<'a, Acl>,
    /// Which kind of znode.
    pub mode: CreateMode,
}

impl<'a> Create<'a> {
    /// The request whose answer is a [`Create2Response`](crate::records::Create2Response): path and stat. Needs 3.5.
    ///
    /// # Errors
    /// [`TooLarge`] when the frame would be longer than `limit` bytes.
    pub fn encode(self, limit: usize) -> Result<EncodedRequest, TooLarge> {
        let Self { path, data, acl, mode } = self;
        match Number::of(mode) {
            Number::Plain(flags) => {
                EncodedRequest::new::<ops::Create2>(&CreateRequest { path, data, acl, flags }, limit)
            }
            Number::Container(flags) => {
                EncodedRequest::new::<ops::CreateContainer>(&CreateContainerRequest { path, data, acl, flags }, limit)
            }
            Number::Ttl(flags, ttl) => {
                EncodedRequest::new::<ops::CreateTtl>(&CreateTtlRequest { path, data, acl, flags, ttl }, limit)
            }
        }
    }
}

/// The same in a transaction; the result is a path and a stat from servers since 3.7.2, 3.8.2 and 3.9.0.
impl<'a> From<Create<'a>> for MultiOp<'a> {
    fn from(create: Create<'a>) -> Self {
        let Create { path, data, acl, mode } = create;
        match Number::of(mode) {
            Number::Plain(flags) => Self::Create2(CreateRequest { path, data, acl, flags }),
            Number::Container(flags) => Self::CreateContainer(CreateContainerRequest { path, data, acl, flags }),
            Number::Ttl(flags, ttl) => Self::CreateTtl(CreateTtlRequest { path, data, acl, flags, ttl }),
        }
    }
}

/// A mode by the request that it needs.
enum Number {
    Plain(CreateFlags),
    Container(ContainerFlags),
    Ttl(TtlFlags, Ttl),
}

impl Number {
    const fn of(mode: CreateMode) -> Self {
        match mode {
            CreateMode::Persistent => Self::Plain(CreateFlags::PERSISTENT),
            CreateMode::PersistentSequential => Self::Plain(CreateFlags::PERSISTENT_SEQUENTIAL),
            CreateMode::Ephemeral => Self::Plain(CreateFlags::EPHEMERAL),
            CreateMode::EphemeralSequential => Self::Plain(CreateFlags::EPHEMERAL_SEQUENTIAL),
            CreateMode::Container => Self::Container(ContainerFlags::CONTAINER),
            CreateMode::PersistentWithTtl(ttl) => Self::Ttl(TtlFlags::PERSISTENT_WITH_TTL, ttl),
            CreateMode::PersistentSequentialWithTtl(ttl) => Self::Ttl(TtlFlags::PERSISTENT_SEQUENTIAL_WITH_TTL, ttl),
        }
    }
}

/// The number that the server put behind a sequential znode's prefix; `None` when the name is not such a one.
///
/// Compare these as numbers. It is the count of children ever made below the parent: names skip numbers, and prefixes
/// share them. Since 3.6 it stays at 2147483647, before that it wrapped to -2147483648 (protocol.md section 8.3).
///
/// ```
/// use zk_proto::create::sequence_number;
///
/// assert_eq!(sequence_number("/q/job-0000000017", "/q/job-"), Some(17));
/// assert_eq!(sequence_number("/q/job--2147483648", "/q/job-"), Some(i32::MIN));
/// assert_eq!(sequence_number("/q/job-x", "/q/job-"), None);
/// ```
#[must_use]
pub fn sequence_number(path: &str, prefix: &str) -> Option<i32> {
    let digits = path.strip_prefix(prefix)?;
    let is_padded = digits.len() >= SEQUENCE_DIGITS && !digits.starts_with('+');
    if is_padded { digits.parse().ok() } else { None }
}

/// Servers write the number with `%010d`.
const SEQUENCE_DIGITS: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_legal_numbers_have_names() {
        assert!(CreateFlags::LEGAL.iter().map(|flags| flags.number()).eq(0..=3));
        assert!(!CreateFlags::raw(4).is_legal() && !ContainerFlags::raw(0).is_legal() && !TtlFlags::raw(4).is_legal());
        assert!(Ttl::from_millis(Ttl::MAX_MS).is_ok() && Ttl::from_millis(Ttl::MAX_MS + 1).is_err());
        assert!(Ttl::raw(-1).check().is_err() && Ttl::try_from(Duration::from_micros(999)).is_err());
    }

    #[test]
    fn a_mode_has_its_opcode_alone_and_in_a_transaction() {
        let ttl = Ttl::from_millis(1).unwrap();
        for mode in [
            CreateMode::Persistent,
            CreateMode::PersistentSequential,
            CreateMode::Ephemeral,
            CreateMode::EphemeralSequential,
            CreateMode::Container,
            CreateMode::PersistentWithTtl(ttl),
            CreateMode::PersistentSequentialWithTtl(ttl),
        ] {
            let create = Create { path: "/a".into(), data: None, acl: List::default(), mode };
            assert_eq!(MultiOp::from(create.clone()).op(), mode.op());
            assert_eq!(create.encode(100).unwrap().op(), mode.op());
        }
    }

    #[test]
    fn sequence_numbers_are_read_behind_the_prefix_only() {
        assert_eq!(sequence_number("/a-0000000001-0000000002", "/a-0000000001-"), Some(2));
        assert_eq!(sequence_number("/a-1", "/a-"), None);
        assert_eq!(sequence_number("/a-+000000001", "/a-"), None);
        assert_eq!(sequence_number("/b", "/a"), None);
    }
}
