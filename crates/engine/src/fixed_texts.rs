//! Warnings about placeholders in texts of a rule file that are the same for all events.

use reflexarc_diagnostic::{Code, Diagnostic, Span, truncate};

/// What begins and ends a placeholder, in templates, scripts and Jinja's tags.
const FORMS: [(&str, &str); 3] = [("{{", "}}"), ("${", "}"), ("{%", "%}")];

/// The warning about the first placeholder in a text; `what` it is: "the description". `span` is
/// the text's place in the file, and `help` what to write instead.
pub(crate) fn placeholder(text: &str, what: &str, span: Span, help: &str) -> Option<Diagnostic> {
    let found = FORMS.iter().filter_map(|(open, close)| {
        let start = text.find(open)?;
        let end = text[start..].find(close)?;
        Some((start, &text[start..start + end + close.len()]))
    });
    let (_, shown) = found.min()?;
    let message = format!("`{}` is not replaced in {what}", truncate(shown, 60));
    Some(Diagnostic::warning(Code::PLACEHOLDER, span, message).with_help(help))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_of_all_forms_are_found() {
        let shown = |text| placeholder(text, "x", 0..1, "h").map(|found| found.message);
        for (text, part) in [
            ("a {{ event.id }} b", "{{ event.id }}"),
            ("${event.id} {{ x }}", "${event.id}"),
            ("{% if a %}", "{% if a %}"),
        ] {
            assert_eq!(shown(text), Some(format!("`{part}` is not replaced in x")));
        }
        for text in ["", "{ }", "{{ a", "100 ${", "}} {{"] {
            assert_eq!(shown(text), None, "{text}");
        }
    }
}
