//! What a measured value says of itself, and the clock that it is measured by.
//!
//! The contract (peers.md): 100 bytes; bytes 0-7 the sequence number, 8-15 the scheduled send time in
//! `CLOCK_MONOTONIC` nanoseconds, big-endian. All processes of a machine share that clock.

use rustix::time::{ClockId, clock_gettime};

/// Bytes of a value.
pub(crate) const VALUE_LEN: usize = 100;
/// The sequence number of values that are not measured.
pub(crate) const WARM_UP: u64 = 0;
/// The sequence number of the last value.
pub(crate) const END: u64 = u64::MAX;

/// The first 16 bytes of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) sequence: u64,
    pub(crate) scheduled_ns: u64,
}

impl Stamp {
    /// The stamp of a value; `None` if the value is too short to have one.
    pub(crate) fn read(value: &[u8]) -> Option<Self> {
        let (sequence, rest) = value.split_first_chunk()?;
        let scheduled_ns = u64::from_be_bytes(*rest.first_chunk()?);
        Some(Self { sequence: u64::from_be_bytes(*sequence), scheduled_ns })
    }

    /// A whole value with this stamp.
    pub(crate) fn value(self) -> [u8; VALUE_LEN] {
        let mut value = [b'.'; VALUE_LEN];
        let stamp = self.sequence.to_be_bytes().into_iter().chain(self.scheduled_ns.to_be_bytes());
        value.iter_mut().zip(stamp).for_each(|(to, from)| *to = from);
        value
    }
}

/// `CLOCK_MONOTONIC`, in nanoseconds.
pub(crate) fn now_ns() -> u64 {
    nanoseconds(ClockId::Monotonic)
}

/// CPU time of this process, user and system, in nanoseconds.
pub(crate) fn cpu_ns() -> u64 {
    nanoseconds(ClockId::ProcessCPUTime)
}

/// CPU time of this thread, in nanoseconds.
pub(crate) fn thread_cpu_ns() -> u64 {
    nanoseconds(ClockId::ThreadCPUTime)
}

fn nanoseconds(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    // No clock is ever below zero.
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_as_the_contract_says() {
        let value = Stamp { sequence: 0x0102, scheduled_ns: 0x0A0B_0C0D_0E0F }.value();
        assert_eq!(value.len(), 100);
        assert_eq!(value[..16], [0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0x0A, 0x0B, 0x0C, 0x0D, 0x0E, 0x0F]);
        assert_eq!(Stamp::read(&value), Some(Stamp { sequence: 0x0102, scheduled_ns: 0x0A0B_0C0D_0E0F }));
    }

    #[test]
    fn a_short_value_has_no_stamp() {
        assert_eq!(Stamp::read(&[0; 15]), None);
        assert_eq!(Stamp::read(b""), None);
    }

    #[test]
    fn clocks_go_on() {
        let (time, cpu, thread) = (now_ns(), cpu_ns(), thread_cpu_ns());
        assert!(time > 0 && now_ns() >= time && cpu_ns() >= cpu && thread_cpu_ns() >= thread);
    }
}
