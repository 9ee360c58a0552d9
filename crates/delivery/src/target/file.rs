//! Files and standard output: one JSON document a line.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

use super::command::delivery_to_json;
use super::{Preview, Sending, Target, gist};
use crate::delivery::{Delivery, Receipt, SendError};

/// Appends each delivery as a line; a file is synced before the delivery counts as taken.
pub struct Lines {
    path: Option<PathBuf>,
}

impl Lines {
    /// To the end of this file, created when it is missing; opened anew for each line, so that it can be rotated.
    pub fn file(path: PathBuf) -> Self {
        Self { path: Some(path) }
    }

    /// To standard output.
    pub fn stdout() -> Self {
        Self { path: None }
    }
}

impl Target for Lines {
    fn kind(&self) -> &'static str {
        if self.path.is_some() {
            "file"
        } else {
            "stdout"
        }
    }

    fn preview(&self, batch: &[Delivery]) -> Result<Preview, SendError> {
        Ok(Preview {
            summary: gist(&batch[0]),
            body: delivery_to_json(&batch[0]),
            part: None,
        })
    }

    fn send<'a>(&'a self, batch: &'a [Delivery]) -> Sending<'a> {
        let line = format!("{}\n", delivery_to_json(&batch[0]));
        let path = self.path.clone();
        Box::pin(async move {
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
                Ok(Ok(answer)) => Ok(Receipt::whole(answer)),
                Ok(Err(error)) => Err(SendError::later(format!("cannot write: {error}"))),
                Err(error) => Err(SendError::later(format!("cannot write: {error}"))),
            }
        })
    }
}

/// One write under a lock, so that lines of several writers do not mix. A line that a crash left unfinished is ended first.
fn append(path: &PathBuf, line: &str) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .read(true)
        .open(path)?;
    // Others may be writing a line of theirs, which is not one that a crash left. Where a file cannot be locked, as a pipe
    // on some systems, there is nothing to look back at either.
    _ = file.lock();
    let mut text = String::new();
    if !ends_with_newline(&mut file)? {
        text.push('\n');
    }
    text.push_str(line);
    file.write_all(text.as_bytes())?;
    file.sync_data()
}

fn ends_with_newline(file: &mut File) -> io::Result<bool> {
    if !file.metadata()?.is_file() || file.metadata()?.len() == 0 {
        return Ok(true);
    }
    file.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}
