//! A small filter in front of a large hash table: a Bloom filter with one hash function. A clear
//! bit says that a hash was certainly not added, and the table need not be touched.

// Why: at 100,000 rules an event missed a cache of 512 KiB 46 times, mostly to find that a prefix
// or gram is not in the table. With the filter and the tails in `grams` matching took 0.80 of the
// time (benches/RESULTS.md, "Rejected"). More hash functions would lower the number of false
// positives, which only cost the lookup that was avoided otherwise, but add work to every negative.

/// One bit per added hash, selected by the upper bits of the hash. A [`super::table::Table`] goes
/// by the lower ones, so a false positive here is not at once a collision there.
#[derive(Debug)]
pub(super) struct Filter {
    words: Vec<u64>,
    shift: u32,
}

impl Filter {
    /// Empty, sized for `count` hashes.
    pub(super) fn with_room(count: usize) -> Self {
        // At least 16 bits a hash, so at most one lookup in 16 is a false positive, but no more
        // than 4096 words = 32 KiB, the size of a first-level data cache: beyond 16,384 hashes the
        // filter fills up rather than leave the cache. Both numbers are chosen, not measured.
        let words = (count / 4).next_power_of_two().clamp(8, 4096);
        Self {
            words: vec![0; words],
            shift: 32 - (64 * words).ilog2(),
        }
    }

    /// Adds a hash.
    pub(super) fn add(&mut self, hash: u32) {
        let bit = hash >> self.shift;
        self.words[bit as usize / 64] |= 1 << (bit % 64);
    }

    /// False if the hash was certainly not added.
    #[inline]
    pub(super) fn may_hold(&self, hash: u32) -> bool {
        let bit = hash >> self.shift;
        self.words[bit as usize / 64] >> (bit % 64) & 1 != 0
    }

    /// The bytes this takes.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.words)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn added_hashes_pass_and_most_others_do_not() {
        let hashes = |from: u32| (from..from + 1000).map(|number| number.wrapping_mul(0x9e37_79b9));
        let mut filter = Filter::with_room(1000);
        hashes(0).for_each(|hash| filter.add(hash));
        assert!(hashes(0).all(|hash| filter.may_hold(hash)));
        assert!(hashes(5000).filter(|&hash| filter.may_hold(hash)).count() < 150);
    }
}
