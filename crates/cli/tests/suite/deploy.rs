//! The files in `deploy/` use commands, metrics and a compiler that exist.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use reflexarc_delivery::DeadLetterCause;
use reflexarc_event::Json;
use reflexarc_service::telemetry::{
    CallLabel, FiringLabel, Metrics, OutcomeLabel, RuleLabel, SourceLabel, StatusLabel,
    TargetLabel, TargetStateLabel,
};

use crate::{reflexarc, root};

fn deployed(name: &str) -> String {
    std::fs::read_to_string(root().join("deploy").join(name)).unwrap()
}

/// Runs a command line of a deployment file with `--help`, which fails for unknown arguments.
fn assert_valid(line: &str) {
    let arguments: Vec<&str> = line.split_whitespace().skip(1).chain(["--help"]).collect();
    let outcome = reflexarc(&arguments);
    assert_eq!(outcome.code, 0, "{line}: {}", outcome.stderr);
}

#[test]
fn the_systemd_unit_uses_valid_commands() {
    let unit = deployed("reflexarc.service");
    let commands: Vec<&str> = unit
        .lines()
        .filter_map(|line| {
            line.strip_prefix("ExecStartPre=")
                .or_else(|| line.strip_prefix("ExecStart="))
        })
        .collect();
    assert_eq!(commands.len(), 2);
    commands.into_iter().for_each(assert_valid);
}

/// What `/status` tells operators to do.
#[test]
fn the_commands_in_problems_exist() {
    let source = root().join("crates/service/src/telemetry/problems/kind.rs");
    let source = std::fs::read_to_string(source).unwrap();
    let quoted = [source, deployed("README.md"), deployed("alerts.yml")].join("`");
    let commands: BTreeSet<&str> = quoted
        .split('`')
        .filter(|text| text.starts_with("reflexarc ") && !text.contains('\n'))
        .collect();
    assert!(commands.len() > 10, "{commands:?}");
    for command in commands {
        // Without placeholders, and the options that need a value of them.
        let words = command.split_whitespace();
        let words: Vec<&str> = words.take_while(|word| !word.starts_with("--")).collect();
        assert_valid(&words.join(" "));
    }
}

#[test]
fn the_container_has_the_required_compiler_and_commands() {
    let file = deployed("Containerfile");
    let image = file
        .lines()
        .find_map(|line| line.strip_prefix("FROM docker.io/library/rust:"))
        .unwrap();
    let version = |text: &str| -> Vec<u32> {
        text.split('.')
            .take(2)
            .map(|part| part.parse().unwrap())
            .collect()
    };
    let wanted = std::fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let wanted = wanted
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = "))
        .unwrap()
        .replace('"', "");
    assert!(
        version(image.split('-').next().unwrap()) >= version(&wanted),
        "{image} for {wanted}"
    );
    // The image copies the program that this command builds.
    assert!(
        file.contains("cargo build --profile ship --all-features --locked --package reflexarc-cli")
    );
    assert!(
        file.contains("COPY --from=build /build/target/ship/reflexarc /usr/local/bin/reflexarc")
    );
    let command = file
        .lines()
        .find_map(|line| line.strip_prefix("CMD "))
        .unwrap();
    assert_valid(&format!(
        "reflexarc {}",
        command.replace(['[', ']', '"', ','], "")
    ));
}

/// The series that `/metrics` exports once everything has happened: each with its labels, and the
/// values of the labels.
struct Exported {
    labels: BTreeMap<String, BTreeSet<String>>,
    problems: BTreeSet<String>,
}

impl Exported {
    fn new() -> Self {
        let metrics = Metrics::new();
        metrics.attempt("mail", "delivered", Duration::ZERO);
        metrics.dead_letters("mail", DeadLetterCause::Refused, 1);
        let target = TargetLabel {
            target: "mail".into(),
        };
        let rule = RuleLabel {
            rule: "stuck".into(),
        };
        for gauge in [
            &metrics.waiting,
            &metrics.delayed,
            &metrics.oldest,
            &metrics.target_failures,
            &metrics.withheld,
        ] {
            drop(gauge.get_or_create(&target));
        }
        for gauge in [
            &metrics.failing,
            &metrics.state_entries,
            &metrics.pending,
            &metrics.incidents_open,
        ] {
            drop(gauge.get_or_create(&rule));
        }
        for counter in [
            &metrics.noted,
            &metrics.closed_by_reload,
            &metrics.over_budget,
        ] {
            drop(counter.get_or_create(&rule));
        }
        for counter in [&metrics.opened, &metrics.firings_merged] {
            drop(counter.get_or_create(&target));
        }
        drop(metrics.refused.get_or_create(&StatusLabel { status: 429 }));
        let state = TargetStateLabel {
            target: "mail".into(),
            state: "open",
        };
        drop(metrics.target_state.get_or_create(&state));
        let call = CallLabel {
            target: "ecs".into(),
            code: "ok",
        };
        drop(metrics.calls.get_or_create(&call));
        let firing = FiringLabel {
            rule: "stuck".into(),
            outcome: "fired",
        };
        drop(metrics.firings.get_or_create(&firing));
        let source = SourceLabel {
            source: "events".into(),
        };
        for gauge in [&metrics.source_pending, &metrics.source_ack_pending] {
            drop(gauge.get_or_create(&source));
        }
        for counter in [&metrics.reloads, &metrics.heartbeats] {
            drop(counter.get_or_create(&OutcomeLabel { outcome: "taken" }));
        }
        Self::read(&metrics.render())
    }

    fn read(text: &str) -> Self {
        let mut exported = Self {
            labels: BTreeMap::new(),
            problems: BTreeSet::new(),
        };
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let name = line.split(['{', ' ']).next().unwrap();
            let labels = exported.labels.entry(name.to_owned()).or_default();
            for (label, value) in matchers(line) {
                if label == "problem" {
                    exported.problems.insert(value);
                }
                labels.insert(label);
            }
        }
        exported
    }

    /// Checks the metrics and labels of an expression; returns the labels that its result may have.
    fn check(&self, expression: &str) -> BTreeSet<String> {
        let mut known: BTreeSet<String> = ["instance", "job"].map(str::to_owned).into();
        let mut found = 0;
        for (start, _) in expression.match_indices("reflexarc_") {
            let rest = &expression[start..];
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
            let labels = self.labels.get(&rest[..end]);
            let labels = labels.unwrap_or_else(|| panic!("{} in {expression}", &rest[..end]));
            known.extend(labels.iter().cloned());
            found += 1;
            if !rest[end..].starts_with('{') {
                continue;
            }
            for (label, value) in matchers(rest) {
                let is_known = label == "instance" || labels.contains(&label);
                assert!(is_known, "{label} in {expression}");
                if label == "problem" {
                    assert!(self.problems.contains(&value), "{value} in {expression}");
                }
            }
        }
        assert!(found > 0 || expression.starts_with("up{"), "{expression}");
        for part in expression.split(" by (").skip(1) {
            let list = part.split(')').next().unwrap();
            for label in list.split(", ") {
                assert!(known.contains(label), "by {label} in {expression}");
            }
        }
        known
    }
}

/// The labels and values in the first braces of a text.
fn matchers(text: &str) -> Vec<(String, String)> {
    let Some((_, rest)) = text.split_once('{') else {
        return Vec::new();
    };
    let inside = rest.split('}').next().unwrap();
    let pairs = inside.split(',').filter(|pair| !pair.is_empty());
    let pairs = pairs.map(|pair| {
        let (label, value) = pair.split_once('=').unwrap();
        let value = value.trim_start_matches('~').trim_matches('"');
        (label.trim_end_matches('!').to_owned(), value.to_owned())
    });
    pairs.collect()
}

/// A misspelt metric is an alert that never fires.
#[test]
fn alerting_rules_use_what_is_exported_and_cover_each_problem() {
    let exported = Exported::new();
    let alerts = deployed("alerts.yml");
    let rules: Vec<&str> = alerts.split("      - alert: ").skip(1).collect();
    let mut names = BTreeSet::new();
    for rule in &rules {
        let (name, rest) = rule.split_once('\n').unwrap();
        assert!(names.insert(name), "{name} twice");
        let line = |key: &str| {
            let mut lines = rest.lines().map(str::trim);
            lines.find_map(|line| line.strip_prefix(key))
        };
        exported.check(line("expr: ").unwrap());
        let severity = line("labels: ").unwrap();
        let severities = ["{severity: critical}", "{severity: warning}"];
        assert!(severities.contains(&severity), "{name}: {severity}");
        let summary = line("summary: ").unwrap();
        assert!(summary.len() > 20 && !summary.ends_with(".\""), "{name}");
    }
    for problem in &exported.problems {
        let matcher = format!("{{problem=\"{problem}\"}}");
        assert!(
            rules.iter().any(|rule| rule.contains(&matcher)),
            "{problem}"
        );
    }
    assert!(exported.problems.len() > 30, "{:?}", exported.problems);
}

fn number(json: &Json, key: &str) -> i64 {
    let number = json.get(key).and_then(Json::as_i64);
    number.unwrap_or_else(|| panic!("{key} of {json}"))
}

fn text<'a>(json: &'a Json, key: &str) -> &'a str {
    let text = json.get(key).and_then(Json::as_str);
    text.unwrap_or_else(|| panic!("{key} of {json}"))
}

fn dashboard() -> Json {
    Json::parse(deployed("grafana-dashboard.json")).unwrap()
}

#[test]
fn the_dashboard_can_be_imported() {
    let dashboard = dashboard();
    assert_eq!(dashboard.get("id"), Some(&Json::Null));
    assert_eq!(text(&dashboard, "uid"), "reflexarc");
    assert_eq!(text(&dashboard, "title"), "reflexarc");
    assert!(number(&dashboard, "schemaVersion") >= 36);
    assert!(number(&dashboard, "version") >= 1);
    let variables = dashboard.get("templating").unwrap().get("list").unwrap();
    let variables: Vec<_> = variables.elements().iter().collect();
    let names: Vec<_> = variables.iter().map(|one| text(one, "name")).collect();
    assert_eq!(names, ["datasource", "instance"]);
    assert_eq!(text(variables[0], "type"), "datasource");
    assert_eq!(text(variables[0], "query"), "prometheus");
    let panels = dashboard.get("panels").unwrap().elements();
    let mut ids = BTreeSet::new();
    let mut cells = BTreeSet::new();
    for panel in panels {
        assert!(ids.insert(number(panel, "id")), "{panel}");
        assert!(
            ["stat", "table", "timeseries"].contains(&text(panel, "type")),
            "{panel}"
        );
        assert!(!text(panel, "title").is_empty());
        let sources = [panel]
            .into_iter()
            .chain(panel.get("targets").unwrap().elements());
        for source in sources {
            let uid = text(source.get("datasource").unwrap(), "uid");
            assert_eq!(uid, "${datasource}");
        }
        let place = panel.get("gridPos").unwrap();
        let [x, y, width, height] = ["x", "y", "w", "h"].map(|key| number(place, key));
        assert!(
            x >= 0 && y >= 0 && width > 0 && height > 0 && x + width <= 24,
            "{place}"
        );
        for column in x..x + width {
            for row in y..y + height {
                assert!(cells.insert((column, row)), "{place} overlaps");
            }
        }
    }
    assert!(panels.len() >= 15);
}

/// In the order of need: what is wrong, what was lost, what does not arrive, what waits.
#[test]
fn the_dashboard_shows_what_is_exported() {
    let exported = Exported::new();
    let dashboard = dashboard();
    let panels = dashboard.get("panels").unwrap().elements();
    let mut shown = Vec::new();
    for panel in panels {
        let targets = panel.get("targets").unwrap().elements();
        assert!(!targets.is_empty(), "{panel}");
        let references = targets.iter().map(|target| text(target, "refId"));
        assert_eq!(references.collect::<BTreeSet<_>>().len(), targets.len());
        for target in targets {
            let expression = text(target, "expr");
            assert!(
                expression.contains("instance=~\"$instance\""),
                "{expression}"
            );
            let opened = expression.matches('(').count();
            assert_eq!(opened, expression.matches(')').count(), "{expression}");
            let known = exported.check(expression);
            for part in text(target, "legendFormat").split("{{").skip(1) {
                let label = part.split("}}").next().unwrap();
                assert!(known.contains(label), "{label} of {expression}");
            }
            shown.push(expression.to_owned());
        }
    }
    let place = |metric: &str| {
        let place = shown.iter().position(|one| one.contains(metric));
        place.unwrap_or_else(|| panic!("{metric} is not shown"))
    };
    let order = [
        "reflexarc_problems",
        "reflexarc_dead_letters_total",
        "reflexarc_delivery_attempts_total",
        "reflexarc_delivery_oldest_age_seconds",
        "reflexarc_events_accepted_total",
        "reflexarc_accepting_seconds_bucket",
        "reflexarc_rule_firings_total",
        "reflexarc_incidents_open",
        "reflexarc_silences_active",
    ]
    .map(place);
    assert!(order.is_sorted(), "{order:?}");
}
