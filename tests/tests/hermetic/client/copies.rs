//! What is read is not copied on its way from the socket to the caller, and not moved either. Of what is read for a mirror, the
//! beginning of a long reply that comes after shorter ones has to move, because it does not fit where it began.

use std::{
    io,
    net::SocketAddr,
    ops::Range,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll, ready},
};

use crate::stage::{Stage, settle, within};
use futures_util::future::join_all;
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use zk_client::{Client, Dial, Dialed, Error, HostPort, Read, ReadResult, Transport};
use zk_testkit::server::{Fault, ReplyFault};

/// What the client reads at once into a buffer that it has not made for one reply.
const READ_BYTES: usize = 16 * 1024;

/// No reply of this length, prefix included, has to move.
const FITS_BYTES: usize = 16 * 1024;

/// A length, which belongs to no caller.
const PREFIX_BYTES: usize = 4;

/// How many frames without a long one make the client forget that a mirror's may be long.
const FORGOTTEN_AFTER: usize = 16;

/// The longest reply by default, and what it reserves at most for a reply that has not arrived.
const REPLY_LEN_MAX: usize = 4 * 1024 * 1024;

/// Where data is in the frame of a reply, behind lengths and header.
const DATA_AT: usize = 4 + 16 + 4;

/// What is behind it.
const STAT_BYTES: usize = 68;

/// Where the bytes of a connection were read to, and what was moved afterwards.
#[derive(Default)]
struct Track {
    /// How many bytes came before, and the address at which the next ones were put; one entry a read.
    reads: Vec<(usize, usize)>,
    arrived: usize,
    /// Where the next byte goes if nothing moves.
    next: usize,
    /// Before each look at the transport: how much of a frame was there, and the room for more.
    rooms: Vec<(usize, usize)>,
    /// The frame that has not arrived as a whole: where it begins, and its prefix as far as it is here.
    begin: usize,
    prefix: Vec<u8>,
    /// Where every frame begins.
    begins: Vec<usize>,
    /// Where a frame begins, and how many bytes of it were moved; an entry a move.
    moves: Vec<(usize, usize)>,
}

impl Track {
    /// A read into a buffer: what was left of a frame has moved if it goes on somewhere else.
    fn begins(&mut self, at: usize, room: usize) {
        if at != self.next && self.arrived > self.begin {
            self.moves.push((self.begin, self.arrived - self.begin));
        }
        self.next = at;
        self.rooms.push((self.arrived - self.begin, room));
    }

    fn read(&mut self, bytes: &[u8]) {
        self.reads.push((self.arrived, self.next));
        self.next += bytes.len();
        let mut rest = bytes;
        while !rest.is_empty() {
            if self.arrived == self.begin {
                self.begins.push(self.begin);
            }
            let end = match self.prefix[..] {
                [a, b, c, d] => self.begin + 4 + u32::from_be_bytes([a, b, c, d]) as usize,
                _ => self.arrived + 1,
            };
            let (part, behind) = rest.split_at(rest.len().min(end - self.arrived));
            rest = behind;
            self.arrived += part.len();
            if self.prefix.len() < 4 {
                self.prefix.extend(part);
            } else if self.arrived == end {
                self.begin = end;
                self.prefix.clear();
            }
        }
    }

    /// The stretches of the stream, each with the address at which it was put.
    fn stretches(&self) -> impl Iterator<Item = (Range<usize>, usize)> {
        let ends = self.reads.iter().skip(1).map(|read| read.0).chain([self.arrived]);
        self.reads.iter().zip(ends).map(|((before, put), end)| (*before..end, *put))
    }

    /// Whether these bytes lie where one read has put bytes.
    fn is_read_into(&self, data: &[u8]) -> bool {
        let at = data.as_ptr().addr();
        self.stretches().any(|(bytes, put)| put <= at && at + data.len() <= put + bytes.len())
    }

    /// How many bytes of the data that is in a frame lie where they were put when they were read.
    fn stay(&self, frame: usize, data: &[u8]) -> usize {
        let (at, begin) = (data.as_ptr().addr(), self.begins[frame] + DATA_AT);
        let is_there = |(bytes, put): &(Range<usize>, usize)| put + begin == at + bytes.start;
        let overlap = |bytes: Range<usize>| bytes.end.min(begin + data.len()).saturating_sub(bytes.start.max(begin));
        self.stretches().filter(is_there).map(|(bytes, _)| overlap(bytes)).sum()
    }
}

/// A way to a server that notes where it puts what it read.
#[derive(Clone)]
struct Noting(Stage, Arc<Mutex<Track>>);

impl Noting {
    async fn client(server: &Stage, reply_len_max: usize) -> (Client, Self) {
        Self::batching(server, reply_len_max, false).await
    }

    async fn batching(server: &Stage, reply_len_max: usize, batched: bool) -> (Client, Self) {
        let noting = Self(server.clone(), Arc::default());
        let connector = server.connector().dial(noting.clone()).batch_reads(batched).reply_len_max(reply_len_max);
        (within(connector.connect()).await.unwrap(), noting)
    }

    fn track(&self) -> MutexGuard<'_, Track> {
        self.1.lock().unwrap()
    }
}

struct Noted(DuplexStream, Arc<Mutex<Track>>);

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
        assert!(buf.filled().is_empty(), "the client reads behind what it has");
        self.1.lock().unwrap().begins(buf.filled().as_ptr().addr(), buf.remaining());
        ready!(Pin::new(&mut self.0).poll_read(cx, buf))?;
        self.1.lock().unwrap().read(buf.filled());
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
    let (client, noting) = Noting::client(&server, REPLY_LEN_MAX).await;
    let is_read_into = |data: &[u8]| noting.track().is_read_into(data);
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

/// Replies of every size, one after the other and many at once: their callers get every byte from where it was read to.
#[tokio::test(start_paused = true)]
async fn no_reply_is_moved() {
    const REPLIES: usize = 64;
    for len in
        [100, 1_000, 4_000, 10_000, 13_000, FITS_BYTES - DATA_AT - STAT_BYTES, 17_000, 33_000, 100_000, 1_000_000]
    {
        for at_once in [1, 8, REPLIES] {
            let server = Stage::start().await;
            let value = vec![7; len];
            server.create("/a", &value).unwrap();
            let (client, noting) = Noting::client(&server, REPLY_LEN_MAX).await;
            // The first frame answers the greeting.
            let mut frame = 0;
            // What is held makes replies begin anywhere in a buffer.
            let mut held = Vec::new();
            for _ in 0..REPLIES / at_once {
                for read in within(join_all((0..at_once).map(|_| client.get_data("/a")))).await {
                    let (data, _) = read.unwrap();
                    assert!(data == value);
                    frame += 1;
                    assert_eq!(noting.track().stay(frame, &data), len, "{len} bytes, reply {frame}");
                    held.push(data);
                }
            }
            assert!(moves_of_data(&noting.track()).is_empty(), "{len} bytes, {at_once} at once");
        }
    }
}

/// Replies of any lengths, alone and in batches, among the events and replies of a mirror, which comes through the same socket.
#[tokio::test(start_paused = true)]
async fn no_reply_is_moved_whatever_comes_between() {
    for seed in 0..40 {
        println!("seed {seed}");
        let mut chance = fastrand::Rng::with_seed(seed);
        let server = Stage::start().await;
        let batched = seed % 2 == 1;
        let (client, noting) = Noting::batching(&server, REPLY_LEN_MAX, batched).await;
        let names: Vec<String> = (0..64).map(|at| format!("/{at}")).collect();
        for name in &names {
            let fits = FITS_BYTES - DATA_AT - STAT_BYTES;
            let len = [chance.usize(..500), chance.usize(fits - 500..fits + 500), chance.usize(..100_000)];
            server.create(name, &vec![7; len[chance.usize(..3)]]).unwrap();
        }
        server.create("/m", b"").unwrap();
        let mirror = if chance.bool() { Some(server.mirror(&client, "/m").await.0) } else { None };
        let mut held = Vec::new();
        let mut frame = 0;
        for chunk in names.chunks(8) {
            let before = moves_of_data(&noting.track()).len();
            let reads = join_all(chunk.iter().map(|name| client.get_data(name)));
            server.set("/m", &vec![7; chance.usize(..40_000)]).unwrap();
            for (name, read) in chunk.iter().zip(within(reads).await) {
                let (data, _) = read.unwrap();
                assert!(server.get(name).unwrap().0 == data);
                frame += 1;
                if !batched && mirror.is_none() {
                    // Nothing but these replies came behind the greeting.
                    assert_eq!(noting.track().stay(frame, &data), data.len(), "seed {seed}, reply {frame}");
                }
                held.push(data);
            }
            assert_eq!(before, moves_of_data(&noting.track()).len(), "seed {seed}: moved for a caller");
            // And what comes between them.
            server.set("/m", &vec![7; chance.usize(..40_000)]).unwrap();
            settle().await;
        }
        drop(mirror);
    }
}

/// A mirror's replies come with whatever has arrived; while long ones are expected, none is moved.
#[tokio::test(start_paused = true)]
async fn a_mirrors_long_replies_are_expected_for_some_time() {
    let server = Stage::start().await;
    server.create("/m", b"").unwrap();
    let (client, noting) = Noting::client(&server, REPLY_LEN_MAX).await;
    let (mirror, _) = server.mirror(&client, "/m").await;
    let update = async |len: usize| {
        server.set("/m", &vec![7; len]).unwrap();
        let is_here = || mirror.snapshot().get("/m").is_some_and(|node| node.data.len() == len);
        settle().await;
        assert!(is_here(), "{len} bytes have come");
    };
    let is_moved = async |short: usize| {
        for len in 0..short {
            update(len).await;
        }
        let before = moves_of_data(&noting.track());
        update(100_000 + short).await;
        let after = moves_of_data(&noting.track());
        assert!(after.iter().all(|bytes| *bytes <= READ_BYTES), "{after:?}");
        after.len() > before.len()
    };
    assert!(is_moved(3).await, "the first");
    // An update is an event and a reply.
    for short in (0..FORGOTTEN_AFTER / 2 - 1).rev() {
        assert!(!is_moved(short).await, "{short} short ones between");
    }
    assert!(is_moved(FORGOTTEN_AFTER).await, "the check can fail");
}

/// What a server does not answer with, because it is longer than what is wanted, is passed over in reads that are no shorter
/// for it.
#[tokio::test(start_paused = true)]
async fn what_is_passed_over_is_read_at_large() {
    let server = Stage::start().await;
    server.create("/short", &[7; 100]).unwrap();
    server.create("/too-long", &[7; 1_000_000]).unwrap();
    let (client, noting) = Noting::client(&server, 500_000).await;
    let reads = noting.track().reads.len();
    let (too_long, short) = (client.get_data("/too-long"), client.get_data("/short"));
    assert!(matches!(within(too_long).await, Err(Error::ReplyTooLarge { .. })));
    within(short).await.unwrap();
    let reads = noting.track().reads.len() - reads;
    assert!(reads < 1_000_000 / READ_BYTES + 2 * FORGOTTEN_AFTER, "{reads} reads");
}

/// How many bytes were moved each time, where that was more than a length.
fn moves_of_data(track: &Track) -> Vec<usize> {
    track.moves.iter().map(|(_, bytes)| *bytes).filter(|bytes| *bytes > PREFIX_BYTES).collect()
}

/// Once a long reply was taken, nothing but its caller holds it.
#[tokio::test(start_paused = true)]
async fn a_long_reply_is_freed_by_its_caller() {
    const LEN: usize = 4_000_000;
    let server = Stage::start().await;
    server.create("/a", &vec![7; LEN]).unwrap();
    let (client, noting) = Noting::client(&server, REPLY_LEN_MAX).await;
    for _ in 0..3 {
        let (data, _) = within(client.get_data("/a")).await.unwrap();
        settle().await;
        assert!(data.is_unique());
        // Nor if nobody waits for it, so that the driver holds it alone.
        let before = noting.track().arrived;
        drop(client.get_data("/a"));
        settle().await;
        let track = noting.track();
        assert!(track.arrived > before + LEN);
        let of_it = |(bytes, _): &(Range<usize>, usize)| bytes.start > before + READ_BYTES;
        let (_, put) = track.stretches().find(of_it).unwrap();
        assert!(!(put - READ_BYTES..put + 2 * LEN).contains(&track.next), "the next reply is read somewhere else");
    }
}

/// A length is a word: within the limit it is given its room once, and over it none. Beyond what a reply may have by default,
/// as much is reserved as has arrived.
#[tokio::test(start_paused = true)]
async fn what_a_server_announces_is_bounded() {
    /// So much of the reply arrives.
    const HERE: usize = 100;
    // The length that is announced; the limit; what is there of the reply, and the room for more of it.
    for (len, limit, most) in [
        (1_000_000, REPLY_LEN_MAX, 1_000_000 + 2 * PREFIX_BYTES),
        (REPLY_LEN_MAX, REPLY_LEN_MAX, REPLY_LEN_MAX + 2 * PREFIX_BYTES),
        (REPLY_LEN_MAX + 1, REPLY_LEN_MAX, HERE + READ_BYTES),
        (0x7fff_ffff, REPLY_LEN_MAX, HERE + READ_BYTES),
        (0x7fff_ffff, 0x7fff_ffff, REPLY_LEN_MAX + HERE + PREFIX_BYTES),
    ] {
        let server = Stage::start().await;
        let (client, noting) = Noting::client(&server, limit).await;
        let prefix = u32::try_from(len).unwrap().to_be_bytes();
        let reply = [&prefix[..], &1_i32.to_be_bytes(), &[0; HERE - 8]].concat();
        server.inject(Fault::Reply(ReplyFault::Bytes(reply.into()))).await;
        let lost = within(client.exists("/")).await;
        assert!(matches!(lost, Err(Error::Interrupted { .. } | Error::ReplyTooLarge { .. })), "{lost:?}");
        let longest = noting.track().rooms.iter().map(|(held, room)| held + room).max();
        assert_eq!(longest, Some(most), "{len}");
    }
    let server = Stage::start().await;
    server.create("/a", &vec![7; 10_000_000]).unwrap();
    let (client, noting) = Noting::client(&server, 0x7fff_ffff).await;
    assert_eq!(within(client.get_data("/a")).await.unwrap().0.len(), 10_000_000);
    for (held, room) in &noting.track().rooms {
        assert!(*room <= REPLY_LEN_MAX.max(*held) + PREFIX_BYTES, "{room} bytes reserved when {held} were there");
    }
}
