//! The pages of `docs/` that are made from the program: `INSTA_UPDATE=always` writes them anew.

use reflexarc_diagnostic::Code;

use crate::documented::commands;
use crate::{reflexarc, root};

/// The areas of diagnostic codes, by their first two digits.
const AREAS: [&str; 8] = [
    "Events",
    "Syntax of filters",
    "Meaning of filters",
    "Dialects",
    "Rule files",
    "Reactions",
    "Configuration and service",
    "Simulation and import",
];

#[test]
fn the_page_of_diagnostics_is_that_of_the_registry() {
    let mut page = "# Diagnostics\n\nEvery finding of `check`, `explain`, `config check` and \
                    `import` has a code, whose meaning does not change. `reflexarc help RA0101` \
                    prints\nthe explanation of one, and `reflexarc help codes` lists all. A \
                    warning or hint is left out for one rule by `allow = [\"RA0214\"]` in its\n\
                    file, and for one run by `reflexarc check --allow RA0214`.\n\nThis page is \
                    made from the registry of the program.\n"
        .to_owned();
    let mut area = None;
    for code in Code::ALL {
        let own = usize::from(code.number() / 100);
        if area.replace(own) != Some(own) {
            page += &format!("\n## {}\n", AREAS[own]);
        }
        let explanation = code.explanation();
        page += &format!("\n### {code}\n\n**{}.**\n\n{explanation}\n", code.title());
    }
    assert_is_page("docs/diagnostics.md", &page);
}

#[test]
fn the_page_of_commands_is_that_of_help() {
    let mut page =
        "# Commands\n\n`reflexarc help COMMAND` prints the same. Every command also has \
                    `--help`, and `--color auto`, `always` or `never`; both are left out\nbelow. \
                    This page is made from the program.\n"
            .to_owned();
    let own = reflexarc(&["--help"]).stdout;
    page += &format!(
        "\n## `reflexarc`\n\n```text\n{}\n```\n",
        without_shared_options(&own)
    );
    for name in commands() {
        add_command(&mut page, &[&name]);
    }
    assert_is_page("docs/cli.md", &page);
}

/// Adds the help of a command and of the commands below it.
fn add_command(page: &mut String, path: &[&str]) {
    // `help` has no options, and `help help` prints a topic.
    if path == ["help"] {
        return;
    }
    let help = reflexarc(&[path, &["--help"]].concat()).stdout;
    let marks = "#".repeat(path.len() + 1);
    let shown = without_shared_options(&help);
    *page += &format!(
        "\n{marks} `reflexarc {}`\n\n```text\n{shown}\n```\n",
        path.join(" ")
    );
    for name in subcommands(&help) {
        add_command(page, &[path, &[name.as_str()]].concat());
    }
}

fn subcommands(help: &str) -> Vec<String> {
    let Some((_, list)) = help.split_once("\nCommands:\n") else {
        return Vec::new();
    };
    let lines = list.lines().take_while(|line| line.starts_with("  "));
    let names = lines.filter(|line| !line.starts_with("   "));
    let names = names.filter_map(|line| line.split_whitespace().next());
    names
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

/// A help text without `--color` and `--help`.
fn without_shared_options(help: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut is_shared = false;
    for line in help.lines() {
        let is_option = line.starts_with("      --") || line.starts_with("  -");
        if is_option {
            is_shared = ["      --color", "  -h, --help"]
                .iter()
                .any(|shared| line.starts_with(shared));
        } else if !line.starts_with("   ") && !line.is_empty() {
            is_shared = false;
        }
        if !is_shared {
            kept.push(line.trim_end());
        }
    }
    // Nothing is left of the options of some commands.
    let kept = kept.join("\n").replace("\nOptions:\n\n", "\n");
    kept.trim().trim_end_matches("\nOptions:").trim().to_owned()
}

fn assert_is_page(name: &str, page: &str) {
    let path = root().join(name);
    if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
        std::fs::write(&path, page).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let is_page = written == page;
    assert!(
        is_page,
        "{name} is out of date: run this test with INSTA_UPDATE=always"
    );
}
