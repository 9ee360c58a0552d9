//! Writing SVG: the shapes that the picture needs, with all styles in one style sheet.

use std::fmt::Write as _;

const STYLE: &str = "\
text{font:12px system-ui,sans-serif;fill:#1b1b1b}.title{font-size:15px;font-weight:600}\
.row{font-weight:600}.time{font-size:11px;fill:#555}.note{font-size:12px;fill:#333}\
.on-dark{fill:#fff;font-size:11px}.on-light{font-size:11px}\
.number,.number-dark{font-size:9px;font-weight:700;text-anchor:middle;fill:#fff}\
.number-dark{fill:#1b1b1b}.grid{stroke:#e4e4e4}.rule{stroke:#c8c8c8}\
.Creating{fill:#d3dde9}.CreateFailed{fill:#a4262c}.Available{fill:#a9d5a5}\
.Attaching{fill:#f4dd94}.InUse{fill:#2f6fb2}.Detaching{fill:#f0ad66}.Deleting{fill:#cdb2e0}\
.accepted{fill:#555}.refused{fill:#a4262c}.success{fill:#2e7d32}.failed{fill:#c05600}\
.silent{fill:#fff;stroke:#555;stroke-dasharray:2 2}.reaction{fill:#6a3fa0}\
.delivered{fill:#2e7d32}.undelivered{fill:#a4262c}\
.waiting{fill:#d9cdea}.reported{fill:#f2c9cb}.due{stroke:#a4262c;stroke-width:2}\
.opened{fill:#6a3fa0}.closed{fill:#777}.fired{fill:#a4262c}.resolved{fill:#2e7d32}";

/// A document that is being written.
pub(super) struct Svg(String);

impl Svg {
    /// An empty document with a white background.
    pub(super) fn new(width: f64, height: f64) -> Self {
        let mut text = String::new();
        // Writing to a string cannot fail, here and below.
        let _ = write!(
            text,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
             viewBox=\"0 0 {width:.0} {height:.0}\">\n<style>{STYLE}</style>\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
        );
        Self(text)
    }

    pub(super) fn text(&mut self, x: f64, y: f64, class: &str, text: &str) {
        let text = escape(text);
        let _ = writeln!(
            self.0,
            "<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"{class}\">{text}</text>"
        );
    }

    pub(super) fn line(&mut self, x1: f64, y1: f64, x2: f64, y2: f64, class: &str) {
        let position = format!("x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"");
        let _ = writeln!(self.0, "<line {position} class=\"{class}\"/>");
    }

    pub(super) fn rect(&mut self, x: f64, y: f64, width: f64, height: f64, class: &str) {
        let position = format!(
            "x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" rx=\"2\""
        );
        let _ = writeln!(self.0, "<rect {position} class=\"{class}\"/>");
    }

    pub(super) fn circle(&mut self, x: f64, y: f64, radius: f64, class: &str) {
        let _ = writeln!(
            self.0,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius:.1}\" class=\"{class}\"/>"
        );
    }

    pub(super) fn polygon(&mut self, points: &[(f64, f64)], class: &str) {
        let points: Vec<String> = points
            .iter()
            .map(|(x, y)| format!("{x:.1},{y:.1}"))
            .collect();
        let _ = writeln!(
            self.0,
            "<polygon points=\"{}\" class=\"{class}\"/>",
            points.join(" ")
        );
    }

    /// The whole document.
    pub(super) fn finish(mut self) -> String {
        self.0.push_str("</svg>\n");
        self.0
    }
}

fn escape(text: &str) -> String {
    // `&` first, or the other entities would be escaped again.
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
