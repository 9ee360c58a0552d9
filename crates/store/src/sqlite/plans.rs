//! The plans of the statements that queues run: none scans, none sorts.

use super::{listing, order, outbox, schema};
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
    let rank = "(target=? AND order_key=? AND (seq,number,id)";
    for (sql, index) in [
        (
            outbox::claimable(),
            "delivery USING INDEX delivery_claimable (target=? AND due<?)".to_owned(),
        ),
        (
            outbox::following(),
            format!("delivery USING INDEX delivery_order {rank}>(?,?,?))"),
        ),
        (
            order::next(),
            format!("delivery USING INDEX delivery_order {rank}>(?,?,?))"),
        ),
        (
            order::BEFORE.to_owned(),
            format!("delivery USING INDEX delivery_order {rank}<(?,?,?))"),
        ),
        (
            order::LAST.to_owned(),
            "delivery USING INDEX delivery_order (target=? AND order_key=?)".to_owned(),
        ),
        (
            order::WAIT.to_owned(),
            "target USING PRIMARY KEY (name=?)".to_owned(),
        ),
        (
            listing::NEXT_DUE.to_owned(),
            "delivery USING COVERING INDEX delivery_claimable (target=?)".to_owned(),
        ),
    ] {
        assert_eq!(plan(&sql), [format!("SEARCH {index}")], "{sql}");
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
