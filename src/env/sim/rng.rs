//! The one source of chance in a simulated world.

use parking_lot::Mutex;

use crate::env::Random;

/// A small seeded generator (SplitMix64). Not for secrets.
///
/// Parts of a world draw from generators [forked](Self::fork) by name, so that one more draw in
/// the network does not change what the disk does.
#[derive(Clone, Debug)]
pub struct Rng {
    seed: u64,
    state: u64,
}

impl Rng {
    /// The generator of `seed`: equal seeds draw equal numbers.
    pub fn new(seed: u64) -> Self {
        Self { seed, state: seed }
    }

    /// The seed it was made from.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// An independent generator that depends on the seed and `label` alone, not on what has been
    /// drawn so far.
    #[must_use]
    pub fn fork(&self, label: &str) -> Self {
        let mut hash = Fnv::new();
        hash.update(&self.seed.to_le_bytes());
        hash.update(label.as_bytes());
        Self::new(mix(hash.finish()))
    }

    /// A number in `0..=u64::MAX`.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.state)
    }

    /// A number in `0..bound`; 0 when `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        // The bias of the remainder is below 2^-32 for every bound a simulation asks for.
        self.next_u64().checked_rem(bound).unwrap_or(0)
    }

    /// True once in `n` times on average; never when `n` is 0.
    pub fn one_in(&mut self, n: u64) -> bool {
        n != 0 && self.below(n) == 0
    }

    /// True half of the time.
    pub fn coin(&mut self) -> bool {
        self.next_u64() >> 63 == 1
    }

    /// Fills `bytes`.
    pub fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.next_u64().to_le_bytes()[..chunk.len()]);
        }
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// FNV-1a, 64 bits: for fingerprints whose value must not change between runs and releases.
#[derive(Clone, Debug)]
pub(super) struct Fnv(u64);

impl Fnv {
    pub(super) fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    pub(super) fn finish(&self) -> u64 {
        self.0
    }
}

/// [`Random`] from a seed.
pub(super) struct SimRandom(Mutex<Rng>);

impl SimRandom {
    pub(super) fn new(rng: Rng) -> Self {
        Self(Mutex::new(rng))
    }
}

impl Random for SimRandom {
    fn fill(&self, bytes: &mut [u8]) {
        self.0.lock().fill(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fork_does_not_depend_on_what_was_drawn_before() {
        let mut drawn = Rng::new(7);
        drawn.next_u64();
        assert_eq!(drawn.fork("disk").next_u64(), Rng::new(7).fork("disk").next_u64());
        assert_ne!(Rng::new(7).fork("disk").next_u64(), Rng::new(7).fork("net").next_u64());
    }

    #[test]
    fn a_number_below_nothing_is_nothing() {
        assert_eq!(Rng::new(1).below(0), 0);
        assert!(!Rng::new(1).one_in(0));
    }
}
