//! The tests of the filter language that look at it from outside.

mod generate;
mod naive;
