//! Records what real servers answer to four-letter words, for `tests/hermetic/words.rs`:
//! `cargo run -p zk-tests --example record_words`, with Java and `mvn` on the machine.
//!
//! It writes `tests/vectors/words/VERSION-MODE-WORD.txt`, byte for byte. What the servers hold is always the same, so
//! that the test knows what to find; see [`Guests`].

use std::{
    error::Error,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::yield_now,
    time::timeout,
};
use zk_client::{Client, Connector, CreateMode, OPEN_ACL_UNSAFE, WatchMode, WatchStream};
use zk_testkit::launcher::{Launcher, Server, Version};

type Done = Result<(), Box<dyn Error>>;

/// The words that `zk_proto::words` has a parser for.
const WORDS: [&str; 9] = ["ruok", "isro", "srvr", "stat", "mntr", "cons", "wchs", "wchp", "wchc"];

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the answers name as `to`.
const SESSION_TIMEOUT: Duration = Duration::from_secs(10);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Done {
    fs::create_dir_all(folder())?;
    for version in [Version::V3_5, Version::V3_6, Version::V3_8, Version::V3_9] {
        standalone(version).await?;
    }
    refusing(Version::V3_9).await?;
    ensemble(Version::V3_9).await?;
    read_only(Version::V3_9).await
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/words")
}

async fn standalone(version: Version) -> Done {
    let ensemble = Launcher::new(version.clone()).start().await?;
    let server = ensemble.server(0).ok_or("no server")?;
    let guests = Guests::arrive(server).await?;
    record(server, "standalone", &WORDS).await?;
    drop(guests);
    Ok(())
}

/// A server with the white list that it has by default.
async fn refusing(version: Version) -> Done {
    let ensemble = Launcher::new(version).property("4lw.commands.whitelist", "srvr").start().await?;
    record(ensemble.server(0).ok_or("no server")?, "refusing", &["ruok", "mntr"]).await
}

/// The leader, a follower, and a server that has lost the others.
async fn ensemble(version: Version) -> Done {
    let mut ensemble = Launcher::new(version).servers(3).start().await?;
    let leader = ensemble.wait_for_leader().await?;
    let follower = (leader + 1) % 3;
    let guests = Guests::arrive(ensemble.server(follower).ok_or("no follower")?).await?;
    record(ensemble.server(follower).ok_or("no follower")?, "follower", &WORDS).await?;
    record(ensemble.server(leader).ok_or("no leader")?, "leader", &WORDS).await?;
    drop(guests);
    for index in (0..3).filter(|index| *index != follower) {
        ensemble.server_mut(index).ok_or("no server")?.kill_9().await?;
    }
    let lonely = ensemble.server(follower).ok_or("no follower")?;
    until(lonely, |answer| answer.contains("not currently serving")).await?;
    record(lonely, "alone", &WORDS).await
}

/// A server that has lost the others and serves readers on.
async fn read_only(version: Version) -> Done {
    let launcher = Launcher::new(version).servers(3).system_property("readonlymode.enabled", "true");
    let mut ensemble = launcher.start().await?;
    for index in [1, 2] {
        ensemble.server_mut(index).ok_or("no server")?.kill_9().await?;
    }
    let lonely = ensemble.server(0).ok_or("no server")?;
    until(lonely, |answer| answer.contains("Mode: read-only")).await?;
    record(lonely, "read-only", &WORDS).await
}

/// Waits until the answer to `srvr` is this one.
async fn until(server: &Server, there: impl Fn(&str) -> bool) -> Done {
    let begin = Instant::now();
    while !there(&String::from_utf8_lossy(&ask(server.addr(), "srvr").await?)) {
        if begin.elapsed() > PATIENCE {
            return Err("the server does not become what it should".into());
        }
        yield_now().await;
    }
    Ok(())
}

async fn record(server: &Server, mode: &str, words: &[&str]) -> Done {
    for word in words {
        let answer = timeout(PATIENCE, ask(server.addr(), word)).await??;
        let name = format!("{}-{mode}-{word}.txt", server.version());
        println!("{name}: {} bytes", answer.len());
        fs::write(folder().join(name), answer)?;
    }
    Ok(())
}

/// As anybody would with `nc`.
async fn ask(addr: SocketAddr, word: &str) -> Result<Vec<u8>, std::io::Error> {
    let mut stream = TcpStream::connect(addr).await?;
    stream.write_all(word.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await?;
    Ok(answer)
}

/// Two sessions on one server. The first owns `/words/a` and `/words/b` and watches `/words` with all below; the second
/// owns `/words/c`, watches `/words` in the same way and `/words/c` alone. Before 3.6 nobody watches.
#[expect(dead_code, reason = "they are here to be here: sessions and watches end with them")]
struct Guests {
    clients: [Client; 2],
    watches: Vec<WatchStream>,
}

impl Guests {
    async fn arrive(server: &Server) -> Result<Self, Box<dyn Error>> {
        let connector = || Connector::new(&server.addr().to_string()).map(|new| new.session_timeout(SESSION_TIMEOUT));
        let clients = [connector()?.connect().await?, connector()?.connect().await?];
        let [first, second] = &clients;
        first.create("/words", b"all", CreateMode::Persistent, OPEN_ACL_UNSAFE).await?;
        for (client, path) in [(first, "/words/a"), (first, "/words/b"), (second, "/words/c")] {
            client.create(path, b"mine", CreateMode::Ephemeral, OPEN_ACL_UNSAFE).await?;
        }
        let mut watches = Vec::new();
        if server.version().at_least(3, 6) {
            let recursive = WatchMode::PERSISTENT_RECURSIVE;
            watches.push(first.watch("/words", recursive).await?);
            watches.push(second.watch("/words", recursive).await?);
            watches.push(second.watch("/words/c", WatchMode::PERSISTENT).await?);
        }
        Ok(Self { clients, watches })
    }
}
