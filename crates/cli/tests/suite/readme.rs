//! The commands of the README run, and the files that ARCHITECTURE.md names exist.

use std::path::Path;
use std::process::Command;

use crate::{reflexarc_in, root};

/// The code blocks of one language, in order.
pub(crate) fn blocks(text: &str, language: &str) -> Vec<String> {
    let opening = format!("```{language}\n");
    text.split(&opening)
        .skip(1)
        .map(|rest| rest.split("```").next().unwrap().to_owned())
        .collect()
}

/// The section of README about installing.
pub(crate) fn install_section(readme: &str) -> &str {
    let (_, section) = readme.split_once("## Install\n").unwrap();
    section.split("\n## ").next().unwrap()
}

#[test]
fn every_readme_command_runs_and_prints() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    for name in ["rules", "examples"] {
        copy(&root().join(name), &folder.path().join(name));
    }
    let rules = blocks(&readme, "toml");
    assert_eq!(rules.len(), 4);
    for rule in &rules {
        let name = rule.lines().next().unwrap().trim_start_matches("# ");
        std::fs::write(folder.path().join(name), rule).unwrap();
    }

    // Those of this section are tested with docs/quickstart.md.
    let tested = readme.replace(install_section(&readme), "");
    let commands: Vec<_> = blocks(&tested, "sh")
        .iter()
        .flat_map(|block| block.lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    assert!(commands.len() >= 7, "{commands:?}");
    // What a machine with nothing runs first.
    assert!(commands[0].starts_with("cargo run --release -- run"));
    assert_eq!(commands[1], "tests/run");
    for command in commands {
        if command == "tests/run" {
            assert!(root().join("tests/run").exists());
            continue;
        }
        let line = command.replace("cargo run --release --", "reflexarc");
        let line = line.replacen("reflexarc", env!("CARGO_BIN_EXE_reflexarc"), 1);
        assert_ne!(line, command, "this command is not tested");
        let output = Command::new("sh")
            .args(["-c", &line])
            .current_dir(folder.path())
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command}\n{stderr}");
        assert!(!output.stdout.is_empty(), "{command} prints nothing");
    }
}

#[test]
fn the_table_of_the_readme_is_the_one_beside_the_rules() {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).unwrap();
    let tables = blocks(&read("README.md"), "csv");
    assert_eq!(tables, [read("rules/tables/vswitches.csv")]);
    // The rule that looks up rows of it is valid beside them.
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("tables/vswitches.csv");
    std::fs::create_dir(table.parent().unwrap()).unwrap();
    std::fs::write(table, read("rules/tables/vswitches.csv")).unwrap();
    let rules = blocks(&read("README.md"), "toml");
    let rule = rules.iter().find(|rule| rule.contains("lookup =")).unwrap();
    std::fs::write(folder.path().join("attach-storm.toml"), rule).unwrap();
    let check = reflexarc_in(folder.path(), &["check", ".", "--deny-warnings"], b"");
    assert_eq!(check.code, 0, "{}", check.stderr);
}

#[test]
fn the_first_command_prints_the_documented_event() {
    let run = reflexarc_in(
        &root(),
        &["run", "rules", "examples/eni-events.ndjson"],
        b"",
    );
    assert_eq!(run.code, 0, "{}", run.stderr);
    let first = run.stdout.lines().next().unwrap();
    assert!(
        first.starts_with(
            "line 1  NetworkInterface:NetworkInterfaceOperateCompleted  AttachNetworkInterface"
        ),
        "{first}"
    );
    assert!(run.stdout.contains("→ cmdb "), "{}", run.stdout);
}

pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap().path();
        let target = to.join(entry.file_name().unwrap());
        if entry.is_dir() {
            copy(&entry, &target);
        } else {
            std::fs::copy(&entry, target).unwrap();
        }
    }
}

#[test]
fn every_file_that_the_documents_name_exists() {
    let mut files = Vec::new();
    list(&root().join("crates"), &mut files);
    for document in ["ARCHITECTURE.md", "CONTRIBUTING.md"] {
        let text = std::fs::read_to_string(root().join(document)).unwrap();
        let code = text.split('`').skip(1).step_by(2);
        let named: Vec<_> = code
            .filter(|name| [".rs", ".md", "/"].iter().any(|end| name.ends_with(end)))
            .filter(|name| !name.contains(' '))
            .collect();
        assert!(named.len() >= 15, "{document}: {named:?}");
        for name in named {
            let path = root().join(name);
            let ending = format!("/{}", name.trim_end_matches('/'));
            let found = path.exists() || files.iter().any(|file| file.ends_with(&ending));
            assert!(found, "{document}: {name}");
        }
    }
}

/// Every file and folder below `folder`, without build output.
fn list(folder: &Path, files: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        files.push(path.to_str().unwrap().to_owned());
        let is_output = path.ends_with("target") && !path.ends_with("src/target");
        if path.is_dir() && !is_output {
            list(&path, files);
        }
    }
}
