//! The tests of the filter language that look at it from outside.

mod explain;
mod generate;
mod matcher;
mod naive;
mod notation;
mod shared_corpus;
