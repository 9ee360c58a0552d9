//! Reads tokens as one condition.

use super::call;
use super::condition::{Condition, Precision, Test, Value, ValueKind};
use super::operators::{self, Meaning};
use super::token::{Kind, Token};
use crate::Path;
use crate::impossible_paths::is_root;
use crate::keywords::is_keyword;
use crate::print::expression;

/// A condition that was recognised.
pub(super) struct Recognised {
    pub(super) condition: Condition,
    /// The index of the token that is wrong first: an operator, a function, a value in front.
    pub(super) at: usize,
    /// How many tokens of the operator start there.
    pub(super) operator: usize,
    /// Whether it is a function.
    pub(super) is_call: bool,
}

/// The condition that tokens mean, whatever language they are in.
pub(super) fn condition(tokens: &[Token]) -> Option<Recognised> {
    let (negations, skipped) = negations(tokens);
    let mut rest = &tokens[skipped..];
    while rest.last().is_some_and(|last| last.is(";")) {
        rest = &rest[..rest.len() - 1];
    }
    let words = query_words(rest);
    if words > 0 {
        let mut recognised = condition(&rest[words..])?;
        (recognised.at, recognised.operator) = (skipped, 1);
        recognised.condition.is_excluded ^= negations % 2 == 1;
        return Some(recognised);
    }
    let (rest, opened) = unwrapped(rest);
    let mut recognised = call::condition(rest)
        .or_else(|| value_first(rest))
        .or_else(|| path_first(rest))?;
    recognised.at += skipped + opened;
    recognised.condition.is_excluded ^= negations % 2 == 1;
    let is_path = |token: &&Token| token.kind == Kind::Word;
    if rest
        .iter()
        .filter(is_path)
        .any(|token| is_approximate(token.text))
    {
        recognised.condition.precision = Precision::Approximate;
    }
    Some(recognised)
}

/// The index of the first token after the words that queries start with: `where`, `select … where`.
fn query_words(tokens: &[Token]) -> usize {
    let Some(first) = tokens.first() else {
        return 0;
    };
    if first.is_word("select") {
        let place = tokens.iter().position(|token| token.is_word("where"));
        return place.map_or(0, |place| place + 1);
    }
    let is_word = ["where", "if", "when", "filter", "having", "return"]
        .iter()
        .any(|word| first.is_word(word));
    // `when == 1` has a path of that name.
    usize::from(is_word && tokens.len() > 2 && operator(&tokens[1..]).is_none())
}

/// How many negations the tokens start with, and how many tokens these are.
pub(super) fn negations(tokens: &[Token]) -> (usize, usize) {
    let (mut count, mut at) = (0, 0);
    while let Some(token) = tokens.get(at) {
        match token.text {
            "!" => count += 1,
            "!!" => count += 2,
            _ if token.is_word("not") && tokens.len() > at + 1 => count += 1,
            _ => break,
        }
        at += 1;
    }
    (count, at)
}

/// The path of a word, as it is written here; `None` if it is no path.
pub(super) fn path(word: &str) -> Option<String> {
    let mut keys: Vec<String> = Vec::new();
    let mut rest = word.trim_start_matches(['.', '?']);
    for root in ["$.", "@."] {
        rest = rest.strip_prefix(root).unwrap_or(rest);
    }
    while let Some(first) = rest.chars().next() {
        if matches!(first, '.' | '?') {
            rest = &rest[1..];
        } else if first == '[' {
            // Arrays have no indices, so `[0]` and `[*]` are left out.
            let (inner, after) = rest[1..].split_once(']')?;
            let key = inner.trim().trim_matches(['"', '\'']);
            keys.extend((key != inner.trim()).then(|| key.to_owned()));
            rest = after;
        } else if first == '"' {
            let length = rest[1..].find('"')? + 2;
            keys.push(Value::of_text(&rest[..length]).text()?);
            rest = &rest[length..];
        } else {
            let length = rest.find(['.', '[', '?']).unwrap_or(rest.len());
            // So is the `*` of `a.*.b`.
            let is_all = rest[..length].bytes().all(|byte| byte == b'*');
            keys.extend((!is_all).then(|| rest[..length].to_owned()));
            rest = &rest[length..];
        }
    }
    // `event["a"]`, `$["a"]`: what stands for the event is no part of a path; a key in quotes is.
    if keys.len() > 1 && !word.starts_with('"') && is_root(&keys[0]) {
        keys.remove(0);
    }
    (!keys.is_empty()).then(|| expression::path(&Path::from_keys(keys)))
}

/// The tokens without one pair of brackets around all of them.
pub(super) fn unwrapped<'t, 's>(tokens: &'t [Token<'s>]) -> (&'t [Token<'s>], usize) {
    match tokens {
        [first, .., _] if first.is("(") && closing(tokens, 0) == Some(tokens.len() - 1) => {
            (&tokens[1..tokens.len() - 1], 1)
        }
        _ => (tokens, 0),
    }
}

/// The index of the bracket that closes the one at an index.
pub(super) fn closing(tokens: &[Token], open: usize) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        if token.is("(") || token.is("[") || token.is("{") {
            depth += 1;
        } else if token.is(")") || token.is("]") || token.is("}") {
            depth = depth.saturating_sub(1);
            if depth == 0 {
                return Some(at);
            }
        }
    }
    None
}

/// The longest operator at the start of tokens, and how many tokens it takes.
pub(super) fn operator(tokens: &[Token]) -> Option<(Meaning, usize)> {
    (1..=tokens.len().min(operators::LONGEST))
        .rev()
        .find_map(|count| {
            let words: Vec<String> = tokens[..count]
                .iter()
                .map(|token| token.text.to_lowercase())
                .collect();
            let is_operator = tokens[..count].iter().all(|token| {
                matches!(token.kind, Kind::Word | Kind::Symbol) || token.is(":") || token.is("$")
            });
            let meaning = is_operator
                .then(|| operators::meaning(&words.join(" ")))
                .flatten()?;
            Some((meaning, count))
        })
}

/// `path operator value`.
fn path_first(tokens: &[Token]) -> Option<Recognised> {
    let (first, rest) = tokens.split_first()?;
    let path = match first.kind {
        // `is missing`, `starts with "x"`: an operator without a path.
        Kind::Word if is_keyword(first.text) => return None,
        Kind::Word => path(first.text)?,
        Kind::Quoted if first.text.starts_with('"') => path(first.text)?,
        _ => return None,
    };
    let (meaning, count) = operator(rest)?;
    // `a[0] == 1`: the path is wrong, and not the operator.
    let is_wrong = first.text.contains(['[', '?', '*']) || first.text.starts_with('.');
    let condition = with_values(path, meaning, &rest[count..])?;
    Some(Recognised {
        condition,
        at: usize::from(!is_wrong),
        operator: if is_wrong { 1 } else { count },
        is_call: false,
    })
}

/// Whether a path has an index in brackets, `a[0]`, or a sign for all elements, `a[*]`, `a.*`.
pub(super) fn has_index(path: &str) -> bool {
    let mut inside = path.split('[').skip(1);
    inside.any(|inside| inside.starts_with(|c: char| c.is_ascii_digit() || "-:*]".contains(c)))
        || path.contains(".*")
}

/// Whether a path means other values than without its indices.
// An index means one element, a condition any element. `a.*.b` may mean every key of an object,
// which a path cannot; `a[*].b` means every element.
fn is_approximate(path: &str) -> bool {
    has_index(&path.replace("[*]", "").replace("[]", ""))
}

/// The condition of a path, an operator and the tokens after it.
pub(super) fn with_values(path: String, meaning: Meaning, rest: &[Token]) -> Option<Condition> {
    let (rest, without_case) = without_modifier(rest);
    let mut condition = Condition {
        path,
        test: meaning.test,
        is_negated: meaning.is_negated,
        is_excluded: false,
        values: Vec::new(),
        is_ignoring_case: meaning.is_ignoring_case || without_case,
        precision: Precision::Exact,
    };
    match meaning.test {
        Test::Exists | Test::Missing | Test::IsEmpty => {
            // `a exists: false`, `a exists == true`
            let words: Vec<String> = rest.iter().map(|token| token.text.to_lowercase()).collect();
            match words.last().map(String::as_str) {
                None | Some("true") => {}
                Some("false") => condition.is_negated = !condition.is_negated,
                Some(_) => return None,
            }
            return (words.len() <= 2).then_some(condition);
        }
        Test::Between => {
            condition.values = range(rest)?;
            return Some(condition);
        }
        Test::Equals | Test::In if is_range(rest) => {
            condition.test = Test::Between;
            condition.values = range(rest)?;
            return Some(condition);
        }
        _ => {}
    }
    condition.values = values(rest)?;
    // `a in "x,y"` may be a list in one text.
    if meaning.test == Test::In && matches!(rest, [only] if only.kind == Kind::Quoted) {
        condition.precision = Precision::Approximate;
    }
    if condition.values.is_empty() {
        return None;
    }
    let is_any = |kind| condition.values.iter().any(|value| value.kind == kind);
    let is_sql = |value: &Value| value.text().is_some_and(|text| text.contains('%'));
    if condition.test == Test::Like && condition.values.len() == 1 && is_sql(&condition.values[0]) {
        condition.test = Test::SqlLike;
    } else if condition.test == Test::Equals
        && matches!(condition.values.as_slice(), [only] if only.json == "\"*\"")
        && is_any(ValueKind::Glob)
    {
        condition.test = Test::Exists;
    }
    Some(condition)
}

/// `"x" == a`: the path is on the other side. `"x" in a` means an element.
fn value_first(tokens: &[Token]) -> Option<Recognised> {
    let first = tokens.first()?;
    let end = match first.kind {
        Kind::Quoted | Kind::Bare | Kind::Regexp => 1,
        Kind::Mark if first.is("[") => closing(tokens, 0)? + 1,
        Kind::Word if Value::of_word(first.text).kind == ValueKind::Literal => 1,
        _ => return None,
    };
    let (mut meaning, count) = operator(&tokens[end..])?;
    let [path_token] = &tokens[end + count..] else {
        return None;
    };
    let is_path =
        has_index(path_token.text) || Value::of_word(path_token.text).kind == ValueKind::Word;
    if path_token.kind != Kind::Word || !is_path {
        return None;
    }
    meaning.test = match meaning.test {
        Test::Compare("<") => Test::Compare(">"),
        Test::Compare("<=") => Test::Compare(">="),
        Test::Compare(">") => Test::Compare("<"),
        Test::Compare(_) => Test::Compare("<="),
        Test::Equals => Test::Equals,
        Test::In => Test::Element,
        Test::Part("contains") if first.is("[") => Test::In,
        _ => return None,
    };
    let is_excluded = meaning.test == Test::Element && meaning.is_negated;
    meaning.is_negated &= !is_excluded;
    let mut condition = with_values(path(path_token.text)?, meaning, &tokens[..end])?;
    condition.is_excluded = is_excluded;
    // `"odd key" == a` may have its path in quotes.
    if first.text.starts_with('"') {
        condition.precision = Precision::Approximate;
    }
    Some(Recognised {
        condition,
        at: 0,
        operator: end,
        is_call: false,
    })
}

/// The tokens without a modifier for the case at their end.
fn without_modifier<'t, 's>(tokens: &'t [Token<'s>]) -> (&'t [Token<'s>], bool) {
    const MODIFIERS: [&[&str]; 8] = [
        &["ignoring", "case"],
        &["ignore", "case"],
        &["case", "insensitive"],
        &["ignorecase"],
        &["nocase"],
        &["collate", "nocase"],
        &["case-insensitive"],
        &["insensitive"],
    ];
    for words in MODIFIERS {
        if let Some(start) = tokens
            .len()
            .checked_sub(words.len())
            .filter(|start| *start > 0)
            && tokens[start..]
                .iter()
                .zip(words)
                .all(|(token, word)| token.is_word(word))
        {
            return (&tokens[..start], true);
        }
    }
    (tokens, false)
}

/// The values of tokens: one, a list in any brackets, or a list without brackets.
pub(super) fn values(tokens: &[Token]) -> Option<Vec<Value>> {
    let first = tokens.first();
    let is_bracket = first.is_some_and(|first| first.is("(") || first.is("[") || first.is("{"));
    if is_bracket && closing(tokens, 0) == Some(tokens.len() - 1) {
        return values(&tokens[1..tokens.len() - 1]);
    }
    // `cidr("10.0.0.0/8")`, `date("2024-01-01")`, `set("x", "y")`
    if let [name, open, ..] = tokens
        && name.kind == Kind::Word
        && open.is("(")
        && closing(tokens, 1) == Some(tokens.len() - 1)
        && tokens.len() > 3
    {
        return values(&tokens[2..tokens.len() - 1]);
    }
    let separates = |token: &Token| {
        token.is(",") || token.is_word("or") || token.text == "||" || token.text == "|"
    };
    let mut found = Vec::new();
    for part in tokens.split(separates) {
        if part.is_empty() {
            continue;
        }
        found.push(value(part)?);
    }
    Some(found)
}

/// One value: a token, or several without quotes, such as `eni-*` and `not found`.
fn value(tokens: &[Token]) -> Option<Value> {
    let [token] = tokens else {
        let adjacent = tokens
            .windows(2)
            .all(|pair| pair[0].span.end == pair[1].span.start);
        let is_text = |token: &Token| match token.kind {
            Kind::Word | Kind::Bare => true,
            Kind::Symbol => adjacent && token.text == "*",
            Kind::Mark => adjacent && (token.is(":") || token.is("/") || token.is(".")),
            _ => false,
        };
        if !tokens.iter().all(is_text) {
            return None;
        }
        let texts: Vec<&str> = tokens.iter().map(|token| token.text).collect();
        if adjacent {
            return Some(Value::of_bare(&texts.concat()));
        }
        // `a == not found`, or a connective that is misspelt: `a == 1 r b is missing`.
        return Some(Value {
            json: super::condition::json(&texts.join(" ")),
            kind: ValueKind::Word,
        });
    };
    Some(match token.kind {
        Kind::Quoted => Value::of_text(token.text),
        Kind::Bare => Value::of_bare(token.text),
        Kind::Word => Value::of_word(token.text),
        Kind::Symbol if token.text == "*" => Value::of_bare("*"),
        Kind::Regexp => {
            let end = token.text.rfind('/')?;
            Value {
                json: format!("{} {}", &token.text[end + 1..], &token.text[1..end]),
                kind: ValueKind::Regexp,
            }
        }
        _ => return None,
    })
}

/// Whether tokens are a range: `1..5`, `[1 TO 5]`, `range(1, 5)`.
fn is_range(tokens: &[Token]) -> bool {
    let dots = tokens
        .windows(2)
        .any(|pair| pair[0].is(".") && pair[1].is("."));
    let is_range = tokens.first().is_some_and(|first| first.is_word("range"));
    dots || is_range || tokens.iter().any(|token| token.is_word("to"))
}

/// The two ends of a range.
fn range(tokens: &[Token]) -> Option<Vec<Value>> {
    let is_end = |token: &&Token| matches!(token.kind, Kind::Bare | Kind::Quoted);
    let ends: Vec<Value> = tokens
        .iter()
        .filter(is_end)
        .filter_map(|token| value(std::slice::from_ref(token)))
        .collect();
    let others = tokens.iter().filter(|token| !is_end(token)).all(|token| {
        token.kind == Kind::Mark
            || ["and", "to", "range", "&&"]
                .iter()
                .any(|word| token.text.eq_ignore_ascii_case(word))
    });
    (ends.len() == 2 && others).then_some(ends)
}
