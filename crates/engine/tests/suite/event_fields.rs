//! Misspelt fields of ECS events in scripts and templates.

use reflexarc::{Code, Diagnostic};

use crate::rules;

/// The findings about fields in a rule with this filter and these lines, and the text after its
/// fixes.
fn findings(when: &str, lines: &str) -> (Vec<Diagnostic>, String) {
    let mut text = format!("when = '{when}'\n{lines}\n");
    let rules = rules(&[("a.toml", &text)]);
    let found = rules.warnings().iter().flat_map(|file| &file.diagnostics);
    let codes = [Code::MISSPELT_FIELD, Code::ENVELOPE_FIELD];
    let found = found.filter(|found| codes.contains(&found.code));
    let found: Vec<_> = found.cloned().collect();
    for fix in found.iter().rev().filter_map(|found| found.fix.as_ref()) {
        text.replace_range(fix.span.clone(), &fix.replacement);
    }
    (found, text)
}

const FAILED: &str = "content.result == \"failed\"";

#[test]
fn misspelt_fields_are_corrected() {
    for (lines, right) in [
        (
            "notify = 't'\nmessage = { text = '{{ event.content.opration }}' }",
            "event.content.operation }}",
        ),
        (
            "notify = 't'\nmessage = { title = \"{{ event.regionID | upper }}\" }",
            "event.regionId | upper",
        ),
        (
            "then = 'log(event.content.opration)'",
            "event.content.operation)",
        ),
        (
            "then = 'log(event.content?.opration)'",
            "event.content?.operation)",
        ),
        (
            "then = 'notify(\"t\", `${event.content.opration} failed`)'",
            "${event.content.operation} failed",
        ),
        (
            "then = 'if event.content.opration.starts_with(\"A\") { log(1) }'",
            "event.content.operation.starts_with(",
        ),
    ] {
        let (found, text) = findings(FAILED, lines);
        assert_eq!(found.len(), 1, "{lines}: {found:?}");
        assert!(text.contains(right), "{text}");
        let rest: Vec<_> = text.lines().skip(1).collect();
        assert_eq!(findings(FAILED, &rest.join("\n")).0, []);
    }
}

#[test]
fn fields_of_envelopes_are_corrected() {
    for (lines, right) in [
        ("then = 'log(event.data.eniId)'", "log(event.content.eniId)"),
        (
            "then = 'log(event.data?.eniId)'",
            "log(event.content?.eniId)",
        ),
        ("then = 'log(`${event.subject}`)'", "${event.resourceId}"),
        ("then = 'log(event.aliyunregionid)'", "event.regionId"),
        (
            "notify = 't'\nmessage = { text = '{{ event.data.eniId | upper }}' }",
            "{{ event.content.eniId | upper }}",
        ),
    ] {
        let (found, text) = findings(FAILED, lines);
        assert_eq!(found.len(), 1, "{lines}: {found:?}");
        assert!(text.contains(right), "{text}");
    }
    // Their values differ, so there is no fix.
    for (lines, native) in [
        ("then = 'log(event.type)'", "`event.name`"),
        ("then = 'log(event.source)'", "`event.product`"),
        ("then = 'log(event.detail.eniId)'", "`event.content`"),
    ] {
        let (found, _) = findings(FAILED, lines);
        assert!(
            found[0]
                .help
                .as_deref()
                .is_some_and(|help| help.contains(native))
        );
        assert_eq!(found[0].fix, None);
    }
}

#[test]
fn other_fields_are_not_reported() {
    for (when, lines) in [
        (FAILED, "then = 'log(event.content.operation)'"),
        (FAILED, "then = 'log(event.data ?? 1)'"),
        (
            "type == \"order\"",
            "then = 'log(event.data.id + event.source)'",
        ),
        (
            "content.a == 1 or type == \"order\"",
            "then = 'log(event.data.id + event.source)'",
        ),
        (
            "name == \"Automation:RequestSent\" and requestId exists or content.eniId exists",
            "then = 'log(event.requestId)'",
        ),
        (FAILED, "then = 'log(event.content.zone.name)'"),
        (FAILED, "then = 'let x = #{opration: 1}; log(x.opration)'"),
        (
            "product == \"Shop\"",
            "then = 'log(event.content.opration)'",
        ),
        (
            FAILED,
            "notify = 't'\nmessage = { text = '{{ event.content.eniId }} {{ now }}' }",
        ),
    ] {
        assert_eq!(findings(when, lines).0, [], "{lines}");
    }
}
