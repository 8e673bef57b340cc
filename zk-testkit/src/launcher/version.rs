//! Versions of ZooKeeper, as their jars are named.
//!
//! Must not know where jars come from, or what a version can do.

use std::borrow::Cow;
use std::fmt;

use super::LauncherError;

/// A version of ZooKeeper, such as `3.9.5`. The constants are the newest of their release lines.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Version(Cow<'static, str>);

impl Version {
    /// 3.5.10
    pub const V3_5: Self = Self(Cow::Borrowed("3.5.10"));
    /// 3.6.4
    pub const V3_6: Self = Self(Cow::Borrowed("3.6.4"));
    /// 3.7.2
    pub const V3_7: Self = Self(Cow::Borrowed("3.7.2"));
    /// 3.8.6
    pub const V3_8: Self = Self(Cow::Borrowed("3.8.6"));
    /// 3.9.5
    pub const V3_9: Self = Self(Cow::Borrowed("3.9.5"));

    /// Any other version; whether it exists shows when it is started.
    pub fn new(version: impl Into<Cow<'static, str>>) -> Self {
        Self(version.into())
    }

    /// Whatever is here: `$ZK_HOME` if it is set, else [`Version::V3_9`], else Debian's package.
    pub const fn any() -> Self {
        Self(Cow::Borrowed("any"))
    }

    /// Whether this is [`Version::any`].
    pub fn is_any(&self) -> bool {
        self.0 == "any"
    }

    /// The version as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The release line: `3.9` of `3.9.5`.
    pub fn line(&self) -> &str {
        let end = self.0.match_indices('.').nth(1).map_or(self.0.len(), |(at, _)| at);
        self.0.get(..end).unwrap_or_default()
    }

    /// Whether the release line is this one or a newer one: `at_least(3, 6)` is true of `3.10.0`.
    pub fn at_least(&self, major: u32, minor: u32) -> bool {
        let mut parts = self.line().split('.').map(|part| part.parse::<u32>().unwrap_or(0));
        (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) >= (major, minor)
    }

    /// Refuses what is not a version, because it becomes a path and an argument of `mvn`.
    pub(super) fn check(&self) -> Result<(), LauncherError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-';
        let digit_first = self.0.starts_with(|first: char| first.is_ascii_digit());
        if self.is_any() || (digit_first && self.0.bytes().all(plain)) {
            Ok(())
        } else {
            Err(LauncherError::BadVersion { version: self.clone() })
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_the_first_two_numbers() {
        for (version, line) in [("3.5.10", "3.5"), ("3.9.5", "3.9"), ("3.10.0-beta", "3.10"), ("3.9", "3.9")] {
            assert_eq!(Version::new(version).line(), line);
        }
    }

    #[test]
    fn lines_compare_as_numbers() {
        assert!(Version::new("3.10.0").at_least(3, 9));
        assert!(Version::V3_9.at_least(3, 9));
        assert!(!Version::V3_5.at_least(3, 6));
    }

    #[test]
    fn what_is_not_a_version_is_refused() {
        for version in ["", "../3.9.5", "3.9.5 -X", "3.9/5", "latest"] {
            assert!(Version::new(version).check().is_err(), "{version:?}");
        }
        for version in ["3.9.5", "3.10.0-SNAPSHOT", "any"] {
            assert!(Version::new(version).check().is_ok(), "{version:?}");
        }
    }
}
