//! `docs/configuration.md` has exactly the keys that the program reads.
//!
//! The reader lists the keys that it knows when it finds an unknown one, so a configuration with
//! such a key in a table says what the page must have.

use std::collections::BTreeSet;
use std::path::Path;

use reflexarc_service::Config;
use reflexarc_service::config::{Secrets, TEMPLATE};

use crate::root;

type Keys = BTreeSet<String>;

/// A key that resembles no other.
const UNKNOWN: &str = "qzqzqzqzqzqz";

/// The rows of the tables below a heading: of each row the words between backticks in each cell.
fn rows<'a>(page: &'a str, heading: &str) -> Vec<Vec<Vec<&'a str>>> {
    let start = format!("\n{heading}\n");
    let (_, section) = page
        .split_once(&start)
        .unwrap_or_else(|| panic!("no {heading}"));
    let section = section.split("\n#").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells = row.trim_matches('|').split(" | ");
        cells
            .map(|cell| cell.split('`').skip(1).step_by(2).collect())
            .collect()
    })
    .collect()
}

/// The keys in the first column of the tables below a heading.
fn keys_of(page: &str, heading: &str) -> Keys {
    let rows = rows(page, heading);
    rows.iter()
        .flat_map(|row| &row[0])
        .map(|key| (*key).to_owned())
        .collect()
}

/// The keys that the program knows in the table that this text opens; `None` if it was built
/// without what reads it.
fn known(table: &str) -> Option<Keys> {
    let text = format!("{table}\n{UNKNOWN} = 1\n");
    let error = Config::read(&text, Path::new("."), Secrets::Skip)
        .err()
        .unwrap();
    let diagnostics: Vec<_> = error.diagnostics().collect();
    if diagnostics
        .iter()
        .any(|found| found.message.contains("was built without"))
    {
        return None;
    }
    let unknown = diagnostics
        .iter()
        .find(|found| found.message.contains(UNKNOWN));
    let help = unknown.and_then(|found| found.help.as_deref());
    let list = help.and_then(|help| help.strip_prefix("expected one of: "));
    let list = list.unwrap_or_else(|| panic!("{table}: {diagnostics:?}"));
    Some(list.split(", ").map(str::to_owned).collect())
}

#[test]
fn the_page_has_every_table_and_key() {
    let page = std::fs::read_to_string(root().join("docs/configuration.md")).unwrap();
    let headings = page.lines().filter_map(|line| line.strip_prefix("## `["));
    let mut tables = Keys::new();
    for heading in headings.map(|heading| format!("[{}", heading.trim_end_matches('`'))) {
        tables.insert(
            heading
                .trim_matches(['[', ']'])
                .split('.')
                .next()
                .unwrap()
                .to_owned(),
        );
        let table = match heading.as_str() {
            // Their tables are checked below.
            "[targets.NAME]" => continue,
            "[sources.NAME]" => "[sources.events]\ntype = \"jetstream\"",
            table => table,
        };
        let documented = keys_of(&page, &format!("## `{heading}`"));
        if let Some(known) = known(table) {
            assert_eq!(documented, known, "{heading}");
        }
    }
    let mut documented = keys_of(&page, "## Keys above all tables");
    documented.extend(tables);
    assert_eq!(Some(documented), known(""));
    let budget = known("[budgets.rules.one]").unwrap();
    let mut of_all = keys_of(&page, "## `[budgets]`");
    of_all.remove("rules");
    assert_eq!(of_all, budget);
}

#[test]
fn the_page_has_every_key_of_each_target() {
    let page = std::fs::read_to_string(root().join("docs/configuration.md")).unwrap();
    let mut shared = keys_of(&page, "### Keys of every type");
    shared.extend(keys_of(&page, "### Keys of several types"));
    let types = rows(&page, "### Types");
    assert_eq!(types.len(), 14);
    for row in types {
        let kind = row[0][0];
        let Some(known) = known(&format!("[targets.one]\ntype = \"{kind}\"")) else {
            continue;
        };
        let own: Keys = row[1].iter().map(|key| (*key).to_owned()).collect();
        let unknown: Vec<_> = own.difference(&known).collect();
        assert!(unknown.is_empty(), "{kind} does not read {unknown:?}");
        let documented: Keys = own.union(&shared).cloned().collect();
        let missing: Vec<_> = known.difference(&documented).collect();
        assert!(missing.is_empty(), "the page lacks {missing:?} of {kind}");
    }
    for kind in ["email", "command"] {
        let heading = page
            .lines()
            .find(|line| line.starts_with(&format!("### `{kind}`")));
        let described = keys_of(&page, heading.unwrap());
        let types = rows(&page, "### Types");
        let listed = types.iter().find(|row| row[0][0] == kind).unwrap();
        for key in &listed[1] {
            assert!(described.contains(*key), "{kind}: {key}");
        }
    }
}

#[test]
fn every_key_of_the_template_is_on_the_page() {
    let page = std::fs::read_to_string(root().join("docs/configuration.md")).unwrap();
    let code: BTreeSet<&str> = page.split('`').skip(1).step_by(2).collect();
    let mut count = 0;
    for line in TEMPLATE.lines() {
        let line = line.trim_start_matches("# ").trim_start();
        let Some((key, _)) = line.split_once(" = ") else {
            continue;
        };
        let is_key = key
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        // The targets of the ready-made rules are names.
        if is_key && !["cmdb", "ipam"].contains(&key) {
            count += 1;
            assert!(code.contains(key), "{key}");
        }
    }
    assert!(count >= 60, "{count}");
}
