//! Lists of deliveries in pages, which are bounded in number and in bytes.

use std::fmt;
use std::str::FromStr;

use reflexarc_delivery::DeliveryId;

use crate::DeliveryRecord;

/// How much a page holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageLimits {
    /// Largest number of deliveries.
    pub deliveries: usize,
    /// Largest total size of their actions and reasons in bytes. The first delivery is in the page
    /// whatever its size.
    pub bytes: usize,
}

/// A part of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeliveryPage {
    /// The deliveries, in the order of the list.
    pub deliveries: Vec<DeliveryRecord>,
    /// Where the next page begins; `None` at the end of the list.
    pub next: Option<PageCursor>,
}

/// A place in a list: after the delivery with this time, archive position and id.
///
/// ```
/// use reflexarc_store::PageCursor;
///
/// let text = "1800000000000000-7-8b2a0000000000000000000000000001";
/// assert_eq!(text.parse::<PageCursor>()?.to_string(), text);
/// assert!("7-8b2a".parse::<PageCursor>().is_err());
/// # Ok::<(), reflexarc_store::InvalidPageCursor>(())
/// ```
//
// Not a number of deliveries to skip: those before may leave the list between two pages, and as
// many others would be passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageCursor {
    pub(crate) micros: i64,
    pub(crate) seq: i64,
    pub(crate) id: DeliveryId,
}

/// A text that is not a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("invalid cursor; use one from the previous page")]
pub struct InvalidPageCursor;

impl fmt::Display for PageCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.micros, self.seq, self.id)
    }
}

impl FromStr for PageCursor {
    type Err = InvalidPageCursor;

    fn from_str(text: &str) -> Result<Self, InvalidPageCursor> {
        // From the right: times before 1970 begin with `-`.
        let mut parts = text.rsplitn(3, '-');
        let mut next = || parts.next().ok_or(InvalidPageCursor);
        let (id, seq, micros) = (next()?, next()?, next()?);
        Ok(Self {
            micros: micros.parse().map_err(|_| InvalidPageCursor)?,
            seq: seq.parse().map_err(|_| InvalidPageCursor)?,
            id: id.parse().map_err(|_| InvalidPageCursor)?,
        })
    }
}
