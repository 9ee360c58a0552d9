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

/// The rows of the tables below a heading, as the text of each cell.
fn cells<'a>(page: &'a str, heading: &str) -> Vec<Vec<&'a str>> {
    let start = format!("\n{heading}\n");
    let (_, section) = page
        .split_once(&start)
        .unwrap_or_else(|| panic!("no {heading}"));
    let section = section.split("\n#").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| row.trim_matches('|').split(" | ").map(str::trim).collect())
        .collect()
}

/// The rows of the tables below a heading: of each row the words between backticks in each cell.
fn rows<'a>(page: &'a str, heading: &str) -> Vec<Vec<Vec<&'a str>>> {
    let code = |cell: &'a str| cell.split('`').skip(1).step_by(2).collect();
    let rows = cells(page, heading).into_iter();
    rows.map(|row| row.into_iter().map(code).collect())
        .collect()
}

/// The defaults below a heading that are a text, a duration or a number, as lines of TOML.
fn defaults(page: &str, heading: &str) -> String {
    let rows = cells(page, heading).into_iter();
    let lines = rows.filter_map(|row| {
        let key = row[0].trim_matches('`');
        let value = row[2].trim_matches('`').replace(',', "");
        let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        (is_number || value.starts_with('"')).then(|| format!("{key} = {value}\n"))
    });
    lines.collect()
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
fn the_defaults_on_the_page_are_those_of_an_empty_file() {
    let page = std::fs::read_to_string(root().join("docs/configuration.md")).unwrap();
    let mut text = defaults(&page, "## Keys above all tables");
    for table in [
        "store",
        "state",
        "archive",
        "dead_letters",
        "http",
        "limits",
        "budgets",
    ] {
        let lines = defaults(&page, &format!("## `[{table}]`"));
        text += &format!("[{table}]\n{lines}");
    }
    assert!(text.lines().count() >= 30, "{text}");
    let read = |text| {
        Config::read(text, Path::new("."), Secrets::Skip)
            .ok()
            .unwrap()
    };
    let (written, empty) = (read(&text), read(""));
    assert_eq!(written.rule_paths, empty.rule_paths);
    assert_eq!(written.log, empty.log);
    assert_eq!(written.shutdown_timeout, empty.shutdown_timeout);
    assert_eq!(written.store, empty.store);
    assert_eq!(written.store_options, empty.store_options);
    assert_eq!(written.retention, empty.retention);
    assert_eq!(written.max_state_entries, empty.max_state_entries);
    assert_eq!(written.listen, empty.listen);
    assert_eq!(written.limits, empty.limits);
    assert_eq!(written.budgets, empty.budgets);
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
