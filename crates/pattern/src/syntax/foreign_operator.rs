//! Operators of other languages, and what they are here: `nin`, `icontains`, `$gte`,
//! `anything-but-prefix`.

// A suggestion must never change the meaning, so names are read word by word: words for `not`, for
// ignoring case, and for "any" or "all" of an array are taken off, and what remains must be one of
// the names below. Anything else is unknown, however similar it looks.

use super::argument::Comparison;

/// What an operator of another language means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ForeignOperator {
    pub(super) meaning: Meaning,
    pub(super) negated: bool,
    pub(super) ignoring_case: bool,
    /// Which elements of an array operand must meet the condition, if the name says so.
    pub(super) quantifier: Option<Quantifier>,
    /// Whether the operator finds a part of the text where it comes from, as `=~` does; ours
    /// compares the whole text.
    pub(super) finds_parts: bool,
}

/// The operator without negation and case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    Equals,
    In,
    InNetwork,
    Prefix,
    Suffix,
    Contains,
    Wildcard,
    Regexp,
    Compare(Comparison),
    Exists,
    Null,
    True,
    False,
}

/// A word for "one of these" or "each of these".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quantifier {
    Any,
    All,
}

use Meaning::{Compare, Contains, Equals, Exists, In, InNetwork, Prefix, Regexp, Suffix, Wildcard};

/// The names of other languages, without separators and in lower case.
const NAMES: [(Meaning, &[&str]); 16] = [
    (
        Equals,
        &[
            "=",
            "==",
            "===",
            "is",
            "eq",
            "equal",
            "equals",
            "equalto",
            "equalsto",
            "isequalto",
            "isequal",
            "sameas",
            "issameas",
            "exactly",
            "exact",
            "isexactly",
            "equalsexactly",
        ],
    ),
    (
        In,
        &[
            "in",
            "isin",
            "inlist",
            "inarray",
            "inset",
            "among",
            "isamong",
            "memberof",
            "ismemberof",
        ],
    ),
    (
        InNetwork,
        &[
            "cidr",
            "cidrs",
            "incidr",
            "incidrs",
            "isincidr",
            "withincidr",
            "cidrmatch",
            "network",
            "innetwork",
            "isinnetwork",
            "subnet",
            "insubnet",
            "isinsubnet",
            "ipaddressinrange",
        ],
    ),
    (
        Prefix,
        &[
            "prefix",
            "hasprefix",
            "startswith",
            "startwith",
            "startingwith",
            "starts",
            "begins",
            "beginswith",
            "beginwith",
            "beginningwith",
            "^=",
        ],
    ),
    (
        Suffix,
        &[
            "suffix",
            "hassuffix",
            "endswith",
            "endwith",
            "endingwith",
            "ends",
        ],
    ),
    (
        Contains,
        &[
            "contains",
            "contain",
            "containing",
            "includes",
            "include",
            "has",
            "hassubstring",
            "containsstring",
            "containstext",
            "containssubstring",
            "*=",
        ],
    ),
    (
        Wildcard,
        &[
            "like",
            "likes",
            "islike",
            "wildcard",
            "wildcards",
            "glob",
            "globs",
            "matchesglob",
            "matcheswildcard",
            "shellstyle",
        ],
    ),
    (
        Regexp,
        &[
            "matches",
            "match",
            "matching",
            "regexp",
            "regex",
            "rlike",
            "matchesregex",
            "matchesregexp",
            "matchregex",
            "regexmatch",
            "regexpmatch",
            "=~",
            "~=",
            "~",
        ],
    ),
    (
        Compare(Comparison::Less),
        &["<", "lt", "lessthan", "islessthan", "below", "under"],
    ),
    (
        Compare(Comparison::LessOrEqual),
        &[
            "<=",
            "=<",
            "<==",
            "≤",
            "lte",
            "le",
            "atmost",
            "isatmost",
            "lessthanorequal",
            "lessthanorequalto",
            "lessthanequal",
        ],
    ),
    (
        Compare(Comparison::Greater),
        &[
            ">",
            "gt",
            "greaterthan",
            "isgreaterthan",
            "morethan",
            "above",
            "over",
        ],
    ),
    (
        Compare(Comparison::GreaterOrEqual),
        &[
            ">=",
            "=>",
            ">==",
            "≥",
            "gte",
            "ge",
            "atleast",
            "isatleast",
            "greaterthanorequal",
            "greaterthanorequalto",
            "greaterthanequal",
        ],
    ),
    (
        Exists,
        &[
            "exists",
            "exist",
            "existing",
            "isexisting",
            "present",
            "ispresent",
            "defined",
            "isdefined",
            "isset",
        ],
    ),
    (Meaning::Null, &["null", "isnull"]),
    (Meaning::True, &["istrue"]),
    (Meaning::False, &["isfalse"]),
];

/// Names that mean the opposite of an operator, or that no word-by-word reading explains.
const OPPOSITES: [(Meaning, &[&str]); 10] = [
    (
        Equals,
        &[
            "not",
            "isnot",
            "isnt",
            "arent",
            "!=",
            "<>",
            "!==",
            "=!",
            "ne",
            "neq",
            "differsfrom",
            "differentfrom",
            "isdifferentfrom",
            "otherthan",
            "isotherthan",
            "anythingbut",
            "anythingexcept",
            "anythingotherthan",
        ],
    ),
    (
        In,
        &["nin", "noneof", "isnoneof", "except", "anythingbutin"],
    ),
    (Contains, &["excludes", "exclude", "excluding", "lacks"]),
    (InNetwork, &["ipaddressnotinrange"]),
    (Meaning::True, &["isnottrue", "isnttrue"]),
    (Meaning::False, &["isnotfalse", "isntfalse"]),
    (Wildcard, &["unlike", "isunlike"]),
    (Regexp, &["!~", "!=~"]),
    (
        Exists,
        &[
            "missing",
            "ismissing",
            "absent",
            "isabsent",
            "undefined",
            "isundefined",
            "unset",
            "isunset",
        ],
    ),
    (Meaning::Null, &["nonnull", "isnonnull"]),
];

/// Words before a name that negate it; longer ones first, so that `doesnot` is not read as `does`.
const NEGATIONS: [&str; 15] = [
    "anythingbut",
    "doesnot",
    "doesnt",
    "donot",
    "dont",
    "isnot",
    "isnt",
    "arenot",
    "arent",
    "never",
    "not",
    "non",
    "no",
    "n",
    "!",
];

/// Words of names that say that case is ignored, longest first.
const CASE: [&str; 8] = [
    "caseinsensitively",
    "caseinsensitive",
    "ignoringcase",
    "ignorescase",
    "ignorecase",
    "insensitive",
    "nocase",
    "anycase",
];

/// Words after a name for one, or each, of the elements of an array.
const QUANTIFIERS: [(&str, Quantifier); 12] = [
    ("anyof", Quantifier::Any),
    ("oneof", Quantifier::Any),
    ("eitherof", Quantifier::Any),
    ("any", Quantifier::Any),
    ("either", Quantifier::Any),
    ("some", Quantifier::Any),
    ("someof", Quantifier::Any),
    ("allof", Quantifier::All),
    ("all", Quantifier::All),
    ("eachof", Quantifier::All),
    ("every", Quantifier::All),
    ("both", Quantifier::All),
];

impl ForeignOperator {
    /// Reads a name, in whatever case and with whatever between its words.
    pub(super) fn read(name: &str) -> Option<Self> {
        // No name of these is longer; an argument of a thousand words is not worth reading.
        const LONGEST: usize = 48;
        // A single letter negates or ignores case only as the beginning of a word: `n cidr` is a
        // misspelt `in cidr`.
        let is_letter_alone = name
            .strip_prefix(['n', 'i', 'N', 'I'])
            .is_some_and(|rest| rest.starts_with(['-', '_', ' ']));
        if name.len() > LONGEST || is_letter_alone {
            return None;
        }
        let mut joined: String = name
            .chars()
            .filter(|c| !matches!(c, '-' | '_' | ' ' | '$' | '.'))
            .flat_map(char::to_lowercase)
            .collect();
        // `~*` is `~` without case in PostgreSQL.
        let starred = joined.strip_suffix('*').filter(|rest| rest.ends_with('~'));
        let mut ignoring_case = starred.is_some();
        joined = starred.map_or_else(|| joined.clone(), str::to_owned);
        let case = CASE.iter().find_map(|word| remove(&joined, word));
        // Only at the end: `cidr` begins with it.
        let short = || joined.strip_suffix("ci").map(str::to_owned);
        if let Some(rest) = case.or_else(short) {
            joined = rest;
            ignoring_case = true;
        }
        let (negated, ignored, meaning, quantifier) = negatable(&joined)?;
        ignoring_case |= ignored;
        let is_text = matches!(
            meaning,
            Equals | In | Prefix | Suffix | Contains | Wildcard | Regexp
        );
        if ignoring_case && !is_text {
            return None;
        }
        let finds_parts = joined.contains('~')
            || joined.contains("rlike")
            || joined.contains("regex") && !joined.contains("regexp");
        Some(Self {
            meaning,
            negated,
            ignoring_case,
            quantifier,
            finds_parts,
        })
    }
}

/// Negation, whether case is ignored, meaning and quantifier of a name without separators.
fn negatable(name: &str) -> Option<(bool, bool, Meaning, Option<Quantifier>)> {
    let positive = |name: &str| {
        quantified(name)
            .map(|(meaning, quantifier)| (false, meaning, quantifier))
            .or_else(|| {
                // `icontains`, `ilike`: but `in` and `includes` are names of their own.
                let rest = name.strip_prefix('i')?;
                let (meaning, quantifier) = quantified(rest)?;
                let is_short = rest.len() < 3 && rest != "eq" || meaning == In;
                (!is_short).then_some((true, meaning, quantifier))
            })
    };
    if let Some((ignored, meaning, quantifier)) = positive(name) {
        return Some((false, ignored, meaning, quantifier));
    }
    if let Some(meaning) = look_up(&OPPOSITES, name) {
        return Some((true, false, meaning, None));
    }
    // `contains none of`, `is none of`.
    for none in ["noneof", "none", "no"] {
        if let Some((ignored, meaning, None)) = name.strip_suffix(none).and_then(positive) {
            return Some((true, ignored, meaning, Some(Quantifier::Any)));
        }
    }
    NEGATIONS.iter().find_map(|word| {
        let rest = name.strip_prefix(word)?;
        if let Some((ignored, meaning, quantifier)) = positive(rest) {
            return Some((true, ignored, meaning, quantifier));
        }
        // `is not missing`
        let meaning = look_up(&OPPOSITES, rest)?;
        Some((false, false, meaning, None))
    })
}

/// The meaning of a name that may end in a word for "any" or "all".
fn quantified(name: &str) -> Option<(Meaning, Option<Quantifier>)> {
    if let Some(meaning) = look_up(&NAMES, name) {
        return Some((meaning, None));
    }
    QUANTIFIERS.iter().find_map(|(word, quantifier)| {
        let rest = name.strip_suffix(word)?;
        let meaning = match rest {
            // `one of`, `is one of`, `equals any of`; not `all of`, which no value is.
            "" | "is" | "are" if *quantifier == Quantifier::Any => In,
            rest => match look_up(&NAMES, rest)? {
                Equals if *quantifier == Quantifier::Any => In,
                other => other,
            },
        };
        Some((meaning, Some(*quantifier)))
    })
}

fn look_up(names: &[(Meaning, &[&str])], name: &str) -> Option<Meaning> {
    names
        .iter()
        .find(|(_, names)| names.contains(&name))
        .map(|(meaning, _)| *meaning)
}

/// The name without `word` at its beginning or end.
fn remove(name: &str, word: &str) -> Option<String> {
    let rest = name
        .strip_suffix(word)
        .or_else(|| name.strip_prefix(word))?;
    // `equalsignorecase`, and `ignorecase` alone, which can only compare.
    Some(if rest.is_empty() { "equals" } else { rest }.to_owned())
}
