//! Reads tokens as one condition.

use super::condition::{Condition, Precision};
use super::operator::{ForeignOperator, Meaning};
use super::token::{Kind, Token};
use super::value::{Value, ValueKind};
use super::{call, values};
use crate::Path;
use crate::foreign_path::{ForeignPath, Step};
use crate::keywords::is_keyword;
use crate::print::expression;

/// A condition that was recognised.
pub(super) struct Recognised {
    pub(super) condition: Condition,
    /// The index of the token that is wrong first: an operator, a function, a value in front.
    pub(super) at: usize,
    /// How many tokens of the operator start there.
    pub(super) operator: usize,
    /// Whether the grammar takes its words for something else, such as a function for a path.
    pub(super) is_misread: bool,
    /// Whether it is the path that is wrong first.
    pub(super) is_path: bool,
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
        .or_else(|| path_first(rest))
        .or_else(|| operator_first(rest))?;
    recognised.at += skipped + opened;
    recognised.condition.is_excluded ^= negations % 2 == 1;
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
pub(super) fn operator(tokens: &[Token]) -> Option<(ForeignOperator, usize)> {
    let is_part = |token: &Token| {
        matches!(token.kind, Kind::Word | Kind::Symbol) || token.is(":") || token.is("-")
    };
    let most = tokens.iter().take(ForeignOperator::LONGEST);
    let most = most.take_while(|token| is_part(token)).count();
    (1..=most).rev().find_map(|count| {
        let words: Vec<&str> = tokens[..count].iter().map(|token| token.text).collect();
        let found = ForeignOperator::read(&words.join(" "))?;
        // `- 5` is a number, and `: x` has an operator of one character.
        let is_whole = !tokens[count - 1].is("-");
        is_whole.then_some((found, count))
    })
}

/// `path operator value`.
fn path_first(tokens: &[Token]) -> Option<Recognised> {
    let first = tokens.first()?;
    let (mut path, mut count) = match first.kind {
        // `is missing`, `starts with "x"`: an operator without a path.
        Kind::Word if is_keyword(first.text) => return None,
        Kind::Word | Kind::Quoted => (ForeignPath::read(first.text)?, 1),
        _ => return None,
    };
    let mut is_wrong = is_foreign_path(first.text);
    if let Some((separated, length)) = separated(tokens) {
        (path, count, is_wrong) = (separated, length, true);
    }
    let rest = &tokens[count..];
    let (operator, length) = operator(rest)?;
    let mut condition = with_values(&path, operator, &rest[length..])?;
    // `'a' == 'b'` may have its value first.
    if first.text.starts_with('\'') {
        condition.precision = Precision::Approximate;
    }
    // `a[0] == 1`: the path is wrong, and not the operator.
    Some(Recognised {
        condition,
        at: if is_wrong { 0 } else { count },
        operator: if is_wrong { count } else { length },
        is_misread: false,
        is_path: is_wrong,
    })
}

/// A path with other separators than dots, and its tokens: `a/b`, `a::b`, `a:b == 1`.
fn separated(tokens: &[Token]) -> Option<(ForeignPath, usize)> {
    let is_separator = |token: &Token| token.is("/") || token.is(":") || token.is("\\");
    let pairs = tokens.windows(2);
    let count = 1 + pairs
        .take_while(|pair| {
            let is_step = |token: &Token| token.kind == Kind::Word || is_separator(token);
            pair[0].span.end == pair[1].span.start && pair.iter().all(is_step)
        })
        .count();
    let path = &tokens[..count];
    // `a:x` of Lucene is a path and a value, and `a:b == 1` of Snowflake a path.
    let is_path = path.last()?.kind == Kind::Word && operator(&tokens[count..]).is_some();
    if count < 3 || !is_path {
        return None;
    }
    let keys: Vec<&str> = path
        .iter()
        .filter(|token| !is_separator(token))
        .map(|token| token.text)
        .collect();
    // `labels.app.kubernetes.io/name`: the key of a label begins with a domain.
    if let [domain, name] = keys.as_slice()
        && path[1].is("/")
        && let Some(path) = label(domain, name)
    {
        return Some((path, count));
    }
    let mut path = ForeignPath::read(&keys.join("."))?;
    path.step = path.step.max(Step::Name);
    Some((path, count))
}

/// The path of a label with a domain in its key, as Kubernetes has them.
fn label(domain: &str, name: &str) -> Option<ForeignPath> {
    let mut path = ForeignPath::read(domain)?;
    let is_domain = matches!(
        path.keys.last()?.as_str(),
        "io" | "com" | "org" | "net" | "dev" | "cn"
    );
    // The domain begins after the key of all labels.
    let is_parent = |key: &String| matches!(key.as_str(), "labels" | "annotations" | "tags");
    let parent = path.keys.iter().position(is_parent)?;
    if !is_domain || path.step > Step::Root {
        return None;
    }
    let domain = path.keys.split_off(parent + 1).join(".");
    path.keys.push(format!("{domain}/{name}"));
    Some(path)
}

/// Whether a path is written otherwise here. One that begins with a word for the event is valid,
/// although no event has it.
pub(super) fn is_foreign_path(word: &str) -> bool {
    word.contains(['[', '?', '*', '%', '`', '{'])
        || word.starts_with(['.', '/'])
        || word.contains("->")
        || word.contains("..")
}

/// `exists a`, `has a`: the operator stands before the path.
fn operator_first(tokens: &[Token]) -> Option<Recognised> {
    let [name, word] = tokens else { return None };
    let plain = name.text.to_lowercase().replace(['_', '-'], "");
    // `has` means `contains` after a path.
    let operator = match plain.as_str() {
        "has" | "hasfield" | "haskey" => ForeignOperator::read("exists"),
        _ => ForeignOperator::read(&plain).filter(|found| found.meaning == Meaning::Exists),
    }?;
    let is_word = |token: &Token| token.kind == Kind::Word;
    let is_path = is_word(name) && is_word(word) && is_value_of_word(word.text, ValueKind::Word);
    Some(Recognised {
        condition: with_values(
            &ForeignPath::read(word.text).filter(|_| is_path)?,
            operator,
            &[],
        )?,
        at: 0,
        operator: 1,
        is_misread: true,
        is_path: false,
    })
}

/// The condition of a path, an operator and the tokens after it.
pub(super) fn with_values(
    path: &ForeignPath,
    operator: ForeignOperator,
    rest: &[Token],
) -> Option<Condition> {
    let (rest, without_case) = values::without_modifier(rest);
    let mut condition = Condition {
        path: path.spell(),
        step: path.step,
        operator,
        is_excluded: false,
        values: Vec::new(),
        precision: Precision::Exact,
    };
    condition.operator.ignoring_case |= without_case;
    if operator.stands_alone() {
        // `a exists: false`, `a exists == true`
        match rest {
            [] => {}
            [.., last] if last.is_word("true") && rest.len() <= 2 => {}
            [.., last] if last.is_word("false") && rest.len() <= 2 => {
                condition.operator.negated ^= true;
            }
            _ => return None,
        }
        let value = match operator.meaning {
            Meaning::Null => Value::of_word("null"),
            Meaning::True => Value::of_word("true"),
            Meaning::False => Value::of_word("false"),
            // An empty array or object is a missing value here.
            Meaning::Empty => {
                condition.precision = Precision::Approximate;
                Value::of_text("\"\"")
            }
            _ => return Some(condition),
        };
        condition.operator.meaning = Meaning::Equals;
        condition.values = vec![value];
        return Some(condition);
    }
    let is_range = matches!(operator.meaning, Meaning::Equals | Meaning::In);
    let is_between = matches!(operator.meaning, Meaning::Between | Meaning::Range);
    if is_between || is_range && values::is_range(rest) {
        if is_range {
            condition.operator.meaning = Meaning::Between;
        }
        condition.values = values::range(rest)?;
        // `range(1, 5)` and `1..5` leave out the 5 in some languages.
        if !values::is_inclusive(rest) {
            condition.precision = Precision::Approximate;
        }
        return Some(condition);
    }
    condition.values = values::values(rest)?;
    // `a in "x,y"` may be a list in one text.
    if operator.meaning == Meaning::In && matches!(rest, [only] if only.kind == Kind::Quoted) {
        condition.precision = Precision::Approximate;
    }
    match condition.values.as_slice() {
        [] => return None,
        // `a: *`
        [only] if only.kind == ValueKind::Glob && only.json == "\"*\"" => {
            let is_equality = operator.meaning == Meaning::Equals;
            if is_equality {
                condition.operator.meaning = Meaning::Exists;
                condition.precision = Precision::Approximate;
            }
        }
        _ => {}
    }
    Some(condition)
}

/// `"x" == a`: the path is on the other side. `"x" in a` means an element.
fn value_first(tokens: &[Token]) -> Option<Recognised> {
    let first = tokens.first()?;
    let end = match first.kind {
        Kind::Quoted | Kind::Bare | Kind::Regexp => 1,
        Kind::Mark if first.is("[") => closing(tokens, 0)? + 1,
        Kind::Word if is_value_of_word(first.text, ValueKind::Literal) => 1,
        _ => return None,
    };
    let (mut operator, count) = operator(&tokens[end..])?;
    let [path_token] = &tokens[end + count..] else {
        return None;
    };
    let is_path =
        is_foreign_path(path_token.text) || is_value_of_word(path_token.text, ValueKind::Word);
    if path_token.kind != Kind::Word || !is_path {
        return None;
    }
    operator.meaning = match operator.meaning {
        Meaning::Compare(comparison) => Meaning::Compare(comparison.swapped()),
        Meaning::Equals => Meaning::Equals,
        Meaning::In => Meaning::Element,
        Meaning::Contains if first.is("[") => Meaning::In,
        _ => return None,
    };
    let is_excluded = operator.meaning == Meaning::Element && operator.negated;
    operator.negated &= !is_excluded;
    let mut condition = with_values(
        &ForeignPath::read(path_token.text)?,
        operator,
        &tokens[..end],
    )?;
    condition.is_excluded = is_excluded;
    // `"odd key" == a` may have its path in quotes; `"x" == a` has no reason for them.
    let key = first.text.trim_matches('"');
    if first.text.starts_with('"') && expression::path(&Path::from_keys([key])) != key {
        condition.precision = Precision::Approximate;
    }
    Some(Recognised {
        condition,
        at: 0,
        operator: end,
        is_misread: true,
        is_path: false,
    })
}

/// Whether a word is a value of this kind.
pub(super) fn is_value_of_word(word: &str, kind: ValueKind) -> bool {
    Value::of_word(word).kind == kind
}
