//! `--data`: a tree from a file, either the output of `zk tree --json` or one object of paths and texts.
//!
//! Must not know servers. What a file may hold is bounded, and every error names its line.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeSeed, MapAccess, Visitor},
};
use std::{
    collections::BTreeMap,
    fmt,
    fs::File,
    io::{self, Read as _},
    path::Path,
};
use zk_proto::path;

/// The longest file, in bytes: it is held in memory, and its tree too.
const FILE_LEN_MAX: u64 = 256 << 20;

/// The most znodes of a file: as many as servers are known to hold with some comfort.
const ZNODES_MAX: usize = 1_000_000;

/// The longest data of a znode, in bytes: 1 MB with the request around it, as a client could set it.
const DATA_LEN_MAX: usize = (1 << 20) - 1024;

/// What servers keep for themselves.
const SYSTEM: &str = "/zookeeper";

/// A tree without its metadata.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Tree {
    pub(super) znodes: BTreeMap<String, Vec<u8>>,
    /// Ephemeral znodes, which are left out.
    pub(super) ephemerals: usize,
}

/// Why a file is no tree.
#[derive(Debug)]
pub(super) enum DataError {
    Io(io::Error),
    TooLong,
    NotText,
    /// The line, from 1, and why.
    Line(usize, String),
}

impl fmt::Display for DataError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "{error}"),
            Self::TooLong => {
                write!(f, "longer than {} MiB; keep a part of it: zk tree --json PATH", FILE_LEN_MAX >> 20)
            }
            Self::NotText => {
                f.write_str("not UTF-8; the file is either the output of `zk tree --json` or a JSON object")
            }
            Self::Line(line, why) => write!(f, "line {line}: {why}"),
        }
    }
}

/// A line of `zk tree --json`.
#[derive(Deserialize)]
struct Line {
    path: String,
    #[serde(default)]
    data: String,
    #[serde(default)]
    encoding: Encoding,
    stat: Option<LineStat>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Encoding {
    #[default]
    Utf8,
    Base64,
}

#[derive(Deserialize)]
struct LineStat {
    #[serde(default)]
    ephemeral_owner: i64,
}

impl LineStat {
    /// Whether it belongs to a session; containers and znodes with a time to live have odd owners, too
    /// (protocol.md section 3.2).
    const fn is_ephemeral(&self) -> bool {
        self.ephemeral_owner != 0
            && self.ephemeral_owner != i64::MIN
            && self.ephemeral_owner.cast_unsigned() >> 56 != 0xff
    }
}

/// Reads a file.
pub(super) fn load(path: &Path) -> Result<Tree, DataError> {
    let mut bytes = Vec::new();
    // one byte more than may be, so that too much shows
    File::open(path).and_then(|file| file.take(FILE_LEN_MAX + 1).read_to_end(&mut bytes)).map_err(DataError::Io)?;
    if bytes.len() as u64 > FILE_LEN_MAX {
        return Err(DataError::TooLong);
    }
    parse(&String::from_utf8(bytes).map_err(|_| DataError::NotText)?)
}

/// The first line tells the formats apart: an object with a path, or not.
fn parse(text: &str) -> Result<Tree, DataError> {
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    if serde_json::from_str::<Line>(first).is_ok() { parse_lines(text) } else { parse_object(text) }
}

fn parse_lines(text: &str) -> Result<Tree, DataError> {
    let mut tree = Tree::default();
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        let wrong = |why: String| DataError::Line(number, why);
        let line: Line = serde_json::from_str(line).map_err(|error| wrong(bare(&error)))?;
        if line.stat.as_ref().is_some_and(LineStat::is_ephemeral) {
            tree.ephemerals += 1;
            continue;
        }
        let data = match line.encoding {
            Encoding::Utf8 => line.data.into_bytes(),
            Encoding::Base64 => STANDARD.decode(&line.data).map_err(|error| wrong(format!("data: {error}")))?,
        };
        tree.check_path(&line.path).and_then(|()| check_data(&data)).map_err(wrong)?;
        tree.insert(line.path, data);
    }
    Ok(tree)
}

fn parse_object(text: &str) -> Result<Tree, DataError> {
    let found: Result<Object, _> = serde_json::from_str(text);
    found.map(|object| object.0).map_err(|error| DataError::Line(error.line().max(1), bare(&error)))
}

/// What serde_json says, without the place: that is told by lines of the file.
fn bare(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.rsplit_once(" at line ").map_or(text.clone(), |(text, _)| text.to_owned())
}

/// One object of paths and texts.
struct Object(Tree);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(PathsAndTexts)
    }
}

struct PathsAndTexts;

impl<'de> Visitor<'de> for PathsAndTexts {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "an object of paths and texts, such as {\"/app/limit\": \"100\"}, or the output of `zk tree --json`",
        )
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
        let mut tree = Tree::default();
        while let Some(path) = map.next_key_seed(NextPath(&tree))? {
            let Data(data) = map.next_value()?;
            tree.insert(path, data);
        }
        Ok(Object(tree))
    }
}

/// A path that may follow those of a tree. Checked while its text is read: later, the reader is at another line.
struct NextPath<'t>(&'t Tree);

impl<'de> DeserializeSeed<'de> for NextPath<'_> {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for NextPath<'_> {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a path")
    }

    fn visit_str<E: de::Error>(self, path: &str) -> Result<String, E> {
        self.0.check_path(path).map_err(E::custom)?;
        Ok(path.to_owned())
    }
}

/// A text that is short enough; checked while it is read, too.
struct Data(Vec<u8>);

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(DataVisitor)
    }
}

struct DataVisitor;

impl Visitor<'_> for DataVisitor {
    type Value = Data;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Data, E> {
        check_data(text.as_bytes()).map_err(E::custom)?;
        Ok(Data(text.as_bytes().to_vec()))
    }
}

fn check_data(data: &[u8]) -> Result<(), String> {
    if data.len() > DATA_LEN_MAX {
        return Err(format!("{} bytes of data; a znode holds up to {DATA_LEN_MAX}", data.len()));
    }
    Ok(())
}

impl Tree {
    fn check_path(&self, path: &str) -> Result<(), String> {
        path::validate(path).map_err(|error| format!("{path:?}: {error}"))?;
        if self.znodes.contains_key(path) {
            return Err(format!("{path} stands here for the second time"));
        }
        if self.znodes.len() >= ZNODES_MAX {
            return Err(format!("more than {ZNODES_MAX} znodes; keep a part of them: zk tree --json PATH"));
        }
        Ok(())
    }

    fn insert(&mut self, path: String, data: Vec<u8>) {
        let is_system = path.strip_prefix(SYSTEM).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        // the root is there, and mostly empty
        if !is_system && (path != "/" || !data.is_empty()) {
            self.znodes.insert(path, data);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(text: &str) -> Vec<(String, String)> {
        let tree = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        tree.znodes.into_iter().map(|(path, data)| (path, String::from_utf8_lossy(&data).into_owned())).collect()
    }

    fn pair(path: &str, data: &str) -> (String, String) {
        (path.to_owned(), data.to_owned())
    }

    #[test]
    fn the_output_of_zk_tree() {
        let text = r#"{"path":"/","data":"","encoding":"utf8","stat":{"czxid":0,"ephemeral_owner":0}}
{"path":"/a","data":"x","encoding":"utf8","stat":{"ephemeral_owner":0}}

{"path":"/a/bytes","data":"AAE=","encoding":"base64","stat":{"ephemeral_owner":-9223372036854775808}}
{"path":"/a/mine","data":"","encoding":"utf8","stat":{"ephemeral_owner":72057594037927936}}
{"path":"/zookeeper","data":"","encoding":"utf8"}
{"path":"/zookeeper/config","data":"server.1","encoding":"utf8"}
"#;
        assert_eq!(tree(text), [pair("/a", "x"), pair("/a/bytes", "\0\u{1}")]);
        assert_eq!(parse(text).unwrap().ephemerals, 1);
        assert_eq!(tree(r#"{"path":"/zookeepers"}"#), [pair("/zookeepers", "")]);
    }

    #[test]
    fn an_object_of_paths_and_texts() {
        assert_eq!(tree("{}"), []);
        assert_eq!(tree("{\n \"/b\": \"2\",\n \"/a/c\": \"\"\n}\n"), [pair("/a/c", ""), pair("/b", "2")]);
        assert_eq!(tree("{\"/\": \"root\"}"), [pair("/", "root")]);
    }

    #[test]
    fn errors_name_the_line() {
        for (text, expected) in [
            ("", "line 1: EOF while parsing a value"),
            ("[]", "line 1: invalid type: sequence, expected an object of paths and texts"),
            ("{\"/a\": \"1\",\n\"/b\": 2\n}", "line 2: invalid type: integer `2`, expected a text"),
            ("{\"/a\": \"1\",\n\"b\": \"2\"\n\n}", "line 2: \"b\": "),
            ("{\"/a\": \"1\",\n\"/a\": \"2\"\n}", "line 2: /a stands here for the second time"),
            ("{\"path\":\"/a\"}\n{\"path\":\"/a\"}", "line 2: /a stands here for the second time"),
            ("{\"path\":\"/a\"}\n\n{\"path\":\"/a/\"}", "line 3: \"/a/\": "),
            ("{\"path\":\"/a\"}\n{\"path\":1}", "line 2: invalid type: integer `1`, expected a string"),
            ("{\"path\":\"/a\"}\n{", "line 2: EOF while parsing an object"),
            ("{\"path\":\"/a\",\"data\":\"?\",\"encoding\":\"base64\"}", "line 1: data: "),
        ] {
            let error = parse(text).expect_err(text).to_string();
            assert!(error.starts_with(expected), "{text}\n{error}");
        }
        let long = format!("{{\"/a\": \"{}\"}}", "x".repeat(DATA_LEN_MAX + 1));
        assert!(parse(&long).unwrap_err().to_string().contains("a znode holds up to"));
    }
}
