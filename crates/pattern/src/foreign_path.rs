//! Paths of other languages: what they name here.

// A path is keys joined by dots, and arrays need no step of their own. JSONPath, jq, JMESPath, SQL
// and scripts have other steps:
//
//     $.a  event["a"]  a->'b'  a?.b  a[*].b  a[].b   the same fields: `a`, `a.b`
//     a[0].b  a.*.b                                  some of the values of `a.b`
//     a..b  a.b*  a[?(@.b == 1)]                     nothing that one path can name

use crate::Path;
use crate::print::expression;

/// A path of another language.
#[derive(Debug, Clone)]
pub(crate) struct ForeignPath {
    /// The keys that it names, as they are written here.
    pub(crate) keys: Vec<String>,
    /// The step that means something else than those keys; the last kind of several counts.
    pub(crate) step: Step,
}

/// What a step of a path means in other languages, from harmless to untranslatable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    /// The same as keys joined by dots: `a["b"]`, `a->'b'`.
    Key,
    /// A word for the event before the keys: `event.a`.
    Root,
    /// Each element of an array: `a[*]`.
    Elements,
    /// A key without quotes or the value of a variable: `a[b]`.
    Name,
    /// Some elements: `a[0]`; or every key of an object: `a.*`.
    Some,
    /// Any number of keys: `a..b`.
    Depth,
    /// The elements that meet a condition: `a[?(@.b == 1)]`.
    Filter,
    /// A part of a key: `a.b*`.
    Wildcard,
}

impl Step {
    /// What to know about it beside the right path, as the end of a help.
    pub(crate) fn explanation(self) -> &'static str {
        match self {
            Self::Key => "",
            Self::Root => ": a path begins in the event",
            Self::Name => ": the keys of a path are joined by dots",
            Self::Elements | Self::Some => {
                ": a condition holds if any element of an array satisfies it"
            }
            Self::Depth => " with every key between: a path names each of them",
            Self::Filter => {
                ": a condition holds if any element of an array satisfies it, and what the `[?…]` \
                 requires is a condition of its own"
            }
            Self::Wildcard => {
                " for one field: a path has no wildcards, so each field has a condition of its own"
            }
        }
    }
}

/// Whether a first key, not in quotes, stands for the event in other languages.
pub(crate) fn is_root(key: &str) -> bool {
    matches!(key, "$" | "@" | "event" | "$event")
}

impl ForeignPath {
    /// Reads a path; `None` if it has no key.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let mut found = Self {
            keys: Vec::new(),
            step: Step::Key,
        };
        let template = text
            .strip_prefix("${")
            .and_then(|text| text.strip_suffix('}'));
        let mut rest = template.map_or(text, str::trim);
        // A JSON Pointer: `/a/b`.
        if let Some(keys) = rest.strip_prefix('/').filter(|keys| !keys.ends_with('/')) {
            found.keys.extend(keys.split('/').map(str::to_owned));
            rest = "";
        }
        while !rest.is_empty() {
            rest = found.step(rest)?;
        }
        // `event["a"]`, `$.a`: what stands for the event is no part of a path; a key in quotes is.
        if found.keys.len() > 1 && !text.starts_with('"') && is_root(&found.keys[0]) {
            found.keys.remove(0);
            found.add(Step::Root);
        }
        (!found.keys.is_empty()).then_some(found)
    }

    /// The path with more steps after it, which are written as in `JSONPath`: `.b`, `[0]`.
    pub(crate) fn then(&self, steps: &str) -> Option<Self> {
        let mut longer = Self::read(&format!("{}{steps}", self.spell()))?;
        longer.add(self.step);
        Some(longer)
    }

    /// As it is written in an expression.
    pub(crate) fn spell(&self) -> String {
        expression::path(&self.path())
    }

    pub(crate) fn path(&self) -> Path {
        Path::from_keys(&self.keys)
    }

    /// Reads the step at the start of a text and returns what follows.
    fn step<'t>(&mut self, text: &'t str) -> Option<&'t str> {
        if let Some(rest) = text.strip_prefix("..") {
            self.add(Step::Depth);
            return Some(rest.trim_start_matches('.'));
        }
        if text == "?" {
            self.add(Step::Name);
            return Some("");
        }
        // An empty key is a key.
        if text == "." {
            return None;
        }
        for separator in ["?.", ".", "->>", "->"] {
            if let Some(rest) = text.strip_prefix(separator) {
                return Some(if rest.starts_with(is_wildcard) {
                    self.key(rest, rest.find(['.', '[']))
                } else {
                    rest
                });
            }
        }
        if let Some(inside) = text.strip_prefix('[') {
            let (inner, rest) = inside.split_at_checked(closing(inside)?)?;
            self.bracket(inner.trim());
            return Some(&rest[1..]);
        }
        if let Some(quote @ ('"' | '\'' | '`')) = text.chars().next() {
            let length = text[1..].find(quote)?;
            self.keys.push(text[1..=length].to_owned());
            return Some(&text[length + 2..]);
        }
        // `a?.b` ends before the `?`, and `a->b` before the `-`. One look at each character: a path
        // of thousands of keys takes as many steps.
        let ends = |(at, c): &(usize, char)| match c {
            '.' | '[' => true,
            '?' => text[at + 1..].starts_with('.'),
            '-' => text[at + 1..].starts_with('>'),
            _ => false,
        };
        let end = text.char_indices().find(ends).map(|(at, _)| at);
        let is_optional = text.ends_with('?') && end.is_none();
        Some(self.key(text, end.or(is_optional.then_some(text.len() - 1))))
    }

    /// Reads a key that may have wildcards in it and returns what follows.
    fn key<'t>(&mut self, text: &'t str, end: Option<usize>) -> &'t str {
        let (key, rest) = text.split_at(end.unwrap_or(text.len()));
        let plain: String = key.chars().filter(|c| !is_wildcard(*c)).collect();
        match plain.len() {
            0 if self.keys.is_empty() => self.add(Step::Depth),
            0 => self.add(Step::Some),
            length if length < key.len() => self.add(Step::Wildcard),
            _ => {}
        }
        self.keys.extend((!plain.is_empty()).then_some(plain));
        rest
    }

    /// Reads what stands in brackets: an index, a key, or a condition.
    fn bracket(&mut self, inner: &str) {
        let quoted = ['"', '\'', '`'].iter().find_map(|quote| {
            let key = inner.strip_prefix(*quote)?;
            key.strip_suffix(*quote)
        });
        if let Some(key) = quoted {
            self.keys.push(key.to_owned());
        } else if inner.is_empty() || inner == "*" {
            self.add(Step::Elements);
        } else if inner.starts_with(['?', '(']) {
            self.add(Step::Filter);
        } else if inner.starts_with(|c: char| c.is_ascii_digit() || "-:+#".contains(c)) {
            self.add(Step::Some);
        } else {
            // `a[b]`: a key without quotes, or the value of a variable.
            self.keys.push(inner.to_owned());
            self.add(Step::Name);
        }
    }

    fn add(&mut self, step: Step) {
        self.step = self.step.max(step);
    }
}

/// Whether a character stands for others in a pattern of a language.
pub(crate) fn is_wildcard(c: char) -> bool {
    matches!(c, '*' | '%' | '?')
}

/// The position of the bracket that closes the one before a text.
pub(crate) fn closing(inside: &str) -> Option<usize> {
    let mut depth = 1_usize;
    for (at, c) in inside.char_indices() {
        match c {
            '[' => depth += 1,
            ']' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}
