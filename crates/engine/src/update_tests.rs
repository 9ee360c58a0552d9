//! Updating the expected actions in rule tests.

use reflexarc_event::Json;
use toml_edit::{Array, DocumentMut, InlineTable, Value};

use crate::{Rule, RuleReport};

/// The text of a rule's file with the actual `actions` in the tests that expected others; `None` if
/// there are none, or the report is of another rule. Only the keys that the expectation had are
/// written; comments and everything else stay.
///
/// ```
/// use reflexarc::{RuleSet, update_tests};
///
/// let rules = RuleSet::compile([("a.toml", r#"
/// when = 'id exists'
/// then = 'notify("team", `id ${event.id}`)'
/// [[test]]
/// name = "the id is sent"
/// event = '{"id": 1}'
/// actions = [{ text = "?" }]  # the text only
/// "#)])?;
/// let rule = rules.get("a").ok_or("no such rule")?;
/// let updated = update_tests(rule, &rules.test("")[0]).ok_or("nothing to update")?;
/// assert!(updated.ends_with("actions = [{ text = \"id 1\" }]  # the text only\n"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn update_tests(rule: &Rule, report: &RuleReport) -> Option<String> {
    // A report of another rule has indexes into the tests of that rule's file.
    if report.rule != rule.name() {
        return None;
    }
    // `toml_edit` keeps comments and spacing, which the reader of rule files does not. The text is
    // that of a compiled rule, so it parses and has the tests of the report; a report of other
    // rules of the same name finds no test, and then nothing is written.
    let mut document: DocumentMut = rule.text().parse().ok()?;
    let mut changed = false;
    for test in &report.tests {
        // Only actions are updated: other expectations say what the author wants to hold.
        for mismatch in test
            .mismatches
            .iter()
            .filter(|mismatch| mismatch.key == "actions")
        {
            // A test without `[[test.step]]` has one step, whose keys are those of the test itself.
            let number = mismatch.step.unwrap_or(0);
            let step = rule.tests.get(test.index)?.steps.get(number)?;
            let expected = step.expected.actions.as_deref().unwrap_or_default();
            let actions = test.actual_actions.get(number)?;
            let table = document.get_mut("test")?.get_mut(test.index)?;
            let table = match mismatch.step {
                Some(step) => table.get_mut("step")?.get_mut(step)?,
                None => table,
            };
            let old = table.get_mut("actions")?.as_value_mut()?;
            let mut new = Value::Array(array(actions, expected));
            // The decor holds the comment that follows the value.
            *new.decor_mut() = old.decor().clone();
            *old = new;
            changed = true;
        }
    }
    changed.then(|| document.to_string())
}

fn array(actions: &[Json], expected: &[Json]) -> Array {
    let mut array = Array::new();
    for (i, action) in actions.iter().enumerate() {
        // An action beyond the expected ones is written in full.
        let is_expected = |key: &str| {
            expected
                .get(i)
                .is_none_or(|expected| expected.get(key).is_some())
        };
        let mut table = InlineTable::new();
        for (key, member) in action.members().iter().filter(|(key, _)| is_expected(key)) {
            table.insert(key, value(member));
        }
        // One action stays on the line of its key; several have a line each.
        let mut element = Value::InlineTable(table);
        if actions.len() > 1 {
            element.decor_mut().set_prefix("\n    ");
        }
        array.push_formatted(element);
    }
    if actions.len() > 1 {
        array.set_trailing("\n");
        array.set_trailing_comma(true);
    }
    array
}

fn value(json: &Json) -> Value {
    match json {
        // TOML has no null. The string does not match, but shows the author what to replace.
        Json::Null => Value::from("null"),
        Json::Bool(value) => Value::from(*value),
        // A number beyond both types becomes a string: TOML has no larger ones.
        Json::Number(text) => match (text.parse::<i64>(), text.parse::<f64>()) {
            (Ok(number), _) => Value::from(number),
            (_, Ok(number)) => Value::from(number),
            _ => Value::from(text.as_ref()),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(elements) => Value::Array(elements.iter().map(value).collect()),
        Json::Object(members) => {
            let mut table = InlineTable::new();
            for (key, member) in members {
                table.insert(key, value(member));
            }
            Value::InlineTable(table)
        }
    }
}
