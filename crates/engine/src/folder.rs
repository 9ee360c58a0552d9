//! Reading rule files from the disk: the engine's only I/O.
#![allow(
    clippy::disallowed_methods,
    reason = "the only module of the engine that reads files"
)]

use std::fmt::Display;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use reflexarc_diagnostic::{Code, Diagnostic, FileDiagnostics};
use reflexarc_files::{ReadError, read_regular_file};

use crate::RuleSetLimits;

/// The path and the text of a rule file.
pub(crate) type RuleText = (String, String);

/// Reads files, and every `*.toml` in folders and the folders below them; hidden files and folders
/// are ignored. The files are sorted by path, each once; errors are returned beside them.
pub(crate) fn read(
    paths: &[PathBuf],
    limits: &RuleSetLimits,
) -> (Vec<RuleText>, Vec<FileDiagnostics>) {
    let (files, mut errors) = find(paths, limits);
    let mut texts = Vec::new();
    read_found(&files, limits, &mut texts, &mut errors);
    (texts, errors)
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
        match text(path, limits) {
            Ok(text) => texts.push((path.display().to_string(), text)),
            Err(error) => errors.push(error),
        }
    }
}

/// The paths that [`read`] reads, and the folders that cannot be listed.
pub(crate) fn find(
    paths: &[PathBuf],
    limits: &RuleSetLimits,
) -> (Vec<PathBuf>, Vec<FileDiagnostics>) {
    let mut search = Search {
        folders: Vec::new(),
        entries_left: limits.folder_entries,
        limits,
        files: Vec::new(),
        errors: Vec::new(),
    };
    for path in paths {
        match fs::metadata(path) {
            Ok(facts) if facts.is_dir() => search.enter(path),
            Ok(_) => search.files.push(path.clone()),
            Err(error) => search.errors.push(unreadable(path, &error)),
        }
    }
    let Search {
        mut files, errors, ..
    } = search;
    // Rule order comes from names, not from here; sorting makes diagnostics come out the same on
    // every file system.
    files.sort();
    files.dedup();
    (files, errors)
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
    files: Vec<PathBuf>,
    errors: Vec<FileDiagnostics>,
}

impl Search<'_> {
    /// Lists a folder and the folders below it.
    fn enter(&mut self, folder: &Path) {
        // A container runtime that is to mount a missing `a.toml` creates a folder of this name;
        // read as an empty folder, the rule would be gone without a sign.
        if is_rule_file(folder) {
            let help = "remove the folder, or rename it; a bind mount of a missing file creates it";
            let error = cannot_read(folder, &ReadError::Folder).with_help(help);
            return self.errors.push(with_diagnostic(folder, error));
        }
        // With the depth bounded alone, two links to their own folder would be 2^16 folders.
        let plain = match fs::canonicalize(folder) {
            Ok(plain) if self.folders.contains(&plain) => {
                return self.fail(folder, "a symbolic link leads to a folder around it");
            }
            Ok(plain) => plain,
            Err(error) => return self.errors.push(unreadable(folder, &error)),
        };
        if self.folders.len() > self.limits.folders {
            return self.fail(folder, "too many levels of folders");
        }
        self.folders.push(plain);
        self.list(folder);
        self.folders.pop();
    }

    fn list(&mut self, folder: &Path) {
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => return self.errors.push(unreadable(folder, &error)),
        };
        for entry in entries {
            let path = match entry {
                Ok(entry) => entry.path(),
                Err(error) => return self.errors.push(unreadable(folder, &error)),
            };
            if self.entries_left == 0 {
                let message = format!(
                    "more than the {} files and folders allowed",
                    self.limits.folder_entries
                );
                return self.fail(folder, &message);
            }
            self.entries_left -= 1;
            // Editors and version control keep files such as `.a.toml.swp` and `.git` there.
            let hidden = path
                .file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with('.'));
            if hidden {
                continue;
            }
            if path.is_dir() {
                self.enter(&path);
            } else if is_rule_file(&path) {
                self.files.push(path);
            }
        }
    }

    fn fail(&mut self, folder: &Path, message: &str) {
        let error = io::Error::other(message.to_owned());
        self.errors.push(unreadable(folder, &error));
    }
}

fn is_rule_file(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "toml")
}

fn text(path: &Path, limits: &RuleSetLimits) -> Result<String, FileDiagnostics> {
    let bytes = read_regular_file(path, limits.file_bytes).map_err(|error| {
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
        let (texts, errors) = read(&[folder.to_owned()], limits);
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
        let (files, mut errors) = find(&[folder.path().to_owned()], &limits);
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
