//! Frames: four bytes of length, then that many bytes. Splitting, and the limits in both directions.
//!
//! Knows nothing of what is in a frame, but for the header that every reply starts with. Source:
//! protocol.md section 1.5.

use bytes::{Buf, Bytes, BytesMut};
use core::fmt;

/// The largest request that a server with default settings reads (`jute.maxbuffer`, 0xfffff bytes). A
/// larger one costs the connection, so it is refused before a byte is sent.
pub const REQUEST_LEN_MAX: usize = 1_048_575;

/// Default for the largest reply we keep. Servers have no limit of their own on replies: long lists of
/// children and batched reads pass 1 MiB with default settings.
pub const REPLY_LEN_MAX: usize = 4 * 1024 * 1024;

/// The largest answer to a ConnectRequest we read: 37 bytes, with room for a longer password. Whatever is
/// longer is not ZooKeeper.
pub const CONNECT_REPLY_LEN_MAX: usize = 1024;

/// A request's and a reply's length prefix.
pub const PREFIX_LEN: usize = 4;

/// A reply's header: xid, zxid, error code.
pub const REPLY_HEADER_LEN: usize = 16;

/// A frame that is longer than a limit allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLarge {
    /// The frame's length in bytes, without its prefix.
    pub len: usize,
    /// The limit in bytes.
    pub limit: usize,
}

impl fmt::Display for TooLarge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes are over the limit of {} bytes", self.len, self.limit)
    }
}

impl core::error::Error for TooLarge {}

/// One frame as the splitter found it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// The payload, without its length prefix.
    Whole(Bytes),
    /// Longer than the limit: only the first bytes are kept, the rest is thrown away as it arrives, and
    /// the connection lives on.
    Oversize {
        /// The first [`REPLY_HEADER_LEN`] bytes.
        head: Bytes,
        /// How long it is, and how long it might be.
        size: TooLarge,
    },
}

/// A length prefix below zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NegativeLength(pub i32);

impl fmt::Display for NegativeLength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "frame with the negative length {}", self.0)
    }
}

impl core::error::Error for NegativeLength {}

/// Cuts a stream of bytes into frames, however the bytes were chunked.
#[derive(Clone, Debug)]
pub struct Splitter {
    limit: usize,
    /// Bytes of an oversize frame still to be thrown away.
    skip: usize,
    /// Bytes of that frame already thrown away.
    skipped: usize,
}

impl Splitter {
    /// A splitter that keeps frames of up to `limit` bytes whole.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self { limit, skip: 0, skipped: 0 }
    }

    /// Whether bytes of an oversize frame are still to come.
    #[must_use]
    pub const fn is_skipping(&self) -> bool {
        self.skip > 0
    }

    /// How much of a frame that is not finished has arrived.
    #[must_use]
    pub fn unfinished(&self, inbox: &BytesMut) -> usize {
        if self.skip > 0 { self.skipped } else { inbox.len() }
    }

    /// How many bytes are missing behind `inbox` until [`next_frame`](Self::next_frame) finds one in it; zero while its
    /// length has not arrived. At most the limit, or the head of a frame that is longer.
    #[must_use]
    pub fn missing(&self, inbox: &BytesMut) -> usize {
        let Some(prefix) = inbox.first_chunk().filter(|_| self.skip == 0) else { return 0 };
        let Ok(len) = usize::try_from(i32::from_be_bytes(*prefix)) else { return 0 };
        let keep = if len > self.limit { len.min(REPLY_HEADER_LEN) } else { len };
        (PREFIX_LEN + keep).saturating_sub(inbox.len())
    }

    /// Takes the next frame off the front of `inbox`; `None` until it has arrived.
    ///
    /// Reserves nothing: memory follows the bytes that arrive, not the length that a peer claims.
    ///
    /// # Errors
    /// [`NegativeLength`]: the stream is not one of frames.
    pub fn next_frame(&mut self, inbox: &mut BytesMut) -> Result<Option<Frame>, NegativeLength> {
        if self.skip > 0 {
            let skipped = self.skip.min(inbox.len());
            inbox.advance(skipped);
            self.skip -= skipped;
            self.skipped += skipped;
        }
        let Some(prefix) = inbox.first_chunk::<PREFIX_LEN>() else { return Ok(None) };
        let prefix = i32::from_be_bytes(*prefix);
        let len = usize::try_from(prefix).map_err(|_| NegativeLength(prefix))?;
        let oversize = len > self.limit && len >= REPLY_HEADER_LEN;
        let keep = if oversize { REPLY_HEADER_LEN } else { len };
        if inbox.len() < PREFIX_LEN + keep {
            return Ok(None);
        }
        let mut kept = inbox.split_to(PREFIX_LEN + keep).freeze();
        kept.advance(PREFIX_LEN);
        if oversize {
            self.skip = len - keep;
            self.skipped = 0;
            return Ok(Some(Frame::Oversize { head: kept, size: TooLarge { len, limit: self.limit } }));
        }
        Ok(Some(Frame::Whole(kept)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn split(splitter: &mut Splitter, chunks: &[&[u8]]) -> Vec<Frame> {
        let (mut inbox, mut frames) = (BytesMut::new(), Vec::new());
        for chunk in chunks {
            inbox.extend_from_slice(chunk);
            while let Some(frame) = splitter.next_frame(&mut inbox).unwrap() {
                frames.push(frame);
            }
        }
        frames
    }

    // goal: P5
    #[test]
    fn any_chunking_gives_the_same_frames() {
        let mut stream = Vec::new();
        for payload in [&b"abc"[..], b"", &[7; 40], b"z"] {
            stream.extend_from_slice(&u32::try_from(payload.len()).unwrap().to_be_bytes());
            stream.extend_from_slice(payload);
        }
        let whole = split(&mut Splitter::new(32), &[&stream]);
        assert_eq!(whole.len(), 4);
        assert!(matches!(&whole[2], Frame::Oversize { size: TooLarge { len: 40, limit: 32 }, .. }));
        for cut in 0..=stream.len() {
            let (head, tail) = stream.split_at(cut);
            assert_eq!(split(&mut Splitter::new(32), &[head, tail]), whole, "cut at {cut}");
        }
        let bytes: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(split(&mut Splitter::new(32), &bytes), whole);
        // As many bytes as are missing make a frame, and not one less.
        let (mut splitter, mut inbox, mut frames) = (Splitter::new(32), BytesMut::new(), Vec::new());
        for (at, byte) in stream.iter().enumerate() {
            inbox.extend_from_slice(&[*byte]);
            let mut missing = splitter.missing(&inbox);
            let mut ahead = (splitter.clone(), inbox.clone());
            for byte in stream.iter().skip(at + 1).take(missing) {
                assert_eq!(ahead.0.next_frame(&mut ahead.1), Ok(None));
                ahead.1.extend_from_slice(&[*byte]);
                missing -= 1;
                assert_eq!(ahead.0.missing(&ahead.1), missing);
            }
            let is_known = inbox.len() >= PREFIX_LEN && !splitter.is_skipping();
            assert_eq!(ahead.0.next_frame(&mut ahead.1).unwrap().is_some(), is_known, "{at}");
            frames.extend(splitter.next_frame(&mut inbox).unwrap());
        }
        assert_eq!(frames, whole);
    }

    // goal: P2
    #[test]
    fn a_huge_length_reserves_nothing() {
        let mut inbox = BytesMut::from(&[0x7f, 0xff, 0xff, 0xff, 1, 2, 3][..]);
        assert_eq!(Splitter::new(REPLY_LEN_MAX).next_frame(&mut inbox), Ok(None));
        assert!(inbox.capacity() < 1024);
        assert_eq!(Splitter::new(REPLY_LEN_MAX).missing(&inbox), PREFIX_LEN + REPLY_HEADER_LEN - inbox.len());
        let mut negative = BytesMut::from(&[0xff; 8][..]);
        assert_eq!(Splitter::new(10).missing(&negative), 0);
        assert_eq!(Splitter::new(10).next_frame(&mut negative), Err(NegativeLength(-1)));
    }
}
