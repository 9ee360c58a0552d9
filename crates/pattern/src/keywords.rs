//! The keywords of the expression notation and the operators of the JSON notation.

/// The keywords, all of which must be quoted as path keys. The first three are connectives.
// The words of the operators in `syntax/operator`, of the connectives and of the literals.
const KEYWORDS: [&str; 19] = [
    "and", "or", "not", "in", "is", "exists", "missing", "starts", "ends", "with", "contains",
    "like", "matches", "ignoring", "case", "cidr", "null", "true", "false",
];

/// Every operator of the JSON notation. The last one, `exactly`, is another spelling of a plain
/// string and is not listed in messages.
pub(crate) const JSON_OPERATORS: [&str; 11] = [
    "prefix",
    "suffix",
    "contains",
    "wildcard",
    "regexp",
    "equals-ignore-case",
    "numeric",
    "cidr",
    "exists",
    "anything-but",
    "exactly",
];

/// Whether a key must be quoted in a path: the keywords, and `and`, `or` and `not` in any case,
/// because the grammar recognizes `AND` as a misspelled connective.
pub(crate) fn is_keyword(key: &str) -> bool {
    KEYWORDS.contains(&key)
        || KEYWORDS[..3]
            .iter()
            .any(|keyword| keyword.eq_ignore_ascii_case(key))
}
