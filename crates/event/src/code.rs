//! The one registry of diagnostic codes.

use std::fmt;

/// A stable diagnostic code such as `RA0101`; a number is never given to a second meaning.
///
/// The hundreds say who speaks: 00 events, 01 the filter language, 02 what a filter means, 03 dialects,
/// 04 rule files, 05 reactions, 06 configuration and the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(pub u16);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RA{:04}", self.0)
    }
}
