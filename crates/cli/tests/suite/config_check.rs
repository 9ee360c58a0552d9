//! `config check` accepts what `serve` starts with, and nothing else.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use self::Change::{Append, Other, Prepend, Replace, Token, Write};
use crate::service_process::Workspace;

const THEN: &str = r#"send("out", 1);"#;
const OUT: &str = "[targets.out]\ntype = \"file\"\npath = \"out.ndjson\"\n";

/// One fault: its name, what makes it in a valid workspace, and what `config check` must print.
type Fault = (&'static str, Change, &'static str);

/// A change of a workspace.
enum Change {
    /// Adds text to the end of the configuration.
    Append(&'static str),
    /// Adds a token with this value to the configuration.
    Token(&'static str),
    /// Adds text to the beginning of the configuration.
    Prepend(&'static str),
    /// Replaces text in the configuration.
    Replace(&'static str, &'static str),
    /// Writes a file.
    Write(&'static str, &'static str),
    Other(fn(&Workspace)),
}

impl Change {
    fn make(&self, workspace: &Workspace) {
        let config = || std::fs::read_to_string(workspace.path("reflexarc.toml")).unwrap();
        let write = |text: &str| workspace.write("reflexarc.toml", text);
        match self {
            Self::Append(text) => write(&format!("{}{text}", config())),
            Self::Token(value) => {
                const TOKEN: &str = "[[http.tokens]]\nname = \"t\"\nroles = [\"ingest\"]\n";
                write(&format!("{}{TOKEN}token = {value}\n", config()));
            }
            Self::Prepend(text) => write(&format!("{text}{}", config())),
            Self::Replace(from, to) => {
                assert!(config().contains(from), "{}", config());
                write(&config().replace(from, to));
            }
            Self::Write(path, text) => workspace.write(path, text),
            Self::Other(make) => make(workspace),
        }
    }
}

fn remove_rules(workspace: &Workspace) {
    std::fs::remove_file(workspace.path("rules/failed.toml")).unwrap();
}

const FAULTS: [Fault; 23] = [
    (
        "no configuration",
        Other(|w| std::fs::remove_file(w.path("reflexarc.toml")).unwrap()),
        "cannot read reflexarc.toml",
    ),
    ("not TOML", Write("reflexarc.toml", "[http\n"), "RA0601"),
    ("unknown key", Prepend("lgo = 1\n"), "did you mean `log`?"),
    (
        "invalid log filter",
        Replace("\"info\"", "\"a=b=c\""),
        "log filter",
    ),
    (
        "no rules folder",
        Other(|w| std::fs::remove_dir_all(w.path("rules")).unwrap()),
        "cannot read rules",
    ),
    (
        "folder without rules",
        Other(remove_rules),
        "no rules in rules",
    ),
    (
        "rules in hidden files only",
        Other(|w| {
            remove_rules(w);
            w.write("rules/.hidden.toml", "when = 'a exists'\nnotify = 'out'\n");
        }),
        "no rules in rules",
    ),
    (
        "a rule that is not UTF-8",
        Other(|w| std::fs::write(w.path("rules/b.toml"), b"\xff").unwrap()),
        "not UTF-8",
    ),
    (
        "a rule that is a broken link",
        Other(|w| std::os::unix::fs::symlink("nowhere", w.path("rules/b.toml")).unwrap()),
        "cannot read rules/b.toml",
    ),
    (
        "a broken rule",
        Write("rules/b.toml", "when = 'a =='\nnotify = 'out'\n"),
        "rules/b.toml:1:",
    ),
    (
        "two rules of one name",
        Other(|w| {
            std::fs::create_dir(w.path("rules/more")).unwrap();
            let rule = "when = 'a exists'\nnotify = 'out'\n";
            w.write("rules/more/failed.toml", rule);
        }),
        "RA0406",
    ),
    (
        "an unknown target",
        Write("rules/b.toml", "when = 'a exists'\nnotify = 'uot'\n"),
        "did you mean `out`?",
    ),
    (
        "rules elsewhere",
        Prepend("rules = \"missing.toml\"\n"),
        "cannot read missing.toml",
    ),
    (
        "a missing token file",
        Token("{ file = \"missing\" }"),
        "cannot read missing",
    ),
    (
        "an empty token file",
        Other(|w| {
            w.write("empty", "\n");
            Token("{ file = \"empty\" }").make(w);
        }),
        "is empty",
    ),
    (
        "a token variable that is not set",
        Token("{ env = \"REFLEXARC_UNSET\" }"),
        "REFLEXARC_UNSET is not set",
    ),
    (
        "missing certificate files",
        Append("[http.tls]\ncertificate = \"c.pem\"\nkey = \"k.pem\"\n"),
        "cannot read c.pem",
    ),
    (
        "a certificate that is none",
        Other(|w| {
            w.write("c.pem", "x");
            Append("[http.tls]\ncertificate = \"c.pem\"\nkey = \"c.pem\"\n").make(w);
        }),
        "RA0604",
    ),
    (
        "a public address without tokens",
        Replace("127.0.0.1", "0.0.0.0"),
        "missing tokens",
    ),
    (
        "an address of another machine",
        Replace("127.0.0.1", "[2001:db8::1]"),
        "missing tokens",
    ),
    (
        "a store in a missing folder",
        Append("[store]\npath = \"missing/reflexarc.db\"\n"),
        "cannot write the store missing/reflexarc.db",
    ),
    (
        "a store that is a folder",
        Append("[store]\npath = \"rules\"\n"),
        "cannot write the store rules: it is not a file",
    ),
    (
        "a store of another program",
        Other(|w| w.write("reflexarc.db", &"not a store ".repeat(100))),
        "is not a reflexarc store",
    ),
];

#[test]
fn config_check_finds_every_fault_that_serve_ends_with() {
    let valid = Workspace::new(THEN, OUT);
    let check = valid.run(&["config", "check"]);
    assert_eq!(check.code, 0, "{}", check.stderr);
    for (name, change, expected) in FAULTS {
        let workspace = Workspace::new(THEN, OUT);
        change.make(&workspace);
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
    Append(
        "[targets.a]\ntype = \"file\"\npath = \"missing/a.ndjson\"\n\
         [targets.b]\ntype = \"command\"\nargv = [\"/missing/page\", \"x\"]\n\
         [targets.c]\ntype = \"command\"\nargv = [\"cat\"]\nfolder = \"nowhere\"\n",
    )
    .make(&workspace);
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
    Append("[store]\npath = \"missing/reflexarc.db\"\n").make(&workspace);
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
    Append("[store]\npath = \"read-only/reflexarc.db\"\n").make(&workspace);
    std::fs::set_permissions(&folder, Permissions::from_mode(0o555)).unwrap();
    // Root may write everywhere; then there is nothing to find.
    let expected = if std::fs::write(folder.join("x"), "").is_ok() {
        0
    } else {
        3
    };
    assert_eq!(workspace.run(&["config", "check"]).code, expected);
}
