//! Keeping the state of rules in a store of one's own: fill a [`MemoryState`] from it before an
//! evaluation, and apply the changes of state to it afterwards.
//!
//! ```text
//! cargo run -p reflexarc --example own_state
//! ```
#![allow(clippy::print_stdout, reason = "an example prints its results")]

use std::collections::BTreeMap;
use std::error::Error;

use reflexarc::{
    Entry, Json, MemoryState, NativeEvent, RuleSet, StateChange, Timestamp, event_time,
};

/// Reports every third failure of an interface. The count is forgotten after an hour.
const THIRD: &str = r#"
when = 'content.result == "failed"'
then = '''
let eni = event.content.eniId;
let failures = (get(eni) ?? 0) + 1;
if failures < 3 {
    set(eni, failures, "1h");
} else {
    notify("network-team", `${eni} failed three times`);
    remove(eni);
}
'''
"#;

/// A store, which might as well be a table of a database: rule, key, JSON and expiry.
#[derive(Default)]
struct Store {
    rows: BTreeMap<(String, String), (String, Option<Timestamp>)>,
}

impl Store {
    /// The entries that have not expired by `now`, as the state to evaluate with.
    fn snapshot(&self, now: Timestamp) -> Result<MemoryState, Box<dyn Error>> {
        let mut state = MemoryState::new();
        for ((rule, key), (json, expires)) in &self.rows {
            let mut entry = Entry::new(Json::parse(json)?);
            entry.expires = *expires;
            if entry.is_live(now) {
                state.insert(rule, key, entry);
            }
        }
        Ok(state)
    }

    /// Stores the changes of a rule. A database does this for all rules in one transaction,
    /// together with what it records of the event and its actions.
    fn apply(&mut self, rule: &str, changes: &[StateChange]) {
        for change in changes {
            let row = (rule.to_owned(), change.key().to_owned());
            match change {
                StateChange::Set { value, expires, .. } => {
                    self.rows.insert(row, (value.to_string(), *expires));
                }
                StateChange::Remove { .. } => {
                    self.rows.remove(&row);
                }
                // Of rules with a time window, which the rule here does not have.
                StateChange::SetMatch { .. } | StateChange::RemoveMatch { .. } => {}
            }
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    print!("{}", run()?);
    Ok(())
}

/// For each of four events the actions, and the rows of the store after it.
pub(crate) fn run() -> Result<String, Box<dyn Error>> {
    let rules = RuleSet::compile([("third.toml", THIRD)])?;
    let mut store = Store::default();
    let mut output = String::new();
    for minute in [0, 10, 20, 30] {
        let event = NativeEvent::from_json(format!(
            r#"{{
                "eventTime": "2019-04-09T04:{minute:02}:00Z",
                "content": {{"result": "failed", "eniId": "eni-bp1"}}
            }}"#
        ))?;
        let now = event_time(&event).ok_or("the event has no time")?;
        let evaluation = rules.evaluate(&event, &store.snapshot(now)?, now);
        for (rule, changes) in evaluation.changes() {
            store.apply(rule, changes);
        }
        // Deliver after the changes are stored: a crash in between loses no count.
        let actions = evaluation.actions().count();
        let rows = store.rows.iter();
        let rows: Vec<_> = rows
            .map(|((_, key), (json, _))| format!("{key}={json}"))
            .collect();
        output += &format!("{now}: {actions} actions, store: {}\n", rows.join(" "));
    }
    Ok(output)
}
