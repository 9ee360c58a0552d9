//! Rewriting a file of the user's.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use crate::exit::Failure;

/// Replaces the text of an existing file: a reader sees the old text or the new one, never a part.
/// Symbolic links and permissions are kept.
pub(crate) fn rewrite(name: &str, text: &str) -> Result<(), Failure> {
    replace(Path::new(name), text)
        .map_err(|error| Failure::Runtime(format!("cannot write {name}: {error}")))
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let path = fs::canonicalize(path)?;
    let permissions = fs::metadata(&path)?.permissions();
    // In the same folder, because a file cannot be renamed to another file system; hidden, because
    // a running service ignores hidden files in a rules folder.
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut new = tempfile::Builder::new()
        .prefix(".reflexarc-")
        .tempfile_in(folder)?;
    new.write_all(text.as_bytes())?;
    new.as_file().set_permissions(permissions)?;
    new.as_file().sync_all()?;
    new.persist(&path)?;
    Ok(())
}
