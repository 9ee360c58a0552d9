//! "Did you mean …?": the known name that a misspelled one most likely means.

/// Names that differ in more characters than this are never suggested.
const MAX_DISTANCE: usize = 3;

/// Characters that are compared; longer names differ from every known one anyway.
const MAX_COMPARED: usize = 64;

/// The candidate closest to `word`, if it is close enough to be meant: fewer than half of its
/// characters differ, and at most three. Upper and lower case are the same, and so are the
/// spellings with a space, `-`, `_` or nothing between words. Of two equally close candidates the
/// first one wins.
///
/// ```
/// use reflexarc_diagnostic::nearest;
///
/// let operators = ["prefix", "suffix", "anything-but"];
/// assert_eq!(nearest("sufifx", operators), Some("suffix"));
/// assert_eq!(nearest("anythingBut", operators), Some("anything-but"));
/// assert_eq!(nearest("between", operators), None);
/// ```
pub fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let word = comparable(word);
    candidates
        .into_iter()
        .map(|candidate| (comparable(candidate), candidate))
        .filter(|(name, _)| name.len().abs_diff(word.len()) <= MAX_DISTANCE)
        .map(|(name, candidate)| (strsim::osa_distance(&word, &name), candidate))
        .filter(|(distance, candidate)| {
            // A name of one or two characters has room for one slip: `on` for `om`.
            let half = candidate.chars().count().max(3);
            *distance <= MAX_DISTANCE && distance * 2 < half
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// The name as it is compared: lower case, without separators, cut to [`MAX_COMPARED`].
fn comparable(name: &str) -> String {
    name.chars()
        .filter(|c| !matches!(c, '-' | '_' | ' '))
        .flat_map(char::to_lowercase)
        .take(MAX_COMPARED)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn misspellings_are_recognised() {
        let operators = ["prefix", "suffix", "exists", "anything-but", "cidr"];
        for (wrong, right) in [
            ("prefx", "prefix"),
            ("sufifx", "suffix"),
            ("Prefix", "prefix"),
            ("anything_but", "anything-but"),
            ("cdr", "cidr"),
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
    fn a_long_word_is_compared_within_bounds() {
        assert_eq!(nearest(&"a".repeat(1_000_000), ["aaaa"]), None);
    }
}
