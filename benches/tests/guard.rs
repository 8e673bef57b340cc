//! `benches/guard` finds what became dearer: planted growth must fail, the rest must not.

#![expect(clippy::unwrap_used, reason = "it is a test")]

use std::process::Command;

const RECORD: &str = "\
# Instructions in user space, one run of each workload of benches/codec; by benches/instructions.
# valgrind-3.19.0, rustc 1.95.0 (1 2026-04-14), commit aaaa, x86_64, glibc 2.36

       a run   an element   a byte  workload
       100.0        100.0     3.19  codec: one thing
    200000.0          2.0     0.24  machine: many: things, 100 %

many: things, self
       188.0  zk_proto::session::Session<T>::handle_bytes
";

/// Whether it passed, and what it said.
fn guard(counted: &str) -> (bool, String) {
    let folder = tempfile::tempdir().unwrap();
    let [record, other] = ["record.txt", "counted.txt"].map(|name| folder.path().join(name));
    std::fs::write(&record, RECORD).unwrap();
    std::fs::write(&other, counted).unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/guard");
    let output = Command::new("sh").arg(script).args([&record, &other]).output().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.success(), said)
}

#[test]
fn what_did_not_change_passes() {
    let (passed, said) = guard(&RECORD.replace("aaaa", "bbbb").replace("188.0", "999.0"));
    assert!(passed, "{said}");
    assert_eq!(said, "guard: 2 workloads, none more than 5 % above the record\n");
}

#[test]
fn growth_of_six_per_cent_fails_and_of_four_does_not() {
    let (passed, said) = guard(&RECORD.replace("200000.0 ", "212000.0 "));
    assert!(!passed, "{said}");
    assert!(said.contains("+6.0 %, 212000 instead of 200000 instructions: machine: many: things, 100 %"), "{said}");
    assert!(said.contains("write the record anew"), "{said}");
    let (passed, said) = guard(&RECORD.replace("200000.0 ", "208000.0 "));
    assert!(passed, "{said}");
}

#[test]
fn what_became_cheaper_is_told() {
    let (passed, said) = guard(&RECORD.replace("  100.0        100.0", "   80.0         80.0"));
    assert!(passed && said.contains("-20.0 %, and the record does not say so yet: codec: one thing"), "{said}");
}

#[test]
fn workloads_that_come_or_go_need_a_new_record() {
    let gone = RECORD.lines().filter(|line| !line.contains("one thing")).collect::<Vec<_>>().join("\n");
    let (passed, said) = guard(&gone);
    assert!(!passed && said.contains("not counted any more: codec: one thing"), "{said}");
    let (passed, said) = guard(&RECORD.replace("\nmany:", "      10.0 10.0 1.00  codec: new\n\nmany:"));
    assert!(!passed && said.contains("not in the record: codec: new"), "{said}");
}

#[test]
fn other_tools_are_told() {
    let (passed, said) = guard(&RECORD.replace("1.95.0", "1.99.0"));
    assert!(passed && said.contains("counted with other tools"), "{said}");
    assert!(said.contains("  record: valgrind-3.19.0, rustc 1.95.0 (1 2026-04-14), x86_64, glibc 2.36\n"), "{said}");
    let (passed, said) = guard(&RECORD.replace("1.95.0", "1.99.0").replace("200000.0 ", "300000.0 "));
    assert!(passed && said.contains("+50.0 %") && said.contains("does not fail"), "{said}");
}
