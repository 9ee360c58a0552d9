//! The tests of the filter language that look at it from outside.

mod checklist;
mod corpus;
mod diagnostics;
mod explain;
mod generate;
mod matcher;
mod naive;
mod notation;
mod reference;
mod shared_corpus;
