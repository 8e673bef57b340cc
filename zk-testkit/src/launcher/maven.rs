//! Fetches a version's jars by `mvn` into the cache, one folder a version.
//!
//! Must not know other sources of jars.
//! Invariant: a version's folder appears whole or not at all (written beside it, then renamed), and one process
//! fetches at a time, because Maven's own repository does not stand more.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use tokio::process::Command;
use tokio::time::{sleep, timeout};

use super::java::on_path;
use super::{FetchFailure, LauncherError, Version};

/// Names the jars; the version is a property of it.
const POM: &str = include_str!("maven/pom.xml");

/// Between looks whether another process has finished fetching.
const LOCK_POLL: Duration = Duration::from_millis(50);

/// The folder of this version, if it was fetched before.
pub(super) fn cached(cache: &Path, version: &Version) -> Option<PathBuf> {
    let folder = cache.join(version.as_str());
    folder.join(format!("zookeeper-{version}.jar")).is_file().then_some(folder)
}

/// Fetches this version, or waits for whoever is fetching it.
pub(super) async fn fetch(cache: &Path, version: &Version, limit: Duration) -> Result<PathBuf, LauncherError> {
    let failed = |because| LauncherError::NoServer { version: version.clone(), because };
    let Some(mvn) = on_path("mvn") else {
        return Err(failed(FetchFailure::NoMaven));
    };
    match timeout(limit, fetch_alone(&mvn, cache, version)).await {
        Ok(Ok(Some(folder))) => Ok(folder),
        Ok(Ok(None)) => Err(failed(FetchFailure::Refused(format!("no zookeeper-{version}.jar")))),
        Ok(Err(Failure::Mvn(error))) => Err(failed(FetchFailure::Refused(error))),
        Ok(Err(Failure::Io(error))) => Err(LauncherError::io(format!("fetch jars into {}", cache.display()))(error)),
        Err(_) => Err(failed(FetchFailure::TooSlow(limit))),
    }
}

enum Failure {
    Mvn(String),
    Io(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

async fn fetch_alone(mvn: &Path, cache: &Path, version: &Version) -> Result<Option<PathBuf>, Failure> {
    fs::create_dir_all(cache)?;
    let _lock = lock(&cache.join("fetch.lock")).await?;
    if let Some(folder) = cached(cache, version) {
        return Ok(Some(folder));
    }
    let work = tempfile::Builder::new().prefix(".fetch-").tempdir_in(cache)?;
    let jars = work.path().join("jars");
    fs::write(work.path().join("pom.xml"), POM)?;
    let output = run(mvn, work.path(), &jars, version).await?;
    if !output.status.success() {
        return Err(Failure::Mvn(first_error(&output)));
    }
    fs::rename(&jars, cache.join(version.as_str()))?;
    Ok(cached(cache, version))
}

/// Waits for the lock; it goes with the file, also when this process is killed.
async fn lock(path: &Path) -> io::Result<File> {
    let file = File::options().create(true).truncate(false).write(true).open(path)?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) => sleep(LOCK_POLL).await,
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

async fn run(mvn: &Path, work: &Path, jars: &Path, version: &Version) -> io::Result<Output> {
    let mut output = OsString::from("-DoutputDirectory=");
    output.push(jars);
    Command::new(mvn)
        // -U: a version that was missing may be there now; Maven would remember for a day that it was not.
        .args(["-q", "-B", "-U", "-Dstyle.color=never", "-DincludeScope=runtime", "dependency:copy-dependencies"])
        .arg(format!("-Dzookeeper.version={version}"))
        .arg(output)
        .current_dir(work)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
}

/// The first of the lines that `mvn` marks as errors; the later ones repeat it and give general advice.
fn first_error(output: &Output) -> String {
    let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    let text = String::from_utf8_lossy(&text);
    let error = text.lines().find_map(|line| Some(line.split_once("[ERROR] ")?.1)); // after colour codes
    let error = error.or(text.lines().next()).unwrap_or_default();
    error.split(" -> [Help").next().unwrap_or_default().trim().to_owned()
}
