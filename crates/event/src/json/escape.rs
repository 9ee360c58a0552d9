//! Escapes in JSON strings: validated in unknown bytes, decoded only at used paths.

/// The length in bytes of the escape that `text` begins with; `None` if it is invalid or half of a
/// surrogate pair.
pub(crate) fn length(text: &[u8]) -> Option<usize> {
    read(text).map(|(_, length)| length)
}

/// Appends the decoded text of a valid string; `raw` is what is between its quotes.
///
/// # Panics
/// If an escape sequence is invalid.
pub fn decode(raw: &[u8], out: &mut Vec<u8>) {
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        let (character, length) =
            read(&rest[at..]).expect("escapes are validated before they are decoded");
        out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        rest = &rest[at + length..];
    }
    out.extend_from_slice(rest);
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
