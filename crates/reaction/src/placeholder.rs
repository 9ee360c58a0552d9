//! Placeholders of other languages in a text: they would be sent as they stand.

use std::ops::Range;

/// A placeholder that nothing replaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Placeholder<'t> {
    /// Its bytes in the text.
    pub(crate) span: Range<usize>,
    /// What it stands for: `event.id` in `${event.id}`.
    pub(crate) inner: &'t str,
}

/// What is looked for besides `{event.id}`, `#{event.id}`, `%{event.id}` and `$event.id`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Forms {
    /// `${…}`, where it is not interpolated.
    pub(crate) dollar: bool,
    /// `{{ … }}` and `{% … %}`, where no template is rendered.
    pub(crate) template: bool,
}

/// The variables that a placeholder with a single brace or a dollar sign must begin with. JSON, CSS
/// and prices have braces and dollar signs too.
const ROOTS: [&str; 3] = ["event", "rule", "now"];

/// The placeholders in a text, in order.
pub(crate) fn placeholders(text: &str, forms: Forms) -> Vec<Placeholder<'_>> {
    let mut found = Vec::new();
    let mut at = 0;
    // Every form begins with one of these characters, so most texts are passed at once.
    while let Some(next) = text[at..].find(['$', '{', '#', '%']) {
        at += next;
        match placeholder(text, at, forms) {
            Some(placeholder) => {
                at = placeholder.span.end;
                found.push(placeholder);
            }
            // The second brace of `{{ event.id }}` begins nothing.
            None if text[at + 1..].starts_with(['{', '%']) => at += 2,
            None => at += 1,
        }
    }
    found
}

/// Whether a text is a path of names: `event.content.eniId`.
pub(crate) fn is_path(text: &str) -> bool {
    text.split('.').all(|name| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    })
}

/// The placeholder that begins at a byte.
fn placeholder(text: &str, at: usize, forms: Forms) -> Option<Placeholder<'_>> {
    let rest = &text[at..];
    let of = |open: &str, inner: &str, close: &str| Placeholder {
        span: at..at + open.len() + inner.len() + close.len(),
        inner: &text[at + open.len()..at + open.len() + inner.len()],
    };
    for (open, close) in [("{{", "}}"), ("{%", "%}")] {
        if let Some(inner) = rest.strip_prefix(open) {
            let inner = &inner[..inner.find(close)?];
            let is_wanted = forms.template && !inner.trim().is_empty();
            return is_wanted.then(|| of(open, inner, close));
        }
    }
    if let Some(inside) = rest.strip_prefix("${") {
        let inner = &inside[..closing_brace(inside)?];
        return (forms.dollar && !inner.trim().is_empty()).then(|| of("${", inner, "}"));
    }
    for open in ["{", "#{", "%{"] {
        if let Some(inside) = rest.strip_prefix(open) {
            let inner = &inside[..closing_brace(inside)?];
            return is_rooted(inner.trim()).then(|| of(open, inner, "}"));
        }
    }
    // `$event.id, …`: up to the last name. `$event` alone may be a word of the text.
    let inside = rest.strip_prefix('$')?;
    let length = inside
        .find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '.')
        .unwrap_or(inside.len());
    let inner = inside[..length].trim_end_matches('.');
    (is_rooted(inner) && inner.contains('.')).then(|| of("$", inner, ""))
}

/// The byte of the brace that closes the one before the text.
fn closing_brace(text: &str) -> Option<usize> {
    let mut open = 0;
    text.bytes().position(|byte| {
        match byte {
            b'{' => open += 1,
            b'}' if open == 0 => return true,
            b'}' => open -= 1,
            _ => {}
        }
        false
    })
}

/// Whether it is a predefined variable, or a part of one.
fn is_rooted(inner: &str) -> bool {
    ROOTS.iter().any(|root| {
        inner
            .strip_prefix(root)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[', '?']))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Forms = Forms {
        dollar: true,
        template: true,
    };

    fn found(text: &str, forms: Forms) -> Vec<(&str, &str)> {
        let all = placeholders(text, forms).into_iter();
        all.map(|found| (&text[found.span], found.inner.trim()))
            .collect()
    }

    #[test]
    fn every_form_is_found() {
        for (text, expected) in [
            ("a ${event.x} b", vec![("${event.x}", "event.x")]),
            ("${x}${y}", vec![("${x}", "x"), ("${y}", "y")]),
            ("${#{a: 1}.a}", vec![("${#{a: 1}.a}", "#{a: 1}.a")]),
            ("{{ event.x }}", vec![("{{ event.x }}", "event.x")]),
            ("{% if x %}", vec![("{% if x %}", "if x")]),
            ("{event.x}", vec![("{event.x}", "event.x")]),
            ("#{event[\"x\"]}", vec![("#{event[\"x\"]}", "event[\"x\"]")]),
            ("%{rule.name}", vec![("%{rule.name}", "rule.name")]),
            ("at {now}", vec![("{now}", "now")]),
            ("see $event.x.", vec![("$event.x", "event.x")]),
        ] {
            assert_eq!(found(text, ALL), expected, "{text}");
        }
    }

    #[test]
    fn other_texts_have_none() {
        for text in [
            "",
            "$",
            "${",
            "${}",
            "{{",
            "{{ }}",
            "{}",
            "{\"a\": {\"b\": 1}}",
            "costs $5",
            "$event",
            "the {eventual} end",
            "#ff0000",
            "100 %",
            "{x}",
            "网{网}$网",
        ] {
            assert_eq!(found(text, ALL), [], "{text}");
        }
    }

    #[test]
    fn forms_that_are_replaced_are_left_out() {
        let text = "${event.a} {{ event.b }} {event.c}";
        let forms = |dollar, template| {
            let found = found(text, Forms { dollar, template }).into_iter();
            found.map(|(_, inner)| inner).collect::<Vec<_>>()
        };
        assert_eq!(forms(true, false), ["event.a", "event.c"]);
        assert_eq!(forms(false, true), ["event.b", "event.c"]);
    }
}
