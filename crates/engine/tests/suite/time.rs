//! Rules with time windows: the rule files of `tests/corpus/time`, whose tests are cases.

use reflexarc::RuleSet;

#[test]
fn the_cases_of_the_corpus_hold() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/corpus/time");
    let rules = RuleSet::load(folder).unwrap();
    let mut count = 0;
    for report in rules.test("") {
        for test in &report.tests {
            count += 1;
            assert!(
                test.passed(),
                "{}:{} {}: {:#?}",
                report.file,
                test.line,
                test.name,
                test.mismatches
            );
        }
    }
    assert!(count > 20, "{count} cases");
}
