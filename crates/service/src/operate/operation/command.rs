//! The command line that does the same as an operation.

use jiff::Timestamp;
use reflexarc_delivery::DeliveryId;
use reflexarc_diagnostic::format_duration;

use super::{Operation, SilenceSpan};
use crate::store::{DeliveryFilter, DeliveryStatus};

/// A command line that is being written.
struct CommandLine {
    /// The command with its options.
    words: Vec<String>,
    /// Arguments by position.
    arguments: Vec<String>,
}

impl Operation {
    /// The equivalent command line, quoted for a shell.
    pub fn command(&self) -> String {
        match self {
            Self::Redrive { id } => CommandLine::new("dlq redrive").argument(&id.to_string()),
            Self::Drop { id } => CommandLine::new("dlq drop").argument(&id.to_string()),
            Self::Cancel { id } => CommandLine::new("outbox cancel").argument(&id.to_string()),
            Self::RedriveSelected { ids } => CommandLine::new("dlq redrive").ids(ids),
            Self::DropSelected { ids } => CommandLine::new("dlq drop").ids(ids),
            Self::CancelSelected { ids } => CommandLine::new("outbox cancel").ids(ids),
            Self::RedriveMatching { filter } => CommandLine::new("dlq redrive").matching(filter),
            Self::DropMatching { filter } => CommandLine::new("dlq drop").matching(filter),
            Self::CancelMatching { filter } => CommandLine::new("outbox cancel").matching(filter),
            Self::PauseTarget { target, reason } => CommandLine::new("target pause")
                .argument(target)
                .option("reason", reason.as_deref()),
            Self::ResumeTarget { target } => CommandLine::new("target resume").argument(target),
            Self::TestTarget { target } => CommandLine::new("target test").argument(target),
            Self::AddSilence(request) => {
                let line = CommandLine::new("silence add")
                    .argument(&request.pattern)
                    .time("from", request.from);
                let line = match request.end {
                    SilenceSpan::Until(until) => line.time("until", Some(until)),
                    SilenceSpan::For(lasts) => line.option("for", Some(&format_duration(lasts))),
                };
                line.option("reason", Some(&request.reason))
                    .option("owner", request.owner.as_deref())
                    .flag("drop", request.drops)
                    .flag("yes", request.confirm)
            }
            Self::EndSilence { id, drops } => CommandLine::new("silence end")
                .argument(&id.to_string())
                .flag("drop", *drops),
            Self::AcknowledgeIncident { id, note } => CommandLine::new("incident ack")
                .argument(&id.to_string())
                .option("note", note.as_deref()),
            Self::CloseIncident { id, reason } => CommandLine::new("incident close")
                .argument(&id.to_string())
                .option("reason", reason.as_deref()),
            Self::ClosePending { rule, key, reason } => CommandLine::new("pending close")
                .argument(rule)
                .argument(key)
                .option("reason", reason.as_deref()),
            Self::ForgetState { rule } => CommandLine::new("state drop").argument(rule),
            Self::Reload { force } => CommandLine::new("reload").flag("force", *force),
            Self::AcceptClock => CommandLine::new("clock accept"),
        }
        .finish()
    }
}

impl CommandLine {
    fn new(command: &str) -> Self {
        Self {
            words: vec![format!("reflexarc {command}")],
            arguments: Vec::new(),
        }
    }

    fn argument(mut self, value: &str) -> Self {
        self.arguments.push(value.to_owned());
        self
    }

    fn ids(mut self, ids: &[DeliveryId]) -> Self {
        self.arguments.extend(ids.iter().map(DeliveryId::to_string));
        self
    }

    fn option(mut self, name: &str, value: Option<&str>) -> Self {
        if let Some(value) = value {
            // In a word of its own it would be read as an option.
            let separator = if value.starts_with('-') { '=' } else { ' ' };
            self.words
                .push(format!("--{name}{separator}{}", quote(value)));
        }
        self
    }

    fn time(self, name: &str, value: Option<Timestamp>) -> Self {
        self.option(name, value.map(|time| time.to_string()).as_deref())
    }

    fn flag(mut self, name: &str, is_set: bool) -> Self {
        if is_set {
            self.words.push(format!("--{name}"));
        }
        self
    }

    fn matching(self, filter: &DeliveryFilter) -> Self {
        self.flag("all", true)
            .flag("withheld", filter.status == DeliveryStatus::Withheld)
            .option("target", filter.target.as_deref())
            .option("rule", filter.rule.as_deref())
            .option("event", filter.event.as_deref())
            .option("reason", filter.reason.as_deref())
            .time("since", filter.since)
            .time("until", filter.finished_until)
    }

    fn finish(self) -> String {
        let Self {
            mut words,
            arguments,
        } = self;
        let are_options = arguments.iter().any(|argument| argument.starts_with('-'));
        let arguments = arguments.iter().map(|argument| quote(argument));
        if are_options {
            words.push("--".to_owned());
            words.extend(arguments);
        } else {
            words.splice(1..1, arguments);
        }
        words.join(" ")
    }
}

/// A word for a POSIX shell.
fn quote(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./:@%+,".contains(&byte);
    if !word.is_empty() && word.bytes().all(is_plain) {
        return word.to_owned();
    }
    // Within single quotes nothing is special but the quote itself. No argument of a program can
    // have a NUL.
    let word = word.replace('\0', "\u{FFFD}").replace('\'', r"'\''");
    format!("'{word}'")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_needs_it() {
        for (word, quoted) in [
            ("network-team", "network-team"),
            ("2026-11-27T06:00:00Z", "2026-11-27T06:00:00Z"),
            ("", "''"),
            ("two words", "'two words'"),
            ("it's", r"'it'\''s'"),
            ("$(reboot)", "'$(reboot)'"),
            ("~", "'~'"),
            ("=ls", "'=ls'"),
            ("a\nb", "'a\nb'"),
            ("é", "'é'"),
        ] {
            assert_eq!(quote(word), quoted);
        }
    }

    #[test]
    fn arguments_that_begin_with_a_hyphen_come_last() {
        let operation = Operation::PauseTarget {
            target: "-x".to_owned(),
            reason: Some("--all".to_owned()),
        };
        let command = "reflexarc target pause --reason=--all -- -x";
        assert_eq!(operation.command(), command);
        let operation = Operation::PauseTarget {
            target: "x".to_owned(),
            reason: None,
        };
        assert_eq!(operation.command(), "reflexarc target pause x");
    }
}
