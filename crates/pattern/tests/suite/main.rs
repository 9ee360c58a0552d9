//! Tests of the filter language through its public API.

mod corpus;
mod diagnostics;
mod explain;
mod generate;
mod matcher;
mod naive;
mod notation;
mod reference;
mod scalar_matcher;
mod shared_corpus;
