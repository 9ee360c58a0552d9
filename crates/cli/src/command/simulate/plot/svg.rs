//! Writing SVG: the shapes that the picture needs, with all styles in one style sheet.

use std::fmt::Write as _;

use super::measure::Font;

const STYLE: &str = "\
text{font-family:system-ui,sans-serif;fill:#1b1b1b}.time,.remark{fill:#555}.note{fill:#333}\
.on-dark{fill:#fff}.grid{stroke:#e4e4e4}.rule{stroke:#c8c8c8}\
.Creating{fill:#d3dde9}.CreateFailed{fill:#a4262c}.Available{fill:#a9d5a5}\
.Attaching{fill:#f4dd94}.InUse{fill:#2f6fb2}.Detaching{fill:#f0ad66}.Deleting{fill:#cdb2e0}\
.accepted{fill:#555}.called{fill:#6a3fa0}.refused{fill:#a4262c}\
.success{fill:#2e7d32}.failed{fill:#c05600}\
.silent{fill:#fff;stroke:#555;stroke-width:1.5;stroke-dasharray:2 2}.slash{stroke:#555}\
.reaction{fill:#6a3fa0}.rule-failed{fill:#fff;stroke:#a4262c;stroke-width:2}\
.delivered{fill:#2e7d32}.undelivered{fill:#a4262c}.cross{stroke:#fff;stroke-width:2}\
.waiting{fill:#d9cdea}.reported{fill:#f2c9cb}.due{stroke:#a4262c;stroke-width:2}\
.opened{fill:#6a3fa0}.closed{fill:#777}.cancelled{fill:#fff;stroke:#777;stroke-width:1.5}\
.fired{fill:#a4262c}.resolved{fill:#2e7d32}.notice{fill:#e0a800}";

/// A document that is being written.
pub(super) struct Svg {
    width: f64,
    body: String,
}

/// The kind of a text, which has its size and weight.
#[derive(Clone, Copy)]
pub(super) enum TextClass {
    Title,
    /// The name of a row.
    Row,
    /// What is below the name of a row, and the times of the axis.
    Time,
    Note,
    NoteNumber,
    /// The number beside a mark.
    Number,
    OnDark,
    OnLight,
    /// What has been left out.
    Remark,
}

impl TextClass {
    const ALL: [Self; 9] = [
        Self::Title,
        Self::Row,
        Self::Time,
        Self::Note,
        Self::NoteNumber,
        Self::Number,
        Self::OnDark,
        Self::OnLight,
        Self::Remark,
    ];

    pub(super) const fn font(self) -> Font {
        let (size, is_bold) = match self {
            Self::Title => (16.0, true),
            Self::Row | Self::NoteNumber => (12.0, true),
            Self::Note | Self::Remark => (12.0, false),
            Self::Number => (11.0, true),
            Self::Time | Self::OnDark | Self::OnLight => (11.0, false),
        };
        Font { size, is_bold }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Title => "title",
            Self::Row => "row",
            Self::Time => "time",
            Self::Note => "note",
            Self::NoteNumber => "note-number",
            Self::Number => "number",
            Self::OnDark => "on-dark",
            Self::OnLight => "on-light",
            Self::Remark => "remark",
        }
    }
}

impl Svg {
    /// An empty document.
    pub(super) fn new(width: f64) -> Self {
        Self {
            width,
            body: String::new(),
        }
    }

    /// A text that begins at `x`, on the base line `y`.
    pub(super) fn text(&mut self, x: f64, y: f64, class: TextClass, text: &str) {
        let (class, text) = (class.name(), escape(text));
        // Writing to a string cannot fail, here and below.
        let _ = writeln!(
            self.body,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"{class}\">{text}</text>"
        );
    }

    pub(super) fn line(&mut self, x1: f64, y1: f64, x2: f64, y2: f64, class: &str) {
        let position = format!("x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"");
        let _ = writeln!(self.body, "<line {position} class=\"{class}\"/>");
    }

    pub(super) fn rect(&mut self, x: f64, y: f64, width: f64, height: f64, class: &str) {
        let position = format!(
            "x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"2\""
        );
        let _ = writeln!(self.body, "<rect {position} class=\"{class}\"/>");
    }

    pub(super) fn circle(&mut self, x: f64, y: f64, radius: f64, class: &str) {
        let _ = writeln!(
            self.body,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius:.1}\" class=\"{class}\"/>"
        );
    }

    pub(super) fn polygon(&mut self, points: &[(f64, f64)], class: &str) {
        let points: Vec<String> = points
            .iter()
            .map(|(x, y)| format!("{x:.1},{y:.1}"))
            .collect();
        let _ = writeln!(
            self.body,
            "<polygon points=\"{}\" class=\"{class}\"/>",
            points.join(" ")
        );
    }

    /// The whole document, with a white background.
    pub(super) fn finish(self, height: f64) -> String {
        let Self { width, body } = self;
        let mut fonts = String::new();
        for class in TextClass::ALL {
            let Font { size, is_bold } = class.font();
            let weight = if is_bold { ";font-weight:700" } else { "" };
            let _ = write!(fonts, ".{}{{font-size:{size}px{weight}}}", class.name());
        }
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
             viewBox=\"0 0 {width:.0} {height:.0}\">\n<style>{STYLE}{fonts}</style>\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n{body}</svg>\n"
        )
    }
}

/// Text for XML. What XML 1.0 does not allow, and what changes the direction of the text around
/// it, becomes U+FFFD; line breaks and tabs become spaces.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\r' | '\t' => escaped.push(' '),
            '\u{fffe}' | '\u{ffff}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                escaped.push(char::REPLACEMENT_CHARACTER);
            }
            _ if character.is_control() => escaped.push(char::REPLACEMENT_CHARACTER),
            _ => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_valid_xml() {
        let text = escape("<a href=\"x\">&amp;\u{0}\u{1b}\u{202e}\u{ffff}\n网卡");
        let expected = "&lt;a href=&quot;x&quot;&gt;&amp;amp;\u{fffd}\u{fffd}\u{fffd}\u{fffd} 网卡";
        assert_eq!(text, expected);
    }
}
