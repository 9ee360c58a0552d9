//! What is wrong where a text is not TOML, in terms of what the author wrote.
//!
//! The parser says which of its tokens it expected. Authors write YAML, JSON, a filter without
//! quotes, or a filter in the wrong quotes.

use crate::{Code, Diagnostic, Span, truncate};

/// The diagnostic for a syntax error at `span` with the parser's message, and the end of what it
/// explains: errors before it follow from this one.
pub(super) fn explain(text: &str, span: &Span, message: &str, code: Code) -> (Diagnostic, usize) {
    let line = Line::at(text, span.start);
    let error = |span: Span, message: String| {
        Diagnostic::error(code, span, format!("invalid TOML: {message}"))
    };
    if text.trim_start().starts_with('{') && line.before(text).trim().is_empty() {
        let start = text.len() - text.trim_start().len();
        let found = error(start..start + 1, "the text is JSON".to_owned());
        let help = "write a line `key = value` for each member";
        return (found.with_help(help), text.len());
    }
    let explained = colon(text, &line)
        .or_else(|| typographic_quotes(text, &line))
        .or_else(|| boolean_word(text, &line, span))
        .or_else(|| unquoted(text, &line, span))
        .or_else(|| escape(text, &line, span, message))
        .or_else(|| inner_quotes(text, &line, span))
        .or_else(|| second_key(text, &line, span))
        .or_else(|| several_lines(text, &line, span, message))
        .or_else(|| missing_sign(text, &line))
        .or_else(|| duplicate(text, span, message));
    if let Some(explained) = explained {
        let mut found = error(explained.span, explained.message);
        found.help = Some(explained.help);
        if let Some((span, replacement)) = explained.fix {
            found = found.with_fix(span, replacement);
        }
        if let Some((span, label)) = explained.label {
            found = found.with_label(span, label);
        }
        return (found, explained.end.max(line.end));
    }
    let mut found = error(span.clone(), message.to_owned());
    if message.starts_with("unclosed") {
        found = found.with_help("add what closes it, or remove what opened it");
    }
    (found, line.end)
}

/// A syntax error that is understood.
struct Explained {
    span: Span,
    message: String,
    help: String,
    fix: Option<(Span, String)>,
    label: Option<(Span, String)>,
    /// Where what it explains ends; errors before that follow from it.
    end: usize,
}

impl Explained {
    fn new(span: Span, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            span,
            message: message.into(),
            help: help.into(),
            fix: None,
            label: None,
            end: 0,
        }
    }

    fn with_fix(mut self, span: Span, replacement: impl Into<String>) -> Self {
        self.fix = Some((span, replacement.into()));
        self
    }
}

/// The line of an error, taken apart as `key = value`; without a sign, the key is all of it.
struct Line<'t> {
    start: usize,
    end: usize,
    key: &'t str,
    /// The value, without white space around it, and where it begins.
    value: Option<(usize, &'t str)>,
}

impl<'t> Line<'t> {
    fn at(text: &'t str, at: usize) -> Self {
        let at = at.min(text.len());
        let start = text.get(..at).and_then(|text| text.rfind('\n'));
        let start = start.map_or(0, |end| end + 1);
        let rest = &text[start..];
        let end = start + rest.find('\n').unwrap_or(rest.len());
        let line = text[start..end].trim_end();
        let sign = line.find('=').map(|at| (&line[..at], &line[at + 1..]));
        let value = sign.map(|(key, value)| {
            let at = start + key.len() + 1 + (value.len() - value.trim_start().len());
            (at, value.trim())
        });
        Self {
            start,
            end,
            key: sign.map_or(line, |(key, _)| key).trim(),
            value,
        }
    }

    fn before<'a>(&self, text: &'a str) -> &'a str {
        &text[..self.start]
    }

    /// The value of a line whose key is one that needs no quotes.
    fn plain(&self) -> Option<(usize, &'t str)> {
        let is_key = !self.key.is_empty() && self.key.chars().all(is_key);
        self.value.filter(|_| is_key)
    }
}

fn is_key(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')
}

/// `when: 'a == 1'`, as YAML has it.
fn colon(text: &str, line: &Line<'_>) -> Option<Explained> {
    let written = text[line.start..line.end].trim_end();
    let indent = written.len() - written.trim_start().len();
    let (key, value) = written.trim_start().split_once(':')?;
    let is_key = !key.is_empty() && key.chars().all(is_key);
    if !is_key || !(value.is_empty() || value.starts_with([' ', '\t'])) {
        return None;
    }
    let at = line.start + indent + key.len();
    let value = value.trim();
    let message = format!("`:` after the key `{key}`");
    if value.is_empty() {
        let help = format!("this is YAML: in TOML, the header of a table is `[{key}]`");
        return Some(Explained::new(at..at + 1, message, help));
    }
    let right = if is_value(value) {
        value.to_owned()
    } else if value.contains('\'') {
        return Some(Explained::new(
            at..at + 1,
            message,
            "write `=`, and quotes around the text",
        ));
    } else {
        format!("'{value}'")
    };
    let help = format!("write {key} = {}", truncate(&right, 80));
    let end = line.start + written.len();
    Some(Explained::new(at..at + 1, message, help).with_fix(at..end, format!(" = {right}")))
}

/// Whether the text is a value as TOML has it.
fn is_value(text: &str) -> bool {
    let line = format!("value = {text}");
    let (_, errors) = ::toml::de::DeTable::parse_recoverable(&line);
    errors.is_empty()
}

/// `when = “a == 1”`, as a word processor or a chat makes it of straight quotes.
fn typographic_quotes(_: &str, line: &Line<'_>) -> Option<Explained> {
    const QUOTES: [char; 4] = ['“', '”', '‘', '’'];
    let (at, value) = line.plain()?;
    let opening = value.chars().next().filter(|c| QUOTES.contains(c))?;
    let inner = value.strip_prefix(opening)?;
    let found = Explained::new(
        at..at + opening.len_utf8(),
        format!("typographic quote `{opening}`"),
        "write straight quotes: `'` or `\"`",
    );
    let inner = inner.strip_suffix(QUOTES);
    Some(match inner.filter(|inner| !inner.contains('\'')) {
        // Quotes inside of it are as typographic as those around it.
        Some(inner) => {
            let inner = inner.replace(['“', '”'], "\"");
            found.with_fix(at..at + value.len(), format!("'{inner}'"))
        }
        None => found,
    })
}

/// `enabled = no`, `enabled = True`.
fn boolean_word(_: &str, line: &Line<'_>, error: &Span) -> Option<Explained> {
    let (at, value) = line.plain()?;
    let word = value.split([' ', '\t', '#']).next()?;
    let right = match word {
        "True" | "TRUE" | "yes" | "Yes" | "on" | "On" => "true",
        "False" | "FALSE" | "no" | "No" | "off" | "Off" => "false",
        _ => return None,
    };
    let rest = value[word.len()..].trim_start();
    if !(at..=at + word.len()).contains(&error.start) || !(rest.is_empty() || rest.starts_with('#'))
    {
        return None;
    }
    let span = at..at + word.len();
    let message = format!("invalid value `{word}`");
    let help = format!("a boolean is `true` or `false`: {} = {right}", line.key);
    Some(Explained::new(span.clone(), message, help).with_fix(span, right))
}

/// `when = a == 1`, `notify = network-team`.
fn unquoted(_: &str, line: &Line<'_>, error: &Span) -> Option<Explained> {
    let (at, value) = line.plain()?;
    let is_bare = value.starts_with(|c: char| c.is_alphabetic() || matches!(c, '/' | '$'));
    // At the value's first word: an error further on is another one.
    if error.start != at || !is_bare || value.contains(['\'', '#']) {
        return None;
    }
    let right = format!("'{value}'");
    let help = format!(
        "put the text in quotes: {} = '{}'",
        line.key,
        truncate(value, 80)
    );
    let span = at..at + value.len();
    Some(Explained::new(span.clone(), "text without quotes", help).with_fix(span, right))
}

/// `"eni-\d+"`: a backslash that begins no escape sequence.
fn escape(text: &str, line: &Line<'_>, error: &Span, message: &str) -> Option<Explained> {
    if !message.contains("escape") {
        return None;
    }
    let (_, value) = line.value?;
    let before = text.get(line.start..error.start)?;
    let at = line.start + before.rfind('\\')?;
    let escaped = text[at + 1..].chars().next()?;
    if !text[at + 1..error.start].is_empty() || escaped.is_control() {
        return None;
    }
    let span = at..at + 1 + escaped.len_utf8();
    let message = format!("invalid escape sequence `\\{escaped}` in a string in double quotes");
    let mut help = format!("write `\\\\{escaped}`");
    if !value.contains('\'') {
        help += ", or the text in single quotes, where a backslash is a plain character";
    }
    let fix = format!("\\\\{escaped}");
    Some(Explained::new(span.clone(), message, help).with_fix(span, fix))
}

/// `when = "a == "b""`: quotes inside of the same quotes.
fn inner_quotes(text: &str, line: &Line<'_>, error: &Span) -> Option<Explained> {
    let (at, value) = line.plain()?;
    if !value.starts_with('"') || value.starts_with("\"\"\"") || value.contains(['\'', '\\', '#']) {
        return None;
    }
    let closing = at + 1 + value[1..].find('"')?;
    let rest = &text[closing + 1..at + value.len()];
    if error.start <= closing || is_key_with_sign(rest) {
        return None;
    }
    let found = Explained::new(
        closing..closing + 1,
        "the string ends at this quote",
        "put a text that has double quotes in single quotes",
    );
    let inner = value[1..].strip_suffix('"');
    Some(match inner {
        Some(inner) => found.with_fix(at..at + value.len(), format!("'{inner}'")),
        None => found,
    })
}

/// Whether the text begins with another `key = …`, and not with `a == …`.
fn is_key_with_sign(text: &str) -> bool {
    let text = text.trim_start();
    let key = text.trim_start_matches(is_key);
    let sign = key.trim_start();
    key.len() < text.len() && sign.starts_with('=') && !sign.starts_with("==")
}

/// `when = 'a == 1' notify = 'team'`: two keys on a line, or in braces without a comma.
fn second_key(text: &str, line: &Line<'_>, error: &Span) -> Option<Explained> {
    let rest = text.get(error.start..line.end)?;
    let before = text[line.start..error.start].trim_end();
    let (at, value) = line.plain()?;
    if at > error.start || !is_key_with_sign(rest) || before.ends_with(['{', ',']) {
        return None;
    }
    let key: String = rest.chars().take_while(|c| is_key(*c)).collect();
    let gap = line.start + before.len()..error.start;
    let span = error.start..error.start + key.len();
    if value.starts_with(['{', '[']) {
        let message = format!("missing `,` before the key `{key}`");
        let help = "separate the keys of a table in braces with `,`";
        return Some(Explained::new(span, message, help).with_fix(gap, ", "));
    }
    let help = format!("begin a new line before `{key}`");
    let message = format!("second key `{key}` on the line");
    Some(Explained::new(span, message, help).with_fix(gap, "\n"))
}

/// `when = 'a == 1` with the closing quote on a later line.
fn several_lines(text: &str, line: &Line<'_>, error: &Span, message: &str) -> Option<Explained> {
    let (at, value) = line.plain()?;
    let quote = value.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    if value[1..].contains(quote) || error.start < at || !message.contains("string") {
        return None;
    }
    let triple = quote.to_string().repeat(3);
    let found = Explained::new(
        at..at + 1,
        format!("unclosed string: `{quote}` ends it on the same line"),
        format!("close it, or write a text of several lines between {triple} and {triple}"),
    );
    // The text ends at the next quote, unless another key begins before it.
    let rest = &text[line.end..];
    let Some(end) = rest.find(quote) else {
        return Some(found);
    };
    let mut lines = rest[..end].lines().skip(1);
    let ends_line = rest[end + 1..].lines().next().unwrap_or_default();
    if lines.any(|line| line.starts_with('[') || is_key_with_sign(line))
        || !(ends_line.trim().is_empty() || ends_line.trim_start().starts_with('#'))
        || (quote == '"' && rest[..end].contains('\\'))
    {
        return Some(found);
    }
    let end = line.end + end + 1;
    let inner = &text[at + 1..end - 1];
    let mut found = found.with_fix(at..end, format!("{triple}{inner}{triple}"));
    found.end = end;
    Some(found)
}

/// `when 'a == 1'`
fn missing_sign(text: &str, line: &Line<'_>) -> Option<Explained> {
    let written = text[line.start..line.end].trim();
    let start = line.start + text[line.start..].find(written)?;
    let key = written.split([' ', '\t']).next()?;
    let value = written[key.len()..].trim_start();
    let is_plain = !key.is_empty() && key.chars().all(is_key);
    if !is_plain || value.starts_with('=') || !is_value(value) {
        return None;
    }
    let at = start + key.len();
    let help = format!("write {key} = {}", truncate(value, 80));
    let message = format!("missing `=` after the key `{key}`");
    let span = start..at;
    Some(Explained::new(span, message, help).with_fix(at..at, " ="))
}

/// The same key twice in a table.
fn duplicate(text: &str, error: &Span, message: &str) -> Option<Explained> {
    if !message.starts_with("duplicate key") {
        return None;
    }
    let key = text.get(error.clone())?;
    let help = "a table has each key once: remove one of them";
    let mut found = Explained::new(error.clone(), format!("duplicate key `{key}`"), help);
    // The first one is above it, at the beginning of a line of the same table.
    let mut end = error.start;
    for line in text[..error.start].split_inclusive('\n').rev() {
        let start = end - line.len();
        if line.starts_with('[') {
            break;
        }
        let after = line.trim_start().strip_prefix(key).map(str::trim_start);
        if after.is_some_and(|after| after.starts_with('=')) {
            let at = start + (line.len() - line.trim_start().len());
            found.label = Some((at..at + key.len(), "first here".to_owned()));
            break;
        }
        end = start;
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use crate::toml::{Document, FaultCodes};

    /// Message, help and the fixed text of the only diagnostic.
    fn only(text: &str) -> (String, String, Option<String>) {
        let document = Document::parse(text, "the rule", FaultCodes::RULE);
        let found = document.into_diagnostics();
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        let fixed = found[0].fix.clone().map(|fix| {
            let mut fixed = text.to_owned();
            fixed.replace_range(fix.span, &fix.replacement);
            let document = Document::parse(&fixed, "the rule", FaultCodes::RULE);
            assert!(!document.has_syntax_errors(), "{fixed}");
            fixed
        });
        let message = found[0].message.replace("invalid TOML: ", "");
        (message, found[0].help.clone().unwrap_or_default(), fixed)
    }

    #[test]
    fn fixes_make_valid_toml_of_the_same_meaning() {
        for (text, message, fixed) in [
            (
                "when: 'a == 1'",
                "`:` after the key `when`",
                "when = 'a == 1'",
            ),
            (
                "when: a == \"x\"\n",
                "`:` after the key `when`",
                "when = 'a == \"x\"'\n",
            ),
            ("keep: 30", "`:` after the key `keep`", "keep = 30"),
            (
                "when = “a == 1”",
                "typographic quote `“`",
                "when = 'a == 1'",
            ),
            (
                "when = ‘a == “b”’",
                "typographic quote `‘`",
                "when = 'a == \"b\"'",
            ),
            (
                "enabled = no # for now",
                "invalid value `no`",
                "enabled = false # for now",
            ),
            ("enabled = True", "invalid value `True`", "enabled = true"),
            (
                "when = a == \"b\"",
                "text without quotes",
                "when = 'a == \"b\"'",
            ),
            (
                "notify = network-team",
                "text without quotes",
                "notify = 'network-team'",
            ),
            (
                r#"when = "a matches \"\d\"""#,
                "invalid escape sequence `\\d` in a string in double quotes",
                r#"when = "a matches \"\\d\"""#,
            ),
            (
                r#"when = "a == "b"""#,
                "the string ends at this quote",
                r#"when = 'a == "b"'"#,
            ),
            (
                "when = 'a == 1' notify = 'team'",
                "second key `notify` on the line",
                "when = 'a == 1'\nnotify = 'team'",
            ),
            (
                "when = \"a\" notify = \"team\"",
                "second key `notify` on the line",
                "when = \"a\"\nnotify = \"team\"",
            ),
            (
                "message = { title = 'x' text = 'y' }",
                "missing `,` before the key `text`",
                "message = { title = 'x', text = 'y' }",
            ),
            (
                "step = [{ at = '0s' count = { n = 1 } }]",
                "missing `,` before the key `count`",
                "step = [{ at = '0s', count = { n = 1 } }]",
            ),
            (
                "when = 'a == 1\n and b == 2'\nlevel = 'warn'",
                "unclosed string: `'` ends it on the same line",
                "when = '''a == 1\n and b == 2'''\nlevel = 'warn'",
            ),
            (
                "when 'a == 1'",
                "missing `=` after the key `when`",
                "when = 'a == 1'",
            ),
        ] {
            let (found, help, fix) = only(text);
            assert_eq!(
                (found.as_str(), fix.as_deref()),
                (message, Some(fixed)),
                "{text}"
            );
            assert!(!help.is_empty(), "{text}");
        }
    }

    #[test]
    fn what_is_not_understood_has_no_fix() {
        for (text, message) in [
            ("{\"when\": \"a == 1\"}", "the text is JSON"),
            ("when = 'a == 1\nlevel = 'warn'", "unclosed string"),
            ("when = 'a'\nwhen = 'b'", "duplicate key `when`"),
            ("targets:", "`:` after the key `targets`"),
            ("when = “it's”", "typographic quote"),
            ("when = [1, 2", "unclosed array"),
        ] {
            let document = Document::parse(text, "the rule", FaultCodes::RULE);
            let found = document.into_diagnostics();
            assert!(found[0].message.contains(message), "{text}: {found:?}");
            assert_eq!(found[0].fix, None, "{text}");
            assert!(found[0].help.is_some(), "{text}");
        }
    }

    #[test]
    fn any_line_can_be_cut_anywhere() {
        let text = "when: “a”\nx = \"a \\d \"b\"\"\ny = 'é\n z = no 1\n[t]\nx 'ü'\n{";
        for cut in (0..=text.len()).filter(|cut| text.is_char_boundary(*cut)) {
            for text in [&text[..cut], &text[cut..]] {
                let found = Document::parse(text, "x", FaultCodes::RULE).into_diagnostics();
                for fix in found.iter().filter_map(|found| found.fix.as_ref()) {
                    assert!(text.get(fix.span.clone()).is_some(), "{text}");
                }
            }
        }
    }
}
