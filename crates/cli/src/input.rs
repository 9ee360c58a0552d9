//! Inputs: what positional arguments name, and event streams, which are opened, decompressed, cut
//! into records and processed on several threads in order.

mod arguments;
mod open;
mod records;
mod stream;

pub(crate) use arguments::{
    FilterAndEvents, Named, RulesAndEvents, either, filter_and_events, load_rules,
    with_warnings_of_valid,
};
pub(crate) use open::{Source, open_all, read_stdin, read_text};
pub(crate) use records::{Record, Records};
pub(crate) use stream::{
    Processed, Reading, for_each, for_each_batch_on_threads, for_each_on_threads,
};
