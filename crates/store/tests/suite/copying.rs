//! Copies of stores. `contract/copied.rs` has that a copy does what the store would have done.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use reflexarc_store::{
    CopyError, CopyPhase, CopyReport, SqliteStore, Store, StoreError, copy_store,
};
use rusqlite::types::Value;

use crate::samples::{OPTIONS, at, evaluation, incoming, send};
#[cfg(feature = "cluster")]
use crate::server::Schema;

/// The rows of every table, in the order of their keys.
type Dump = BTreeMap<String, Vec<Vec<Value>>>;

/// A column: its name, its type, and whether it can be NULL.
type Column = (String, String, bool);

/// Two files in a folder.
struct Files {
    _folder: tempfile::TempDir,
    from: PathBuf,
    to: PathBuf,
}

impl Files {
    /// A source without rows, and no target.
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [from, to] = ["from.db", "to.db"].map(|name| folder.path().join(name));
        drop(SqliteStore::open(&from, &OPTIONS).unwrap());
        Self {
            _folder: folder,
            from,
            to,
        }
    }

    /// Runs statements on the source.
    fn run(&self, sql: &str) {
        let connection = rusqlite::Connection::open(&self.from).unwrap();
        connection.execute_batch(sql).unwrap();
    }

    fn copy(&self) -> Result<CopyReport, CopyError> {
        copy(&self.from, &self.to)
    }
}

fn copy(from: &Path, to: &Path) -> Result<CopyReport, CopyError> {
    let source = SqliteStore::copy_source(from)?;
    let target = SqliteStore::copy_target(to, &OPTIONS)?;
    copy_store(source, target, &mut |_| ())
}

/// The tables of a file, and their columns with types and whether they can be NULL.
fn tables(path: &Path) -> Vec<(String, Vec<Column>)> {
    let connection = rusqlite::Connection::open(path).unwrap();
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'";
    let mut statement = connection.prepare(sql).unwrap();
    let names = statement.query_map((), |row| row.get(0)).unwrap();
    let names: Vec<String> = names.map(Result::unwrap).collect();
    let columns = |name: &String| {
        let sql = format!(
            "SELECT name, type, NOT \"notnull\" AND NOT pk FROM pragma_table_info('{name}')"
        );
        let mut statement = connection.prepare(&sql).unwrap();
        let columns = statement.query_map((), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
        columns.unwrap().map(Result::unwrap).collect()
    };
    names
        .iter()
        .map(|name| (name.clone(), columns(name)))
        .collect()
}

fn dump(path: &Path) -> Dump {
    let connection = rusqlite::Connection::open(path).unwrap();
    let mut names: Vec<_> = tables(path).into_iter().map(|(name, _)| name).collect();
    names.push("sqlite_sequence".to_owned());
    let rows = names.into_iter().map(|name| {
        let mut statement = connection
            .prepare(&format!("SELECT * FROM {name}"))
            .unwrap();
        let width = statement.column_count();
        let rows =
            statement.query_map((), |row| (0..width).map(|number| row.get(number)).collect());
        let mut rows: Vec<Vec<Value>> = rows.unwrap().map(Result::unwrap).collect();
        rows.sort_by_key(|row| format!("{row:?}"));
        (name, rows)
    });
    rows.collect()
}

/// A value for a column of this type.
fn value(kind: &str) -> BoxedStrategy<Value> {
    match kind {
        "INTEGER" => prop_oneof![
            4 => 0..40_i64,
            1 => any::<i64>(),
            1 => Just(i64::MAX),
            1 => Just(i64::MIN),
        ]
        .prop_map(Value::Integer)
        .boxed(),
        "TEXT" => prop_oneof![
            3 => "[a-c]{0,3}",
            2 => "[\u{0}-\u{3}a]{0,6}",
            1 => "\\PC{0,12}",
            1 => Just("{\"a\": [\"\\u0000\"]}".to_owned()),
        ]
        .prop_map(Value::Text)
        .boxed(),
        "BLOB" => prop::collection::vec(any::<u8>(), 0..24)
            .prop_map(Value::Blob)
            .boxed(),
        other => panic!("a column of the type {other}"),
    }
}

/// Rows for a table, as they come; those that break a constraint are left out when they are added.
fn rows(columns: &[Column]) -> BoxedStrategy<Vec<Vec<Value>>> {
    let cells: Vec<_> = columns
        .iter()
        .map(|(_, kind, is_nullable)| {
            if *is_nullable {
                prop_oneof![1 => Just(Value::Null), 2 => value(kind)].boxed()
            } else {
                value(kind)
            }
        })
        .collect();
    prop::collection::vec(cells, 0..40).boxed()
}

/// Replaces all rows of a file.
fn fill(path: &Path, contents: &[(String, Vec<Vec<Value>>)]) {
    let mut connection = rusqlite::Connection::open(path).unwrap();
    let transaction = connection.transaction().unwrap();
    for (table, _) in contents {
        transaction
            .execute(&format!("DELETE FROM {table}"), ())
            .unwrap();
    }
    for (table, rows) in contents {
        for row in rows {
            let marks = vec!["?"; row.len()].join(", ");
            // `REPLACE` also where a trigger has counted already.
            let sql = format!("INSERT OR REPLACE INTO {table} VALUES ({marks})");
            transaction
                .execute(&sql, rusqlite::params_from_iter(row))
                .unwrap();
        }
    }
    transaction.commit().unwrap();
}

/// Random rows of every table are the same behind a copy, and behind a copy of that.
#[test]
fn all_rows_of_all_tables_are_copied() {
    let files = Files::new();
    let tables = tables(&files.from);
    assert!(tables.len() > 15, "{tables:?}");
    let contents: Vec<_> = tables
        .iter()
        .map(|(name, columns)| (Just(name.clone()), rows(columns)))
        .collect();
    let mut runner = TestRunner::new(Config {
        cases: 6,
        failure_persistence: None,
        ..Config::default()
    });
    let check = |mut contents: Vec<(String, Vec<Vec<Value>>)>| {
        // Counters last: else the triggers of other tables change them.
        contents.sort_by_key(|(name, _)| ["match_rule", "state_count"].contains(&name.as_str()));
        fill(&files.from, &contents);
        let before = dump(&files.from);
        let report = copy_there_and_back(&files);
        let rows: usize = before
            .iter()
            .filter(|(name, _)| *name != "sqlite_sequence")
            .map(|(_, rows)| rows.len())
            .sum();
        prop_assert_eq!(report.rows(), rows as u64);
        prop_assert_eq!(report.resumed, 0);
        prop_assert_eq!(dump(&files.to), before);
        std::fs::remove_file(&files.to).unwrap();
        Ok(())
    };
    runner.run(&contents, check).unwrap();
}

/// Copies the source to a database and from there to the target; or to the target, without a
/// server.
fn copy_there_and_back(files: &Files) -> CopyReport {
    #[cfg(feature = "cluster")]
    if let Some(schema) = Schema::new() {
        let source = SqliteStore::copy_source(&files.from).unwrap();
        let target = reflexarc_store::PostgresStore::copy_target(&schema.url()).unwrap();
        let there = copy_store(source, target, &mut |_| ()).unwrap();
        let source = reflexarc_store::PostgresStore::copy_source(&schema.url()).unwrap();
        let target = SqliteStore::copy_target(&files.to, &OPTIONS).unwrap();
        let back = copy_store(source, target, &mut |_| ()).unwrap();
        assert_eq!(there, back);
        schema.run(&format!("DROP SCHEMA {} CASCADE", schema.name));
        return back;
    }
    files.copy().unwrap()
}

/// Events of this size in the archive, which no one reads.
fn many_events(count: u32) -> String {
    format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
         INSERT INTO archive (seq, source, id, kind, resource, received, size, body)
         SELECT i, 's', 'id-' || i, 'k', 'r', i, 300, randomblob(300) FROM n"
    )
}

#[test]
fn an_interrupted_copy_goes_on_and_is_no_store_until_then() {
    let files = Files::new();
    files.run(&many_events(3_000));
    files.run("INSERT INTO state (rule, key, value) VALUES ('a', 'x', '1'), ('a', 'y', '2'), ('b', 'x', '3')");
    for phase in [CopyPhase::Copying, CopyPhase::Copying, CopyPhase::Verifying] {
        let source = SqliteStore::copy_source(&files.from).unwrap();
        let target = SqliteStore::copy_target(&files.to, &OPTIONS).unwrap();
        let mut batches = 0;
        let interrupted = catch_unwind(AssertUnwindSafe(|| {
            copy_store(source, target, &mut |progress| {
                batches += u32::from(progress.phase == phase);
                assert!(batches < 5, "interrupted");
            })
        }));
        assert!(interrupted.is_err());
        let unfinished = |error: StoreError| {
            assert!(
                matches!(error, StoreError::UnfinishedCopy { .. }),
                "{error}"
            );
            let text = error.to_string();
            assert!(text.contains("run `reflexarc store copy` again"), "{text}");
        };
        unfinished(SqliteStore::open(&files.to, &OPTIONS).err().unwrap());
        unfinished(SqliteStore::check_location(&files.to).err().unwrap());
        let error = SqliteStore::copy_source(&files.to).err().unwrap();
        assert!(
            matches!(error, CopyError::Store(StoreError::UnfinishedCopy { .. })),
            "{error}"
        );
    }
    let report = files.copy().unwrap();
    assert_eq!((report.rows(), report.resumed), (3_005, 3_003));
    assert_eq!(dump(&files.to), dump(&files.from));
    // It is a store now, and no beginning of a copy.
    drop(SqliteStore::open(&files.to, &OPTIONS).unwrap());
    let error = files.copy().err().unwrap();
    assert!(
        matches!(&error, CopyError::NotEmpty { table, .. } if table == "archive"),
        "{error}"
    );
}

#[test]
fn a_copy_of_what_has_changed_is_not_finished() {
    let interrupt = |files: &Files, after: u64| {
        let source = SqliteStore::copy_source(&files.from).unwrap();
        let target = SqliteStore::copy_target(&files.to, &OPTIONS).unwrap();
        let interrupted = catch_unwind(AssertUnwindSafe(|| {
            copy_store(source, target, &mut |progress| {
                assert!(progress.done < after);
            })
        }));
        assert!(interrupted.is_err());
    };
    let files = Files::new();
    files.run(&many_events(100));
    files.run("INSERT INTO audit (at, actor, via, operation, subject, details, command, outcome, changed, message) VALUES (1, 'a', 'v', 'o', 's', '{}', 'c', 'done', 0, '')");
    interrupt(&files, 60);
    // Another event has come.
    files.run("INSERT INTO archive (seq, source, id, kind, resource, received, size, body) VALUES (101, 's', 'i', 'k', 'r', 1, 1, x'00')");
    let error = files.copy().err().unwrap();
    assert!(matches!(error, CopyError::OtherSource { .. }), "{error}");
    files.run("DELETE FROM archive WHERE seq = 101");
    // A row that is there already has changed.
    files.run("UPDATE archive SET kind = 'other' WHERE seq = 7");
    let error = files.copy().err().unwrap();
    let expected = "in the table `archive`: 7;";
    assert!(error.to_string().contains(expected), "{error}");
    assert!(SqliteStore::open(&files.to, &OPTIONS).is_err());
    // Removed, and one that is not in the source any more.
    files.run("UPDATE archive SET kind = 'k' WHERE seq = 7; DELETE FROM archive WHERE seq = 8");
    let error = files.copy().err().unwrap();
    assert!(matches!(error, CopyError::Differs { .. }), "{error}");
    // A copy of another store.
    let other = Files::new();
    other.run(&many_events(100));
    let error = copy(&other.from, &files.to).err().unwrap();
    assert!(matches!(error, CopyError::OtherSource { .. }), "{error}");
}

#[test]
fn a_damaged_row_is_named_and_never_left_out() {
    for (damage, table, row) in [
        (
            "UPDATE archive SET received = 'soon' WHERE seq = 70",
            "archive",
            "70",
        ),
        (
            "UPDATE archive SET source = CAST(x'ff' AS TEXT) WHERE seq = 71",
            "archive",
            "71",
        ),
        (
            "UPDATE archive SET body = 'text' WHERE seq = 72",
            "archive",
            "72",
        ),
        ("INSERT INTO call VALUES ('t', 'x', NULL)", "call", "\"t\""),
    ] {
        let files = Files::new();
        files.run(&many_events(100));
        files.run("INSERT INTO state (rule, key, value) VALUES ('a', 'x', '1'), ('a', 'y', '2')");
        files.run(damage);
        match files.copy() {
            Ok(_) => panic!("{damage}"),
            Err(CopyError::Damaged {
                table: found,
                row: key,
                reason,
            }) => {
                assert_eq!((&*found, &*key), (table, row), "{reason}");
                assert!(SqliteStore::open(&files.to, &OPTIONS).is_err());
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn stores_in_use_are_not_copied() {
    let files = Files::new();
    let missing = files.to.with_file_name("missing.db");
    let error = copy(&missing, &files.to).err().unwrap();
    assert!(matches!(error, CopyError::Missing { .. }), "{error}");
    assert!(!missing.exists());
    let store = SqliteStore::open(&files.from, &OPTIONS).unwrap();
    let now = at(0);
    let evaluation = evaluation("rule", vec![send("out", 1)], vec![]);
    store.accept(incoming("1"), evaluation, now).unwrap();
    let lock = store.lock_exclusive().unwrap();
    let error = files.copy().err().unwrap();
    assert!(
        matches!(error, CopyError::Store(StoreError::InUse { .. })),
        "{error}"
    );
    drop(lock);
    // A command that is open does not matter, but cannot write meanwhile.
    let source = SqliteStore::copy_source(&files.from).unwrap();
    let target = SqliteStore::copy_target(&files.to, &OPTIONS).unwrap();
    let begun = SqliteStore::copy_target(&files.to, &OPTIONS).err().unwrap();
    assert!(
        matches!(begun, CopyError::Store(StoreError::InUse { .. })),
        "{begun}"
    );
    let other = rusqlite::Connection::open(&files.from).unwrap();
    other.busy_timeout(std::time::Duration::ZERO).unwrap();
    copy_store(source, target, &mut |_| {
        assert!(other.execute("DELETE FROM delivery", ()).is_err());
    })
    .unwrap();
    assert_eq!(dump(&files.to), dump(&files.from));
    drop(store);
    // Itself, by another name.
    let link = files.to.with_file_name("link.db");
    std::os::unix::fs::symlink(&files.from, &link).unwrap();
    assert!(copy(&files.from, &link).is_err());
}

#[cfg(feature = "cluster")]
mod in_postgres {
    use reflexarc_store::PostgresStore;

    use super::*;

    fn copy_to(files: &Files, schema: &Schema) -> Result<CopyReport, CopyError> {
        let source = SqliteStore::copy_source(&files.from)?;
        let target = PostgresStore::copy_target(&schema.url())?;
        copy_store(source, target, &mut |_| ())
    }

    #[test]
    fn an_interrupted_copy_goes_on_in_a_database() {
        let Some(schema) = Schema::new() else { return };
        let files = Files::new();
        files.run(&many_events(3_000));
        let source = SqliteStore::copy_source(&files.from).unwrap();
        let target = PostgresStore::copy_target(&schema.url()).unwrap();
        let second = PostgresStore::copy_target(&schema.url()).err().unwrap();
        assert!(
            second.to_string().contains("in use by another copy"),
            "{second}"
        );
        let interrupted = catch_unwind(AssertUnwindSafe(|| {
            copy_store(source, target, &mut |progress| {
                assert!(progress.done < 1_000);
            })
        }));
        assert!(interrupted.is_err());
        let error = schema.connect().err().unwrap();
        assert!(
            matches!(error, StoreError::UnfinishedCopy { .. }),
            "{error}"
        );
        assert!(PostgresStore::check_location(&schema.url()).is_err());
        // The server ends the session of the copy a moment later.
        let report = loop {
            match copy_to(&files, &schema) {
                Err(CopyError::InUse { .. }) => std::thread::yield_now(),
                result => break result.unwrap(),
            }
        };
        assert_eq!(report.rows(), 3_000);
        assert!((1_000..3_000).contains(&report.resumed), "{report:?}");
        assert_eq!(schema.number("SELECT count(*) FROM archive"), 3_000);
        schema.connect().unwrap();
        let error = copy_to(&files, &schema).err().unwrap();
        assert!(matches!(error, CopyError::NotEmpty { .. }), "{error}");
    }

    #[test]
    fn a_copy_from_a_lost_server_says_so_and_goes_on() {
        let Some(schema) = Schema::new() else { return };
        let files = Files::new();
        files.run(&many_events(3_000));
        let source = SqliteStore::copy_source(&files.from).unwrap();
        let target = PostgresStore::copy_target(&schema.url()).unwrap();
        let lost = copy_store(source, target, &mut |progress| {
            if progress.done > 1_000 {
                schema.end_sessions();
            }
        });
        let error = lost.err().unwrap();
        assert!(matches!(error, CopyError::Lost { .. }), "{error}");
        assert!(error.to_string().contains("copy again"), "{error}");
        assert!(copy_to(&files, &schema).unwrap().resumed > 1_000);
    }

    #[test]
    fn writers_wait_while_a_database_is_copied() {
        let Some(schema) = Schema::new() else { return };
        let files = Files::new();
        let store = schema.connect().unwrap();
        let accept = |id: &str| {
            let evaluation = evaluation("rule", vec![send("out", 1)], vec![]);
            store.accept(incoming(id), evaluation, at(0)).unwrap()
        };
        accept("1");
        let source = PostgresStore::copy_source(&schema.url()).unwrap();
        let target = SqliteStore::copy_target(&files.to, &OPTIONS).unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| accept("2"));
            // It would have been stored by then.
            std::thread::sleep(std::time::Duration::from_millis(300));
            let report = copy_store(source, target, &mut |_| ()).unwrap();
            assert_eq!(report.tables[0], ("archive".to_owned(), 1));
            waiting.join().unwrap();
        });
        assert_eq!(schema.number("SELECT count(*) FROM archive"), 2);
    }

    #[test]
    fn a_database_is_not_copied_to_itself() {
        let Some(schema) = Schema::new() else { return };
        drop(schema.connect().unwrap());
        let _source = PostgresStore::copy_source(&schema.url()).unwrap();
        let target = PostgresStore::copy_target(&schema.url());
        let error = target.err().unwrap().to_string();
        assert!(error.contains("is the one that is copied"), "{error}");
    }

    #[test]
    fn a_database_of_running_nodes_is_not_copied() {
        let Some(schema) = Schema::new() else { return };
        let files = Files::new();
        drop(schema.connect().unwrap());
        let now = "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)";
        schema.run(&format!(
            "CREATE TABLE IF NOT EXISTS node (
                 number BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, name TEXT,
                 version TEXT, rules TEXT, targets TEXT, joined BIGINT, seen BIGINT,
                 state BIGINT NOT NULL DEFAULT 0);
             INSERT INTO node (name, version, rules, targets, joined, seen)
             VALUES ('east-1', '1', '', '', {now}, {now})"
        ));
        let used = "is in use by the nodes east-1";
        for error in [
            PostgresStore::copy_source(&schema.url()).err().unwrap(),
            PostgresStore::copy_target(&schema.url()).err().unwrap(),
        ] {
            assert!(error.to_string().contains(used), "{error}");
        }
        // It was killed.
        schema.run("UPDATE node SET seen = seen - 16000000");
        let report = copy_to(&files, &schema).unwrap();
        assert_eq!(report.rows(), 0);
        let empty = Schema::new().unwrap();
        let error = PostgresStore::copy_source(&empty.url()).err().unwrap();
        assert!(matches!(error, CopyError::Missing { .. }), "{error}");
    }

    #[test]
    fn numbers_are_not_given_again_after_a_copy() {
        let Some(schema) = Schema::new() else { return };
        let files = Files::new();
        let incident = "INSERT INTO incident (id, rule, window, key, opened, seq, last)
                        VALUES (70, 'r', 1, 'k', 1, 1, 1)";
        files.run(incident);
        files.run("DELETE FROM incident");
        files.run(
            "INSERT INTO silence (id, pattern, begins, until, owner, reason, drops, created)
                   VALUES (7, 'p', 1, 2, 'o', 'r', 0, 1)",
        );
        copy_to(&files, &schema).unwrap();
        let next = |table: &str| {
            schema.number(&format!(
                "SELECT nextval(pg_get_serial_sequence('{table}', 'id'))"
            ))
        };
        assert_eq!(
            [next("incident"), next("silence"), next("audit")],
            [71, 8, 1]
        );
        let source = PostgresStore::copy_source(&schema.url()).unwrap();
        let target = SqliteStore::copy_target(&files.to, &OPTIONS).unwrap();
        copy_store(source, target, &mut |_| ()).unwrap();
        let copied = rusqlite::Connection::open(&files.to).unwrap();
        copied
            .execute(&incident.replace("id, ", "").replace("70, ", ""), ())
            .unwrap();
        assert_eq!(copied.last_insert_rowid(), 72);
    }
}
