//! Event streams: opened, unpacked and cut into records, whatever their form.

mod open;
mod records;
mod scan;

pub(crate) use open::Source;
pub(crate) use records::{Record, Records};
