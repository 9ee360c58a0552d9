//! Texts that look alike and differ in their characters.

use icu_normalizer::ComposingNormalizerBorrowed;

use super::hint::Hint;
use crate::value::{CompiledPredicate, Scalar};
use crate::{Predicate, TextOp};

/// Longest text that is looked at, in bytes.
const LONGEST: usize = 4_096;

/// The hint at a difference that a reader does not see: a character that is invisible or looks like
/// another one, another Unicode normalization, or another spelling of a time.
pub(crate) fn difference(predicate: &Predicate, value: &str) -> Option<Hint> {
    let (Predicate::Text(_, text) | Predicate::TextIgnoringCase(_, text)) = predicate else {
        return None;
    };
    if text.len() > LONGEST || value.len() > LONGEST {
        return None;
    }
    let meets = |map: &dyn Fn(&str) -> String| {
        let mapped = match predicate {
            Predicate::Text(op, text) => Predicate::Text(*op, map(text).into()),
            Predicate::TextIgnoringCase(op, text) => {
                Predicate::TextIgnoringCase(*op, map(text).into())
            }
            other => other.clone(),
        };
        CompiledPredicate::new(&mapped).matches(&Scalar::String(&map(value)))
    };
    let nfc = ComposingNormalizerBorrowed::new_nfc();
    if meets(&|text| nfc.normalize(text).into_owned()) {
        return Some(Hint::Normalization);
    }
    if meets(&plain) {
        let special = |text: &str| text.chars().find(|&c| look(c) != Look::Itself);
        // The plain character is in the other text, so one of them has a special one.
        let (character, in_value) = special(value)
            .map(|c| (c, true))
            .or_else(|| special(text).map(|c| (c, false)))?;
        return Some(Hint::SpecialCharacter {
            character,
            looks_like: match look(character) {
                Look::Like(other) => Some(other),
                Look::Itself | Look::Nothing => None,
            },
            in_value,
        });
    }
    if matches!(predicate, Predicate::Text(TextOp::Equals, _)) {
        let times = (
            reflexarc_event::parse_time(text).ok(),
            reflexarc_event::parse_time(value).ok(),
        );
        if let (Some(one), Some(other)) = times
            && one == other
        {
            return Some(Hint::SameTime);
        }
    }
    None
}

/// What a character looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    Itself,
    Nothing,
    Like(char),
}

/// The text with plain characters in place of those that look like them.
fn plain(text: &str) -> String {
    text.chars()
        .filter_map(|c| match look(c) {
            Look::Itself => Some(c),
            Look::Nothing => None,
            Look::Like(other) => Some(other),
        })
        .collect()
}

fn look(c: char) -> Look {
    // The letters of other scripts that have the shape of a Latin one, in the order of the string
    // after them.
    const OTHERS: &str = "АВЕКМНОРСТУХаеорсухіјѕԁԛԝΑΒΕΖΗΙΚΜΝΟΡΤΥΧοʼ′‘’“”‐‑‒–—―−";
    const LATIN: &str = "ABEKMHOPCTYXaeopcyxijsdqwABEZHIKMNOPTYXo''''\"\"-------";
    match c {
        '\u{200b}'..='\u{200f}'
        | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{2064}'
        | '\u{fe00}'..='\u{fe0f}'
        | '\u{feff}'
        | '\u{ad}'
        | '\u{180e}' => Look::Nothing,
        '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => {
            Look::Like(' ')
        }
        // The full-width forms of ASCII.
        '\u{ff01}'..='\u{ff5e}' => {
            char::from_u32(u32::from(c) - 0xfee0).map_or(Look::Itself, Look::Like)
        }
        _ if c.is_ascii() => Look::Itself,
        _ => {
            let mut pairs = OTHERS.chars().zip(LATIN.chars());
            let latin = pairs.find(|(other, _)| *other == c);
            latin.map_or(Look::Itself, |(_, latin)| Look::Like(latin))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_of_other_scripts_look_like_latin_ones() {
        assert_eq!(plain("АВС―о"), "ABC-o");
        assert_eq!(plain("Ｆａｉｌed\u{200b}\u{a0}x"), "Failed x");
        assert_eq!(plain("plain é 日本"), "plain é 日本");
        assert_eq!(look('ѕ'), Look::Like('s'));
        assert_eq!(look('Χ'), Look::Like('X'));
        assert_eq!(look('−'), Look::Like('-'));
    }
}
