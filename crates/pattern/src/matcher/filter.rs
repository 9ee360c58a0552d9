//! A few bits that say "surely not": what is not in a large table is seen without touching it.

/// A bit for each hash that was added, found by the hash's upper bits; a [`super::table::Table`] goes by the lower ones.
#[derive(Debug)]
pub(super) struct Filter {
    words: Vec<u64>,
    shift: u32,
}

impl Filter {
    /// With room for `count` hashes, a sixteenth of the bits set at most, up to 32 KiB, which a cache still holds.
    pub(super) fn with_room(count: usize) -> Self {
        let words = (count / 4).next_power_of_two().clamp(8, 4096);
        Self {
            words: vec![0; words],
            shift: 32 - (64 * words).ilog2(),
        }
    }

    pub(super) fn add(&mut self, hash: u32) {
        let bit = hash >> self.shift;
        self.words[bit as usize / 64] |= 1 << (bit % 64);
    }

    /// Whether the hash may have been added.
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
    fn what_was_added_is_never_denied_and_most_else_is() {
        let hashes = |from: u32| (from..from + 1000).map(|number| number.wrapping_mul(0x9e37_79b9));
        let mut filter = Filter::with_room(1000);
        hashes(0).for_each(|hash| filter.add(hash));
        assert!(hashes(0).all(|hash| filter.may_hold(hash)));
        assert!(hashes(5000).filter(|&hash| filter.may_hold(hash)).count() < 150);
    }
}
