//! What `check` finds in the calls of a rule and in what it does with the answers.

use reflexarc::{Code, Diagnostic, Dialect, RuleSet, Severity};

const CALLS: &str = "call(\"ecs\", \"Describe\", #{ Id: event.id })";

/// The warnings and hints about a rule.
fn findings(text: &str) -> Vec<Diagnostic> {
    let rules = RuleSet::compile([("a.toml", text)]).unwrap();
    let rule = rules.get("a").unwrap();
    let warnings = rules.warnings().to_vec().into_iter();
    let warnings = warnings.flat_map(|file| file.diagnostics);
    let hints = rule.check(Dialect::Reflexarc).into_iter();
    let hints = hints.filter(|found| found.severity == Severity::Hint);
    warnings.chain(hints).collect()
}

/// A rule that calls, with a script for the answer.
fn answered(script: &str) -> String {
    format!("when = 'id exists'\nthen = '{CALLS}'\nanswered = '''\n{script}\n'''\n")
}

/// The codes found in a rule with this script for the answer, and its text after the fixes.
fn fixed(script: &str) -> (Vec<Code>, String) {
    let mut text = answered(script);
    let found = findings(&text);
    for fix in found.iter().rev().filter_map(|found| found.fix.as_ref()) {
        text.replace_range(fix.span.clone(), &fix.replacement);
    }
    let script = text.split("'''\n").nth(1).unwrap().trim_end();
    (
        found.iter().map(|found| found.code).collect(),
        script.to_owned(),
    )
}

#[test]
fn answered_in_a_rule_that_calls_nothing_is_reported() {
    let codes = |text: &str| findings(text).iter().map(|f| f.code).collect::<Vec<_>>();
    let reported = [Code::ANSWERED_WITHOUT_CALL];
    let head = "when = 'id exists'\n";
    assert_eq!(
        codes(&format!("{head}then = 'log(1)'\nanswered = 'log(2)'")),
        reported
    );
    assert_eq!(
        codes(&format!("{head}notify = 't'\nanswered = 'log(2)'")),
        reported
    );
    let again = format!(
        "{head}then = 'log(1)'\nanswered = '{}'",
        CALLS.replace("event.id", "1")
    );
    assert_eq!(
        codes(&again),
        reported,
        "a call in `answered` begins nothing"
    );
    assert_eq!(codes(&answered("log(2)")), []);
    let resolved = format!(
        "{head}by = 'id'\nabsent_for = '1h'\nnotify = 't'\nresolved = '{}'\n\
         answered = 'log(event?.id)'",
        CALLS.replace("event.id", "key")
    );
    assert_eq!(codes(&resolved), []);
}

#[test]
fn a_call_whose_answer_goes_nowhere_gets_a_hint() {
    let text = format!("when = 'id exists'\nthen = '{CALLS}'\n");
    let found = findings(&text);
    let [hint] = &found[..] else {
        panic!("{found:?}");
    };
    assert_eq!(
        (hint.code, hint.severity),
        (Code::CALL_WITHOUT_ANSWERED, Severity::Hint)
    );
    assert_eq!(&text[hint.span.clone()], "\"Describe\"");
    assert_eq!(findings(&format!("{text}allow = ['RA0423']")), []);
    // In a rule that is invalid, the script may be the one that is missing.
    let invalid = format!("{text}answered = 'log('\n");
    let error = RuleSet::compile([("a.toml", invalid)])
        .unwrap_err()
        .to_string();
    assert!(!error.contains("RA0423"), "{error}");
}

#[test]
fn unknown_fields_of_call_and_answer_are_corrected() {
    for (script, right) in [
        ("log(answer.okay)", "log(answer.ok)"),
        ("log(answer.statusCode)", "log(answer.status)"),
        ("log(answer.sucess)", "log(answer.sucess)"),
        ("log(answer?.mesage)", "log(answer?.message)"),
        (
            "if answer.Instances.Instance == [] { log(1) }",
            "if answer.body.Instances.Instance == [] { log(1) }",
        ),
        ("log(call.params.Id)", "log(call.parameters.Id)"),
        ("log(call.Id)", "log(call.parameters.Id)"),
        ("log(call.operations)", "log(call.operation)"),
        ("log(`${call.zone}`)", "log(`${call.zone}`)"),
    ] {
        let (codes, text) = fixed(script);
        assert_eq!(codes, [Code::UNKNOWN_CALL_FIELD], "{script}");
        assert_eq!(text, right);
    }
    for script in [
        "log(answer.ok); log(answer.status); log(answer.code + answer.message)",
        "log(call.target + call.operation + call.parameters.id)",
        "let call = #{ zone: 1 }; log(call.zone)",
        "if answer.ok { log(answer.body.okay) }",
    ] {
        assert_eq!(fixed(script).0, [], "{script}");
    }
}

#[test]
fn a_body_that_is_read_unchecked_gets_a_hint() {
    for script in [
        "log(answer.body.TotalCount)",
        "let n = answer.body.TotalCount; log(n)",
        "for x in answer.body.Instances.Instance { log(x.Id) }",
        "if call.operation == \"Describe\" { log(answer.body.TotalCount) }",
        "log(answer.body.TotalCount); if !answer.ok { log(1) }",
    ] {
        let found = findings(&answered(script));
        let codes: Vec<_> = found.iter().map(|f| (f.code, f.severity)).collect();
        assert_eq!(codes, [(Code::MISSING_BODY, Severity::Hint)], "{script}");
    }
    for script in [
        "if answer.ok { log(answer.body.TotalCount) }",
        "if !answer.ok { return; } log(answer.body.TotalCount)",
        "if answer.ok == false { skip(answer.code) } log(answer.body.TotalCount)",
        "if answer.code != \"\" { throw answer.code } log(answer.body.TotalCount)",
        "let found = if answer.ok { answer.body.Ids } else { [] }; log(`${found}`)",
        "if answer.ok && answer.body.TotalCount == 0 { log(1) }",
        "if !answer.ok || answer.body.TotalCount == 0 { log(1) }",
        "switch answer.code { \"\" => log(answer.body.TotalCount), _ => log(1) }",
        "let failed = !answer.ok; if failed { return; } log(answer.body.TotalCount)",
        "log(answer.body?.TotalCount ?? 0)",
        "try { log(answer.body.TotalCount) } catch { log(1) }",
        "send(\"t\", answer.body)",
        "if answer.body != () { log(answer.body.TotalCount) }",
        "if answer.status == 200 { log(answer.body.TotalCount) }",
    ] {
        assert_eq!(findings(&answered(script)), [], "{script}");
    }
}

#[test]
fn an_event_that_may_be_missing_is_reported_in_answered() {
    let rule = |read: &str| {
        format!(
            "when = 'id exists'\nabsent_for = '1h'\nthen = 'call(\"ecs\", \"Describe\", #{{}})'\n\
             answered = 'if answer.ok {{ log({read}) }}'"
        )
    };
    let found = findings(&rule("event.id"));
    let codes: Vec<_> = found.iter().map(|found| found.code).collect();
    assert_eq!(codes, [Code::MISSING_EVENT]);
    assert_eq!(findings(&rule("event?.id")), []);
    assert_eq!(findings(&answered("log(event.id)")), []);
}

#[test]
fn answers_to_calls_that_no_script_has_are_reported() {
    let text = |operation: &str| {
        format!(
            "{}[[test]]\nname = 'x'\nevent = '{{\"id\": 1}}'\n\
             answer = {{ target = 'ecs', operation = {operation} }}\n",
            answered("log(1)")
        )
    };
    assert_eq!(findings(&text("'Describe'")), []);
    let found = findings(&text("'Descibe'"));
    assert_eq!(found[0].code, Code::UNKNOWN_CALL);
    let fix = found[0].fix.clone().unwrap();
    let mut fixed = text("'Descibe'");
    fixed.replace_range(fix.span, &fix.replacement);
    assert_eq!(findings(&fixed), []);
    let odd = text("'Describe'").replace("\"Describe\"", r#""Descr\"ibe""#);
    assert_eq!(findings(&odd)[0].fix, None);
    let found = findings(&text("'Delete'"));
    assert_eq!(found[0].help.as_deref(), Some("it calls: ecs Describe"));
}

#[test]
fn rules_that_call_the_same_target_do_not_overlap() {
    let rule = |also: &str| {
        format!("when = 'id exists'\nthen = '''{CALLS}; {also}'''\nanswered = 'log(1)'\n")
    };
    let overlaps = |also: &str| {
        let rules = RuleSet::compile([("a.toml", rule(also)), ("b.toml", rule(also))]).unwrap();
        rules.overlaps().len()
    };
    assert_eq!(overlaps(""), 0);
    assert!(overlaps("notify(\"team\", \"x\")") > 0);
}
