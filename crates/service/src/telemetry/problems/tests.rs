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
