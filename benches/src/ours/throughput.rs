//! getData of one znode, many in flight and one at a time.

use super::connector;
use crate::{
    args::WatcherArgs,
    error::Failure,
    stats::{percentile, tenths, us},
    tree,
    value::{cpu_ns, now_ns},
};
use serde::Serialize;
use std::collections::VecDeque;
use zk_client::Client;

const IN_FLIGHT: usize = 256;
const WARM_UP_NS: u64 = 3_000_000_000;
const SINGLE_NS: u64 = 3_000_000_000;

/// What was found.
#[derive(Debug, Serialize)]
pub(super) struct ThroughputLine {
    bench: &'static str,
    watcher: String,
    ops: u64,
    ops_s: f64,
    cpu_us_per_op: f64,
    seq_p50: f64,
    seq_p99: f64,
}

pub(super) async fn run(args: &WatcherArgs) -> Result<ThroughputLine, Failure> {
    let client = connector(args)?.connect().await?;
    let path = tree::key(&args.root, 0);
    flood(&client, &path, WARM_UP_NS).await?;
    let (begin, begin_cpu) = (now_ns(), cpu_ns());
    let ops = flood(&client, &path, u64::from(args.secs) * 1_000_000_000).await?;
    let (elapsed, cpu) = (now_ns() - begin, cpu_ns() - begin_cpu);
    let mut single = one_at_a_time(&client, &path).await?;
    single.sort_unstable();
    Ok(ThroughputLine {
        bench: "throughput",
        watcher: args.name.clone(),
        ops,
        ops_s: tenths(ops as f64 * 1e9 / elapsed.max(1) as f64),
        cpu_us_per_op: (cpu as f64 / 10.0 / ops.max(1) as f64).round() / 100.0,
        seq_p50: us(percentile(&single, 500)),
        seq_p99: us(percentile(&single, 990)),
    })
}

/// Keeps as many on their way as may be; ZooKeeper answers in order, so the oldest is awaited.
async fn flood(client: &Client, path: &str, for_ns: u64) -> Result<u64, Failure> {
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

async fn one_at_a_time(client: &Client, path: &str) -> Result<Vec<u64>, Failure> {
    let until = now_ns() + SINGLE_NS;
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
