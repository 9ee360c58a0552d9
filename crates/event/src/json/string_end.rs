//! Finds the end of a JSON string, sixteen bytes at a time.

use wide::u8x16;

/// How many bytes are compared together. Strings in events are short, so wider vectors would
/// mostly look at bytes behind the string.
const LANES: usize = 16;

/// The position of the first byte at or after `start` that is not plain text of a string: a quote,
/// a backslash or, with `CONTROLS`, a control character. `None` if the text ends before.
///
/// Control characters are invalid in strings; a validated text has none to look for.
// Example, with four lanes instead of sixteen: in `eni"` the comparison with the quote gives the
// mask 1000 (the first byte is the lowest bit), which has three trailing zeros, so the string ends
// three bytes further on. A mask of zero means that all bytes are plain, and the next chunk
// follows.
//
// Classifying all quotes of the event beforehand, 64 bytes at a time, was measured and rejected:
// 677 ns an event instead of 376 ns (pattern/benches/RESULTS.md, "Rejected").
#[expect(
    clippy::inline_always,
    reason = "a step of the scan's loop; called, it costs a tenth of the scan"
)]
#[inline(always)]
pub(crate) fn stop<const CONTROLS: bool>(text: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    loop {
        let Some(chunk) = text.get(at..)?.first_chunk::<LANES>() else {
            return stop_near_the_end(text, at);
        };
        let lanes = u8x16::new(*chunk);
        let mut stops = lanes.simd_eq(u8x16::splat(b'"')) | lanes.simd_eq(u8x16::splat(b'\\'));
        if CONTROLS {
            // There is no unsigned comparison, but a byte below 0x20 is its own minimum with 0x1f.
            stops |= lanes.min(u8x16::splat(0x1f)).simd_eq(lanes);
        }
        let stops = stops.to_bitmask();
        if stops != 0 {
            return Some(at + stops.trailing_zeros() as usize);
        }
        at += LANES;
    }
}

/// The last bytes of the text, too few for a chunk: once an event, so it need not be fast. A
/// control character stops it in a validated text too, where there is none.
#[cold]
fn stop_near_the_end(text: &[u8], start: usize) -> Option<usize> {
    text[start..]
        .iter()
        .position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20))
        .map(|length| start + length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let plain = any::<u8>().prop_filter("plain", |byte| *byte > b'\\');
        proptest::collection::vec(prop_oneof![9 => plain, 1 => any::<u8>()], 0..80)
    }

    proptest! {
        #[test]
        fn stops_where_a_plain_loop_stops(text in bytes(), start in 0usize..80) {
            let start = start.min(text.len());
            let first = |stops: fn(&u8) -> bool, text: &[u8]| {
                text[start..].iter().position(stops).map(|at| start + at)
            };
            let controls = first(|byte| matches!(byte, b'"' | b'\\' | 0..0x20), &text);
            prop_assert_eq!(stop::<true>(&text, start), controls);
            let text: Vec<u8> = text.into_iter().map(|byte| byte.max(0x20)).collect();
            let quotes = first(|byte| matches!(byte, b'"' | b'\\'), &text);
            prop_assert_eq!(stop::<false>(&text, start), quotes);
        }
    }
}
