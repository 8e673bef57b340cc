//! The machine against a model of ZooKeeper, in virtual time: any history of writes, lagging servers, cuts,
//! expiries and refusals, and the rules checked at each step.

mod model;
mod simulation;

use simulation::{Reached, Simulation};

/// Histories in each run of the suite; `ZK_CONFIG_SIM_HISTORIES` asks for more, `ZK_CONFIG_SIM_SEED` for one.
const HISTORIES: u64 = 100_000;

fn from_env(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// To play one history again: `ZK_CONFIG_SIM_SEED=7 cargo test -p zk-config simulation -- --nocapture`.
// goal: M1 M2 M3 M4 M5
#[test]
fn simulation_any_history_leaves_the_mirror_exact_and_every_cut_is_one() {
    if let Some(seed) = from_env("ZK_CONFIG_SIM_SEED") {
        Simulation::new(seed, true).run();
        return;
    }
    let histories = from_env("ZK_CONFIG_SIM_HISTORIES").unwrap_or(HISTORIES);
    let started = std::time::Instant::now();
    let mut reached = Reached::default();
    for seed in 0..histories {
        reached.add(&Simulation::new(seed, false).run());
    }
    println!("{histories} histories in {:?}: {reached:?}", started.elapsed());
    reached.assert_all();
}
