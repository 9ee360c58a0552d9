//! Test reports in `JUnit`'s XML format, for continuous integration.

use std::fmt::Write as _;

use reflexarc::RuleReport;

use super::tests::differences;

/// The whole document: a test suite for each rule, a test case for each test.
pub(crate) fn report(reports: &[RuleReport]) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for report in reports {
        let failures = report.tests.iter().filter(|test| !test.passed()).count();
        // Writing to a string cannot fail.
        let _ = writeln!(
            xml,
            "  <testsuite name=\"{}\" file=\"{}\" tests=\"{}\" failures=\"{failures}\">",
            escape(&report.rule),
            escape(&report.file),
            report.tests.len(),
        );
        for test in &report.tests {
            let (rule, name) = (escape(&report.rule), escape(&test.name));
            let _ = write!(
                xml,
                "    <testcase classname=\"{rule}\" name=\"{name}\" line=\"{}\"",
                test.line
            );
            if test.passed() {
                xml.push_str("/>\n");
                continue;
            }
            let keys: Vec<_> = test
                .mismatches
                .iter()
                .map(|mismatch| mismatch.key)
                .collect();
            let text: Vec<_> = test.mismatches.iter().flat_map(differences).collect();
            let _ = writeln!(
                xml,
                ">\n      <failure message=\"unexpected {}\">{}</failure>\n    </testcase>",
                escape(&keys.join(", ")),
                escape(&text.join("\n")),
            );
        }
        xml.push_str("  </testsuite>\n");
    }
    xml.push_str("</testsuites>\n");
    xml
}

/// Escapes text for XML content and attributes.
///
/// XML 1.0 has no way to write most control characters, not even as references; they become U+FFFD.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' | '\t' => escaped.push(character),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_and_control_characters_are_escaped() {
        assert_eq!(
            escape("a<b> & \"c\"\n\u{1}"),
            "a&lt;b&gt; &amp; &quot;c&quot;\n\u{fffd}"
        );
    }
}
