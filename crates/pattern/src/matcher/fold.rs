//! Case folding for candidates: whatever a pattern accepts ignoring case folds to the same text as
//! the pattern.
//!
//! The reverse need not hold. Folding finds candidates; `value::ignoring_case` then decides which
//! characters accept which.

// Example. The pattern `Straße` accepts "STRASSE". Both fold to `strasse`: ß goes to its lower case
// ß, then to the upper case SS, then to ss; S goes to s, S, s. The pattern `strasse` has the same
// folded form, so "Straße" is a candidate for it, which `ignoring_case` rejects: s does not accept
// ß.

/// Replaces the content of `folded` by the folded form of `text`. Each character folds by itself,
/// so a part of a text folds to a part of its form, and grams of the folded pattern are found in
/// it.
pub(super) fn fold(text: &str, folded: &mut String) {
    folded.clear();
    for c in text.chars() {
        if c.is_ascii() {
            folded.push(c.to_ascii_lowercase());
        } else {
            // Lower, upper, lower: one step is not enough for ẞ, whose lower case ß has the upper
            // case SS.
            folded.extend(
                c.to_lowercase()
                    .flat_map(char::to_uppercase)
                    .flat_map(char::to_lowercase),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(text: impl Iterator<Item = char>) -> String {
        let mut out = String::new();
        fold(&text.collect::<String>(), &mut out);
        out
    }

    #[test]
    fn all_forms_of_a_character_fold_to_one() {
        for c in char::MIN..=char::MAX {
            let expected = folded([c].into_iter());
            assert_eq!(folded(c.to_lowercase()), expected, "lower case of {c:?}");
            assert_eq!(folded(c.to_uppercase()), expected, "upper case of {c:?}");
        }
    }
}
