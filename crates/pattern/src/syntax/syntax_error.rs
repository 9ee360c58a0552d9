//! What the grammar expected and what it found, in the language's own words.

use pest::error::{Error, ErrorVariant, InputLocation};
use reflexarc_diagnostic::{Code, Diagnostic};

use super::Rule;
use crate::keywords::is_keyword;

/// Says what is wrong where the grammar stopped.
pub(super) fn diagnostic(text: &str, error: &Error<Rule>) -> Diagnostic {
    let at = match error.location {
        InputLocation::Pos(at) | InputLocation::Span((at, _)) => at,
    };
    let at = at + text[at..].len() - text[at..].trim_start().len();
    let expected = match &error.variant {
        ErrorVariant::ParsingError { positives, .. } => expected(positives),
        ErrorVariant::CustomError { .. } => String::new(),
    };
    let length = token_length(&text[at..]);
    let found = if length == 0 {
        "the end".to_owned()
    } else {
        format!("`{}`", &text[at..at + length])
    };
    let message = if expected.is_empty() {
        format!("did not expect {found}")
    } else {
        format!("expected {expected}, found {found}")
    };
    let diagnostic = Diagnostic::error(Code::SYNTAX, at..at + length, message);
    let word = &text[at..at + length];
    let head = text[..at].trim_end();
    let before = head
        .rsplit(|c: char| c.is_whitespace() || c == '(')
        .next()
        .unwrap_or_default();
    let in_expression = !text.trim_start().starts_with('{');
    let is_symbol = word.starts_with(['=', '<', '>', '!', '~']);
    let quotes = |word: &str| {
        format!(
            "`{word}` is a word of the language; as a key of a path it needs double quotes: `\"{word}\"`"
        )
    };
    if !in_expression {
        return diagnostic;
    }
    match before {
        _ if word == "[" && head.is_empty() => {
            diagnostic.with_help("in JSON notation a pattern is an object: `{…}`")
        }
        "not" if is_symbol => diagnostic.with_help(quotes(before)),
        "and" | "or" if is_symbol => diagnostic.with_help(
            "a test begins with its path; several tests of one value read `path (> 0 and <= 5)`",
        ),
        "and" | "or" | "not" => diagnostic.with_help(format!("a test follows `{before}`")),
        // A word that was taken for a join, and an operator behind it: the word is what is wrong.
        name if is_symbol && name.starts_with(char::is_alphabetic) && name != head => {
            let place = head.len() - name.len()..head.len();
            Diagnostic::error(
                Code::NOT_A_JOIN,
                place,
                format!("expected `and` or `or`, found `{name}`"),
            )
            .with_help("join two tests by `and` or `or`")
        }
        "" if is_symbol => diagnostic.with_help("a test begins with its path: `name == \"x\"`"),
        _ if is_keyword(word) => diagnostic.with_help(quotes(word)),
        _ => diagnostic,
    }
}

/// The length of the word, number or sign that the text begins with.
fn token_length(text: &str) -> usize {
    let Some(first) = text.chars().next() else {
        return 0;
    };
    let in_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '$');
    if in_word(first) {
        text.find(|c| !in_word(c))
            .unwrap_or(text.len())
            .min(40 + first.len_utf8())
    } else if first == '"' {
        text[1..]
            .find(['"', '\n'])
            .map_or(text.len(), |end| end + 2)
            .min(text.len())
    } else {
        first.len_utf8()
    }
}

/// "a, b or c", each once, in a fixed order.
fn expected(rules: &[Rule]) -> String {
    let mut words: Vec<&str> = Vec::new();
    for rule in rules {
        for word in names(*rule) {
            if !words.contains(word) {
                words.push(word);
            }
        }
    }
    words.sort_by_key(|word| word.starts_with('`'));
    match words.split_last() {
        None => String::new(),
        Some((only, [])) => (*only).to_owned(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
    }
}

/// What a rule of the grammar is called in a message; nothing if it says nothing to a reader.
fn names(rule: Rule) -> &'static [&'static str] {
    match rule {
        Rule::EOI => &["the end"],
        Rule::json | Rule::object => &["an object"],
        Rule::member | Rule::key => &["a key"],
        Rule::colon => &["`:`"],
        Rule::comma => &["`,`"],
        Rule::end_object => &["`}`"],
        Rule::end_array => &["`]`"],
        Rule::array | Rule::string | Rule::single | Rule::bare | Rule::operand | Rule::number => {
            &["a value"]
        }
        Rule::expression | Rule::tests | Rule::unary | Rule::range | Rule::test | Rule::group => {
            &["a test"]
        }
        Rule::value_tests
        | Rule::value_unary
        | Rule::predicate
        | Rule::words
        | Rule::symbol
        | Rule::value_group => &["an operator"],
        Rule::connective | Rule::and_or => &["`and`", "`or`"],
        Rule::end_group => &["`)`"],
        Rule::path | Rule::path_key | Rule::name | Rule::index => &["a path"],
        Rule::modifier => &["`ignoring case`"],
        Rule::negation => &["`not`"],
        _ => &[],
    }
}
