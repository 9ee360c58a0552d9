//! File and standard output targets: one JSON document a line.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use reflexarc_files::{ReadError, open_to_append};
use tokio::sync::Semaphore;

use super::{Preview, SendFuture, Target};
use crate::delivery::Delivery;
use crate::outcome::{Receipt, SendError};
use crate::rendering::{delivery_to_json, summary};

/// Appends each delivery as a line of JSON; a file is synced before the delivery counts as
/// delivered, once for those that are sent together. Only a regular file is written to: what goes
/// into a FIFO is lost with its reader.
pub struct FileTarget {
    path: Option<PathBuf>,
    /// The right to write; see [`FileTarget::send`].
    writer: Arc<Semaphore>,
}

/// Lines that are written and synced together. A sync takes as long as some hundred lines; how
/// large they are together is bounded by who sends them.
const GROUP_SIZE: usize = 512;

impl FileTarget {
    /// Appends to this file, which is created when it is missing. It is opened for each line, so
    /// that it can be rotated.
    pub fn file(path: PathBuf) -> Self {
        Self::new(Some(path))
    }

    /// Writes to standard output.
    pub fn stdout() -> Self {
        Self::new(None)
    }

    fn new(path: Option<PathBuf>) -> Self {
        Self {
            path,
            writer: Arc::new(Semaphore::new(1)),
        }
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
        let mut lines = String::new();
        for delivery in batch {
            lines.push_str(&delivery_to_json(delivery).to_string());
            lines.push('\n');
        }
        let (path, writer) = (self.path.clone(), self.writer.clone());
        Box::pin(async move {
            // A write that hangs (a lock that another process holds, a dead network disk, a pipe
            // that is not read) keeps its thread beyond the timeout of this send. So the thread
            // keeps the permit too, and further sends time out without taking one each: the
            // process has 512 for everything that blocks.
            let permit = writer.acquire_owned().await;
            // A sync can take as long as a disk likes, so it runs on a thread that may block.
            let written = tokio::task::spawn_blocking(move || {
                let _permit = permit;
                match path {
                    Some(path) => {
                        append(&path, &lines).map(|()| format!("written to {}", path.display()))
                    }
                    None => Ok(io::stdout()
                        .lock()
                        .write_all(lines.as_bytes())
                        .map(|()| "written to standard output".to_owned())?),
                }
            });
            match written.await {
                Ok(Ok(response)) => Ok(Receipt::complete(response)),
                Ok(Err(error)) => Err(SendError::transient(format!("cannot write: {error}"))),
                Err(error) => Err(SendError::transient(format!("cannot write: {error}"))),
            }
        })
    }

    fn group_size(&self) -> usize {
        GROUP_SIZE
    }
}

/// Appends with one write under a lock, so that lines of several writers do not mix. A line that a
/// crash left unfinished is ended first, so that it spoils no other.
fn append(path: &Path, lines: &str) -> Result<(), ReadError> {
    let mut file = open_to_append(path)?;
    // Without the lock an unfinished line could be one that another process is still writing.
    // Locking fails on some network disks, where that is possible.
    _ = file.lock();
    let mut text = String::new();
    if !ends_with_newline(&mut file)? {
        text.push('\n');
    }
    text.push_str(lines);
    file.write_all(text.as_bytes())?;
    // `sync_data` skips times and other metadata that are not needed to read the line back.
    Ok(file.sync_data()?)
}

/// Whether a file is empty or ends with a newline.
fn ends_with_newline(file: &mut File) -> io::Result<bool> {
    if file.metadata()?.len() == 0 {
        return Ok(true);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}
