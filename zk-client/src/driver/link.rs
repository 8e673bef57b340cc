//! The transport's side of a turn: what is read, what is written, and the attempt to get one.
//!
//! Knows nothing of what the bytes mean.

use super::{Turn, hosts::Attempting, inbox::Inbox};
use crate::dial::Transport;
use bytes::{Buf, BytesMut};
use std::{
    future::Future,
    pin::{Pin, pin},
    task::{Context, Poll},
};
use tokio::io::{AsyncReadExt, AsyncWrite};

/// How the driver is linked to a server.
pub(super) enum Link {
    /// The next attempt, or none while it has not been started.
    Down(Option<Attempting>),
    Up(Box<dyn Transport>),
}

/// What the link brings: the end of an attempt, or bytes in either direction.
pub(super) fn poll(link: &mut Link, inbox: &mut Inbox, outbox: &mut BytesMut, cx: &mut Context<'_>) -> Poll<Turn> {
    match link {
        Link::Down(Some(attempt)) => attempt.as_mut().poll(cx).map(Turn::Attempted),
        Link::Down(None) => Poll::Pending,
        Link::Up(transport) => {
            if !outbox.is_empty()
                && let Poll::Ready(written) = Pin::new(&mut *transport).poll_write(cx, outbox)
            {
                return Poll::Ready(Turn::Wrote(written));
            }
            pin!(transport.read_buf(&mut inbox.with_room())).poll(cx).map(Turn::Read)
        }
    }
}

/// Writes what the turn brought, as far as the transport takes it at once; the rest waits for the next turn, and so
/// does an error.
pub(super) async fn write_now(link: &mut Link, outbox: &mut BytesMut) {
    let Link::Up(transport) = link else { return };
    while !outbox.is_empty() {
        let attempt = |cx: &mut Context<'_>| Poll::Ready(Pin::new(&mut *transport).poll_write(cx, outbox));
        match std::future::poll_fn(attempt).await {
            Poll::Ready(Ok(written @ 1..)) => outbox.advance(written),
            Poll::Ready(Ok(0) | Err(_)) | Poll::Pending => return,
        }
    }
    // An emptied buffer would keep the machine, whose buffer it was cut from, from using that one again.
    *outbox = BytesMut::new();
}
