//! Follows the ensemble's own configuration: a consumer in the driver that reads and watches `/zookeeper/config`, and says
//! which servers clients are to use.
//!
//! Knows nothing of connections. What it says is the peer's word, so it is taken only if it is whole.

use crate::{
    connect_string::{ConnectString, HostPort, SERVERS_MAX},
    ensemble::{CONFIG_PATH, parse, where_clients_go},
    inline::{Answer, Inline, InlineState, Input, Refusal, Requests},
};
use std::time::Duration;
use tokio::time::Instant;
use zk_proto::{WatchMode, Zxid};

/// All clients hear of a change in the same moment. Each waits for some part of this, so that those who have to move do not
/// come to another server together.
const SPREAD: Duration = Duration::from_secs(4);

const WATCH: u64 = 0;
const READ: u64 = 1;

/// Where it stands.
#[derive(Debug)]
pub(crate) struct Tracker {
    /// The port of all servers where it is not the configuration's: that one names no port for TLS.
    port: Option<u16>,
    is_watching: bool,
    has_followed: bool,
    /// The last configuration that was followed.
    version: Option<Zxid>,
    /// When these are to be used.
    next: Option<(Instant, Vec<HostPort>)>,
}

impl Tracker {
    pub(crate) const fn new(port: Option<u16>) -> Self {
        Self { port, is_watching: false, has_followed: false, version: None, next: None }
    }

    fn read(&mut self, text: &str, now: Instant) {
        let (version, members) = parse(text);
        // A server that stands alone has no version; one that lags has an old one.
        if version.is_none() || version <= self.version {
            return;
        }
        let members = if members.len() > SERVERS_MAX { &[] } else { &*members };
        let servers =
            where_clients_go(members).and_then(|servers| servers.parse::<ConnectString>().ok()?.into_list().ok());
        let Some((mut servers, _)) = servers else {
            tracing::warn!(
                ?version,
                "the ensemble's configuration does not say where clients reach each member; not followed"
            );
            return;
        };
        if let Some(port) = self.port {
            servers.iter_mut().for_each(|server| server.port = port);
        }
        // Nobody moves for the first one.
        let pause = if self.has_followed { SPREAD.mul_f64(fastrand::f64()) } else { Duration::ZERO };
        self.has_followed = true;
        self.version = version;
        self.next = Some((now + pause, servers));
    }
}

impl Inline for Tracker {
    fn handle(&mut self, input: Input<'_>, requests: &mut Requests<'_>) {
        match input {
            Input::State(InlineState::Connected { new_session, .. }) => {
                if new_session {
                    // It may be another ensemble, whose configurations count anew.
                    self.version = None;
                }
                if !std::mem::replace(&mut self.is_watching, true) {
                    requests.watch(WATCH, CONFIG_PATH, WatchMode::PERSISTENT);
                }
                requests.get_data(READ, CONFIG_PATH);
            }
            Input::Event(_) => requests.get_data(READ, CONFIG_PATH),
            Input::Answer { answer: Answer::Data(text, _), .. } => match std::str::from_utf8(&text) {
                Ok(text) => self.read(text, requests.now()),
                Err(error) => tracing::warn!(%error, "the ensemble's configuration is no text"),
            },
            // Without a watch, as on servers before 3.6, it is read on each connection.
            Input::Answer { token, answer: Answer::Refused(why), .. } => refused(token, why),
            Input::Answer { .. }
            | Input::State(InlineState::Disconnected | InlineState::Expired | InlineState::Ended(_))
            | Input::Interrupted { .. }
            | Input::Bookmark(_) => {}
        }
    }

    fn flush(&mut self, requests: &mut Requests<'_>) {
        if let Some((_, servers)) = self.next.take_if(|(at, _)| *at <= requests.now()) {
            *requests.followed = Some(servers);
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.next.as_ref().map(|(at, _)| *at)
    }

    fn is_done(&self) -> bool {
        false
    }
}

fn refused(token: u64, why: Refusal) {
    let what = if token == WATCH { "watched" } else { "read" };
    tracing::info!(?why, "the ensemble's configuration cannot be {what}");
}
