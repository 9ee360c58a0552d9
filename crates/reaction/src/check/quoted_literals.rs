//! The texts in double quotes of a script, found by its characters. rhai keeps only a hash of the
//! texts in the cases of a `switch`, so its tree does not have them.

use reflexarc_diagnostic::Span;

/// The byte at which each text in double quotes begins, outside of comments and of texts in
/// backticks.
pub(super) fn starts(source: &str) -> Vec<usize> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(c) = source[at..].chars().next() {
        let rest = &source[at..];
        // Everything that may contain a quote is passed as a whole.
        let length = match c {
            '"' => {
                found.push(at);
                quoted(rest, '"')
            }
            '`' => quoted_by_backticks(rest),
            '\'' => quoted(rest, '\''),
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => comment(rest),
            other => other.len_utf8(),
        };
        at += length;
    }
    found
}

/// The bytes of the text in double quotes that begins at `start`, quotes included.
pub(super) fn span(start: usize, source: &str) -> Span {
    start..start + quoted(&source[start..], '"')
}

/// The length of a literal that ends at the next `quote` without a backslash before it.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    let end = text[1..].find(|c| {
        let is_end = c == quote && !escaped;
        escaped = c == '\\' && !escaped;
        is_end
    });
    end.map_or(text.len(), |end| 1 + end + 1)
}

/// The length of a text in backticks. Two of them stand for one of the text, and `${…}` in it is
/// code, which may have quotes and backticks of its own.
fn quoted_by_backticks(text: &str) -> usize {
    let mut at = 1;
    // Open braces of the code in `${…}`, innermost last: 0 braces is the text itself.
    let mut depth = 0_usize;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        at += match c {
            '`' if depth == 0 && rest.starts_with("``") => 2,
            '`' if depth == 0 => return at + 1,
            '$' if depth == 0 && rest.starts_with("${") => {
                depth = 1;
                2
            }
            // The code in a text is rarely more than a name: a text in backticks inside of it ends
            // at the next backtick.
            '"' | '`' if depth > 0 => quoted(rest, c),
            '{' if depth > 0 => {
                depth += 1;
                1
            }
            '}' if depth > 0 => {
                depth -= 1;
                1
            }
            other => other.len_utf8(),
        };
    }
    text.len()
}

/// The length of a block comment; they nest.
fn comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += c.len_utf8();
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::starts;

    #[test]
    fn texts_in_double_quotes_are_found() {
        let found = |source: &str| {
            let starts = starts(source).into_iter();
            starts.map(|at| source[at..].to_owned()).collect::<Vec<_>>()
        };
        for (source, expected) in [
            (r#"a "b""#, &[r#""b""#][..]),
            (r#"a "\"" "\\""#, &[r#""\"" "\\""#, r#""\\""#]),
            (
                r#"// "a"
"b""#,
                &[r#""b""#],
            ),
            (r#"/* /* "a" */ "b" */ "c""#, &[r#""c""#]),
            (r#"'"' '\'' "c""#, &[r#""c""#]),
            (r#"`"a" ``"b" ${ #{ "c": "}" } } "d"` "e""#, &[r#""e""#]),
            (r#"`网 ${x}` "网""#, &[r#""网""#]),
            (r#""a"#, &[r#""a"#]),
            ("`a", &[]),
            ("/* a", &[]),
            ("'", &[]),
        ] {
            assert_eq!(found(source), expected, "{source}");
        }
    }
}
