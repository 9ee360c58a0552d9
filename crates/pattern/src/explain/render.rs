//! The explanation as text.

use std::fmt::Write as _;

use super::{Explanation, FieldTest, Found, Part, Test};

/// How many failed branches of one alternative are drawn unless all are asked for.
const BRANCHES: usize = 3;

pub(crate) fn explanation(explanation: &Explanation, all: bool) -> String {
    let mut drawing = Drawing {
        text: String::new(),
        all,
    };
    if explanation.root.matched && !all {
        drawing.line(0, "✓ the pattern matches");
    } else {
        drawing.part(&explanation.root, 0);
    }
    drawing.text
}

struct Drawing {
    text: String,
    all: bool,
}

impl Drawing {
    fn part(&mut self, part: &Part, level: usize) {
        let mark = if part.matched { "✓" } else { "✗" };
        match &part.test {
            Test::All { parts, element } => {
                let held = parts.iter().filter(|part| part.matched).count();
                let near = match element {
                    Some(location) if part.matched => format!(", met by {location}"),
                    Some(location) => {
                        format!(
                            ", within one element; {location} came closest with {held} of {}",
                            parts.len()
                        )
                    }
                    None => String::new(),
                };
                self.line(level, &format!("{mark} all of these{near}"));
                self.parts(parts, level, part.matched, usize::MAX);
            }
            Test::Any { parts } => {
                self.line(level, &format!("{mark} any of these"));
                self.parts(parts, level, part.matched, BRANCHES);
            }
            Test::Not { part: inner } => {
                self.line(level, &format!("{mark} not"));
                // A denial fails because of what holds.
                let all = std::mem::replace(&mut self.all, true);
                self.part(inner, level + 1);
                self.all = all;
            }
            Test::Field(field) => self.field(mark, field, level),
        }
    }

    /// Below what failed, the parts that failed; below what holds, everything, because it is drawn only on request.
    fn parts(&mut self, parts: &[Part], level: usize, held: bool, most: usize) {
        let shown: Vec<&Part> = parts
            .iter()
            .filter(|part| self.all || held || !part.matched)
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
                    self.line(level + 2, &format!("nearest to {}", miss.expected));
                }
            }
            (None, None) => self.line(level + 2, &format!("there is nothing at {}", field.path)),
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
            .expect("a string takes any text");
    }
}
