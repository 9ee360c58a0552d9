//! Fixes of scenario files: what a file becomes when they are applied.

use reflexarc_diagnostic::Diagnostic;
use reflexarc_eni::scenario::Scenario;

/// As often as a user might repeat them.
const ROUNDS: usize = 16;

fn findings(text: &str) -> Vec<Diagnostic> {
    match text.parse::<Scenario>() {
        Ok(_) => Vec::new(),
        Err(error) => error.diagnostics().to_vec(),
    }
}

/// Asserts what each file becomes: one without errors, or unchanged (`None`).
#[track_caller]
fn check(cases: &[(String, Option<String>)]) {
    let mut wrong = Vec::new();
    for (text, expected) in cases {
        let mut fixed = text.clone();
        for _ in 0..ROUNDS {
            let fix = findings(&fixed).into_iter().find_map(|found| found.fix);
            let Some(fix) = fix else { break };
            fixed.replace_range(fix.span, &fix.replacement);
        }
        let found = (fixed != *text).then_some(fixed.clone());
        let left = findings(&fixed);
        if found != *expected || left.is_empty() != expected.is_some() {
            wrong.push(format!(
                "{text}  became   {found:?}\n  expected {expected:?}\n  left {left:?}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn misspelt_words_of_scenarios_are_fixed_in_their_meaning() {
    let fault = |rest: &str| format!("[[step]]\nat = '1s'\nfault = {{ {rest} }}\n");
    let attach = |outcome: &str| {
        fault(&format!(
            "operation = 'AttachNetworkInterface', outcome = {outcome}"
        ))
    };
    let target = |outcome: &str| fault(&format!("target = 'cmdb', outcome = {outcome}"));
    check(&[
        // Keys.
        (
            "descripton = 'a'\n".to_owned(),
            Some("description = 'a'\n".to_owned()),
        ),
        ("title = 'a'\n".to_owned(), None),
        (
            "until_ = '1h'\n".to_owned(),
            Some("until = '1h'\n".to_owned()),
        ),
        ("tock = '1m'\n".to_owned(), None),
        (
            fault("operation = 'AttachNetworkInterface', outcome = 'fail', tims = 2"),
            Some(fault(
                "operation = 'AttachNetworkInterface', outcome = 'fail', times = 2",
            )),
        ),
        (
            fault("operation = 'AttachNetworkInterface', outcome = 'fail', time = 2"),
            Some(fault(
                "operation = 'AttachNetworkInterface', outcome = 'fail', times = 2",
            )),
        ),
        (
            fault("operation = 'AttachNetworkInterface', outcome = 'fail', first = 2"),
            None,
        ),
        // Operations: attach and detach are opposites.
        (
            fault("operation = 'AttachNetworkInterfac', outcome = 'fail'"),
            Some(fault(
                "operation = \"AttachNetworkInterface\", outcome = 'fail'",
            )),
        ),
        (
            fault("operation = 'attachNetworkInterface', outcome = 'fail'"),
            Some(fault(
                "operation = \"AttachNetworkInterface\", outcome = 'fail'",
            )),
        ),
        (
            fault("operation = 'DettachNetworkInterface', outcome = 'fail'"),
            Some(fault(
                "operation = \"DetachNetworkInterface\", outcome = 'fail'",
            )),
        ),
        (
            fault("operation = 'tachNetworkInterface', outcome = 'fail'"),
            None,
        ),
        (
            fault("operation = 'UnattachNetworkInterface', outcome = 'fail'"),
            None,
        ),
        (
            fault("operation = 'ModifyNetworkInterface', outcome = 'fail'"),
            None,
        ),
        // Outcomes.
        (attach("'hagn'"), Some(attach("\"hang\""))),
        (attach("'Fail'"), Some(attach("\"fail\""))),
        (attach("'failed'"), None),
        (attach("'hung'"), None),
        (attach("'ok'"), None),
        (attach("'down'"), None),
        (target("'refues'"), Some(target("\"refuse\""))),
        (target("'throtle'"), Some(target("\"throttle\""))),
        (target("'up'"), None),
        (target("'own'"), Some(target("\"down\""))),
        (target("'unrefuse'"), None),
    ]);
}

#[test]
fn misspelt_names_of_the_world_are_fixed() {
    let change = |rest: &str| format!("[[step]]\nat = '1s'\ninstance = {{ {rest} }}\n");
    let request = |rest: &str| {
        format!(
            "[[step]]\nat = '1s'\n{rest}\n\
             with = {{ VSwitchId = 'vsw-tenant', SecurityGroupId = 'sg-tenant' }}\n"
        )
    };
    check(&[
        // Accounts and instances of the world.
        (
            request("as = 'tennant'\ndo = 'CreateNetworkInterface'"),
            Some(request("as = \"tenant\"\ndo = 'CreateNetworkInterface'")),
        ),
        (
            request("as = 'absent'\ndo = 'CreateNetworkInterface'"),
            None,
        ),
        (
            change("id = 'i-tenannt', status = 'Stopped'"),
            Some(change("id = \"i-tenant\", status = 'Stopped'")),
        ),
        (change("id = 'i-1', status = 'Stopped'"), None),
        (
            change("id = 'i-tenant', status = 'Stoped'"),
            Some(change("id = 'i-tenant', status = \"Stopped\"")),
        ),
        (
            change("id = 'i-tenant', status = 'stopping'"),
            Some(change("id = 'i-tenant', status = \"Stopping\"")),
        ),
        (change("id = 'i-tenant', status = 'Started'"), None),
        (change("id = 'i-tenant', status = 'Deleted'"), None),
        (
            change("id = 'i-tenant', stats = 'Stopped'"),
            Some(change("id = 'i-tenant', status = 'Stopped'")),
        ),
    ]);
}
