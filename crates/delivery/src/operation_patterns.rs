//! Which operations of an API a target allows: names with `*` for any text.

/// Patterns of operations, such as `Describe*` or `GET /enis/*`.
///
/// ```
/// use reflexarc_delivery::OperationPatterns;
///
/// let allow = OperationPatterns::new(["Describe*", "DetachNetworkInterface"]);
/// assert!(allow.matches("DescribeInstances") && allow.matches("DetachNetworkInterface"));
/// assert!(!allow.matches("DetachDisk") && !allow.matches("describeInstances"));
/// assert_eq!(allow.to_string(), "Describe*, DetachNetworkInterface");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OperationPatterns(Vec<String>);

impl OperationPatterns {
    /// These patterns; case matters, as in the names of operations.
    pub fn new<S: Into<String>>(patterns: impl IntoIterator<Item = S>) -> Self {
        Self(patterns.into_iter().map(Into::into).collect())
    }

    /// Whether one of the patterns matches the whole operation.
    pub fn matches(&self, operation: &str) -> bool {
        self.0.iter().any(|pattern| matches(pattern, operation))
    }

    /// The operations that are named in full.
    pub(crate) fn named(&self) -> impl Iterator<Item = &str> {
        self.iter().filter(|pattern| !pattern.contains('*'))
    }

    /// The patterns.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl std::fmt::Display for OperationPatterns {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.join(", "))
    }
}

/// Whether a pattern matches a whole text.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(first) else {
        return false;
    };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    // The parts between the stars: each where it first occurs leaves most for those after it, so
    // that no search has to be taken back. `a*b*c` on `abxbc`: `b` at 1, the rest `xbc` ends in `c`.
    for part in parts {
        let Some(found) = text.find(part) else {
            return false;
        };
        text = &text[found + part.len()..];
    }
    text.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The same by trying every length for a star.
    fn naive(pattern: &[char], text: &[char]) -> bool {
        match pattern {
            [] => text.is_empty(),
            ['*', rest @ ..] => (0..=text.len()).any(|length| naive(rest, &text[length..])),
            [letter, rest @ ..] => text.first() == Some(letter) && naive(rest, &text[1..]),
        }
    }

    proptest! {
        #[test]
        fn patterns_match_as_the_naive_search(pattern in "[ab*]{0,6}", text in "[ab]{0,8}") {
            let letters = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(matches(&pattern, &text), naive(&letters(&pattern), &letters(&text)));
        }
    }

    #[test]
    fn a_pattern_matches_the_whole_operation() {
        assert!(!matches("Describe", "DescribeInstances"));
        assert!(!matches("DescribeInstances", "Describe"));
        assert!(matches("*", "") && matches("*", "GET /enis"));
        assert!(!matches("ab*ba", "aba"));
    }
}
