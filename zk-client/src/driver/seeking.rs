//! The search for a server that takes writes, while a read-only one serves us.
//!
//! Servers are asked by four-letter words over connections of their own, without a session, so that the one that serves us keeps
//! doing so until a better one is known. It is a future in the driver's task. Source: protocol.md section 5.

use super::{Driver, hosts::racing, servers::MOVE_PATIENCE};
use crate::{connect_string::HostPort, dial::Dial};
use std::{collections::VecDeque, future::Future, net::SocketAddr, pin::Pin, sync::Arc, time::Duration};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use zk_proto::words::{FourLetterWord, IsReadOnly, ServerMode, ServerStatus, WordError};

/// The longest pause before the first search; doubles with each that finds nobody.
const PAUSE_MIN: Duration = Duration::from_secs(1);

/// No pause is longer.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// What is read of an answer. `srvr` says less than a kilobyte.
const ANSWER_BYTES_MAX: u64 = 8 * 1024;

/// A server that takes writes.
pub(super) type Found = (HostPort, SocketAddr);

/// A search under way.
pub(super) type Seeking = Pin<Box<dyn Future<Output = Found> + Send>>;

impl Driver {
    /// Begins a search, or ends one.
    pub(super) fn seek(&mut self, is_read_only: bool) {
        let patience = self.hosts.patience(self.settings.session.timeout, None);
        self.seeking = is_read_only
            .then(|| Box::pin(seek(self.settings.dial.clone(), self.hosts.list().to_vec(), patience)) as Seeking);
        self.others.ask_again();
    }

    /// There is a server that takes writes: go there, once nothing is on its way.
    pub(super) fn found(&mut self, (host, addr): Found) {
        self.seeking = None;
        if self.connection.is_some() {
            tracing::info!(server = %host, %addr, "found a server that takes writes");
            self.hosts.go_to(&host, addr);
            self.moving_by = Some(self.turn_at + MOVE_PATIENCE);
        }
    }
}

async fn seek(dial: Arc<dyn Dial>, mut hosts: Vec<HostPort>, patience: Duration) -> Found {
    let mut pause = PAUSE_MIN;
    loop {
        // Not from zero: a search costs every server a connection.
        tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
        pause = pause.saturating_mul(2).min(PAUSE_MAX);
        fastrand::shuffle(&mut hosts);
        for host in &hosts {
            if let Some(addr) = takes_writes(&*dial, host, patience).await {
                return (host.clone(), addr);
            }
        }
    }
}

/// The address at which a host takes writes.
async fn takes_writes(dial: &dyn Dial, host: &HostPort, patience: Duration) -> Option<SocketAddr> {
    let (addr, answer) = ask(dial, host, VecDeque::new(), FourLetterWord::ISRO, patience).await?;
    match IsReadOnly::parse(&answer) {
        Ok(IsReadOnly(is_read_only)) => (!is_read_only).then_some(addr),
        // The one word that is nearly always allowed.
        Err(WordError::NotWhitelisted { .. }) => {
            let (addr, answer) = ask(dial, host, [addr].into(), FourLetterWord::SRVR, patience).await?;
            let status = ServerStatus::parse(&answer).ok()?;
            (!status.read_only && status.mode != ServerMode::ReadOnly).then_some(addr)
        }
        Err(_) => None,
    }
}

/// Asks a host; the answer ends with the connection.
async fn ask(
    dial: &dyn Dial,
    host: &HostPort,
    addrs: VecDeque<SocketAddr>,
    word: FourLetterWord,
    patience: Duration,
) -> Option<(SocketAddr, String)> {
    let (_, addr, mut transport) = racing::attempt(dial, host, addrs, patience).await.stands?;
    let mut answer = Vec::new();
    let exchange = async {
        transport.write_all(word.as_bytes()).await?;
        transport.flush().await?;
        transport.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).await
    };
    // A server that resets the connection behind its answer has answered all the same.
    drop(tokio::time::timeout(patience, exchange).await);
    Some((addr, String::from_utf8_lossy(&answer).into_owned()))
}
