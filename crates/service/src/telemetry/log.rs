//! Logs as JSON lines or lines for people, with secrets redacted.

mod human;

use std::io::{self, IsTerminal as _, Write};
use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;

use self::human::HumanFormat;

/// What URLs escape: all but the unreserved characters of RFC 3986.
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Replaces every known secret in a text.
///
/// ```
/// use reflexarc_service::telemetry::Redactor;
///
/// let redactor = Redactor::new(["pa/ss word"]);
/// assert_eq!(redactor.redact("url?token=pa%2Fss%20word"), "url?token=[redacted]");
/// ```
//
// It guards against what receivers' responses and libraries' errors may repeat (a URL with its
// token, a server's echo of a password); our own code never prints a secret in the first place.
#[derive(Clone, Default)]
pub struct Redactor {
    secrets: Arc<ArcSwap<Vec<String>>>,
}

impl Redactor {
    /// The replacement of a secret.
    pub const MARK: &str = "[redacted]";
    /// Shortest secret in bytes that is searched for.
    // `ab` would redact parts of most texts.
    const SHORTEST: usize = 4;

    /// Redacts these secrets, also as JSON and URLs escape them.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let mut known: Vec<String> = Vec::new();
        for secret in secrets
            .into_iter()
            .filter(|secret| secret.len() >= Self::SHORTEST)
        {
            // A secret with a quotation mark is escaped in a JSON body, one with a slash in a URL:
            // the plain form would not be found there.
            let json = reflexarc_event::Json::from(secret).to_string();
            let mut forms = vec![
                secret.to_owned(),
                json[1..json.len() - 1].to_owned(),
                utf8_percent_encode(secret, UNRESERVED).to_string(),
            ];
            forms.retain(|form| !known.contains(form));
            forms.dedup();
            known.extend(forms);
        }
        // The longest first: with `canary` before `canary-long`, the rest `-long` would remain.
        known.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self {
            secrets: Arc::new(ArcSwap::from_pointee(known)),
        }
    }

    /// Adds the secrets of another redactor, in every clone of this one.
    // The old ones are kept: a delivery that began before a reload may still fail with the old
    // token in its error.
    pub fn learn(&self, other: &Self) {
        let mut known = self.secrets.load().to_vec();
        known.extend(
            other
                .secrets
                .load()
                .iter()
                .filter(|secret| !known.contains(secret))
                .cloned()
                .collect::<Vec<_>>(),
        );
        known.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        self.secrets.store(Arc::new(known));
    }

    /// The text with every secret replaced.
    pub fn redact(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in self.secrets.load().iter() {
            if text.contains(secret) {
                text = text.replace(secret, Self::MARK);
            }
        }
        text
    }
}

/// Why logging does not start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoggingError {
    /// The filter is invalid.
    #[error("invalid log filter: {0}")]
    InvalidFilter(String),
    /// This process logs already.
    #[error("logging has been started before")]
    AlreadyStarted,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LogFormat {
    /// For people where standard error is a terminal, else JSON.
    #[default]
    Auto,
    /// For people.
    Human,
    /// One JSON object a line.
    Json,
}

impl LogFormat {
    /// All names.
    pub const NAMES: [&str; 3] = ["auto", "human", "json"];

    /// The format of this name.
    ///
    /// ```
    /// use reflexarc_service::telemetry::LogFormat;
    ///
    /// assert_eq!(LogFormat::named("human"), Some(LogFormat::Human));
    /// assert_eq!(LogFormat::named("text"), None);
    /// ```
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "auto" => Some(Self::Auto),
            "human" => Some(Self::Human),
            "json" => Some(Self::Json),
            _ => None,
        }
    }

    fn is_human(self) -> bool {
        match self {
            Self::Auto => io::stderr().is_terminal(),
            Self::Human => true,
            Self::Json => false,
        }
    }
}

/// Starts logging to standard error, redacted. `filter` selects the levels,
/// such as `info` or `warn,reflexarc_service=debug`.
///
/// # Errors
/// If the filter is invalid or logging has been started before.
pub fn start_logging(
    filter: &str,
    format: LogFormat,
    redactor: Redactor,
) -> Result<(), LoggingError> {
    let filter = parse_filter(filter)?;
    let writer = RedactingWriter { redactor };
    let subscriber = tracing_subscriber::registry().with(filter);
    let layer = tracing_subscriber::fmt::layer();
    let started = if format.is_human() {
        let without = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let format = HumanFormat {
            has_colour: io::stderr().is_terminal() && !without,
            now: Timestamp::now,
        };
        let layer = layer.event_format(format).with_writer(writer);
        tracing::subscriber::set_global_default(subscriber.with(layer))
    } else {
        let layer = layer.json().flatten_event(true).with_writer(writer);
        tracing::subscriber::set_global_default(subscriber.with(layer))
    };
    started.map_err(|_| LoggingError::AlreadyStarted)
}

/// Checks a log filter.
pub(crate) fn check_filter(filter: &str) -> Result<(), LoggingError> {
    parse_filter(filter).map(drop)
}

/// Reads directives separated by commas: a level, or a module with its level.
// Not with the parser of `Targets`, which takes `inf` for the name of a module, and would log
// nothing else.
fn parse_filter(filter: &str) -> Result<Targets, LoggingError> {
    let mut targets = Targets::new();
    for directive in filter.split(',').map(str::trim) {
        targets = match directive.split_once('=') {
            None => targets.with_default(parse_level(directive)?),
            Some((module, level)) => {
                let module = module.trim();
                let is_path = |char: char| char.is_alphanumeric() || "_:".contains(char);
                if module.is_empty() || !module.chars().all(is_path) {
                    let message = format!("`{module}` is not the path of a module");
                    return Err(LoggingError::InvalidFilter(message));
                }
                targets.with_target(module, parse_level(level)?)
            }
        };
    }
    Ok(targets)
}

fn parse_level(level: &str) -> Result<LevelFilter, LoggingError> {
    let level = level.trim();
    match level.to_ascii_lowercase().as_str() {
        "off" => Ok(LevelFilter::OFF),
        "error" => Ok(LevelFilter::ERROR),
        "warn" => Ok(LevelFilter::WARN),
        "info" => Ok(LevelFilter::INFO),
        "debug" => Ok(LevelFilter::DEBUG),
        "trace" => Ok(LevelFilter::TRACE),
        _ => Err(LoggingError::InvalidFilter(format!(
            "unknown level `{level}`; expected off, error, warn, info, debug or trace"
        ))),
    }
}

struct RedactingWriter {
    redactor: Redactor,
}

/// One log line being written.
struct LogLine {
    redactor: Redactor,
    text: Vec<u8>,
}

impl<'a> MakeWriter<'a> for RedactingWriter {
    type Writer = LogLine;

    fn make_writer(&'a self) -> LogLine {
        LogLine {
            redactor: self.redactor.clone(),
            text: Vec::new(),
        }
    }
}

impl Write for LogLine {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for LogLine {
    /// Redacts and writes the line.
    // Here and not in `write`, as a secret can be spread over several writes.
    fn drop(&mut self) {
        let text = self.redactor.redact(&String::from_utf8_lossy(&self.text));
        drop(io::stderr().lock().write_all(text.as_bytes()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_levels_and_modules_with_levels() {
        for filter in [
            "info",
            "WARN",
            "off,reflexarc_service=debug",
            "info, a::b = trace",
        ] {
            assert!(parse_filter(filter).is_ok(), "{filter}");
        }
        let fault = |filter| parse_filter(filter).map(drop).unwrap_err().to_string();
        let unknown = |level| {
            format!(
                "invalid log filter: unknown level `{level}`; \
                 expected off, error, warn, info, debug or trace"
            )
        };
        assert_eq!(fault("inf"), unknown("inf"));
        assert_eq!(fault(""), unknown(""));
        assert_eq!(fault("reflexarc_service"), unknown("reflexarc_service"));
        assert_eq!(fault("info,reflexarc_service=loud"), unknown("loud"));
        assert_eq!(
            fault("a[span]=info"),
            "invalid log filter: `a[span]` is not the path of a module"
        );
    }

    #[test]
    fn secrets_are_redacted_in_every_escaped_form() {
        let redactor = Redactor::new(["pa\"ss/word", "ab", "canary", "canary-long"]);
        assert_eq!(redactor.redact("x pa\"ss/word y"), "x [redacted] y");
        assert_eq!(
            redactor.redact(r#"{"p":"pa\"ss/word"}"#),
            r#"{"p":"[redacted]"}"#
        );
        assert_eq!(
            redactor.redact("?p=pa%22ss%2Fword&q=1"),
            "?p=[redacted]&q=1"
        );
        assert_eq!(redactor.redact("canary-long"), "[redacted]");
        assert_eq!(redactor.redact("about"), "about");
        let clone = redactor.clone();
        redactor.learn(&Redactor::new(["newer-secret"]));
        assert_eq!(clone.redact("canary newer-secret"), "[redacted] [redacted]");
    }
}
