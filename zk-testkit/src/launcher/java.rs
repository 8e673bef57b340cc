//! Finds programs: Java, and what else is in the path.
//!
//! Must not know what they are used for.

use std::env;
use std::path::PathBuf;

use super::LauncherError;

/// The `java` of `$JAVA_HOME`, else the one in the path.
pub(super) fn find() -> Result<PathBuf, LauncherError> {
    env::var_os("JAVA_HOME")
        .map(|home| PathBuf::from(home).join("bin/java"))
        .filter(|java| java.is_file())
        .or_else(|| on_path("java"))
        .ok_or(LauncherError::NoJava)
}

/// A program in the path.
pub(super) fn on_path(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(program)).find(|path| path.is_file())
}
