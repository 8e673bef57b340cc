//! The JSON that `--json` prints. Programs read it: names and types here are promises.
//!
//! Must not know ZooKeeper's operations. Source: issue 2, item 6.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Serialize;
use std::borrow::Cow;

/// A znode's metadata, in ZooKeeper's numbers.
#[derive(Serialize)]
pub(crate) struct Stat {
    czxid: i64,
    mzxid: i64,
    ctime: i64,
    mtime: i64,
    version: i32,
    cversion: i32,
    aversion: i32,
    ephemeral_owner: i64,
    data_length: i32,
    num_children: i32,
    pzxid: i64,
}

impl From<&zk_client::Stat> for Stat {
    fn from(stat: &zk_client::Stat) -> Self {
        Self {
            czxid: stat.czxid.0,
            mzxid: stat.mzxid.0,
            ctime: stat.ctime,
            mtime: stat.mtime,
            version: stat.version,
            cversion: stat.cversion,
            aversion: stat.aversion,
            ephemeral_owner: stat.ephemeral_owner.0,
            data_length: stat.data_length,
            num_children: stat.num_children,
            pzxid: stat.pzxid.0,
        }
    }
}

/// A znode's data and metadata. Data that is not UTF-8 is in base64.
#[derive(Serialize)]
pub(crate) struct Value<'a> {
    data: Cow<'a, str>,
    encoding: &'static str,
    stat: Stat,
}

impl<'a> Value<'a> {
    pub(crate) fn new(data: &'a [u8], stat: &zk_client::Stat) -> Self {
        let (data, encoding) = match std::str::from_utf8(data) {
            Ok(text) => (Cow::Borrowed(text), "utf8"),
            Err(_) => (Cow::Owned(STANDARD.encode(data)), "base64"),
        };
        Self { data, encoding, stat: stat.into() }
    }
}

/// A path and its value, in one object: `get` and `tree`.
#[derive(Serialize)]
pub(crate) struct Entry<'a> {
    pub(crate) path: &'a str,
    #[serde(flatten)]
    pub(crate) value: Value<'a>,
}

/// A path and its metadata: `stat`, `set`, `create`, `ls -R`.
#[derive(Serialize)]
pub(crate) struct PathStat<'a> {
    pub(crate) path: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stat: Option<Stat>,
}

/// What is below a path: `ls`.
#[derive(Serialize)]
pub(crate) struct Listing<'a> {
    pub(crate) path: &'a str,
    pub(crate) children: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stat: Option<Stat>,
}

/// How many znodes are gone: `delete`, `deleteall`.
#[derive(Serialize)]
pub(crate) struct Deleted<'a> {
    pub(crate) path: &'a str,
    pub(crate) deleted: usize,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use zk_client::{SessionId, Zxid};

    pub(crate) const STAT: zk_client::Stat = zk_client::Stat {
        czxid: Zxid(1),
        mzxid: Zxid(0x1_0000_0002),
        ctime: 3,
        mtime: 1_700_000_000_000,
        version: 5,
        cversion: 6,
        aversion: 7,
        ephemeral_owner: SessionId(-8),
        data_length: 9,
        num_children: 10,
        pzxid: Zxid(i64::MAX),
    };
    pub(crate) const STAT_JSON: &str = r#"{"czxid":1,"mzxid":4294967298,"ctime":3,"mtime":1700000000000,"version":5,"cversion":6,"aversion":7,"ephemeral_owner":-8,"data_length":9,"num_children":10,"pzxid":9223372036854775807}"#;

    #[track_caller]
    fn check(object: &impl Serialize, expected: &str) {
        let expected = expected.replace("STAT", STAT_JSON);
        assert_eq!(serde_json::to_string(object).unwrap(), expected);
    }

    #[test]
    fn a_value_is_text_or_base64() {
        check(&Value::new(b"", &STAT), r#"{"data":"","encoding":"utf8","stat":STAT}"#);
        check(
            &Value::new("grün\n\"\0".as_bytes(), &STAT),
            r#"{"data":"grün\n\"\u0000","encoding":"utf8","stat":STAT}"#,
        );
        check(&Value::new(&[0xff, 0, 1], &STAT), r#"{"data":"/wAB","encoding":"base64","stat":STAT}"#);
        // Half of a character is no text.
        check(&Value::new(&"ü".as_bytes()[..1], &STAT), r#"{"data":"ww==","encoding":"base64","stat":STAT}"#);
    }

    #[test]
    fn an_entry_holds_the_values_fields_itself() {
        let entry = Entry { path: "/a", value: Value::new(b"x", &STAT) };
        check(&entry, r#"{"path":"/a","data":"x","encoding":"utf8","stat":STAT}"#);
    }

    #[test]
    fn what_was_not_asked_for_is_left_out() {
        check(&PathStat { path: "/a", stat: None }, r#"{"path":"/a"}"#);
        check(&PathStat { path: "/a", stat: Some((&STAT).into()) }, r#"{"path":"/a","stat":STAT}"#);
        let children = ["b".to_owned()];
        check(&Listing { path: "/", children: &children, stat: None }, r#"{"path":"/","children":["b"]}"#);
        check(&Deleted { path: "/a", deleted: 3 }, r#"{"path":"/a","deleted":3}"#);
    }
}
