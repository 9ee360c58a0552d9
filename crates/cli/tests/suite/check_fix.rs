//! `reflexarc check --fix`, and `--color`.

use std::fs;
use std::process::Command;

use reflexarc::RuleSet;
use reflexarc_diagnostic::toml::{Document, FaultCodes};
use reflexarc_diagnostic::{Code, Diagnostic};

use crate::{Outcome, reflexarc, reflexarc_in, root};

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

/// Every filter of the corpus, in either notation.
fn corpus_filters() -> Vec<String> {
    let mut filters = Vec::new();
    for entry in fs::read_dir(root().join("tests/corpus/patterns")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let text = fs::read_to_string(path).unwrap();
        let document = Document::parse(&text, "the corpus", FaultCodes::RULE);
        for case in document.root().tables("case") {
            filters.extend(case.string("json"));
            filters.extend(case.string("expression"));
        }
    }
    filters
}

/// The filter as each kind of TOML string that can hold it.
fn spellings(filter: &str) -> Vec<String> {
    let escaped = filter.replace('\\', "\\\\").replace('"', "\\\"");
    let mut spellings = vec![
        format!("\"{}\"", escaped.replace('\n', "\\n")),
        format!("\"\"\"\n{escaped}\"\"\""),
    ];
    if !filter.contains(['\'', '\n']) {
        spellings.push(format!("'{filter}'"));
    }
    if !filter.contains('\'') {
        spellings.push(format!("'''\n{filter}'''"));
    }
    spellings.retain(|spelling| when(&rule(spelling)).as_deref() == Some(filter));
    spellings
}

fn rule(spelling: &str) -> String {
    format!("when = {spelling}\nnotify = \"team\"\n")
}

/// The filter of a rule file; `None` if the file is not TOML.
fn when(file: &str) -> Option<String> {
    let document = Document::parse(file, "the rule", FaultCodes::RULE);
    let text = document.root().string("when");
    text.filter(|_| !document.has_syntax_errors())
}

fn findings(file: &str) -> Vec<Diagnostic> {
    match RuleSet::compile([("a.toml", file)]) {
        Ok(rules) => {
            let files = rules.warnings().iter();
            files.flat_map(|file| file.diagnostics.clone()).collect()
        }
        Err(error) => error.diagnostics().cloned().collect(),
    }
}

/// The filter after each fix is applied on its own, by code and message of the finding.
fn fixed_filters(spelling: &str) -> Vec<(Code, String, String)> {
    let file = rule(spelling);
    let mut fixed = Vec::new();
    for finding in findings(&file) {
        let Some(fix) = finding.fix else { continue };
        let mut text = file.clone();
        text.replace_range(fix.span, &fix.replacement);
        let when =
            when(&text).unwrap_or_else(|| panic!("{} breaks the file:\n{text}", finding.code));
        fixed.push((finding.code, finding.message, when));
    }
    fixed
}

#[test]
fn fixes_are_the_same_in_every_kind_of_string() {
    let mut fixes = 0;
    for filter in corpus_filters() {
        let spellings = spellings(&filter);
        // A literal string cannot hold every fix, but a basic one can.
        let basic = spellings
            .first()
            .map_or(Vec::new(), |basic| fixed_filters(basic));
        for spelling in spellings.iter().skip(1) {
            for fixed in fixed_filters(spelling) {
                assert!(basic.contains(&fixed), "{spelling}\n{fixed:?}\n{basic:?}");
                fixes += 1;
            }
        }
    }
    assert!(fixes > 50, "{fixes}");
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

#[test]
fn colours_follow_environment_variables() {
    let folder = folder(BROKEN);
    let colour_with = |variables: &[(&str, &str)], options: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_reflexarc"))
            .args(["check", "a.toml"])
            .args(options)
            .current_dir(folder.path())
            .env_remove("NO_COLOR")
            .env_remove("CLICOLOR_FORCE")
            .envs(variables.iter().copied())
            .output()
            .unwrap();
        String::from_utf8(output.stderr).unwrap().contains('\u{1b}')
    };
    let (forced, off) = (("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1"));
    assert!(colour_with(&[forced], &[]));
    assert!(!colour_with(&[off], &[]));
    // The flag counts for more than the environment.
    assert!(!colour_with(&[forced], &["--color", "never"]));
    assert!(colour_with(&[off], &["--color", "always"]));
}
