//! The plans of the statements that queues run: none scans, none sorts.

use jiff::Timestamp;

use super::{
    audit, calls, changes, claim, deadlines, delays, due_list, entries, filtered, listing,
    match_list, matches, order, program_state, silences, state, withheld,
};
use crate::sqlite::schema;
use crate::{AuditFilter, DeliveryFilter, DeliveryStatus, PageCursor, StoreOptions};

/// The plan of a query, one line a step.
fn plan(sql: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let connection = schema::open_writer(&path, &StoreOptions::default()).unwrap();
    let mut statement = connection
        .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
        .unwrap();
    let steps = statement.raw_query().mapped(|row| row.get(3));
    steps.map(Result::unwrap).collect()
}

/// The plan of a query, whether or not an index has all the columns.
fn searched(sql: &str) -> Vec<String> {
    let steps = plan(sql).into_iter();
    let plain = |step: String| step.replace("COVERING ", "").replace(" EXISTS", "");
    steps.map(plain).collect()
}

#[test]
fn claims_and_settlements_search_indexes() {
    let order = "SEARCH delivery USING INDEX delivery_order (target=? AND order_key=?";
    let ranked = |comparison| format!("{order} AND (seq,number,id){comparison}(?,?,?))");
    let wait = "SEARCH target USING PRIMARY KEY (name=?)".to_owned();
    let claimable = "SEARCH delivery USING INDEX delivery_claimable (target=? AND due<?)";
    let due = "SEARCH delivery USING COVERING INDEX delivery_claimable (target=?)";
    for (sql, searches) in [
        (claim::claimable(), vec![claimable.to_owned()]),
        (
            claim::retries(),
            vec![claimable.replace("_claimable", "_failed")],
        ),
        (claim::following(), vec![ranked(">")]),
        (order::next(), vec![ranked(">"), wait.clone(), ranked("<")]),
        (
            order::one(),
            vec![
                "SEARCH delivery USING PRIMARY KEY (id=?)".to_owned(),
                wait.clone(),
                ranked("<"),
            ],
        ),
        (order::LAST.to_owned(), vec![wait, format!("{order})")]),
        (listing::NEXT_DUE.to_owned(), vec![due.to_owned()]),
        (
            delays::NAMED.to_owned(),
            vec![
                "SEARCH delivery USING INDEX delivery_named (rule=? AND scope=? AND delay_key=?)"
                    .to_owned(),
                "SEARCH c USING PRIMARY KEY (id=?)".to_owned(),
            ],
        ),
        (
            state::COUNT.to_owned(),
            vec!["SEARCH state_count USING PRIMARY KEY (rule=?)".to_owned()],
        ),
    ] {
        let steps: Vec<_> = plan(&sql)
            .into_iter()
            .filter(|step| step != "SCAN CONSTANT ROW" && !step.contains("SCALAR SUBQUERY"))
            .collect();
        assert_eq!(steps, searches, "{sql}");
    }
}

/// What each claim reads of silences, and what each step of the release reads.
#[test]
fn silences_and_what_they_withhold_are_found_by_indexes() {
    let open = "SEARCH silence USING INDEX silence_open (until>?)";
    for (sql, searches) in [
        (silences::ACTIVE, vec![open]),
        (
            withheld::OF_SILENCE,
            vec!["SEARCH withheld USING INDEX withheld_silence (silence=?)"],
        ),
        (
            withheld::UP_TO,
            vec!["SEARCH withheld USING INDEX withheld_until (until<?)"],
        ),
        (
            withheld::NAMED,
            vec![
                "SEARCH w USING INDEX withheld_named (rule=? AND scope=? AND name=?)",
                "SEARCH d USING PRIMARY KEY (id=?)",
            ],
        ),
        (
            withheld::NAMED_EVENT,
            vec!["SEARCH archive USING INDEX archive_by_id (id=? AND rowid<?)"],
        ),
    ] {
        let steps: Vec<_> = searched(sql)
            .into_iter()
            .filter(|step| !step.contains("TEMP B-TREE"))
            .collect();
        assert_eq!(steps, searches, "{sql}");
    }
}

/// What is read and written of matches for each event that opens or closes one, and for each
/// deadline.
#[test]
fn matches_are_found_by_rule_and_key_or_by_deadline() {
    let window = "SEARCH match_rule USING INDEX match_rule_open (rule=?)";
    let aliased = window.replace("match_rule USING", "r USING");
    let key = "SEARCH m USING PRIMARY KEY (rule=? AND key=?)";
    let of_rule = "SEARCH r USING INTEGER PRIMARY KEY (rowid=?)";
    let due = "SEARCH kept_match USING INDEX match_by_due";
    for (sql, searches) in [
        (matches::find(), vec![aliased.as_str(), key]),
        (matches::OTHERS.to_owned(), vec![aliased.as_str(), key]),
        (matches::COUNT.to_owned(), vec![window]),
        (
            deadlines::DUE.to_owned(),
            vec!["SEARCH m USING INDEX match_by_due (due<?)", of_rule],
        ),
        (
            deadlines::AT.to_owned(),
            vec!["SEARCH kept_match USING INDEX match_by_due (due=? AND rule=?)"],
        ),
        (deadlines::NEXT.to_owned(), vec![&format!("{due} (due>?)")]),
        (match_list::of_window(true), vec![of_rule, key]),
        (
            match_list::of_window(false),
            vec![of_rule, "SEARCH m USING PRIMARY KEY (rule=? AND key>?)"],
        ),
        // In the order of the index, and behind a place by it: a page reads its part.
        (
            due_list::BY_DUE.to_owned(),
            vec![&format!("{due} ((due,rule,key)>(?,?,?))")],
        ),
        (
            due_list::OF_WINDOW.to_owned(),
            vec!["SEARCH kept_match USING PRIMARY KEY (rule=? AND key>?)"],
        ),
    ] {
        assert_eq!(searched(&sql), searches, "{sql}");
    }
}

/// Deadlines that many matches have, and windows that are full, are rare, but may be large.
#[test]
fn full_windows_and_equal_deadlines_read_indexes() {
    for (sql, expected) in [
        (
            deadlines::WINDOWS_AT,
            "SEARCH m USING INDEX match_by_due (due=? AND rule=?)",
        ),
        (
            matches::EXPIRED,
            "SEARCH kept_match USING INDEX match_by_expiry (expires<?)",
        ),
        (
            deadlines::POSTPONE,
            "SEARCH m USING INDEX match_by_due (due<?)",
        ),
    ] {
        let steps = searched(sql);
        assert!(steps.iter().any(|step| step == expected), "{steps:#?}");
        assert!(
            !steps.iter().any(|step| step.contains("SCAN m")),
            "{steps:#?}"
        );
        assert!(
            !steps.iter().any(|step| step.contains("TEMP B-TREE")),
            "{steps:#?}"
        );
    }
}

/// Whether a rule has room is asked at the first new entry of nearly every evaluation.
#[test]
fn expired_entries_are_counted_by_the_index_of_expiries() {
    let expected = "SEARCH state USING COVERING INDEX state_by_expiry (expires<?)";
    let plan = plan(state::EXPIRED);
    assert!(plan.iter().any(|step| step == expected), "{plan:?}");
    assert!(
        plan.iter().all(|step| !step.starts_with("SCAN state")),
        "{plan:?}"
    );
}

/// What queues of calls look for: no call that waits longer, of another rule or target, is read.
#[test]
fn calls_are_found_by_target_rule_or_withdrawal() {
    let delivery = "SEARCH d USING PRIMARY KEY (id=?)".to_owned();
    let search = |index: &str| format!("SEARCH waiting_call USING INDEX waiting_call_{index}");
    for (sql, searches) in [
        (
            calls::EXPIRED,
            vec![
                search("due (target=? AND due<?)").replace("waiting_call USING", "c USING"),
                delivery.clone(),
                "SEARCH attempt USING PRIMARY KEY (delivery=?)".to_owned(),
            ],
        ),
        (
            calls::RELEASED,
            vec![
                "SCAN c USING INDEX waiting_call_ending".to_owned(),
                delivery,
            ],
        ),
        (calls::NEXT_RULE, vec![search("rule (rule>?)")]),
        (calls::OF_RULE, vec![search("rule (rule=?)")]),
        (calls::OF_TARGET, vec![search("due (target=?)")]),
        (calls::WITHDRAWN, vec![search("withdrawn (withdrawn>?)")]),
        (
            changes::COUNT,
            vec!["SEARCH change USING INDEX change_counted (target=? AND at>?)".to_owned()],
        ),
    ] {
        let steps = searched(sql).into_iter();
        let steps: Vec<_> = steps
            .filter(|step| !step.contains("SCALAR SUBQUERY"))
            .collect();
        assert_eq!(steps, searches, "{sql}");
    }
}

/// A program commits after each event: what it asks of the archive is found by position.
#[test]
fn commits_of_a_state_search_by_position() {
    let row = "SEARCH archive USING INTEGER PRIMARY KEY (rowid=?)";
    for (sql, search) in [
        (program_state::AT_POSITION, row),
        (program_state::OWN, row),
        (
            program_state::REFERRED_TO,
            "SEARCH kept_event USING INTEGER PRIMARY KEY (rowid=?)",
        ),
        (program_state::LAST, "SEARCH archive"),
        (program_state::PASSED, &row.replace("=?", ">?")),
    ] {
        let steps = searched(sql).into_iter();
        let steps: Vec<_> = steps
            .filter(|step| step != "SCAN CONSTANT ROW" && !step.contains("SCALAR SUBQUERY"))
            .collect();
        assert_eq!(steps, [search], "{sql}");
    }
    // From the end: past what a program has written, which are few rows.
    assert_eq!(plan(program_state::LAST_OF_SERVICE), ["SCAN archive"]);
}

/// Dead letters are found by an index that has all that is compared: neither dead letters nor other
/// deliveries are read for those that are not in the page, and nothing is sorted.
#[test]
fn dead_letters_are_found_by_what_a_filter_has() {
    let text = |is_given: bool| is_given.then(|| "a".to_owned());
    let after = PageCursor {
        micros: 0,
        seq: 0,
        id: [0; 16].into(),
    };
    for bits in 0..64 {
        let has = |bit: u32| bits & (1 << bit) != 0;
        let (target, rule) = (has(0), has(1));
        let filter = DeliveryFilter {
            target: text(target),
            rule: text(rule),
            event: text(has(2)),
            reason: text(has(3)),
            since: has(4).then_some(Timestamp::UNIX_EPOCH),
            finished_until: has(5).then_some(Timestamp::UNIX_EPOCH),
            ..DeliveryFilter::of(DeliveryStatus::Dead)
        };
        let index = match (has(2) || has(3), target, rule) {
            (false, true, _) => "delivery_dead_target (target=?",
            (false, false, true) => "delivery_dead_rule (rule=?",
            _ => "delivery_dead",
        };
        let (searched, scanned) = (
            format!("SEARCH delivery USING COVERING INDEX {index}"),
            format!("SCAN delivery USING COVERING INDEX {index}"),
        );
        let small = ["CO-ROUTINE", "SCAN (subquery"];
        for newest_first in [false, true] {
            for (after, is_searched) in [(Some(after), true), (None, has(4) || has(5))] {
                let (list, _) = filtered::list(&filter, newest_first, after, 9);
                let (last, _) = filtered::last_looked_at(&filter, newest_first, after);
                let (count, _) = filtered::counted(&filter, 9);
                for (sql, is_searched) in [
                    (list, is_searched),
                    (last, is_searched),
                    (count, has(4) || has(5)),
                ] {
                    let steps = plan(&sql);
                    let steps = steps.iter();
                    let steps: Vec<_> = steps
                        .filter(|step| !small.iter().any(|small| step.starts_with(small)))
                        .collect();
                    assert_eq!(steps.len(), 1, "{sql}: {steps:?}");
                    let may_scan = !is_searched && steps[0].starts_with(&scanned);
                    assert!(
                        may_scan || steps[0].starts_with(&searched),
                        "{sql}: {steps:?}"
                    );
                }
            }
        }
    }
}

/// Pages of entries go through an index or the table from where they begin, in its order.
#[test]
fn entries_are_found_by_id_time_or_position() {
    for (sql, expected) in [
        (
            entries::BY_ID,
            "SEARCH archive USING INDEX archive_by_id (id=? AND rowid<?)",
        ),
        (
            entries::BY_TIME,
            "SEARCH archive USING INDEX archive_by_time (received>? AND received<?)",
        ),
        (
            entries::BY_POSITION,
            "SEARCH archive USING INTEGER PRIMARY KEY (rowid<?)",
        ),
        (
            entries::PLACE,
            "SEARCH archive USING INTEGER PRIMARY KEY (rowid<?)",
        ),
    ] {
        let sql = sql.replace("$COLUMNS", entries::COLUMNS);
        assert_eq!(plan(&sql), [expected], "{sql}");
    }
}

/// Records of operators are searched in an index that has all that is compared.
#[test]
fn records_of_operators_are_found_by_what_a_filter_has() {
    let text = |is_given: bool| is_given.then(|| "a".to_owned());
    for bits in 0..16 {
        let has = |bit: u32| bits & (1 << bit) != 0;
        let filter = AuditFilter {
            by: text(has(0)),
            operation: text(has(1)),
            from: has(2).then_some(Timestamp::UNIX_EPOCH),
            until: has(3).then_some(Timestamp::UNIX_EPOCH),
        };
        let index = match (has(0), has(1), has(2) || has(3)) {
            (true, ..) => "COVERING INDEX audit_by_actor (actor=? AND id<?",
            (false, true, _) => "COVERING INDEX audit_by_operation (operation=? AND id<?",
            (false, false, true) => "COVERING INDEX audit_by_time (at",
            (false, false, false) => "INTEGER PRIMARY KEY (rowid<?",
        };
        let (sql, _) = audit::query(&filter, None, 9);
        let steps = plan(&sql);
        let expected = format!("SEARCH audit USING {index}");
        assert!(
            steps.iter().any(|step| step.starts_with(&expected)),
            "{sql}: {steps:#?}"
        );
        assert!(!steps.iter().any(|step| step.starts_with("SCAN audit")));
    }
}

/// These read all that is pending, or all that has failed, and nothing else.
#[test]
fn counts_read_only_what_is_pending() {
    for (sql, index) in [
        (listing::DEPTHS, "delivery_order"),
        (order::FAILED, "delivery_failed"),
    ] {
        let expected = format!("SCAN delivery USING INDEX {index}");
        assert_eq!(plan(sql), [expected], "{sql}");
    }
}
