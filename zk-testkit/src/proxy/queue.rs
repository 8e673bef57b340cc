//! What is on its way in one direction, and when each piece of it arrives. Nothing overtakes.
//!
//! Must not know frames.

use std::{collections::VecDeque, time::Duration};

use bytes::BytesMut;

use super::fault::{End, Line};

/// Bytes of one write on a line with limited bandwidth: about a packet.
const PACKET_LEN: usize = 1460;

#[derive(Debug)]
struct Parcel {
    due: Duration,
    bytes: BytesMut,
    /// It arrives in pieces of this length, if it does.
    piece: Option<usize>,
    /// Time between two pieces.
    gap: Duration,
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    parcels: VecDeque<Parcel>,
    len: usize,
    /// When the last parcel has arrived whole.
    free_at: Duration,
    end: Option<(Duration, End)>,
}

impl Queue {
    /// Bytes on their way.
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) const fn is_ended(&self) -> bool {
        self.end.is_some()
    }

    pub(super) fn push(&mut self, now: Duration, line: &Line, chance: &mut fastrand::Rng, bytes: BytesMut) {
        if bytes.is_empty() || self.is_ended() {
            return;
        }
        let due = self.arrival(now, line, chance);
        let dribble = line.dribble.map(|dribble| dribble.bytes.max(1));
        let packet = line.bytes_per_second.map(|_| PACKET_LEN);
        let piece = [dribble, packet].into_iter().flatten().min();
        let time_for = |len: usize| line.bytes_per_second.map_or(Duration::ZERO, |rate| time_for(len, rate.get()));
        let every = line.dribble.map_or(Duration::ZERO, |dribble| dribble.every);
        let gap = time_for(piece.unwrap_or(0)).max(every);
        let pieces = piece.map_or(0, |piece| bytes.len().div_ceil(piece));
        let pauses = every.saturating_mul(u32::try_from(pieces).unwrap_or(u32::MAX));
        self.free_at = due + time_for(bytes.len()).max(pauses);
        self.len += bytes.len();
        self.parcels.push_back(Parcel { due, bytes, piece, gap });
    }

    /// Nothing more is taken; the end arrives behind everything that was.
    pub(super) fn end(&mut self, now: Duration, line: &Line, chance: &mut fastrand::Rng, how: End) {
        if !self.is_ended() {
            self.end = Some((self.arrival(now, line, chance), how));
        }
    }

    /// The end arrives at once, and nothing else does.
    pub(super) fn abandon(&mut self, how: End) {
        self.parcels.clear();
        self.len = 0;
        self.end = Some((Duration::ZERO, how));
    }

    fn arrival(&self, now: Duration, line: &Line, chance: &mut fastrand::Rng) -> Duration {
        let jitter = if line.jitter.is_zero() { Duration::ZERO } else { line.jitter.mul_f64(chance.f64()) };
        (now + line.delay + jitter).max(self.free_at)
    }

    /// What arrives with one write, if anything is due.
    pub(super) fn pop(&mut self, now: Duration) -> Option<BytesMut> {
        let first = self.parcels.front_mut().filter(|parcel| parcel.due <= now)?;
        let mut bytes = match first.piece {
            Some(piece) if piece < first.bytes.len() => {
                first.due += first.gap;
                first.bytes.split_to(piece)
            }
            _ => self.parcels.pop_front()?.bytes,
        };
        if self.parcels.front().is_some_and(|next| next.piece.is_none()) {
            while let Some(next) = self.parcels.pop_front_if(|next| next.due <= now && next.piece.is_none()) {
                bytes.extend_from_slice(&next.bytes);
            }
        }
        self.len -= bytes.len();
        Some(bytes)
    }

    /// The end, if it is due and nothing is before it.
    pub(super) fn pop_end(&mut self, now: Duration) -> Option<End> {
        let (due, how) = self.end?;
        (self.parcels.is_empty() && due <= now).then_some(how)
    }

    /// When there is something to [`pop`](Self::pop).
    pub(super) fn next_due(&self) -> Option<Duration> {
        self.parcels.front().map(|parcel| parcel.due).or(self.end.map(|(due, _)| due))
    }
}

fn time_for(bytes: usize, bytes_per_second: u32) -> Duration {
    Duration::from_secs(1).saturating_mul(u32::try_from(bytes).unwrap_or(u32::MAX)) / bytes_per_second
}
