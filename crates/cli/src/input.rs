//! Event streams: opened, decompressed, cut into records and processed on several threads in order.

mod open;
mod records;
mod stream;

pub(crate) use open::Source;
pub(crate) use records::{Record, Records};
pub(crate) use stream::for_each;
