//! A connection that says nothing by itself: frames out, frames in, one thread, blocking.
//!
//! Must not know what is in the frames, and never `zk-client`: a client's bug must not hide what servers differ in.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use zk_proto::frame::{Frame, Splitter};

/// After this long without a byte a server is taken to say nothing. Nothing is timed by it unless a test fails.
const SILENCE: Duration = Duration::from_secs(20);

/// Larger than any reply of a script.
const FRAME_LEN_MAX: usize = 1 << 24;

/// What comes next on a connection.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    Frame(Bytes),
    /// The server has hung up, gently or by a reset.
    Closed,
    Silence,
}

#[derive(Debug)]
pub struct Link {
    stream: TcpStream,
    inbox: BytesMut,
    splitter: Splitter,
    /// Nothing more comes from it, and whoever looks at it knows.
    pub over: bool,
}

impl Link {
    pub fn dial(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).expect("the server listens");
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(SILENCE)).unwrap();
        Self { stream, inbox: BytesMut::new(), splitter: Splitter::new(FRAME_LEN_MAX), over: false }
    }

    /// Sends a frame.
    pub fn send(&mut self, payload: &[u8]) {
        let len = u32::try_from(payload.len()).unwrap();
        self.send_bytes(&[&len.to_be_bytes(), payload].concat());
    }

    /// Sends bytes as they are. That the server has hung up is seen by whoever reads.
    pub fn send_bytes(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    pub fn next(&mut self) -> Heard {
        let mut chunk = [0; 16 * 1024];
        loop {
            match self.splitter.next_frame(&mut self.inbox) {
                Ok(Some(Frame::Whole(frame))) => return Heard::Frame(frame),
                Ok(None) => {}
                other => panic!("not a stream of frames: {other:?}"),
            }
            let read = match self.stream.read(&mut chunk) {
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    self.over = true;
                    return Heard::Silence;
                }
                Err(_) => 0,
            };
            if read == 0 {
                self.over = true;
                return Heard::Closed;
            }
            self.inbox.extend_from_slice(&chunk[..read]);
        }
    }
}
