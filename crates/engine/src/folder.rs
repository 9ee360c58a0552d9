//! Reading rule files from the disk: the engine's only I/O.
#![allow(
    clippy::disallowed_methods,
    reason = "the only module of the engine that reads files"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use reflexarc_diagnostic::{Code, Diagnostic, FileDiagnostics};
use reflexarc_files::{ReadError, read_regular_file};

use crate::RuleSetLimits;
use crate::table::{TableFormat, TableText};

/// The path and the text of a rule file.
pub(crate) type RuleText = (String, String);

/// The name of folders with lookup tables.
const TABLES: &str = "tables";

/// The files of a rule set.
#[derive(Debug, Default)]
pub(crate) struct FolderFiles {
    pub(crate) rules: Vec<RuleText>,
    pub(crate) tables: Vec<TableText>,
    /// What cannot be read.
    pub(crate) errors: Vec<FileDiagnostics>,
    /// What is not read.
    pub(crate) warnings: Vec<FileDiagnostics>,
}

/// The paths of the files of a rule set.
#[derive(Debug, Default)]
pub(crate) struct FoundFiles {
    pub(crate) rules: Vec<PathBuf>,
    pub(crate) tables: Vec<FoundTable>,
    pub(crate) errors: Vec<FileDiagnostics>,
    warnings: Vec<FileDiagnostics>,
}

/// The path of a table.
#[derive(Debug)]
pub(crate) struct FoundTable {
    pub(crate) path: PathBuf,
    /// 0 in a folder of rules, 1 beside a path that was given, 2 beside the folder around that, and
    /// so on.
    distance: usize,
}

/// Reads files, and every `*.toml` in folders and the folders below them, with the tables in
/// folders of the name `tables` in these. A table that a rule may name and that is not there is
/// read from the nearest such folder beside the given paths or above. Hidden files and folders are
/// ignored. The files are sorted by path, each once; errors are returned beside them.
pub(crate) fn read(paths: &[PathBuf], limits: &RuleSetLimits) -> FolderFiles {
    read_with(paths, Vec::new(), limits)
}

/// As [`read`], with further rules that are given as path and text: the tables beside these paths
/// are read too.
pub(crate) fn read_with(
    paths: &[PathBuf],
    texts: Vec<RuleText>,
    limits: &RuleSetLimits,
) -> FolderFiles {
    let others: Vec<PathBuf> = texts.iter().map(|(path, _)| PathBuf::from(path)).collect();
    let found = find_with(paths, &others, limits);
    let mut files = FolderFiles {
        errors: found.errors,
        warnings: found.warnings,
        ..FolderFiles::default()
    };
    read_found(&found.rules, limits, &mut files.rules, &mut files.errors);
    files.rules.extend(texts);
    let looking_up = files.rules.iter().map(|(_, text)| text.as_str());
    let looking_up: Vec<&str> = looking_up.filter(|text| text.contains("lookup")).collect();
    let mut taken: BTreeMap<String, usize> = BTreeMap::new();
    // The nearest first.
    for FoundTable { path, distance } in &found.tables {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        // Tables further away may be large, and belong to rules that are not part of the set.
        let is_taken = taken.get(&*stem).is_some_and(|nearer| nearer < distance);
        if *distance > 0 && (is_taken || !is_quoted(&stem, &looking_up)) {
            continue;
        }
        taken.insert(stem.into_owned(), *distance);
        let read = text(path, limits.table_bytes);
        files.tables.push(TableText {
            path: path.display().to_string(),
            text: read.map_err(|error| files.errors.push(error)).ok(),
            is_expected: *distance == 0,
        });
    }
    files
}

/// Whether one of the texts has this name in quotes.
fn is_quoted(name: &str, texts: &[&str]) -> bool {
    let quoted = [format!("\"{name}\""), format!("'{name}'")];
    let has_name = |text: &&str| quoted.iter().any(|quoted| text.contains(quoted));
    texts.iter().any(has_name)
}

/// Reads rule files without their tables; those that cannot be read are left out.
pub(crate) fn read_rules(paths: &[PathBuf], limits: &RuleSetLimits) -> Vec<RuleText> {
    let (mut texts, mut errors) = (Vec::new(), Vec::new());
    read_found(&find(paths, limits).rules, limits, &mut texts, &mut errors);
    texts
}

/// Reads files that were found a moment ago. One that is gone now is an error: the rules are being
/// replaced, and half of them must not be taken for all.
fn read_found(
    files: &[PathBuf],
    limits: &RuleSetLimits,
    texts: &mut Vec<RuleText>,
    errors: &mut Vec<FileDiagnostics>,
) {
    for path in files {
        match text(path, limits.file_bytes) {
            Ok(text) => texts.push((path.display().to_string(), text)),
            Err(error) => errors.push(error),
        }
    }
}

/// The paths that [`read`] reads, and the folders that cannot be listed.
pub(crate) fn find(paths: &[PathBuf], limits: &RuleSetLimits) -> FoundFiles {
    find_with(paths, &[], limits)
}

/// As [`find`], with the tables beside files that are given otherwise.
fn find_with(paths: &[PathBuf], others: &[PathBuf], limits: &RuleSetLimits) -> FoundFiles {
    let mut search = Search {
        folders: Vec::new(),
        entries_left: limits.folder_entries,
        limits,
        table_folders: BTreeSet::new(),
        found: FoundFiles::default(),
    };
    for path in paths {
        match fs::metadata(path) {
            Ok(facts) if facts.is_dir() => search.enter(path),
            Ok(_) => search.found.rules.push(path.clone()),
            Err(error) => search.found.errors.push(unreadable(path, &error)),
        }
    }
    for path in paths.iter().chain(others) {
        search.list_tables_above(path);
    }
    let mut found = search.found;
    // Rule order comes from names, not from here; sorting makes diagnostics come out the same on
    // every file system.
    found.rules.sort();
    found.rules.dedup();
    found
        .tables
        .sort_by(|a, b| (a.distance, &a.path).cmp(&(b.distance, &b.path)));
    found
}

/// Reads a file that a test refers to, relative to its rule file.
pub(crate) fn read_beside(rule_file: &str, name: &str, limit: usize) -> Result<Vec<u8>, String> {
    let path = Path::new(rule_file)
        .parent()
        .unwrap_or(Path::new(""))
        .join(name);
    read_regular_file(&path, limit)
        .map_err(|error| format!("cannot read {}: {error}", path.display()))
}

/// A search for rule files in folders.
struct Search<'a> {
    /// The folder that is being listed and those above it, without links.
    folders: Vec<PathBuf>,
    /// How many more entries of folders may be looked at.
    entries_left: usize,
    limits: &'a RuleSetLimits,
    /// The folders of tables that were listed, without links.
    table_folders: BTreeSet<PathBuf>,
    found: FoundFiles,
}

impl Search<'_> {
    /// Lists a folder and the folders below it.
    fn enter(&mut self, folder: &Path) {
        // A container runtime that is to mount a missing `a.toml` creates a folder of this name;
        // read as an empty folder, the rule would be gone without a sign.
        if is_rule_file(folder) {
            let help = "remove the folder, or rename it; a bind mount of a missing file creates it";
            let error = cannot_read(folder, &ReadError::Folder).with_help(help);
            return self.found.errors.push(with_diagnostic(folder, error));
        }
        // With the depth bounded alone, two links to their own folder would be 2^16 folders.
        let plain = match fs::canonicalize(folder) {
            Ok(plain) if self.folders.contains(&plain) => {
                return self.fail(folder, "a symbolic link leads to a folder around it");
            }
            Ok(plain) => plain,
            Err(error) => return self.found.errors.push(unreadable(folder, &error)),
        };
        if self.folders.len() > self.limits.folders {
            return self.fail(folder, "too many levels of folders");
        }
        self.folders.push(plain);
        self.list(folder);
        self.folders.pop();
    }

    fn list(&mut self, folder: &Path) {
        for path in self.entries(folder) {
            if !path.is_dir() {
                if is_rule_file(&path) {
                    self.found.rules.push(path);
                }
            } else if path.file_name().is_some_and(|name| name == TABLES) {
                self.list_tables(&path);
            } else {
                self.enter(&path);
            }
        }
    }

    /// Lists the tables in a folder of tables of a rules folder.
    fn list_tables(&mut self, folder: &Path) {
        if !self.is_new(folder) {
            return;
        }
        for path in self.entries(folder) {
            if TableFormat::of(&path).is_some() {
                self.found.tables.push(FoundTable { path, distance: 0 });
            } else if is_rule_file(&path) {
                // A folder of this name may have been one of rules about tables: a rule that is
                // gone must leave a sign.
                let message = "a rule file in a folder of lookup tables is not read";
                let warning = Diagnostic::warning(Code::RULE_FILE, 0..0, message);
                let help = format!("move it out of the folder `{TABLES}`, or rename the folder");
                let warning = with_diagnostic(&path, warning.with_help(help));
                self.found.warnings.push(warning);
            }
        }
    }

    /// Lists the tables beside a path, and beside each folder around it.
    //
    // `reflexarc test rules/network/storm.toml` and `reflexarc check rules/network` find the tables
    // in `rules/tables`, as `reflexarc check rules` does.
    fn list_tables_above(&mut self, path: &Path) {
        let mut above = path.parent();
        for distance in 1..=self.limits.folders {
            let Some(around) = above else {
                return;
            };
            let folder = around.join(TABLES);
            // What cannot be listed here may be anything; a table that is missed is an error.
            if let Ok(entries) = fs::read_dir(&folder)
                && self.is_new(&folder)
            {
                let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
                let paths = paths.take(self.limits.folder_entries);
                let tables = paths.filter(|path| TableFormat::of(path).is_some());
                let tables = tables.filter(|path| !is_hidden(path));
                let tables = tables.map(|path| FoundTable { path, distance });
                self.found.tables.extend(tables);
            }
            // What is around `..` is not written in the path.
            above = around.parent().filter(|_| !around.ends_with(".."));
        }
    }

    /// Whether a folder of tables was not listed before, under whatever path.
    fn is_new(&mut self, folder: &Path) -> bool {
        let plain = fs::canonicalize(folder);
        self.table_folders
            .insert(plain.unwrap_or_else(|_| folder.to_owned()))
    }

    /// The entries of a folder that are not hidden, as far as the limit allows.
    fn entries(&mut self, folder: &Path) -> Vec<PathBuf> {
        let mut paths = Vec::new();
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => {
                self.found.errors.push(unreadable(folder, &error));
                return paths;
            }
        };
        for entry in entries {
            let path = match entry {
                Ok(entry) => entry.path(),
                Err(error) => {
                    self.found.errors.push(unreadable(folder, &error));
                    return paths;
                }
            };
            if self.entries_left == 0 {
                let message = format!(
                    "more than the {} files and folders allowed",
                    self.limits.folder_entries
                );
                self.fail(folder, &message);
                return paths;
            }
            self.entries_left -= 1;
            if !is_hidden(&path) {
                paths.push(path);
            }
        }
        paths
    }

    fn fail(&mut self, folder: &Path, message: &str) {
        let error = io::Error::other(message.to_owned());
        self.found.errors.push(unreadable(folder, &error));
    }
}

/// Editors and version control keep files such as `.a.toml.swp` and `.git` beside rules.
fn is_hidden(path: &Path) -> bool {
    let name = path.file_name();
    name.is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

fn is_rule_file(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "toml")
}

fn text(path: &Path, limit: usize) -> Result<String, FileDiagnostics> {
    let bytes = read_regular_file(path, limit).map_err(|error| {
        let diagnostic = match &error {
            ReadError::TooLarge { .. } => {
                Diagnostic::error(Code::RULE_LIMIT, 0..0, error.to_string())
            }
            ReadError::Special(_) => cannot_read(path, &error)
                .with_help("replace it by a regular file; a rule on stdin is `-`"),
            _ => cannot_read(path, &error),
        };
        with_diagnostic(path, diagnostic)
    })?;
    // Reading into a `String` at once would lose where the invalid byte is.
    String::from_utf8(bytes).map_err(|error| {
        let message = format!(
            "the file is not UTF-8 (byte {})",
            error.utf8_error().valid_up_to()
        );
        let error = Diagnostic::error(Code::RULE_FILE, 0..0, message);
        with_diagnostic(path, error.with_help("save it as UTF-8"))
    })
}

fn unreadable(path: &Path, error: &io::Error) -> FileDiagnostics {
    with_diagnostic(path, cannot_read(path, error))
}

fn cannot_read(path: &Path, error: &impl Display) -> Diagnostic {
    let message = format!("cannot read {}: {error}", path.display());
    Diagnostic::error(Code::RULE_FILE, 0..0, message)
}

fn with_diagnostic(path: &Path, diagnostic: Diagnostic) -> FileDiagnostics {
    FileDiagnostics {
        name: path.display().to_string(),
        text: String::new(),
        diagnostics: vec![diagnostic],
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    const RULE: &str = "when = 'a exists'\nnotify = ['team']";

    /// The names of the files that are read, and the messages of the errors.
    fn found(folder: &Path, limits: &RuleSetLimits) -> (Vec<String>, Vec<String>) {
        let files = read(&[folder.to_owned()], limits);
        let (texts, errors) = (files.rules, files.errors);
        let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
        let messages = errors.iter().flat_map(|file| &file.diagnostics);
        (
            texts.iter().map(|(path, _)| name(path)).collect(),
            messages.map(|error| error.message.clone()).collect(),
        )
    }

    #[test]
    fn what_is_no_regular_file_is_an_error_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("good.toml"), RULE).unwrap();
        let _listener = UnixListener::bind(path("a.toml")).unwrap();
        symlink("/dev/zero", path("b.toml")).unwrap();
        fs::create_dir(path("c.toml")).unwrap();
        symlink(path("d.toml"), path("d.toml")).unwrap();
        symlink("nowhere", path("e.toml")).unwrap();
        let (files, errors) = found(folder.path(), &RuleSetLimits::DEFAULT);
        assert_eq!(files, ["good.toml"]);
        for (name, message) in [
            ("c.toml", "expected a file, found a folder"),
            ("a.toml", "expected a regular file, found a socket"),
            ("b.toml", "expected a regular file, found a device"),
            ("d.toml", "Too many levels of symbolic links"),
            ("e.toml", "No such file"),
        ] {
            let fits = |error: &&String| error.contains(name) && error.contains(message);
            assert!(errors.iter().any(|error| fits(&error)), "{errors:?}");
        }
        assert_eq!(errors.len(), 5, "{errors:?}");
    }

    #[test]
    fn a_file_that_vanishes_while_it_is_read_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.toml", "b.toml", "c.toml"] {
            fs::write(folder.path().join(name), RULE).unwrap();
        }
        let limits = RuleSetLimits::DEFAULT;
        let found = find(&[folder.path().to_owned()], &limits);
        let (files, mut errors) = (found.rules, found.errors);
        assert_eq!((files.len(), errors.len()), (3, 0));
        fs::remove_file(&files[1]).unwrap();
        let mut texts = Vec::new();
        read_found(&files, &limits, &mut texts, &mut errors);
        assert_eq!(texts.len(), 2);
        assert!(errors[0].name.ends_with("b.toml"));
        assert!(errors[0].diagnostics[0].message.contains("No such file"));
    }

    #[test]
    fn links_to_folders_above_are_errors_at_once() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("good.toml"), RULE).unwrap();
        for name in ["a", "b", "c", "d"] {
            symlink(".", folder.path().join(name)).unwrap();
        }
        let (files, errors) = found(folder.path(), &RuleSetLimits::DEFAULT);
        assert_eq!(files, ["good.toml"]);
        assert_eq!(errors.len(), 4, "{errors:?}");
        assert!(errors[0].contains("leads to a folder around it"));
    }

    #[test]
    fn depth_and_number_of_entries_are_bounded() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("1/2")).unwrap();
        fs::write(folder.path().join("1/2/rule.toml"), RULE).unwrap();
        let limited = |folders, folder_entries| RuleSetLimits {
            folders,
            folder_entries,
            ..RuleSetLimits::DEFAULT
        };
        assert_eq!(found(folder.path(), &limited(2, 3)).0, ["rule.toml"]);
        let errors = found(folder.path(), &limited(1, 3)).1;
        assert!(
            errors[0].contains("too many levels of folders"),
            "{errors:?}"
        );
        let errors = found(folder.path(), &limited(2, 2)).1;
        assert!(
            errors[0].contains("more than the 2 files and folders"),
            "{errors:?}"
        );
    }
}
