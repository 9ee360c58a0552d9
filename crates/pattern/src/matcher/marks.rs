//! The first look at an event: where its quotes are, and whether it holds anything that is rare.
//!
//! It works on blocks of 64 bytes without a branch per byte, and turns each block into one bit mask per question. The
//! scan then hops from quote to quote instead of reading strings byte by byte.

/// Marks of one event, one bit a byte; the storage is kept from event to event.
#[derive(Debug, Default)]
pub(super) struct Marks {
    /// Quotes that no backslash escapes.
    quotes: Vec<u64>,
    backslashes: Vec<u64>,
    /// Bytes below 0x20, which may stand between values but not inside strings.
    controls: Vec<u64>,
    /// Whether there is any backslash.
    pub(super) any_backslash: bool,
    /// Whether there is any byte below 0x20.
    pub(super) any_control: bool,
    /// Whether every byte is ASCII.
    pub(super) ascii: bool,
}

const BLOCK: usize = 64;

impl Marks {
    /// Marks `text`.
    pub(super) fn read(&mut self, text: &[u8]) {
        self.quotes.clear();
        self.backslashes.clear();
        self.controls.clear();
        let mut seen = Seen::default();
        let (blocks, tail) = text.as_chunks::<BLOCK>();
        for block in blocks {
            self.block(block, &mut seen);
        }
        if !tail.is_empty() {
            let mut block = [b' '; BLOCK];
            block[..tail.len()].copy_from_slice(tail);
            self.block(&block, &mut seen);
        }
        self.any_backslash = seen.backslash;
        self.any_control = seen.control;
        self.ascii = !seen.beyond_ascii;
    }

    /// The quotes in order.
    pub(super) fn quotes(&self) -> Quotes<'_> {
        Quotes { words: &self.quotes, word: 0, bits: self.quotes.first().copied().unwrap_or(0) }
    }

    /// Whether a backslash stands in `start..end`.
    pub(super) fn backslash_in(&self, start: usize, end: usize) -> bool {
        any_in(&self.backslashes, start, end)
    }

    /// Whether a byte below 0x20 stands in `start..end`.
    pub(super) fn control_in(&self, start: usize, end: usize) -> bool {
        any_in(&self.controls, start, end)
    }

    #[inline(always)]
    fn block(&mut self, block: &[u8; BLOCK], seen: &mut Seen) {
        let found = examine(block);
        let mut quotes = found.quotes;
        if found.backslashes != 0 || seen.escape_pending {
            quotes &= !seen.escaped(found.backslashes);
            seen.backslash = true;
        }
        seen.control |= found.controls != 0;
        seen.beyond_ascii |= found.beyond_ascii;
        self.quotes.push(quotes);
        self.backslashes.push(found.backslashes);
        self.controls.push(found.controls);
    }
}

/// What has been seen in the blocks so far.
#[derive(Default)]
struct Seen {
    backslash: bool,
    control: bool,
    beyond_ascii: bool,
    /// The last byte was a backslash that escapes the next one.
    escape_pending: bool,
}

impl Seen {
    /// The bytes that a backslash escapes.
    fn escaped(&mut self, backslashes: u64) -> u64 {
        let mut escaped = u64::from(self.escape_pending);
        // A backslash that is itself escaped escapes nothing.
        let mut left = backslashes & !escaped;
        self.escape_pending = false;
        while left != 0 {
            let at = left.trailing_zeros();
            if at == 63 {
                self.escape_pending = true;
                break;
            }
            escaped |= 2 << at;
            left &= !(3 << at);
        }
        escaped
    }
}

/// The quotes of an event, in order.
pub(super) struct Quotes<'a> {
    words: &'a [u64],
    word: usize,
    bits: u64,
}

impl Quotes<'_> {
    /// The place of the next quote.
    #[inline(always)]
    pub(super) fn next(&mut self) -> Option<usize> {
        while self.bits == 0 {
            self.word += 1;
            self.bits = *self.words.get(self.word)?;
        }
        let at = self.bits.trailing_zeros() as usize;
        self.bits &= self.bits - 1;
        Some(self.word * BLOCK + at)
    }
}

fn any_in(words: &[u64], start: usize, end: usize) -> bool {
    if start >= end {
        return false;
    }
    let (first, last) = (start / BLOCK, (end - 1) / BLOCK);
    let from = !0u64 << (start % BLOCK);
    let to = !0u64 >> (63 - (end - 1) % BLOCK);
    if first == last {
        return words[first] & from & to != 0;
    }
    words[first] & from != 0 || words[last] & to != 0 || words[first + 1..last].iter().any(|&word| word != 0)
}

/// What one block holds.
struct Found {
    quotes: u64,
    backslashes: u64,
    controls: u64,
    beyond_ascii: bool,
}

/// With plain arithmetic on eight bytes at a time.
#[inline(always)]
fn examine(block: &[u8; BLOCK]) -> Found {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    const LOW: u64 = !HIGH;
    // The high bit of each byte that is zero; no borrow crosses from byte to byte.
    let zeros = |word: u64| !(((word & LOW) + LOW) | word) & HIGH;
    // Gathers the high bits of the eight bytes into one byte, first byte lowest.
    let gather = |high: u64| ((high >> 7).wrapping_mul(0x0102_0408_1020_4080)) >> 56;
    let mut found = Found { quotes: 0, backslashes: 0, controls: 0, beyond_ascii: false };
    let (words, _) = block.as_chunks::<8>();
    for (i, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let shift = 8 * i;
        found.quotes |= gather(zeros(word ^ (ONES * 0x22))) << shift;
        found.backslashes |= gather(zeros(word ^ (ONES * 0x5c))) << shift;
        found.controls |= gather(zeros(word & (ONES * 0xe0))) << shift;
        found.beyond_ascii |= word & HIGH != 0;
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// One byte at a time.
    fn plainly(text: &[u8]) -> Vec<usize> {
        let mut escaped = false;
        let mut quotes = Vec::new();
        for (at, &byte) in text.iter().enumerate() {
            if byte == b'"' && !escaped {
                quotes.push(at);
            }
            escaped = byte == b'\\' && !escaped;
        }
        quotes
    }

    proptest! {
        #[test]
        fn finds_what_a_plain_loop_finds(
            text in proptest::collection::vec(prop_oneof![Just(b'"'), Just(b'\\'), Just(b'a'), any::<u8>()], 0..300),
            start in 0usize..300, length in 0usize..300,
        ) {
            let mut marks = Marks::default();
            marks.read(&text);
            let mut quotes = marks.quotes();
            let found: Vec<usize> = std::iter::from_fn(|| quotes.next()).collect();
            prop_assert_eq!(found, plainly(&text));
            prop_assert_eq!(marks.ascii, text.is_ascii());
            prop_assert_eq!(marks.any_control, text.iter().any(|&byte| byte < 0x20));
            prop_assert!(marks.any_backslash || !text.contains(&b'\\'));
            let (start, end) = (start.min(text.len()), (start + length).min(text.len()));
            prop_assert_eq!(marks.backslash_in(start, end), text[start..end].contains(&b'\\'));
            prop_assert_eq!(marks.control_in(start, end), text[start..end].iter().any(|&byte| byte < 0x20));
        }
    }
}
