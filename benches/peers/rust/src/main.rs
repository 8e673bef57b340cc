//! zookeeper-client under the contract of `zk-bench peer-watcher`: what somebody would write with it by hand.
//!
//! notify: a recursive watch, a getData for each event, many on their way. The books are zk-bench's own files.

#![allow(dead_code, reason = "zk-bench's files know more than is needed here")]

#[path = "../../../src/parent.rs"]
mod parent;
#[path = "../../../src/samples.rs"]
mod samples;
#[path = "../../../src/stats.rs"]
mod stats;
#[path = "../../../src/usage.rs"]
mod usage;
#[path = "../../../src/value.rs"]
mod value;

use futures::{StreamExt, stream::FuturesOrdered};
use samples::Samples;
use serde_json::json;
use std::{
    collections::{HashMap, VecDeque},
    env,
    io::Write,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::runtime::{Builder, Runtime};
use value::{cpu_ns, now_ns};
use zookeeper_client::{AddWatchMode, Client, EventType, PersistentWatcher};

type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// Reads on their way while the tree is loaded.
const WINDOW: usize = 1000;
const IN_FLIGHT: usize = 256;
const THREE_SECONDS_NS: u64 = 3_000_000_000;
/// As the other watchers have it.
const SESSION_TIMEOUT: Duration = Duration::from_secs(30);

/// Path to data.
type Copy = HashMap<String, Vec<u8>>;

fn main() -> Outcome<()> {
    parent::end_with_it();
    let args = Args::parse()?;
    let runtime = runtime(args.get("--runtime")?)?;
    let line = runtime.block_on(async {
        match args.get("--bench")? {
            "notify" => notify(&args).await,
            "load" => load(&args).await,
            "throughput" => throughput(&args).await,
            other => Err(format!("zookeeper-client has no bench {other}").into()),
        }
    })?;
    say(&line)?;
    runtime.shutdown_background();
    Ok(())
}

fn runtime(kind: &str) -> Outcome<Runtime> {
    Ok(match kind {
        "multi-thread" => Builder::new_multi_thread().worker_threads(2).enable_all().build()?,
        _ => Builder::new_current_thread().enable_all().build()?,
    })
}

/// `--name value` pairs.
struct Args(HashMap<String, String>);

impl Args {
    fn parse() -> Outcome<Self> {
        let words: Vec<String> = env::args().skip(1).collect();
        let pair = |pair: &[String]| match pair {
            [name, value] if name.starts_with("--") => Ok((name.clone(), value.clone())),
            other => Err(format!("not a --name and a value: {other:?}").into()),
        };
        words.chunks(2).map(pair).collect::<Outcome<_>>().map(Self)
    }

    fn get(&self, name: &str) -> Outcome<&str> {
        Ok(self.0.get(name).ok_or_else(|| format!("{name} is missing"))?)
    }

    fn number(&self, name: &str, default: u32) -> Outcome<u32> {
        Ok(self.0.get(name).map_or(Ok(default), |text| text.parse())?)
    }
}

fn say(line: &str) -> Outcome<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    Ok(out.flush()?)
}

async fn connect(args: &Args) -> Outcome<Client> {
    Ok(Client::connector().with_session_timeout(SESSION_TIMEOUT).connect(args.get("--connect")?).await?)
}

/// A complete copy of all at and below the root.
async fn read_all(client: &Client, root: &str) -> Outcome<Copy> {
    let mut copy = Copy::new();
    let mut level = vec![root.to_owned()];
    while !level.is_empty() {
        let (mut parents, mut below) = (Vec::new(), Vec::new());
        let mut reads = FuturesOrdered::new();
        let mut asked = VecDeque::new();
        let mut paths = level.into_iter();
        loop {
            while reads.len() < WINDOW
                && let Some(path) = paths.next()
            {
                reads.push_back(client.get_data(&path));
                asked.push_back(path);
            }
            let (Some(read), Some(path)) = (reads.next().await, asked.pop_front()) else { break };
            let (data, stat) = read?;
            if stat.num_children > 0 {
                parents.push(path.clone());
            }
            copy.insert(path, data);
        }
        let mut lists: FuturesOrdered<_> = parents.iter().map(|parent| client.get_children(parent)).collect();
        for parent in &parents {
            let Some(list) = lists.next().await else { break };
            below.extend(list?.0.into_iter().map(|name| format!("{parent}/{name}")));
        }
        level = below;
    }
    Ok(copy)
}

async fn watched(args: &Args) -> Outcome<(Client, PersistentWatcher, Copy)> {
    let client = connect(args).await?;
    let root = args.get("--root")?;
    let watcher = client.watch(root, AddWatchMode::PersistentRecursive).await?;
    let copy = read_all(&client, root).await?;
    Ok((client, watcher, copy))
}

async fn notify(args: &Args) -> Outcome<String> {
    let (count, sessions) = (args.number("--count", 100_000)?, args.number("--sessions", 1)?);
    let keys = args.number("--keys", 1)? as usize;
    let samples = Arc::new(Mutex::new(Samples::new(count, sessions)));
    let mut applications = Vec::new();
    for _ in 0..sessions {
        let (client, watcher, copy) = watched(args).await?;
        if copy.len() <= keys {
            return Err(format!("{} znodes instead of {}", copy.len(), keys + 1).into());
        }
        applications.push(tokio::spawn(apply(client, watcher, copy, samples.clone())));
    }
    say("READY")?;
    for application in applications {
        application.await??;
    }
    let line = samples.lock().map_err(|_| "poisoned")?.line(args.get("--name")?, false);
    Ok(serde_json::to_string(&line)?)
}

/// One application: takes every value that it is told of, until the last one.
async fn apply(client: Client, mut watcher: PersistentWatcher, mut copy: Copy, samples: Arc<Mutex<Samples>>) -> Outcome<()> {
    let mut reads = FuturesOrdered::new();
    let mut asked = VecDeque::new();
    loop {
        tokio::select! {
            biased;
            Some(read) = reads.next(), if !reads.is_empty() => {
                let path: String = asked.pop_front().unwrap_or_default();
                let (data, _stat): (Vec<u8>, _) = read?;
                let last = samples.lock().map_err(|_| "poisoned")?.hold(&data, None);
                copy.insert(path, data);
                if last {
                    return Ok(());
                }
            }
            event = watcher.changed() => match event.event_type {
                EventType::NodeDataChanged | EventType::NodeCreated => {
                    reads.push_back(client.get_data(&event.path));
                    asked.push_back(event.path);
                }
                EventType::NodeDeleted => drop(copy.remove(&event.path)),
                EventType::Session if event.session_state.is_terminated() => return Err("the session ended".into()),
                _ => {}
            },
        }
    }
}

async fn load(args: &Args) -> Outcome<String> {
    let (begin_ns, begin_cpu_ns) = (now_ns(), cpu_ns());
    let (_client, _watcher, copy) = watched(args).await?;
    let seconds = |ns: u64| ns as f64 / 1e9;
    let (elapsed, cpu) = (seconds(now_ns() - begin_ns), seconds(cpu_ns() - begin_cpu_ns));
    let memory = usage::Memory::now();
    Ok(json!({
        "bench": "load", "watcher": args.get("--name")?, "nodes": copy.len(), "seconds": elapsed, "cpu_s": cpu,
        "rss_kb": memory.rss_kb, "hwm_kb": memory.hwm_kb,
    })
    .to_string())
}

async fn throughput(args: &Args) -> Outcome<String> {
    let client = connect(args).await?;
    let path = format!("{}/k0000", args.get("--root")?);
    flood(&client, &path, THREE_SECONDS_NS).await?;
    let (begin, begin_cpu) = (now_ns(), cpu_ns());
    let ops = flood(&client, &path, u64::from(args.number("--secs", 5)?) * 1_000_000_000).await?;
    let (elapsed, cpu) = (now_ns() - begin, cpu_ns() - begin_cpu);
    let mut single = one_at_a_time(&client, &path).await?;
    single.sort_unstable();
    let at = |q| stats::us(stats::percentile(&single, q));
    Ok(json!({
        "bench": "throughput", "watcher": args.get("--name")?, "ops": ops,
        "ops_s": stats::tenths(ops as f64 * 1e9 / elapsed.max(1) as f64),
        "cpu_us_per_op": (cpu as f64 / 10.0 / ops.max(1) as f64).round() / 100.0,
        "seq_p50": at(500), "seq_p99": at(990),
    })
    .to_string())
}

/// Keeps as many on their way as may be, and awaits the oldest.
async fn flood(client: &Client, path: &str, for_ns: u64) -> Outcome<u64> {
    let until = now_ns() + for_ns;
    let mut calls: VecDeque<_> = (0..IN_FLIGHT).map(|_| client.get_data(path)).collect();
    let mut ops = 0;
    while let Some(call) = calls.pop_front() {
        call.await?;
        ops += 1;
        if now_ns() < until {
            calls.push_back(client.get_data(path));
        }
    }
    Ok(ops)
}

async fn one_at_a_time(client: &Client, path: &str) -> Outcome<Vec<u64>> {
    let until = now_ns() + THREE_SECONDS_NS;
    let mut latencies = Vec::new();
    loop {
        let begin = now_ns();
        if begin >= until {
            return Ok(latencies);
        }
        client.get_data(path).await?;
        latencies.push(now_ns() - begin);
    }
}
