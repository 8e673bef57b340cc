//! Plants every bug of `zk-proto/mutants`, one at a time, and shows that its checker finds it:
//!
//! ```text
//! cargo run -p zk-tests --example mutants             all of them, some minutes
//! cargo run -p zk-tests --example mutants NAME..      some
//! cargo run -p zk-tests --example mutants -- --record all, and the table into zk-proto/mutants/KILLED.md
//! ```
//!
//! First the checkers must pass on the code as it is. It fails when a mutant survives, does not compile, or is found
//! by anything but the checker that its file names.

use std::{
    collections::VecDeque,
    path::Path,
    process::ExitCode,
    sync::Mutex,
    time::{Duration, Instant},
};
use zk_tests::mutants::{Checker, FOLDER, Mutant, TABLE};

#[path = "mutants/workshop.rs"]
mod workshop;

use workshop::{Found, Workshop};

/// One a core of the machines that this is for.
const WORKERS: usize = 2;

/// What became of one mutant.
struct Row {
    mutant: Mutant,
    found: Result<Found, String>,
    took: Duration,
}

impl Row {
    /// The cells of a table that do not change from run to run.
    fn cells(&self) -> [String; 4] {
        let name = format!("`{}`", self.mutant.name);
        let checker = self.mutant.checker.name().to_owned();
        match &self.found {
            Ok(Found { place, rule }) => [name, checker, place.clone(), rule.clone()],
            Err(_) => [name, checker, "not killed".into(), "-".into()],
        }
    }

    fn say(&self) {
        let [name, checker, place, rule] = self.cells();
        println!("| {name:<42} | {checker:<9} | {place:<24} | {rule:<5} | {:>5.1} s", self.took.as_secs_f64());
        if let Err(why) = &self.found {
            println!("  ^ {}: {why}", self.mutant.title);
        }
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<bool, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().ok_or("tests/ is in the workspace")?;
    let (flags, names): (Vec<String>, Vec<String>) = std::env::args().skip(1).partition(|arg| arg.starts_with("--"));
    let records = flags == ["--record"] && names.is_empty();
    if !flags.is_empty() && !records {
        return Err(format!("what is {flags:?}? `--record` is for all mutants, and the only flag"));
    }
    let mut mutants = Mutant::read_all(root)?;
    if let Some(name) = names.iter().find(|name| mutants.iter().all(|mutant| mutant.name != **name)) {
        return Err(format!("{FOLDER}/{name}.mutant is not there"));
    }
    mutants.retain(|mutant| names.is_empty() || names.contains(&mutant.name));
    let start = Instant::now();
    let rows = play(root, mutants)?;
    let killed = rows.iter().filter(|row| row.found.is_ok()).count();
    println!("{killed} of {} mutants killed in {:.0} s", rows.len(), start.elapsed().as_secs_f64());
    for row in rows.iter().filter(|row| row.found.is_err()) {
        row.say();
    }
    if records && killed == rows.len() {
        let path = root.join(FOLDER).join(TABLE);
        std::fs::write(&path, table(&rows)).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(killed == rows.len())
}

/// Two workshops take mutants from one queue. Mutants of a checker follow each other, so that little is compiled anew.
fn play(root: &Path, mut mutants: Vec<Mutant>) -> Result<Vec<Row>, String> {
    // Those that hang take longest, so they begin.
    mutants.sort_by_key(|mutant| (mutant.checker, !mutant.may_hang));
    let mut checkers: Vec<Checker> = mutants.iter().map(|mutant| mutant.checker).collect();
    checkers.dedup();
    let (queue, rows) = (Mutex::new(VecDeque::from(mutants)), Mutex::new(Vec::new()));
    let work = |number: usize| -> Result<(), String> {
        let workshop = Workshop::open(root, number)?;
        for checker in &checkers {
            let start = Instant::now();
            workshop.control(*checker).map_err(|why| format!("without a bug planted, {why}"))?;
            println!("worker {number}: {} pass without a bug, {:.1} s", checker.name(), start.elapsed().as_secs_f64());
        }
        loop {
            let Some(mutant) = queue.lock().map_err(|_| "the other worker is dead")?.pop_front() else { break };
            let start = Instant::now();
            let found = workshop.plant(&mutant);
            let row = Row { mutant, found, took: start.elapsed() };
            row.say();
            rows.lock().map_err(|_| "the other worker is dead")?.push(row);
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS).map(|number| scope.spawn(move || work(number))).collect();
        workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| "a worker panicked".to_owned())?)
    })?;
    let mut rows = rows.into_inner().map_err(|_| "a worker is dead")?;
    rows.sort_by(|one, two| one.mutant.name.cmp(&two.mutant.name));
    Ok(rows)
}

fn table(rows: &[Row]) -> String {
    let mut text = format!(
        "# Planted bugs, and what found them\n\n\
         {} bugs, each in a file of this folder that says who had it. CI plants them one by one and fails when one is not\n\
         found by its checker; `cargo run -p zk-tests --example mutants -- --record` does the same and writes this table.\n\n\
         A number is a seed of `zk-proto/tests/schedules.rs`: the first that finds the bug when seeds are played in their\n\
         order from 1 on. Rules are W1 to W13 and E3 to E6 of the schedules. A name is a test of zk-proto.\n\n\
         | mutant | checker | schedule or test | rule | what is wrong |\n|---|---|---|---|---|\n",
        rows.len()
    );
    for row in rows {
        text += &format!("| {} | {} |\n", row.cells().join(" | "), row.mutant.title);
    }
    text
}
