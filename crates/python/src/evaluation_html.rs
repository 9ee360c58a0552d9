//! The HTML of an `Evaluation`.

use pyo3::prelude::*;

use crate::action::PyAction;
use crate::failure::PyFailure;
use crate::html;
use crate::time_window::PyMatchFiring;

/// What is shown of an evaluation.
pub(crate) struct EvaluationRows<'a> {
    pub(crate) matched: Vec<String>,
    pub(crate) actions: &'a [Py<PyAction>],
    pub(crate) failures: &'a [PyFailure],
    pub(crate) log: Vec<String>,
    pub(crate) firings: &'a [PyMatchFiring],
}

/// A table of each kind that there is.
pub(crate) fn page(rows: &EvaluationRows<'_>) -> String {
    let matched = match rows.matched.as_slice() {
        [] => "no rule matched".to_owned(),
        matched => format!("matched: {}", matched.join(", ")),
    };
    let actions = rows.actions.iter().map(|action| {
        let action = action.get();
        let [rule, kind, target] = [action.rule(), action.kind(), action.target()];
        let cells = [rule, kind, target].map(str::to_owned);
        cells.into_iter().chain([action.summary()]).collect()
    });
    let failures = rows.failures.iter();
    let failures = failures.map(|failure| failure.cells().to_vec());
    let firings = rows.firings.iter().map(|PyMatchFiring { rule, firing }| {
        let key = firing.key.to_string();
        vec![rule.clone(), key, firing.count.to_string()]
    });
    let log = rows.log.iter().map(|line| vec![line.clone()]);
    let header = ["rule", "kind", "target", "content"];
    [
        format!("<p>{}</p>", html::escaped(&matched)),
        html::table("actions", &header, &actions.collect::<Vec<_>>()),
        html::table(
            "failures",
            &["rule", "message"],
            &failures.collect::<Vec<_>>(),
        ),
        html::table(
            "matches",
            &["rule", "key", "events"],
            &firings.collect::<Vec<_>>(),
        ),
        html::table("log", &["line"], &log.collect::<Vec<_>>()),
    ]
    .concat()
}
