//! Rules compiled together.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use reflexarc_event::{Code, Diagnostic, Severity};

use crate::rule_file::RuleFile;
use crate::{FileDiagnostics, Limits, folder};

/// Rules compiled together: immutable, cheap to clone, shared between threads. A reload makes a new one.
#[derive(Debug, Clone)]
pub struct RuleSet {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    rules: Vec<RuleFile>,
    warnings: Vec<FileDiagnostics>,
}

impl RuleSet {
    /// Reads and compiles a folder of rule files, recursively, every `*.toml` in it; or one file.
    ///
    /// # Errors
    /// With everything that is wrong with all the files at once.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Vec<FileDiagnostics>> {
        Self::load_all(&[path])
    }

    /// Reads and compiles several files and folders as one set, as [`RuleSet::load`] does.
    ///
    /// # Errors
    /// With everything that is wrong with all the files at once.
    pub fn load_all<P: AsRef<Path>>(paths: &[P]) -> Result<Self, Vec<FileDiagnostics>> {
        let paths: Vec<PathBuf> = paths.iter().map(|path| path.as_ref().to_owned()).collect();
        Self::compile(folder::read(&paths, &Limits::DEFAULT)?)
    }

    /// Compiles rule files given as path and text; the stem of the path is the rule's name.
    ///
    /// # Errors
    /// With everything that is wrong with all the files at once.
    pub fn compile<N, T>(files: impl IntoIterator<Item = (N, T)>) -> Result<Self, Vec<FileDiagnostics>>
    where
        N: Into<String>,
        T: Into<String>,
    {
        let mut rules = Vec::new();
        let mut found = Vec::new();
        let mut names: BTreeMap<String, String> = BTreeMap::new();
        for (file, text) in files {
            let (file, text) = (file.into(), text.into());
            let (rule, mut diagnostics) = RuleFile::read(&text);
            let name = stem(&file);
            if let Some(first) = names.insert(name.clone(), file.clone()) {
                let message = format!("there are two rules named `{name}`: {first} and {file}");
                let twice = Diagnostic::error(Code::RULE_TWICE, 0..0, message);
                diagnostics.insert(0, twice.with_help("a rule is named by its file's stem; rename one of them"));
            }
            if !diagnostics.is_empty() {
                found.push(FileDiagnostics { name: file, text, diagnostics });
            }
            rules.push(rule);
        }
        let is_error = |diagnostic: &Diagnostic| diagnostic.severity == Severity::Error;
        if found.iter().any(|file| file.diagnostics.iter().any(is_error)) {
            return Err(found);
        }
        Ok(Self { inner: Arc::new(Inner { rules, warnings: found }) })
    }

    /// How many rules there are.
    pub fn len(&self) -> usize {
        self.inner.rules.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.inner.rules.is_empty()
    }

    /// What is accepted but probably not meant, file by file.
    pub fn warnings(&self) -> &[FileDiagnostics] {
        &self.inner.warnings
    }
}

fn stem(file: &str) -> String {
    Path::new(file).file_stem().map_or_else(|| file.to_owned(), |stem| stem.to_string_lossy().into_owned())
}
