//! Every committed input of every fuzz target, replayed without a fuzzer.

#[path = "../../../fuzz/src/lib.rs"]
mod targets;

use std::{fs, path::Path};

// goal: Q3
#[test]
fn corpora_are_replayed() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus");
    for (name, _) in targets::TARGETS {
        let inputs = fs::read_dir(corpora.join(name)).unwrap_or_else(|error| panic!("fuzz/corpus/{name}: {error}"));
        let mut count = 0;
        for input in inputs {
            let path = input.unwrap().path();
            let data = fs::read(&path).unwrap();
            let replayed = std::panic::catch_unwind(|| targets::run(name, &data));
            assert!(replayed.is_ok(), "{name} fails on {}", path.display());
            count += 1;
        }
        assert!(count > 0, "fuzz/corpus/{name} is empty");
    }
}

/// Inputs made by chance, without a corpus: each kind of record there and back, some thousand times.
// goal: P5
#[test]
fn records_made_by_chance_come_back_the_same() {
    let seed = std::env::var("ZK_SEED").ok().map(|seed| seed.parse().expect("ZK_SEED is a number"));
    for seed in seed.map_or(0..2_000, |seed: u64| seed..seed + 1) {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_be_bytes()
        };
        let data: Vec<u8> = (0..128).flat_map(|_| next()).collect();
        let kept = std::panic::catch_unwind(|| targets::run("round_trip", &data));
        assert!(kept.is_ok(), "seed {seed}: ZK_SEED={seed} cargo test -p zk-tests --test hermetic made_by_chance");
    }
}
