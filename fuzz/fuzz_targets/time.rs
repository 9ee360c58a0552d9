//! Any events of a rule with a time window, in any order and late as they may be: what the rule set
//! does equals the naive twin, which reads the whole list of events.

#![no_main]

#[cfg(fuzzing)]
use libfuzzer_sys::fuzz_target;

// Without the flag of fuzzing, with which this is built to run, there is nothing to call.
#[cfg(fuzzing)]
fuzz_target!(|bytes: &[u8]| reflexarc::fuzzing::time(bytes));
