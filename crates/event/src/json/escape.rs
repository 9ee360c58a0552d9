//! Escapes in JSON strings: validated in unknown bytes, decoded only at used paths.

use wide::u8x16;

/// How many bytes are copied together.
const LANES: usize = 16;

/// The length in bytes of the escape that `text` begins with; `None` if it is invalid or half of a
/// surrogate pair.
pub(crate) fn length(text: &[u8]) -> Option<usize> {
    read(text).map(|(_, length)| length)
}

/// Appends the decoded text of a valid string; `raw` is what is between its quotes.
///
/// # Panics
/// If an escape sequence is invalid.
// JSON text in a string has an escape sequence every few bytes. So what is between two of them is
// not copied by its length: sixteen bytes are copied at once, and those from the backslash on are
// overwritten by what follows. Example with four bytes at once, of `ab\\"cd`: `ab\\"` is copied,
// then `"` over its third byte, then `cd`.
pub fn decode(raw: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    // Decoding makes nothing longer.
    out.resize(start + raw.len(), 0);
    let (mut at, mut end) = (0, start);
    while at < raw.len() {
        let rest = &raw[at..];
        let plain = if let (Some(chunk), Some(target)) = (
            rest.first_chunk::<LANES>(),
            out[end..].first_chunk_mut::<LANES>(),
        ) {
            *target = *chunk;
            let escapes = u8x16::new(*chunk).simd_eq(u8x16::splat(b'\\')).to_bitmask();
            (escapes.trailing_zeros() as usize).min(LANES)
        } else {
            let plain = rest.iter().take_while(|byte| **byte != b'\\').count();
            out[end..end + plain].copy_from_slice(&rest[..plain]);
            plain
        };
        (at, end) = (at + plain, end + plain);
        if raw.get(at) == Some(&b'\\') {
            // JSON text in a string has hardly any other.
            if raw.get(at + 1) == Some(&b'"') {
                out[end] = b'"';
                (at, end) = (at + 2, end + 1);
                continue;
            }
            let (character, length) =
                read(&raw[at..]).expect("escapes are validated before they are decoded");
            end += character.encode_utf8(&mut out[end..]).len();
            at += length;
        }
    }
    out.truncate(end);
}

/// The character of an escape and the length of the escape; `None` if it is invalid.
fn read(escape: &[u8]) -> Option<(char, usize)> {
    let plain = match escape.get(1)? {
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'"' => '"',
        b'\\' => '\\',
        b'/' => '/',
        b'u' => return unicode(escape),
        _ => return None,
    };
    Some((plain, 2))
}

fn unicode(escape: &[u8]) -> Option<(char, usize)> {
    let first = unit(escape.get(2..6)?)?;
    // A character beyond U+FFFF is written as two units of ten bits each: \ud83d\ude00 is 😀,
    // 0x10000 + (0x3d << 10) + 0x200 = U+1F600.
    if (0xd800..0xdc00).contains(&first) {
        let rest = escape.get(6..12)?.strip_prefix(b"\\u")?;
        let second = unit(rest).filter(|second| (0xdc00..0xe000).contains(second))?;
        return char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00))
            .map(|c| (c, 12));
    }
    // `from_u32` rejects the second half of a pair without its first.
    char::from_u32(first).map(|c| (c, 6))
}

fn unit(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |unit, &digit| {
        Some(unit * 16 + char::from(digit).to_digit(16)?)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::decode;

    proptest! {
        #[test]
        fn decoding_equals_the_decoder_of_serde(
            raw in "([a-z 网]{0,20}|\\\\[\"\\\\/bfnrt]|\\\\u00[0-9a-f]{2}|\\\\ud83d\\\\ude00){0,12}",
            before in "[a-z]{0,3}",
        ) {
            let expected: String = serde_json::from_str(&format!("\"{raw}\"")).unwrap();
            let mut decoded = before.clone().into_bytes();
            decode(raw.as_bytes(), &mut decoded);
            prop_assert_eq!(decoded, format!("{before}{expected}").into_bytes());
        }
    }
}
