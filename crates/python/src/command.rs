//! The `reflexarc` command of an installed wheel.

use pyo3::prelude::*;

/// Run the command line `arguments` (the program's name first) and return its exit code.
#[pyfunction]
#[pyo3(signature = (arguments, /))]
pub(crate) fn command(py: Python<'_>, arguments: Vec<std::ffi::OsString>) -> u8 {
    py.detach(|| reflexarc_cli::run(arguments))
}
