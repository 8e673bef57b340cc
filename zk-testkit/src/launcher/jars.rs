//! Where a server's jars come from: the cache, `$ZK_HOME`, `mvn`, Debian's package.
//!
//! Must not know how a server is started with them.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{LauncherError, Version, maven};

/// The release line of Debian's package (bookworm and trixie).
pub(super) const DEBIAN_LINE: &str = "3.8";
/// Where Debian keeps jars. The manifest of its `zookeeper.jar` names all the others but the logging backend.
const DEBIAN_JARS: &str = "/usr/share/java";

/// The jars of one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Jars {
    pub(super) version: Version,
    pub(super) class_path: OsString,
}

impl Jars {
    /// All jars of a folder.
    fn folder(version: Version, folder: &Path) -> Self {
        Self { version, class_path: folder.join("*").into_os_string() }
    }
}

/// The jars of this version, fetched within the limit if need be.
pub(super) async fn find(version: &Version, limit: Duration) -> Result<Jars, LauncherError> {
    version.check()?;
    let home = env::var_os("ZK_HOME").and_then(|home| distribution(Path::new(&home)));
    if let (true, Some(jars)) = (version.is_any(), &home) {
        return Ok(jars.clone());
    }
    let exact = if version.is_any() { &Version::V3_9 } else { version };
    let cache = cache_folder();
    if let Some(folder) = maven::cached(&cache, exact) {
        return Ok(Jars::folder(exact.clone(), &folder));
    }
    if let Some(jars) = home.filter(|jars| jars.version.line() == exact.line()) {
        return Ok(jars);
    }
    match maven::fetch(&cache, exact, limit).await {
        Ok(folder) => Ok(Jars::folder(exact.clone(), &folder)),
        Err(error) => {
            let may = version.is_any() || version.line() == DEBIAN_LINE;
            may.then(|| debian(Path::new(DEBIAN_JARS))).flatten().ok_or(error)
        }
    }
}

fn cache_folder() -> PathBuf {
    let folder = |key: &str| env::var_os(key).filter(|value| !value.is_empty()).map(PathBuf::from);
    folder("ZK_TESTKIT_CACHE")
        .or_else(|| Some(folder("XDG_CACHE_HOME")?.join("zk-testkit")))
        .or_else(|| Some(folder("HOME")?.join(".cache/zk-testkit")))
        .unwrap_or_else(|| env::temp_dir().join("zk-testkit"))
}

/// An unpacked distribution.
fn distribution(home: &Path) -> Option<Jars> {
    let lib = home.join("lib");
    Some(Jars::folder(version_of(&lib)?, &lib))
}

/// Debian's package, if its folder of jars has one.
fn debian(folder: &Path) -> Option<Jars> {
    let jar = folder.join("zookeeper.jar");
    if !jar.is_file() {
        return None;
    }
    let mut class_path = jar.into_os_string();
    class_path.push(":");
    class_path.push(folder.join("slf4j-simple.jar"));
    Some(Jars { version: version_of(folder)?, class_path })
}

/// The version in the name of a folder's `zookeeper-3.9.5.jar`.
fn version_of(folder: &Path) -> Option<Version> {
    fs::read_dir(folder).ok()?.flatten().find_map(|entry| {
        let name = entry.file_name().into_string().ok()?;
        let version = name.strip_prefix("zookeeper-")?.strip_suffix(".jar")?;
        version.starts_with(|first: char| first.is_ascii_digit()).then(|| Version::new(version.to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_with(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        folder
    }

    #[test]
    fn a_distribution_is_known_by_its_jar() {
        let home = folder_with(&["lib/zookeeper-jute-3.9.3.jar", "lib/zookeeper-3.9.3.jar", "lib/netty.jar"]);
        let jars = distribution(home.path()).unwrap();
        assert_eq!(jars.version, Version::new("3.9.3"));
        assert_eq!(jars.class_path, home.path().join("lib/*").into_os_string());
        assert_eq!(distribution(folder_with(&["lib/other.jar"]).path()), None);
    }

    #[test]
    fn debians_package_is_known_by_its_two_names() {
        let java = folder_with(&["zookeeper.jar", "zookeeper-3.8.0.jar", "zookeeper-it-3.8.0.jar"]);
        assert_eq!(debian(java.path()).unwrap().version, Version::new("3.8.0"));
        assert_eq!(debian(folder_with(&["zookeeper-3.8.0.jar"]).path()), None);
    }
}
