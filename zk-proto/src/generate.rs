//! Records out of a fuzzer's bytes, behind the feature `arbitrary`.
//!
//! Every record implements [`Arbitrary`]; so do [`RequestBody`](crate::ops::RequestBody) and
//! [`ReplyBody`](crate::ops::ReplyBody), which choose the operation too. Paths are mostly few and legal, so that requests
//! meet each other in a server's tree; numbers of create modes and times to live are mostly legal, sometimes not. Send
//! such requests only to servers that are yours.

use crate::{
    code::{ErrorCode, OpCode},
    create::{ContainerFlags, CreateFlags, Ttl, TtlFlags},
    id::{SessionId, Zxid},
    jute::{Decode, Label, List, Tail, Text},
    multi::{MultiOp, MultiReadRequest, MultiRequest, MultiResponse, MultiResult, ReadOp},
    records::{AuthId, Permissions, Secret, SecretBytes, Str},
    watch::{EventType, KeeperState, WatchMode, WatcherType},
};
use alloc::{borrow::Cow, string::String, vec::Vec};
use arbitrary::{Arbitrary, Result, Unstructured};
use bytes::Bytes;

/// A value for a field of a record. Like [`Arbitrary`], which cannot be had for other crates' types.
pub(crate) trait Generate<'a>: Sized {
    fn generate(u: &mut Unstructured<'a>) -> Result<Self>;
}

macro_rules! record {
    // Made by hand, below: two texts by chance are never somebody.
    (AuthId { $($field:ident,)* }) => {
        impl<'arb> arbitrary::Arbitrary<'arb> for AuthId {
            fn arbitrary(u: &mut arbitrary::Unstructured<'arb>) -> arbitrary::Result<Self> {
                crate::generate::Generate::generate(u)
            }
        }
    };
    ($name:ident { $($field:ident,)* }) => { crate::generate::record!(@ [] $name [] { $($field,)* }); };
    ($name:ident <$lt:lifetime> { $($field:ident,)* }) => { crate::generate::record!(@ [<'arb>] $name [] { $($field,)* }); };
    (@ [$($lt:tt)*] $name:ident [] { $($field:ident,)* }) => {
        impl<'arb> crate::generate::Generate<'arb> for $name $($lt)* {
            fn generate(_u: &mut arbitrary::Unstructured<'arb>) -> arbitrary::Result<Self> {
                Ok(Self { $($field: crate::generate::Generate::generate(_u)?,)* })
            }
        }
        impl<'arb> arbitrary::Arbitrary<'arb> for $name $($lt)* {
            fn arbitrary(u: &mut arbitrary::Unstructured<'arb>) -> arbitrary::Result<Self> {
                crate::generate::Generate::generate(u)
            }
        }
    };
}
pub(crate) use record;

macro_rules! bodies {
    ($($name:ident),*) => {
        impl<'arb> arbitrary::Arbitrary<'arb> for RequestBody<'arb> {
            fn arbitrary(u: &mut arbitrary::Unstructured<'arb>) -> arbitrary::Result<Self> {
                let makers = [$(|u: &mut arbitrary::Unstructured<'arb>| crate::generate::Generate::generate(u).map(Self::$name)),*];
                u.choose(&makers).copied()?(u)
            }
        }
        impl<'arb> arbitrary::Arbitrary<'arb> for ReplyBody {
            fn arbitrary(u: &mut arbitrary::Unstructured<'arb>) -> arbitrary::Result<Self> {
                let makers = [$(|u: &mut arbitrary::Unstructured<'arb>| crate::generate::Generate::generate(u).map(Self::$name)),*];
                u.choose(&makers).copied()?(u)
            }
        }
    };
}
pub(crate) use bodies;

/// Types that `arbitrary` can make by itself.
macro_rules! plain {
    ($($type:ty),*) => {$(
        impl<'a> Generate<'a> for $type {
            fn generate(u: &mut Unstructured<'a>) -> Result<Self> {
                u.arbitrary()
            }
        }
    )*};
}
plain!(bool, i64);

/// Mostly a version that a young znode has, or -1 for any.
impl<'a> Generate<'a> for i32 {
    fn generate(u: &mut Unstructured<'a>) -> Result<Self> {
        if u.ratio(7, 8)? { u.int_in_range(-1..=3) } else { u.arbitrary() }
    }
}

/// Open numbers: mostly known ones.
macro_rules! codes {
    ($($type:ident),*) => {$(
        impl<'a> Generate<'a> for $type {
            fn generate(u: &mut Unstructured<'a>) -> Result<Self> {
                if u.ratio(7, 8)? { u.choose(Self::KNOWN).copied() } else { u.arbitrary().map(Self) }
            }
        }
    )*};
}
codes!(ErrorCode, OpCode, EventType, KeeperState, WatchMode, WatcherType);

/// Numbers of create modes: mostly legal ones.
macro_rules! flags {
    ($($type:ident),*) => {$(
        impl<'a> Generate<'a> for $type {
            fn generate(u: &mut Unstructured<'a>) -> Result<Self> {
                if u.ratio(7, 8)? { u.choose(Self::LEGAL).copied() } else { u.arbitrary().map(Self::raw) }
            }
        }
    )*};
}
flags!(CreateFlags, ContainerFlags, TtlFlags);

impl<'a> Generate<'a> for Ttl {
    fn generate(u: &mut Unstructured<'a>) -> Result<Self> {
        if u.ratio(7, 8)? { u.int_in_range(1..=Self::MAX_MS).map(Self::raw) } else { u.arbitrary().map(Self::raw) }
    }
}

/// Mostly small: transactions of a young server.
impl<'a> Generate<'a> for Zxid {
    fn generate(u: &mut Unstructured<'a>) -> Result<Self> {
        if u.ratio(7, 8)? { u.int_in_range(-1..=64).map(Self) } else { u.arbitrary().map(Self) }
    }
}

impl<'a> Generate<'a> for SessionId {
    fn generate(u: &mut Unstructured<'a>) -> Result<Self> {
        u.arbitrary().map(Self)
    }
}

impl<'a> Generate<'a> for Permissions {
    fn generate(u: &mut Unstructured<'a>) -> Result<Self> {
        if u.ratio(7, 8)? { u.int_in_range(0..=31).map(Self) } else { u.arbitrary().map(Self) }
    }
}

/// Few enough to meet, of several depths, with prefixes of each other.
const TEXTS: &[&str] = &["/a", "/a/b", "/a/b/c", "/ab", "/b", "/b/s-", "/", "/zookeeper/config"];

/// Who stands in ACLs: mostly everybody, otherwise somebody that a server takes.
const IDENTITIES: &[(&str, &str)] = &[
    ("world", "anyone"),
    ("world", "anyone"),
    ("world", "anyone"),
    ("digest", "bob:x"),
    ("ip", "127.0.0.1"),
    ("auth", ""),
];

impl<'a> Generate<'a> for AuthId {
    fn generate(u: &mut Unstructured<'a>) -> Result<Self> {
        if u.ratio(15, 16)? {
            let (scheme, id) = *u.choose(IDENTITIES)?;
            return Ok(Self { scheme: Label::from_static(scheme), id: Label::from_static(id) });
        }
        Ok(Self { scheme: Generate::generate(u)?, id: Generate::generate(u)? })
    }
}

impl<'a> Generate<'a> for Str<'a> {
    fn generate(u: &mut Unstructured<'a>) -> Result<Self> {
        if u.ratio(7, 8)? { u.choose(TEXTS).map(|text| Cow::Borrowed(*text)) } else { u.arbitrary().map(Cow::Borrowed) }
    }
}

/// Texts of other types.
macro_rules! texts {
    ($($type:ty),*) => {$(
        impl<'a> Generate<'a> for $type {
            fn generate(u: &mut Unstructured<'a>) -> Result<Self> {
                Str::generate(u).map(|text| Self::from(text.as_ref()))
            }
        }
    )*};
}
texts!(String, Text, Label);

impl<'a> Generate<'a> for &'a [u8] {
    fn generate(u: &mut Unstructured<'a>) -> Result<Self> {
        let len = u.arbitrary_len::<u8>()?;
        u.bytes(len)
    }
}

impl<'a> Generate<'a> for Bytes {
    fn generate(u: &mut Unstructured<'a>) -> Result<Self> {
        <&[u8]>::generate(u).map(Self::copy_from_slice)
    }
}

impl<'a> Generate<'a> for Secret<'a> {
    fn generate(u: &mut Unstructured<'a>) -> Result<Self> {
        Generate::generate(u).map(Self)
    }
}

impl<'a> Generate<'a> for SecretBytes {
    fn generate(u: &mut Unstructured<'a>) -> Result<Self> {
        Generate::generate(u).map(Self)
    }
}

impl<'a, T: Generate<'a>> Generate<'a> for Option<T> {
    fn generate(u: &mut Unstructured<'a>) -> Result<Self> {
        if u.ratio(7, 8)? { T::generate(u).map(Some) } else { Ok(None) }
    }
}

impl<'a, T: Generate<'a>> Generate<'a> for Tail<T> {
    fn generate(u: &mut Unstructured<'a>) -> Result<Self> {
        Generate::generate(u).map(Self)
    }
}

/// As many as the fuzzer's bytes ask for.
impl<'a, T: Generate<'a>> Generate<'a> for Vec<T> {
    fn generate(u: &mut Unstructured<'a>) -> Result<Self> {
        let mut items = Self::new();
        while u.ratio(4, 5)? && !u.is_empty() {
            items.push(T::generate(u)?);
        }
        Ok(items)
    }
}

impl<'a, T: Generate<'a> + Clone + for<'f> Decode<'f>> Generate<'a> for List<'_, T> {
    fn generate(u: &mut Unstructured<'a>) -> Result<Self> {
        if u.ratio(15, 16)? { Vec::generate(u).map(Self::from) } else { Ok(Self::null()) }
    }
}

/// Enums of records: each variant as often.
macro_rules! items {
    ($($type:ident $(<$lt:lifetime>)? { $($variant:ident),* })*) => {$(
        impl<'a> Generate<'a> for $type $(<$lt>)? {
            fn generate(u: &mut Unstructured<'a>) -> Result<Self> {
                let makers = [$(|u: &mut Unstructured<'a>| Generate::generate(u).map(Self::$variant)),*];
                u.choose(&makers).copied()?(u)
            }
        }
    )*};
}
items! {
    MultiOp<'a> { Create, Create2, CreateContainer, CreateTtl, Delete, SetData, Check }
    ReadOp<'a> { GetData, GetChildren }
}

impl<'a> Generate<'a> for MultiResult {
    fn generate(u: &mut Unstructured<'a>) -> Result<Self> {
        Ok(match u.int_in_range(0..=7)? {
            0 => Self::Create(Generate::generate(u)?),
            1 => Self::Create2(Generate::generate(u)?, Generate::generate(u)?),
            2 => Self::Delete,
            3 => Self::SetData(Generate::generate(u)?),
            4 => Self::Check,
            5 => Self::GetData(Generate::generate(u)?),
            6 => Self::GetChildren(Generate::generate(u)?),
            _ => Self::Error(Generate::generate(u)?),
        })
    }
}

/// Lists of operations and of results.
macro_rules! lists {
    ($($type:ident $(<$lt:lifetime>)? { $field:ident })*) => {$(
        impl<'a> Generate<'a> for $type $(<$lt>)? {
            fn generate(u: &mut Unstructured<'a>) -> Result<Self> {
                Ok(Self { $field: Vec::generate(u)?.into() })
            }
        }
        impl<'a> Arbitrary<'a> for $type $(<$lt>)? {
            fn arbitrary(u: &mut Unstructured<'a>) -> Result<Self> {
                Generate::generate(u)
            }
        }
    )*};
}
lists! {
    MultiRequest<'a> { ops }
    MultiReadRequest<'a> { ops }
    MultiResponse { results }
}
