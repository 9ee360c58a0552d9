//! The plans of the statements that queues run: none scans, none sorts.

use super::{
    calls, changes, claim, deadlines, delays, listing, match_list, matches, order, program_state,
    schema, silences, state, withheld,
};
use crate::StoreOptions;

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
