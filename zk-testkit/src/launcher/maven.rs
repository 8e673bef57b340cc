//! Fetches a version's jars by `mvn` into the cache, one folder a version.
//!
//! Must not know other sources of jars.
//! Invariant: a version's folder appears whole or not at all (written beside it, then renamed), and one process
//! fetches at a time, because Maven's own repository does not stand more.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::java::on_path;
use super::{FetchFailure, LauncherError, Version};

/// Names the jars; the version is a property of it.
const POM: &str = include_str!("maven/pom.xml");

/// Between looks whether Maven, or another process that fetches, has finished.
const POLL: Duration = Duration::from_millis(50);

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
    let said = work.path().join("mvn.out");
    if !run(mvn, work.path(), &jars, &said, version).await?.success() {
        return Err(Failure::Mvn(first_error(&fs::read(said)?)));
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
            Err(TryLockError::WouldBlock) => sleep(POLL).await,
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

async fn run(mvn: &Path, work: &Path, jars: &Path, said: &Path, version: &Version) -> io::Result<ExitStatus> {
    let mut output = OsString::from("-DoutputDirectory=");
    output.push(jars);
    let said = File::create(said)?;
    let mvn = Command::new(mvn)
        // -U: a version that was missing may be there now; Maven would remember for a day that it was not.
        .args(["-q", "-B", "-U", "-Dstyle.color=never", "-DincludeScope=runtime", "dependency:copy-dependencies"])
        .arg(format!("-Dzookeeper.version={version}"))
        .arg(output)
        .current_dir(work)
        .stdin(Stdio::null())
        .stdout(said.try_clone()?)
        .stderr(said)
        .spawn()?;
    let mut mvn = Mvn(mvn);
    loop {
        match mvn.0.try_wait()? {
            Some(status) => return Ok(status),
            None => sleep(POLL).await,
        }
    }
}

/// A Maven that ends with whoever waits for it. Not tokio's: that would put signals into every runtime of whoever uses this crate.
struct Mvn(Child);

impl Drop for Mvn {
    fn drop(&mut self) {
        // An error says that it has ended.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The first of the lines that `mvn` marks as errors; the later ones repeat it and give general advice.
fn first_error(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    let error = text.lines().find_map(|line| Some(line.split_once("[ERROR] ")?.1)); // after colour codes
    let error = error.or(text.lines().next()).unwrap_or_default();
    error.split(" -> [Help").next().unwrap_or_default().trim().to_owned()
}
