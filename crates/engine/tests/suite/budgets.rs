//! What the engine asks a budget about, and what becomes of refused reactions.

use std::cell::RefCell;

use reflexarc::{
    EffectSize, Evaluation, FailureCause, MemoryState, NativeEvent, ReactionBudget, Rule, Timestamp,
};

/// Refuses one rule and records its calls.
struct Recording {
    refused: &'static str,
    calls: RefCell<Vec<String>>,
}

impl ReactionBudget for Recording {
    fn begin(&self, rule: &Rule) -> Result<(), String> {
        self.calls
            .borrow_mut()
            .push(format!("begin {}", rule.name()));
        if rule.name() == self.refused {
            return Err(format!("`{}` is over its budget", rule.name()));
        }
        Ok(())
    }

    fn end(&self, rule: &Rule, effects: EffectSize) {
        let call = format!("end {} {} in {}", rule.name(), effects.bytes, effects.count);
        self.calls.borrow_mut().push(call);
    }

    fn begin_emitted(&self, origin: &Rule) {
        let call = format!("begin what {} emitted", origin.name());
        self.calls.borrow_mut().push(call);
    }

    fn end_emitted(&self, origin: &Rule) {
        let call = format!("end what {} emitted", origin.name());
        self.calls.borrow_mut().push(call);
    }
}

fn evaluate(
    files: &[(&str, &str)],
    refused: &'static str,
    state: &MemoryState,
) -> (Evaluation, Vec<String>) {
    let rules = super::rules(files);
    let event = NativeEvent::from_json(r#"{"a": 1}"#).unwrap();
    let budget = Recording {
        refused,
        calls: RefCell::default(),
    };
    let matched = rules.matching(&event);
    let now = Timestamp::UNIX_EPOCH;
    let evaluation = rules.evaluate_within(&event, &matched, state, now, None, &budget);
    (evaluation, budget.calls.into_inner())
}

#[test]
fn only_reactions_that_run_are_measured() {
    let files = [
        (
            "broken.toml",
            "when = 'a exists'\nthen = 'send(\"t\", 1); throw \"no\"'",
        ),
        (
            "chain.toml",
            "when = 'a exists'\nthen = 'if event.a == 1 { emit(#{a: 2}) }'",
        ),
        (
            "notify.toml",
            "when = 'a == 1'\nnotify = 't'\nmessage = { title = '', text = 'four' }",
        ),
        ("quiet.toml", "when = 'b exists'\nthen = 'send(\"t\", 1)'"),
        ("refused.toml", "when = 'a == 1'\nthen = 'send(\"t\", 1)'"),
        (
            "state.toml",
            "when = 'a == 1'\nthen = 'set(\"key\", 1234); log(\"12\")'",
        ),
    ];
    let (evaluation, calls) = evaluate(&files, "refused", &MemoryState::new());
    let expected = [
        "begin broken",
        "end broken 0 in 0",
        "begin chain",
        "end chain 8 in 1",
        "begin notify",
        "end notify 4 in 1",
        "begin refused",
        "begin state",
        "end state 9 in 1",
        "begin what chain emitted",
        "begin broken",
        "end broken 0 in 0",
        "begin chain",
        "end chain 0 in 0",
        "end what chain emitted",
    ];
    assert_eq!(calls, expected);
    let refused: Vec<_> = evaluation
        .failures
        .iter()
        .filter(|failure| failure.rule == "refused")
        .collect();
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].cause, FailureCause::Budget);
    assert_eq!(refused[0].message, "`refused` is over its budget");
    let others = evaluation
        .failures
        .iter()
        .filter(|failure| failure.rule == "broken");
    assert!(
        others
            .map(|failure| failure.cause)
            .eq([FailureCause::Reaction; 2])
    );
}

/// A refused reaction leaves no trace in its gates: the window would suppress the next event too.
#[test]
fn gates_come_first_and_refused_reactions_open_no_window() {
    let gated = "when = 'a exists'\nnotify = 't'\nonce = { within = \"1h\" }";
    let mut state = MemoryState::new();
    let files = [("gated.toml", gated)];
    let (evaluation, _) = evaluate(&files, "gated", &state);
    assert_eq!((evaluation.rules.len(), evaluation.failures.len()), (0, 1));
    let (evaluation, calls) = evaluate(&files, "", &state);
    assert_eq!((evaluation.actions().count(), calls.len()), (1, 2));
    for (rule, changes) in evaluation.changes() {
        state.apply(rule, changes);
    }
    let (evaluation, calls) = evaluate(&files, "gated", &state);
    assert!(evaluation.rules[0].skipped.is_some());
    assert!(
        evaluation.failures.is_empty() && calls.is_empty(),
        "{calls:?}"
    );
}
