//! The launcher itself: servers start, end, come back with their data, and never stay behind.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use zk_proto::{Zxid, words::ServerStatus};
use zk_testkit::launcher::{Ensemble, Launcher, LauncherError, Server, Version};
use zk_tests::real;

type Done = Result<(), LauncherError>;

/// Set for [`helper_that_is_killed`] only.
const HELPER: &str = "ZK_TEST_LAUNCHER_HELPER";

#[tokio::test]
async fn a_standalone_server_keeps_its_data_over_kill_9() -> Done {
    let mut ensemble = start(Version::V3_9, 1).await?;
    let server = ensemble.server_mut(0).unwrap();
    assert_eq!(server.four_letter_word("ruok").await?, "imok");
    assert_eq!(server.mode().await?, "standalone");
    open_session(server).await;
    let (zxid, pid) = (zxid(server).await?, server.pid().unwrap());
    assert!(zxid.is_some());

    server.kill_9().await?;
    assert!(!server.is_running() && !alive(pid));
    assert!(matches!(server.pause(), Err(LauncherError::NotRunning { server: 0 })));
    assert!(matches!(server.four_letter_word("ruok").await, Err(LauncherError::NoAnswer { .. })));

    server.start().await?;
    assert!(self::zxid(server).await? >= zxid, "{}", server.log_tail());
    assert_ne!(server.pid().unwrap(), pid);

    server.pause()?;
    server.terminate().await?;
    assert!(!server.is_running());
    server.start().await
}

#[tokio::test]
async fn a_quorum_elects_another_leader_after_kill_9() -> Done {
    let mut ensemble = start(Version::V3_8, 3).await?;
    assert_eq!(modes(&ensemble).await?, ["follower", "follower", "leader"]);
    let first = ensemble.wait_for_leader().await?;
    let killed_at = Instant::now();
    ensemble.server_mut(first).unwrap().kill_9().await?;
    let second = ensemble.wait_for_leader().await?;
    println!("another leader after {:?}", killed_at.elapsed());
    assert_ne!(first, second);

    ensemble.server_mut(first).unwrap().start().await?;
    assert_eq!(ensemble.server(first).unwrap().mode().await?, "follower");
    assert_eq!(modes(&ensemble).await?, ["follower", "follower", "leader"]);
    Ok(())
}

#[tokio::test]
async fn a_quorum_replaces_a_paused_leader_which_comes_back_as_follower() -> Done {
    let ensemble = start(Version::V3_9, 3).await?;
    let first = ensemble.wait_for_leader().await?;
    let paused_at = Instant::now();
    ensemble.server(first).unwrap().pause()?;
    assert!(ensemble.server(first).unwrap().is_running());
    let second = ensemble.wait_for_leader().await?;
    println!("another leader after {:?}", paused_at.elapsed());
    assert_ne!(first, second);

    ensemble.server(first).unwrap().resume()?;
    while ensemble.server(first).unwrap().mode().await.ok().as_deref() != Some("follower") {
        assert!(paused_at.elapsed() < Duration::from_secs(60), "{}", ensemble.server(first).unwrap().log_tail());
        tokio::task::yield_now().await;
    }
    Ok(())
}

#[tokio::test]
async fn all_servers_of_a_quorum_can_be_killed_and_started_again() -> Done {
    let mut ensemble = start(Version::V3_6, 3).await?;
    for server in ensemble.servers_mut() {
        server.kill_9().await?;
    }
    for server in ensemble.servers_mut() {
        server.spawn().await?;
    }
    ensemble.wait_until_serving().await?;
    assert_eq!(modes(&ensemble).await?, ["follower", "follower", "leader"]);
    Ok(())
}

#[tokio::test]
async fn every_release_line_boots() -> Done {
    for version in [Version::V3_5, Version::V3_6, Version::V3_7, Version::V3_8, Version::V3_9] {
        let ensemble = start(version.clone(), 1).await?;
        let server = ensemble.server(0).unwrap();
        if zk_tests::any_version() {
            continue;
        }
        assert_eq!(server.version(), &version);
        let answer = server.four_letter_word("srvr").await?;
        assert_eq!(ServerStatus::parse(&answer).unwrap().release(), version.as_str());
    }
    for version in [Version::V3_5, Version::V3_7] {
        let ensemble = start(version, 3).await?;
        assert_eq!(modes(&ensemble).await?, ["follower", "follower", "leader"]);
    }
    Ok(())
}

#[tokio::test]
async fn settings_reach_the_server() -> Done {
    let ensemble = real(Version::V3_9)
        .tick_time(Duration::from_millis(500))
        .property("maxClientCnxns", "77")
        .system_property("zookeeper.extendedTypesEnabled", "true")
        .jvm_arg("-Dmine=1")
        .start()
        .await?;
    let server = ensemble.server(0).unwrap();
    let conf = server.four_letter_word("conf").await?;
    for line in ["tickTime=500", "minSessionTimeout=1000", "maxSessionTimeout=60000", "maxClientCnxns=77"] {
        assert!(conf.contains(line), "{conf}");
    }
    let command = std::fs::read_to_string(format!("/proc/{}/cmdline", server.pid().unwrap())).unwrap();
    assert!(command.contains("-Dzookeeper.extendedTypesEnabled=true\0-Dmine=1\0"), "{command}");
    Ok(())
}

#[tokio::test]
async fn a_lone_member_is_read_only_if_so_configured() -> Done {
    let launcher = real(Version::V3_9).servers(3);
    let launcher = launcher.property("readonlymode.enabled", "true").system_property("readonlymode.enabled", "true");
    let mut ensemble = launcher.start().await?;
    for index in [0, 1, 2] {
        ensemble.server_mut(index).unwrap().kill_9().await?;
    }
    let last = ensemble.server_mut(2).unwrap();
    last.start().await?;
    assert_eq!(last.mode().await?, "read-only");
    Ok(())
}

#[tokio::test]
async fn a_drop_leaves_no_process_and_no_folder() -> Done {
    let ensemble = start(Version::V3_9, 3).await?;
    let pids: Vec<u32> = ensemble.servers().iter().filter_map(Server::pid).collect();
    let folder = ensemble.folder().to_owned();
    assert_eq!(pids.iter().filter(|pid| alive(**pid)).count(), 3);
    assert!(folder.is_dir());
    ensemble.server(1).unwrap().pause()?;
    drop(ensemble);
    assert!(!pids.into_iter().any(alive));
    assert!(!folder.exists());
    Ok(())
}

#[tokio::test]
async fn a_panic_leaves_no_process_and_no_folder() -> Done {
    let ensemble = start(Version::V3_9, 1).await?;
    let (pid, folder) = (ensemble.server(0).unwrap().pid().unwrap(), ensemble.folder().to_owned());
    let task = tokio::spawn(async move {
        let _ensemble = ensemble;
        panic!("as a failing test does");
    });
    assert!(task.await.unwrap_err().is_panic());
    assert!(!alive(pid) && !folder.exists());
    Ok(())
}

#[test]
fn the_death_of_the_test_process_ends_its_servers() {
    let mut helper = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "launcher::helper_that_is_killed", "--ignored", "--nocapture"])
        .env(HELPER, "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(helper.stdout.take().unwrap()).lines().map(Result::unwrap);
    let started = lines.find_map(|line| Some(line.split_once("started ")?.1.to_owned())).unwrap();
    let (pid, folder) = started.split_once(' ').unwrap();
    let pid: u32 = pid.parse().unwrap();
    assert!(alive(pid));
    helper.kill().unwrap(); // SIGKILL: no drop runs
    helper.wait().unwrap();

    let killed_at = Instant::now();
    while alive(pid) {
        assert!(killed_at.elapsed() < Duration::from_secs(20), "pid {pid} is still there");
        std::thread::yield_now();
    }
    std::fs::remove_dir_all(PathBuf::from(folder)).unwrap(); // nobody else could
}

#[tokio::test]
#[ignore = "the process that the test above starts and kills"]
async fn helper_that_is_killed() -> Done {
    if std::env::var_os(HELPER).is_none() {
        return Ok(());
    }
    let ensemble = start(Version::V3_9, 1).await?;
    println!("started {} {}", ensemble.server(0).unwrap().pid().unwrap(), ensemble.folder().display());
    std::future::pending().await
}

#[tokio::test]
async fn a_version_that_does_not_exist_is_one_line_that_says_what_to_do() {
    let limit = Duration::from_secs(30);
    let error = Launcher::new(Version::new("0.0.1")).fetch_limit(limit).start().await.unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("no ZooKeeper 0.0.1 here: "), "{text}");
    assert!(text.ends_with("or set ZK_HOME to an unpacked distribution"), "{text}");
    println!("{text}");
    assert_eq!(text.lines().count(), 1);
}

#[tokio::test]
async fn a_server_that_cannot_start_says_why() {
    let launcher = real(Version::V3_9).property("secureClientPort", "none");
    let error = launcher.start().await.unwrap_err();
    assert!(matches!(error, LauncherError::Exited { server: 0, code: Some(2), .. }), "{error}");
    assert!(error.to_string().contains("NumberFormatException"), "{error}");
}

#[tokio::test]
async fn a_port_that_stays_taken_is_named_as_the_cause() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let error = real(Version::V3_9).property("clientPort", port.to_string()).start().await.unwrap_err();
    assert!(matches!(error, LauncherError::PortTaken { server: 0, .. }), "{error}");
}

async fn start(version: Version, servers: usize) -> Result<Ensemble, LauncherError> {
    let begin = Instant::now();
    let ensemble = real(version.clone()).servers(servers).start().await?;
    println!("{version}: {servers} server(s) after {:?}", begin.elapsed());
    Ok(ensemble)
}

async fn modes(ensemble: &Ensemble) -> Result<Vec<String>, LauncherError> {
    let mut modes = Vec::new();
    for server in ensemble.servers() {
        modes.push(server.mode().await?);
    }
    modes.sort();
    Ok(modes)
}

/// A new session is a transaction: the least that can be written without a client.
async fn open_session(server: &Server) {
    const CONNECT_REQUEST: [u8; 48] = {
        let mut frame = [0; 48];
        frame[3] = 44; // length: version 4, zxid 8, timeout 4, session 8, password 4 + 16
        frame[18] = 0x75; // timeout 0x7530 = 30 s
        frame[19] = 0x30;
        frame[31] = 16; // length of the password
        frame
    };
    let mut stream = TcpStream::connect(server.addr()).await.unwrap();
    stream.write_all(&CONNECT_REQUEST).await.unwrap();
    let mut reply = [0; 4];
    stream.read_exact(&mut reply).await.unwrap();
}

async fn zxid(server: &Server) -> Result<Zxid, LauncherError> {
    let answer = server.four_letter_word("srvr").await?;
    Ok(ServerStatus::parse(&answer).unwrap().zxid)
}

fn alive(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}
