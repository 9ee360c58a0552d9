//! Where a JSON string ends: sixteen bytes at a time.

use wide::u8x16;

/// How many bytes are looked at together.
const LANES: usize = 16;

/// The first byte at or after `start` that a string cannot simply run over: a quote, a backslash or a control character;
/// `None` when the text ends before.
#[expect(
    clippy::inline_always,
    reason = "a step of the scan's loop; called, it costs a tenth of the scan"
)]
#[inline(always)]
pub(super) fn stop(text: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    loop {
        let Some(chunk) = text.get(at..)?.first_chunk::<LANES>() else {
            return stop_near_the_end(text, at);
        };
        let lanes = u8x16::new(*chunk);
        // What is below 0x20 is its own minimum with 0x1f.
        let controls = lanes.min(u8x16::splat(0x1f)).simd_eq(lanes);
        let stops =
            lanes.simd_eq(u8x16::splat(b'"')) | lanes.simd_eq(u8x16::splat(b'\\')) | controls;
        let stops = stops.to_bitmask();
        if stops != 0 {
            return Some(at + stops.trailing_zeros() as usize);
        }
        at += LANES;
    }
}

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

    proptest! {
        #[test]
        fn stops_where_a_plain_loop_stops(
            text in proptest::collection::vec(prop_oneof![9 => any::<u8>().prop_filter("plain", |byte| *byte > b'\\'),
                1 => any::<u8>()], 0..80),
            start in 0usize..80,
        ) {
            let start = start.min(text.len());
            let plainly = text[start..].iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)).map(|at| start + at);
            prop_assert_eq!(stop(&text, start), plainly);
        }
    }
}
