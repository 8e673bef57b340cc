//! A server played by hand, one frame at a time, for what no server can be asked to do.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
};

use crate::stage::{poll_and_drop, ready, refused, settle, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use zk_client::{Client, Connector, Dial, Dialed, HostPort, OpCode, Transport, WatchMode};
use zk_proto::{
    ErrorCode, Zxid,
    jute::{Decode, Encode, Reader},
    records::{ReplyHeader, RequestHeader},
};

/// The server's end.
struct Hand(DuplexStream);

/// Gives the client's end away once.
struct Once(Arc<Mutex<Option<DuplexStream>>>);

impl Dial for Once {
    fn resolve<'a>(&'a self, _host: &'a HostPort) -> Dialed<'a, Vec<SocketAddr>> {
        ready(Ok(vec![SocketAddr::from(([127, 0, 0, 1], 1))]))
    }

    fn dial<'a>(&'a self, _host: &'a HostPort, _addr: SocketAddr) -> Dialed<'a, Box<dyn Transport>> {
        let stream = self.0.lock().unwrap().take();
        ready(stream.map(|stream| Box::new(stream) as Box<dyn Transport>).ok_or_else(refused))
    }
}

impl Hand {
    async fn connect() -> (Self, Client) {
        let (client, server) = tokio::io::duplex(64 * 1024);
        let mut hand = Self(server);
        let dial = Once(Arc::new(Mutex::new(Some(client))));
        let client = Connector::new("hand").unwrap().dial(dial).connect_in_background();
        hand.frame().await;
        let mut answer = vec![0, 0, 0, 37, 0, 0, 0, 0, 0, 0, 0x27, 0x10];
        answer.extend(7_i64.to_be_bytes());
        answer.extend([0, 0, 0, 16]);
        answer.extend([1; 16 + 1]);
        *answer.last_mut().unwrap() = 0;
        hand.0.write_all(&answer).await.unwrap();
        crate::stage::until_connected(&client).await;
        (hand, client)
    }

    async fn frame(&mut self) -> Vec<u8> {
        let len = within(self.0.read_u32()).await.unwrap();
        let mut frame = vec![0; len as usize];
        within(self.0.read_exact(&mut frame)).await.unwrap();
        frame
    }

    /// The next request: its number and operation.
    async fn request(&mut self) -> (i32, OpCode) {
        let frame = bytes::Bytes::from(self.frame().await);
        let header = RequestHeader::decode(&mut Reader::new(&frame)).unwrap();
        (header.xid, header.op)
    }

    /// With the header alone. ClickHouse Keeper answers addWatch so, which has a body from ZooKeeper.
    async fn answer(&mut self, xid: i32, err: ErrorCode) {
        let mut frame = bytes::BytesMut::new();
        ReplyHeader { xid, zxid: Zxid(5), err }.encode(&mut frame);
        self.0.write_u32(u32::try_from(frame.len()).unwrap()).await.unwrap();
        self.0.write_all(&frame).await.unwrap();
        settle().await;
    }
}

/// The first subscriber has gone before its watch was answered. What the second one is told must be about its own.
// goal: N17
#[tokio::test(start_paused = true)]
async fn a_watch_is_not_taken_for_set_by_the_answer_to_an_earlier_one() {
    let (mut hand, client) = Hand::connect().await;
    assert!(poll_and_drop(client.watch("/a", WatchMode::PERSISTENT), 1).await.is_none());
    let (first, op) = hand.request().await;
    assert_eq!(op, OpCode::ADD_WATCH);
    let (removal, op) = hand.request().await;
    assert_eq!(op, OpCode::REMOVE_WATCHES);
    let again = tokio::spawn({
        let client = client.clone();
        async move { client.watch("/a", WatchMode::PERSISTENT).await }
    });
    let (second, op) = hand.request().await;
    assert_eq!(op, OpCode::ADD_WATCH);

    hand.answer(first, ErrorCode::OK).await;
    assert!(!again.is_finished(), "the server removes that one next");
    hand.answer(removal, ErrorCode::OK).await;
    assert!(!again.is_finished());
    hand.answer(second, ErrorCode::OK).await;
    within(again).await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_watch_is_not_taken_for_refused_by_the_answer_to_an_earlier_one() {
    let (mut hand, client) = Hand::connect().await;
    assert!(poll_and_drop(client.watch("/a", WatchMode::PERSISTENT), 1).await.is_none());
    let ((first, _), (removal, _)) = (hand.request().await, hand.request().await);
    let again = tokio::spawn({
        let client = client.clone();
        async move { client.watch("/a", WatchMode::PERSISTENT).await }
    });
    let (second, _) = hand.request().await;
    hand.answer(first, ErrorCode::NO_AUTH).await;
    hand.answer(removal, ErrorCode::NO_WATCHER).await;
    hand.answer(second, ErrorCode::OK).await;
    within(again).await.unwrap().unwrap();
}
