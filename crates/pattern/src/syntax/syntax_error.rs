//! Diagnostics for texts that the grammar rejects.

use pest::error::{Error, ErrorVariant, InputLocation};
use reflexarc_diagnostic::{Code, Diagnostic};

use super::{Rule, json_help};
use crate::keywords::is_keyword;

/// The diagnostic for the position at which the grammar stopped: what it expected there, what it
/// found, and for common mistakes how to fix them.
// pest's own messages are never shown: they list grammar rules ("expected value_unary, negation").
pub(super) fn diagnostic(text: &str, error: &Error<Rule>) -> Diagnostic {
    let at = match error.location {
        InputLocation::Pos(at) | InputLocation::Span((at, _)) => at,
    };
    // pest reports the end of the last token; the offending token starts after the white space.
    let at = at + text[at..].len() - text[at..].trim_start().len();
    let expected = match &error.variant {
        ErrorVariant::ParsingError { positives, .. } => expected(positives),
        ErrorVariant::CustomError { .. } => String::new(),
    };
    let token = &text[at..at + token_length(&text[at..])];
    let found = if token.is_empty() {
        "end of input".to_owned()
    } else {
        format!("`{token}`")
    };
    let message = if expected.is_empty() {
        format!("unexpected {found}")
    } else {
        format!("expected {expected}, found {found}")
    };
    let diagnostic = Diagnostic::error(Code::SYNTAX, at..at + token.len(), message);
    if text.trim_start().starts_with('{') {
        return json_help::with_structure_help(diagnostic, text, text[..at].trim_end(), token);
    }
    with_expression_help(diagnostic, text[..at].trim_end(), token)
}

/// Adds help for mistakes in expressions, from the text before the offending token.
fn with_expression_help(diagnostic: Diagnostic, head: &str, token: &str) -> Diagnostic {
    let previous = head
        .rsplit(|c: char| c.is_whitespace() || c == '(')
        .next()
        .unwrap_or_default();
    let starts_with_symbol = token.starts_with(is_symbol);
    let keyword_help = |word: &str| {
        format!(
            "`{word}` is a keyword; put it in double quotes to use it as a path key: `\"{word}\"`"
        )
    };
    match previous {
        _ if token == "[" && head.is_empty() => diagnostic.with_help(
            "a pattern is one object, `{\"name\": [\"x\"]}`; join several with \
             `{\"$or\": [{…}, {…}]}`",
        ),
        _ if token == "/" && head.is_empty() => {
            diagnostic.with_help("comments start with `#` or `//`")
        }
        "not" if starts_with_symbol => diagnostic.with_help(keyword_help(previous)),
        "and" | "or" if starts_with_symbol => diagnostic.with_help(
            "start each condition with its path, or group the conditions on one value: \
             `path (> 0 and <= 5)`",
        ),
        "and" | "or" | "not" => diagnostic.with_help(format!("add a condition after `{previous}`")),
        // `a == 1 b == 2`: the grammar takes `b` for a connective (so that `AND` gets a message of
        // its own) and stops at the second `==`. The mistake is the word before it.
        name if starts_with_symbol && name.starts_with(char::is_alphabetic) && name != head => {
            let span = head.len() - name.len()..head.len();
            Diagnostic::error(
                Code::UNKNOWN_CONNECTIVE,
                span,
                format!("expected `and` or `or`, found `{name}`"),
            )
            .with_help("join conditions with `and` or `or`")
        }
        "" if starts_with_symbol => {
            diagnostic.with_help("start the condition with a path: `name == \"x\"`")
        }
        _ if token == ")" && head.ends_with('(') => {
            diagnostic.with_help("write a condition or a value in the parentheses")
        }
        _ if token == "(" => diagnostic.with_help("write a list of values in `[ ]`"),
        _ if is_keyword(token) => diagnostic.with_help(keyword_help(token)),
        _ => diagnostic,
    }
}

/// The length in bytes of the word, number, string or symbol at the start of the text.
fn token_length(text: &str) -> usize {
    /// Long words are cut: the message only has to identify the token.
    const LONGEST_WORD: usize = 41;
    let Some(first) = text.chars().next() else {
        return 0;
    };
    let in_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '$');
    if in_word(first) {
        let word = text.chars().take_while(|c| in_word(*c));
        word.take(LONGEST_WORD).map(char::len_utf8).sum()
    } else if first == '"' {
        text[1..]
            .find(['"', '\n'])
            .map_or(text.len(), |end| end + 2)
            .min(text.len())
    } else if is_symbol(first) {
        text.find(|c| !is_symbol(c)).unwrap_or(text.len())
    } else {
        first.len_utf8()
    }
}

fn is_symbol(c: char) -> bool {
    matches!(c, '=' | '<' | '>' | '!' | '~')
}

/// "a, b or c": every name once, descriptions before symbols.
fn expected(rules: &[Rule]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for rule in rules {
        for name in rule_names(*rule) {
            if !names.contains(name) {
                names.push(name);
            }
        }
    }
    names.sort_by_key(|name| name.starts_with('`'));
    // Where more may follow, its end is no news.
    if names.len() > 1 {
        names.retain(|name| *name != "end of input");
    }
    match names.split_last() {
        None => String::new(),
        Some((only, [])) => (*only).to_owned(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
    }
}

/// The names of a grammar rule in messages; empty for rules that mean nothing to a user.
fn rule_names(rule: Rule) -> &'static [&'static str] {
    match rule {
        Rule::EOI => &["end of input"],
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
            &["a condition"]
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
