//! A hash of the files of a rule set.

use std::path::Path;

use sha2::{Digest, Sha256};

/// The SHA-256 of files, each with its kind, path and text, in hexadecimal. Their folders and their
/// order do not matter.
pub(crate) fn of_files<'f>(files: impl Iterator<Item = (&'f str, &'f str, &'f str)>) -> String {
    // Without folders: two machines have the same rules in different places.
    let named = files.map(|(kind, path, text)| {
        let name = Path::new(path).file_name();
        let name = name.map_or_else(|| path.into(), |name| name.to_string_lossy());
        (kind, name, text)
    });
    let mut files: Vec<_> = named.collect();
    files.sort();
    let mut hash = Sha256::new();
    for (kind, name, text) in files {
        for part in [kind, &*name, text] {
            // With its length, so that no text can look like the beginning of the next file.
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
    }
    hex::encode(hash.finalize())
}
