//! File and standard output targets: one JSON document a line.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::{Preview, SendFuture, Target};
use crate::delivery::Delivery;
use crate::outcome::{Receipt, SendError};
use crate::rendering::{delivery_to_json, summary};

/// Appends each delivery as a line of JSON; a file is synced before the delivery counts as
/// delivered.
pub struct FileTarget {
    path: Option<PathBuf>,
}

impl FileTarget {
    /// Appends to this file, which is created when it is missing. It is opened for each line, so
    /// that it can be rotated.
    pub fn file(path: PathBuf) -> Self {
        Self { path: Some(path) }
    }

    /// Writes to standard output.
    pub fn stdout() -> Self {
        Self { path: None }
    }
}

impl Target for FileTarget {
    fn kind(&self) -> &'static str {
        if self.path.is_some() {
            "file"
        } else {
            "stdout"
        }
    }

    fn endpoint(&self) -> String {
        match &self.path {
            Some(path) => path.display().to_string(),
            None => "standard output".to_owned(),
        }
    }

    fn preview(&self, batch: &[Delivery]) -> Result<Preview, SendError> {
        Ok(Preview {
            summary: summary(&batch[0]),
            body: delivery_to_json(&batch[0]),
            part: None,
        })
    }

    fn send<'a>(&'a self, batch: &'a [Delivery]) -> SendFuture<'a> {
        let line = format!("{}\n", delivery_to_json(&batch[0]));
        let path = self.path.clone();
        Box::pin(async move {
            // A sync can take as long as a disk likes, so it runs on a thread that may block.
            let written = tokio::task::spawn_blocking(move || match path {
                Some(path) => {
                    append(&path, &line).map(|()| format!("written to {}", path.display()))
                }
                None => io::stdout()
                    .lock()
                    .write_all(line.as_bytes())
                    .map(|()| "written to standard output".to_owned()),
            });
            match written.await {
                Ok(Ok(response)) => Ok(Receipt::complete(response)),
                Ok(Err(error)) => Err(SendError::transient(format!("cannot write: {error}"))),
                Err(error) => Err(SendError::transient(format!("cannot write: {error}"))),
            }
        })
    }
}

/// Appends with one write under a lock, so that lines of several writers do not mix. A line that a
/// crash left unfinished is ended first, so that it spoils no other.
fn append(path: &Path, line: &str) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .read(true)
        .open(path)?;
    // Without the lock an unfinished line could be one that another process is still writing.
    // Locking fails for files that cannot be locked, such as pipes on some systems; those cannot be
    // read back either.
    _ = file.lock();
    let mut text = String::new();
    if !ends_with_newline(&mut file)? {
        text.push('\n');
    }
    text.push_str(line);
    file.write_all(text.as_bytes())?;
    // `sync_data` skips times and other metadata that are not needed to read the line back.
    file.sync_data()
}

/// Whether a regular file is empty or ends with a newline; true for any other file.
fn ends_with_newline(file: &mut File) -> io::Result<bool> {
    if !file.metadata()?.is_file() || file.metadata()?.len() == 0 {
        return Ok(true);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}
