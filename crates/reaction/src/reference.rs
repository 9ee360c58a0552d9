//! The reference of the script language.

/// The predefined variables, functions and limits of scripts: `REFERENCE.md` of this crate. A test
/// runs every example in it.
///
/// ```
/// assert!(reflexarc_reaction::REFERENCE.contains("### `notify`"));
/// ```
pub const REFERENCE: &str = include_str!("../REFERENCE.md");

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use reflexarc_diagnostic::format_duration;
    use reflexarc_event::Event;

    use super::*;
    use crate::builtins::USAGES;
    use crate::run::grouped;
    use crate::{
        Action, CallAnswer, CallInput, Effects, Input, Json, Level, NoState, Reaction,
        ReactionLimits, RuleInfo, ScriptEvent, ScriptVariables, StateChange, VariableScope,
        WindowInput,
    };

    /// The fenced blocks in order, as language and text.
    fn blocks() -> Vec<(&'static str, &'static str)> {
        let mut blocks = Vec::new();
        let mut rest = REFERENCE;
        while let Some(start) = rest.find("```") {
            let (language, body) = rest[start + 3..]
                .split_once('\n')
                .expect("a block has a first line");
            let (text, after) = body.split_once("```").expect("a block has an end");
            blocks.push((language, text));
            rest = after;
        }
        blocks
    }

    /// The effects of a run, one on each line.
    fn display(effects: &Effects) -> String {
        let mut lines: Vec<String> = Vec::new();
        lines.extend(effects.cancelled.iter().map(|key| format!("cancel {key}")));
        for action in &effects.actions {
            let line = match action {
                Action::Send {
                    target, payload, ..
                } => format!("send {target} {payload}"),
                Action::Call {
                    target,
                    operation,
                    parameters,
                    ..
                } => format!("call {target} {operation} {parameters}"),
                Action::Notify {
                    target, message, ..
                } => {
                    let mut parts: Vec<String> = [&message.title, &message.text]
                        .into_iter()
                        .filter(|part| !part.is_empty())
                        .cloned()
                        .collect();
                    parts.extend(message.at.iter().map(|at| format!("at {at}")));
                    parts.extend(message.link.clone());
                    let level = message.level.lowercase();
                    format!("notify {target} {level}: {}", parts.join(" | "))
                }
            };
            let after = action.after().map(format_duration);
            let after = after.map_or_else(String::new, |after| format!(" | after {after}"));
            let key = action
                .key()
                .map_or_else(String::new, |key| format!(" | key {key}"));
            lines.push(format!("{line}{after}{key}"));
        }
        lines.extend(
            effects
                .emitted
                .iter()
                .map(|event| format!("emit {}", event.tree())),
        );
        lines.extend(effects.log.iter().map(|line| format!("log {line}")));
        lines.extend(effects.changes.iter().map(|change| match change {
            StateChange::Set {
                key,
                value,
                expires: None,
            } => format!("set {key} = {value}"),
            StateChange::Set {
                key,
                value,
                expires: Some(at),
            } => format!("set {key} = {value} until {at}"),
            StateChange::Remove { key } => format!("remove {key}"),
            // A script cannot make these: the engine does.
            StateChange::SetMatch { key, .. } => format!("set match {key}"),
            StateChange::RemoveMatch { key } => format!("remove match {key}"),
        }));
        lines.extend(
            effects
                .skipped
                .iter()
                .map(|reason| format!("skip {reason}")),
        );
        lines.join("\n") + "\n"
    }

    #[test]
    fn every_example_has_its_stated_effects() {
        let blocks = blocks();
        let (_, json) = blocks
            .iter()
            .find(|(language, _)| *language == "json")
            .unwrap();
        let event = ScriptEvent::new(&Event::from_json(*json).unwrap());
        let rule = RuleInfo {
            level: Level::Warn,
            ..RuleInfo::named("failed-operation")
        };
        let now: Timestamp = "2019-04-09T04:18:30Z".parse().unwrap();
        let key = Json::from("eni-bp1");
        let closing = json.replace("\"failed\"", "\"success\"");
        let closing = Event::from_json(closing).unwrap();
        let failed = Event::from_json(*json).unwrap();
        let window = WindowInput {
            events: &[failed.clone(), failed],
            count: 2,
            opened: "2019-04-09T04:12:00Z".parse().unwrap(),
            deadline: Some("2019-04-09T04:22:00Z".parse().unwrap()),
            key: &key,
            late: false,
            closing: Some(&closing),
        };
        let rows = Json::parse(r#"{"vswitch": {"id": "vsw-bp1"}, "owner": null}"#).unwrap();
        let resolved = VariableScope::Resolved {
            event_may_be_missing: false,
            closing_may_be_missing: false,
        };
        let answered = VariableScope::Answered {
            event_may_be_missing: false,
        };
        let body = Json::parse(
            r#"{"NetworkInterfaceSets": {"NetworkInterfaceSet": [
                {"NetworkInterfaceId": "eni-bp1", "Status": "Available", "Type": "Secondary"}
            ]}}"#,
        );
        let answer = CallAnswer::ok(200, body.unwrap());
        let call = CallInput {
            target: "ecs",
            operation: "DescribeNetworkInterfaces",
            parameters: &Json::object([("NetworkInterfaceId", "eni-bp1".into())]),
            answer: &answer,
        };
        let (mut examples, mut of_windows) = (0, 0);
        for pair in blocks.windows(2) {
            let [
                (kind @ ("rhai" | "rhai window" | "rhai lookup" | "rhai answered"), script),
                (language, expected),
            ] = pair
            else {
                continue;
            };
            let has_window = *kind == "rhai window";
            let scope = match *kind {
                "rhai window" => resolved,
                "rhai answered" => answered,
                _ => VariableScope::Event,
            };
            let variables = ScriptVariables::from(scope).with_lookups(*kind == "rhai lookup");
            assert_eq!(
                *language, "text",
                "an example is followed by what it does:\n{script}"
            );
            let reaction = Reaction::compile_in(script, variables, &ReactionLimits::DEFAULT)
                .unwrap_or_else(|found| panic!("{script}\n{found:#?}"));
            let effects = reaction
                .run(
                    &Input::new(&event, &rule, now)
                        .with_window(&window)
                        .with_call(&call)
                        .with_lookup(&rows),
                    &NoState,
                )
                .unwrap_or_else(|error| panic!("{script}\n{error}"));
            assert_eq!(display(&effects), *expected, "{script}");
            examples += 1;
            of_windows += usize::from(has_window);
        }
        assert_eq!(of_windows, 1);
        assert!(examples > USAGES.len(), "{examples} examples");
    }

    #[test]
    fn every_variable_is_described() {
        let (_, section) = REFERENCE.split_once("## Predefined variables").unwrap();
        let (section, _) = section.split_once("\n## ").unwrap();
        let all = ScriptVariables::from(VariableScope::Resolved {
            event_may_be_missing: true,
            closing_may_be_missing: true,
        });
        let all = all.with_lookups(true);
        let answered = ScriptVariables::from(VariableScope::Answered {
            event_may_be_missing: true,
        });
        for name in all.names().chain(answered.names()) {
            assert!(section.contains(&format!("`{name}`")), "{name}");
        }
    }

    #[test]
    fn every_function_has_its_section_and_an_example() {
        for usage in USAGES {
            let heading = format!("### `{}`\n", usage.name);
            let (_, section) = REFERENCE
                .split_once(&heading)
                .unwrap_or_else(|| panic!("no section on {}", usage.name));
            let section = section.split("\n#").next().unwrap_or_default();
            let (_, example) = section
                .split_once("```rhai\n")
                .unwrap_or_else(|| panic!("no example of {}", usage.name));
            assert!(
                example.contains(&format!("{}(", usage.name)),
                "the example of {} calls it",
                usage.name
            );
        }
    }

    #[test]
    fn the_limits_are_those_of_the_code() {
        let d = ReactionLimits::DEFAULT;
        let values = [
            ("source", d.source),
            ("expression_depth", d.expression_depth),
            ("functions", d.functions),
            ("operations", d.operations),
            ("call_depth", d.call_depth),
            ("variables", d.variables),
            ("string", d.string),
            ("array", d.array),
            ("map", d.map),
            ("window_events", d.window_events),
            ("window_event_bytes", d.window_event_bytes),
            ("depth", d.depth),
            ("actions", d.actions),
            ("delay_key_bytes", d.delay_key_bytes),
            ("cancelled", d.cancelled),
            ("emitted", d.emitted),
            ("action_bytes", d.action_bytes),
            ("effect_bytes", d.effect_bytes),
            ("log_lines", d.log_lines),
            ("log_bytes", d.log_bytes),
            ("state_keys", d.state_keys),
            ("state_key_bytes", d.state_key_bytes),
            ("state_value_bytes", d.state_value_bytes),
            ("state_entries", d.state_entries),
        ];
        for (name, value) in values {
            let row = format!("| `{name}` | {} |", grouped(value));
            assert!(REFERENCE.contains(&row), "{row}");
        }
        assert!(REFERENCE.contains(&format!("| `deadline` | {} ms |", d.deadline.as_millis())));
        let days = d.delay.as_secs() / 86_400;
        assert!(REFERENCE.contains(&format!("| `delay` | {days} days |")));
    }
}
