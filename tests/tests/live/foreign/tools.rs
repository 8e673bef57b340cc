//! Toolchains of other languages, and what they make of the programs in `tests/foreign`: made once, in cargo's folder
//! for such things, and again when a source changes.

use std::{
    ffi::OsString,
    fs::{self, File},
    hash::{DefaultHasher, Hash, Hasher},
    io::Write,
    path::{Path, PathBuf},
    process::Command,
};

/// A file of `tests/foreign`.
pub fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("foreign").join(name)
}

/// The class path of the Java programs, with the Java client, zkCli and Curator on it.
pub fn java() -> Option<OsString> {
    let sources = ["java/pom.xml", "java/Stage.java", "java/JavaClient.java", "java/Curator.java", "java/Share.java"];
    let folder = make("java", &["java", "javac", "mvn"], &sources, |folder| {
        // beside the jars, because mvn writes into the folder of its pom
        fs::copy(source("java/pom.xml"), folder.join("pom.xml")).unwrap();
        let mut mvn = Command::new("mvn");
        mvn.args(["-q", "-B", "-DincludeScope=runtime", "-DoutputDirectory=jars", "dependency:copy-dependencies"]);
        run(mvn.current_dir(folder));
        let mut javac = Command::new("javac");
        javac.args(["-cp", "jars/*", "-d", "classes"]).args(sources[1..].iter().map(|name| source(name)));
        run(javac.current_dir(folder));
    })?;
    let mut class_path = folder.join("classes").into_os_string();
    class_path.push(":");
    class_path.push(folder.join("jars/*"));
    Some(class_path)
}

/// A Python that has kazoo.
pub fn kazoo() -> Option<PathBuf> {
    // Debian has the two in a package of their own
    let python = Command::new("python3").args(["-c", "import venv, ensurepip"]).output();
    if python.is_ok_and(|output| !output.status.success()) {
        return skip("kazoo", "python3 has no venv; install python3-venv");
    }
    let folder = make("kazoo", &["python3"], &["kazoo/requirements.txt"], |folder| {
        run(Command::new("python3").args(["-m", "venv"]).arg(folder.join("venv")));
        let mut pip = Command::new(folder.join("venv/bin/pip"));
        run(pip.args(["install", "-q", "--disable-pip-version-check", "-r"]).arg(source("kazoo/requirements.txt")));
    })?;
    Some(folder.join("venv/bin/python"))
}

/// The program in Go.
pub fn go() -> Option<PathBuf> {
    let folder = make("go", &["go"], &["go/go.mod", "go/go.sum", "go/main.go"], |folder| {
        run(Command::new("go").arg("build").arg("-o").arg(folder.join("main")).arg(".").current_dir(source("go")));
    })?;
    Some(folder.join("main"))
}

/// A folder that `build` has filled, now or before; `None` if a tool is not here, and then stderr says so.
fn make(name: &str, tools: &[&str], sources: &[&str], build: impl FnOnce(&Path)) -> Option<PathBuf> {
    if let Some(missing) = tools.iter().find(|tool| !is_on_path(tool)) {
        return skip(name, &format!("there is no `{missing}` here"));
    }
    if zk_tests::any_version() {
        return skip(name, "ZK_LIVE_ANY says that package registries are out of reach");
    }
    let mut hasher = DefaultHasher::new();
    sources.iter().for_each(|name| fs::read(source(name)).unwrap().hash(&mut hasher));
    let all = Path::new(env!("CARGO_TARGET_TMPDIR")).join("foreign");
    fs::create_dir_all(&all).unwrap();
    let lock = File::create(all.join(format!("{name}.lock"))).unwrap();
    lock.lock().unwrap();
    let folder = all.join(format!("{name}-{:016x}", hasher.finish()));
    let done = folder.join("done");
    if !done.is_file() {
        // what somebody left half made
        fs::remove_dir_all(&folder).ok();
        fs::create_dir(&folder).unwrap();
        build(&folder);
        File::create(done).unwrap();
    }
    Some(folder)
}

/// Says so past the test harness, which would keep it to itself.
fn skip<T>(name: &str, why: &str) -> Option<T> {
    writeln!(std::io::stderr(), "SKIPPED the tests of tests/foreign/{name}: {why}").ok();
    None
}

fn is_on_path(program: &str) -> bool {
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).any(|folder| folder.join(program).is_file())
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{command:?} failed:\n{}", String::from_utf8_lossy(&text));
}
