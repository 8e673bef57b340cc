//! From the options to a session.
//!
//! Must not know what the session is for.

use crate::{args::Options, error::Failure, security::in_options, text};
use std::time::Duration;
use tokio::time::timeout;
use zk_client::{Client, ConnectString, Connector, Error, Interruption};

/// Values are at most 1 MB, but the names of a znode's children together may be more.
const REPLY_LEN_MAX: usize = 64 << 20;

/// One operator with one client, who waits for it: there is nobody to keep out of step with.
pub(crate) const RECONNECT_SPREAD: Duration = Duration::from_millis(250);

/// What the options say, checked; nothing is sent yet.
pub(crate) fn connector(options: &Options) -> Result<Connector, Failure> {
    let connector = Connector::new(&options.connect)
        .map_err(|error| Failure::says(format!("{error} (from --connect or ZK_CONNECT)")))?
        .session_timeout(options.session_timeout)
        .reconnect_spread(RECONNECT_SPREAD)
        .reply_len_max(REPLY_LEN_MAX);
    options.security.apply(connector)
}

/// A session, or the one line that says why there is none.
pub(crate) async fn connect(options: &Options) -> Result<Client, Failure> {
    open(connector(options)?, options).await
}

/// A session from a connector of [`connector`].
pub(crate) async fn open(connector: Connector, options: &Options) -> Result<Client, Failure> {
    // Without patience of its own the connector ends when it has tried every server once.
    let connecting = connector.connect_timeout(Duration::ZERO).connect();
    match timeout(options.timeout, connecting).await {
        Ok(Ok(client)) => Ok(client),
        Ok(Err(error)) => Err(Failure::says(unreachable(&error))),
        Err(_) => Err(Failure::says(format!(
            "no answer from {} within {}; check --connect (or ZK_CONNECT), or wait longer with --timeout",
            hosts(&options.connect),
            text::time(options.timeout),
        ))),
    }
}

fn unreachable(error: &Error) -> String {
    if matches!(error, Error::Interrupted { by: Interruption::AuthFailed, .. }) {
        return "the server does not accept the credentials; check --auth".to_owned();
    }
    if let Error::Interrupted { by: Interruption::SaslFailed(why), .. } = error {
        return format!("{why}; check --sasl-user and its password");
    }
    format!("{}; check --connect (or ZK_CONNECT), and that ZooKeeper runs there", in_options(&error.to_string()))
}

/// The servers of a connect string that was parsed before.
fn hosts(connect: &str) -> String {
    let parsed: Result<ConnectString, _> = connect.parse();
    let hosts = parsed.map(|parsed| parsed.hosts().iter().map(ToString::to_string).collect::<Vec<_>>());
    hosts.unwrap_or_default().join(", ")
}
