//! The last offset of each key, in a fixed amount of memory. Pure (Kafka 4.4 `SkimpyOffsetMap`).
//!
//! A key is known by 16 bytes of its hash. The hash is a cryptographic one, since two keys with
//! one hash would lose a record.

use sha2::{Digest, Sha256};

use crate::types::Offset;

/// Bytes of a hash.
const HASH_LEN: usize = 16;
/// Bytes of an entry: a hash and an offset.
pub const ENTRY_LEN: usize = HASH_LEN + 8;

/// A hash table with linear probing.
pub struct OffsetMap {
    bytes: Vec<u8>,
    slots: usize,
    /// No more keys than this are taken.
    capacity: usize,
    len: usize,
}

impl OffsetMap {
    /// A map within `memory` bytes, filled up to `load_factor`. It takes no more memory than
    /// `keys` keys need.
    pub fn new(memory: usize, load_factor: f64, keys: u64) -> Self {
        let load_factor = load_factor.clamp(0.01, 1.0);
        let wanted = (keys as f64 / load_factor).ceil() as usize;
        let slots = (memory / ENTRY_LEN).min(wanted.saturating_add(1)).max(2);
        // One slot stays free, so that a search ends.
        let capacity = ((slots as f64 * load_factor) as usize).clamp(1, slots - 1);
        Self { bytes: vec![0; slots * ENTRY_LEN], slots, capacity, len: 0 }
    }

    /// How many keys it holds.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The slot of `hash`, or the free one where it would go.
    fn find(&self, hash: &[u8]) -> (usize, bool) {
        let mut start = [0; 8];
        start.copy_from_slice(&hash[..8]);
        let mut slot = (u64::from_be_bytes(start) % self.slots as u64) as usize;
        loop {
            let entry = &self.bytes[slot * ENTRY_LEN..(slot + 1) * ENTRY_LEN];
            if entry[..HASH_LEN] == *hash {
                return (slot, true);
            }
            if entry.iter().all(|byte| *byte == 0) {
                return (slot, false);
            }
            slot = (slot + 1) % self.slots;
        }
    }

    /// Notes that `key` was written at `offset`; false when the map is full.
    pub fn put(&mut self, key: &[u8], offset: Offset) -> bool {
        if self.len >= self.capacity {
            return false;
        }
        let hash = Sha256::digest(key);
        let (slot, is_known) = self.find(&hash[..HASH_LEN]);
        let entry = &mut self.bytes[slot * ENTRY_LEN..(slot + 1) * ENTRY_LEN];
        entry[..HASH_LEN].copy_from_slice(&hash[..HASH_LEN]);
        entry[HASH_LEN..].copy_from_slice(&offset.to_be_bytes());
        self.len += usize::from(!is_known);
        true
    }

    /// The last offset of `key`, if it was noted.
    pub fn get(&self, key: &[u8]) -> Option<Offset> {
        let hash = Sha256::digest(key);
        let (slot, is_known) = self.find(&hash[..HASH_LEN]);
        let mut offset = [0; 8];
        offset.copy_from_slice(&self.bytes[slot * ENTRY_LEN + HASH_LEN..(slot + 1) * ENTRY_LEN]);
        is_known.then(|| i64::from_be_bytes(offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_offset_of_a_key_counts() {
        let mut map = OffsetMap::new(24 * 100, 0.9, 1000);
        assert!(map.put(b"a", 1) && map.put(b"b", 2) && map.put(b"a", 3));
        assert_eq!((map.get(b"a"), map.get(b"b"), map.get(b"c")), (Some(3), Some(2), None));
        assert_eq!(map.len(), 2);
    }

    #[test]
    fn it_is_full_at_its_load_factor_and_still_finds_what_it_has() {
        let mut map = OffsetMap::new(24 * 10, 0.9, 1000);
        for key in 0..9u8 {
            assert!(map.put(&[key], i64::from(key)));
        }
        assert!(!map.put(&[9], 9) && !map.put(&[0], 10));
        for key in 0..20u8 {
            assert_eq!(map.get(&[key]), (key < 9).then_some(i64::from(key)));
        }
    }

    #[test]
    fn it_is_no_larger_than_its_keys_need() {
        let map = OffsetMap::new(128 << 20, 0.9, 10);
        assert!(map.bytes.len() <= 24 * 14);
        let mut smallest = OffsetMap::new(0, 0.9, 10);
        assert!(smallest.put(b"a", 1), "a pass always comes further");
    }
}
