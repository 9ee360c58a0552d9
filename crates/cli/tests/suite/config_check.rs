//! `config check` accepts what `serve` starts with, and nothing else.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use crate::service_process::Workspace;

const THEN: &str = r#"send("out", 1);"#;
const OUT: &str = "[targets.out]\ntype = \"file\"\npath = \"out.ndjson\"\n";
const TOKEN: &str = "[[http.tokens]]\nname = \"t\"\nroles = [\"ingest\"]\n";

/// One fault: its name, what makes it, and what `config check` must print.
type Fault = (&'static str, fn(&Workspace), &'static str);

fn append(workspace: &Workspace, text: &str) {
    let config = std::fs::read_to_string(workspace.path("reflexarc.toml")).unwrap();
    workspace.write("reflexarc.toml", &format!("{config}{text}"));
}

fn prepend(workspace: &Workspace, text: &str) {
    let config = std::fs::read_to_string(workspace.path("reflexarc.toml")).unwrap();
    workspace.write("reflexarc.toml", &format!("{text}{config}"));
}

fn replace(workspace: &Workspace, from: &str, to: &str) {
    let config = std::fs::read_to_string(workspace.path("reflexarc.toml")).unwrap();
    assert!(config.contains(from), "{config}");
    workspace.write("reflexarc.toml", &config.replace(from, to));
}

fn remove_rules(workspace: &Workspace) {
    std::fs::remove_file(workspace.path("rules/failed.toml")).unwrap();
}

const FAULTS: [Fault; 23] = [
    (
        "no configuration",
        |w| std::fs::remove_file(w.path("reflexarc.toml")).unwrap(),
        "cannot read reflexarc.toml",
    ),
    (
        "not TOML",
        |w| w.write("reflexarc.toml", "[http\n"),
        "RA0601",
    ),
    (
        "unknown key",
        |w| prepend(w, "lgo = 1\n"),
        "did you mean `log`?",
    ),
    (
        "invalid log filter",
        |w| replace(w, "\"info\"", "\"a=b=c\""),
        "log filter",
    ),
    (
        "no rules folder",
        |w| std::fs::remove_dir_all(w.path("rules")).unwrap(),
        "cannot read rules",
    ),
    ("folder without rules", remove_rules, "no rules in rules"),
    (
        "rules in hidden files only",
        |w| {
            remove_rules(w);
            w.write("rules/.hidden.toml", "when = 'a exists'\nnotify = 'out'\n");
        },
        "no rules in rules",
    ),
    (
        "a rule that is not UTF-8",
        |w| std::fs::write(w.path("rules/b.toml"), b"\xff").unwrap(),
        "not UTF-8",
    ),
    (
        "a rule that is a broken link",
        |w| std::os::unix::fs::symlink("nowhere", w.path("rules/b.toml")).unwrap(),
        "cannot read rules/b.toml",
    ),
    (
        "a broken rule",
        |w| w.write("rules/b.toml", "when = 'a =='\nnotify = 'out'\n"),
        "rules/b.toml:1:",
    ),
    (
        "two rules of one name",
        |w| {
            std::fs::create_dir(w.path("rules/more")).unwrap();
            w.write(
                "rules/more/failed.toml",
                "when = 'a exists'\nnotify = 'out'\n",
            );
        },
        "RA0406",
    ),
    (
        "an unknown target",
        |w| w.write("rules/b.toml", "when = 'a exists'\nnotify = 'uot'\n"),
        "did you mean `out`?",
    ),
    (
        "rules elsewhere",
        |w| prepend(w, "rules = \"missing.toml\"\n"),
        "cannot read missing.toml",
    ),
    (
        "a missing token file",
        |w| append(w, &format!("{TOKEN}token = {{ file = \"missing\" }}\n")),
        "cannot read missing",
    ),
    (
        "an empty token file",
        |w| {
            w.write("empty", "\n");
            append(w, &format!("{TOKEN}token = {{ file = \"empty\" }}\n"));
        },
        "is empty",
    ),
    (
        "a token variable that is not set",
        |w| {
            append(
                w,
                &format!("{TOKEN}token = {{ env = \"REFLEXARC_UNSET\" }}\n"),
            );
        },
        "REFLEXARC_UNSET is not set",
    ),
    (
        "missing certificate files",
        |w| append(w, "[http.tls]\ncertificate = \"c.pem\"\nkey = \"k.pem\"\n"),
        "cannot read c.pem",
    ),
    (
        "a certificate that is none",
        |w| {
            w.write("c.pem", "x");
            append(w, "[http.tls]\ncertificate = \"c.pem\"\nkey = \"c.pem\"\n");
        },
        "RA0604",
    ),
    (
        "a public address without tokens",
        |w| replace(w, "127.0.0.1", "0.0.0.0"),
        "missing tokens",
    ),
    (
        "an address of another machine",
        |w| replace(w, "127.0.0.1", "[2001:db8::1]"),
        "missing tokens",
    ),
    (
        "a store in a missing folder",
        |w| append(w, "[store]\npath = \"missing/reflexarc.db\"\n"),
        "cannot write the store missing/reflexarc.db",
    ),
    (
        "a store that is a folder",
        |w| append(w, "[store]\npath = \"rules\"\n"),
        "cannot write the store rules: it is not a file",
    ),
    (
        "a store of another program",
        |w| w.write("reflexarc.db", &"not a store ".repeat(100)),
        "is not a reflexarc store",
    ),
];

#[test]
fn config_check_finds_every_fault_that_serve_ends_with() {
    let valid = Workspace::new(THEN, OUT);
    let check = valid.run(&["config", "check"]);
    assert_eq!(check.code, 0, "{}", check.stderr);
    for (name, make, expected) in FAULTS {
        let workspace = Workspace::new(THEN, OUT);
        make(&workspace);
        let served = workspace.run(&["serve"]);
        assert!(matches!(served.code, 3 | 5), "{name}: {}", served.stderr);
        let checked = workspace.run(&["config", "check"]);
        assert_eq!(checked.code, 3, "{name}: {}", checked.stdout);
        assert!(
            checked.stderr.contains(expected),
            "{name}: {}",
            checked.stderr
        );
        assert_eq!(checked.stdout, "", "{name}");
    }
}

#[test]
fn files_that_targets_lack_are_warnings() {
    let workspace = Workspace::new(THEN, OUT);
    append(
        &workspace,
        "[targets.a]\ntype = \"file\"\npath = \"missing/a.ndjson\"\n\
         [targets.b]\ntype = \"command\"\nargv = [\"/missing/page\", \"x\"]\n\
         [targets.c]\ntype = \"command\"\nargv = [\"cat\"]\nfolder = \"nowhere\"\n",
    );
    let checked = workspace.run(&["config", "check"]);
    assert_eq!(checked.code, 0, "{}", checked.stderr);
    for part in [
        "missing does not exist",
        "/missing/page does",
        "nowhere does not exist",
    ] {
        assert!(checked.stderr.contains(part), "{part}: {}", checked.stderr);
    }
    let warnings = checked.stderr.matches("warning[RA0600]").count();
    assert_eq!(warnings, 3, "{}", checked.stderr);
}

#[test]
fn all_faults_are_reported_at_once() {
    let workspace = Workspace::new(THEN, OUT);
    remove_rules(&workspace);
    append(&workspace, "[store]\npath = \"missing/reflexarc.db\"\n");
    let checked = workspace.run(&["config", "check"]);
    for part in ["no rules in rules", "cannot write the store"] {
        assert!(checked.stderr.contains(part), "{}", checked.stderr);
    }
}

/// The unit's `ExecStartPre`, and operators beside a running service.
#[test]
fn a_running_service_is_not_disturbed() {
    let workspace = Workspace::new(THEN, OUT);
    let service = workspace.serve();
    let checked = workspace.run(&["config", "check"]);
    assert_eq!(checked.code, 0, "{}", checked.stderr);
    assert_eq!(service.call("GET", "/readyz", "").unwrap().0, 200);
    assert_eq!(service.terminate(), 0);
}

#[test]
fn checking_creates_nothing() {
    let workspace = Workspace::new(THEN, OUT);
    assert_eq!(workspace.run(&["config", "check"]).code, 0);
    let entries = std::fs::read_dir(workspace.folder.path()).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["reflexarc.toml", "rules"]);
}

#[test]
fn a_folder_that_cannot_be_written_is_found() {
    let workspace = Workspace::new(THEN, OUT);
    let folder = workspace.path("read-only");
    std::fs::create_dir(&folder).unwrap();
    append(&workspace, "[store]\npath = \"read-only/reflexarc.db\"\n");
    std::fs::set_permissions(&folder, Permissions::from_mode(0o555)).unwrap();
    // Root may write everywhere; then there is nothing to find.
    let expected = if std::fs::write(folder.join("x"), "").is_ok() {
        0
    } else {
        3
    };
    assert_eq!(workspace.run(&["config", "check"]).code, expected);
}
