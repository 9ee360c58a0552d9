//! A hash table from bytes to ids that does not store the bytes.

// The standard map would need the bytes as its keys, which the predicates already have. Here a
// place is eight bytes: the 32-bit hash and the id. A lookup compares hashes, and only if they are
// equal the caller compares the bytes.

use std::hash::{BuildHasher, Hasher};

use foldhash::fast::FixedState;

use super::NONE;

/// Open addressing with linear probing. At least half of the places are free, so that the average
/// miss, the most frequent lookup, ends at its first or second place.
#[derive(Debug)]
pub(super) struct Table {
    /// Hash and id; the id is `NONE` in a free place.
    places: Vec<(u32, u32)>,
    mask: u32,
    count: usize,
}

impl Table {
    /// Empty, with room for `count` ids.
    pub(super) fn with_room(count: usize) -> Self {
        let places = (2 * count).next_power_of_two().max(2);
        Self {
            places: vec![(0, NONE); places],
            mask: mask(places),
            count: 0,
        }
    }

    /// The first id of that hash for which `is_it` holds.
    #[inline]
    pub(super) fn find(&self, hash: u32, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let mut at = hash & self.mask;
        loop {
            let (other, id) = self.places[at as usize];
            if id == NONE {
                return None;
            }
            if other == hash && is_it(id) {
                return Some(id);
            }
            at = (at + 1) & self.mask;
        }
    }

    /// Adds an id, even if there are others of the same hash.
    pub(super) fn insert(&mut self, hash: u32, id: u32) {
        self.count += 1;
        if 2 * self.count > self.places.len() {
            let larger = vec![(0, NONE); 2 * self.places.len()];
            let old = std::mem::replace(&mut self.places, larger);
            self.mask = mask(self.places.len());
            for (hash, id) in old.into_iter().filter(|&(_, id)| id != NONE) {
                self.place(hash, id);
            }
        }
        self.place(hash, id);
    }

    /// The bytes this takes.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.places)
    }

    fn place(&mut self, hash: u32, id: u32) {
        let mut at = hash & self.mask;
        while self.places[at as usize].1 != NONE {
            at = (at + 1) & self.mask;
        }
        self.places[at as usize] = (hash, id);
    }
}

/// A hash of bytes, the same on every run: the same patterns and events must always take the same
/// steps. An attacker who knows the seed can cause collisions in values, but not in the table,
/// which has the texts of patterns only.
#[inline]
pub(super) fn hash(seed: u64, bytes: &[u8]) -> u64 {
    let mut hasher = FixedState::with_seed(seed).build_hasher();
    hasher.write(bytes);
    hasher.finish()
}

/// The 32 bits of a hash that the table keeps.
#[inline]
#[expect(
    clippy::cast_possible_truncation,
    reason = "half of the bits are wanted"
)]
pub(super) fn half(hash: u64) -> u32 {
    (hash ^ hash >> 32) as u32
}

fn mask(places: usize) -> u32 {
    u32::try_from(places - 1).expect("the limits keep tables below 2^32 places")
}
