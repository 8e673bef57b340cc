//! From a connector to its driver, and the wait for the first session.

use super::Connector;
#[cfg(feature = "tls")]
use super::Settings;
use crate::{
    client::{Client, Shared},
    connect_string::Servers,
    driver::{Driver, Ends, Progress},
    error::{Error, Unreachable},
    own_thread,
    session_events::Announcer,
    state::SessionState,
};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};
use zk_proto::{OpCode, session::Outcome};

/// Operations that may wait for the driver.
const QUEUE_LEN_MAX: usize = 65_536;

impl Connector {
    pub(super) fn start(self) -> (Client, watch::Receiver<Progress>) {
        let (servers, chroot) = self.servers.into_parts();
        let (commands_in, commands) = mpsc::channel(QUEUE_LEN_MAX);
        let (state_in, state, events) = Announcer::new(SessionState::Connecting { expired: None });
        let nothing = Progress { rounds: 0, unreachable: Unreachable { attempts: Vec::new(), behind: None } };
        let (progress_in, progress) = watch::channel(nothing);
        let (credentials_in, credentials) = watch::channel(None);
        let shared = Shared {
            commands: commands_in,
            root: chroot.clone(),
            queue_len_max: QUEUE_LEN_MAX,
            request_len_max: self.settings.request_len_max,
            state,
            progress: progress.clone(),
            credentials,
            sweep: Arc::default(),
            events,
        };
        let ends = Ends {
            commands,
            sweep: shared.sweep.clone(),
            state: state_in,
            progress: progress_in,
            credentials: credentials_in,
        };
        let client = Client::new(shared, chroot, self.call_timeout);
        let settings = self.settings;
        #[cfg(feature = "tls")]
        let settings = match self.tls {
            Some(tls) => Settings { dial: tls.over(settings.dial), ..settings },
            None => settings,
        };
        let port = the_port(&servers);
        let encrypts = settings.dial.encrypts();
        let mut driver = Driver::new(settings, servers, ends);
        driver.present(&self.auth);
        match (self.track_config, encrypts) {
            (false, _) => {}
            (true, true) if port.is_none() => tracing::warn!("servers have different ports for TLS; none are followed"),
            (true, _) => driver.track_config(port.filter(|_| encrypts)),
        }
        if self.own_thread {
            tokio::spawn(own_thread::run(driver.run()));
        } else {
            tokio::spawn(driver.run());
        }
        (client, progress)
    }
}

/// The port of all servers, if it is one.
fn the_port(servers: &Servers) -> Option<u16> {
    let Servers::Listed(servers) = servers else { return None };
    let port = servers.first()?.port;
    servers.iter().all(|server| server.port == port).then_some(port)
}

/// Waits for the first session.
pub(super) async fn established(
    client: &Client,
    mut progress: watch::Receiver<Progress>,
    patience: Duration,
) -> Result<(), Error> {
    let mut state = client.state();
    let give_up_at = Instant::now() + patience;
    loop {
        match *state.borrow_and_update() {
            SessionState::Connected { .. } => return Ok(()),
            SessionState::Ended(end) => {
                let by = end.interruption();
                return Err(Error::Interrupted { op: OpCode::CREATE_SESSION, by, outcome: Outcome::NotSent });
            }
            SessionState::Connecting { .. } | SessionState::Suspended { .. } => {}
        }
        let tried_all = progress.borrow_and_update().rounds > 0;
        if tried_all && Instant::now() >= give_up_at {
            return Err(Error::Unreachable(progress.borrow().unreachable.clone()));
        }
        tokio::select! {
            changed = state.changed() => if changed.is_err() {
                return Err(Error::Unreachable(progress.borrow().unreachable.clone()));
            },
            _ = progress.changed() => {}
            () = tokio::time::sleep_until(give_up_at), if tried_all => {}
        }
    }
}
