//! Folding case away, so that whatever a pattern accepts ignoring case folds to the same text as the pattern.
//!
//! Folding finds candidates and proves nothing: which characters accept which is for `value::ignoring_case` to say.

/// Writes the folded form of `text`. It is made character by character, so the parts of a text fold to the parts of its
/// form.
pub(super) fn fold(text: &str, folded: &mut String) {
    folded.clear();
    for c in text.chars() {
        if c.is_ascii() {
            folded.push(c.to_ascii_lowercase());
        } else {
            // Lower, upper, lower: one step is not enough for `ẞ`, whose lower case `ß` has the upper case `SS`.
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
    fn every_form_of_every_character_folds_alike() {
        for c in char::MIN..=char::MAX {
            let own = folded([c].into_iter());
            assert_eq!(folded(c.to_lowercase()), own, "lower case of {c:?}");
            assert_eq!(folded(c.to_uppercase()), own, "upper case of {c:?}");
        }
    }
}
