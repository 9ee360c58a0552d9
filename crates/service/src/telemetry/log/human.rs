//! Log lines for people: time, level, message and fields, with colours where the terminal has them.

use std::fmt;

use jiff::Timestamp;
use reflexarc_event::Json;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

const DIM: &str = "\u{1b}[2m";
const END: &str = "\u{1b}[0m";

/// `2026-11-27T06:31:12.123Z INFO ready address=127.0.0.1:8321`.
pub(super) struct HumanFormat {
    pub(super) has_colour: bool,
    /// The time of each line, in tests.
    pub(super) now: fn() -> Timestamp,
}

impl<S, N> FormatEvent<S, N> for HumanFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let level = *event.metadata().level();
        let (dim, colour, end) = if self.has_colour {
            (DIM, colour_of(level), END)
        } else {
            ("", "", "")
        };
        let time = (self.now)().strftime("%Y-%m-%dT%H:%M:%S%.3fZ");
        write!(writer, "{dim}{time}{end} {colour}{level:>5}{end} ")?;
        write!(writer, "{}", escaped(&fields.message))?;
        for (name, value) in &fields.others {
            write!(writer, " {dim}{name}={end}{}", readable(value))?;
        }
        writeln!(writer)
    }
}

/// What an event of the log has.
#[derive(Default)]
struct Fields {
    message: String,
    others: Vec<(&'static str, String)>,
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "message" {
            value.clone_into(&mut self.message);
        } else {
            self.others.push((field.name(), value.to_owned()));
        }
    }

    // All that is not a text comes here, also what is recorded with `%`.
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

fn colour_of(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\u{1b}[31m",
        Level::WARN => "\u{1b}[33m",
        Level::INFO => "\u{1b}[32m",
        _ => "\u{1b}[34m",
    }
}

/// A value as it is where its end is seen, else as a string of JSON.
//
// As JSON because that is how secrets are recognised when the line is redacted.
fn readable(value: &str) -> String {
    let is_plain = |one: char| !one.is_whitespace() && !one.is_control() && !"\"=\\".contains(one);
    if !value.is_empty() && value.chars().all(is_plain) {
        return value.to_owned();
    }
    escaped(&Json::from(value).to_string())
}

/// The text without control characters: a terminal must not act on what a receiver has answered.
fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for one in text.chars() {
        if one.is_control() || is_invisible(one) {
            shown.extend(one.escape_unicode());
        } else {
            shown.push(one);
        }
    }
    shown
}

/// Characters that change the direction of what follows, and separate lines.
fn is_invisible(one: char) -> bool {
    matches!(one, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::layer::SubscriberExt;

    use super::*;
    use crate::telemetry::Redactor;

    /// What is logged, redacted as on its way to stderr.
    fn logged(has_colour: bool, log: impl FnOnce()) -> String {
        #[derive(Clone, Default)]
        struct Buffer(Arc<Mutex<Vec<u8>>>);
        impl Write for Buffer {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.0.lock().unwrap().write(bytes)
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let buffer = Buffer::default();
        let writer = buffer.clone();
        let format = HumanFormat {
            has_colour,
            now: || "2026-11-27T06:31:12.1234Z".parse().unwrap(),
        };
        let layer = tracing_subscriber::fmt::layer()
            .event_format(format)
            .with_writer(move || writer.clone());
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, log);
        let text = String::from_utf8(buffer.0.lock().unwrap().clone()).unwrap();
        Redactor::new(["pa\"ss word", "canary-token"]).redact(&text)
    }

    #[test]
    fn lines_have_time_level_message_and_fields() {
        let text = logged(false, || {
            tracing::info!(address = "127.0.0.1:8321", "ready");
            let id = 7_u32;
            tracing::event!(tracing::Level::WARN, to = "out", attempt = 2, %id, answer = "no such hook", "attempt");
        });
        insta::assert_snapshot!(text, @r#"
        2026-11-27T06:31:12.123Z  INFO ready address=127.0.0.1:8321
        2026-11-27T06:31:12.123Z  WARN attempt to=out attempt=2 id=7 answer="no such hook"
        "#);
        let coloured = logged(true, || {
            tracing::event!(tracing::Level::ERROR, to = "out", "failed");
        });
        assert_eq!(
            coloured,
            "\u{1b}[2m2026-11-27T06:31:12.123Z\u{1b}[0m \u{1b}[31mERROR\u{1b}[0m failed \
             \u{1b}[2mto=\u{1b}[0mout\n"
        );
    }

    #[test]
    fn terminals_act_on_nothing_and_secrets_are_redacted() {
        let hostile = "a\u{1b}[31m\r\nfake line\u{7}\u{9b}2J\u{202e}";
        let text = logged(false, || {
            tracing::info!(answer = hostile, shown = %hostile, "{hostile}");
            tracing::info!(
                answer = "say pa\"ss word",
                token = "canary-token",
                "canary-token"
            );
        });
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(
            !text
                .trim_end()
                .contains(|one: char| { one != '\n' && one.is_control() || is_invisible(one) })
        );
        assert!(
            !text.contains("pa\\\"ss") && !text.contains("canary"),
            "{text}"
        );
        assert_eq!(text.matches("[redacted]").count(), 3, "{text}");
    }
}
