//! A connection, and the thread that receives what its server sends.
//!
//! The socket blocks, for the thread; what is sent is sent by whoever polls the driver, as far as the socket takes it at once.

use super::{
    Seat,
    arrivals::{Arrivals, Chunk},
};
use crate::dial::{Transport, in_task};
use rustix::{
    event::{PollFd, PollFlags, poll},
    io::{Errno, read, retry_on_intr},
    net::{SendFlags, send},
};
use std::{
    future::Future,
    io,
    net::{Shutdown, TcpStream},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    thread,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    runtime::Handle,
    sync::oneshot,
};

/// The driver's end of a connection.
struct Connection {
    socket: Arc<TcpStream>,
    arrivals: Arc<Arrivals>,
    /// Ends when a socket that was full takes more.
    full: Option<oneshot::Receiver<()>>,
}

/// Starts the thread of a connection. Where no thread can be had, the reactor serves this one.
pub(super) fn start(
    socket: TcpStream,
    thread: thread::Builder,
    seat: &Arc<Seat>,
    runtime: &Handle,
) -> io::Result<Box<dyn Transport>> {
    let (socket, arrivals) = (Arc::new(socket), Arc::new(Arrivals::new()));
    let receives = {
        let (socket, arrivals, seat, runtime) = (socket.clone(), arrivals.clone(), seat.clone(), runtime.clone());
        move || {
            // What the driver does may need the runtime: timers, names to look up, sockets.
            let _runtime = runtime.enter();
            receive(&socket, &arrivals, &seat);
        }
    };
    socket.set_nonblocking(false)?;
    let Err(error) = thread.name("zk-session".to_owned()).spawn(receives) else {
        return Ok(Box::new(Connection { socket, arrivals, full: None }));
    };
    tracing::warn!(%error, "no thread for the session could be started; this connection does without");
    socket.set_nonblocking(true)?;
    Ok(in_task(tokio::net::TcpStream::from_std(socket.try_clone()?)?))
}

/// Receives until the server or the driver ends the connection.
fn receive(socket: &TcpStream, arrivals: &Arrivals, seat: &Seat) {
    let mut chunk = Chunk::new();
    while arrivals.wait_for_room() {
        let received = chunk.fill(|bytes| Ok(retry_on_intr(|| read(socket, &mut *bytes))?));
        let is_over = !matches!(received, Ok(1..));
        let reader = match received {
            Ok(1..) => arrivals.put(&mut chunk),
            Ok(0) => arrivals.end(Ok(())),
            Err(error) => arrivals.end(Err(error)),
        };
        if let Some(reader) = reader {
            seat.wake(reader);
        }
        if is_over {
            return;
        }
    }
}

/// Waits in a thread until the socket takes more, or has ended. That is seldom enough for a thread each time.
fn wait_for_room(socket: Arc<TcpStream>) -> io::Result<oneshot::Receiver<()>> {
    let (told, full) = oneshot::channel();
    thread::Builder::new().name("zk-session-full".to_owned()).spawn(move || {
        // An error is what the next attempt to send comes upon, too.
        retry_on_intr(|| poll(&mut [PollFd::new(&*socket, PollFlags::OUT)], None)).ok();
        drop(told);
    })?;
    Ok(full)
}

impl AsyncRead for Connection {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.arrivals.take(cx.waker(), buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            if let Some(full) = &mut self.full {
                // It is told by the end of the thread.
                let _ended = ready!(Pin::new(full).poll(cx));
                self.full = None;
            }
            match retry_on_intr(|| send(&*self.socket, buf, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)) {
                Err(Errno::AGAIN) => self.full = Some(wait_for_room(self.socket.clone())?),
                sent => return Poll::Ready(sent.map_err(io::Error::from)),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.socket.shutdown(Shutdown::Write))
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.arrivals.leave();
        // Ends the waits of threads. An error says that the connection has ended already.
        self.socket.shutdown(Shutdown::Both).ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dial;
    use std::time::Duration;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        time::timeout,
    };

    const PATIENCE: Duration = Duration::from_secs(30);

    /// Both ends of a connection, ours with what a thread is made by.
    async fn connected(thread: thread::Builder) -> (Box<dyn Transport>, tokio::net::TcpStream) {
        let (ours, theirs) = dial::tests::connected().await;
        let ours = start(ours.into_std().unwrap(), thread, &Arc::default(), &Handle::current()).unwrap();
        (ours, theirs)
    }

    async fn there_and_back(thread: thread::Builder) {
        let (mut ours, mut theirs) = connected(thread).await;
        ours.write_all(b"there").await.unwrap();
        let mut there = [0; 5];
        theirs.read_exact(&mut there).await.unwrap();
        theirs.write_all(b"and back").await.unwrap();
        drop(theirs);
        let mut back = Vec::new();
        ours.read_to_end(&mut back).await.unwrap();
        assert_eq!((&there, &back[..]), (b"there", &b"and back"[..]));
    }

    /// Who waits need not be a driver that has a seat.
    #[tokio::test]
    async fn whoever_reads_is_woken() {
        there_and_back(thread::Builder::new()).await;
    }

    #[tokio::test]
    async fn a_connection_without_a_thread_works_all_the_same() {
        // No machine has memory for its stack.
        there_and_back(thread::Builder::new().stack_size(1 << 60)).await;
    }

    /// Far more arrives than is taken: it waits, and so does who has sent it.
    #[tokio::test]
    async fn what_is_not_read_is_kept() {
        let (mut ours, mut theirs) = connected(thread::Builder::new()).await;
        let sent: Vec<u8> = (0..2_500_000_u32).flat_map(u32::to_be_bytes).collect();
        let sends = {
            let sent = sent.clone();
            tokio::spawn(async move { theirs.write_all(&sent).await })
        };
        let (mut received, mut some) = (Vec::new(), [0; 1_000]);
        // The thread that nobody tells of the room waits for ever.
        while let taken @ 1.. = timeout(PATIENCE, ours.read(&mut some)).await.unwrap().unwrap() {
            received.extend_from_slice(&some[..taken]);
        }
        sends.await.unwrap().unwrap();
        assert!(received == sent, "{} bytes instead of {}", received.len(), sent.len());
    }
}
