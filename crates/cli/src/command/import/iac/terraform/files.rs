//! Files that expressions read: `file("${path.module}/pattern.json")`.

use std::cell::Cell;
use std::path::{Component, Path, PathBuf};

use reflexarc_files::read_regular_file;

use super::super::limits::IacLimits;
use super::super::value::Value;
use super::module::Module;

/// Reads files below the folder that is imported, and no others: what the code names is not
/// trusted.
#[derive(Debug)]
pub(in super::super) struct ModuleFiles {
    /// The folder, as an absolute path without links.
    root: PathBuf,
    limits: IacLimits,
    /// How many files may still be read.
    left: Cell<usize>,
}

impl ModuleFiles {
    /// Files below `root`.
    pub(in super::super) fn new(root: &Path, limits: &IacLimits) -> Self {
        Self {
            root: root.canonicalize().unwrap_or_else(|_| root.to_owned()),
            limits: *limits,
            left: Cell::new(limits.files),
        }
    }

    /// The text of a file, relative to the folder of a module.
    pub(super) fn read(&self, module: &Module, path: &str) -> Value {
        match self.text(&module.folder, path) {
            Ok(text) => Value::Text(text),
            Err(reason) => Value::Unknown(format!("file `{path}`: {reason}")),
        }
    }

    /// The folder of a module that another one calls, if it is below the root.
    pub(super) fn folder(&self, module: &Module, source: &str) -> Option<PathBuf> {
        let folder = module.folder.join(source).canonicalize().ok()?;
        folder.starts_with(&self.root).then_some(folder)
    }

    fn text(&self, folder: &Path, path: &str) -> Result<String, String> {
        let outside = || "outside of the folder that is imported".to_owned();
        let path = Path::new(path);
        if path
            .components()
            .any(|part| matches!(part, Component::Prefix(_)))
        {
            return Err(outside());
        }
        let path = folder
            .join(path)
            .canonicalize()
            .map_err(|error| error.to_string())?;
        if !path.starts_with(&self.root) {
            return Err(outside());
        }
        let left = self.left.get().checked_sub(1).ok_or("too many files")?;
        self.left.set(left);
        let bytes =
            read_regular_file(&path, self.limits.file_bytes).map_err(|error| error.to_string())?;
        String::from_utf8(bytes).map_err(|_| "not UTF-8".to_owned())
    }
}
