//! Keys of a rule that are written below the header of a table, and so are part of that table.
//!
//! ```toml
//! [[followed_by]]
//! when = 'content.result == "success"'
//! within = "2m"
//!
//! then = 'log("done")'     # TOML reads `followed_by.then`
//! ```

use std::ops::Range;

use reflexarc_diagnostic::toml::{DeTable, DeValue, Document, FaultCodes, Spanned, TableReader};
use reflexarc_diagnostic::{Code, Diagnostic, Span};

/// The keys of a rule.
const RULE_KEYS: [&str; 30] = [
    "absent_for",
    "allow",
    "answered",
    "batch",
    "by",
    "count",
    "description",
    "enabled",
    "expect",
    "followed_by",
    "forget",
    "grace",
    "inhibits",
    "labels",
    "level",
    "lookup",
    "max_pending",
    "message",
    "not_followed_by",
    "notify",
    "once",
    "report_after",
    "resolved",
    "settle",
    "state",
    "test",
    "then",
    "throttle",
    "until",
    "when",
];

/// The tables of a rule with the keys of the rule that they have themselves.
// Not `labels`, where every key is a label.
const TABLES: [(&str, &[&str]); 12] = [
    ("batch", &[]),
    ("count", &[]),
    ("followed_by", &["by", "when"]),
    ("inhibits", &["by", "labels"]),
    ("lookup", &[]),
    ("message", &[]),
    ("not_followed_by", &["by", "when"]),
    ("once", &[]),
    ("resolved", &[]),
    ("state", &[]),
    ("test", &["state"]),
    ("throttle", &[]),
];

/// Keys that are hardly meant as labels.
const NO_LABELS: [&str; 11] = [
    "absent_for",
    "answered",
    "by",
    "grace",
    "inhibits",
    "notify",
    "resolved",
    "settle",
    "then",
    "until",
    "when",
];

/// Keys of the rule that are inside other tables.
#[derive(Debug, Default)]
pub(crate) struct MisplacedKeys {
    found: Vec<Misplaced>,
}

/// One of them.
#[derive(Debug)]
struct Misplaced {
    name: String,
    key: Span,
    /// The table that it is in.
    table: &'static str,
    /// Its lines, comments above it included; none where it cannot be moved.
    lines: Option<Vec<Range<usize>>>,
}

impl MisplacedKeys {
    /// Finds and reports them in the file `text`, whose top-level table is `root`.
    pub(crate) fn read(root: &TableReader<'_>, text: &str) -> Self {
        let mut found = find(root.raw(), text);
        // What was recovered of a syntax error is not what the author wrote.
        if root.document().has_syntax_errors() {
            for misplaced in &mut found {
                misplaced.lines = None;
            }
        }
        report_labels(root, text);
        let keys = Self { found };
        keys.report(root, text);
        keys
    }

    /// Whether this key is among them, so that the rule is not without it.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.found.iter().any(|misplaced| misplaced.name == name)
    }

    /// Whether the key at this place is one of them.
    pub(crate) fn is_at(&self, key: &Span) -> bool {
        self.found.iter().any(|found| found.key == *key)
    }

    /// Declares those in a table as known, so that they are reported once.
    pub(crate) fn allow(&self, table: &TableReader<'_>) {
        for key in table.raw().keys() {
            if self.is_at(&key.span()) {
                table.allow(&[key.get_ref()]);
            }
        }
    }

    fn report(&self, root: &TableReader<'_>, text: &str) {
        let Some((first, others)) = self.found.split_first() else {
            return;
        };
        let message = format!(
            "`{}` is a key of the rule, and is inside `{}` here",
            first.name, first.table
        );
        let mut fault = Diagnostic::error(Code::MISPLACED_KEY, first.key.clone(), message);
        for other in others {
            let label = format!("inside `{}` too", other.table);
            fault = fault.with_label(other.key.clone(), label);
        }
        let is_header = first.lines.is_some();
        fault = fault.with_help(if is_header {
            "move it above the first line that begins with `[`: in TOML, all that is below such a \
             line belongs to it"
        } else {
            "move it out of that table"
        });
        if let Some((span, replacement)) = self.moved(root.raw(), text) {
            fault = fault.with_fix(span, replacement);
        }
        root.report(fault);
    }

    /// The edit that moves all of them above the first header of the file.
    fn moved(&self, root: &DeTable<'_>, text: &str) -> Option<(Span, String)> {
        let mut lines = Vec::new();
        for misplaced in &self.found {
            lines.extend(misplaced.lines.clone()?);
        }
        lines.sort_by_key(|lines| lines.start);
        let start = first_header(root, text)?;
        let end = lines.last()?.end;
        let line_end = if text.contains("\r\n") { "\r\n" } else { "\n" };
        let (mut moved, mut rest) = (String::new(), String::new());
        let mut at = start;
        for lines in lines {
            rest.push_str(text.get(at..lines.start)?);
            moved.push_str(&text[lines.clone()]);
            // The last line of a file may have no end.
            if !moved.ends_with('\n') {
                moved.push_str(line_end);
            }
            at = lines.end;
        }
        let replacement = format!("{moved}{line_end}{rest}");
        let fixed = format!("{}{replacement}{}", &text[..start], &text[end..]);
        self.is_fixed_by(&fixed)
            .then_some((start..end, replacement))
    }

    /// Whether the file has the keys in their place, and is valid TOML: a rule that has `then` in
    /// both places would have it twice.
    fn is_fixed_by(&self, text: &str) -> bool {
        let document = Document::parse(text, "the rule", FaultCodes::RULE);
        let root = document.root();
        !document.has_syntax_errors()
            && find(root.raw(), text).is_empty()
            && self
                .found
                .iter()
                .all(|misplaced| root.raw().contains_key(misplaced.name.as_str()))
    }
}

/// Warns of labels that are written like keys of the rule: `by` below `[labels]`.
fn report_labels(root: &TableReader<'_>, text: &str) {
    let Some(labels) = root.raw().get("labels") else {
        return;
    };
    let DeValue::Table(content) = labels.get_ref() else {
        return;
    };
    // `{ by = "team" }` is not what is written by mistake.
    if !starts_with(text, labels.span(), '[') {
        return;
    }
    for key in content.keys() {
        let name = key.get_ref().as_ref();
        if NO_LABELS.contains(&name) && !root.raw().contains_key(name) {
            let message = format!("`{name}` is a label here, and not the key of the rule");
            let warning = Diagnostic::warning(Code::MISPLACED_KEY, key.span(), message);
            root.report(
                warning.with_help(
                    "write it above the line `[labels]`, or the labels as labels = { … }",
                ),
            );
        }
    }
}

/// Finds the keys of the rule that are inside its tables, in the order of the file.
fn find(root: &DeTable<'_>, text: &str) -> Vec<Misplaced> {
    let mut found = Vec::new();
    for (name, own) in TABLES {
        for table in root.get(name).map_or(&[][..], elements) {
            find_in(table, (name, own), text, &mut found);
            // What is written at the end of a file is often below the last step of a test.
            match (name, table.get_ref()) {
                ("test", DeValue::Table(test)) => {
                    find_in_answers(test, text, &mut found);
                    for step in test.get("step").map_or(&[][..], elements) {
                        find_in(step, ("test.step", own), text, &mut found);
                        if let DeValue::Table(step) = step.get_ref() {
                            find_in_answers(step, text, &mut found);
                        }
                    }
                }
                ("lookup", DeValue::Table(lookups)) => {
                    for lookup in lookups.values() {
                        find_in(lookup, ("lookup", own), text, &mut found);
                    }
                }
                _ => {}
            }
        }
    }
    found.sort_by_key(|misplaced| misplaced.key.start);
    found
}

/// Finds the keys of the rule in the answers of a test or step: `[test.step.answer]` may be the
/// last header of a file.
fn find_in_answers(step: &DeTable<'_>, text: &str, found: &mut Vec<Misplaced>) {
    for answer in step.get("answer").map_or(&[][..], elements) {
        // An answer has a message of its own.
        find_in(answer, ("test.answer", &["message"]), text, found);
    }
}

/// The elements of an array, or the one value that is no array.
fn elements<'v, 'a>(value: &'v Spanned<DeValue<'a>>) -> &'v [Spanned<DeValue<'a>>] {
    match value.get_ref() {
        DeValue::Array(elements) => elements,
        _ => std::slice::from_ref(value),
    }
}

/// Finds the keys of the rule in a table; `own` are those that it has itself.
fn find_in(
    table: &Spanned<DeValue<'_>>,
    (name, own): (&'static str, &[&str]),
    text: &str,
    found: &mut Vec<Misplaced>,
) {
    let DeValue::Table(content) = table.get_ref() else {
        return;
    };
    let has_header = starts_with(text, table.span(), '[');
    for (key, value) in content {
        let written = key.get_ref().as_ref();
        // A lookup may have the name of a key of the rule: `lookup.state = { table = … }`.
        let is_lookup = name == "lookup" && matches!(value.get_ref(), DeValue::Table(_));
        // `expect = false` is another name of `matches`, and not a list of keys.
        let is_outcome = written == "expect" && matches!(value.get_ref(), DeValue::Boolean(_));
        let is_own = own.contains(&written) || is_lookup || is_outcome;
        if RULE_KEYS.contains(&written) && !is_own {
            let mut lines = Vec::new();
            let is_movable = has_header && find_lines(key.span(), value, text, &mut lines);
            found.push(Misplaced {
                name: written.to_owned(),
                key: key.span(),
                table: name,
                lines: is_movable.then_some(lines),
            });
        }
    }
}

/// Adds the lines of a key and its value; `false` if they are no lines of their own.
fn find_lines(
    key: Span,
    value: &Spanned<DeValue<'_>>,
    text: &str,
    lines: &mut Vec<Range<usize>>,
) -> bool {
    // `[followed_by.message]`, `[[followed_by.test]]`
    let line = line_start(text, key.start)..key.start;
    let line = text.get(line).unwrap_or("[").trim_start();
    if line.starts_with('[') {
        return false;
    }
    match value.get_ref() {
        // `message.title = …`: each of its keys is on a line of its own.
        DeValue::Table(table) if !starts_with(text, value.span(), '{') => table
            .iter()
            .all(|(key, value)| find_lines(key.span(), value, text, lines)),
        _ => {
            lines.push(with_comments(key.start, value.span().end, text));
            true
        }
    }
}

/// The whole lines from `start` to `end`, with the lines of comments right above them.
fn with_comments(start: usize, end: usize, text: &str) -> Range<usize> {
    let rest = text.get(end..).unwrap_or_default();
    let end = rest.find('\n').map_or(text.len(), |at| end + at + 1);
    comments_above(line_start(text, start), text)..end
}

/// Where the lines of comments above the line that starts at `start` begin.
fn comments_above(mut start: usize, text: &str) -> usize {
    while start > 0 {
        let above = line_start(text, start - 1);
        if !text[above..start].trim_start().starts_with('#') {
            break;
        }
        start = above;
    }
    start
}

/// Where the first header of a table begins, with the comments above it.
fn first_header(root: &DeTable<'_>, text: &str) -> Option<usize> {
    let lines = root.keys().map(|key| line_start(text, key.span().start));
    let headers = lines.filter(|line| text[*line..].trim_start().starts_with('['));
    headers.min().map(|line| comments_above(line, text))
}

// Spans in a file with syntax errors may be anything, so nothing here takes them for valid.

fn line_start(text: &str, at: usize) -> usize {
    let before = text.get(..at).unwrap_or_default();
    before.rfind('\n').map_or(0, |end| end + 1)
}

fn starts_with(text: &str, span: Span, start: char) -> bool {
    text.get(span).is_some_and(|text| text.starts_with(start))
}
