//! `reflexarc help`: explanations of diagnostic codes, references and help texts.

use std::path::Path;

use reflexarc::{RuleSet, Tables};
use reflexarc_diagnostic::{Code, Diagnostic, InvalidFiles};
use reflexarc_eni::scenario::Scenario;
use reflexarc_event::Event;
use reflexarc_pattern::{Dialect, Pattern};
use reflexarc_service::config::Secrets;
use reflexarc_service::{Config, check_calls, check_targets};

use crate::reflexarc;

/// An example of an explanation.
struct Example {
    /// Whether it is an example of the mistake.
    is_wrong: bool,
    dialect: Dialect,
    language: &'static str,
    text: &'static str,
}

/// The table of the examples.
const VSWITCHES: &str = "cidr,id,zone\n10.0.0.0/16,vsw-1,cn-hangzhou-h\n";

/// The fenced blocks of an explanation.
fn examples(code: Code) -> Vec<Example> {
    let blocks = code.explanation().split("```").skip(1).step_by(2);
    let example = |block: &'static str| {
        let (info, text) = block.split_once('\n').unwrap();
        let words: Vec<&str> = info.split(' ').collect();
        assert!(matches!(words[1], "wrong" | "right"), "{code}: {info}");
        Example {
            is_wrong: words[1] == "wrong",
            dialect: words
                .get(2)
                .map_or(Dialect::Reflexarc, |name| name.parse().unwrap()),
            language: words[0],
            text: text.trim_end(),
        }
    };
    blocks.map(example).collect()
}

/// The findings in an example.
fn findings(code: Code, example: &Example) -> Vec<Diagnostic> {
    let text = example.text;
    match code.number() / 100 {
        0 => match Event::from_json(text.as_bytes()) {
            Ok(event) => reflexarc_event::check(&event),
            Err(error) => vec![error.diagnostic()],
        },
        1..=3 => match Pattern::parse(text, example.dialect) {
            Ok(pattern) => {
                let mut found = pattern.warnings().to_vec();
                found.extend(pattern.check(example.dialect));
                found.extend(reflexarc::check_vocabulary(&pattern));
                found
            }
            Err(error) => error.diagnostics().to_vec(),
        },
        4 if example.language == "csv" => {
            let rule = "when = 'ip exists'\nthen = 'log(`${lookup.vswitch?.id}`)'\n\
                        lookup = { vswitch = { table = 'vswitches', key = 'ip' } }\n";
            rule_findings(rule, text)
        }
        4 => rule_findings(text, VSWITCHES),
        5 if text.starts_with("when ") => rule_findings(text, VSWITCHES),
        5 => rule_findings(
            &format!("when = 'a exists'\nthen = '''\n{text}\n'''\n"),
            "id\n",
        ),
        6 => configuration_findings(text),
        _ => match text.parse::<Scenario>() {
            Ok(_) => Vec::new(),
            Err(error) => error.diagnostics().to_vec(),
        },
    }
}

/// The findings in a configuration, and in a rule that calls `ecs` or notifies `network-team`.
fn configuration_findings(text: &str) -> Vec<Diagnostic> {
    let environment = |name: &str| (name == "TEAM_SECRET").then(|| "s3cret".to_owned());
    let secrets = Secrets::Resolve(&environment);
    match Config::read(text, Path::new("."), secrets) {
        Ok(config) => {
            let script =
                r#"call("ecs", "DeleteNetworkInterface", #{ NetworkInterfaceId: "eni-1" })"#;
            let rule = if text.contains("[targets.ecs]") {
                format!("when = 'a exists'\nthen = '{script}'\n")
            } else {
                "when = 'a exists'\nnotify = [\"network-team\"]\n".to_owned()
            };
            let rules = RuleSet::compile([("rule.toml", rule.as_str())]).unwrap();
            let unknown = check_targets(&rules, &config.known_targets).err();
            let warnings = config.warnings.iter().flat_map(|file| &file.diagnostics);
            let unknown = unknown.iter().flat_map(InvalidFiles::diagnostics);
            let calls = check_calls(&rules, &config.queues).into_iter();
            let calls = calls.flat_map(|file| file.diagnostics);
            warnings.chain(unknown).cloned().chain(calls).collect()
        }
        Err(error) => error.diagnostics().cloned().collect(),
    }
}

/// The findings in a rule, with a table `vswitches`, and those in the table.
fn rule_findings(text: &str, table: &str) -> Vec<Diagnostic> {
    let tables = match Tables::parse([("vswitches.csv", table)]) {
        Ok(tables) => tables,
        Err(error) => return error.diagnostics().cloned().collect(),
    };
    match RuleSet::compile_with_tables([("rule.toml", text)], &tables) {
        Ok(rules) => {
            let files = rules.warnings().iter();
            // Most of the examples use no table.
            let files = files.filter(|file| file.name == "rule.toml");
            let warnings = files.flat_map(|file| file.diagnostics.clone());
            let hints = rules
                .rules()
                .flat_map(|rule| rule.check(Dialect::Reflexarc));
            warnings.chain(hints).collect()
        }
        Err(error) => error.diagnostics().cloned().collect(),
    }
}

#[test]
fn examples_of_codes_have_the_finding_or_not() {
    let mut checked = 0;
    let mut failures = Vec::new();
    for code in Code::ALL {
        for example in examples(*code) {
            let found = findings(*code, &example);
            checked += 1;
            let has_code = found.iter().any(|found| found.code == *code);
            let seen: Vec<String> = found
                .iter()
                .map(|f| format!("{} {}", f.code, f.message))
                .collect();
            if has_code != example.is_wrong {
                failures.push(format!("{code}, wrong: {}: {seen:?}", example.is_wrong));
            }
            // An example of the right spelling is right in every respect.
            let is_event = code.number() < 100;
            if !example.is_wrong && !is_event && !found.is_empty() {
                failures.push(format!("{code}, right: {seen:?}"));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(checked > 100, "{checked}");
}

#[test]
fn help_explains_a_code() {
    let help = reflexarc(&["help", "RA0201"]);
    assert_eq!(help.code, 0, "{}", help.stderr);
    insta::assert_snapshot!(help.stdout);
    assert_eq!(reflexarc(&["help", "ra0201"]).stdout, help.stdout);
}

#[test]
fn unknown_topics_get_a_suggestion() {
    for (topic, message) in [
        ("ra101", "unknown code `ra101`; did you mean `RA0101`?"),
        (
            "RA9999",
            "unknown code `RA9999`; `reflexarc help codes` lists",
        ),
        ("patern", "no help for `patern`; did you mean `pattern`?"),
        ("chekc", "no help for `chekc`; did you mean `check`?"),
    ] {
        let help = reflexarc(&["help", topic]);
        assert_eq!(help.code, 2, "{topic}");
        assert!(help.stderr.contains(message), "{}", help.stderr);
    }
}

#[test]
fn help_lists_all_codes() {
    let help = reflexarc(&["help", "codes"]).stdout;
    for code in Code::ALL {
        assert!(
            help.contains(&format!("| `{code}` | {}", code.title())),
            "{code}"
        );
    }
}

#[test]
fn help_of_a_subcommand_is_found() {
    let help = reflexarc(&["help", "dlq", "redrive"]).stdout;
    assert!(help.contains("Usage: reflexarc dlq redrive"), "{help}");
}
