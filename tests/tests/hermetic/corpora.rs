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
