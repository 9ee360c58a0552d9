//! Splits an expression into tokens, those of other languages included.

// The grammar stops at the first token that it does not know. This scan knows no errors: it gives
// every part of a text a kind, so that a condition in the spelling of another language can be
// recognised: `a[0].b`, `/x/i`, `10.0.0.0/8` and `'x'` are one token each.

use std::net::IpAddr;

use reflexarc_diagnostic::Span;

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
            matches!(last.kind, Kind::Bare | Kind::Quoted) || last.is(")") || last.is("]")
        });
        let (kind, length) = first_token(rest, after_value);
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
    let address = rest
        .find(|c: char| !(c.is_ascii_hexdigit() || matches!(c, ':' | '.' | '/')))
        .unwrap_or(rest.len());
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
            let is_path = first == '"'
                && rest[length..].starts_with('.')
                && rest[length + 1..].starts_with(|c: char| c == '"' || is_in_word(c));
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

/// The length of a path with quoted keys, and with indices in brackets: `a."b c"[0].d`.
fn word_length(rest: &str) -> usize {
    let bytes = rest.as_bytes();
    let mut at = 0;
    loop {
        if bytes.get(at) == Some(&b'"') {
            let (_, length) = quoted(&rest[at..], '"');
            at += length;
        } else {
            at += rest[at..]
                .find(|c| !is_in_word(c))
                .unwrap_or(rest.len() - at);
        }
        while bytes.get(at) == Some(&b'[') {
            match rest[at..].find(']') {
                Some(length) if is_index(&rest[at + 1..at + length]) => at += length + 1,
                _ => return at,
            }
        }
        let next = rest[at..]
            .strip_prefix("?.")
            .or_else(|| rest[at..].strip_prefix('.'));
        match next {
            Some(next) if next.starts_with(|c| c == '"' || is_in_word(c)) => {
                at = rest.len() - next.len();
            }
            // `a.*.b`, `a.**.b`, `a.[0].b`
            Some(next) if all_length(next) > 0 => {
                at = rest.len() - next.len() + all_length(next);
            }
            Some(next) if next.starts_with('[') => at = rest.len() - next.len(),
            _ => return at,
        }
    }
}

/// The length of the stars that stand for a whole key at the start of a text.
fn all_length(next: &str) -> usize {
    let after = next.trim_start_matches('*');
    if after.starts_with(is_in_word) {
        0
    } else {
        next.len() - after.len()
    }
}

/// Whether the text in brackets after a path is an index or a key, not a list of values.
fn is_index(inner: &str) -> bool {
    let inner = inner.trim();
    let is_number = inner
        .trim_start_matches('-')
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b':');
    let is_key = |quote: char| {
        inner.len() > 2
            && inner.starts_with(quote)
            && inner.ends_with(quote)
            && !inner.contains(',')
    };
    is_number || inner == "*" || is_key('"') || is_key('\'')
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
