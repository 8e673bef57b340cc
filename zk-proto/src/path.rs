//! Which paths ZooKeeper accepts, and the chroot of a connect string.
//!
//! Checked before anything is sent: servers check reads hardly at all, and a strange path there is just
//! "no such znode". Source: protocol.md sections 4.7 and 8.1.

use crate::jute::Text;
use alloc::{borrow::Cow, boxed::Box, string::String};
use core::fmt;

/// Why a path is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PathError {
    /// It has no characters.
    Empty,
    /// It does not start with `/`.
    NotAbsolute,
    /// It ends with `/` and is not the root.
    TrailingSlash,
    /// It has two slashes in a row.
    EmptyComponent {
        /// Byte offset of the second slash.
        at: usize,
    },
    /// A component is `.` or `..`.
    RelativeComponent {
        /// Byte offset of the component.
        at: usize,
    },
    /// It has a character that ZooKeeper does not store.
    Character {
        /// Byte offset of the character.
        at: usize,
        /// The character: control, private use, above U+FFFF, or U+FFF0 to U+FFFF.
        character: char,
    },
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("a path cannot be empty; the root is \"/\""),
            Self::NotAbsolute => f.write_str("a path starts with \"/\""),
            Self::TrailingSlash => f.write_str("a path does not end with \"/\""),
            Self::EmptyComponent { at } => write!(f, "two slashes in a row at byte {at}"),
            Self::RelativeComponent { at } => write!(f, "\".\" and \"..\" are not names, at byte {at}"),
            Self::Character { at, character } => {
                write!(f, "ZooKeeper does not store {character:?} in names, at byte {at}")
            }
        }
    }
}

impl core::error::Error for PathError {}

/// Checks a path by ZooKeeper's rules.
///
/// # Errors
/// [`PathError`] with the place of the first fault.
pub fn validate(path: &str) -> Result<(), PathError> {
    if path == "/" {
        return Ok(());
    }
    let rest = match path.strip_prefix('/') {
        Some(rest) => rest,
        None if path.is_empty() => return Err(PathError::Empty),
        None => return Err(PathError::NotAbsolute),
    };
    if rest.ends_with('/') {
        return Err(PathError::TrailingSlash);
    }
    let mut at = 1;
    for component in rest.split('/') {
        match component {
            "" => return Err(PathError::EmptyComponent { at }),
            "." | ".." => return Err(PathError::RelativeComponent { at }),
            _ => {}
        }
        if let Some((offset, character)) = component.char_indices().find(|(_, c)| !is_stored(*c)) {
            return Err(PathError::Character { at: at + offset, character });
        }
        at += component.len() + 1;
    }
    Ok(())
}

/// Checks the prefix of a sequential znode: the server appends digits, so a trailing slash is legal.
///
/// # Errors
/// As [`validate`].
pub fn validate_sequential(prefix: &str) -> Result<(), PathError> {
    match prefix.strip_suffix('/') {
        Some("") => Ok(()),
        Some(parent) => validate(parent),
        None => validate(prefix),
    }
}

const fn is_stored(character: char) -> bool {
    !matches!(character,
        '\u{0}'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{e000}'..='\u{f8ff}' | '\u{fff0}'..='\u{ffff}' | '\u{10000}'..)
}

/// The parent of a path; `None` for the root.
#[must_use]
pub fn parent(path: &str) -> Option<&str> {
    match path.rsplit_once('/')? {
        (_, "") => None,
        ("", _) => Some("/"),
        (parent, _) => Some(parent),
    }
}

/// A child's path.
#[must_use]
pub fn join(parent: &str, name: &str) -> String {
    let parent = if parent == "/" { "" } else { parent };
    let mut path = String::with_capacity(parent.len() + 1 + name.len());
    path.push_str(parent);
    path.push('/');
    path.push_str(name);
    path
}

/// The part of the server's tree that a client sees as its root.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chroot(Box<str>);

impl Chroot {
    /// A chroot; `/` or nothing means none.
    ///
    /// # Errors
    /// As [`validate`].
    pub fn new(path: &str) -> Result<Self, PathError> {
        if path.is_empty() || path == "/" {
            return Ok(Self::default());
        }
        validate(path).map(|()| Self(path.into()))
    }

    /// The path on the server of the client's root.
    #[must_use]
    pub fn as_str(&self) -> &str {
        if self.0.is_empty() { "/" } else { &self.0 }
    }

    /// A client's path as the server knows it.
    #[must_use]
    pub fn to_server<'a>(&self, path: &'a str) -> Cow<'a, str> {
        if self.0.is_empty() {
            return Cow::Borrowed(path);
        }
        let path = if path == "/" { "" } else { path };
        let mut server = String::with_capacity(self.0.len() + path.len());
        server.push_str(&self.0);
        server.push_str(path);
        Cow::Owned(server)
    }

    /// How many bytes [`to_client`](Self::to_client) takes off a server path, or `None` for a path that
    /// is not below the chroot.
    fn prefix_len(&self, path: &str) -> Option<usize> {
        crate::watch::is_at_or_below(path, self.as_str()).then_some(self.0.len())
    }

    /// A server's path as the client knows it. A path that is not below the chroot, such as
    /// `/zookeeper/config`, stays whole (ZOOKEEPER-4742).
    #[must_use]
    pub fn to_client<'a>(&self, path: &'a str) -> &'a str {
        match self.prefix_len(path) {
            Some(len) if len == path.len() && len > 0 => "/",
            Some(len) => path.get(len..).unwrap_or(path),
            None => path,
        }
    }

    /// [`to_client`](Self::to_client) for a text that shares its frame.
    #[must_use]
    pub fn text_to_client(&self, path: &Text) -> Text {
        match self.prefix_len(path) {
            Some(len) if len == path.len() && len > 0 => Text::from_static("/"),
            Some(len) => path.suffix(len),
            None => path.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_follow_zookeepers_rules() {
        for good in ["/", "/a", "/a/b", "/..x", "/x...", "/a b", "/%", "/\u{a0}", "/\u{feff}", "/ключ-鍵"] {
            assert_eq!(validate(good), Ok(()), "{good}");
        }
        let check = |bad: &str, expected| assert_eq!(validate(bad), Err(expected), "{bad:?}");
        check("", PathError::Empty);
        check("a", PathError::NotAbsolute);
        check("/a/", PathError::TrailingSlash);
        check("//", PathError::TrailingSlash);
        check("/a//b", PathError::EmptyComponent { at: 3 });
        check("/a/./b", PathError::RelativeComponent { at: 3 });
        check("/..", PathError::RelativeComponent { at: 1 });
        check("/a\0", PathError::Character { at: 2, character: '\0' });
        check("/b/\u{1F600}", PathError::Character { at: 3, character: '\u{1F600}' });
        check("/\u{e000}", PathError::Character { at: 1, character: '\u{e000}' });
    }

    #[test]
    fn a_sequential_prefix_may_end_with_a_slash() {
        assert_eq!(validate_sequential("/p/"), Ok(()));
        assert_eq!(validate_sequential("/"), Ok(()));
        assert_eq!(validate_sequential("/p//"), Err(PathError::TrailingSlash));
    }

    #[test]
    fn the_chroot_is_put_on_and_taken_off_by_component() {
        let none = Chroot::new("/").unwrap();
        assert_eq!((none.to_server("/a").as_ref(), none.to_client("/a"), none.to_client("/")), ("/a", "/a", "/"));
        let app = Chroot::new("/a").unwrap();
        assert_eq!(app.to_server("/"), "/a");
        assert_eq!(app.to_server("/x"), "/a/x");
        for (server, client) in
            [("/a", "/"), ("/a/x", "/x"), ("/ab", "/ab"), ("/zookeeper/config", "/zookeeper/config")]
        {
            assert_eq!(app.to_client(server), client);
            assert_eq!(app.text_to_client(&Text::from(server)), client);
        }
        assert!(Chroot::new("/a/").is_err());
    }

    #[test]
    fn parents_and_children() {
        assert_eq!((parent("/"), parent("/a"), parent("/a/b")), (None, Some("/"), Some("/a")));
        assert_eq!((join("/", "a").as_str(), join("/a", "b").as_str()), ("/a", "/a/b"));
    }
}
