//! Random decisions.

use std::time::Duration;

/// A source of numbers that differ. It uses xorshift, because the numbers may be predictable.
pub(crate) struct Chance(u64);

impl Chance {
    /// # Panics
    ///
    /// The operating system has no random numbers.
    pub(crate) fn new() -> Self {
        Self(getrandom::u64().expect("random numbers") | 1)
    }

    pub(crate) fn below(&mut self, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % most
    }

    /// Returns true once in this many times.
    pub(crate) fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    /// Returns this time on average.
    pub(crate) fn about(&mut self, time: Duration) -> Duration {
        time.mul_f64(f64::from(u32::try_from(self.below(2_000)).unwrap_or(1_000)) / 1_000.0)
    }
}
