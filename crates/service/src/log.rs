//! Logs as JSON lines, without secrets.

use std::io::{self, Write};
use std::sync::Arc;

use arc_swap::ArcSwap;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;

/// Replaces every known secret in a text. It guards what strangers' words and libraries' errors may repeat (a URL with
/// its token, a server's echo of a password); our own code never prints a secret in the first place.
#[derive(Clone, Default)]
pub struct Redactor {
    secrets: Arc<ArcSwap<Vec<String>>>,
}

impl Redactor {
    /// What is put in a secret's place.
    pub const MARK: &str = "[redacted]";
    /// Shorter secrets are not searched for: they would redact half of every text.
    const SHORTEST: usize = 4;

    /// Knows these secrets, also in the forms that JSON and URLs give them.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        let mut known: Vec<String> = Vec::new();
        for secret in secrets
            .into_iter()
            .filter(|secret| secret.len() >= Self::SHORTEST)
        {
            let json = reflexarc_event::Json::from(secret).to_string();
            let mut forms = vec![
                secret.to_owned(),
                json[1..json.len() - 1].to_owned(),
                percent(secret),
            ];
            forms.retain(|form| !known.contains(form));
            forms.dedup();
            known.extend(forms);
        }
        // The longest first: a secret that holds another is then replaced as a whole.
        known.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self {
            secrets: Arc::new(ArcSwap::from_pointee(known)),
        }
    }

    /// Knows the secrets of another one too, in every clone of this one. Those that it knew before may still come up.
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

    /// The text without secrets.
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

/// Starts logging to standard error: one JSON object a line, at the levels of `filter` (such as `info` or
/// `warn,reflexarc_service=debug`), redacted as a whole.
///
/// # Errors
/// When the filter cannot be read or logging was started before.
pub fn start(filter: &str, redactor: Redactor) -> Result<(), String> {
    let filter = EnvFilter::try_new(filter).map_err(|error| format!("log filter: {error}"))?;
    let layer = tracing_subscriber::fmt::layer()
        .json()
        .flatten_event(true)
        .with_writer(Redacting { redactor });
    let subscriber = tracing_subscriber::registry().with(filter).with(layer);
    tracing::subscriber::set_global_default(subscriber).map_err(|error| error.to_string())
}

struct Redacting {
    redactor: Redactor,
}

struct Line {
    redactor: Redactor,
    text: Vec<u8>,
}

impl<'a> MakeWriter<'a> for Redacting {
    type Writer = Line;

    fn make_writer(&'a self) -> Line {
        Line {
            redactor: self.redactor.clone(),
            text: Vec::new(),
        }
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    /// A secret can be spread over several writes, so the line is redacted when it is whole.
    fn drop(&mut self) {
        let text = self.redactor.redact(&String::from_utf8_lossy(&self.text));
        drop(io::stderr().lock().write_all(text.as_bytes()));
    }
}

/// A text as it stands in a URL's query.
pub(crate) fn percent(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.extend(
                [byte >> 4, byte & 15]
                    .map(|digit| char::from(b"0123456789ABCDEF"[usize::from(digit)])),
            );
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_replaced_in_each_form_it_may_take() {
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
