//! Cases kept as data, with every evaluator: one named test for each case.
//!
//! `cargo test -p reflexarc-pattern --test corpus NAME` runs the tests whose names contain `NAME`.

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Trial};

mod cases;
mod differences;
mod evaluators;
mod mismatch;
#[path = "../support/scalar_answer.rs"]
mod scalar_answer;
mod shared;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let corpus = Arc::new(cases::Corpus::load());
    let trials: Vec<Trial> = cases::trials(&corpus)
        .into_iter()
        .chain(shared::trials())
        .collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}
