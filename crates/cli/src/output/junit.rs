//! Test reports in the XML of `JUnit`, as continuous integration reads it.

use std::fmt::Write as _;

use reflexarc::RuleReport;

use super::tests::differences;

/// The whole document: a suite for each rule, a case for each test.
pub(crate) fn report(reports: &[RuleReport]) -> String {
    let mut xml = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
    for report in reports {
        let failures = report.tests.iter().filter(|test| !test.passed()).count();
        // Writing to a string cannot fail.
        let _ = writeln!(
            xml,
            "  <testsuite name=\"{}\" file=\"{}\" tests=\"{}\" failures=\"{failures}\">",
            escaped(&report.rule),
            escaped(&report.file),
            report.tests.len(),
        );
        for test in &report.tests {
            let (rule, name) = (escaped(&report.rule), escaped(&test.name));
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
                ">\n      <failure message=\"not as expected: {}\">{}</failure>\n    </testcase>",
                escaped(&keys.join(", ")),
                escaped(&text.join("\n")),
            );
        }
        xml.push_str("  </testsuite>\n");
    }
    xml.push_str("</testsuites>\n");
    xml
}

/// Text for content and attributes; what XML cannot hold at all becomes U+FFFD.
fn escaped(text: &str) -> String {
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
    fn nothing_breaks_the_document() {
        assert_eq!(
            escaped("a<b> & \"c\"\n\u{1}"),
            "a&lt;b&gt; &amp; &quot;c&quot;\n\u{fffd}"
        );
    }
}
