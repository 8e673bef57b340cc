//! Where no session has a thread of its own: systems other than Linux.

use crate::dial::{Transport, in_task};
use std::{future::Future, io};
use tokio::net::TcpStream;

/// Runs a driver.
pub(crate) async fn run(driver: impl Future<Output = ()> + Send + 'static) {
    driver.await;
}

/// The transport over a connection that stands.
pub(crate) fn transport(stream: TcpStream) -> io::Result<Box<dyn Transport>> {
    Ok(in_task(stream))
}
