//! Parts of pages: times, numbers, pages of lists, and buttons. Each is printed as HTML by
//! `{{ part }}`, with everything escaped that it was given.

use std::fmt;

use askama::Template;
use askama::filters::HtmlSafe;
use jiff::{SignedDuration, Timestamp};

use crate::fields::{Fields, query_of};

/// A time, as UTC to the second; its title has all digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct When(pub(crate) Timestamp);

/// How long ago or ahead a time is, with the time as its title.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ago {
    pub(crate) at: Timestamp,
    pub(crate) now: Timestamp,
}

/// A number with separators of thousands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Count(pub(crate) u64);

/// A number, of a template that has it or a reference to it.
pub(crate) fn count(number: impl Plain<u64>) -> Count {
    Count(number.plain())
}

/// A time, of a template that has it or a reference to it.
pub(crate) fn when(at: impl Plain<Timestamp>) -> When {
    When(at.plain())
}

/// How long ago or ahead a time is.
pub(crate) fn ago(at: impl Plain<Timestamp>, now: impl Plain<Timestamp>) -> Ago {
    let (at, now) = (at.plain(), now.plain());
    Ago { at, now }
}

/// A value, or a reference to one: in a template it depends on where the value comes from.
pub(crate) trait Plain<T> {
    fn plain(self) -> T;
}

impl Plain<u64> for u64 {
    fn plain(self) -> u64 {
        self
    }
}

impl Plain<Timestamp> for Timestamp {
    fn plain(self) -> Timestamp {
        self
    }
}

impl<T, P: Plain<T> + Copy> Plain<T> for &P {
    fn plain(self) -> T {
        (*self).plain()
    }
}

/// The links below a list that has more than one page.
#[derive(Debug, Clone, Template)]
#[template(
    ext = "html",
    source = r#"
{%- if first.is_some() || next.is_some() -%}
<nav class="pager" aria-label="Pages of the list">
{%- if let Some(first) = first %}<a href="{{ first }}" rel="first">First page</a>{% endif -%}
{%- if let Some(next) = next %}<a href="{{ next }}" rel="next">Next page</a>{% endif -%}
</nav>
{%- endif -%}
"#
)]
pub(crate) struct Pager {
    first: Option<String>,
    next: Option<String>,
}

/// A state as a word with a colour: never by the colour alone.
#[derive(Debug, Clone, Template)]
#[template(
    ext = "html",
    source = r#"<span class="badge {{ tone.class() }}">{{ text }}</span>"#
)]
pub(crate) struct Badge {
    pub(crate) text: String,
    pub(crate) tone: Tone,
}

/// What a colour means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// As it should be.
    Good,
    /// Worth a look.
    Warning,
    /// Somebody must act.
    Bad,
    /// Neither.
    Plain,
}

impl Tone {
    fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Warning => "warning",
            Self::Bad => "bad",
            Self::Plain => "plain",
        }
    }
}

impl Badge {
    /// A badge.
    pub(crate) fn new(text: impl Into<String>, tone: Tone) -> Self {
        Self {
            text: text.into(),
            tone,
        }
    }
}

impl Pager {
    /// For a list at `path`: the query of the first page is `fields` without `cursor`, that of the
    /// next one has `next` there.
    pub(crate) fn new(path: &str, fields: &Fields, cursor: &str, next: Option<String>) -> Self {
        let is_first = fields.get(cursor).is_none();
        let pairs = fields.pairs().iter();
        let pairs = pairs.map(|(name, value)| (name.as_str(), value.as_str()));
        // The outcome of an action belongs to the page after it alone.
        let query = query_of(pairs, &[cursor, "done"]);
        let next = next.map(|next| {
            let next = query_of([(cursor, next.as_str())], &[]);
            let separator = if query.is_empty() { "" } else { "&" };
            format!("{path}?{query}{separator}{next}")
        });
        let first = match query.as_str() {
            "" => path.to_owned(),
            query => format!("{path}?{query}"),
        };
        Self {
            first: (!is_first).then_some(first),
            next,
        }
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.0;
        let text = utc(at);
        write!(f, "<time datetime=\"{at}\" title=\"{at}\">{text}</time>")
    }
}

impl fmt::Display for Ago {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (at, length) = (self.at, self.now.duration_since(self.at));
        let text = match length {
            _ if length.abs() < SignedDuration::from_secs(1) => "now".to_owned(),
            _ if length.is_negative() => format!("in {}", length_text(-length)),
            _ => format!("{} ago", length_text(length)),
        };
        write!(
            f,
            "<time datetime=\"{at}\" title=\"{}\">{text}</time>",
            utc(at)
        )
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (index, digit) in digits.char_indices() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

// Made of digits and of templates that escape.
impl HtmlSafe for When {}
impl HtmlSafe for Ago {}
impl HtmlSafe for Count {}
impl HtmlSafe for Pager {}
impl HtmlSafe for Badge {}

/// A time as people read it, `2026-11-27 03:04:05 UTC`.
pub(crate) fn utc(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// A length of time by its two largest units: `2 h 5 min`.
pub(crate) fn length_text(length: SignedDuration) -> String {
    let seconds = length.as_secs().unsigned_abs();
    let (days, hours) = (seconds / 86_400, seconds / 3_600 % 24);
    let (minutes, rest) = (seconds / 60 % 60, seconds % 60);
    let two = |first: u64, unit: &str, second: u64, smaller: &str| match second {
        0 => format!("{first} {unit}"),
        second => format!("{first} {unit} {second} {smaller}"),
    };
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{rest} s"),
        (0, 0, minutes) => two(minutes, "min", rest, "s"),
        (0, hours, minutes) => two(hours, "h", minutes, "min"),
        (days, hours, _) => two(days, "d", hours, "h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_separators() {
        let numbers = [0, 12, 999, 1_000, 100_000, 1_234_567];
        let texts = numbers.map(|number| Count(number).to_string());
        let expected = ["0", "12", "999", "1,000", "100,000", "1,234,567"];
        assert_eq!(texts, expected);
    }

    #[test]
    fn times_are_readable() {
        let at: Timestamp = "2026-11-27T03:04:05.25Z".parse().unwrap();
        let expected = "<time datetime=\"2026-11-27T03:04:05.25Z\" \
                        title=\"2026-11-27T03:04:05.25Z\">2026-11-27 03:04:05 UTC</time>";
        assert_eq!(When(at).to_string(), expected);
        let text = |seconds| {
            let now = at + SignedDuration::from_secs(seconds);
            let html = Ago { at, now }.to_string();
            let (_, text) = html.split_once("UTC\">").unwrap();
            text.trim_end_matches("</time>").to_owned()
        };
        assert_eq!(text(0), "now");
        assert_eq!(text(59), "59 s ago");
        assert_eq!(text(61), "1 min 1 s ago");
        assert_eq!(text(7_200), "2 h ago");
        assert_eq!(text(2 * 86_400 + 3_600), "2 d 1 h ago");
        assert_eq!(text(-300), "in 5 min");
    }

    #[test]
    fn the_next_page_keeps_the_filter() {
        let fields = Fields::parse(b"target=a%26b&reason=&after=7&done=x");
        let pager = Pager::new("/dead-letters", &fields, "after", Some("9&8".into()));
        let html = pager.to_string();
        assert!(
            html.contains("href=\"/dead-letters?target=a%26b\""),
            "{html}"
        );
        let next = "href=\"/dead-letters?target=a%26b&#38;after=9%268\"";
        assert!(html.contains(next), "{html}");
        let only = Pager::new("/audit", &Fields::default(), "after", None);
        assert_eq!(only.to_string(), "");
    }

    #[test]
    fn parts_escape_what_they_are_given() {
        let badge = Badge::new("<b>\"'&", Tone::Bad).to_string();
        let expected = "<span class=\"badge bad\">&#60;b&#62;&#34;&#39;&#38;</span>";
        assert_eq!(badge, expected);
    }
}
