//! The words of the expression notation.

/// Words that need quotes where they are keys of a path.
pub(crate) const RESERVED: [&str; 19] = [
    "and", "or", "not", "in", "is", "exists", "missing", "starts", "ends", "with", "contains",
    "like", "matches", "ignoring", "case", "cidr", "null", "true", "false",
];

/// Whether a key of a path needs quotes because it is a word of the language; `and`, `or` and `not` in any case.
pub(crate) fn is_keyword(key: &str) -> bool {
    RESERVED.contains(&key)
        || RESERVED[..3]
            .iter()
            .any(|word| word.eq_ignore_ascii_case(key))
}
