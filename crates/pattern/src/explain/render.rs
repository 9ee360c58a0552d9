//! Writes an explanation as text.

use std::fmt::Write as _;

use super::{Explanation, FieldTest, Found, Part, Test};

/// How many failed branches of a disjunction are written by default.
const BRANCHES: usize = 3;

pub(crate) fn explanation(explanation: &Explanation, all: bool) -> String {
    let mut writer = Writer {
        text: String::new(),
        all,
    };
    if explanation.root.matched && !all {
        writer.line(0, "✓ the pattern matches");
    } else {
        writer.part(&explanation.root, 0);
    }
    writer.text
}

struct Writer {
    text: String,
    all: bool,
}

impl Writer {
    fn part(&mut self, part: &Part, level: usize) {
        let mark = match (part.undecided, part.matched) {
            (true, _) => "? undecided, too many combinations of array elements:",
            (false, true) => "✓",
            (false, false) => "✗",
        };
        match &part.test {
            Test::All { parts, element } => {
                let matched = parts.iter().filter(|part| part.matched).count();
                let in_element = match element {
                    Some(location) if part.matched => format!(" in one array element: {location}"),
                    Some(location) => format!(
                        " in one array element; closest: {location} with {matched} of {}",
                        parts.len()
                    ),
                    None => String::new(),
                };
                self.line(level, &format!("{mark} all of these{in_element}"));
                self.parts(parts, level, part.matched, usize::MAX);
            }
            Test::Any { parts } => {
                self.line(level, &format!("{mark} any of these"));
                self.parts(parts, level, part.matched, BRANCHES);
            }
            Test::Not { part: inner } => {
                self.line(level, &format!("{mark} not"));
                // A negation fails because of nodes that matched, which are left out by default.
                let all = std::mem::replace(&mut self.all, true);
                self.part(inner, level + 1);
                self.all = all;
            }
            // Its values were not looked at.
            Test::Field(field) if part.undecided => {
                self.line(level, &format!("{mark} {}", field.expected));
            }
            Test::Field(field) => self.field(mark, field, level),
        }
    }

    /// Writes the children of a node: if it failed, only those that failed.
    fn parts(&mut self, parts: &[Part], level: usize, matched: bool, most: usize) {
        // Below a node that matched everything is written: it is reached only with `all`, or below
        // a failed `not`.
        let shown: Vec<&Part> = parts
            .iter()
            .filter(|part| self.all || matched || !part.matched)
            .collect();
        let most = if self.all { usize::MAX } else { most };
        for part in shown.iter().take(most) {
            self.part(part, level + 1);
        }
        if shown.len() > most {
            self.line(level + 1, &format!("… and {} more", shown.len() - most));
        }
    }

    fn field(&mut self, mark: &str, field: &FieldTest, level: usize) {
        self.line(level, &format!("{mark} {}", field.expected));
        let more = |shown: usize| match field.count.saturating_sub(shown) {
            0 => String::new(),
            1 => ", and one more value".to_owned(),
            more => format!(", and {more} more values"),
        };
        match (&field.met_by, &field.nearest) {
            (Some(found), _) => self.found(found, &more(1), level),
            (None, Some(miss)) => {
                self.found(&miss.found, &more(1), level);
                if miss.expected != field.expected {
                    self.line(level + 2, &format!("closest to {}", miss.expected));
                }
            }
            (None, None) => {
                self.line(
                    level + 2,
                    &format!("`{}` is missing from the event", field.path),
                );
            }
        }
        for hint in &field.hints {
            self.line(level + 2, &format!("hint: {hint}"));
        }
    }

    fn found(&mut self, found: &Found, more: &str, level: usize) {
        self.line(
            level + 2,
            &format!("{} is {}{more}", found.location, found.value),
        );
    }

    fn line(&mut self, level: usize, text: &str) {
        writeln!(self.text, "{:width$}{text}", "", width = level * 2)
            .expect("writing to a string cannot fail");
    }
}
