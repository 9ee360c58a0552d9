//! The built command line, from the outside: output and exit codes.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "tests make files and run the program"
)]

mod audit;
mod bad_input;
mod call_lists;
mod call_targets;
mod check_events;
mod check_fix;
mod commands;
mod config_check;
mod configuration_page;
mod crash;
mod crash_calls;
mod crash_incidents;
mod crash_silences;
mod crash_timers;
#[cfg(feature = "cluster")]
mod database;
mod deploy;
mod disabled;
mod documented;
mod earlier_versions;
mod explain_windows;
mod export;
mod generated_pages;
mod help;
mod import;
mod import_iac;
mod import_responses;
mod inhibitions;
mod killed_deliveries;
mod links;
mod lookup_tables;
mod markdown;
mod no_certificates;
mod operating;
mod operating_incidents;
mod operating_windows;
mod pages;
mod plot_geometry;
mod readme;
mod reloading;
mod remote;
mod run_calls;
mod run_clock;
mod run_delays;
mod run_jobs;
mod run_windows;
mod schema;
mod service_process;
mod service_windows;
mod shipped_rules;
mod silences;
mod simulate;
mod simulate_calls;
mod simulate_delays;
mod simulate_deliveries;
mod simulate_plot;
mod simulate_windows;
mod spellings;
mod starting;
mod status;
mod store_command;
#[cfg(feature = "cluster")]
mod store_in_postgres;
mod storm;
mod streams;
mod tail;
mod unknown_targets;
mod usual_mistakes;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Exit code and output of a command.
struct Outcome {
    code: i32,
    stdout: String,
    stderr: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .canonicalize()
        .unwrap()
}

/// Runs `reflexarc` in the root of the repository.
fn reflexarc(args: &[&str]) -> Outcome {
    reflexarc_in(&root(), args, b"")
}

/// Runs `reflexarc` in a folder, with `stdin` as its input.
fn reflexarc_in(folder: &Path, args: &[&str], stdin: &[u8]) -> Outcome {
    let mut child = Command::new(env!("CARGO_BIN_EXE_reflexarc"))
        .args(args)
        .current_dir(folder)
        .env_remove("NO_COLOR")
        .env_remove("CLICOLOR_FORCE")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let bytes = stdin.to_vec();
    // A command that does not read its input closes the pipe early; that is no failure of the test.
    let feeder = std::thread::spawn(move || drop(input.write_all(&bytes)));
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    Outcome {
        code: output.status.code().unwrap(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}
