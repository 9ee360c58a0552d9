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

/// A position at or after `start`, where no escape sequence has begun, up to which the text of a
/// string is plain but for escaped quotes. There may be more of them after it.
// JSON text in a string has an escape sequence every few bytes, nearly always `\"`. They are passed
// over sixteen bytes at a time: the quotes of a chunk are exactly the bytes after its backslashes.
// Example with eight lanes, lowest bit first:
//
//     chunk                        \"k\":1,\      a\\"}
//     quotes                       01001000      00010000
//     backslashes, moved by one    01001000      00110000
//                                  passed over   looked at byte by byte
//
// A backslash in the last lane is where the next chunk begins.
pub(crate) fn pass_escaped_quotes<const CONTROLS: bool>(text: &[u8], start: usize) -> usize {
    let mut at = start;
    while let Some(chunk) = text.get(at..).and_then(<[u8]>::first_chunk::<LANES>) {
        let lanes = u8x16::new(*chunk);
        let quotes = lanes.simd_eq(u8x16::splat(b'"')).to_bitmask();
        let backslashes = lanes.simd_eq(u8x16::splat(b'\\')).to_bitmask();
        let escaped = backslashes << 1;
        let has_control = CONTROLS && lanes.min(u8x16::splat(0x1f)).simd_eq(lanes).any();
        if has_control || quotes != escaped & 0xffff {
            break;
        }
        at += if escaped > 0xffff { LANES - 1 } else { LANES };
    }
    at
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

        #[test]
        fn only_escaped_quotes_are_passed(
            text in r#"(\\"|[a-z网]{0,9}|\\\\|\\n|"|\\|\n){0,40}"#,
        ) {
            let bytes = text.as_bytes();
            for (controls, passed) in [
                (true, pass_escaped_quotes::<true>(bytes, 0)),
                (false, pass_escaped_quotes::<false>(bytes, 0)),
            ] {
                let rest = text.as_bytes()[..passed].to_vec();
                let rest = String::from_utf8_lossy(&rest).replace(r#"\""#, "");
                prop_assert!(!rest.contains(['"', '\\']), "{}", rest);
                prop_assert!(!controls || !rest.contains('\n'), "{}", rest);
            }
        }
    }
}
