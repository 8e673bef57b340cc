//! A line to the server that can be held: who dials waits until it is let through.
//!
//! Must not know what is played. It makes a race certain: who writes first after the server came back.

use std::net::SocketAddr;
use tokio::sync::watch;
use zk_client::{Dial, Dialed, HostPort, TcpDial, Transport};

/// Opens and closes the line.
pub(super) struct Gate(watch::Sender<bool>);

impl Gate {
    /// An open gate.
    pub(super) fn open() -> Self {
        Self(watch::Sender::new(true))
    }

    /// Whether connections are let through.
    pub(super) fn set_open(&self, open: bool) {
        self.0.send_replace(open);
    }

    /// The dialer that waits at the gate.
    pub(super) fn dial(&self) -> impl Dial {
        Gated(self.0.subscribe())
    }
}

struct Gated(watch::Receiver<bool>);

impl Dial for Gated {
    fn resolve<'a>(&'a self, host: &'a HostPort) -> Dialed<'a, Vec<SocketAddr>> {
        TcpDial.resolve(host)
    }

    fn dial<'a>(&'a self, host: &'a HostPort, addr: SocketAddr) -> Dialed<'a, Box<dyn Transport>> {
        let mut open = self.0.clone();
        Box::pin(async move {
            // An error means that the demo is over; it does not matter any more.
            drop(open.wait_for(|open| *open).await);
            TcpDial.dial(host, addr).await
        })
    }
}
