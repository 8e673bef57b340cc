//! Free ports of the loopback interface.
//!
//! Must not know what listens on them later.
//!
//! They are taken from below the range from which the kernel gives ports to outgoing connections. A port from inside
//! it may be gone when a killed server wants it back, and a client that keeps dialing a dead server on such a port
//! connects to *itself* sooner or later (a TCP simultaneous open, when the kernel picks the same port as source).

use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};

/// Ports below belong to well-known services more often than not.
const PORT_MIN: u16 = 10_000;
/// Where ports of outgoing connections begin, if the system does not say; Linux's default.
const OUTGOING_MIN: u16 = 32_768;
/// A range smaller than this is not worth picking from.
const CHOICE_MIN: u16 = 1_000;
/// Picks of one port before the kernel is asked for any free one.
const PICKS_MAX: usize = 100;

/// Binds that many free ports; they are taken for as long as the listeners live.
pub(super) fn reserve(count: usize) -> io::Result<Vec<TcpListener>> {
    let end = outgoing_min();
    (0..count).map(|_| reserve_one(end)).collect()
}

fn reserve_one(end: u16) -> io::Result<TcpListener> {
    if end >= PORT_MIN + CHOICE_MIN {
        let picks = (0..PICKS_MAX).map(|_| fastrand::u16(PORT_MIN..end));
        for port in picks {
            if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
                return Ok(listener);
            }
        }
    }
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
}

fn outgoing_min() -> u16 {
    fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range")
        .ok()
        .and_then(|range| range.split_whitespace().next()?.parse().ok())
        .unwrap_or(OUTGOING_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn reserved_ports_differ_and_are_taken() {
        let listeners = reserve(9).unwrap();
        let ports: HashSet<u16> = listeners.iter().map(|one| one.local_addr().unwrap().port()).collect();
        assert_eq!(ports.len(), 9);
        for port in ports {
            assert!(TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_err());
        }
    }
}
