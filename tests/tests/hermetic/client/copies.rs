//! What is read is not copied on its way from the socket to the caller.

use std::{
    io,
    net::SocketAddr,
    ops::Range,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, ready},
};

use crate::stage::{Stage, within};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use zk_client::{Dial, Dialed, HostPort, Read, ReadResult, Transport};

/// Addresses that the transport has written bytes to.
type Written = Arc<Mutex<Vec<Range<usize>>>>;

/// A way to a server that notes where it puts what it read.
#[derive(Clone)]
struct Noting(Stage, Written);

struct Noted(DuplexStream, Written);

impl Dial for Noting {
    fn resolve<'a>(&'a self, host: &'a HostPort) -> Dialed<'a, Vec<SocketAddr>> {
        self.0.resolve(host)
    }

    fn dial<'a>(&'a self, _host: &'a HostPort, _addr: SocketAddr) -> Dialed<'a, Box<dyn Transport>> {
        let noted: Box<dyn Transport> = Box::new(Noted(self.0.pipe(), self.1.clone()));
        crate::stage::ready(Ok(noted))
    }
}

impl AsyncRead for Noted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.0).poll_read(cx, buf))?;
        let written = &buf.filled()[before..];
        self.1.lock().unwrap().push(written.as_ptr().addr()..written.as_ptr().addr() + written.len());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Noted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[tokio::test(start_paused = true)]
async fn data_is_a_slice_of_what_the_socket_was_read_into() {
    let server = Stage::start().await;
    for name in ["/a", "/b"] {
        server.create(name, &[7; 1000]).unwrap();
    }
    let (noting, written) = (server.clone(), Written::default());
    let client = within(server.connector().dial(Noting(noting, written.clone())).connect()).await.unwrap();
    let is_read_into = |data: &[u8]| {
        let at = data.as_ptr().addr();
        written.lock().unwrap().iter().any(|range| range.start <= at && at + data.len() <= range.end)
    };
    let calls: Vec<_> = (0..8).map(|_| client.get_data("/a")).collect();
    for call in calls {
        let (data, _) = within(call).await.unwrap();
        assert_eq!(data, [7; 1000].as_slice());
        assert!(is_read_into(&data));
    }
    for result in within(client.read_many([Read::Data("/a"), Read::Data("/b")])).await.unwrap() {
        let ReadResult::Data(data, _) = result else { panic!("{result:?}") };
        assert!(is_read_into(&data));
    }
    let copy = within(client.get_data("/a")).await.unwrap().0.to_vec();
    assert!(!is_read_into(&copy), "the check can fail");
}
