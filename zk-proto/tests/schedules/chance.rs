//! Chance that follows from a seed, and the fingerprint of a history.

/// xorshift64*: good enough to choose what happens next.
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5eed_0f5e_ed0f_5eed | 1);
        rng.next();
        rng.next();
        rng
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number from 0 to `limit` - 1.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        ((u128::from(self.next()) * limit as u128) >> 64) as usize
    }

    pub(crate) fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// How many of `len` bytes: often all, otherwise any number but none.
    pub(crate) fn some_of(&mut self, len: usize) -> usize {
        if len == 0 || self.one_in(2) { len } else { 1 + self.below(len) }
    }
}

/// A running hash over everything that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Print(u64);

impl Print {
    pub(crate) const fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    pub(crate) const fn add(&mut self, value: u64) -> &mut Self {
        self.0 = (self.0.rotate_left(5) ^ value).wrapping_mul(0x517c_c1b7_2722_0a95);
        self
    }

    pub(crate) fn add_bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.add(bytes.len() as u64);
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.add(u64::from_le_bytes(*word));
        }
        for byte in rest {
            self.add(u64::from(*byte));
        }
        self
    }

    pub(crate) const fn get(self) -> u64 {
        self.0
    }
}

/// The fingerprint of some bytes.
pub(crate) fn print_of(bytes: &[u8]) -> u64 {
    Print::new().add_bytes(bytes).get()
}
