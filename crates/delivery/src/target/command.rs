//! Command targets: a program with fixed arguments that reads the delivery from its standard input.
//!
//! No shell is involved: arguments are never text that an event could break out of.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

use super::{Preview, SendFuture, Target};
use crate::answer_policy::AnswerPolicy;
use crate::delivery::Delivery;
use crate::outcome::{Receipt, SendError};
use crate::rendering::{delivery_to_json, summary};

/// Runs a program for each delivery, with the delivery as JSON on its standard input.
///
/// Exit code 0 means delivered, 65 (`EX_DATAERR`) refused, 78 (`EX_CONFIG`) misconfigured, and any
/// other that a later attempt may succeed; the two names are from `sysexits.h`. The program sees
/// only `PATH`, `HOME`, `LANG` and `environment`. It runs in a process group of its own, which is
/// killed when the send ends.
pub struct CommandTarget {
    /// Program and arguments; never empty.
    pub argv: Vec<String>,
    /// The folder in which it runs; this process's own when absent.
    pub folder: Option<PathBuf>,
    /// Environment variables besides the three above.
    pub environment: Vec<(String, String)>,
    /// Which exit statuses are final, where that differs from the usual.
    pub answers: AnswerPolicy,
}

/// How much of each output stream is kept, in bytes.
const OUTPUT_BYTES: usize = 4_096;
/// How long the rest of the output is awaited after the program exited: a background process that
/// it started may keep the pipe open for ever.
const OUTPUT_TIMEOUT: Duration = Duration::from_secs(1);

impl Target for CommandTarget {
    fn kind(&self) -> &'static str {
        "command"
    }

    fn endpoint(&self) -> String {
        self.argv[0].clone()
    }

    fn preview(&self, batch: &[Delivery]) -> Result<Preview, SendError> {
        Ok(Preview {
            summary: summary(&batch[0]),
            body: delivery_to_json(&batch[0]),
            part: None,
        })
    }

    fn send<'a>(&'a self, batch: &'a [Delivery]) -> SendFuture<'a> {
        Box::pin(self.run(&batch[0]))
    }
}

impl CommandTarget {
    async fn run(&self, delivery: &Delivery) -> Result<Receipt, SendError> {
        let mut child = self.spawn()?;
        // A guard: it is dropped at every return, and when the timeout drops this future.
        let _group = ProcessGroup(child.id().and_then(|id| Pid::from_raw(id.cast_signed())));
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let input = format!("{}\n", delivery_to_json(delivery));
        let write_input = async {
            if let Some(mut stdin) = stdin {
                // A program may exit without reading its input; then its exit code is the outcome,
                // not the broken pipe.
                drop(stdin.write_all(input.as_bytes()).await);
            }
        };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let status = {
            // Input and both outputs go on together. One after the other would end in a deadlock
            // with a program that fills one pipe while this process waits at another.
            let read_output =
                async { tokio::join!(read_pipe(stdout, &mut out), read_pipe(stderr, &mut err)) };
            tokio::pin!(read_output);
            let exit = async { tokio::join!(child.wait(), write_input).0 };
            tokio::pin!(exit);
            tokio::select! {
                status = &mut exit => {
                    drop(tokio::time::timeout(OUTPUT_TIMEOUT, &mut read_output).await);
                    status
                }
                _ = &mut read_output => exit.await,
            }
        };
        let status = status.map_err(|error| {
            SendError::transient(format!("cannot wait for {}: {error}", self.argv[0]))
        })?;
        let outcome = classify(status, &out, &err);
        match status.code() {
            Some(code) => outcome.map_err(|error| self.answers.apply(code.into(), error)),
            // Ended by a signal.
            None => outcome,
        }
    }

    fn spawn(&self) -> Result<Child, SendError> {
        let mut command = Command::new(&self.argv[0]);
        command
            .args(&self.argv[1..])
            // The service's own environment holds its secrets.
            .env_clear()
            // A group of its own, whose id is the program's, so that its children can be killed.
            .process_group(0)
            // Kills and reaps the program itself when the send is dropped.
            .kill_on_drop(true);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        for name in ["PATH", "HOME", "LANG"] {
            command.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        if let Some(folder) = &self.folder {
            command.current_dir(folder);
        }
        command.spawn().map_err(|error| {
            let reason = format!("cannot start {}: {error}", self.argv[0]);
            match error.kind() {
                ErrorKind::NotFound | ErrorKind::PermissionDenied => {
                    SendError::Misconfigured { reason }
                }
                // Such as too many processes, which passes.
                _ => SendError::transient(reason),
            }
        })
    }
}

/// Kills what is left of a process group when the send ends: after the exit, at a timeout, or when
/// the future is dropped. `kill_on_drop` alone would leave the program's own children running.
struct ProcessGroup(Option<Pid>);

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // It fails when all of them have exited, the usual case.
            _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// The outcome that an exit status stands for.
fn classify(status: ExitStatus, out: &[u8], err: &[u8]) -> Result<Receipt, SendError> {
    let response = format!(
        "{status}: {}{}",
        String::from_utf8_lossy(out),
        String::from_utf8_lossy(err)
    );
    match status.code() {
        Some(0) => Ok(Receipt::complete(response)),
        Some(65) => Err(SendError::Refused { reason: response }),
        Some(78) => Err(SendError::Misconfigured { reason: response }),
        _ => Err(SendError::transient(response)),
    }
}

/// Keeps the first bytes, and reads the rest too, so that the program does not block on a full
/// pipe.
async fn read_pipe(pipe: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    let Some(mut pipe) = pipe else { return };
    let mut chunk = [0; 4_096];
    // An error ends the reading as the end of the output does: the exit code is the outcome.
    while let Ok(count) = pipe.read(&mut chunk).await
        && count > 0
    {
        let free = OUTPUT_BYTES - kept.len();
        kept.extend_from_slice(&chunk[..count.min(free)]);
    }
}
