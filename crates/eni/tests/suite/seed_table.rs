//! Everything that the table in `docs/seed.md` names exists.
#![allow(
    clippy::disallowed_methods,
    reason = "the test reads the table and the files that it names"
)]

use std::path::{Path, PathBuf};

#[test]
fn every_reference_in_the_table_exists() {
    let text = std::fs::read_to_string(root().join("docs/seed.md")).unwrap();
    let named: Vec<&str> = text
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|name| is_reference(name))
        .collect();
    assert!(
        named.len() > 60,
        "only {} references were found",
        named.len()
    );
    for name in named {
        let (file, function) = name
            .split_once("::")
            .map_or((name, None), |(file, function)| (file, Some(function)));
        let path = root().join(file);
        let source = std::fs::read_to_string(&path);
        let source = source.unwrap_or_else(|error| panic!("`{name}` in docs/seed.md: {error}"));
        if let Some(function) = function {
            let defined = ["fn", "def"]
                .iter()
                .any(|keyword| source.contains(&format!("{keyword} {function}(")));
            assert!(defined, "docs/seed.md: {file} has no function {function}");
        }
    }
}

#[test]
fn every_row_names_a_test() {
    let text = std::fs::read_to_string(root().join("docs/seed.md")).unwrap();
    let rows = text
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| The page says"));
    for row in rows.filter(|row| {
        !row.starts_with("| Member |")
            && !row.starts_with("| Row |")
            && !row.contains("the table below")
    }) {
        let last = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        assert!(
            last.split('`').any(|name| name.contains("::")),
            "no test in: {row}"
        );
    }
}

/// References begin with a folder of the repository; other code spans are values of the page.
fn is_reference(name: &str) -> bool {
    ["crates/", "tests/", "examples/", "rules/", "docs/"]
        .iter()
        .any(|folder| name.starts_with(folder))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}
