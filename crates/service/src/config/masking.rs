//! Masks what may be a secret in the text of a configuration, for diagnostics.
//!
//! Diagnostics quote lines of the file, and they are printed, logged, and sent to those who may
//! reload. Secrets do not belong into the file, but an error is most likely where one was written
//! there all the same, or where the key is misspelled. So everything is masked that is not the
//! value of a key which never holds a secret:
//!
//! ```text
//! token = "s3cret"                    token = "******"
//! tokn = "s3cret"                     tokn = "******"
//! url = "https://example.com/x?k=y"   url = "https://example.com/*****"
//! listen = "localhost"                listen = "localhost"
//! ```
//!
//! The scan does not need a valid file: a missing quotation mark is an error that quotes the line.
//! Masked text has the same length in bytes, so that diagnostics keep their places.

use std::ops::Range;

use reflexarc::FileDiagnostics;
use reflexarc_diagnostic::Diagnostic;

use crate::telemetry::Redactor;

/// Keys whose values are never secrets.
const HARMLESS: &[&str] = &[
    "allow",
    "ack_wait",
    "archive",
    "authorities",
    "batch",
    "batch_events",
    "body",
    "body_bytes",
    "breaker",
    "calls_per_minute",
    "certificate",
    "concurrency",
    "connections",
    "consumer",
    "delivery_bytes",
    "dry_run",
    "duplicates",
    "ecs_role",
    "endpoint",
    "env",
    "every",
    "expires",
    "failures",
    "file",
    "final_statuses",
    "folder",
    "format",
    "from",
    "head",
    "host",
    "hosts",
    "html_template",
    "idempotent",
    "keep",
    "keywords",
    "links",
    "listen",
    "log",
    "max_ack_pending",
    "max_age",
    "max_bytes",
    "max_changes",
    "max_firings_per_minute",
    "max_pause",
    "metadata",
    "name",
    "networks",
    "one_in",
    "order",
    "order_wait",
    "parameters",
    "path",
    "patience",
    "pause",
    "peer_connections",
    "peer_requests",
    "per_day",
    "per_minute",
    "port",
    "product",
    "protection",
    "queue_bytes",
    "queue_events",
    "region",
    "regions",
    "reject_subject",
    "retry",
    "retry_statuses",
    "roles",
    "rules",
    "shutdown_timeout",
    "stream",
    "subject",
    "subjects",
    "text_template",
    "time_zone",
    "timeout",
    "tls",
    "to",
    "token_delay",
    "trusted_proxies",
    "type",
    "url",
    "user",
    "version",
    "write",
];
/// Tables whose members may all be secrets, whatever their names.
const SECRET_TABLES: &[&str] = &["headers", "environment"];
/// Keys of a reference to a secret.
const REFERENCE: &[&str] = &["env", "file"];
/// Longest text of lower-case letters that is taken for a word and not for a secret: messages and
/// help consist of words.
const LONGEST_WORD: usize = 8;

/// Diagnostics of a configuration, without what may be a secret.
pub(super) fn masked(name: &str, text: &str, diagnostics: Vec<Diagnostic>) -> FileDiagnostics {
    let spans = secret_spans(text);
    let mut bytes = text.as_bytes().to_vec();
    for span in &spans {
        for byte in &mut bytes[span.clone()] {
            if *byte != b'\n' && *byte != b'\r' {
                *byte = b'*';
            }
        }
    }
    let secrets = spans.iter().filter_map(|span| text.get(span.clone()));
    let redactor = Redactor::new(secrets.filter(|secret| !is_word(secret)));
    let diagnostics = diagnostics
        .into_iter()
        .map(|diagnostic| mask(diagnostic, text, &spans, &redactor))
        .collect();
    FileDiagnostics {
        name: name.to_owned(),
        // Only ASCII characters were put in place of whole characters.
        text: String::from_utf8(bytes).unwrap_or_default(),
        diagnostics,
    }
}

/// A diagnostic without secrets: those of `redactor`, and words where they are the value.
fn mask(
    mut diagnostic: Diagnostic,
    text: &str,
    spans: &[Range<usize>],
    redactor: &Redactor,
) -> Diagnostic {
    let secrets = |place: &Range<usize>| {
        let near = touching(spans, place).iter();
        near.filter_map(|span| text.get(span.clone()).map(|secret| (span.clone(), secret)))
    };
    // A message about another value says the word for a reason of its own.
    let place = diagnostic.span.clone();
    // A place may end before the quotes of the value, or after them.
    let wider = place.start.saturating_sub(1)..place.end + 1;
    let words = secrets(&wider).filter(|(span, secret)| {
        is_value(span, &place) && is_word(secret) && !HARMLESS.contains(secret)
    });
    let words = Redactor::new(words.map(|(_, secret)| secret));
    let redact = |text: &str| words.redact(&redactor.redact(text));
    // A fix that repeats a secret, such as with quotes around it, is left out: the masked text would
    // not be one.
    diagnostic.fix = diagnostic.fix.filter(|fix| {
        let is_repeated = secrets(&fix.span)
            .any(|(_, secret)| !secret.is_empty() && fix.replacement.contains(secret));
        !is_repeated && redact(&fix.replacement) == fix.replacement
    });
    diagnostic.message = redact(&diagnostic.message);
    diagnostic.help = diagnostic.help.map(|help| redact(&help));
    for label in &mut diagnostic.labels {
        label.message = redact(&label.message);
    }
    diagnostic
}

/// Those of the spans, which are in order, that overlap a place, or begin or end next to it.
fn touching<'s>(spans: &'s [Range<usize>], place: &Range<usize>) -> &'s [Range<usize>] {
    let first = spans.partition_point(|span| span.end < place.start);
    let count = spans[first..].partition_point(|span| span.start <= place.end);
    &spans[first..][..count]
}

/// Whether a masked span is the whole value at a place, which may be in quotes.
fn is_value(masked: &Range<usize>, place: &Range<usize>) -> bool {
    masked.start <= place.start + 1 && place.end <= masked.end + 1
}

/// Whether a masked text is too common to be replaced in messages: in `ruels = "rules"` it is what
/// the help proposes.
fn is_word(text: &str) -> bool {
    let is_lower = text
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    HARMLESS.contains(&text) || (is_lower && text.len() <= LONGEST_WORD)
}

/// Where secrets may be, in order.
fn secret_spans(text: &str) -> Vec<Range<usize>> {
    let mut scan = Scan {
        text,
        at: 0,
        table: String::new(),
        key: String::new(),
        outer: Vec::new(),
        after_equals: false,
        spans: Vec::new(),
    };
    while scan.at < text.len() {
        scan.step();
    }
    scan.spans
}

/// A scan of a text that may not be TOML.
struct Scan<'a> {
    text: &'a str,
    at: usize,
    /// The last name in the header of the table.
    table: String,
    /// The last name before the value.
    key: String,
    /// The brackets that are open, and the keys before them.
    outer: Vec<(u8, String)>,
    after_equals: bool,
    spans: Vec<Range<usize>>,
}

impl Scan<'_> {
    /// Reads one token.
    fn step(&mut self) {
        let rest = &self.text[self.at..];
        let Some(first) = rest.chars().next() else {
            return;
        };
        match first {
            '\n' => {
                self.at += 1;
                if self.outer.is_empty() {
                    self.end_value();
                }
            }
            '#' => self.comment(),
            '[' if self.outer.is_empty() && !self.after_equals && self.is_line_start() => {
                self.header();
            }
            '[' | '{' => {
                let bracket = self.text.as_bytes()[self.at];
                self.outer.push((bracket, self.key.clone()));
                self.at += 1;
                self.after_equals = first == '[';
            }
            ']' | '}' => {
                self.at += 1;
                if let Some((_, key)) = self.outer.pop() {
                    self.key = key;
                }
            }
            '=' => {
                self.at += 1;
                self.after_equals = true;
            }
            ',' => {
                self.at += 1;
                if self
                    .outer
                    .last()
                    .is_some_and(|(bracket, _)| *bracket == b'{')
                {
                    self.end_value();
                }
            }
            '"' | '\'' => self.string(),
            _ if first.is_whitespace() || first == '.' => self.at += first.len_utf8(),
            _ => self.word(),
        }
    }

    fn end_value(&mut self) {
        self.key.clear();
        self.after_equals = false;
    }

    fn is_line_start(&self) -> bool {
        let before = &self.text[..self.at];
        let line = before.rsplit('\n').next().unwrap_or_default();
        line.trim().is_empty()
    }

    fn line_end(&self) -> usize {
        let rest = &self.text[self.at..];
        self.at + rest.find('\n').unwrap_or(rest.len())
    }

    /// A comment: a line that was commented out may have a secret.
    fn comment(&mut self) {
        let end = self.line_end();
        let comment = &self.text[self.at..end];
        if comment.contains(['=', '"', '\'']) {
            self.spans.push(self.at + 1..end);
        }
        self.at = end;
    }

    /// `[a.b]` or `[[a.b]]`.
    fn header(&mut self) {
        let end = self.line_end();
        let names = self.text[self.at..end].split('#').next();
        let last = names.unwrap_or_default().rsplit('.').next();
        let trim = |char: char| "[]\"' \t\r".contains(char);
        self.table = last.unwrap_or_default().trim_matches(trim).to_owned();
        self.at = end;
    }

    /// A string, or the rest of the line if it does not end.
    fn string(&mut self) {
        let rest = &self.text[self.at..];
        let quote = &rest[..1];
        let triple = quote.repeat(3);
        let mark = if rest.starts_with(&triple) {
            triple.as_str()
        } else {
            quote
        };
        let start = self.at + mark.len();
        let end = string_end(self.text, start, mark);
        let (content, next) = match end {
            Some(end) => (start..end, end + mark.len()),
            // Up to the next line, also of what was to be several lines.
            None => (start..self.line_end(), self.line_end()),
        };
        self.at = next;
        let is_key = !self.after_equals
            && self.text[next..]
                .trim_start_matches([' ', '\t'])
                .starts_with(['=', '.']);
        if is_key {
            self.text[content].clone_into(&mut self.key);
        } else {
            self.value(content);
        }
    }

    /// A name, a number, or something that should have quotation marks.
    fn word(&mut self) {
        let rest = &self.text[self.at..];
        let is_end = |char: char| char.is_whitespace() || "=,]}#\"'".contains(char);
        let is_key_end = |char: char| is_end(char) || char == '.';
        if self.after_equals {
            let length = rest.find(is_end).unwrap_or(rest.len()).max(1);
            self.value(self.at..self.at + length);
            self.at += length;
        } else {
            let length = rest.find(is_key_end).unwrap_or(rest.len()).max(1);
            rest[..length].clone_into(&mut self.key);
            self.at += length;
        }
    }

    /// Notes a value if it may be a secret, or the part of it that may be.
    fn value(&mut self, span: Range<usize>) {
        if self.is_program(span.start) {
            return;
        }
        let content = &self.text[span.clone()];
        // A number or a truth value says nothing of a secret, unless it is one.
        if self.is_harmless() {
            let is_url = matches!(self.key.as_str(), "url" | "endpoint") || content.contains("://");
            if is_url {
                self.spans.extend(
                    url_secrets(content).map(|part| span.start + part.start..span.start + part.end),
                );
            }
        } else {
            self.spans.push(span);
        }
    }

    /// Whether a value begins an `argv`: the program, unlike its arguments, is no secret.
    fn is_program(&self, start: usize) -> bool {
        let before = self.text[..start].trim_end_matches(['"', '\'', ' ', '\t', '\n']);
        self.key == "argv" && before.ends_with('[')
    }

    fn is_harmless(&self) -> bool {
        let key = self.key.as_str();
        // `retry = ["1s"]`: the key of an array is that of its elements.
        let mut names = self.outer.iter().map(|(_, key)| key.as_str());
        let parent = self
            .outer
            .iter()
            .rev()
            .find(|(bracket, _)| *bracket == b'{');
        let parent = parent.map_or(self.table.as_str(), |(_, key)| key);
        if REFERENCE.contains(&key) && !SECRET_TABLES.contains(&parent) {
            return true;
        }
        let in_secrets = SECRET_TABLES.contains(&self.table.as_str())
            || names.any(|name| SECRET_TABLES.contains(&name));
        !in_secrets && HARMLESS.contains(&key)
    }
}

/// The end of a string's content.
fn string_end(text: &str, start: usize, mark: &str) -> Option<usize> {
    let is_basic = mark.starts_with('"');
    let mut at = start;
    loop {
        let rest = text.get(at..)?;
        let next = rest.chars().next()?;
        if rest.starts_with(mark) {
            return Some(at);
        }
        match next {
            '\\' if is_basic => {
                at += 1;
                at += text.get(at..)?.chars().next()?.len_utf8();
            }
            // A string of one line that is not closed.
            '\n' if mark.len() == 1 => return None,
            _ => at += next.len_utf8(),
        }
    }
}

/// The parts of a URL that may be secrets: user and password, path, query and fragment.
fn url_secrets(url: &str) -> impl Iterator<Item = Range<usize>> {
    let host = url.find("://").map_or(0, |scheme| scheme + 3);
    let path = url[host..].find(['/', '?', '#']);
    let path = path.map_or(url.len(), |path| host + path);
    let user = url[host..path].rfind('@').map(|end| host..host + end);
    // The `/` or `?` stays.
    let rest = (path + 1 < url.len()).then(|| path + 1..url.len());
    user.into_iter().chain(rest)
}

#[cfg(test)]
mod tests;
