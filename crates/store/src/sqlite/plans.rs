//! The plans of the statements that queues run: none scans, none sorts.

use super::{claim, delays, listing, order, schema, state};
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
            delays::CANCEL.to_owned(),
            vec![
                "SEARCH delivery USING INDEX delivery_named (rule=? AND scope=? AND delay_key=?)"
                    .to_owned(),
            ],
        ),
        (
            state::COUNT.to_owned(),
            vec!["SEARCH state_count USING PRIMARY KEY (rule=?)".to_owned()],
        ),
    ] {
        let steps: Vec<_> = plan(&sql)
            .into_iter()
            .filter(|step| step != "SCAN CONSTANT ROW" && !step.starts_with("SCALAR SUBQUERY"))
            .collect();
        assert_eq!(steps, searches, "{sql}");
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
