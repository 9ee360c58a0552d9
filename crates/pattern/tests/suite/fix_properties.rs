//! Properties of fixes: for every name of an operator elsewhere and every slip in one of ours, a
//! fix keeps the meaning, or there is none.

use proptest::prelude::*;
use proptest::sample::select;
use reflexarc_diagnostic::{Code, Diagnostic, Severity};
use reflexarc_pattern::{Dialect, Pattern};

use crate::fixes::{findings, fixed};
use crate::generate::nodes;

/// Names of operators elsewhere, and ours.
const NAMES: [(&[&str], &str); 6] = [
    (&["contain", "contains", "include", "includes"], "contains"),
    (
        &["start with", "starts with", "begin with", "begins with"],
        "starts with",
    ),
    (&["end with", "ends with"], "ends with"),
    (&["equal", "equals", "equal to"], "=="),
    (&["match", "matches"], "matches"),
    (&["like", "glob"], "like"),
];

/// The words of an operator in the style of a language.
fn styled(words: &str, style: u8) -> String {
    match style {
        0 => words.to_owned(),
        1 => words.replace(' ', "_"),
        2 => words.replace(' ', ""),
        3 => words.to_uppercase(),
        _ => {
            let mut parts = words.split(' ');
            let first = parts.next().unwrap_or_default().to_owned();
            parts.fold(first, |camel, part| {
                let (head, tail) = part.split_at(1);
                format!("{camel}{}{tail}", head.to_uppercase())
            })
        }
    }
}

/// A part of a printed pattern that is an operator or a keyword, outside of strings and paths.
fn operator_words(text: &str, is_json: bool) -> Vec<std::ops::Range<usize>> {
    let operators = [
        "prefix",
        "suffix",
        "wildcard",
        "regexp",
        "equals-ignore-case",
        "numeric",
        "cidr",
        "anything-but",
        "starts with",
        "ends with",
        "contains",
        "like",
        "matches",
        "in cidr",
        "exists",
        "is missing",
        "ignoring case",
        "not",
        "and",
        "or",
    ];
    let mut found = Vec::new();
    let mut in_string = false;
    for (at, character) in text.char_indices() {
        // The patterns that are looked at have no escapes, so a quote starts or ends a string.
        in_string ^= character == '"';
        let wants = |operator: &str| {
            if is_json {
                let key = format!("\"{operator}\": ");
                character == '"' && text[at..].starts_with(&key) && text[..at].ends_with('{')
            } else {
                let is_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '.');
                !in_string
                    && text[at..].starts_with(operator)
                    && !is_word(text[..at].chars().next_back())
                    && !is_word(text[at + operator.len()..].chars().next())
            }
        };
        if let Some(operator) = operators.into_iter().find(|operator| wants(operator)) {
            let start = at + usize::from(is_json);
            found.push(start..start + operator.len());
        }
    }
    found
}

/// The word with one character left out, added, replaced or swapped with the next one.
fn edited(word: &str, edit: u8, at: usize, letter: char) -> String {
    let mut letters: Vec<char> = word.chars().collect();
    let at = at % letters.len();
    match edit {
        0 => {
            letters.remove(at);
        }
        1 => letters[at] = letter,
        2 => letters.insert(at, letter),
        _ if at + 1 < letters.len() => letters.swap(at, at + 1),
        _ => letters.push(letter),
    }
    letters.into_iter().collect()
}

/// A path in the notation of another language.
fn foreign_path(keys: &[&str], style: u8) -> String {
    let steps = |before: &str, after: &str| -> String {
        let rest = keys[1..].iter();
        rest.flat_map(|key| [before, key, after]).collect()
    };
    let (first, dotted) = (keys[0], keys.join("."));
    match style {
        0 => format!("$.{dotted}"),
        1 => format!("$['{first}']{}", steps("['", "']")),
        2 => format!("event.{dotted}"),
        3 => format!("event[\"{}\"]", keys.join("\"][\"")),
        4 => format!("{first}{}", steps("->'", "'")),
        5 => format!("{first}{}", steps("?.", "")),
        6 => format!("{first}[*]{}", steps(".", "[]")),
        7 => format!("/{}", keys.join("/")),
        8 => format!("${{{dotted}}}"),
        _ => format!(".{dotted}"),
    }
}

/// Paths of several languages, and functions in their place.
const PATHS: &str = "a b.c event.a $.a a[0] a[*].b a['b'] a->'b' /a/b a.* a.b* a..b .a a?.b ${a} \
                     lower(a) len(a) event.get('a') a.trim() 'x' 5 not !a in has exists";

/// Operators of several languages, with `_` for a space.
const OPERATORS: &str = "== = === != <> > >= => =~ !~ in not_in IN NOT_IN nin is is_not like LIKE \
                         ilike not_ilike contains icontains containsAll startsWith starts_with \
                         between not_between in_range exists is_missing is_null IS_NOT_NULL \
                         missing matches regex in_cidr cidr has has_any_of ends_with : strats_with";

/// Values of several languages, and nothing.
const VALUES: &str = "'x' \"x\" 5 -1 '5' x true None null undefined 10.0.0.1 10.0.0.0/8 eni-1 \
                      eni-* 'x%' [1,2] ('x','y') [x,y] /x/i 2024-01-01 1..5 1_and_5 (1,5) {1,5} \
                      b.c event.b 'x'_ignore_case 'x'_or_'y' _";

/// Operators as keys of JSON notation.
const JSON_NAMES: &str = "prefix suffix contains wildcard regexp equals-ignore-case numeric cidr \
                          exists anything-but exactly Prefix prefxi startsWith $regex like \
                          ilike glob eq ne $in nin not isNull isTrue missing between range gte \
                          $lt containsAll icontains not-like \
                          anything-but-prefix ip or $or $and $not $nor any b c.d";

/// Values of JSON notation. All are valid JSON: an error in a value hides those of its operator.
const JSON_VALUES: &str = r#""x" 5 true null "5" "x%" "10.0.0.0/8" ["x"] ["x","y"] [1,5] [] {}
                             [">",5] [">","5"] ">5" {"prefix":"x"} {"startsWith":"x"}
                             [{"prefix":"x"}] {"equals-ignore-case":"x"} {"a":["x"]} [{"a":[1]}]"#;

/// What stands between conditions.
const CONNECTIVES: &str = "and or && || AND , xor unless and_not ; & nor";

/// One of the words of a list.
fn one_of(words: &'static str) -> impl Strategy<Value = String> {
    let words: Vec<&str> = words.split_whitespace().collect();
    select(words).prop_map(|word| word.replace('_', " "))
}

/// The text after the fixes of its errors as long as all errors have one, as `check --fix` does it;
/// `None` if some have none at the start. No two fixes of a report are about the same text.
fn all_fixed(text: &str) -> Option<String> {
    let mut fixed = None;
    for _ in 0..16 {
        let current = fixed.as_deref().unwrap_or(text);
        let Err(errors) = Pattern::parse(current, Dialect::Reflexarc) else {
            break;
        };
        let errors = errors.into_diagnostics();
        let mut fixes: Vec<_> = errors.iter().filter_map(|one| one.fix.clone()).collect();
        if fixes.len() < errors.len() {
            break;
        }
        fixes.sort_by_key(|fix| fix.span.start);
        let (mut next, mut at) = (String::new(), 0);
        for fix in fixes {
            assert!(fix.span.start >= at, "fixes overlap in {current}: {fix:?}");
            next.push_str(&current[at..fix.span.start]);
            next.push_str(&fix.replacement);
            at = fix.span.end;
        }
        next.push_str(&current[at..]);
        fixed = Some(next);
    }
    fixed
}

/// Whether it is an error without help and without a fix.
fn is_helpless(found: &Diagnostic) -> bool {
    found.severity == Severity::Error && found.help.is_none() && found.fix.is_none()
}

proptest! {
    /// Whatever conditions follow each other: where all errors have fixes, they make a filter.
    #[test]
    fn fixes_of_all_errors_make_a_filter(
        conditions in proptest::collection::vec(
            (one_of(CONNECTIVES), one_of(PATHS), one_of(OPERATORS), one_of(VALUES)),
            1..4,
        ),
        negation in select(&["", "not ", "!", "("]),
    ) {
        let mut text = negation.to_owned();
        for (i, (connective, path, operator, value)) in conditions.iter().enumerate() {
            let connective = if i == 0 { "" } else { connective };
            text.push_str(&format!(" {connective} {path} {operator} {value}"));
        }
        if negation == "(" {
            text.push(')');
        }
        if let Some(fixed) = all_fixed(&text) {
            let parsed = fixed.parse::<Pattern>();
            prop_assert!(parsed.is_ok(), "{} became {}: {}", text, fixed, parsed.unwrap_err());
        }
        let helpless = findings(&text, Dialect::Reflexarc)
            .into_iter()
            .find(is_helpless);
        prop_assert_eq!(helpless, None, "{}", text);
    }

    /// Whatever an operator stands on, and wherever: each error has help, and each fix leaves
    /// valid JSON.
    #[test]
    fn fixes_of_json_leave_valid_json(
        path in one_of("a b.c event.a $.a a[0] a[*].b a->b a.* prefix detailType"),
        members in proptest::collection::vec((one_of(JSON_NAMES), one_of(JSON_VALUES)), 1..3),
        value in one_of(JSON_VALUES),
        shape in 0..6u8,
    ) {
        let members = members.iter().map(|(name, value)| format!("\"{name}\": {value}"));
        let members = members.collect::<Vec<_>>().join(", ");
        let value = match shape {
            0 => value,
            1 => format!("[{value}]"),
            2 => format!("{{{members}}}"),
            3 => format!("[{{{members}}}]"),
            4 => format!("[{{{members}}}, {value}]"),
            _ => format!("[{{\"anything-but\": {{{members}}}}}]"),
        };
        let text = format!("{{\"{path}\": {value}}}");
        let errors = |text: &str| match Pattern::parse(text, Dialect::Reflexarc) {
            Ok(_) => Vec::new(),
            Err(errors) => errors.into_diagnostics(),
        };
        let before = errors(&text);
        for fix in before.iter().filter_map(|found| found.fix.as_ref()) {
            let mut fixed = text.clone();
            fixed.replace_range(fix.span.clone(), &fix.replacement);
            let after = errors(&fixed);
            let invalid = after.iter().find(|found| found.code == Code::SYNTAX);
            prop_assert_eq!(invalid, None, "{} became {}", text, fixed);
        }
        let helpless = before
            .into_iter()
            .find(is_helpless);
        prop_assert_eq!(helpless, None, "{}", text);
    }

    /// A path of another language: the fix names the same keys, in one round, in both notations.
    #[test]
    fn paths_of_other_languages_become_ours(
        keys in proptest::collection::vec(select(&["a", "b-c", "content", "eniId", "x1"]), 2..5),
        style in 0..10u8,
        quote in select(&["'", "\""]),
        negation in select(&["", "not ", "!"]),
    ) {
        let path = foreign_path(&keys, style);
        let ours = keys.join(".");
        let one_round = |text: &str| {
            let mut fixes: Vec<_> =
                findings(text, Dialect::Reflexarc).into_iter().filter_map(|one| one.fix).collect();
            fixes.sort_by_key(|fix| std::cmp::Reverse(fix.span.start));
            let mut fixed = text.to_owned();
            for fix in fixes {
                fixed.replace_range(fix.span, &fix.replacement);
            }
            fixed.parse::<Pattern>().map_err(|error| format!("{text} became {fixed}: {error}"))
        };
        let not = if negation.is_empty() { "" } else { "not " };
        let right: Pattern = format!("{not}({ours} == \"x\")").parse().unwrap();
        let fixed = one_round(&format!("{negation}{path} = {quote}x{quote}"));
        prop_assert_eq!(fixed.map(|pattern| pattern.node().clone()), Ok(right.node().clone()));
        let right: Pattern = format!("{ours} == \"x\"").parse().unwrap();
        let key = path.replace('"', "'");
        let fixed = one_round(&format!("{{\"{key}\": [{{\"eq\": \"x\"}}]}}"));
        prop_assert_eq!(fixed.map(|pattern| pattern.node().clone()), Ok(right.node().clone()));
    }

    /// Whatever another language calls an operator: the fix means the same, or there is none.
    #[test]
    fn operators_of_other_languages_keep_their_meaning(
        negation in select(&["", "not ", "does not ", "doesnt ", "is not ", "never ", "!"]),
        (names, ours) in select(&NAMES[..]),
        name in any::<proptest::sample::Index>(),
        case in select(&["", " ignore case", " case insensitive", "i"]),
        style in 0..5u8,
    ) {
        let name = names[name.index(names.len())];
        let name = match case {
            "i" => format!("i{}", styled(name, 2)),
            case => styled(&format!("{name}{case}"), style),
        };
        let is_negated = !negation.is_empty();
        let is_joined = style == 1 || style == 2;
        let operator = match (negation, is_joined) {
            ("!", _) | (_, false) => format!("{negation}{name}"),
            (negation, true) => format!("{}{name}", negation.trim_end().replace(' ', "")),
        };
        let text = format!("a {operator} \"Xy\"");
        let original = match (ours, is_negated) {
            ("==", true) => "a != \"Xy\"".to_owned(),
            (ours, true) => format!("a not {ours} \"Xy\""),
            (ours, false) => format!("a {ours} \"Xy\""),
        };
        let ignoring = if case.is_empty() { "" } else { " ignoring case" };
        let original: Pattern = format!("{original}{ignoring}").parse().unwrap();
        if let Some(fixed) = fixed(&text, Dialect::Reflexarc) {
            let parsed = fixed.parse::<Pattern>();
            prop_assert!(parsed.is_ok(), "{} became {}", text, fixed);
            let node = parsed.unwrap();
            prop_assert_eq!(node.node(), original.node(), "{} became {}", text, fixed);
        }
    }

    /// A slip in an operator or keyword: the fixes give the original back, or there are none.
    #[test]
    fn misspelt_operators_become_the_original_or_stay(
        node in nodes(),
        is_json: bool,
        word in any::<proptest::sample::Index>(),
        edit in 0..4u8,
        at in 0..100usize,
        letter in select(&['a', 'e', 'i', 'n', 'o', 's', 't', 'u', 'x', ' ', '-', '_']),
    ) {
        let original = Pattern::from_node(node);
        let text = if is_json { original.to_json() } else { original.to_expression() };
        let words = operator_words(&text, is_json);
        // A path such as `.a` has a fix of its own.
        let has_own_fix = fixed(&text, Dialect::Reflexarc).is_some();
        if words.is_empty() || text.contains('\\') || has_own_fix {
            return Ok(());
        }
        let word = words[word.index(words.len())].clone();
        let mut misspelt = text.clone();
        let other = edited(&text[word.clone()], edit, at, letter);
        // `icontains` and `nlike` are names of their own.
        let start = other.strip_suffix(&text[word.clone()]);
        let is_name = ["i", "n"].contains(&start.unwrap_or_default());
        if is_name {
            return Ok(());
        }
        misspelt.replace_range(word, &other);
        // Another valid filter, such as one with `or` for `nor`, is not known to be misspelt.
        if Pattern::parse(&misspelt, Dialect::Reflexarc).is_ok() {
            return Ok(());
        }
        if let Some(fixed) = fixed(&misspelt, Dialect::Reflexarc) {
            match fixed.parse::<Pattern>() {
                Ok(parsed) => prop_assert_eq!(
                    parsed.node(), original.node(), "{} became {}", misspelt, fixed
                ),
                Err(error) => prop_assert!(
                    false, "{} became {}, which is rejected: {}", misspelt, fixed, error
                ),
            }
        }
    }
}
