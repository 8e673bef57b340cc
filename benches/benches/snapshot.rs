//! Reading from a mirror: snapshot load and lookup, one reader and four. The server is in this process and idle.

use criterion::{Bencher, Criterion, Throughput};
use std::{hint::black_box, thread, time::Duration, time::Instant};
use tokio::runtime::{Builder, Runtime};
use zk_client::Client;
use zk_config::{Mirror, Reader};
use zk_testkit::server::{Edit, TestServer};

const KEYS: usize = 1000;
const READERS: u32 = 4;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

async fn mirror(paths: &[String]) -> Outcome<(TestServer, Mirror)> {
    let server = TestServer::start().await?;
    let value = [b'.'; 100];
    let edits = paths.iter().map(|path| Edit::Create(path, &value));
    server.apply(&edits.collect::<Vec<_>>()).map_err(|error| format!("{error:?}"))?;
    let client = Client::connect(&server.connect_string()).await?;
    let mirror = Mirror::start(&client, "/bench")?;
    mirror.ready().await?;
    Ok((server, mirror))
}

fn read(mirror: &Mirror, paths: &[String], count: u64) {
    for path in paths.iter().cycle().zip(0..count).map(|(path, _)| path) {
        let snapshot = mirror.snapshot();
        black_box(snapshot.get(black_box(path)).map(|node| node.data.len()));
    }
}

fn read_own(mut reader: Reader, paths: &[String], count: u64) {
    for path in paths.iter().cycle().zip(0..count).map(|(path, _)| path) {
        black_box(reader.snapshot().get(black_box(path)).map(|node| node.data.len()));
    }
}

/// The wall time in which each of so many threads reads `count` times.
fn threads(bencher: &mut Bencher<'_>, readers: u32, read: impl Fn(u64) + Sync) {
    bencher.iter_custom(|count| {
        let begin = Instant::now();
        thread::scope(|scope| {
            for _ in 0..readers {
                scope.spawn(|| read(count));
            }
        });
        begin.elapsed()
    });
}

fn run(runtime: &Runtime) -> Outcome<()> {
    let mut paths = vec!["/bench".to_owned()];
    paths.extend((0..KEYS).map(|index| format!("/bench/k{index:04}")));
    let (_server, mirror) = runtime.block_on(mirror(&paths))?;
    let mut criterion = Criterion::default().measurement_time(Duration::from_secs(2)).configure_from_args();
    let mut group = criterion.benchmark_group("snapshot of 1000 znodes");
    group.throughput(Throughput::Elements(1));
    group.bench_function("load", |bencher| bencher.iter(|| mirror.snapshot()));
    let snapshot = mirror.snapshot();
    let mut next = paths.iter().cycle();
    group.bench_function("lookup", |bencher| {
        bencher.iter(|| snapshot.get(next.next().map_or("/bench", |path| black_box(path))).map(|node| node.data.len()));
    });
    for readers in [1, READERS] {
        group.throughput(Throughput::Elements(readers.into()));
        group.bench_function(format!("load and lookup, {readers} threads"), |bencher| {
            threads(bencher, readers, |count| read(&mirror, &paths, count));
        });
        group.bench_function(format!("the same by a Reader each, {readers} threads"), |bencher| {
            threads(bencher, readers, |count| read_own(mirror.reader(), &paths, count));
        });
    }
    group.finish();
    criterion.final_summary();
    Ok(())
}

fn main() -> Outcome<()> {
    run(&Builder::new_multi_thread().worker_threads(1).enable_all().build()?)
}
