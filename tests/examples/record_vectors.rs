//! Records the vectors of `tests/tests/vectors` from real servers, which it starts.
//!
//! `cargo run -p zk-tests --example record_vectors` needs Java, and Maven for the first time; it takes a minute. Frames
//! are built and read by a schema of its own, so that the vectors check zk-proto and not the other way round.
//! Must not know zk-proto or zk-client.

#[path = "record_vectors/annotate.rs"]
mod annotate;
#[path = "record_vectors/auth.rs"]
mod auth;
#[path = "record_vectors/book.rs"]
mod book;
#[path = "record_vectors/client.rs"]
mod client;
#[path = "record_vectors/greeting.rs"]
mod greeting;
#[path = "record_vectors/md5.rs"]
mod md5;
#[path = "record_vectors/meaning.rs"]
mod meaning;
#[path = "record_vectors/multi.rs"]
mod multi;
#[path = "record_vectors/quorum.rs"]
mod quorum;
#[path = "record_vectors/races.rs"]
mod races;
#[path = "record_vectors/schema.rs"]
mod schema;
#[path = "record_vectors/table.rs"]
mod table;
#[path = "record_vectors/tree.rs"]
mod tree;
#[path = "record_vectors/value.rs"]
mod value;
#[path = "record_vectors/watches.rs"]
mod watches;

use std::cell::RefCell;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use zk_testkit::launcher::{Ensemble, Launcher, Version};

use crate::book::Book;
use crate::client::{Done, Stage};

/// How long a server may take to see that it has no quorum left.
const READ_ONLY_WAIT: Duration = Duration::from_secs(60);

/// Who bob is, for a server with SASL.
const JAAS: &str =
    "Server {\n  org.apache.zookeeper.server.auth.DigestLoginModule required\n  user_bob=\"secret\";\n};\n";

fn main() -> Done {
    let mut recorder = Recorder { runtime: Runtime::new()?, book: RefCell::default(), failures: Vec::new() };
    for version in [Version::V3_9, Version::V3_8, Version::V3_6] {
        recorder.line(&version)?;
    }
    let small = [("jute.maxbuffer", "100")];
    recorder.alone(Version::V3_9.as_str(), "standalone with a small jute.maxbuffer", &small, tree::too_long)?;
    // Takes luck; one version will do.
    recorder.alone(Version::V3_9.as_str(), "standalone", &[], |stage| {
        races::behind_the_end(stage)?;
        races::overtaking(stage)
    })?;
    // Versions that differ from the newest of their line.
    recorder.alone("3.9.1", "standalone", &[], |stage| {
        greeting::play(stage)?;
        tree::check(stage)
    })?;
    recorder.alone("3.8.1", "standalone", &[], |stage| {
        multi::old(stage)?;
        tree::check(stage)
    })?;
    let Recorder { book, mut failures, .. } = recorder;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let book = book.into_inner();
    book.write(&folder)?;
    fs::write(folder.join("TABLE.md"), table::table(&book))?;
    println!("{} scenes in {}", book.entries.len(), folder.display());
    failures.extend(book.surprises);
    if failures.is_empty() { Ok(()) } else { Err(failures.join("\n").into()) }
}

/// Starts servers and plays scenes on them.
struct Recorder {
    runtime: Runtime,
    book: RefCell<Book>,
    /// Scenes that went wrong; the others are kept all the same.
    failures: Vec<String>,
}

impl Recorder {
    /// Everything that is recorded of the newest version of a release line.
    fn line(&mut self, version: &Version) -> Done {
        let (text, modern) = (version.as_str(), version.at_least(3, 7));
        self.alone(text, "standalone", &[], |stage| {
            greeting::play(stage)?;
            tree::play(stage)?;
            tree::unknown(stage)?;
            multi::play(stage)?;
            watches::play(stage)?;
            auth::play(stage)?;
            quorum::reconfig_alone(stage, false)
        })?;
        let extended = [("zookeeper.extendedTypesEnabled", "true"), ("reconfigEnabled", "true")];
        self.alone(text, "standalone with TTL", &extended, |stage| {
            tree::ttl(stage)?;
            multi::ttl(stage)
        })?;
        self.alone(text, "standalone with reconfig", &extended, |stage| quorum::reconfig_alone(stage, true))?;
        if modern {
            let quotas = [("zookeeper.enforceQuota", "true"), ("zookeeper.extendedTypesEnabled", "true")];
            self.alone(text, "standalone with quotas enforced", &quotas, tree::quota)?;
            let enforce = [("zookeeper.enforce.auth.enabled", "true"), ("zookeeper.enforce.auth.schemes", "digest")];
            self.alone(text, "standalone with auth enforced", &enforce, auth::required)?;
            let throttle = [
                ("zookeeper.request_throttle_max_requests", "1"),
                ("zookeeper.request_throttle_stall_time", "50"),
                ("zookeeper.throttled_op_wait_time", "10"),
            ];
            self.alone(text, "standalone with throttling", &throttle, races::throttled)?;
        }
        self.sasl(text)?;
        self.reconfig(text)?;
        self.read_only(text)
    }

    fn sasl(&mut self, version: &str) -> Done {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("jaas.conf");
        fs::write(&file, JAAS)?;
        let file = file.display().to_string();
        let provider = "org.apache.zookeeper.server.auth.SASLAuthenticationProvider";
        let mut settings = vec![("java.security.auth.login.config", &file[..]), ("zookeeper.authProvider.1", provider)];
        self.alone(version, "standalone with SASL", &settings, auth::sasl)?;
        settings.push(("zookeeper.sessionRequireClientSASLAuth", "true"));
        self.alone(version, "standalone with SASL required", &settings, auth::sasl_required)
    }

    /// Plays scenes on a standalone server.
    fn alone(
        &mut self,
        version: &str,
        setup: &'static str,
        settings: &[(&str, &str)],
        play: impl FnOnce(&Stage<'_>) -> Done,
    ) -> Done {
        let ensemble = self.start(version, 1, settings)?;
        self.play(&ensemble, 0, setup, play)
    }

    fn start(&self, version: &str, servers: usize, settings: &[(&str, &str)]) -> Done<Ensemble> {
        let mut launcher = Launcher::new(Version::new(version.to_owned())).servers(servers);
        for (key, value) in settings {
            // What `zoo.cfg` alone sets has no dot in its name.
            launcher = if key.contains('.') {
                launcher.system_property(*key, *value)
            } else {
                launcher.property(*key, *value)
            };
        }
        Ok(self.runtime.block_on(launcher.start())?)
    }

    fn play(
        &mut self,
        ensemble: &Ensemble,
        index: usize,
        setup: &'static str,
        play: impl FnOnce(&Stage<'_>) -> Done,
    ) -> Done {
        let server = ensemble.server(index).ok_or("no such server")?;
        let version = server.version().to_string();
        println!("{version} {setup}");
        if let Err(error) = play(&Stage { book: &self.book, addr: server.addr(), version: version.clone(), setup }) {
            println!("  {error}\n{}", server.log_tail());
            self.failures.push(format!("{version} {setup}: {error}"));
        }
        Ok(())
    }

    fn reconfig(&mut self, version: &str) -> Done {
        let ensemble = self.start(version, 3, &[("reconfigEnabled", "true"), auth::SUPER])?;
        let leader = self.runtime.block_on(ensemble.wait_for_leader())?;
        let follower = if leader == 0 { 2 } else { 1 };
        self.play(&ensemble, leader, "ensemble of 3 with reconfig", |stage| quorum::reconfig(stage, follower))
    }

    fn read_only(&mut self, version: &str) -> Done {
        let mode = ("readonlymode.enabled", "true");
        let mut ensemble = self.start(version, 3, &[mode])?;
        self.lose_quorum(&mut ensemble)?;
        self.play(&ensemble, 0, "read-only", |stage| quorum::read_only(stage, false))?;
        if !Version::new(version.to_owned()).at_least(3, 7) {
            return Ok(());
        }
        let mut ensemble = self.start(version, 3, &[mode, ("localSessionsEnabled", "true")])?;
        self.play(&ensemble, 0, "ensemble of 3 with local sessions", quorum::local_session)?;
        self.lose_quorum(&mut ensemble)?;
        self.play(&ensemble, 0, "read-only with local sessions", |stage| quorum::read_only(stage, true))
    }

    /// Ends all servers but the first, and waits until that one is read-only.
    fn lose_quorum(&self, ensemble: &mut Ensemble) -> Done {
        self.runtime.block_on(async {
            for server in ensemble.servers_mut().iter_mut().skip(1) {
                server.kill_9().await?;
            }
            let left = ensemble.server(0).ok_or("no server")?;
            let (begin, mut ticks) = (Instant::now(), tokio::time::interval(Duration::from_millis(50)));
            while left.mode().await.ok().as_deref() != Some("read-only") {
                if begin.elapsed() > READ_ONLY_WAIT {
                    return Err(format!("not read-only: {}", left.log_tail()).into());
                }
                ticks.tick().await;
            }
            Ok(())
        })
    }
}
