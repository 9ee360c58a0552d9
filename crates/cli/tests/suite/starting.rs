//! What new users begin with: `init`, `completions` and `man`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::readme::{blocks, install_section};
use crate::{reflexarc, root};

/// Runs the program in a folder.
fn run_in(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_reflexarc"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let code = output.status.code().unwrap();
    (code, text(output.stdout), text(output.stderr))
}

/// All files below a folder, with their contents.
fn files(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let text = fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
    found.sort();
    found
}

#[test]
fn init_creates_a_folder_in_which_its_next_commands_work() {
    let folder = tempfile::tempdir().unwrap();
    let (code, stdout, stderr) = run_in(folder.path(), &["init", "my alerts"]);
    assert_eq!((code, stderr.as_str()), (0, ""), "{stdout}");
    assert!(
        stdout.contains("created my alerts/rules/failed-attach.toml\n"),
        "{stdout}"
    );
    assert!(stdout.contains("\nNext:\n  cd 'my alerts'\n"), "{stdout}");
    let created = folder.path().join("my alerts");

    let next: Vec<&str> = stdout
        .lines()
        .filter(|line| line.starts_with("  reflexarc "))
        .collect();
    assert_eq!(next.len(), 3, "{stdout}");
    assert!(next[0].starts_with("  reflexarc test ") && next[2].starts_with("  reflexarc serve "));
    let (code, tests, _) = run_in(&created, &["test"]);
    assert_eq!(code, 0, "{tests}");
    assert!(tests.ends_with("3 rules: 5 passed, 0 failed\n"), "{tests}");
    let (code, run, stderr) = run_in(&created, &["run", "rules", "events.ndjson"]);
    assert_eq!((code, stderr.as_str()), (0, ""), "{run}");
    assert!(
        run.contains("→ operators [critical] eni-bp1d8f3h6j9l2n4p could not be"),
        "{run}"
    );
    assert!(run.contains("pending: stuck-detach 1"), "{run}");
    // What `serve` checks.
    let arguments = ["config", "check", "--without-secrets"];
    let (code, checked, stderr) = run_in(&created, &arguments);
    assert_eq!((code, stderr.as_str()), (0, ""), "{checked}");
    for arguments in [
        &["fmt", "rules", "--check"][..],
        &["check", "--deny-warnings"],
    ] {
        let (code, stdout, stderr) = run_in(&created, arguments);
        assert_eq!(code, 0, "{arguments:?}\n{stdout}{stderr}");
    }
    for (name, kind) in [("rule", "rule"), ("config", "config")] {
        let written = created.join(format!(".reflexarc/{name}.schema.json"));
        let written = fs::read_to_string(written).unwrap();
        assert_eq!(written, reflexarc(&["schema", kind]).stdout);
    }
    let editor = fs::read_to_string(created.join(".vscode/settings.json")).unwrap();
    let editor: serde_json::Value = serde_json::from_str(&editor).unwrap();
    let schemas = editor["evenBetterToml.schema.associations"]
        .as_object()
        .unwrap();
    for schema in schemas.values() {
        assert!(created.join(schema.as_str().unwrap()).is_file(), "{schema}");
    }
}

#[test]
fn init_overwrites_nothing() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(run_in(folder.path(), &["init"]).0, 0);
    let before = files(folder.path());
    let (code, stdout, stderr) = run_in(folder.path(), &["init"]);
    assert_eq!((code, stdout.as_str()), (2, ""));
    assert!(
        stderr.contains("nothing was written, because of what exists already: rules, events.ndjson, reflexarc.toml"),
        "{stderr}"
    );
    assert_eq!(files(folder.path()), before);

    // One of them is enough, also a link that leads nowhere.
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("nowhere", folder.path().join("events.ndjson")).unwrap();
    let (code, _, stderr) = run_in(folder.path(), &["init", "."]);
    assert_eq!(code, 2, "{stderr}");
    assert!(
        stderr.contains("exists already: events.ndjson;"),
        "{stderr}"
    );
    assert!(!folder.path().join("rules").exists());
}

#[test]
fn init_keeps_settings_of_editors_and_an_empty_folder() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("rules")).unwrap();
    fs::create_dir(folder.path().join(".vscode")).unwrap();
    fs::write(folder.path().join(".vscode/settings.json"), "{}").unwrap();
    let (code, stdout, _) = run_in(folder.path(), &["init"]);
    assert_eq!(code, 0, "{stdout}");
    assert!(
        stdout.contains("kept    .vscode/settings.json, which exists already\n"),
        "{stdout}"
    );
    assert!(!stdout.contains("  cd "), "{stdout}");
    let settings = fs::read_to_string(folder.path().join(".vscode/settings.json")).unwrap();
    assert_eq!(settings, "{}");
    assert!(folder.path().join(".vscode/extensions.json").is_file());
}

#[test]
fn init_removes_what_it_wrote_when_a_file_cannot_be_written() {
    let folder = tempfile::tempdir().unwrap();
    // A file where a folder is needed, after the rules in the order of writing.
    fs::write(folder.path().join(".reflexarc"), "").unwrap();
    let (code, _, stderr) = run_in(folder.path(), &["init"]);
    assert_eq!(code, 5, "{stderr}");
    assert!(
        stderr.contains("cannot write ./.reflexarc/rule.schema.json: "),
        "{stderr}"
    );
    let left: Vec<_> = files(folder.path());
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn shells_accept_completions() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = reflexarc(&["completions", shell]);
        assert_eq!(script.code, 0, "{}", script.stderr);
        for word in ["init", "completions", "dlq", "--coverage", "--until"] {
            let word = word.trim_start_matches("--");
            assert!(script.stdout.contains(word), "{shell}: {word}");
        }
    }
    assert_eq!(reflexarc(&["completions", "tcsh"]).code, 2);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("reflexarc.bash");
    fs::write(&path, reflexarc(&["completions", "bash"]).stdout).unwrap();
    // Reads the script, then completes a command as the shell would.
    let complete = "source \"$0\" && COMP_WORDS=(reflexarc comp) COMP_CWORD=1 && \
                    _reflexarc reflexarc comp reflexarc && echo \"${COMPREPLY[@]}\"";
    let check = Command::new("bash").arg("-n").arg(&path).output().unwrap();
    assert!(
        check.status.success(),
        "{}",
        String::from_utf8_lossy(&check.stderr)
    );
    let arguments = ["-c", complete, path.to_str().unwrap()];
    let completed = Command::new("bash").args(arguments).output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&completed.stdout).trim(),
        "completions"
    );
}

#[test]
fn every_command_has_a_manual_page() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("share/man1");
    let (code, _, stderr) = run_in(folder.path(), &["man", "share/man1"]);
    assert_eq!(code, 0, "{stderr}");
    for page in [
        "reflexarc.1",
        "reflexarc-run.1",
        "reflexarc-target-test.1",
        "reflexarc-man.1",
    ] {
        let text = fs::read_to_string(pages.join(page)).unwrap();
        assert!(
            text.contains(".SH NAME") && text.contains(".SH SYNOPSIS"),
            "{page}: {text}"
        );
    }
    let main = fs::read_to_string(pages.join("reflexarc.1")).unwrap();
    assert_eq!(reflexarc(&["man"]).stdout, main);
    // Again, over what exists.
    assert_eq!(run_in(folder.path(), &["man", "share/man1"]).0, 0);
}

/// The commands of README about installing are those of the page, which a test of Python runs.
#[test]
fn the_readme_installs_with_commands_of_the_quickstart() {
    let read = |path: &str| fs::read_to_string(root().join(path)).unwrap();
    let (readme, page) = (read("README.md"), read("docs/quickstart.md"));
    let first = install_section(&readme);
    assert!(first.contains("](docs/quickstart.md)"), "{first}");
    let of_page = blocks(&page, "sh");
    let of_page: Vec<&str> = of_page.iter().flat_map(|block| block.lines()).collect();
    let commands = blocks(first, "sh");
    let commands: Vec<&str> = commands.iter().flat_map(|block| block.lines()).collect();
    assert_eq!(commands.len(), 8, "{commands:?}");
    for command in commands {
        let command = command.split("  ").next().unwrap();
        assert!(of_page.contains(&command), "{command}");
    }
}
