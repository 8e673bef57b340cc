//! Follows the ensemble's configuration, so that the list of servers is the ensemble's own.
//!
//! A consumer in the driver like any other, with the server's root whatever the client's chroot is. What the znode holds is a
//! peer's text: what cannot be read of it is left out, and a list without servers changes nothing.

use super::Driver;
use crate::{
    connect_string::{ConnectString, HostPort},
    ensemble::{CONFIG_PATH, EnsembleConfig},
    inline::{Answer, Inline, InlineState, Input, Requests, Token},
};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::time::Instant;
use zk_proto::{WatchMode, path::Chroot, records::GetDataResponse};

const WATCHED: Token = 0;
const READ: Token = 1;

/// Members that are believed: more than an ensemble has, and no list that a text of a megabyte could make.
const SERVERS_MAX: usize = 1_000;

/// The newest list, until the driver takes it.
#[derive(Clone, Debug, Default)]
pub(super) struct Tracked(Arc<Mutex<Option<Vec<HostPort>>>>);

/// The consumer.
#[derive(Debug)]
struct Tracker {
    list: Vec<HostPort>,
    tracked: Tracked,
    is_watching: bool,
}

impl Driver {
    /// Begins to follow, if that is wanted.
    pub(crate) fn track_config(&mut self) {
        if self.settings.track_config
            && let Ok(root) = Chroot::new("")
        {
            let tracked = self.tracked.clone();
            self.attach(Box::new(Tracker { list: Vec::new(), tracked, is_watching: false }), Arc::new(root));
        }
    }

    /// Takes over what the configuration said last.
    pub(super) fn take_tracked(&mut self) {
        let list = self.tracked.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(list) = list {
            self.update_servers(list);
        }
    }
}

impl Inline for Tracker {
    fn handle(&mut self, input: Input<'_>, requests: &mut Requests<'_>) {
        match input {
            Input::State(InlineState::Connected { .. }) => {
                if !std::mem::replace(&mut self.is_watching, true) {
                    requests.watch(WATCHED, CONFIG_PATH, WatchMode::PERSISTENT);
                }
                // Events of the time without a connection are not replayed.
                requests.get_data(READ, CONFIG_PATH);
            }
            Input::Event(_) => requests.get_data(READ, CONFIG_PATH),
            Input::Answer { token: READ, answer: Answer::Data(data, stat), .. } => {
                let config = EnsembleConfig::new(GetDataResponse { data: Some(data), stat });
                let Ok(servers) = config.connect_string().parse::<ConnectString>() else { return };
                let (servers, _) = servers.into_parts();
                if servers != self.list && servers.len() <= SERVERS_MAX {
                    self.list.clone_from(&servers);
                    *self.tracked.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(servers);
                }
            }
            // Where it may not be read, or is not there, the list stays as it is.
            Input::Answer { .. } | Input::State(_) | Input::Interrupted { .. } | Input::Bookmark(_) => {}
        }
    }

    fn flush(&mut self, _requests: &mut Requests<'_>) {}

    fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    fn is_done(&self) -> bool {
        false
    }
}
