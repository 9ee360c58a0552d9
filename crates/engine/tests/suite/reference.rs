//! The examples of the reference are valid, and their tests pass.

use reflexarc::{REFERENCE, RuleSet, RuleSetLimits, Tables};

#[test]
fn every_example_is_valid_and_passes_its_tests() {
    let examples: Vec<_> = REFERENCE
        .split("```toml\n")
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap())
        .collect();
    assert_eq!(examples.len(), 13);
    let (_, table) = REFERENCE.split_once("```csv\n").unwrap();
    let (table, _) = table.split_once("```").unwrap();
    let tables = Tables::parse([("vswitches.csv", table)]).unwrap();
    let mut tests = 0;
    for example in examples {
        let tables = if example.contains("\nlookup = ") {
            tables.clone()
        } else {
            Tables::default()
        };
        let rules = RuleSet::compile_with_tables([("example.toml", example)], &tables);
        let rules = rules.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(rules.warnings(), []);
        for test in rules.test("").iter().flat_map(|report| &report.tests) {
            assert!(test.passed(), "{}: {:?}", test.name, test.mismatches);
            tests += 1;
        }
    }
    assert_eq!(tests, 13);
}

#[test]
fn limits_are_those_of_the_code() {
    let RuleSetLimits { hops, derived, .. } = RuleSetLimits::DEFAULT;
    let limits = RuleSetLimits::DEFAULT;
    let tables = format!(
        "at most {} tables with {} MiB together, a table {} MiB, 1,000,000 rows and {} columns, \
         a value 4,096 bytes, a rule {} lookups",
        limits.tables,
        limits.all_table_bytes >> 20,
        limits.table_bytes >> 20,
        limits.table_columns,
        limits.lookups
    );
    assert_eq!(
        (limits.table_rows, limits.table_cell_bytes),
        (1_000_000, 4_096)
    );
    let text = REFERENCE.replace('\n', " ");
    assert!(text.contains(&tables), "{tables}");
    assert!(text.contains(&format!("at most {hops} hops")), "{hops}");
    assert!(
        text.contains(&format!("and {derived} emitted events")),
        "{derived}"
    );
}
