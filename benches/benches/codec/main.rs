//! Codec and session machine by the clock: the workloads of `workloads.rs`, with the throughput of each.

use criterion::{Criterion, Throughput};
use std::time::{Duration, Instant};

#[path = "workloads.rs"]
mod workloads;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args();
    for mut workload in workloads::all()? {
        let mut group = criterion.benchmark_group(workload.group);
        group.throughput(match workload.elements {
            1 => Throughput::Bytes(workload.bytes),
            elements => Throughput::Elements(elements),
        });
        group.bench_function(&workload.name, |bencher| {
            bencher.iter_custom(|count| {
                let begin = Instant::now();
                (0..count).for_each(|_| (workload.run)());
                begin.elapsed()
            });
        });
        group.finish();
    }
    criterion.final_summary();
    Ok(())
}
