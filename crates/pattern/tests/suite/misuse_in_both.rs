//! One misuse in both notations: either both have a fix, to the same filter, or both have only
//! help.

use reflexarc_pattern::{Dialect, Pattern};

use crate::fixes::{findings, fixed};

/// A misuse as an expression and in JSON notation.
type Pairs = &'static [(&'static str, &'static str)];

/// Misuses whose meaning is certain.
const CERTAIN: Pairs = &[
    (r#"a eq "x""#, r#"{"a": [{"eq": "x"}]}"#),
    (r#"a equals "x""#, r#"{"a": [{"$eq": "x"}]}"#),
    (r#"a ne "x""#, r#"{"a": [{"ne": "x"}]}"#),
    (r#"a is not "x""#, r#"{"a": [{"isNot": "x"}]}"#),
    (r#"a nin ["x", "y"]"#, r#"{"a": [{"nin": ["x", "y"]}]}"#),
    (r#"a is one of ["x", 5]"#, r#"{"a": [{"oneOf": ["x", 5]}]}"#),
    (r#"a startsWith "x""#, r#"{"a": [{"startsWith": "x"}]}"#),
    (
        r#"a starts_with ["x", "y"]"#,
        r#"{"a": [{"startsWith": ["x", "y"]}]}"#,
    ),
    (
        r#"a does not start with "x""#,
        r#"{"a": [{"doesNotStartWith": "x"}]}"#,
    ),
    (r#"a endsWith "x""#, r#"{"a": [{"endsWith": "x"}]}"#),
    (r#"a icontains "x""#, r#"{"a": [{"icontains": "x"}]}"#),
    (r#"a includes "x""#, r#"{"a": [{"includes": "x"}]}"#),
    (
        r#"a contains any ["x", "y"]"#,
        r#"{"a": [{"containsAny": ["x", "y"]}]}"#,
    ),
    (
        r#"a contains all ["x", "y"]"#,
        r#"{"a": [{"containsAll": ["x", "y"]}]}"#,
    ),
    (
        r#"b == 1 and c == 2 and a contains all ["x", "y"]"#,
        r#"{"$and": [{"b": [1]}, {"c": [2]}], "a": [{"containsAll": ["x", "y"]}]}"#,
    ),
    (
        r#"not (a contains all ["x", "y"])"#,
        r#"{"$not": {"a": [{"containsAll": ["x", "y"]}]}}"#,
    ),
    (
        r#"a contains none of ["x", "y"]"#,
        r#"{"a": [{"containsNoneOf": ["x", "y"]}]}"#,
    ),
    (r#"a glob "x*""#, r#"{"a": [{"glob": "x*"}]}"#),
    (r#"a unlike "x*""#, r#"{"a": [{"not-like": "x*"}]}"#),
    (r#"a =~ "^x.*$""#, r#"{"a": [{"=~": "^x.*$"}]}"#),
    ("a gte 5", r#"{"a": [{"gte": 5}]}"#),
    ("a $gt 5", r#"{"a": [{"$gt": 5}]}"#),
    ("a not gt 5", r#"{"a": [{"not-gt": 5}]}"#),
    (
        r#"a between "1" and "5""#,
        r#"{"a": [{"between": ["1", "5"]}]}"#,
    ),
    ("a between 1 and 5", r#"{"a": [{"between": [1, 5]}]}"#),
    (
        "a not between 1 and 5",
        r#"{"a": [{"not-between": [1, 5]}]}"#,
    ),
    (
        r#"a cidr "10.0.0.0/8""#,
        r#"{"a": [{"inCidr": "10.0.0.0/8"}]}"#,
    ),
    ("a present", r#"{"a": [{"present": true}]}"#),
    ("a absent", r#"{"a": [{"absent": true}]}"#),
    ("a is null", r#"{"a": [{"isNull": true}]}"#),
    ("a is not null", r#"{"a": [{"isNull": false}]}"#),
    ("a is true", r#"{"a": [{"isTrue": true}]}"#),
    ("event.a == 1", r#"{"event.a": [1]}"#),
    ("event.a = 1", r#"{"event.a": [{"eq": 1}]}"#),
    (r#"event["a"] == 1"#, r#"{"event['a']": [1]}"#),
    ("$.a[*].b == 1", r#"{"$.a[*].b": [1]}"#),
    ("a[].b == 1", r#"{"a[].b": [1]}"#),
    ("a?.b == 1", r#"{"a?.b": [1]}"#),
    ("a->'b' == 1", r#"{"a->'b'": [1]}"#),
    ("/a/b == 1", r#"{"/a/b": [1]}"#),
    (".a.b == 1", r#"{".a.b": [1]}"#),
    ("${a.b} == 1", r#"{"${a.b}": [1]}"#),
    ("a == 'x'", r#"{"a": ['x']}"#),
    ("a == None", r#"{"a": [None]}"#),
    ("a == 10.0.0.1", r#"{"a": [10.0.0.1]}"#),
    ("a == 2024-01-01", r#"{"a": [2024-01-01]}"#),
    ("a == +05", r#"{"a": [+05]}"#),
    ("a == eni-1", r#"{"a": [eni-1]}"#),
];

// `a == failed` is not among them: in an expression a word may be a path, in JSON it is a text.

/// Misuses with several meanings, or with none that a filter has.
const UNCERTAIN: Pairs = &[
    (r#"a regex "x""#, r#"{"a": [{"regex": "x"}]}"#),
    (r#"a LIKE "x%""#, r#"{"a": [{"LIKE": "x%"}]}"#),
    (
        r#"a includes ["x", "y"]"#,
        r#"{"a": [{"includes": ["x", "y"]}]}"#,
    ),
    (r#"a > "x""#, r#"{"a": [{"gt": "x"}]}"#),
    ("a is empty", r#"{"a": [{"empty": true}]}"#),
    ("a in range [1, 5]", r#"{"a": [{"inRange": [1, 5]}]}"#),
    ("a between 5 and 1", r#"{"a": [{"between": [5, 1]}]}"#),
    (
        r#"a after "2024-01-01""#,
        r#"{"a": [{"after": "2024-01-01"}]}"#,
    ),
    ("a[0] == 1", r#"{"a[0]": [1]}"#),
    ("a.0.b == 1", r#"{"a.0.b": [1]}"#),
    ("a.*.b == 1", r#"{"a.*.b": [1]}"#),
    ("a..b == 1", r#"{"a..b": [1]}"#),
    ("a.b* == 1", r#"{"a.b*": [1]}"#),
    ("a.*b == 1", r#"{"a.*b": [1]}"#),
    ("*.a == 1", r#"{"*.a": [1]}"#),
    ("a[?(@.b == 1)].c == 2", r#"{"a[?(@.b == 1)].c": [2]}"#),
    ("a[b] == 1", r#"{"a[b]": [1]}"#),
    ("a.length > 2", r#"{"a.length": [{"numeric": [">", 2]}]}"#),
];

#[test]
fn certain_misuses_have_the_same_fix_in_both_notations() {
    let node = |text: &str| {
        let fixed = fixed(text, Dialect::Reflexarc).ok_or(format!("{text} has no fix"))?;
        let parsed = fixed.parse::<Pattern>();
        let pattern = parsed.map_err(|error| format!("{text} became {fixed}: {error}"))?;
        Ok::<_, String>((pattern.node().clone(), fixed))
    };
    let mut wrong = Vec::new();
    for (expression, json) in CERTAIN {
        match (node(expression), node(json)) {
            (Ok((one, _)), Ok((other, _))) if one == other => {}
            (Ok((_, one)), Ok((_, other))) => wrong.push(format!("{one} and {other}")),
            (one, other) => wrong.extend([one.err(), other.err()].into_iter().flatten()),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn uncertain_misuses_have_only_help_in_both_notations() {
    let mut wrong = Vec::new();
    for text in UNCERTAIN
        .iter()
        .flat_map(|(expression, json)| [expression, json])
    {
        let found = findings(text, Dialect::Reflexarc);
        if found.iter().all(|one| one.help.is_none()) {
            wrong.push(format!("{text} has no help: {found:?}"));
        }
        if let Some(fixed) = fixed(text, Dialect::Reflexarc) {
            wrong.push(format!("{text} became {fixed}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
