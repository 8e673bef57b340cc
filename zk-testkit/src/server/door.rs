//! A listening socket that can be closed and opened again on the same port.
//!
//! Must not know what is said on its connections.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::{
    net::{TcpListener, TcpSocket},
    task::JoinHandle,
};

use super::{hub::Hub, line};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

#[derive(Debug)]
pub(super) struct Door {
    addr: SocketAddr,
    /// Bound and never listening: while the door is shut, nobody else is given the port, and no client that dials it
    /// can end up connected to itself.
    _reservation: TcpSocket,
    accepting: Mutex<Option<JoinHandle<()>>>,
}

impl Door {
    /// Reserves an address; port 0 is any free one.
    pub(super) fn new(addr: SocketAddr) -> io::Result<Self> {
        let reservation = socket(addr)?;
        let addr = reservation.local_addr()?;
        Ok(Self { addr, _reservation: reservation, accepting: Mutex::new(None) })
    }

    pub(super) const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Listens, unless it does.
    pub(super) fn open(&self, hub: &Arc<Hub>, member: usize) -> io::Result<()> {
        let mut accepting = self.accepting.lock().unwrap_or_else(PoisonError::into_inner);
        if accepting.is_none() {
            let listener = socket(self.addr)?.listen(BACKLOG)?;
            *accepting = Some(tokio::spawn(accept(Arc::clone(hub), member, listener)));
        }
        Ok(())
    }

    /// Refuses connections from now on; those that stand are left alone.
    pub(super) async fn shut(&self) {
        let accepting = self.accepting.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = accepting {
            task.abort();
            // waits until the listener is closed; the task was aborted, and so ends with an error
            let _ = task.await;
        }
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        if let Some(task) = self.accepting.get_mut().unwrap_or_else(PoisonError::into_inner) {
            task.abort();
        }
    }
}

fn socket(addr: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if addr.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(addr)?;
    Ok(socket)
}

async fn accept(hub: Arc<Hub>, member: usize, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                tokio::spawn(line::serve(Arc::clone(&hub), member, stream, peer));
            }
            // the client was faster, or there are no descriptors left for a moment
            Err(_) => tokio::task::yield_now().await,
        }
    }
}
