//! Runs one workload of the codec benches so that valgrind can count it: see `benches/instructions`.
//!
//! Without arguments: the names, one a line, with the elements and bytes of a run. With a name and a count: that
//! workload, first a tenth of the runs to warm up, then the runs that count, inside of [`measured`].

use std::env::args;

#[path = "../benches/codec/workloads.rs"]
mod workloads;

use workloads::{Outcome, Workload};

/// What `--toggle-collect` looks for; nothing else is counted.
#[inline(never)]
fn measured(workload: &mut Workload, runs: u64) {
    (0..runs).for_each(|_| (workload.run)());
}

fn main() -> Outcome<()> {
    let mut workloads = workloads::all()?;
    let Some(name) = args().nth(1) else {
        for Workload { group, name, elements, bytes, .. } in workloads {
            println!("{group}\t{name}\t{elements}\t{bytes}");
        }
        return Ok(());
    };
    let runs: u64 = args().nth(2).unwrap_or_default().parse()?;
    let workload = workloads.iter_mut().find(|workload| workload.name == name).ok_or("no such workload")?;
    (0..runs.div_ceil(10)).for_each(|_| (workload.run)());
    measured(workload, runs);
    Ok(())
}
