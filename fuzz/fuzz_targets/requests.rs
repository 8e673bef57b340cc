//! `cargo +stable fuzz run --sanitizer none requests`; what it does is in `src/lib.rs`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| zk_fuzz::run("requests", data));
