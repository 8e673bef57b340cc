//! `cargo +stable fuzz run --sanitizer none round_trip`; what it does is in `src/lib.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| zk_fuzz::run("round_trip", data));
