//! The program `reflexarc`.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(reflexarc_cli::run(std::env::args_os()))
}
