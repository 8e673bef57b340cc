//! Our recipes and Curator's on the same znodes: both take turns, and neither gets past the other.

use std::{process::Stdio, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout},
    time::timeout,
};
use zk_client::{
    Client, Connector, CreateMode, OPEN_ACL_UNSAFE,
    recipes::{Group, LeaderLatch, Lock, LockGuard, ReadWriteLock},
};
use zk_testkit::launcher::Version;

use super::{Host, PATIENCE, java};

/// How often each counts.
const ROUNDS: usize = 150;

const SHORT: Duration = Duration::from_millis(200);

/// Java's Curator, which does what it is told.
struct Curator {
    _child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Curator {
    async fn tell(&mut self, command: &str) {
        self.stdin.write_all(format!("{command}\n").as_bytes()).await.unwrap();
    }

    async fn answer(&mut self) -> String {
        let line = timeout(PATIENCE, self.lines.next_line()).await.expect("an answer in time").unwrap();
        line.expect("Curator's program is gone; see its stderr")
    }

    async fn ask(&mut self, command: &str) -> String {
        self.tell(command).await;
        self.answer().await
    }
}

/// Waits for one of ours.
async fn within(guard: impl Future<Output = Result<LockGuard, zk_client::Error>>) -> LockGuard {
    timeout(PATIENCE, guard).await.expect("in time").unwrap()
}

async fn play(host: Host) {
    let Some(program) = java("Share") else { return };
    let addr = host.addr().to_string();
    let client = Connector::new(&addr).unwrap().connect_timeout(PATIENCE).connect().await.unwrap();
    let mut child =
        program().arg(addr).stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut curator = Curator { _child: child, stdin, lines: BufReader::new(stdout).lines() };
    mutex(&client, &mut curator).await;
    counter(&client, &mut curator).await;
    read_write(&client, &mut curator).await;
    leader(&client, &mut curator).await;
    group(&client, &mut curator).await;
    client.close().await;
}

async fn mutex(client: &Client, curator: &mut Curator) {
    let lock = Lock::new(client, "/share/lock", OPEN_ACL_UNSAFE);
    let guard = within(lock.acquire()).await;
    assert_eq!(curator.ask("lock 200").await, "false", "we have it");
    guard.release().await.unwrap();
    assert_eq!(curator.ask("lock 30000").await, "true");
    assert!(lock.acquire_within(SHORT).await.unwrap().is_none(), "Curator has it");
    let waiting = lock.clone();
    let waiting = tokio::spawn(async move { waiting.acquire().await });
    assert_eq!(curator.ask("unlock").await, "unlocked");
    let guard = within(async { waiting.await.unwrap() }).await;
    curator.tell("lock 30000").await;
    guard.release().await.unwrap();
    assert_eq!(curator.answer().await, "true");
    assert_eq!(curator.ask("unlock").await, "unlocked");
}

/// Both read, add one and write without asking for a version. Nothing is lost, and they take turns.
async fn counter(client: &Client, curator: &mut Curator) {
    client.create("/share/counter", b"0 rust", CreateMode::Persistent, OPEN_ACL_UNSAFE).await.unwrap();
    curator.tell(&format!("count {ROUNDS}")).await;
    let lock = Lock::new(client, "/share/lock", OPEN_ACL_UNSAFE);
    let mut turns = 0;
    for _ in 0..ROUNDS {
        let guard = within(lock.acquire()).await;
        let (data, _) = guard.client().get_data("/share/counter").await.unwrap();
        let text = String::from_utf8_lossy(&data);
        let (number, who) = text.split_once(' ').unwrap();
        turns += usize::from(who == "java");
        let next = format!("{} rust", number.parse::<usize>().unwrap() + 1);
        guard.client().set_data("/share/counter", next.as_bytes(), None).await.unwrap();
        guard.release().await.unwrap();
    }
    let theirs: usize = curator.answer().await.parse().unwrap();
    let (data, stat) = client.get_data("/share/counter").await.unwrap();
    assert!(data.starts_with(format!("{} ", 2 * ROUNDS).as_bytes()), "{data:?}");
    assert_eq!(stat.version as usize, 2 * ROUNDS);
    assert!(turns > ROUNDS / 10 && theirs > ROUNDS / 10, "they took turns: {turns} and {theirs}");
    assert!(client.get_children("/share/lock").await.unwrap().0.is_empty());
}

async fn read_write(client: &Client, curator: &mut Curator) {
    let lock = ReadWriteLock::new(client, "/share/rw", OPEN_ACL_UNSAFE);
    let reader = within(lock.read()).await;
    assert_eq!(curator.ask("read 30000").await, "true", "readers share");
    assert!(lock.write_within(SHORT).await.unwrap().is_none());
    assert_eq!(curator.ask("unread").await, "released");
    assert_eq!(curator.ask("write 200").await, "false", "our reader is there");
    reader.release().await.unwrap();
    assert_eq!(curator.ask("write 30000").await, "true");
    assert!(lock.read_within(SHORT).await.unwrap().is_none());
    assert_eq!(curator.ask("unwrite").await, "released");
    let writer = within(lock.write()).await;
    assert_eq!(curator.ask("read 200").await, "false");
    writer.release().await.unwrap();
}

async fn leader(client: &Client, curator: &mut Curator) {
    let latch = LeaderLatch::new(client, "/share/leader", "rust", OPEN_ACL_UNSAFE);
    curator.ask("elect").await;
    assert_eq!(curator.ask("leads 30000").await, "true");
    assert_eq!(latch.leader().await.unwrap().as_deref(), Some("java"));
    let waiting = latch.clone();
    let waiting = tokio::spawn(async move { waiting.lead().await });
    while latch.participants().await.unwrap().len() < 2 {}
    assert_eq!((curator.ask("leader").await, curator.ask("candidates").await), ("java".into(), "[java, rust]".into()));
    assert!(!waiting.is_finished());
    curator.ask("resign").await;
    let leadership = within(async { waiting.await.unwrap() }).await;
    assert!(leadership.is_held());
    assert_eq!(latch.leader().await.unwrap().as_deref(), Some("rust"));
    leadership.release().await.unwrap();
}

async fn group(client: &Client, curator: &mut Curator) {
    let group = Group::new(client, "/share/group", OPEN_ACL_UNSAFE);
    let mut members = group.watch().await.unwrap();
    let me = group.join("rust", b"2");
    curator.ask("join").await;
    assert_eq!(curator.ask("members 2").await, "{java=1, rust=2}");
    while timeout(PATIENCE, members.next()).await.unwrap().unwrap().len() < 2 {}
    curator.ask("leave").await;
    while timeout(PATIENCE, members.next()).await.unwrap().unwrap().contains_key("java") {}
    me.close().await;
    assert!(group.members().await.unwrap().is_empty());
}

// goal: K1
#[tokio::test]
async fn curator_and_we_share_recipes_on_the_test_server() {
    play(Host::test().await).await;
}

// goal: K1
#[tokio::test]
async fn curator_and_we_share_recipes_on_a_real_server() {
    play(Host::real(Version::V3_9).await).await;
}

// goal: K1
#[tokio::test]
async fn curator_and_we_share_recipes_on_zookeeper_3_6() {
    play(Host::real(Version::V3_6).await).await;
}
