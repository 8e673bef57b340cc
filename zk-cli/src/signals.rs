//! Being told to stop: Ctrl-C, and what service managers send.
//!
//! Must not know what is stopped. Unix only, as the launcher of the demo is.

use std::{future::Future, io};
use tokio::signal::unix::{SignalKind, signal};

/// Waits until we are told to stop. From the call on, the signals do not kill the process any more.
pub(crate) fn stop() -> io::Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}
