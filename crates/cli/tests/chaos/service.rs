//! The service under test, and its supervisor: what ends is started again, as systemd does.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::http::Client;
use crate::world::{OPERATOR_TOKEN, SENDER_TOKEN, SmallDisk, World};

/// Pause before an ended service is started again.
const RESTART: Duration = Duration::from_millis(300);

/// Resident pages of the shipped program's file.
const SHIPPED_FILE_KIB: u64 = 17 << 10;

/// The process, which changes with each start.
pub(crate) struct Service {
    pub(crate) port: u16,
    folder: PathBuf,
    /// What stands before the program in its command line.
    prefix: Vec<String>,
    has_control: bool,
    state: Mutex<State>,
    peak_kib: AtomicU64,
}

#[derive(Default)]
struct State {
    child: Option<Child>,
    /// Counts starts.
    generation: u64,
    /// When it first answered, in this generation.
    ready: Option<Instant>,
    /// Whether it is killed on purpose.
    may_end: bool,
    ended: Option<Instant>,
    /// Why it stays down for now, if it ends.
    holds: [bool; 2],
    /// Whether the run is over.
    is_finished: bool,
    unexpected: Vec<String>,
}

/// What a moment ago was the state of the process.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Life {
    pub(crate) generation: u64,
    /// Since when it answers; `None` while it is down or starts.
    pub(crate) ready: Option<Instant>,
}

impl Service {
    pub(crate) fn new(
        folder: &Path,
        port: u16,
        disk: Option<&SmallDisk>,
        has_control: bool,
    ) -> Self {
        Self {
            port,
            folder: folder.to_owned(),
            prefix: disk.map(SmallDisk::enter).unwrap_or_default(),
            has_control,
            state: Mutex::default(),
            peak_kib: AtomicU64::new(0),
        }
    }

    /// Starts the process. Whether it answers is seen by [`Service::supervise`].
    pub(crate) fn start(&self) {
        self.spawn(&mut self.lock());
    }

    fn spawn(&self, state: &mut State) {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.folder.join("serve.log"))
            .unwrap();
        let mut command = self.command(&["serve"]);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        state.child = Some(command.spawn().unwrap());
        state.generation += 1;
        (state.ready, state.ended, state.may_end) = (None, None, false);
    }

    /// Runs a command of the program beside the service.
    pub(crate) fn run(&self, args: &[&str]) -> std::process::Output {
        self.command(args).output().unwrap()
    }

    /// Starts a command of the program beside the service.
    pub(crate) fn spawn_command(&self, args: &[&str]) -> Child {
        let mut command = self.command(args);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.spawn().unwrap()
    }

    /// Sends a signal, with which the process may end.
    pub(crate) fn signal(&self, signal: &str) {
        let mut state = self.lock();
        // Before it has its handlers, every other signal ends a process.
        if state.ready.is_none() && signal == "HUP" {
            return;
        }
        state.may_end |= matches!(signal, "KILL" | "TERM");
        if signal == "STOP" {
            state.ready = None;
        }
        if let Some(child) = &state.child {
            let id = child.id().to_string();
            drop(
                Command::new("kill")
                    .args([&format!("-{signal}"), &id])
                    .status(),
            );
        }
    }

    pub(crate) fn life(&self) -> Life {
        let state = self.lock();
        Life {
            generation: state.generation,
            ready: state.ready,
        }
    }

    /// Waits until it is ready, or is down and held there. False if that takes too long: it may be
    /// frozen, and the caller may be the thread that would end this.
    pub(crate) fn wait_for_ready(&self) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(3) {
            let state = self.lock();
            if state.ready.is_some() || state.child.is_none() {
                return true;
            }
            drop(state);
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    }

    /// The largest resident memory of all generations, in KiB.
    pub(crate) fn peak_kib(&self) -> u64 {
        self.peak_kib.load(Ordering::Relaxed)
    }

    /// Keeps the service running, and records its memory, until the run ends.
    pub(crate) fn supervise(&self, world: &World, limit_kib: u64) {
        let mut is_over = false;
        while !self.lock().is_finished {
            self.look();
            for message in std::mem::take(&mut self.lock().unexpected) {
                world.fail(message);
            }
            let peak = self.peak_kib();
            if peak > limit_kib && !is_over {
                is_over = true;
                world.fail(format!("resident: {} MiB", peak >> 10));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Whether an ended service stays down for now.
    pub(crate) fn hold(&self, is_held: bool) {
        self.lock().holds[0] = is_held;
    }

    /// As [`Service::hold`], while the files are such that a start would fail.
    pub(crate) fn hold_files(&self, is_held: bool) {
        self.lock().holds[1] = is_held;
    }

    /// Ends the service and starts it no more. Returns its exit status.
    pub(crate) fn end(&self) -> ExitStatus {
        self.signal("TERM");
        let mut state = self.lock();
        state.is_finished = true;
        state.child.take().unwrap().wait().unwrap()
    }

    /// Looks whether it has ended or is ready, and starts it again.
    pub(crate) fn look(&self) {
        let (generation, is_new) = {
            let mut state = self.lock();
            if let Some(child) = &mut state.child {
                self.record_memory(child.id());
                if let Some(status) = child.try_wait().unwrap() {
                    // Before it is ready it may end because its store cannot be used.
                    if state.ready.is_some() && !state.may_end {
                        let message = format!("the service ended by itself: {status}");
                        state.unexpected.push(message);
                    }
                    (state.child, state.ready) = (None, None);
                    state.ended = Some(Instant::now());
                }
            }
            let may_start = state.ended.is_some_and(|ended| ended.elapsed() >= RESTART);
            if may_start && !state.is_finished && !state.holds.contains(&true) {
                // Under the lock: a hold that is set now must not come too late.
                self.spawn(&mut state);
                return;
            }
            (
                state.generation,
                state.child.is_some() && state.ready.is_none(),
            )
        };
        // Without the lock, which a signal needs.
        if is_new {
            let client = Client {
                port: self.port,
                token: "",
            };
            let answer = client.call("GET", "/healthz", "", Duration::from_secs(1));
            let mut state = self.lock();
            if answer.is_some_and(|answer| answer.status == 200) && state.generation == generation {
                state.ready = Some(Instant::now());
            }
        }
    }

    /// `VmHWM` is the largest resident size so far, whatever happened between two looks. The pages
    /// of the program's file are not the service's memory: of a program with debug information they
    /// are 20 MiB more than of the one that is shipped, which has [`SHIPPED_FILE_KIB`].
    fn record_memory(&self, process: u32) {
        let status = std::fs::read_to_string(format!("/proc/{process}/status"));
        let status = status.unwrap_or_default();
        // Before `exec` it is this process, with all of its threads' memory.
        if !status.starts_with("Name:\treflexarc\n") {
            return;
        }
        let size = |name: &str| {
            let mut values = status.lines().filter_map(|line| line.strip_prefix(name));
            let value = values
                .next()
                .and_then(|text| text.trim().strip_suffix(" kB"));
            value.and_then(|text| text.parse::<u64>().ok()).unwrap_or(0)
        };
        let peak = size("VmHWM:");
        if peak > 0 {
            let own = peak.saturating_sub(size("RssFile:"));
            self.peak_kib
                .fetch_max(own + SHIPPED_FILE_KIB, Ordering::Relaxed);
        }
    }

    fn command(&self, args: &[&str]) -> Command {
        // In a shell, because `nsenter` changes the folder to the root of the namespace.
        let script = format!(
            "cd {} && exec ./reflexarc {}",
            self.folder.display(),
            args.join(" ")
        );
        let argv = [self.prefix.clone(), vec!["sh".into(), "-c".into(), script]].concat();
        let mut command = Command::new(&argv[0]);
        command
            .args(&argv[1..])
            // As the unit and the image in `deploy`.
            .env("MIMALLOC_PURGE_DELAY", "100")
            .env("MALLOC_ARENA_MAX", "4")
            .env("SENDER_TOKEN", SENDER_TOKEN)
            .env("OPERATOR_TOKEN", OPERATOR_TOKEN);
        if self.has_control {
            command
                .env("LD_PRELOAD", self.folder.join("libchaos.so"))
                .env("REFLEXARC_CHAOS_CONTROL", self.folder.join("control"));
        }
        command
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some(child) = &mut self.lock().child {
            drop(child.kill());
            drop(child.wait());
        }
    }
}
