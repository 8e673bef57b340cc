//! What becomes of connections that come while a real ZooKeeper starts: it is dialed every millisecond, each time with
//! the request for a session.
//!
//!     cargo run --release -p zk-tests --example starting -- 12
//!
//! Some are never answered and never closed, so no client may wait for an answer as long as its session lives (`SHARES_MIN`
//! in `zk-client/src/driver/hosts/pauses.rs`). On 2026-11-29, with two cores that were busy:
//!
//!     version   starts  with silence   refused   closed  answered   silent
//!     3.5.10        12             5      1392     1244      2290       43
//!     3.6.4         12             9      2145     1744      2251       88
//!     3.7.2         12            10      2612     1899      2227      112
//!     3.8.6         12             9      1334     1009      2462       80
//!     3.9.5         12             9      2174     1695      2298       90

use std::{
    error::Error,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
    time::{Instant, interval, timeout},
};
use zk_proto::{Session, SessionConfig};
use zk_testkit::launcher::{Launcher, Version};

const VERSIONS: [Version; 5] = [Version::V3_5, Version::V3_6, Version::V3_7, Version::V3_8, Version::V3_9];
const BETWEEN: Duration = Duration::from_millis(1);
/// How long it is dialed after its first answer.
const AFTERWARDS: Duration = Duration::from_millis(300);
/// Far longer than a server takes that starts, and that answers.
const SILENCE: Duration = Duration::from_secs(5);
const START_MAX: Duration = Duration::from_secs(30);

/// What became of a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Refused,
    Closed,
    Answered,
    Silent,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let starts: usize = std::env::args().nth(1).map_or(Ok(12), |count| count.parse())?;
    println!("version   starts  with silence   refused   closed  answered   silent");
    for version in VERSIONS {
        let (mut all, mut with_silence) = (Vec::new(), 0);
        for _ in 0..starts {
            let mut ensemble = Launcher::new(version.clone()).start().await?;
            let server = ensemble.server_mut(0).ok_or("one server")?;
            server.kill_9().await?;
            server.spawn().await?;
            let ends = dial_while_it_starts(server.addr()).await?;
            with_silence += usize::from(ends.contains(&End::Silent));
            all.extend(ends);
        }
        let count = |wanted: End| all.iter().filter(|end| **end == wanted).count();
        let [refused, closed, answered, silent] = [End::Refused, End::Closed, End::Answered, End::Silent].map(count);
        let version = version.as_str();
        println!("{version:<9} {starts:>6} {with_silence:>13} {refused:>9} {closed:>8} {answered:>9} {silent:>8}");
    }
    Ok(())
}

/// Dials until a while after the first answer.
async fn dial_while_it_starts(addr: SocketAddr) -> Result<Vec<End>, Box<dyn Error>> {
    let (request, is_answering) = (request(), Arc::new(AtomicBool::new(false)));
    let mut connections = JoinSet::new();
    let (mut until, mut ticks) = (Instant::now() + START_MAX, interval(BETWEEN));
    while Instant::now() < until {
        let (request, answers) = (request.clone(), is_answering.clone());
        connections.spawn(async move {
            let end = dial(addr, &request).await;
            answers.fetch_or(end == End::Answered, Ordering::Relaxed);
            end
        });
        ticks.tick().await;
        if is_answering.load(Ordering::Relaxed) {
            until = until.min(Instant::now() + AFTERWARDS);
        }
    }
    let ends = connections.join_all().await;
    if !ends.contains(&End::Answered) {
        return Err(format!("{addr} did not answer within {START_MAX:?}").into());
    }
    Ok(ends)
}

async fn dial(addr: SocketAddr, request: &[u8]) -> End {
    let Ok(mut stream) = TcpStream::connect(addr).await else { return End::Refused };
    if stream.write_all(request).await.is_err() {
        return End::Closed;
    }
    match timeout(SILENCE, stream.read_u8()).await {
        Ok(Ok(_)) => End::Answered,
        Ok(Err(_)) => End::Closed,
        Err(_) => End::Silent,
    }
}

/// The request for a new session, in its frame.
fn request() -> Bytes {
    let mut session =
        Session::<()>::new(SessionConfig { timeout: Duration::from_secs(20), ..SessionConfig::default() });
    session.handle_dialed(Duration::ZERO, SILENCE);
    session.poll_transmit().unwrap_or_default().freeze()
}
