//! "Did you mean …?": the known name that a misspelled one most likely means.

/// Names that differ in more characters than this are never suggested.
const MAX_DISTANCE: usize = 3;

/// Characters that are compared; longer names differ from every known one anyway.
const MAX_COMPARED: usize = 64;

/// The candidate that `word` evidently misspells, or `None`: if another reading is as likely, there
/// is no suggestion. Upper and lower case are the same, and so are the spellings with a space, `-`,
/// `_` or nothing between words.
///
/// A misspelling has no other letters before the name, and few of its characters differ: one (but
/// no letter replaced in a short name), or two in a long one. It may also be cut short (`fail` for
/// `failed`). Letters added before or after a name make another name: `nin` is not `in`,
/// `icontains` is not `contains`, `contains all` is not `contains`. Names of several words are
/// compared word by word: `parse_date` is not `parse_int`.
///
/// ```
/// use reflexarc_diagnostic::nearest;
///
/// let operators = ["prefix", "suffix", "contains", "anything-but"];
/// assert_eq!(nearest("sufifx", operators), Some("suffix"));
/// assert_eq!(nearest("anythingBut", operators), Some("anything-but"));
/// assert_eq!(nearest("between", operators), None);
/// assert_eq!(nearest("icontains", operators), None);
/// ```
pub fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    nearest_of(word, &candidates.into_iter().collect::<Vec<_>>())
}

/// The candidate most similar to `word`, for a hint that a person judges; never for a fix. Fewer
/// than half of its characters differ, and at most three. Of two equally similar candidates the
/// first one wins.
///
/// ```
/// use reflexarc_diagnostic::{nearest, similar};
///
/// assert_eq!(similar("diskId2", ["diskId", "diskType"]), Some("diskId"));
/// assert_eq!(nearest("diskId2", ["diskId", "diskType"]), None);
/// ```
pub fn similar<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    similar_of(word, &candidates.into_iter().collect::<Vec<_>>())
}

/// [`nearest`], compiled once and not for each kind of candidates.
fn nearest_of<'c>(word: &str, candidates: &[&'c str]) -> Option<&'c str> {
    let typed = comparable(word);
    let mut best: Option<(usize, &'c str)> = None;
    let mut is_tie = false;
    for candidate in candidates.iter().copied() {
        let Some(distance) = misspelling(word, &typed, candidate) else {
            continue;
        };
        match best {
            Some((least, _)) if least < distance => {}
            Some((least, other)) if least == distance => is_tie |= other != candidate,
            _ => (best, is_tie) = (Some((distance, candidate)), false),
        }
    }
    let (distance, meant) = best.filter(|_| !is_tie)?;
    // `ndefined` is as close to `defined` as to its opposite, `undefined`.
    let is_opposite = |other: &&str| {
        let differs = other.len() != meant.len();
        differs && (other.ends_with(meant) || meant.ends_with(*other))
    };
    let mut opposites = candidates.iter().copied().filter(is_opposite);
    let is_ambiguous = opposites.any(|other| distance_of(&typed, &comparable(other)) <= distance);
    (!is_ambiguous).then_some(meant)
}

/// [`similar`], compiled once.
fn similar_of<'c>(word: &str, candidates: &[&'c str]) -> Option<&'c str> {
    let typed = comparable(word);
    candidates
        .iter()
        .map(|candidate| (comparable(candidate), *candidate))
        .filter(|(name, _)| name.len().abs_diff(typed.len()) <= MAX_DISTANCE)
        .map(|(name, candidate)| (name.len(), distance_of(&typed, &name), candidate))
        .filter(|(length, distance, _)| {
            // A name of one or two characters has room for one slip: `on` for `om`.
            *distance <= MAX_DISTANCE && distance * 2 < (*length).max(3)
        })
        .min_by_key(|(_, distance, _)| *distance)
        .map(|(.., candidate)| candidate)
}

/// How many characters differ, if `word` (compared as `typed`) is a misspelling of the candidate.
fn misspelling(word: &str, typed: &[char], candidate: &str) -> Option<usize> {
    // What is cheap first: most candidates begin otherwise. Names that end differently, too, do not
    // start alike, unless they are as short as `in`.
    let has_same_end = |end: Option<char>, typed: Option<&char>| end.as_ref() == typed;
    let mut letters = letters(candidate);
    let is_whole = typed.len() + 1 < MAX_COMPARED;
    if is_whole
        && typed.len() > 2
        && !has_same_end(letters.next(), typed.first())
        && !has_same_end(letters.next_back(), typed.last())
    {
        return None;
    }
    let name = comparable(candidate);
    if name.len().abs_diff(typed.len()) > MAX_DISTANCE {
        return None;
    }
    if typed == name {
        return Some(0);
    }
    if !starts_alike(typed, &name) {
        return None;
    }
    let distance = distance_of(typed, &name);
    let accepted = is_slip(typed, &name, distance) && words_agree(word, candidate);
    accepted.then_some(distance)
}

/// How many characters are added, left out, replaced or swapped with their neighbour.
fn distance_of(one: &[char], other: &[char]) -> usize {
    strsim::generic_damerau_levenshtein(one, other)
}

/// Whether the two begin alike: with the same letter, with the first two swapped, or the first
/// letter of the name is missing or replaced.
fn starts_alike(typed: &[char], name: &[char]) -> bool {
    match (typed, name) {
        ([a, ..], [b, ..]) if a == b => true,
        // Not `rtrim` for `trim`: the rest is the same too.
        ([a, b, typed_rest @ ..], [c, d, rest @ ..]) if (a, b, typed_rest) == (d, c, rest) => true,
        ([_, typed_rest @ ..], [_, rest @ ..]) if typed_rest == rest => true,
        (typed, [_, rest @ ..]) => typed == rest && typed.len() > 1,
        _ => false,
    }
}

/// Whether a difference of `distance` characters is a slip of the keyboard.
fn is_slip(typed: &[char], name: &[char], distance: usize) -> bool {
    // `contain` for `contains`, `fail` for `failed`: the beginning of the name.
    if typed.len() >= 4 && name.starts_with(typed) {
        return distance <= MAX_DISTANCE;
    }
    // Letters added at the end can change the meaning, unless the last one is typed twice or a
    // plural: `containsi` is not `contains`.
    if let Some(added) = typed.strip_prefix(name) {
        return matches!(added, [one] if name.last() == Some(one) || *one == 's');
    }
    let is_replacement = typed.len() == name.len() && {
        let mut differing = typed.iter().zip(name).filter(|(a, b)| a != b);
        differing.next().is_some() && differing.next().is_none()
    };
    match distance {
        // A letter replaced in a short name gives another word: `role` and `rule`, `get` and `set`.
        1 => name.len() >= if is_replacement { 5 } else { 3 },
        2 => name.len() >= 7,
        3 => name.len() >= 16,
        _ => false,
    }
}

/// Whether each word of two names with as many words is a misspelling of the other's. One more word
/// than the name has is something else: `c contains` is not `contains`.
fn words_agree(word: &str, candidate: &str) -> bool {
    let is_separator = |c: char| matches!(c, '-' | '_' | ' ' | ':');
    let words = |name: &str| -> Vec<Vec<char>> {
        let words = name.split(is_separator).map(comparable);
        words.filter(|word| !word.is_empty()).collect()
    };
    let (typed, name) = (words(word), words(candidate));
    // `pr-fix` has one word with a slip in it.
    typed.len() < name.len()
        || typed.len() > name.len() && !word.contains(' ')
        || typed.len() == name.len()
            && typed.iter().zip(&name).all(|(typed, name)| {
                // A letter before a word makes another one: `uint` is not `int`. Words of two
                // letters may differ in one: `in`, `is`.
                let is_prefixed = typed.len() > name.len()
                    && typed.ends_with(name)
                    && typed.first() != name.first();
                !is_prefixed && distance_of(typed, name) * 2 <= name.len().max(2)
            })
}

/// The name as it is compared: lower case, without separators, cut to [`MAX_COMPARED`].
fn comparable(name: &str) -> Vec<char> {
    letters(name).take(MAX_COMPARED).collect()
}

/// The letters of a name that are compared.
fn letters(name: &str) -> impl DoubleEndedIterator<Item = char> {
    let letters = name.chars().filter(|c| !matches!(c, '-' | '_' | ' '));
    letters.flat_map(char::to_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// [`misspelling`] without the conditions that only save time.
    fn naive_misspelling(word: &str, candidate: &str) -> Option<usize> {
        let (typed, name) = (comparable(word), comparable(candidate));
        let distance = distance_of(&typed, &name);
        let accepted = distance == 0
            || starts_alike(&typed, &name)
                && is_slip(&typed, &name, distance)
                && words_agree(word, candidate);
        (accepted && name.len().abs_diff(typed.len()) <= MAX_DISTANCE).then_some(distance)
    }

    #[test]
    fn cheap_conditions_change_nothing() {
        let mut words = vec![String::new()];
        for at in 0.. {
            let Some(word) = words.get(at).filter(|word| word.len() < 4).cloned() else {
                break;
            };
            words.extend(["a", "B", "-"].map(|letter| format!("{word}{letter}")));
        }
        for long in [62, 63, 64, 65, 66] {
            words.push("a".repeat(long));
            words.push(format!("b{}", "a".repeat(long - 1)));
            words.push(format!("{}b", "a".repeat(long - 1)));
        }
        for word in &words {
            for candidate in &words {
                let found = misspelling(word, &comparable(word), candidate);
                let expected = naive_misspelling(word, candidate);
                assert_eq!(found, expected, "{word} {candidate}");
            }
        }
    }

    #[test]
    fn misspellings_are_recognised() {
        let operators = ["prefix", "suffix", "exists", "anything-but", "cidr"];
        for (wrong, right) in [
            ("prefx", "prefix"),
            ("sufifx", "suffix"),
            ("Prefix", "prefix"),
            ("anything_but", "anything-but"),
            ("cdr", "cidr"),
            ("refix", "prefix"),
            ("prefixs", "prefix"),
        ] {
            assert_eq!(nearest(wrong, operators), Some(right), "{wrong}");
        }
        assert_eq!(nearest("sed", ["notify", "send", "log"]), Some("send"));
    }

    #[test]
    fn unrelated_names_are_not_suggested() {
        let operators = ["prefix", "suffix", "exists", "anything-but", "cidr"];
        for word in ["between", "x", "", "quarantine"] {
            assert_eq!(nearest(word, operators), None, "{word}");
        }
    }

    #[test]
    fn another_meaning_is_not_suggested() {
        for (word, candidates) in [
            ("nin", &["in", "not in"][..]),
            ("icontains", &["contains"]),
            ("containsi", &["contains"]),
            ("contains_all", &["contains"]),
            ("mismatches", &["matches"]),
            ("unlike", &["like"]),
            ("nor", &["and", "or"]),
            ("xor", &["and", "or"]),
            ("parse_date", &["parse_int", "parse_float", "parse_time"]),
            ("parse_uint", &["parse_int"]),
            ("starts_wth", &["ends_with"]),
            ("role", &["rule"]),
            ("row", &["now"]),
            ("unassign", &["assign"]),
            ("get", &["set"]),
            ("rtrim", &["trim"]),
            ("ndefined", &["defined", "undefined"]),
        ] {
            assert_eq!(nearest(word, candidates.iter().copied()), None, "{word}");
        }
    }

    #[test]
    fn two_equally_likely_names_are_not_suggested() {
        assert_eq!(nearest("colum", ["colump", "column"]), None);
    }

    #[test]
    fn a_long_word_is_compared_within_bounds() {
        assert_eq!(nearest(&"a".repeat(1_000_000), ["aaaa"]), None);
    }
}
