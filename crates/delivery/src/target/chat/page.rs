//! What a chat shows: sections with level, title, text and link, and whom it mentions.

use std::collections::BTreeSet;

use reflexarc_reaction::{Action, Level};

use crate::delivery::Delivery;
use crate::phase::Phase;
use crate::rendering::{ellipsize_chars, one_line, web_link};

/// The longest title. Slack accepts 150 characters in a heading, with level and part.
const TITLE_CHARS: usize = 100;
/// How many people one message mentions, and the bytes of all their names.
const PEOPLE: usize = 20;
const PEOPLE_BYTES: usize = 600;

/// What one call shows: a message, a part of one, or several messages.
pub(super) struct Page {
    /// The title of a digest.
    pub(super) digest: Option<String>,
    pub(super) sections: Vec<Section>,
    /// The people whom it mentions, and `all`.
    pub(super) at: Vec<String>,
}

/// One message.
#[derive(Clone)]
pub(super) struct Section {
    level: Level,
    /// Whether it reports that a match was resolved.
    is_resolved: bool,
    /// One line, never empty: the message's title, or else the rule's name.
    pub(super) title: String,
    /// As an event's sender or a script wrote it; services escape it.
    pub(super) text: String,
    /// Whether the text is a document in JSON, shown as code.
    pub(super) is_document: bool,
    pub(super) link: Option<String>,
    rule: String,
}

/// What the colour of a message says; the most severe last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Tone {
    Resolved,
    Info,
    Warn,
    Critical,
}

impl Tone {
    /// What is in front of a title.
    fn prefix(self) -> &'static str {
        match self {
            Self::Resolved => "RESOLVED ",
            Self::Info => "",
            Self::Warn => "WARN ",
            Self::Critical => "CRITICAL ",
        }
    }
}

impl Page {
    pub(super) fn single(section: Section, at: Vec<String>) -> Self {
        Self {
            digest: None,
            sections: vec![section],
            at,
        }
    }

    pub(super) fn digest(sections: Vec<Section>, at: Vec<String>) -> Self {
        Self {
            digest: Some(format!("{} messages", sections.len())),
            sections,
            at,
        }
    }

    /// The most severe of its messages.
    pub(super) fn tone(&self) -> Tone {
        let tones = self.sections.iter().map(Section::tone);
        tones.max().unwrap_or(Tone::Info)
    }

    /// Its heading: the title of the digest or of the only message, after the level.
    pub(super) fn heading(&self) -> String {
        match (&self.digest, self.sections.first()) {
            (Some(title), _) => format!("{}{title}", self.tone().prefix()),
            (None, section) => section.map(Section::heading).unwrap_or_default(),
        }
    }

    /// The rule of a single message, unless it is the title already.
    pub(super) fn origin(&self) -> Option<String> {
        let (None, [section]) = (&self.digest, self.sections.as_slice()) else {
            return None;
        };
        (section.rule != section.title).then(|| format!("rule {}", section.rule))
    }
}

impl Section {
    pub(super) fn new(delivery: &Delivery) -> Self {
        let rule = ellipsize_chars(&one_line(&delivery.rule), TITLE_CHARS);
        let base = Self {
            level: Level::Info,
            is_resolved: delivery.phase == Phase::Resolved,
            title: rule.clone(),
            text: String::new(),
            is_document: true,
            link: None,
            rule,
        };
        match &delivery.action {
            Action::Send { payload, .. }
            | Action::Call {
                parameters: payload,
                ..
            } => Self {
                text: payload.to_string(),
                ..base
            },
            Action::Notify { message, .. } => Self {
                level: message.level,
                // Without a title the rule's name: the first line of the text follows anyway.
                title: match one_line(&message.title) {
                    title if title.trim().is_empty() => base.title.clone(),
                    title => ellipsize_chars(title.trim(), TITLE_CHARS),
                },
                text: message.text.clone(),
                is_document: false,
                link: web_link(message).map(str::to_owned),
                ..base
            },
        }
    }

    /// The part `number` (from 1) of `count`, with this text.
    pub(super) fn part(&self, text: String, number: usize, count: usize) -> Self {
        Self {
            title: format!("{} ({number}/{count})", self.title),
            text,
            level: self.level,
            is_resolved: self.is_resolved,
            is_document: self.is_document,
            link: self.link.clone(),
            rule: self.rule.clone(),
        }
    }

    /// Leaves out a link of more bytes, counted as brackets are escaped, with a remark.
    pub(super) fn with_link_of(mut self, limit: usize) -> Self {
        let bytes =
            |link: &String| link.len() + 2 * link.matches(['(', ')', '<', '>', '|']).count();
        if let Some(link) = self.link.take_if(|link| bytes(link) > limit) {
            let remark = format!("\n(a link of {} bytes was left out)", link.len());
            self.text.push_str(&remark);
        }
        self
    }

    /// Says how many people are not mentioned, if there are any.
    pub(super) fn with_remark_of(mut self, left_out: usize) -> Self {
        if left_out > 0 && !self.is_document {
            let remark = format!("\n{left_out} more people could not be mentioned");
            self.text.push_str(&remark);
        }
        self
    }

    /// What its colour and its symbol say.
    pub(super) fn tone(&self) -> Tone {
        match self.level {
            _ if self.is_resolved => Tone::Resolved,
            Level::Critical => Tone::Critical,
            Level::Warn => Tone::Warn,
            Level::Info => Tone::Info,
        }
    }

    /// The level, or that the match was resolved, and the title.
    pub(super) fn heading(&self) -> String {
        format!("{}{}", self.tone().prefix(), self.title)
    }
}

/// The people whom these deliveries mention, each once, and how many more there are: a message with
/// a hundred names alerts no one in particular.
pub(super) fn mentioned(batch: &[Delivery]) -> (Vec<String>, usize) {
    let (mut people, mut left_out): (Vec<String>, _) = (Vec::new(), BTreeSet::new());
    for delivery in batch {
        let Action::Notify { message, .. } = &delivery.action else {
            continue;
        };
        for person in &message.at {
            // An id has no other characters, and a name needs none.
            let is_plain = |letter: &char| letter.is_alphanumeric() || "+-_.@ ".contains(*letter);
            let person: String = person.chars().filter(is_plain).collect();
            let bytes: usize = people.iter().chain([&person]).map(String::len).sum();
            let fits = people.len() < PEOPLE && bytes <= PEOPLE_BYTES;
            if person.is_empty() || people.contains(&person) {
                continue;
            }
            if fits {
                people.push(person);
            } else {
                left_out.insert(person);
            }
        }
    }
    (people, left_out.len())
}

/// Whether a person is named by an id, which may be part of a tag; no text with markup is.
pub(super) fn is_id(person: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.@".contains(&byte);
    !person.is_empty() && person.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_hold_no_markup() {
        for id in ["ou_1a-2", "13800000000", "a.b@example.com"] {
            assert!(is_id(id), "{id}");
        }
        for text in ["", "a b", "a>b", "<!channel>", "网"] {
            assert!(!is_id(text), "{text}");
        }
    }
}
