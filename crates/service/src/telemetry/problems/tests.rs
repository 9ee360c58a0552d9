use std::time::Duration;

use super::ledger::{MAX_LINES, MAX_SUBJECTS, OTHER, WINDOW};
use super::*;

fn at(second: u64) -> Moment {
    Moment {
        at: Timestamp::from_second(i64::try_from(second).unwrap()).unwrap(),
        elapsed: Duration::from_secs(second),
    }
}

fn levels(subjects: &[&str]) -> BTreeMap<String, (u64, String)> {
    let entry = |name: &&str| ((*name).to_owned(), (1, "old".to_owned()));
    subjects.iter().map(entry).collect()
}

/// Each occurrence is in a line of its own or in a summary, whatever the times.
#[test]
fn every_occurrence_is_logged_or_summed() {
    use proptest::prelude::*;
    let steps = proptest::collection::vec((0..90_u64, 1..5_u64, any::<bool>()), 1..200);
    proptest!(|(steps in steps)| {
        let (mut ledger, mut second) = (Ledger::default(), 0);
        let (mut occurred, mut logged) = (0, 0);
        for (wait, count, summarize) in steps {
            second += wait;
            if summarize {
                let due = ledger.summarize(at(second));
                logged += due.iter().map(|summary| summary.count).sum::<u64>();
            } else {
                occurred += count;
                let kind = ProblemKind::DeadLetters;
                if ledger.record(kind, "mail", count, "", false, at(second)) {
                    logged += count;
                }
            }
        }
        let due = ledger.summarize(at(second + WINDOW.as_secs()));
        logged += due.iter().map(|summary| summary.count).sum::<u64>();
        prop_assert_eq!(occurred, logged);
    });
}

#[test]
fn lines_of_a_minute_are_bounded() {
    let mut ledger = Ledger::default();
    let lines = (0..1_000)
        .filter(|_| ledger.record(ProblemKind::DeadLetters, "mail", 1, "x", false, at(5)))
        .count();
    assert_eq!(lines, MAX_LINES as usize);
    assert_eq!(ledger.summarize(at(64)), []);
    let summary = ledger.summarize(at(65));
    assert_eq!((summary.len(), summary[0].count), (1, 990));
    assert_eq!(ledger.summarize(at(200)), []);
}

#[test]
fn occurrences_are_forgotten_and_levels_are_not() {
    let mut ledger = Ledger::default();
    ledger.record(ProblemKind::ReactionFailed, "a", 1, "", false, at(0));
    ledger.record(ProblemKind::ReloadRefused, "", 1, "", true, at(0));
    ledger.summarize(at(3_599));
    assert_eq!(ledger.entries.len(), 2);
    ledger.summarize(at(3_600));
    assert_eq!(ledger.subjects(ProblemKind::ReactionFailed).count(), 0);
    assert_eq!(ledger.subjects(ProblemKind::ReloadRefused).count(), 1);
    ledger.set(ProblemKind::ReloadRefused, &BTreeMap::new(), at(3_601));
    assert!(ledger.entries.is_empty());
}

#[test]
fn levels_begin_once_and_end() {
    let mut ledger = Ledger::default();
    let kind = ProblemKind::QueueAging;
    assert_eq!(ledger.set(kind, &levels(&["a", "b"]), at(0)).len(), 2);
    assert_eq!(
        ledger.set(kind, &levels(&["b", "c"]), at(9))[0].subject,
        "c"
    );
    assert_eq!(ledger.subjects(kind).count(), 2);
    // Another kind is another list.
    ledger.set(ProblemKind::RuleGone, &BTreeMap::new(), at(9));
    assert_eq!(ledger.subjects(kind).count(), 2);
}

#[test]
fn subjects_and_lines_of_levels_are_bounded() {
    let mut ledger = Ledger::default();
    for number in 0..MAX_SUBJECTS + 10 {
        let subject = format!("target-{number}");
        ledger.record(ProblemKind::DeadLetters, &subject, 1, "", false, at(0));
    }
    let subjects = ledger.subjects(ProblemKind::DeadLetters).count();
    assert_eq!(subjects, MAX_SUBJECTS + 1);
    let other = &ledger.entries[&(ProblemKind::DeadLetters, OTHER.to_owned())];
    assert_eq!(other.count, 10);
    let many: Vec<String> = (0..200).map(|number| format!("rule-{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let begun = ledger.set(ProblemKind::RuleGone, &levels(&many), at(0));
    assert_eq!(begun.len(), 1);
    assert!(begun[0].subject.contains("and 197 more"), "{begun:?}");
}

/// For each kind: a warning that is summed, a counter and a gauge, an entry in `/status` that says
/// what to do, an alerting rule, and a row in the documentation.
#[test]
fn every_problem_has_all_of_its_signs() {
    let deployed = |name: &str| {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/");
        std::fs::read_to_string(format!("{folder}{name}")).unwrap()
    };
    let (documentation, alerts) = (deployed("README.md"), deployed("alerts.yml"));
    let mut registry = Registry::default();
    let problems = Problems::register(&mut registry);
    for kind in ProblemKind::ALL {
        let name = kind.name();
        problems.report(kind, "subject", 3, "detail");
        let listed = problems.to_json().to_string();
        let severity = kind.severity().name();
        let entry = format!(r#""problem":"{name}","severity":"{severity}","subject":"subject""#);
        assert!(listed.contains(&entry), "{name}: {listed}");
        assert!(documentation.contains(&format!("\n| `{name}` |")), "{name}");
        let row = documentation.split(&format!("\n| `{name}` |")).nth(1);
        assert!(row.unwrap().lines().next().unwrap().len() > 10, "{name}");
        assert!(
            alerts.contains(&format!("{{problem=\"{name}\"}}")),
            "{name}"
        );
        let rule = alerts.split("- alert: ");
        let rule = rule.filter(|rule| rule.contains(&format!("{{problem=\"{name}\"}}")));
        for rule in rule {
            let labels = format!("labels: {{severity: {severity}}}");
            assert!(rule.contains(&labels), "{name}: {rule}");
        }
        // In the imperative, without a full stop.
        let action = kind.action();
        assert!(action.len() > 20 && !action.ends_with('.'), "{name}");
        // Every further one is summed.
        let mut ledger = Ledger::default();
        let lines = (0..100).filter(|_| ledger.record(kind, "", 1, "", false, at(5)));
        let lines = u64::try_from(lines.count()).unwrap();
        assert!((1..=10).contains(&lines), "{name}");
        assert_eq!(ledger.summarize(at(70))[0].count, 100 - lines, "{name}");
    }
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    for kind in ProblemKind::ALL {
        let label = format!("{{problem=\"{}\"}}", kind.name());
        assert!(text.contains(&format!("\nproblems{label} 1\n")), "{text}");
        assert!(
            text.contains(&format!("\nproblem_occurrences_total{label} 3\n")),
            "{text}"
        );
    }
}

/// Of the same severity, what began last comes first.
#[test]
fn the_worst_problems_come_first() {
    let problems = Problems::register(&mut Registry::default());
    for kind in [
        ProblemKind::TargetPaused,
        ProblemKind::DeadLetters,
        ProblemKind::Flood,
        ProblemKind::StoreGone,
    ] {
        problems.occurred(kind, "", 1, "detail");
        std::thread::sleep(Duration::from_millis(2));
    }
    let listed = problems.to_json();
    let names = listed.elements().iter().map(|entry| entry.get("problem"));
    let names: Vec<_> = names.map(|name| name.unwrap().as_str().unwrap()).collect();
    assert_eq!(
        names,
        ["store_gone", "dead_letters", "flood", "target_paused"]
    );
}
