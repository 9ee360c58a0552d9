//! Reading rule files from the disk: the engine's only I/O.
#![allow(
    clippy::disallowed_methods,
    reason = "the only module of the engine that reads files"
)]

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use reflexarc_diagnostic::{Code, Diagnostic, FileDiagnostics};

use crate::RuleSetLimits;

/// The path and the text of a rule file.
pub(crate) type RuleText = (String, String);

/// Reads files, and every `*.toml` in folders and the folders below them; hidden files and folders
/// are ignored. The files are sorted by path, each once; errors are returned beside them.
pub(crate) fn read(
    paths: &[PathBuf],
    limits: &RuleSetLimits,
) -> (Vec<RuleText>, Vec<FileDiagnostics>) {
    let mut errors = Vec::new();
    let mut files = Vec::new();
    for path in paths {
        match fs::metadata(path) {
            Ok(facts) if facts.is_dir() => collect(path, limits.folders, &mut files, &mut errors),
            Ok(_) => files.push(path.clone()),
            Err(error) => errors.push(unreadable(path, &error)),
        }
    }
    // Rule order comes from names, not from here; sorting makes diagnostics come out the same on
    // every file system.
    files.sort();
    files.dedup();
    let mut texts = Vec::new();
    for path in files {
        match text(&path, limits) {
            Ok(text) => texts.push((path.display().to_string(), text)),
            Err(error) => errors.push(error),
        }
    }
    (texts, errors)
}

/// Reads a file that a test refers to, relative to its rule file.
pub(crate) fn read_beside(rule_file: &str, name: &str, limit: usize) -> Result<Vec<u8>, String> {
    let path = Path::new(rule_file)
        .parent()
        .unwrap_or(Path::new(""))
        .join(name);
    let failed = |error: io::Error| format!("cannot read {}: {error}", path.display());
    // Before it is read, so that a huge file costs nothing.
    let len = fs::metadata(&path).map_err(failed)?.len();
    if len > limit as u64 {
        return Err(format!(
            "{} has {len} bytes, more than the {limit} allowed",
            path.display()
        ));
    }
    fs::read(&path).map_err(failed)
}

fn collect(
    folder: &Path,
    levels: usize,
    files: &mut Vec<PathBuf>,
    errors: &mut Vec<FileDiagnostics>,
) {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => return errors.push(unreadable(folder, &error)),
    };
    for entry in entries {
        let path = match entry {
            Ok(entry) => entry.path(),
            Err(error) => return errors.push(unreadable(folder, &error)),
        };
        // Editors and version control keep files such as `.a.toml.swp` and `.git` there.
        let hidden = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if hidden {
            continue;
        }
        if path.is_dir() {
            // A symbolic link to a parent folder would otherwise be followed for ever.
            if levels == 0 {
                let error = io::Error::other("too many levels of folders");
                errors.push(unreadable(&path, &error));
            } else {
                collect(&path, levels - 1, files, errors);
            }
        } else if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            files.push(path);
        }
    }
}

fn text(path: &Path, limits: &RuleSetLimits) -> Result<String, FileDiagnostics> {
    let len = fs::metadata(path)
        .map_err(|error| unreadable(path, &error))?
        .len();
    if len > limits.file_bytes as u64 {
        let message = format!(
            "the file has {len} bytes, more than the {} allowed",
            limits.file_bytes
        );
        return Err(with_diagnostic(
            path,
            Diagnostic::error(Code::RULE_LIMIT, 0..0, message),
        ));
    }
    // Reading into a `String` at once would lose where the invalid byte is.
    let bytes = fs::read(path).map_err(|error| unreadable(path, &error))?;
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
    with_diagnostic(
        path,
        Diagnostic::error(
            Code::RULE_FILE,
            0..0,
            format!("cannot read {}: {error}", path.display()),
        ),
    )
}

fn with_diagnostic(path: &Path, diagnostic: Diagnostic) -> FileDiagnostics {
    FileDiagnostics {
        name: path.display().to_string(),
        text: String::new(),
        diagnostics: vec![diagnostic],
    }
}
