//! Texts that a value must contain to satisfy a predicate, so that a value without them can be
//! skipped.

// Example. `eni-*-prod` requires "eni-" and "-prod"; the regular expression `eni-[0-9]+(-x|-y)/a`
// requires "eni-" and "/a" (one of `-x` and `-y` is enough, so neither is required); `[0-9]+`
// requires nothing.

use regex_syntax::hir::{Hir, HirKind};

use super::event_view::as_str;
use super::fold::fold;
use super::predicates::{Class, pieces};

/// The texts that a value must contain to satisfy a predicate of this class and text; empty if none
/// is known. `None` for classes that have an index of their own. Where case is ignored, the texts
/// are case-folded.
pub(super) fn required(class: Class, text: &[u8], regexps: &[Box<str>]) -> Option<Vec<Vec<u8>>> {
    Some(match class {
        Class::Contains => vec![text.to_vec()],
        Class::Wildcard => pieces(text).map(<[u8]>::to_vec).collect(),
        Class::EqualsIgnoringCase
        | Class::PrefixIgnoringCase
        | Class::SuffixIgnoringCase
        | Class::ContainsIgnoringCase => vec![folded(text)],
        Class::WildcardIgnoringCase => pieces(text).map(folded).collect(),
        Class::Regexp => {
            // The text of this class always has four bytes.
            let number = text.try_into().map_or(0, u32::from_le_bytes);
            regexps
                .get(number as usize)
                .map_or_else(Vec::new, |regexp| of_regexp(regexp))
        }
        _ => return None,
    })
}

/// The text that a value must end with to satisfy the predicate, case-folded where case is ignored;
/// empty if any ending will do.
pub(super) fn end(class: Class, text: &[u8]) -> Vec<u8> {
    let last = || pieces(text).next_back().unwrap_or_default();
    match class {
        Class::Wildcard => last().to_vec(),
        Class::EqualsIgnoringCase | Class::SuffixIgnoringCase => folded(text),
        Class::WildcardIgnoringCase => folded(last()),
        _ => Vec::new(),
    }
}

/// Whether the required texts are those of the case-folded value.
pub(super) fn ignores_case(class: Class) -> bool {
    matches!(
        class,
        Class::EqualsIgnoringCase
            | Class::PrefixIgnoringCase
            | Class::SuffixIgnoringCase
            | Class::ContainsIgnoringCase
            | Class::WildcardIgnoringCase
    )
}

fn folded(text: &[u8]) -> Vec<u8> {
    let mut out = String::new();
    // The text of a predicate comes from a string, cut only between pieces.
    fold(as_str(text).unwrap_or_default(), &mut out);
    out.into_bytes()
}

fn of_regexp(regexp: &str) -> Vec<Vec<u8>> {
    let mut texts = Vec::new();
    // Without certain texts, the predicate is tried on every value of its field.
    if let Ok(expression) = regex_syntax::parse(regexp) {
        collect(&expression, &mut texts);
    }
    texts
}

fn collect(expression: &Hir, texts: &mut Vec<Vec<u8>>) {
    match expression.kind() {
        HirKind::Literal(literal) => texts.push(literal.0.to_vec()),
        HirKind::Concat(parts) => parts.iter().for_each(|part| collect(part, texts)),
        HirKind::Capture(capture) => collect(&capture.sub, texts),
        HirKind::Repetition(repetition) if repetition.min > 0 => collect(&repetition.sub, texts),
        // Of an alternation one branch is enough, and a repetition may be empty: nothing in them is
        // certain. A class such as `[ab]` could be split into texts, but short ones, which select
        // little.
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_regexp_requires_what_every_match_contains() {
        let texts = |regexp| {
            of_regexp(regexp)
                .into_iter()
                .map(|text| String::from_utf8(text).expect("UTF-8"))
        };
        assert!(texts("eni-[0-9a-z]+(-prod)?/(x|y)z").eq(["eni-", "/", "z"]));
        assert!(texts("(ab){2,}c*").eq(["ab"]));
        assert!(texts("a|b").eq([""; 0]));
        assert!(texts("(?i)abc").eq([""; 0]));
    }
}
