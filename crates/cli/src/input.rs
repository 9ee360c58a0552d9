//! Event streams: opened, unpacked, cut into records, and worked through in order on several threads.

mod open;
mod records;
mod scan;
mod stream;

pub(crate) use open::Source;
pub(crate) use records::{Record, Records};
pub(crate) use stream::for_each;
