//! `reflexarc check --fix`, and `--color`.

use std::fs;

use crate::{Outcome, reflexarc, reflexarc_in};

const BROKEN: &str = r#"# kept
when = "{\"a\": [{\"prefxi\": \"x\"}]}"
notfiy = "team"
"#;

const FIXED: &str = r#"# kept
when = "{\"a\": [{\"prefix\": \"x\"}]}"
notify = "team"
"#;

/// A folder with the rule file `a.toml`.
fn folder(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.toml"), text).unwrap();
    folder
}

fn check(folder: &tempfile::TempDir, options: &[&str]) -> Outcome {
    let arguments: Vec<&str> = ["check", "a.toml"].iter().chain(options).copied().collect();
    reflexarc_in(folder.path(), &arguments, b"")
}

#[test]
fn fixes_are_applied_and_the_files_checked_again() {
    let folder = folder(BROKEN);
    let fixed = check(&folder, &["--fix"]);
    assert_eq!(fixed.code, 0, "{}", fixed.stderr);
    assert_eq!(fixed.stdout, "1 rule: 0 errors, 0 warnings\n");
    assert!(
        fixed.stderr.contains("fixed: a.toml:2: RA0201"),
        "{}",
        fixed.stderr
    );
    assert!(
        fixed.stderr.contains("fixed: a.toml:3: RA0402"),
        "{}",
        fixed.stderr
    );
    assert!(fixed.stderr.contains("2 fixes applied"), "{}", fixed.stderr);
    assert_eq!(
        fs::read_to_string(folder.path().join("a.toml")).unwrap(),
        FIXED
    );
    // No temporary file stays behind.
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn what_cannot_be_fixed_is_reported() {
    let folder = folder(&format!("{BROKEN}level = \"terrible\"\n"));
    let fixed = check(&folder, &["--fix"]);
    assert_eq!(fixed.code, 3);
    assert_eq!(fixed.stdout, "1 error, 0 warnings\n");
    assert!(fixed.stderr.contains("error[RA0404]"), "{}", fixed.stderr);
}

#[test]
fn a_diff_of_the_fixes_changes_no_file() {
    let folder = folder(BROKEN);
    let diff = check(&folder, &["--fix", "--diff"]);
    assert_eq!(diff.code, 1);
    for line in ["-notfiy = \"team\"", "+notify = \"team\""] {
        assert!(
            diff.stdout.lines().any(|other| other == line),
            "{}",
            diff.stdout
        );
    }
    assert_eq!(
        fs::read_to_string(folder.path().join("a.toml")).unwrap(),
        BROKEN
    );
    assert_eq!(check(&folder, &["--diff"]).code, 2);
}

#[cfg(unix)]
#[test]
fn fixes_keep_permissions_and_symbolic_links() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    let folder = folder("");
    let real = folder.path().join("real.txt");
    fs::write(&real, BROKEN).unwrap();
    fs::set_permissions(&real, fs::Permissions::from_mode(0o640)).unwrap();
    symlink("real.txt", folder.path().join("link.toml")).unwrap();
    let fixed = reflexarc_in(folder.path(), &["check", "link.toml", "--fix"], b"");
    assert_eq!(fixed.code, 0, "{}", fixed.stderr);
    assert_eq!(fs::read_to_string(&real).unwrap(), FIXED);
    assert_eq!(
        fs::metadata(&real).unwrap().permissions().mode() & 0o777,
        0o640
    );
    assert!(folder.path().join("link.toml").is_symlink());
}

#[test]
fn colours_follow_the_flag_and_the_environment() {
    let folder = folder(BROKEN);
    let always = check(&folder, &["--color", "always"]);
    assert!(always.stderr.contains("\u{1b}["), "{}", always.stderr);
    for options in [&["--color=never"][..], &[]] {
        let plain = check(&folder, options);
        assert!(!plain.stderr.contains('\u{1b}'), "{}", plain.stderr);
    }
    assert_eq!(check(&folder, &["--color", "sometimes"]).code, 2);
    // The messages of the parser and help texts are coloured too.
    let usage = reflexarc(&["--color", "always", "nonsense"]).stderr;
    assert!(usage.contains("\u{1b}["), "{usage}");
    let help = reflexarc(&["help", "run", "--color=always"]).stdout;
    assert!(help.contains("\u{1b}["), "{help}");
}
