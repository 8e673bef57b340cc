//! The planted bugs: each can be planted, and the table says of each how it was killed. That they are killed is shown
//! by `cargo run -p zk-tests --example mutants`, in CI.

use std::{collections::BTreeSet, fs, path::Path};

use zk_tests::mutants::{FOLDER, Mutant, TABLE, rows};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn mutants() -> Vec<Mutant> {
    Mutant::read_all(root()).unwrap()
}

#[test]
fn every_bug_can_still_be_planted() {
    let read = |file: &str| fs::read_to_string(root().join("zk-proto").join(file)).map_err(|error| error.to_string());
    let stale: Vec<String> = mutants().iter().filter_map(|mutant| mutant.apply(read).err()).collect();
    assert!(stale.is_empty(), "{}\n=> the code has changed: change the mutants in {FOLDER} with it", stale.join("\n"));
}

#[test]
fn the_table_names_every_bug_and_no_other() {
    let table = fs::read_to_string(root().join(FOLDER).join(TABLE)).unwrap();
    let mutants = mutants();
    let there: BTreeSet<(&str, &str)> =
        mutants.iter().map(|mutant| (mutant.name.as_str(), mutant.checker.name())).collect();
    let said: BTreeSet<(&str, &str)> = rows(&table).into_iter().collect();
    let differences: Vec<_> = there.symmetric_difference(&said).collect();
    assert!(
        differences.is_empty(),
        "{FOLDER}/{TABLE} and the files differ in {differences:?}\n=> cargo run -p zk-tests --example mutants -- --record"
    );
    assert!(mutants.len() >= 40, "{} planted bugs", mutants.len());
}

#[test]
fn a_mutant_is_read_and_planted_once() {
    let text = "Wrong\nsource: here\nchecker: schedules\n\n--- src/a.rs\nx = 1;\n--- becomes\nx = 2;\n--- end\n";
    let mutant = Mutant::parse("m".into(), text).unwrap();
    let planted = |file: &str| mutant.apply(|_| Ok(file.to_owned()));
    assert_eq!(planted("a\nx = 1;\nb\n").unwrap()["src/a.rs"], "a\nx = 2;\nb\n");
    assert!(planted("x = 3;\n").unwrap_err().contains("0 times in zk-proto/src/a.rs"));
    assert!(planted("x = 1;\nx = 1;\n").unwrap_err().contains("2 times"));
    for (wrong, why) in [
        ("", "no title in the first line"),
        ("Wrong\nchecker: schedules\n\n--- a\nb\n--- becomes\nc\n--- end\n", "no source"),
        ("Wrong\nsource: here\nchecker: luck\n", "no checker \"luck\""),
        ("Wrong\nsource: here\nchecker: scripts\n", "nothing is replaced"),
        ("Wrong\nsource: here\nchecker: scripts\n\n--- a\nb\n--- end\n", "no `--- becomes`"),
    ] {
        assert_eq!(Mutant::parse("m".into(), wrong).unwrap_err(), why);
    }
}
