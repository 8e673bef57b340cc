//! What a workload of the codec benches costs when nothing of it is in a cache, as after a millisecond of other work.
//!
//! ```text
//! cargo run --profile measured -p zk-bench --example cold -- "event in, read out, reply in, published, listener called" 3000
//! ```
//!
//! Before each run all nearer caches are filled with something else, data, code, translations of addresses and targets of
//! branches alike; then the run is timed alone. Prints the quartiles, then those of runs that follow each other. Far quieter
//! than a server; start it several times, because where the system put its memory makes a tenth of difference.

use std::{
    env::args,
    hint::black_box,
    time::{Duration, Instant},
};

#[path = "../benches/codec/workloads.rs"]
mod workloads;

use workloads::{Outcome, Workload};

/// Twice the second cache of the greatest cores, and more pages than their tables of translations hold.
const LINES: usize = 16 << 20 >> 6;

#[derive(Clone, Copy)]
#[repr(align(64))]
struct Line(u64);

/// A few cache lines of code, unlike those of every other `N`.
#[inline(never)]
fn piece<const N: u64>(mut x: u64) -> u64 {
    for round in 0..2 {
        x = x.rotate_left((N % 61) as u32).wrapping_mul(N.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1) ^ (N + round);
        if x & 1 == N & 1 {
            x = x.wrapping_add(N.wrapping_mul(0xD1B5_4A32_D192_ED03)).swap_bytes();
        }
    }
    x
}

macro_rules! ones {
    ($a:literal $b:literal) => { ones!($a $b: 0 1 2 3 4 5 6 7 8 9) };
    ($a:literal $b:literal: $($c:literal)*) => { [$(piece::<{ $a * 100 + $b * 10 + $c }> as Piece),*] };
}

macro_rules! tens {
    ($a:literal) => { tens!($a: 0 1 2 3 4 5 6 7 8 9) };
    ($a:literal: $($b:literal)*) => { [$(ones!($a $b)),*] };
}

macro_rules! hundreds {
    ($($a:literal)*) => { [$(tens!($a)),*] };
}

type Piece = fn(u64) -> u64;

static PIECES: [[[Piece; 10]; 10]; 10] = hundreds!(0 1 2 3 4 5 6 7 8 9);

fn evict(lines: &mut [Line]) {
    for (line, at) in lines.iter_mut().zip(0..) {
        line.0 = line.0.wrapping_add(at);
    }
    let code = PIECES.as_flattened().as_flattened();
    black_box((0..2).flat_map(|_| code).fold(black_box(1), |x, piece| piece(x)));
}

fn quartiles(mut times: Vec<Duration>) -> [u128; 3] {
    times.sort_unstable();
    [1, 2, 3].map(|quarter| times.get(times.len() * quarter / 4).map_or(0, Duration::as_nanos))
}

#[inline(never)]
fn timed(workload: &mut Workload) -> Duration {
    let begin = Instant::now();
    (workload.run)();
    begin.elapsed()
}

fn main() -> Outcome<()> {
    let mut workloads = workloads::all()?;
    let (name, runs) = (args().nth(1).unwrap_or_default(), args().nth(2).unwrap_or_default());
    let runs: u32 = runs.parse().map_err(|error| format!("the second argument is a number of runs: {error}"))?;
    let workload = workloads.iter_mut().find(|workload| workload.name == name).ok_or("no such workload")?;
    let mut lines = vec![Line(0); LINES];
    let mut cold = || {
        evict(&mut lines);
        timed(workload)
    };
    let [low, median, high] = quartiles((0..runs).map(|_| cold()).collect());
    let [warm_low, warm, warm_high] = quartiles((0..runs).map(|_| timed(workload)).collect());
    let Workload { group, elements, bytes, .. } = workload;
    println!("{group}: {name}; {elements} of {bytes} bytes");
    println!("cold {low} {median} {high} ns, warm {warm_low} {warm} {warm_high} ns");
    Ok(())
}
