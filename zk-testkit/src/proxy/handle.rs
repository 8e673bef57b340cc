//! Starting a proxy, breaking its wires, and seeing what went by.
//!
//! Must not know how bytes are carried.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{io::DuplexStream, net::TcpStream};

use super::{
    fault::{End, Line, Rule},
    frames::{FrameSeen, Towards},
    shell::{self, Hub, Traffic},
};
use crate::{door::Door, server::TestServer};

/// The seed of a proxy that does not say otherwise.
const SEED: u64 = 1;

/// Connections that may wait where nobody accepts them.
const HELD_MAX: u32 = 128;

/// Bytes on their way in one direction of a connection that is no socket.
const PIPE_LEN: usize = 64 * 1024;

/// What happens to who connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connects {
    /// They are connected to the target; if that refuses, they are reset.
    Accept,
    /// They are refused.
    Refuse,
    /// They are connected, and nobody is there: nothing they say is read. When they are accepted again, these are reset.
    Hold,
    /// Nothing answers: a dial hangs until it gives up, as towards a host that is down. Linux only; elsewhere one
    /// or another may be connected. The kernel tries again, so a dial may succeed when they are accepted again.
    Ignore,
}

/// Between clients and one server, on a port of the loopback interface. It ends, with all its connections, when it is
/// dropped.
#[derive(Debug)]
pub struct Proxy {
    hub: Arc<Hub>,
    door: Door,
    target: Arc<Mutex<SocketAddr>>,
    /// Who takes the room that others are not to have; see [`Connects::Ignore`].
    blocker: Mutex<Option<TcpStream>>,
}

/// What kind of proxy to start.
#[derive(Clone, Debug)]
#[must_use = "nothing runs before `start`"]
pub struct Builder {
    seed: u64,
}

impl Builder {
    /// Where chance comes from: jitter, corrupted bytes, frames that are picked. Print it when a test fails.
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Starts a proxy to this address, to which it connects once for each client.
    ///
    /// # Errors
    /// No socket could be had.
    #[expect(clippy::unused_async, reason = "starting spawns a task: async makes a runtime certain")]
    pub async fn start(self, target: SocketAddr) -> io::Result<Proxy> {
        let target = Arc::new(Mutex::new(target));
        let proxy = Proxy { hub: Hub::new(self.seed), door: Door::anywhere()?, target, blocker: Mutex::default() };
        proxy.accept()?;
        Ok(proxy)
    }
}

impl Proxy {
    /// Starts a proxy to this address.
    ///
    /// # Errors
    /// No socket could be had.
    pub async fn start(target: SocketAddr) -> io::Result<Self> {
        Self::builder().start(target).await
    }

    /// Starts with something else than [`start`](Self::start) does.
    pub const fn builder() -> Builder {
        Builder { seed: SEED }
    }

    fn accept(&self) -> io::Result<()> {
        let (hub, target) = (Arc::clone(&self.hub), Arc::clone(&self.target));
        self.door.open(move |client, _| {
            let target = *target.lock().unwrap_or_else(PoisonError::into_inner);
            tokio::spawn(shell::connect(Arc::clone(&hub), client, TcpStream::connect(target)));
        })
    }

    /// Where it listens, also while it does not.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.door.addr()
    }

    /// The address as a client is told it.
    #[must_use]
    pub fn connect_string(&self) -> String {
        self.addr().to_string()
    }

    /// Connects those who come from now on to another server.
    pub fn set_target(&self, target: SocketAddr) {
        *self.target.lock().unwrap_or_else(PoisonError::into_inner) = target;
    }

    /// A connection through this proxy to a server in this process, without sockets, so that tests may pause tokio's
    /// clock. A reset looks like an ordinary end there.
    #[must_use]
    pub fn pipe_to(&self, server: &TestServer) -> DuplexStream {
        let (client, ours) = tokio::io::duplex(PIPE_LEN);
        tokio::spawn(shell::join(Arc::clone(&self.hub), ours, server.pipe()));
        client
    }

    /// Changes a direction of all connections, those that stand and those to come.
    pub fn set_line(&self, towards: Towards, change: impl FnOnce(&mut Line)) {
        let mut state = self.hub.lock();
        let standing = state.standing(towards);
        change(&mut standing.line);
        let line = standing.line.clone();
        state.each(|pipe| pipe.set_line(towards, line.clone()));
    }

    /// Adds a rule for a direction of all connections, those that stand and those to come. A rule that acts once acts
    /// once on all of them together.
    pub fn script(&self, towards: Towards, rule: Rule) {
        let now = self.hub.now();
        let mut state = self.hub.lock();
        state.standing(towards).rules.push(rule.clone());
        state.each(|pipe| pipe.add_rule(now, towards, rule.clone()));
    }

    /// Both lines are healthy again, and all rules are gone.
    pub fn heal(&self) {
        for towards in [Towards::Server, Towards::Client] {
            self.set_line(towards, |line| *line = Line::default());
        }
        let mut state = self.hub.lock();
        for towards in [Towards::Server, Towards::Client] {
            state.standing(towards).rules.clear();
        }
        state.each(super::Pipe::clear_rules);
    }

    /// Ends every connection now; what is on its way does not arrive. [`End::HalfClose`] sends a FIN to both sides.
    pub fn end_all(&self, how: End) {
        self.hub.lock().each(|pipe| pipe.abandon(how));
    }

    /// Decides what happens to who connects from now on. Connections that stand are left alone.
    ///
    /// # Errors
    /// The port could not be listened on.
    pub async fn set_connects(&self, connects: Connects) -> io::Result<()> {
        self.door.shut().await;
        let blocker = match connects {
            Connects::Accept => {
                self.accept()?;
                None
            }
            Connects::Refuse => None,
            Connects::Hold => {
                self.door.ajar(HELD_MAX)?;
                None
            }
            Connects::Ignore => {
                self.door.ajar(0)?;
                Some(TcpStream::connect(self.addr()).await?)
            }
        };
        *self.blocker.lock().unwrap_or_else(PoisonError::into_inner) = blocker;
        Ok(())
    }

    /// How many connections stand.
    #[must_use]
    pub fn links(&self) -> usize {
        self.hub.lock().links()
    }

    /// What went in a direction, over all connections.
    #[must_use]
    pub fn traffic(&self, towards: Towards) -> Traffic {
        self.hub.lock().standing(towards).traffic
    }

    /// The last 65,536 frames that came, in the order of their heads.
    #[must_use]
    pub fn frames(&self) -> Vec<FrameSeen> {
        self.hub.lock().log.iter().copied().collect()
    }

    /// Gives the frames and forgets them.
    #[must_use]
    pub fn take_frames(&self) -> Vec<FrameSeen> {
        std::mem::take(&mut self.hub.lock().log).into()
    }

    /// Waits for a frame, which may have come already, and gives the first such. Has no limit of time: put one around
    /// it.
    pub async fn wait_for(&self, mut is_wanted: impl FnMut(&FrameSeen) -> bool) -> FrameSeen {
        self.hub.changed(|state| state.log.iter().find(|frame| is_wanted(frame)).copied()).await
    }

    /// Waits until no connection stands. Has no limit of time.
    pub async fn drained(&self) {
        self.hub.changed(|state| (state.links() == 0).then_some(())).await;
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.end_all(End::Reset);
    }
}
