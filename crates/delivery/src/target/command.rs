//! Commands: a program with fixed arguments, the delivery as JSON on its standard input. No shell.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use reflexarc_event::Json;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command as Process;

use super::{Preview, Sending, Target, gist};
use crate::delivery::{Delivery, Receipt, SendError};

/// A program to run for each delivery.
///
/// Exit code 0 means taken; 65 (`EX_DATAERR`) that this delivery will never be; 78 (`EX_CONFIG`) that somebody must mend
/// something first; any other that it may work later. The program sees only `PATH`, `HOME`, `LANG` and what `environment`
/// gives it. It runs in a process group of its own, which is killed when the send ends.
pub struct Command {
    /// Program and arguments, never empty.
    pub argv: Vec<String>,
    /// Where it runs.
    pub folder: Option<PathBuf>,
    /// Its environment, besides the three above.
    pub environment: Vec<(String, String)>,
}

/// How much of what the program prints is kept.
const OUTPUT_BYTES: usize = 4_096;
/// How long we wait for the rest of its output when it has ended and a child of its own keeps the pipe open.
const PATIENCE: Duration = Duration::from_secs(1);

impl Command {
    async fn run(&self, delivery: &Delivery) -> Result<Receipt, SendError> {
        let mut process = Process::new(&self.argv[0]);
        process
            .args(&self.argv[1..])
            .env_clear()
            .process_group(0)
            .kill_on_drop(true);
        process
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        for name in ["PATH", "HOME", "LANG"] {
            process.envs(std::env::var_os(name).map(|value| (name, value)));
        }
        process.envs(self.environment.iter().map(|(name, value)| (name, value)));
        if let Some(folder) = &self.folder {
            process.current_dir(folder);
        }
        let mut child = process.spawn().map_err(|error| {
            let reason = format!("cannot start {}: {error}", self.argv[0]);
            match error.kind() {
                ErrorKind::NotFound | ErrorKind::PermissionDenied => {
                    SendError::Configuration { reason }
                }
                _ => SendError::later(reason),
            }
        })?;
        let _group = Group(child.id().and_then(|id| Pid::from_raw(id.cast_signed())));
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let mut text = delivery_to_json(delivery).to_string();
        text.push('\n');
        let feed = async {
            if let Some(mut stdin) = stdin {
                // A program may end without reading its input: its exit code says what that means.
                drop(stdin.write_all(text.as_bytes()).await);
            }
        };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let status = {
            let reading = async { tokio::join!(read(stdout, &mut out), read(stderr, &mut err)) };
            tokio::pin!(reading);
            let running = async { tokio::join!(child.wait(), feed).0 };
            tokio::pin!(running);
            tokio::select! {
                status = &mut running => {
                    drop(tokio::time::timeout(PATIENCE, &mut reading).await);
                    status
                }
                _ = &mut reading => running.await,
            }
        };
        let status = status.map_err(|error| {
            SendError::later(format!("cannot wait for {}: {error}", self.argv[0]))
        })?;
        let words = format!("{status}: {}{}", lossy(&out), lossy(&err));
        match status.code() {
            Some(0) => Ok(Receipt::whole(words)),
            Some(65) => Err(SendError::Refused { reason: words }),
            Some(78) => Err(SendError::Configuration { reason: words }),
            _ => Err(SendError::later(words)),
        }
    }
}

impl Target for Command {
    fn kind(&self) -> &'static str {
        "command"
    }

    fn preview(&self, batch: &[Delivery]) -> Result<Preview, SendError> {
        Ok(Preview {
            summary: gist(&batch[0]),
            body: delivery_to_json(&batch[0]),
            part: None,
        })
    }

    fn send<'a>(&'a self, batch: &'a [Delivery]) -> Sending<'a> {
        Box::pin(self.run(&batch[0]))
    }
}

/// A delivery as programs and files get it.
pub(crate) fn delivery_to_json(delivery: &Delivery) -> Json {
    let event = &delivery.event;
    let mut json = Json::object([
        ("id", delivery.id.to_string().into()),
        (
            "event",
            Json::object([
                ("source", event.source.as_str().into()),
                ("id", event.id.as_str().into()),
            ]),
        ),
        ("resource", delivery.resource.as_str().into()),
        ("rule", delivery.rule.as_str().into()),
        ("attempt", Json::count(delivery.attempt)),
        ("created", delivery.created.to_string().into()),
        ("replay", Json::optional(delivery.replay.as_deref())),
    ]);
    if let (Json::Object(members), Json::Object(action)) = (&mut json, delivery.action.to_json()) {
        members.extend(action);
    }
    json
}

/// Kills what is left of the process group when the send ends, in whatever way.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // Nobody is left to kill: that is the good case.
            _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Keeps the first bytes and reads on, so that the program does not block.
async fn read(pipe: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    let Some(mut pipe) = pipe else { return };
    let mut chunk = [0; 4_096];
    while let Ok(count) = pipe.read(&mut chunk).await
        && count > 0
    {
        let room = OUTPUT_BYTES - kept.len();
        kept.extend_from_slice(&chunk[..count.min(room)]);
    }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
