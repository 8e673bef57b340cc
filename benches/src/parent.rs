//! The end of the process that started this one, which a watcher that it started must not outlive.
//!
//! A harness that is killed cannot end its watchers, but the kernel closes its end of their stdin. Only a harness that asks
//! for it gets this: under any other, stdin may be closed from the start. Must not know who runs here.

use std::{env, io, process, thread};

/// Set by a harness that holds the other end of stdin as long as it lives.
pub(crate) const ENDS_WITH_STDIN: &str = "ZK_BENCH_ENDS_WITH_STDIN";

/// Ends this process when stdin ends, if whoever started it asked for that.
pub(crate) fn end_with_it() {
    if env::var_os(ENDS_WITH_STDIN).is_some() {
        thread::spawn(|| {
            // An error is an end too.
            let _ = io::copy(&mut io::stdin(), &mut io::sink());
            process::exit(1);
        });
    }
}
