//! The oracle for memory: what a peer sends may cost twice its length and a little more, never what it claims.

/// What handling anything may cost beside its length, in bytes: queues and the like that start empty.
const ALLOWANCE_BYTES: usize = 4096;

/// Runs something on `len` bytes of a peer.
///
/// # Panics
/// When its heap grows, at any moment, beyond 2 x `len` + 4 KiB (reliability.md section 2a, W14).
pub fn bounded<R>(len: usize, run: impl FnOnce() -> R) -> R {
    let mut result = None;
    let used = allocation_counter::measure(|| result = Some(run()));
    let limit = 2 * len + ALLOWANCE_BYTES;
    assert!(used.bytes_max <= limit as u64, "{len} bytes made the heap grow by {} bytes, over {limit}", used.bytes_max);
    result.expect("it ran")
}
