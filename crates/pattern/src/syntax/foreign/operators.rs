//! Operators as other languages and people spell them.

use super::condition::Test;

/// An operator that a spelling stands for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Meaning {
    pub(super) test: Test,
    pub(super) is_negated: bool,
    pub(super) is_ignoring_case: bool,
}

/// Most tokens of one spelling.
pub(super) const LONGEST: usize = 6;

/// The operator of a spelling in lower case, its tokens joined by spaces.
pub(super) fn meaning(spelling: &str) -> Option<Meaning> {
    // `does not contain`, `is not in`, `!contains` and `not like` negate what is left of them.
    const NEGATIONS: [&str; 10] = [
        "is not ",
        "does not ",
        "do not ",
        "did not ",
        "doesnt ",
        "isnt ",
        "not ",
        "are not ",
        "! ",
        "!",
    ];
    if let Some((test, is_ignoring_case)) = positive(spelling) {
        return Some(Meaning {
            test,
            is_negated: false,
            is_ignoring_case,
        });
    }
    if let Some(test) = negative(spelling) {
        return Some(Meaning {
            test,
            is_negated: true,
            is_ignoring_case: false,
        });
    }
    NEGATIONS.iter().find_map(|negation| {
        let (test, is_ignoring_case) = positive(spelling.strip_prefix(negation)?)?;
        Some(Meaning {
            test,
            is_negated: true,
            is_ignoring_case,
        })
    })
}

fn positive(spelling: &str) -> Option<(Test, bool)> {
    const STARTS: Test = Test::Part("starts with");
    const ENDS: Test = Test::Part("ends with");
    const CONTAINS: Test = Test::Part("contains");
    let test = match spelling {
        "==" | "=" | "===" | "is" | "eq" | "equals" | "equal" | "equal to" | "is equal to"
        | ":" | ": =" | ":=" | "equals to" | "-eq" | "exactly" => Test::Equals,
        "in" | "is in" | "one of" | "is one of" | "any of" | "isin" | "is any of" | "is either"
        | "contains any" | "contains any of" => Test::In,
        "in~" | "in ~" | "equals-ignore-case" | "iequals" | "equalsignorecase" | "iexact"
        | "eqi" | "ieq" => return Some((Test::Equals, true)),
        "<" | "lt" | "less than" | "is less than" | "below" | "is below" | ": <" | ":<"
        | "under" | "before" | "is before" => Test::Compare("<"),
        "<=" | "=<" | "le" | "lte" | "at most" | "is at most" | ": <=" => Test::Compare("<="),
        ">" | "gt" | "greater than" | "is greater than" | "more than" | "above" | "is above"
        | "over" | ": >" | ":>" | "after" | "is after" | "exceeds" => Test::Compare(">"),
        ">=" | "=>" | "ge" | "gte" | "at least" | "is at least" | ": >=" => Test::Compare(">="),
        "in cidr" | "cidr" | "in subnet" | "in network" | "within" | "in_cidr" | "insubnet"
        | "cidrmatch" | "is in cidr" | "within cidr" | "incidr" | "in net" | "<<" | "<<=" => {
            Test::InNetwork
        }
        "starts with" | "startswith" | "begins with" | "beginswith" | "prefix" | "hasprefix"
        | "starts_with" | "start with" | "has prefix" | "begin with" | "^=" | "begins_with" => {
            STARTS
        }
        "istartswith" | "istarts with" => return Some((STARTS, true)),
        "ends with" | "endswith" | "suffix" | "hassuffix" | "ends_with" | "end with"
        | "has suffix" | "$=" => ENDS,
        "iendswith" | "iends with" => return Some((ENDS, true)),
        "contains" | "includes" | "include" | "has" | "contain" | "*=" | "contains_cs" => CONTAINS,
        "icontains" => return Some((CONTAINS, true)),
        "like" | "wildcard" | "glob" | "fnmatch" => Test::Like,
        "ilike" => return Some((Test::Like, true)),
        "matches" | "match" | "regexp" | "regex" | "matches regex" | "regex matches"
        | "matches regexp" => Test::Matches(true),
        "=~" | "~" | "~=" | "rlike" | "similar to" | "-match" => Test::Matches(false),
        "~*" | "~* " => return Some((Test::Matches(false), true)),
        "exists" | "is defined" | "is set" | "is present" | "exist" | "present" | "defined"
        | "is there" | "isset" | "set" => Test::Exists,
        "is missing" | "is undefined" | "is unset" | "is absent" | "absent" | "missing"
        | "undefined" | "is gone" => Test::Missing,
        "is empty" | "empty" => Test::IsEmpty,
        "between" | "is between" | "in range" | "is in range" => Test::Between,
        _ => return None,
    };
    Some((test, false))
}

fn negative(spelling: &str) -> Option<Test> {
    Some(match spelling {
        "!=" | "<>" | "!==" | "=!" | "ne" | "neq" | "not =" | "not ==" | "-ne" | "anything-but"
        | "differs from" | "is different from" | "not" | "isnt" | "is not" | "excludes" => {
            Test::Equals
        }
        "nin" | "notin" | "none of" | "is none of" => Test::In,
        "!~" | "! ~" | "=!~" => Test::Matches(false),
        "notnull" => Test::Missing,
        _ => return None,
    })
}
