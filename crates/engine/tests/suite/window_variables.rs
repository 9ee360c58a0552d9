//! What scripts and templates of rules with a time window may read, as `check` sees it.

use reflexarc::{Code, Diagnostic, RuleSet};

const ABSENT: &str = "when = 'content.result == \"failed\"'\nabsent_for = '24h'\n";
const QUIET: &str = "when = 'content.result == \"failed\"'\nby = 'content.eniId'\n\
                     count = { at_least = 2, within = '10m', quiet = '1h' }\n\
                     then = 'log(1)'\n";
const NOT_FOLLOWED: &str = "when = 'content.result == \"failed\"'\nby = 'content.eniId'\n\
                            notify = ['team']\n[not_followed_by]\n\
                            when = 'content.result == \"success\"'\nwithin = '30m'\n";

/// What is found in a rule file, errors or warnings.
fn found(text: &str) -> Vec<Diagnostic> {
    match RuleSet::compile([("a.toml", text)]) {
        Ok(rules) => {
            let files = rules.warnings().iter();
            files.flat_map(|file| file.diagnostics.clone()).collect()
        }
        Err(error) => error.diagnostics().cloned().collect(),
    }
}

/// What is found, as code and marked text, and the file with all fixes.
fn fixed(text: &str) -> (Vec<(Code, &str)>, String) {
    let found = found(text);
    let mut fixed = text.to_owned();
    for fix in found.iter().rev().filter_map(|found| found.fix.as_ref()) {
        fixed.replace_range(fix.span.clone(), &fix.replacement);
    }
    let marked = found
        .iter()
        .map(|found| (found.code, &text[found.span.clone()]));
    (marked.collect(), fixed)
}

fn codes(text: &str) -> Vec<Code> {
    found(text).iter().map(|found| found.code).collect()
}

#[test]
fn events_that_may_be_missing_are_reported() {
    let missing = Code::MISSING_EVENT;
    let text =
        format!("{ABSENT}then = '''\nlog(event.id);\nlog(`${{event.content.eniId}}`)\n'''\n");
    let (marked, fixed) = fixed(&text);
    assert_eq!(marked, [(missing, "event"), (missing, "event")]);
    assert!(
        fixed.contains("log(event?.id);\nlog(`${event?.content.eniId}`)"),
        "{fixed}"
    );
    assert_eq!(found(&fixed), []);
    let expected = text.replace(
        "absent_for",
        "by = 'regionId'\nexpect = ['cn-beijing']\nabsent_for",
    );
    assert_eq!(codes(&expected), [missing, missing]);
    let any = text.replace("absent_for", "by = []\nabsent_for");
    assert_eq!(codes(&any), [missing, missing]);
    // Of a key that is known from an event there is one.
    let seen = text.replace("absent_for", "by = 'regionId'\nabsent_for");
    assert_eq!(found(&seen), []);
    let guarded = format!("{ABSENT}then = 'if event != () {{ log(event.id) }}'\n");
    assert_eq!(found(&guarded), []);
}

#[test]
fn escaped_scripts_are_fixed_in_their_file() {
    let text = format!("{ABSENT}then = \"log(\\\"\\u7f51\\\" + event.id)\"\n");
    let (marked, fixed) = fixed(&text);
    assert_eq!(marked, [(Code::MISSING_EVENT, "event")]);
    assert!(
        fixed.ends_with("then = \"log(\\\"\\u7f51\\\" + event?.id)\"\n"),
        "{fixed}"
    );
    assert_eq!(found(&fixed), []);
}

#[test]
fn closing_may_be_missing_only_where_a_time_passes() {
    let script = "resolved = 'log(closing.content.eniId)'\n";
    let quiet = format!("{QUIET}{script}");
    let (marked, fixed) = fixed(&quiet);
    assert_eq!(marked, [(Code::MISSING_EVENT, "closing")]);
    assert!(fixed.contains("log(closing?.content.eniId)"), "{fixed}");
    assert_eq!(found(&format!("{script}{NOT_FOLLOWED}")), []);
    assert_eq!(found(&format!("{script}{ABSENT}then = 'log(1)'\n")), []);
}

#[test]
fn misspelt_fields_of_closing_are_reported() {
    let script = "resolved = 'log(closing.content.eniID)'\n";
    let misspelt = found(&format!("{script}{NOT_FOLLOWED}"));
    assert_eq!(misspelt.len(), 1, "{misspelt:?}");
    assert_eq!(misspelt[0].code, Code::MISSPELT_FIELD);
    assert_eq!(
        misspelt[0].help.as_deref(),
        Some("write `closing.content.eniId`")
    );
    let template = "resolved = { title = '{{ closing.regionID }}' }\n";
    let misspelt = found(&format!("{template}{NOT_FOLLOWED}"));
    assert_eq!(
        misspelt[0].help.as_deref(),
        Some("write `closing.regionId`")
    );
}

#[test]
fn variables_are_those_of_the_window() {
    let names = "events count opened deadline key late";
    let script: Vec<_> = names
        .split(' ')
        .map(|name| format!("log({name});"))
        .collect();
    let script = format!("then = '{}'\n", script.concat());
    let own = "then = 'let count = 1; let key = [count]; let events = key; log(events)'\n";
    let plain = "when = 'content.result == \"failed\"'\n";
    for window in [
        "count = { at_least = 2, within = '1m' }\n",
        "followed_by = { when = 'x exists', within = '1m' }\n",
        "not_followed_by = { when = 'x exists', within = '1m' }\n",
        "absent_for = '1m'\n",
        "batch = { within = '1m' }\n",
    ] {
        let unknown = |found: Vec<Diagnostic>| {
            let mut found = found.into_iter();
            found.any(|found| found.code == Code::UNKNOWN_VARIABLE)
        };
        assert!(
            !unknown(found(&format!("{plain}{window}{script}"))),
            "{window}"
        );
        assert!(
            !unknown(found(&format!("{plain}{window}{own}"))),
            "{window}"
        );
        let closing = format!("{plain}{window}then = 'log(closing)'\n");
        assert!(unknown(found(&closing)), "{window}");
        let titled = format!(
            "{plain}{window}notify = ['team']\n\
             message = {{ title = '{{{{ count }}}} {{{{ key }}}} {{{{ opened }}}}' }}\n"
        );
        let is_template = |found: &Diagnostic| found.code == Code::RULE_TEMPLATE;
        assert!(!found(&titled).iter().any(is_template), "{window}");
        let closing = titled.replace("{{ key }}", "{{ closing.id }}");
        assert!(found(&closing).iter().any(is_template), "{window}");
    }
    let unknown = found(&format!("{plain}{script}"));
    assert_eq!(unknown[0].code, Code::UNKNOWN_VARIABLE);
    assert_eq!(found(&format!("{plain}{own}")), []);
}
