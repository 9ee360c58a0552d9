//! `answer` in `[[test]]`: answers to the calls of a rule.

use reflexarc::{RuleSet, TestReport};

use crate::rules;
use crate::time::run_corpus;

/// Describes an interface, and deletes it two minutes later if it is available.
const LEAK: &str = r#"
when = 'eni exists'
by = "eni"
then = '''
if event?.over == true { cancel("delete"); return; }
call("ecs", "Describe", #{ Id: event.eni });
'''
answered = '''
if call.operation == "Describe" && answer.ok {
    if answer.body.Status != "Available" { skip(`is ${answer.body.Status}`) }
    set("seen", answer.body.Status);
    call("ecs", "Delete", #{ Id: call.parameters.Id }, #{ after: "2m", key: "delete" });
} else {
    let what = `${event.eni} ${call.operation}`;
    notify("team", `${what}: ${answer.status ?? "-"} ${answer.code} ${answer.message}`);
}
'''
"#;

const EVENT: &str = r#"event = '{"eni": "eni-1"}'"#;

const AVAILABLE: &str =
    r#"answer = { target = "ecs", operation = "Describe", body = '{"Status": "Available"}' }"#;

const DELETED: &str = r#"answer = { target = "ecs", operation = "Delete" }"#;

/// The report of a rule with a test of these lines.
#[track_caller]
fn report(rule: &str, test: &str) -> TestReport {
    let file = format!("{rule}\n[[test]]\nname = 'x'\n{test}\n");
    rules(&[("a.toml", &file)]).test("")[0].tests[0].clone()
}

/// The failed expectations, with what was found.
#[track_caller]
fn failing(test: &str) -> Vec<String> {
    let found = report(LEAK, test).mismatches.into_iter();
    let text = |key: &str, actual: &[String]| format!("{key}: {}", actual.join(" | "));
    found.map(|found| text(found.key, &found.actual)).collect()
}

#[test]
fn the_cases_of_the_corpus_hold() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/corpus/calls");
    assert!(run_corpus(folder) > 4);
}

#[test]
fn answers_lead_from_call_to_call_over_steps() {
    let none: [&str; 0] = [];
    let test = format!(
        "[[test.step]]\n{EVENT}\n\
         actions = [{{ operation = 'Describe', parameters = {{ Id = 'eni-1' }} }}]\n\
         [[test.step]]\nat = '1s'\n{AVAILABLE}\nstate = {{ seen = 'Available' }}\n\
         actions = [{{ target = 'ecs', operation = 'Delete', after = '120s', key = 'delete' }}]\n\
         [[test.step]]\nat = '2m 1s'\n{DELETED}\n\
         actions = [{{ text = 'eni-1 Delete: 200  ' }}]\n"
    );
    assert_eq!(failing(&test), none);
    let other = test.replace("Id = 'eni-1'", "Id = 'eni-2'");
    assert_eq!(
        failing(&other),
        [r#"actions: {"target":"ecs","operation":"Describe","parameters":{"Id":"eni-1"}}"#]
    );
}

#[test]
fn a_test_without_steps_has_an_event_and_answers() {
    let none: [&str; 0] = [];
    let ok = format!(
        "{EVENT}\n{AVAILABLE}\nactions = [{{ operation = 'Describe' }}, {{ operation = 'Delete' }}]"
    );
    assert_eq!(failing(&ok), none);
    for (answer, expected) in [
        (
            "ok = false, code = 'Throttling', message = 'slow', status = 400",
            "400 Throttling slow",
        ),
        (
            "ok = false, code = 'Expired', message = 'late'",
            "- Expired late",
        ),
        ("ok = false, status = 502", "502 502 "),
    ] {
        let refused = format!(
            "{EVENT}\nanswer = {{ target = 'ecs', operation = 'Describe', {answer} }}\n\
             actions = [{{}}, {{ text = 'eni-1 Describe: {expected}' }}]"
        );
        assert_eq!(failing(&refused), none, "{answer}");
    }
}

#[test]
fn bodies_are_json_texts_or_toml_values() {
    let none: [&str; 0] = [];
    for body in [
        r#"'{"Status": "InUse"}'"#,
        r#"{ Status = "InUse" }"#,
        "'''\n{\"Status\":\n\"InUse\"}\n'''",
    ] {
        let test = format!(
            "{EVENT}\nskipped = 'is InUse'\n\
             [test.answer]\ntarget = 'ecs'\noperation = 'Describe'\nbody = {body}"
        );
        assert_eq!(failing(&test), none, "{body}");
    }
}

#[test]
fn the_oldest_call_of_an_operation_is_answered() {
    let none: [&str; 0] = [];
    let describe = |status: &str| {
        format!("{{ target = 'ecs', operation = 'Describe', body = {{ Status = '{status}' }} }}")
    };
    let test = format!(
        "events = ['{{\"eni\": \"eni-1\"}}', '{{\"eni\": \"eni-2\"}}']\n\
         answer = [{}, {}]\n\
         actions = [{{}}, {{}}, {{ parameters = {{ Id = 'eni-1' }} }}, \
         {{ parameters = {{ Id = 'eni-2' }} }}]",
        describe("Available"),
        describe("Available"),
    );
    assert_eq!(failing(&test), none);
}

#[test]
fn calls_that_were_not_made_cannot_be_answered() {
    assert_eq!(
        failing(&format!("{EVENT}\n{DELETED}")),
        ["answer: a call of ecs Describe"]
    );
    let twice = format!(
        "[[test.step]]\n{EVENT}\n{AVAILABLE}\n[[test.step]]\nat = '1m'\n{AVAILABLE}\nactions = []"
    );
    assert_eq!(
        failing(&twice),
        ["answer: a call of ecs Delete, due at 1970-01-01T00:02:00Z"]
    );
    let early =
        format!("[[test.step]]\n{EVENT}\n{AVAILABLE}\n[[test.step]]\nat = '1m 59s'\n{DELETED}\n");
    assert_eq!(failing(&early).len(), 1);
    assert_eq!(
        failing(&early.replace("1m 59s", "2m")),
        [""; 0],
        "due at this very time"
    );
    let target = format!("{EVENT}\n{}", AVAILABLE.replace("\"ecs\"", "\"vpc\""));
    assert_eq!(failing(&target), ["answer: a call of ecs Describe"]);
}

#[test]
fn cancelled_calls_are_answered_as_cancelled() {
    let steps = |answer: &str| {
        format!(
            "[[test.step]]\n{EVENT}\n{AVAILABLE}\n\
             [[test.step]]\nat = '1m'\nevent = '{{\"eni\": \"eni-1\", \"over\": true}}'\n\
             cancelled = ['delete']\n\
             [[test.step]]\nat = '5m'\n{answer}\n"
        )
    };
    assert_eq!(
        failing(&steps(DELETED)),
        ["answer: a call of ecs Delete, cancelled"]
    );
    let cancelled = "answer = { target = 'ecs', operation = 'Delete', ok = false, \
                     code = 'Cancelled' }\nactions = [{ text = 'eni-1 Delete: - Cancelled ' }]";
    assert_eq!(failing(&steps(cancelled)), [""; 0]);
    // An operator may cancel what waits.
    let waiting = format!("[[test.step]]\n{EVENT}\n{AVAILABLE}\n[[test.step]]\n{cancelled}");
    assert_eq!(failing(&waiting), [""; 0]);
}

#[test]
fn calls_of_firings_have_the_event_and_hop_of_the_match() {
    let rule = r#"
when = 'op == "Detach"'
by = "eni"
not_followed_by = { when = 'op == "Detached"', within = "30m" }
then = 'call("ecs", "Describe", #{ Id: key })'
resolved = 'call("ecs", "Tag", #{ Id: key, By: closing.op })'
answered = '''
notify("team", `${event.eni} ${call.operation} ${answer.ok}`);
call("ecs", "Describe", #{ Id: call.parameters.Id });
'''
"#;
    let answer =
        |operation: &str| format!("answer = {{ target = 'ecs', operation = '{operation}' }}");
    let describe = answer("Describe");
    let test = format!(
        "[[test.step]]\nevent = '{{\"op\": \"Detach\", \"eni\": \"eni-1\"}}'\nactions = []\n\
         [[test.step]]\nat = '31m'\n{describe}\n\
         actions = [{{ operation = 'Describe' }}, {{ text = 'eni-1 Describe true' }}, {{}}]\n\
         [[test.step]]\nat = '40m'\nevent = '{{\"op\": \"Detached\", \"eni\": \"eni-1\"}}'\n{}\n\
         actions = [{{ parameters = {{ By = 'Detached' }} }}, \
         {{ text = 'eni-1 Tag true' }}, {{}}]\n",
        answer("Tag")
    );
    assert_eq!(report(rule, &test).mismatches, []);
}

#[test]
fn the_answer_of_hop_eight_may_not_call_again() {
    let rule = "when = 'id exists'\nthen = 'call(\"ecs\", \"Describe\", #{})'\n\
                answered = 'call(\"ecs\", \"Describe\", #{})'";
    let answers = |count: usize| {
        let answer = "{ target = 'ecs', operation = 'Describe' }";
        let answers = vec![answer; count].join(", ");
        let test = format!("event = '{{\"id\": 1}}'\nanswer = [{answers}]");
        let found = report(rule, &test).mismatches.into_iter();
        found.flat_map(|found| found.actual).collect::<Vec<_>>()
    };
    assert_eq!(answers(7), [""; 0]);
    let failures = answers(8);
    assert_eq!(failures.len(), 1);
    assert!(failures[0].contains("would start hop 9"), "{failures:?}");
}

#[test]
fn lines_of_answered_are_covered() {
    let covered = |test: &str| {
        let file = format!("{LEAK}\n[[test]]\nname = 'x'\n{test}\n");
        let coverage = rules(&[("a.toml", &file)]).test("")[0].coverage.clone();
        let lines = coverage.lines.into_iter();
        lines
            .filter(|(_, run)| *run)
            .map(|(line, _)| line)
            .collect::<Vec<_>>()
    };
    assert_eq!(covered(EVENT), [5, 6]);
    assert_eq!(
        covered(&format!("{EVENT}\n{AVAILABLE}")),
        [5, 6, 9, 10, 11, 12]
    );
}

#[test]
fn expected_calls_are_updated() {
    let file = format!(
        "{LEAK}\n[[test]]\nname = 'x'\n{EVENT}\n{AVAILABLE}\n\
         actions = [{{ parameters = {{ Id = \"?\" }} }}, {{ operation = \"?\", after = \"1m\" }}]\n"
    );
    let rules = rules(&[("a.toml", &file)]);
    let updated = reflexarc::update_tests(rules.get("a").unwrap(), &rules.test("")[0]).unwrap();
    let actions = "actions = [\n    { parameters = { Id = \"eni-1\" } },\n    \
                   { operation = \"Delete\", after = \"2m\" },\n]\n";
    assert!(updated.ends_with(actions), "{updated}");
    let formatted = reflexarc::format_rule("a.toml", &updated).unwrap();
    assert_eq!(formatted, updated);
}

#[test]
fn invalid_answers_are_errors() {
    let errors = |answer: &str| {
        let test = format!("[[test]]\nname = 'x'\n{EVENT}\nmatches = true\n{answer}\n");
        let invalid = RuleSet::compile([("a.toml", format!("{LEAK}\n{test}"))]).unwrap_err();
        invalid.to_string()
    };
    let of = |keys: &str| {
        errors(&format!(
            "answer = {{ target = 'ecs', operation = 'A', {keys} }}"
        ))
    };
    for (keys, expected) in [
        ("ok = false", "missing key `code` in `test.answer`"),
        ("code = 'X'", "`code` in an answer that is ok"),
        ("message = 'X'", "`message` in an answer that is ok"),
        ("status = 404", "the status 404 is not ok"),
        ("status = 99", "status"),
        ("ok = 1", "expected true or false"),
        ("body = '{'", "invalid body: "),
        ("body = 'text'", "body = '\"a text\"'"),
        ("bodi = 1", "unknown key `bodi`"),
    ] {
        let found = of(keys);
        assert!(found.contains(expected), "{keys}: {found}");
    }
    for (answer, expected) in [
        ("answer = 'x'", "expected a table"),
        ("answer = ['x']", "expected an array of tables"),
        ("answer = []", "`answer` is empty"),
        ("answer = { operation = 'A' }", "missing key `target`"),
        ("answer = { target = 'ecs' }", "missing key `operation`"),
        (
            "answer = { target = 'ecs', operation = 'A' }\n[[test.step]]",
            "`answer` is set beside",
        ),
        (
            "[test.answer]\ntarget = 'ecs'\noperation = 'A'\nthen = 'log(1)'",
            "is a key of the rule",
        ),
    ] {
        let found = errors(answer);
        assert!(found.contains(expected), "{answer}: {found}");
    }
}
