//! A listening socket that can be closed and opened again on the same port.
//!
//! Must not know what is said on its connections.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Mutex, PoisonError},
};

use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    task::JoinHandle,
};

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1024;

#[derive(Debug)]
pub(crate) struct Door {
    addr: SocketAddr,
    /// Bound and never listening: while the door is shut, nobody else is given the port, and no client that dials it
    /// can end up connected to itself.
    _reservation: TcpSocket,
    accepting: Mutex<Option<JoinHandle<()>>>,
}

impl Door {
    /// Reserves a free port on the loopback interface.
    pub(crate) fn anywhere() -> io::Result<Self> {
        Self::new(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
    }

    /// Reserves an address; port 0 is any free one.
    pub(crate) fn new(addr: SocketAddr) -> io::Result<Self> {
        let reservation = socket(addr)?;
        let addr = reservation.local_addr()?;
        Ok(Self { addr, _reservation: reservation, accepting: Mutex::new(None) })
    }

    pub(crate) const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Listens, unless it does, and hands over who comes in.
    pub(crate) fn open(&self, enter: impl Fn(TcpStream, SocketAddr) + Send + Sync + 'static) -> io::Result<()> {
        let mut accepting = self.accepting.lock().unwrap_or_else(PoisonError::into_inner);
        if accepting.is_none() {
            let listener = socket(self.addr)?.listen(BACKLOG)?;
            *accepting = Some(tokio::spawn(accept(listener, enter)));
        }
        Ok(())
    }

    /// Listens with room for so few, unless it does, and lets nobody in.
    pub(crate) fn ajar(&self, backlog: u32) -> io::Result<()> {
        let mut accepting = self.accepting.lock().unwrap_or_else(PoisonError::into_inner);
        if accepting.is_none() {
            let listener = socket(self.addr)?.listen(backlog)?;
            *accepting = Some(tokio::spawn(async move {
                let _listener = listener;
                std::future::pending().await
            }));
        }
        Ok(())
    }

    /// Refuses connections from now on; those that stand are left alone.
    pub(crate) async fn shut(&self) {
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

async fn accept(listener: TcpListener, enter: impl Fn(TcpStream, SocketAddr)) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => enter(stream, peer),
            // the client was faster, or there are no descriptors left for a moment
            Err(_) => tokio::task::yield_now().await,
        }
    }
}
