//! One attempt on one host: its addresses race for the first transport that stands (in the manner of RFC 8305).
//!
//! They start one after the other, so that a server that answers is not dialed twice; but one that hangs, because packets to it
//! vanish, holds nobody up. Knows nothing of other hosts, and nothing of pauses.

use super::{Attempt, Attempted};
use crate::{
    connect_string::HostPort,
    dial::{Dial, Dialed, Transport},
};
use std::{collections::VecDeque, io, net::SocketAddr, task::Poll, time::Duration};
use tokio::time::{Instant, timeout_at};

/// How long an address is waited for before the next one starts, too; RFC 8305's recommendation. It also bounds how many are
/// dialed at once: those that start within the attempt's patience.
const HEAD_START: Duration = Duration::from_millis(250);

/// Addresses of a name that are tried at an attempt. No ensemble has as many servers; more come from a resolver that is broken
/// or means harm, and the name is asked again at the next attempt.
const ADDRS_MAX: usize = 64;

/// An address on its way to a transport.
type Runner<'a> = (SocketAddr, Dialed<'a, Box<dyn Transport>>);

/// Tries the addresses that are left of a host, or else all that its name has now.
pub(in crate::driver) async fn attempt(
    dial: &dyn Dial,
    host: &HostPort,
    rest: VecDeque<SocketAddr>,
    patience: Duration,
) -> Attempted {
    let until = Instant::now() + patience;
    let mut attempted = Attempted { stands: None, failed: Vec::new(), rest, servers: None };
    if attempted.rest.is_empty() {
        let why = match timeout_at(until, dial.resolve(host)).await {
            Ok(Ok(mut addrs)) => {
                if addrs.len() > ADDRS_MAX {
                    tracing::debug!(%host, addrs = addrs.len(), tried = ADDRS_MAX, "the name has more addresses than are tried");
                    addrs.truncate(ADDRS_MAX);
                    addrs.shrink_to_fit();
                }
                attempted.rest = addrs.into();
                attempted.rest.is_empty().then(|| "the name has no address".to_owned())
            }
            Ok(Err(error)) => Some(format!("the name does not resolve: {error}")),
            Err(_) => Some(format!("resolving the name took longer than {patience:?}")),
        };
        if let Some(why) = why {
            attempted.failed.push(Attempt { server: host.to_string(), why });
            return attempted;
        }
    }
    race(dial, host, &mut attempted, until, patience).await;
    attempted
}

async fn race(dial: &dyn Dial, host: &HostPort, attempted: &mut Attempted, until: Instant, patience: Duration) {
    let mut runners: Vec<Runner<'_>> = Vec::new();
    let lost = |(addr, why): (SocketAddr, String)| Attempt { server: server(host, addr), why };
    loop {
        if let Some(addr) = attempted.rest.pop_front() {
            runners.push((addr, dial.dial(host, addr)));
        }
        if runners.is_empty() {
            return;
        }
        let is_last = attempted.rest.is_empty();
        let wake = if is_last { until } else { until.min(Instant::now() + HEAD_START) };
        match timeout_at(wake, first(&mut runners)).await {
            Ok((addr, Ok(transport))) => {
                attempted.stands = Some((server(host, addr), addr, transport));
                let slower = |(addr, _)| (addr, "was slower than another address of the host".to_owned());
                attempted.failed.extend(runners.into_iter().map(slower).map(lost));
                return;
            }
            // The next one starts at once.
            Ok((addr, Err(error))) => attempted.failed.push(lost((addr, error.to_string()))),
            Err(_) if wake < until => {}
            Err(_) => {
                let late = |(addr, _)| (addr, format!("connecting took longer than {patience:?}"));
                attempted.failed.extend(runners.into_iter().map(late).map(lost));
                return;
            }
        }
    }
}

/// Waits for the first runner that is done, and takes it out.
async fn first(runners: &mut Vec<Runner<'_>>) -> (SocketAddr, io::Result<Box<dyn Transport>>) {
    std::future::poll_fn(|cx| {
        for at in 0..runners.len() {
            if let Some((addr, dialed)) = runners.get_mut(at)
                && let Poll::Ready(result) = dialed.as_mut().poll(cx)
            {
                let addr = *addr;
                drop(runners.remove(at));
                return Poll::Ready((addr, result));
            }
        }
        Poll::Pending
    })
    .await
}

/// A host as it is told of, with the address where that says more.
fn server(host: &HostPort, addr: SocketAddr) -> String {
    if host.host.parse() == Ok(addr.ip()) { host.to_string() } else { format!("{host} ({addr})") }
}
