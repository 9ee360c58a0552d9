//! The `reflexarc` command of an installed wheel.

use pyo3::prelude::*;

/// Run the `reflexarc` command line and return its exit code; `arguments` begins with the
/// name of the program.
#[pyfunction]
#[pyo3(signature = (arguments, /))]
pub(crate) fn command(py: Python<'_>, arguments: Vec<std::ffi::OsString>) -> u8 {
    // Detached, because the command may run for long, and other Python threads must go on.
    // Detached, because the command may run for long, and other Python threads must go on.
    py.detach(|| reflexarc_cli::run(arguments))
}
