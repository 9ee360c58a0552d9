//! Splits an expression into tokens, those of other languages included.

// The grammar stops at the first token that it does not know. This scan knows no errors: it gives
// every part of a text a kind, so that a condition in the spelling of another language can be
// recognised: `a[0].b`, `/x/i`, `10.0.0.0/8` and `'x'` are one token each.

use std::net::IpAddr;

use reflexarc_diagnostic::Span;

use super::operator::ForeignOperator;
use crate::foreign_path;
use crate::keywords::is_keyword;

/// Most bytes of an address with a prefix length.
const LONGEST_ADDRESS: usize = 64;

/// One token.
#[derive(Debug, Clone)]
pub(in crate::syntax) struct Token<'s> {
    pub(in crate::syntax) kind: Kind,
    pub(in crate::syntax) text: &'s str,
    pub(in crate::syntax) span: Span,
}

/// The kind of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::syntax) enum Kind {
    /// A path, a keyword or a text without quotes.
    Word,
    /// Anything that starts with a digit, or is an address: a number, a date, a network.
    Bare,
    /// A text in quotes of any sort.
    Quoted,
    /// `/…/`, a regular expression.
    Regexp,
    /// Operator characters.
    Symbol,
    /// A bracket, or any other single character.
    Mark,
}

impl Token<'_> {
    /// Whether it is this word, in any case.
    pub(in crate::syntax) fn is_word(&self, word: &str) -> bool {
        self.kind == Kind::Word && self.text.eq_ignore_ascii_case(word)
    }

    /// Whether it is this bracket or other single character.
    pub(in crate::syntax) fn is(&self, mark: &str) -> bool {
        self.kind == Kind::Mark && self.text == mark
    }
}

/// The tokens of an expression, without white space and comments.
pub(in crate::syntax) fn tokens<'s>(source: &'s str, comments: &[Span]) -> Vec<Token<'s>> {
    let mut tokens: Vec<Token<'s>> = Vec::new();
    let mut at = 0;
    let mut comments = comments.iter().peekable();
    while let Some(first) = source[at..].chars().next() {
        if let Some(comment) = comments.next_if(|comment| comment.start <= at) {
            at = at.max(comment.end);
            continue;
        }
        if first.is_whitespace() {
            at += first.len_utf8();
            continue;
        }
        let until = comments
            .peek()
            .map_or(source.len(), |comment| comment.start);
        let rest = &source[at..until];
        let after_value = tokens.last().is_some_and(|last| {
            matches!(last.kind, Kind::Bare | Kind::Quoted)
                || last.is(")")
                || last.is("]")
                || last.kind == Kind::Word && last.span.end == at
        });
        let starts_condition = |last: &Token| {
            let words = ["and", "or", "not"];
            last.is("(")
                || words.iter().any(|word| last.is_word(word))
                || matches!(last.text, "!" | "!!" | "&&" | "||" | "&" | "|")
        };
        let is_first = tokens.last().is_none_or(starts_condition);
        let (kind, length) = match is_first.then(|| path_of_another_form(rest)).flatten() {
            Some(length) => (Kind::Word, length),
            None => first_token(rest, after_value),
        };
        let span = at..at + length;
        tokens.push(Token {
            kind,
            text: &source[span.clone()],
            span,
        });
        at += length;
    }
    tokens
}

/// The kind and the length of the token at the start of a text that is not empty.
fn first_token(rest: &str, after_value: bool) -> (Kind, usize) {
    let Some(first) = rest.chars().next() else {
        return (Kind::Mark, 0);
    };
    // No address is longer, and `a/a/a…` is looked at once.
    let address = rest
        .bytes()
        .take(LONGEST_ADDRESS)
        .take_while(|byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.' | b'/'))
        .count();
    match first {
        '"' | '\'' | '`' | '“' | '”' | '‘' | '’' | '«' | '„' => quoted(rest, first),
        _ if is_address(&rest[..address]) => (Kind::Bare, address),
        '0'..='9' => (Kind::Bare, bare_length(rest)),
        '-' | '+' if rest[1..].starts_with(|c: char| c.is_ascii_digit()) => {
            (Kind::Bare, 1 + bare_length(&rest[1..]))
        }
        '/' if !after_value => match regexp_length(rest) {
            Some(length) => (Kind::Regexp, length),
            None => (Kind::Mark, 1),
        },
        '.' if rest[1..].starts_with(is_word_start) => (Kind::Word, 1 + word_length(&rest[1..])),
        _ if is_word_start(first) => (Kind::Word, word_length(rest)),
        _ if is_symbol(first) => {
            let length = rest.find(|c| !is_symbol(c)).unwrap_or(rest.len());
            // `&&!a` is a connective and a negation.
            let connective = &rest[..length.min(2)];
            let is_connective = connective == "&&" || connective == "||";
            (Kind::Symbol, if is_connective { 2 } else { length })
        }
        other => (Kind::Mark, other.len_utf8()),
    }
}

/// The length of a path that does not start with a letter: `/a/b`, `*.a`, `..a`, `${a.b}`.
fn path_of_another_form(rest: &str) -> Option<usize> {
    if rest.starts_with("${") {
        return rest.find('}').map(|end| end + 1);
    }
    if rest.starts_with('/') {
        let ends = |c: char| !(is_in_word(c) || c == '/');
        let length = rest.find(ends)?;
        let is_path = rest[length..].starts_with(char::is_whitespace);
        return (is_path && !rest[..length].ends_with('/')).then_some(length);
    }
    // `.["a"]` and `."a"` of jq.
    if rest.starts_with(".[") || rest.starts_with(".\"") {
        return Some(1 + word_length(&rest[1..]));
    }
    let stars = rest.trim_start_matches(foreign_path::is_wildcard);
    let after = stars.strip_prefix("..").or_else(|| {
        let after = stars.strip_prefix('.')?;
        (stars.len() < rest.len()).then_some(after)
    })?;
    after
        .starts_with(|c: char| is_word_start(c) || matches!(c, '*' | '"'))
        .then(|| rest.len() - after.len() + word_length(after))
}

fn quoted(rest: &str, first: char) -> (Kind, usize) {
    let closing: &[char] = match first {
        '“' | '”' | '„' => &['”', '“', '"'],
        '‘' | '’' => &['’', '‘', '\''],
        '«' => &['»'],
        _ => &[],
    };
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        // SQL doubles a quote inside a text.
        if c == '\'' && first == '\'' && !escaped && rest[at + 1..].starts_with('\'') {
            escaped = true;
        } else if !escaped && (c == first && closing.is_empty() || closing.contains(&c)) {
            // `"odd key".b` is a path.
            let length = at + c.len_utf8();
            let is_path = matches!(first, '"' | '`')
                && rest[length..].starts_with('.')
                && rest[length + 1..].starts_with(|c: char| c == first || is_in_word(c));
            return if is_path {
                (Kind::Word, length + 1 + word_length(&rest[length + 1..]))
            } else {
                (Kind::Quoted, length)
            };
        } else {
            escaped = c == '\\' && !escaped;
        }
    }
    (Kind::Quoted, rest.len())
}

/// The length of a text in quotes.
fn text_length(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        if c == quote && !escaped {
            return at + 1;
        }
        escaped = c == '\\' && !escaped;
    }
    rest.len()
}

/// The length of a path with the steps of any language: `a."b c"[0].d`, `a->'b'`, `a.*.b`, `a..b`.
fn word_length(rest: &str) -> usize {
    let mut at = 0;
    loop {
        let text = &rest[at..];
        at += if let Some(quote @ ('"' | '\'' | '`')) = text.chars().next() {
            text_length(text, quote)
        } else {
            let length = text.find(|c| !is_in_word(c)).unwrap_or(text.len());
            // `a->b` has an arrow after the `a`.
            let arrow = text[..length].ends_with('-') && text[length..].starts_with('>');
            let length = length - usize::from(arrow);
            length + wildcards(&text[length..], length == 0)
        };
        // `in["x"]` is an operator and a list.
        let head = &rest[..at];
        if rest[at..].starts_with('[')
            && (is_keyword(head) || ForeignOperator::read(head).is_some())
        {
            return at;
        }
        while rest[at..].starts_with('[') {
            match foreign_path::closing(&rest[at + 1..]) {
                Some(length) if is_index(&rest[at + 1..at + 1 + length]) => at += length + 2,
                _ => return at,
            }
        }
        let mut steps = ["?.", "..", ".", "->>", "->"].into_iter();
        let Some(step) = steps.find(|step| rest[at..].starts_with(*step)) else {
            return at;
        };
        let step = step.len();
        let next = &rest[at + step..];
        let is_arrow = rest[at..].starts_with("->");
        let is_key = next.starts_with(|c| {
            is_in_word(c) || matches!(c, '"' | '`' | '[') || is_arrow && c == '\''
        });
        if !is_key && wildcards(next, true) == 0 {
            return at;
        }
        at += step;
    }
}

/// The length of wildcards in a path, at the start of a key or after one. `a* 2` multiplies, and
/// `a *= "x"` is an operator.
fn wildcards(text: &str, at_start: bool) -> usize {
    let after = text.trim_start_matches(foreign_path::is_wildcard);
    let length = text.len() - after.len();
    let next = after.trim_start();
    let is_step = after.starts_with(['.', '[']) && !after.starts_with("..");
    let is_end = next.len() < after.len() || after.is_empty();
    let starts_operator = |c: char| c.is_alphabetic() || "=<>!~".contains(c);
    if at_start {
        let key = after.find(|c| !is_in_word(c)).unwrap_or(after.len());
        return if length > 0 { length + key } else { 0 };
    }
    // `a?.b` has a separator and no wildcard.
    let is_optional = &text[..length] == "?" && is_step;
    if is_step && !is_optional || is_end && (next.is_empty() || next.starts_with(starts_operator)) {
        length
    } else {
        0
    }
}

/// Whether the text in brackets after a path is an index, a key or a condition, not a list.
fn is_index(inner: &str) -> bool {
    let inner = inner.trim();
    let is_number = inner
        .trim_start_matches('-')
        .bytes()
        .all(|byte| byte.is_ascii_digit() || matches!(byte, b':' | b'.'));
    let is_quoted = |quote: char| {
        inner.len() > 2
            && inner.starts_with(quote)
            && inner.ends_with(quote)
            && !inner.contains(',')
    };
    let is_name =
        inner.starts_with(is_word_start) && inner.chars().all(|c| c == '.' || is_in_word(c));
    is_number
        || is_name
        || inner == "*"
        || inner.starts_with(['?', '('])
        || is_quoted('"')
        || is_quoted('\'')
}

/// The length of a number, a date or an address. `1..5` is two numbers.
fn bare_length(rest: &str) -> usize {
    let ends = |c: char| !(c.is_alphanumeric() || matches!(c, '.' | ':' | '/' | '_' | '-' | '+'));
    let length = rest.find(ends).unwrap_or(rest.len());
    let length = rest[..length].find("..").unwrap_or(length);
    rest[..length]
        .trim_end_matches(['.', ':', '/'])
        .len()
        .max(1)
}

fn regexp_length(rest: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            '\n' => return None,
            '/' if !escaped && at > 1 => {
                let flags = &rest[at + 1..];
                let length = flags.find(|c: char| !c.is_ascii_alphabetic());
                return Some(at + 1 + length.unwrap_or(flags.len()));
            }
            _ => escaped = c == '\\' && !escaped,
        }
    }
    None
}

/// Whether a text is an address or a network, with colons where it could be a word.
fn is_address(text: &str) -> bool {
    let address = text.split('/').next().unwrap_or(text);
    address.contains(':') && address.parse::<IpAddr>().is_ok()
}

fn is_word_start(c: char) -> bool {
    c.is_alphabetic() || matches!(c, '_' | '$' | '@')
}

fn is_in_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$' | '@' | '-')
}

fn is_symbol(c: char) -> bool {
    matches!(
        c,
        '=' | '<' | '>' | '!' | '~' | '&' | '|' | '^' | '%' | '*' | '?' | '+'
    )
}
