//! A connection on which an event is acknowledged by the read that it causes, and not by a packet of its own (Linux).
//!
//! A socket that was still for longer than the 40 ms for which Linux holds acknowledgements back acknowledges what comes next as
//! soon as it is received: inside of `recv`, on the way of the event. That is a whole packet, and its way through the server's
//! socket, too, where the server is on the same machine. But an event is nearly always answered by a read within microseconds,
//! which acknowledges as well. So the system is told before such a `recv` that this is a conversation: `TCP_QUICKACK` off, which
//! lasts until an acknowledgement was held back in vain (tcp(7); `tcp_cleanup_rbuf` and `tcp_delack_timer_handler` in Linux).
//! Where no answer follows the acknowledgement comes 40 ms later, which nobody waits for: servers set `TCP_NODELAY`.
//! After 200 ms without a packet Linux acknowledges what comes before anybody can receive it; then this changes nothing.

use rustix::net::sockopt::set_tcp_quickack;
use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// A conversation that paused for less goes on by itself: less than the 40 ms of `TCP_DELACK_MIN`.
const PAUSE_MIN: Duration = Duration::from_millis(30);

/// A connection, and what was done last with it.
pub(super) struct Conversation {
    stream: TcpStream,
    last: Last,
    /// When something came last that was waited for.
    came_at: Option<Instant>,
}

/// What a connection did last.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    /// It sent: what comes is an answer.
    Wrote,
    /// It received, and more may be there.
    Read,
    /// It received, and waits: whatever comes now comes by itself.
    Waits,
}

impl Conversation {
    pub(super) const fn new(stream: TcpStream) -> Self {
        Self { stream, last: Last::Wrote, came_at: None }
    }

    /// Something has come by itself, and was not received yet.
    fn came(&mut self) {
        let now = Instant::now();
        let before = self.came_at.replace(now);
        if before.is_none_or(|before| now.saturating_duration_since(before) >= PAUSE_MIN) {
            // Without it all is the same, and slower; an error of the connection is what the read comes upon, too.
            set_tcp_quickack(&self.stream, false).ok();
        }
    }
}

impl AsyncRead for Conversation {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.last == Last::Waits {
            ready!(self.stream.poll_read_ready(cx))?;
            self.came();
        }
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.last = match (&read, self.last) {
            (Poll::Ready(_), _) => Last::Read,
            (Poll::Pending, Last::Read) => Last::Waits,
            (Poll::Pending, last) => last,
        };
        read
    }
}

impl AsyncWrite for Conversation {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.last = Last::Wrote;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.last = Last::Wrote;
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dial::tests::connected;
    use std::{fs, net::SocketAddr};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// What a socket has sent and the other one has not acknowledged, in bytes, as the system tells it.
    fn unacknowledged(socket: &TcpStream) -> u64 {
        let hex = |addr: SocketAddr| match addr {
            SocketAddr::V4(addr) => format!("{:08X}:{:04X}", u32::from_ne_bytes(addr.ip().octets()), addr.port()),
            SocketAddr::V6(addr) => panic!("{addr} is in another table"),
        };
        let ends = format!(" {} {} ", hex(socket.local_addr().unwrap()), hex(socket.peer_addr().unwrap()));
        let table = fs::read_to_string("/proc/net/tcp").unwrap();
        let line = table.lines().find(|line| line.contains(&ends)).expect("the socket is in the table");
        let queues = line.split_whitespace().nth(4).unwrap();
        u64::from_str_radix(queues.split_once(':').unwrap().0, 16).unwrap()
    }

    /// Receives a byte that comes while we wait; answers how much of what the server sent is not acknowledged then.
    async fn event(ours: &mut (impl AsyncRead + Unpin), theirs: &mut TcpStream) -> u64 {
        let (received, sent) = tokio::join!(ours.read_u8(), async {
            // Behind the first look of who receives.
            tokio::task::yield_now().await;
            theirs.write_all(b"x").await
        });
        sent.unwrap();
        assert_eq!(received.unwrap(), b'x');
        unacknowledged(theirs)
    }

    /// What the system does once it has held an acknowledgement back in vain.
    fn conversation_is_over(socket: &TcpStream) {
        set_tcp_quickack(socket, true).unwrap();
    }

    /// Many times, because the system sends by itself what was held back for 40 ms, and a busy machine may take as long.
    #[tokio::test]
    async fn an_event_after_a_pause_is_acknowledged_by_the_answer() {
        let (mut plain, mut to_plain) = connected().await;
        let (ours, mut to_ours) = connected().await;
        let mut ours = Conversation::new(ours);
        // What a connection receives first is acknowledged as it arrives.
        for _ in 0..40 {
            event(&mut plain, &mut to_plain).await;
            event(&mut ours, &mut to_ours).await;
        }
        let (mut held_back, mut spared, mut plain_held_back) = (0, 0, 0);
        for _ in 0..20 {
            conversation_is_over(&plain);
            plain_held_back += u32::from(event(&mut plain, &mut to_plain).await == 1);

            conversation_is_over(&ours.stream);
            ours.came_at = Instant::now().checked_sub(PAUSE_MIN);
            held_back += u32::from(event(&mut ours, &mut to_ours).await == 1);
            ours.write_all(b"y").await.unwrap();
            assert_eq!(to_ours.read_u8().await.unwrap(), b'y');
            assert_eq!(unacknowledged(&to_ours), 0, "the answer acknowledges");

            // What the system does not forget so soon is not said again.
            event(&mut ours, &mut to_ours).await;
            conversation_is_over(&ours.stream);
            spared += u32::from(event(&mut ours, &mut to_ours).await == 0);
        }
        let told = format!("held back {held_back}, by a plain one {plain_held_back}; {spared} times nothing said");
        assert!(held_back > 10 && plain_held_back < 10 && spared > 10, "{told}");
    }
}
