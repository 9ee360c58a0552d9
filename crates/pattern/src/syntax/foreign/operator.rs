//! The operators of other languages, and what they are here: `nin`, `icontains`, `$gte`,
//! `anything-but-prefix`, `is greater than`. The one table of both notations.

// A suggestion must never change the meaning, so names are read word by word: words for `not`, for
// ignoring case, and for "any" or "all" of an array are taken off, and what remains must be one of
// the names below. Anything else is unknown, however similar it looks.

use crate::syntax::argument::Comparison;

/// What an operator of another language means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::syntax) struct ForeignOperator {
    pub(in crate::syntax) meaning: Meaning,
    pub(in crate::syntax) negated: bool,
    pub(in crate::syntax) ignoring_case: bool,
    /// Which elements of an array operand must meet the condition, if the name says so.
    pub(in crate::syntax) quantifier: Option<Quantifier>,
    /// Whether the operator finds a part of the text where it comes from, as `=~` does; ours
    /// compares the whole text.
    pub(in crate::syntax) finds_parts: bool,
}

/// The operator without negation and case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::syntax) enum Meaning {
    Equals,
    In,
    /// An element of an array: the value comes first, `"x" in path`.
    Element,
    InNetwork,
    Prefix,
    Suffix,
    Contains,
    Wildcard,
    Regexp,
    Compare(Comparison),
    /// At least a low and at most a high number.
    Between,
    /// As `Between`, but it may leave out its ends.
    Range,
    Exists,
    Null,
    True,
    False,
    Empty,
}

/// A word for "one of these" or "each of these".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::syntax) enum Quantifier {
    Any,
    All,
}

use Meaning::{
    Between, Compare, Contains, Empty, Equals, Exists, In, InNetwork, Null, Prefix, Range, Regexp,
    Suffix, Wildcard,
};

/// Meanings and their names.
type Names = [(Meaning, &'static str)];

/// The names of other languages, without separators and in lower case. `is` may stand before each.
const NAMES: &Names = &[
    (
        Equals,
        "= == === : := is are eq equal equals equalto equalsto",
    ),
    (Equals, "sameas exactly exact equalsexactly"),
    (In, "in inlist inarray inset among memberof"),
    (InNetwork, "cidr cidrs incidr incidrs withincidr cidrmatch"),
    (InNetwork, "network innetwork innet subnet insubnet << <<="),
    (InNetwork, "ipaddressinrange ipincidr ipinsubnet ipmatch"),
    (InNetwork, "cidrcontains containsip ipv4insubnet"),
    (Prefix, "prefix hasprefix startswith startwith startingwith"),
    (
        Prefix,
        "starts begins beginswith beginwith beginningwith ^=",
    ),
    (
        Suffix,
        "suffix hassuffix endswith endwith endingwith ends $=",
    ),
    (
        Contains,
        "contains contain containing includes include has *=",
    ),
    (Contains, "hassubstring containsstring containstext"),
    (Contains, "containssubstring containscs"),
    (Wildcard, "like likes wildcard wildcards glob globs fnmatch"),
    (Wildcard, "matchesglob matcheswildcard shellstyle"),
    (Regexp, "matches match matching regexp regex rlike =~ ~= ~"),
    (Regexp, "matchesregex matchesregexp matchregex regexmatch"),
    (Regexp, "regexmatches regexpmatch regexplike regexpcontains"),
    (
        Compare(Comparison::Less),
        "< lt lessthan below under before :<",
    ),
    (Compare(Comparison::LessOrEqual), "<= =< <== ≤ lte le :<="),
    (Compare(Comparison::LessOrEqual), "atmost lessthanorequal"),
    (
        Compare(Comparison::LessOrEqual),
        "lessthanorequalto lessthanequal",
    ),
    (Compare(Comparison::Greater), "> gt greaterthan morethan :>"),
    (Compare(Comparison::Greater), "above over after exceeds"),
    (
        Compare(Comparison::GreaterOrEqual),
        ">= => >== ≥ gte ge :>=",
    ),
    (
        Compare(Comparison::GreaterOrEqual),
        "atleast greaterthanorequal",
    ),
    (Compare(Comparison::GreaterOrEqual), "greaterthanorequalto"),
    (Compare(Comparison::GreaterOrEqual), "greaterthanequal"),
    (Between, "between"),
    (Range, "inrange range"),
    (Exists, "exists exist existing present defined set isthere"),
    (Null, "null none nil"),
    (Meaning::True, "istrue"),
    (Meaning::False, "isfalse"),
    (Empty, "empty blank"),
];

/// Names that mean the opposite of an operator, or that no word-by-word reading explains.
const OPPOSITES: &Names = &[
    (Equals, "not isnot isnt arent != <> !== =! ne neq otherthan"),
    (Equals, "differsfrom differentfrom"),
    (Equals, "anythingbut anythingexcept anythingotherthan"),
    (In, "nin noneof except anythingbutin"),
    (Contains, "excludes exclude excluding lacks"),
    (InNetwork, "ipaddressnotinrange"),
    (Meaning::True, "isnottrue isnttrue"),
    (Meaning::False, "isnotfalse isntfalse"),
    (Wildcard, "unlike"),
    (Regexp, "!~ !=~ =!~"),
    (Exists, "missing absent undefined unset gone"),
    (Null, "nonnull"),
];

/// Words before a name that negate it; longer ones first, so that `doesnot` is not read as `does`.
const NEGATIONS: &str = "anythingbut doesnot doesnt didnot donot dont isnot isnt arenot arent \
                         never not non no n !";

/// Words of names that say that case is ignored, longest first.
const CASE: &str = "caseinsensitively caseinsensitive ignoringcase ignorescase ignorecase \
                    insensitive nocase anycase";

/// Words after a name for one, or each, of the elements of an array.
const QUANTIFIERS: [(Quantifier, &str); 2] = [
    (
        Quantifier::Any,
        "anyof oneof eitherof any either some someof",
    ),
    (Quantifier::All, "allof all eachof every both"),
];

impl ForeignOperator {
    /// Most words of one operator: `is not greater than or equal to`.
    pub(in crate::syntax) const LONGEST: usize = 7;

    /// Reads a name, in whatever case and with whatever between its words.
    pub(in crate::syntax) fn read(name: &str) -> Option<Self> {
        // No name of these is longer; an argument of a thousand words is not worth reading.
        const LONGEST: usize = 48;
        // A single letter negates or ignores case only as the beginning of a word: `n cidr` is a
        // misspelt `in cidr`, and so is `-n cidr`.
        let is_letter_alone = name
            .trim_start_matches(['-', '_', ' '])
            .strip_prefix(['n', 'i', 'N', 'I'])
            .is_some_and(|rest| rest.starts_with(['-', '_', ' ']));
        // Nor as the end of one: `noi starts with` is a misspelt `not starts with`, and `notn in` a
        // misspelt `not in`.
        let is_negation = |word: &str| NEGATIONS.split(' ').any(|negation| negation == word);
        let mut words = name.rsplit(['-', '_', ' ']).skip(1).map(str::to_lowercase);
        let ends_in_letter = words.any(|word| {
            let rest = word.strip_suffix(['i', 'n']);
            rest.is_some_and(is_negation) && !is_negation(&word)
        });
        if name.len() > LONGEST || is_letter_alone || ends_in_letter {
            return None;
        }
        let mut joined: String = name
            .chars()
            .filter(|c| !matches!(c, '-' | '_' | ' ' | '.'))
            .flat_map(char::to_lowercase)
            .collect();
        // `$gte`, but `$=` compares the end of a text.
        if joined.starts_with('$') && !joined.starts_with("$=") {
            joined.remove(0);
        }
        // `~*` is `~` without case in PostgreSQL, and `in~` is `in` without case in KQL.
        let starred = joined
            .strip_suffix('*')
            .filter(|rest| rest.ends_with('~'))
            .or_else(|| joined.strip_suffix('~').filter(|rest| rest.ends_with("in")));
        let mut ignoring_case = starred.is_some();
        joined = starred.map_or_else(|| joined.clone(), str::to_owned);
        let case = CASE.split(' ').find_map(|word| remove(&joined, word));
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

    /// The operator as it is written here; `None` if it is no single one.
    pub(in crate::syntax) fn name(self) -> Option<&'static str> {
        let (name, opposite) = match self.meaning {
            Equals | Meaning::Element => ("==", "!="),
            In => ("in", "not in"),
            InNetwork => ("in cidr", "not in cidr"),
            Prefix => ("starts with", "not starts with"),
            Suffix => ("ends with", "not ends with"),
            Contains => ("contains", "not contains"),
            Wildcard => ("like", "not like"),
            Regexp => ("matches", "not matches"),
            Compare(Comparison::Less) => ("<", "not <"),
            Compare(Comparison::LessOrEqual) => ("<=", "not <="),
            Compare(Comparison::Greater) => (">", "not >"),
            Compare(Comparison::GreaterOrEqual) => (">=", "not >="),
            Exists => ("exists", "is missing"),
            Null => ("== null", "!= null"),
            Meaning::True => ("== true", "!= true"),
            Meaning::False => ("== false", "!= false"),
            Between | Range | Empty => return None,
        };
        Some(if self.negated { opposite } else { name })
    }

    /// Whether no value follows it.
    pub(in crate::syntax) fn stands_alone(self) -> bool {
        matches!(
            self.meaning,
            Exists | Null | Meaning::True | Meaning::False | Empty
        )
    }

    /// Whether the operand, as written, means the same in this language: SQL's `LIKE` knows `%`,
    /// and `=~` finds a part of the text.
    pub(in crate::syntax) fn has_our_meaning(self, operand: &str) -> bool {
        match self.meaning {
            Wildcard => !operand.contains('%'),
            Regexp => !self.finds_parts || is_whole(operand),
            _ => true,
        }
    }
}

/// Whether a regular expression, as written, says how the text begins and ends.
fn is_whole(literal: &str) -> bool {
    let text = literal.trim_matches('"');
    let begins = text.starts_with('^') || text.starts_with(".*");
    begins && (text.ends_with('$') || text.ends_with(".*"))
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
    if let Some(meaning) = look_up(OPPOSITES, name) {
        return Some((true, false, meaning, None));
    }
    // `contains none of`, `is none of`.
    for none in ["noneof", "none", "no"] {
        // `== None` compares with a value.
        let rest = name.strip_suffix(none);
        let rest = rest.filter(|rest| rest.starts_with(char::is_alphabetic));
        if let Some((ignored, meaning, None)) = rest.and_then(positive) {
            return Some((true, ignored, meaning, Some(Quantifier::Any)));
        }
    }
    NEGATIONS.split(' ').find_map(|word| {
        let rest = name.strip_prefix(word)?;
        if let Some((ignored, meaning, quantifier)) = positive(rest) {
            return Some((true, ignored, meaning, quantifier));
        }
        // `is not missing`
        let meaning = look_up(OPPOSITES, rest)?;
        Some((false, false, meaning, None))
    })
}

/// The meaning of a name that may end in a word for "any" or "all".
fn quantified(name: &str) -> Option<(Meaning, Option<Quantifier>)> {
    if let Some(meaning) = look_up(NAMES, name) {
        return Some((meaning, None));
    }
    QUANTIFIERS.iter().find_map(|(quantifier, words)| {
        let rest = words.split(' ').find_map(|word| name.strip_suffix(word))?;
        let meaning = match rest {
            // `one of`, `is one of`, `equals any of`; not `all of`, which no value is.
            "" | "is" | "are" if *quantifier == Quantifier::Any => In,
            rest => match look_up(NAMES, rest)? {
                Equals if *quantifier == Quantifier::Any => In,
                other => other,
            },
        };
        Some((meaning, Some(*quantifier)))
    })
}

/// The meaning of a name, perhaps with `is` before it.
fn look_up(names: &Names, name: &str) -> Option<Meaning> {
    let find = |name: &str| {
        let mut names = names.iter();
        let found = names.find(|(_, names)| names.split(' ').any(|other| other == name));
        found.map(|(meaning, _)| *meaning)
    };
    // Only before words: `is not` negates what follows, and `is=` is a slip of the keyboard.
    let after_is = name
        .strip_prefix("is")
        .filter(|rest| rest.starts_with(char::is_alphabetic) && *rest != "not" && *rest != "is");
    find(name).or_else(|| after_is.and_then(find))
}

/// The name without `word` at its beginning or end.
fn remove(name: &str, word: &str) -> Option<String> {
    let rest = name
        .strip_suffix(word)
        .or_else(|| name.strip_prefix(word))?;
    // `equalsignorecase`, and `ignorecase` alone, which can only compare.
    Some(if rest.is_empty() { "equals" } else { rest }.to_owned())
}
