//! The values of a condition, in the spellings of other languages.

use super::reader::closing;
use super::token::{Kind, Token};
use super::value::{Value, ValueKind, json};

/// The tokens without a modifier for the case at their end.
pub(super) fn without_modifier<'t, 's>(tokens: &'t [Token<'s>]) -> (&'t [Token<'s>], bool) {
    // The longer one of two with the same end comes first.
    const MODIFIERS: [&[&str]; 8] = [
        &["ignoring", "case"],
        &["ignore", "case"],
        &["case", "insensitive"],
        &["ignorecase"],
        &["collate", "nocase"],
        &["nocase"],
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
            let value = Value::of_bare(&texts.concat());
            // `a:b:c` may be a path `a:b`, but `eni-1` and `10:15` are texts.
            let is_word = value.kind == ValueKind::Text
                && tokens.iter().all(|token| token.kind != Kind::Bare)
                && texts.contains(&":");
            let kind = if is_word { ValueKind::Word } else { value.kind };
            return Some(Value { kind, ..value });
        }
        // `a == not found`, or a connective that is misspelt: `a == 1 r b is missing`.
        return Some(Value {
            json: json(&texts.join(" ")),
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
pub(super) fn is_range(tokens: &[Token]) -> bool {
    let dots = tokens
        .windows(2)
        .any(|pair| pair[0].is(".") && pair[1].is("."));
    let is_range = tokens.first().is_some_and(|first| first.is_word("range"));
    dots || is_range || tokens.iter().any(|token| token.is_word("to"))
}

/// The two ends of a range.
pub(super) fn range(tokens: &[Token]) -> Option<Vec<Value>> {
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

/// Whether a range has both of its ends for sure: `between 1 and 5`, `[1 TO 5]`.
pub(super) fn is_inclusive(tokens: &[Token]) -> bool {
    // `{1 TO 5}` of Lucene leaves out both, `1..5` of Rust and `range(1, 5)` of Python the last.
    let is_open = |token: &Token| token.is("{") || token.is(".") || token.is_word("range");
    !tokens.iter().any(is_open)
}
