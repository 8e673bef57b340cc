//! Which ZooKeeper the server pretends to be: the differences between versions that a client can see.
//!
//! Must not know how anything is carried out. Source: protocol.md section 10.

use zk_proto::OpCode;

/// The behaviour of one ZooKeeper version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    pub(super) version: &'static str,
    /// The release line's second number: `9` of 3.9.
    pub(super) minor: u8,
    /// createTTL works (`extendedTypesEnabled`); otherwise it is answered -6.
    pub(super) ttl: bool,
    /// Events are for those who may read the znode, and `exists` needs READ.
    pub(super) read_filter: bool,
    /// create2 inside multi answers with type 15; before, the stat was lost (ZOOKEEPER-4026).
    pub(super) multi_create2: bool,
    /// A check outside of multi is an unknown operation; before, it got no answer at all.
    pub(super) refuses_bare_check: bool,
    /// The scheme `sasl` is known; an ACL may name it. Set where SASL is configured.
    pub(super) sasl: bool,
    /// The same of `x509`, where there is TLS.
    pub(super) x509: bool,
    /// Opcodes this server does not know although its version does.
    without: Vec<OpCode>,
}

impl Profile {
    /// 3.5.10: no persistent watches, no multiRead.
    pub const V3_5: Self =
        Self::new("3.5.10", 5, Fixes { read_filter: false, multi_create2: false, bare_check: false });
    /// 3.6.4: the first with persistent watches, and with their defects (protocol.md section 4.6).
    pub const V3_6: Self = Self::new("3.6.4", 6, Fixes { read_filter: false, multi_create2: false, bare_check: false });
    /// 3.7.2: adds whoAmI.
    pub const V3_7: Self = Self::new("3.7.2", 7, Fixes { read_filter: false, multi_create2: true, bare_check: false });
    /// 3.8.0, the first of its line: create2 inside multi loses its stat, events are not filtered.
    pub const V3_8_0: Self =
        Self::new("3.8.0", 8, Fixes { read_filter: false, multi_create2: false, bare_check: false });
    /// 3.8.6.
    pub const V3_8: Self = Self::new("3.8.6", 8, Fixes { read_filter: true, multi_create2: true, bare_check: true });
    /// 3.9.5: events carry their zxid, several kinds of watch live side by side.
    pub const V3_9: Self = Self::new("3.9.5", 9, Fixes { read_filter: true, multi_create2: true, bare_check: true });

    const fn new(version: &'static str, minor: u8, fixes: Fixes) -> Self {
        Self {
            version,
            minor,
            ttl: false,
            read_filter: fixes.read_filter,
            multi_create2: fixes.multi_create2,
            refuses_bare_check: fixes.bare_check,
            sasl: false,
            x509: false,
            without: Vec::new(),
        }
    }

    /// The version as `srvr` prints it.
    #[must_use]
    pub const fn version(&self) -> &'static str {
        self.version
    }

    /// A server that answers this opcode as one it does not know: -6, then the connection is closed.
    #[must_use]
    pub fn without(mut self, op: OpCode) -> Self {
        self.without.push(op);
        self
    }

    /// A server with `zookeeper.extendedTypesEnabled=true`: znodes may have a time to live.
    #[must_use]
    pub const fn with_ttl(mut self) -> Self {
        self.ttl = true;
        self
    }

    /// Whether the server knows an opcode.
    #[must_use]
    pub fn knows(&self, op: OpCode) -> bool {
        let since = match op {
            OpCode::MULTI_READ
            | OpCode::GET_EPHEMERALS
            | OpCode::GET_ALL_CHILDREN_NUMBER
            | OpCode::SET_WATCHES2
            | OpCode::ADD_WATCH => 6,
            OpCode::WHO_AM_I => 7,
            OpCode::DELETE_CONTAINER => 5,
            op if zk_proto::ops::TABLE.iter().any(|(known, _)| *known == op) => 0,
            _ => return false,
        };
        self.minor >= since && !self.without.contains(&op)
    }

    /// ip ACLs may be IPv6 (since 3.9.4).
    pub(super) const fn ipv6_acls(&self) -> bool {
        self.minor >= 9
    }

    /// Events carry the zxid of their transaction (ZOOKEEPER-4655); otherwise -1.
    pub(super) const fn event_zxid(&self) -> bool {
        self.minor >= 9
    }

    /// Standard, persistent and recursive watches of a connection live side by side on a path; before, the
    /// last one set replaced the others (ZOOKEEPER-4466), and removing went by table (ZOOKEEPER-4471).
    pub(super) const fn watch_modes_coexist(&self) -> bool {
        self.minor >= 9
    }

    /// checkWatches is content with any connection's watch.
    pub(super) const fn checks_watches_of_all(&self) -> bool {
        self.minor >= 6 && self.minor < 9
    }

    /// Quotas have hard limits.
    pub(super) const fn has_hard_quotas(&self) -> bool {
        self.minor >= 7
    }

    /// A read-only server takes only sessions of its own, and has them only if it is told to.
    pub(super) const fn read_only_needs_local_sessions(&self) -> bool {
        self.minor >= 7
    }

    /// The counter of sequential znodes stays at its maximum instead of turning negative.
    pub(super) const fn sequence_sticks(&self) -> bool {
        self.minor >= 6
    }

    /// Who may not delete is not told whether there is such a znode; before, that came first.
    pub(super) const fn delete_hides_what_is_there(&self) -> bool {
        self.minor >= 6
    }

    /// A write whose record cannot be read takes a zxid all the same; since 3.9 only a multi does.
    pub(super) const fn unreadable_takes_zxid(&self, op: OpCode) -> bool {
        op.0 == OpCode::MULTI.0 || (self.minor < 9 && op.0 != OpCode::RECONFIG.0)
    }

    /// A create with an impossible flag makes the whole multi unreadable; before, it was one bad result.
    pub(super) const fn multi_bad_flags_unreadable(&self) -> bool {
        self.minor >= 9
    }
}

impl Default for Profile {
    fn default() -> Self {
        Self::V3_9
    }
}

/// Fixes that came inside a release line.
struct Fixes {
    read_filter: bool,
    multi_create2: bool,
    bare_check: bool,
}
