//! Texts of a script with placeholders that nothing replaces: `"${event.id}"` in double quotes,
//! `{{ event.id }}` of templates.

use std::collections::BTreeSet;

use reflexarc_diagnostic::{Code, Diagnostic, Span};
use rhai::{AST, ASTNode, Expr, Position};

use super::quoted_literals;
use crate::SourceLocation;
use crate::placeholder::{Forms, Placeholder, is_path, placeholders};
use crate::walk;

/// A warning for each text with placeholders. A fix is tried for the first `fixes` of them, because
/// each compiles the script again: `compiles` returns whether it has no errors.
pub(crate) fn check(
    compiles: &dyn Fn(&str) -> bool,
    ast: &AST,
    source: &str,
    fixes: usize,
) -> Vec<Diagnostic> {
    // A script without any of these characters in it, and so without placeholders, costs nothing.
    if !source.contains(['{', '$']) {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut visited = BTreeSet::new();
    let mut add = |text: &str, position: Position| {
        if let Some(location) = SourceLocation::of(position, source) {
            visited.insert(location.offset);
            found.extend(Literal::at(text, location.offset, source).check());
        }
    };
    walk::script(ast, &mut |nodes| {
        match nodes.last() {
            Some(ASTNode::Expr(Expr::StringConstant(text, position))) => add(text, *position),
            // rhai does not visit the keys of a map.
            Some(ASTNode::Expr(Expr::Map(members, _))) => {
                members
                    .0
                    .iter()
                    .for_each(|(key, _)| add(&key.name, key.pos));
            }
            _ => {}
        }
        true
    });
    // rhai does not visit the cases of `switch`, nor keep their texts.
    for start in quoted_literals::starts(source) {
        if visited.insert(start) {
            found.extend(Literal::in_source(start, source).check());
        }
    }
    found.sort_by_key(|(diagnostic, _)| diagnostic.span.start);
    found.dedup();
    let fixed = |(number, (diagnostic, fix)): (usize, (Diagnostic, Option<Fix>))| {
        let fix = fix.filter(|_| number < fixes);
        match fix.filter(|fix| compiles(&fix.apply(source))) {
            Some(Fix { span, text }) => diagnostic.with_fix(span, text),
            None => diagnostic,
        }
    };
    found.into_iter().enumerate().map(fixed).collect()
}

/// A text as the script has it.
struct Literal<'a> {
    source: &'a str,
    /// Its value.
    text: &'a str,
    /// The byte at which it, or this part of an interpolated one, begins.
    start: usize,
    /// The bytes of the whole literal; `None` for a text in backticks.
    quoted: Option<Span>,
}

/// An edit of the script.
#[derive(PartialEq)]
struct Fix {
    span: Span,
    text: String,
}

impl<'a> Literal<'a> {
    /// The literal at this byte, whose value is `text`.
    fn at(text: &'a str, start: usize, source: &'a str) -> Self {
        let is_quoted = source[start..].starts_with('"');
        Self {
            source,
            text,
            start,
            quoted: is_quoted.then(|| quoted_literals::span(start, source)),
        }
    }

    /// The literal in double quotes at this byte, whose value is not known: it is read as it is
    /// written.
    fn in_source(start: usize, source: &'a str) -> Self {
        let span = quoted_literals::span(start, source);
        let text = source[span].trim_matches('"');
        Self::at(text, start, source)
    }

    /// The warning about the first placeholder, with a fix for all of them.
    fn check(&self) -> Option<(Diagnostic, Option<Fix>)> {
        // In backticks `${…}` is interpolated and no longer part of the text.
        let forms = Forms {
            dollar: self.quoted.is_some(),
            template: true,
        };
        let all = placeholders(self.text, forms);
        let first = all.first()?;
        let shown = &self.text[first.span.clone()];
        // Escapes make the text differ from its source; then the literal is marked.
        let marked = self.source[self.start..].find(shown);
        let span = match (&self.quoted, marked) {
            (Some(literal), Some(at)) if self.start + at + shown.len() <= literal.end => {
                self.start + at..self.start + at + shown.len()
            }
            (None, Some(at)) => self.start + at..self.start + at + shown.len(),
            (Some(literal), _) => literal.clone(),
            (None, None) => self.start..self.start,
        };
        let message = if shown.starts_with("${") {
            format!("`{shown}` in double quotes is not replaced, but sent as it stands")
        } else {
            format!("`{shown}` is not replaced in a script, but sent as it stands")
        };
        let warning = Diagnostic::warning(Code::PLACEHOLDER, span.clone(), message)
            .with_help("interpolate in backticks: `${event.id}`");
        let fix = match &self.quoted {
            Some(literal) => self.in_backticks(&all).map(|text| Fix {
                span: literal.clone(),
                text,
            }),
            // Only the first one: further ones are found when the file is checked again.
            None => interpolated(first).map(|text| Fix { span, text }),
        };
        Some((warning, fix))
    }

    /// The literal in backticks, with every placeholder interpolated.
    fn in_backticks(&self, all: &[Placeholder<'_>]) -> Option<String> {
        // In backticks a backslash before `${` keeps it from being interpolated, and a line break
        // directly after the first backtick is left out: such texts are not rewritten.
        let is_plain = |c: char| c != '\\' && !c.is_control() || c == '\n' || c == '\t';
        if !self.text.chars().all(is_plain) || self.text.starts_with('\n') {
            return None;
        }
        let mut literal = String::from("`");
        let mut end = 0;
        for placeholder in all {
            literal += &literal_part(&self.text[end..placeholder.span.start])?;
            literal += &interpolated(placeholder)?;
            end = placeholder.span.end;
        }
        literal += &literal_part(&self.text[end..])?;
        Some(literal + "`")
    }
}

/// A part of a text as it is written in backticks, unless `${` in it would be interpolated.
fn literal_part(text: &str) -> Option<String> {
    (!text.contains("${")).then(|| text.replace('`', "``"))
}

/// The placeholder as rhai interpolates it; `None` if its inside is of another language.
fn interpolated(placeholder: &Placeholder<'_>) -> Option<String> {
    // `{{ event.id | upper }}` has no counterpart, and `{% if … %}` none at all; compiling finds
    // out about `${…}`, whose inside is rhai already.
    let inner = placeholder.inner.trim();
    (is_path(inner) || inner.starts_with(|c: char| c.is_ascii_alphabetic()) && !inner.contains('|'))
        .then(|| format!("${{{inner}}}"))
}

impl Fix {
    /// The script with it.
    fn apply(&self, source: &str) -> String {
        let mut fixed = source.to_owned();
        fixed.replace_range(self.span.clone(), &self.text);
        fixed
    }
}
