//! One znode read or written, many operations in flight and one at a time.

use super::connector;
use crate::{
    args::{Ask, WatcherArgs},
    error::Failure,
    report::{BATCH, IN_FLIGHT, ThroughputBegin, ThroughputLine},
    tree,
    value::{Stamp, VALUE_LEN, WARM_UP, now_ns},
};
use std::{collections::VecDeque, iter::repeat_n};
use zk_client::{Client, Read, ReadResult, Transaction};

pub(super) async fn run(args: &WatcherArgs) -> Result<ThroughputLine, Failure> {
    let client = connector(args)?.connect().await?;
    let path = tree::key(&args.root, 0);
    let around_ns = u64::from(args.around_ms) * 1_000_000;
    flood(&client, &path, args.ask, around_ns).await?;
    let begin = ThroughputBegin::now();
    let ops = flood(&client, &path, args.ask, u64::from(args.secs) * 1_000_000_000).await?;
    let flooded = begin.end(ops);
    Ok(flooded.line(&args.name, one_at_a_time(&client, &path, args.ask, around_ns).await?))
}

async fn flood(client: &Client, path: &str, ask: Ask, for_ns: u64) -> Result<u64, Failure> {
    match ask {
        Ask::Read => keep(IN_FLIGHT, 1, for_ns, || client.get_data(path)).await,
        Ask::Write => keep(IN_FLIGHT, 1, for_ns, || client.set_data(path, &value(), None)).await,
        Ask::ReadMany => {
            let is_data = |read: &ReadResult| matches!(read, ReadResult::Data(..));
            let call = || {
                let call = client.read_many(repeat_n(Read::Data(path), BATCH));
                async move {
                    let all = call.await?.iter().all(is_data);
                    if all { Ok(()) } else { Err(Failure::Usage("a read was refused")) }
                }
            };
            keep(IN_FLIGHT / BATCH, BATCH, for_ns, call).await
        }
        Ask::WriteMany => {
            let value = value();
            let call = || {
                let writes = (0..BATCH).fold(Transaction::new(), |writes, _| writes.set_data(path, &value, None));
                client.commit(&writes)
            };
            keep(IN_FLIGHT / BATCH, BATCH, for_ns, call).await
        }
    }
}

/// Keeps as many on their way as may be; ZooKeeper answers in order, so the oldest is awaited.
async fn keep<F, T, E>(in_flight: usize, each: usize, for_ns: u64, mut call: impl FnMut() -> F) -> Result<u64, Failure>
where
    F: Future<Output = Result<T, E>>,
    Failure: From<E>,
{
    let until = now_ns() + for_ns;
    let mut calls: VecDeque<_> = (0..in_flight).map(|_| call()).collect();
    let mut ops = 0;
    while let Some(oldest) = calls.pop_front() {
        oldest.await?;
        ops += each as u64;
        if now_ns() < until {
            calls.push_back(call());
        }
    }
    Ok(ops)
}

fn value() -> [u8; VALUE_LEN] {
    Stamp { sequence: WARM_UP, scheduled_ns: 0 }.value()
}

async fn one_at_a_time(client: &Client, path: &str, ask: Ask, for_ns: u64) -> Result<Vec<u64>, Failure> {
    let until = now_ns() + for_ns;
    let mut latencies = Vec::new();
    loop {
        let begin = now_ns();
        if begin >= until {
            return Ok(latencies);
        }
        match ask {
            Ask::Read | Ask::ReadMany => drop(client.get_data(path).await?),
            Ask::Write | Ask::WriteMany => {
                client.set_data(path, &value(), None).await?;
            }
        }
        latencies.push(now_ns() - begin);
    }
}
