//! Escapes inside JSON strings: checked everywhere, decoded only where a pattern looks.

/// How many bytes the escape takes that `text` begins with; `None` when it is unknown or half of a surrogate pair.
pub(super) fn length(text: &[u8]) -> Option<usize> {
    read(text).map(|(_, length)| length)
}

/// Appends the text that a checked string stands for.
pub(super) fn decode(raw: &[u8], out: &mut Vec<u8>) {
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        let (character, length) =
            read(&rest[at..]).expect("escapes are checked before they are decoded");
        out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        rest = &rest[at + length..];
    }
    out.extend_from_slice(rest);
}

/// The character that an escape stands for, and how many bytes spell it; `None` when it is no sound escape.
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
    if (0xd800..0xdc00).contains(&first) {
        let rest = escape.get(6..12)?.strip_prefix(b"\\u")?;
        let second = unit(rest).filter(|second| (0xdc00..0xe000).contains(second))?;
        return char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00))
            .map(|c| (c, 12));
    }
    char::from_u32(first).map(|c| (c, 6))
}

fn unit(digits: &[u8]) -> Option<u32> {
    digits.iter().try_fold(0, |unit, &digit| {
        Some(unit * 16 + char::from(digit).to_digit(16)?)
    })
}
