//! Other clients, built from `benches/peers` where this machine has what they need.
//!
//! What cannot be built is told of, never left out in silence. Must not know what they measure.

use crate::{args::Peer, contenders::Contender, report};
use clap::ValueEnum;
use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The sources.
fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers")
}

/// Those that are wanted, or all, and that can be had.
pub(crate) fn find(wanted: &[Peer]) -> Vec<Contender> {
    let wanted = if wanted.is_empty() { Peer::value_variants() } else { wanted };
    let is_wanted = |peers: &[Peer]| peers.iter().any(|peer| wanted.contains(peer));
    let rust = is_wanted(&[Peer::ZookeeperClient, Peer::ZookeeperClientMt]).then(|| built("zookeeper-client", rust));
    let java = is_wanted(&[Peer::Java, Peer::Curator]).then(|| built("the Java clients", java));
    let (rust, java) = (rust.flatten(), java.flatten());
    let command = |peer: Peer| match peer {
        Peer::ZookeeperClient => Some(with(rust.as_ref()?, &["--runtime", "current-thread"])),
        Peer::ZookeeperClientMt => Some(with(rust.as_ref()?, &["--runtime", "multi-thread"])),
        Peer::Java => Some(with(java.as_ref()?, &["java"])),
        Peer::Curator => Some(with(java.as_ref()?, &["curator"])),
    };
    let contender =
        |peer: &Peer| Some(Contender { name: name(*peer).to_owned(), command: command(*peer)?, is_ours: false });
    wanted.iter().filter_map(contender).collect()
}

/// The name in tables.
pub(crate) const fn name(peer: Peer) -> &'static str {
    match peer {
        Peer::ZookeeperClient => "zookeeper-client",
        Peer::ZookeeperClientMt => "zookeeper-client (multi-thread)",
        Peer::Java => "Java client",
        Peer::Curator => "CuratorCache",
    }
}

fn with(command: &[OsString], args: &[&str]) -> Vec<OsString> {
    command.iter().cloned().chain(args.iter().map(OsString::from)).collect()
}

/// The command of what was built; says so if it could not be.
fn built(name: &str, build: impl FnOnce() -> Result<Vec<OsString>, String>) -> Option<Vec<OsString>> {
    report::tell(&format!("building {name}"));
    build().map_err(|why| report::tell(&format!("NOT MEASURED: {name}: {why}"))).ok()
}

/// A workspace of its own, so that nothing of ours depends on it.
fn rust() -> Result<Vec<OsString>, String> {
    let folder = sources().join("rust");
    let mut cargo = Command::new("cargo");
    run(cargo.args(["build", "--release", "--quiet", "--locked"]).current_dir(&folder))?;
    Ok(vec![folder.join("target/release/zk-peer").into_os_string()])
}

/// Jars by mvn, classes by javac, beside the sources in a folder that git ignores; again when a source changed.
fn java() -> Result<Vec<OsString>, String> {
    let folder = sources().join("java");
    let target = folder.join("target");
    let failed = |error: std::io::Error| format!("{}: {error}", target.display());
    fs::create_dir_all(&target).map_err(failed)?;
    let jars = target.join("jars");
    if !is_newer(&target.join("jars.done"), &folder.join("pom.xml")) {
        fs::copy(folder.join("pom.xml"), target.join("pom.xml")).map_err(failed)?;
        let mut mvn = Command::new("mvn");
        mvn.args(["-q", "-B", "-DincludeScope=runtime", "-DoutputDirectory=jars", "dependency:copy-dependencies"]);
        run(mvn.current_dir(&target))?;
        fs::write(target.join("jars.done"), "").map_err(failed)?;
    }
    let mut javac = Command::new("javac");
    javac.arg("-cp").arg(jars.join("*")).args(["-d", "classes"]);
    run(javac.args(java_sources(&folder)?).current_dir(&target))?;
    let mut class_path = target.join("classes").into_os_string();
    class_path.push(":");
    class_path.push(jars.join("*"));
    // As much memory as a tree of a million takes; no more threads for the collector than there are cores to measure on.
    let args = ["-Xmx4g", "-XX:+UseSerialGC", "-cp"].map(OsString::from);
    Ok(["java".into()].into_iter().chain(args).chain([class_path, "Peer".into()]).collect())
}

fn java_sources(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let files = entries.filter_map(|entry| Some(entry.ok()?.path()));
    Ok(files.filter(|path| path.extension().is_some_and(|extension| extension == "java")).collect())
}

fn is_newer(path: &Path, than: &Path) -> bool {
    let time = |path| fs::metadata(path).and_then(|data| data.modified()).ok();
    matches!((time(path), time(than)), (Some(path), Some(than)) if path > than)
}

fn run(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.stdin(Stdio::null()).output().map_err(|error| format!("cannot run {program}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let last: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    Err(format!("{program} failed: {}", last.iter().rev().take(5).rev().copied().collect::<Vec<_>>().join(" | ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_built_says_why() {
        let missing = run(&mut Command::new("no-such-compiler")).unwrap_err();
        assert!(missing.starts_with("cannot run no-such-compiler: "), "{missing}");
        let failed = run(Command::new("sh").args(["-c", "echo one; echo two >&2; exit 3"])).unwrap_err();
        assert_eq!(failed, "sh failed: one | two");
        assert!(built("x", || Err("why".into())).is_none());
    }
}
