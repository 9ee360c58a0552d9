//! Lists of deliveries in pages, which are bounded in number and in bytes.

use std::fmt;
use std::str::FromStr;

use reflexarc_delivery::DeliveryId;

use crate::{Attempt, DeliveryRecord};

/// How much a page holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageLimits {
    /// Largest number of events or deliveries.
    pub rows: usize,
    /// Largest total size in bytes: of events before compression, of actions and reasons. The first
    /// one is in the page whatever its size.
    pub bytes: usize,
}

impl PageLimits {
    /// Of walks over the archive: 256 events, 16 MiB.
    // Large enough that the cost of a query is spread over many events; so few bytes that a walk
    // over events of 7 MB each holds two of them and not 256.
    pub(crate) const WALK: Self = Self {
        rows: 256,
        bytes: 16 << 20,
    };
    /// Of lists of deliveries that are read page by page: 1,000 deliveries, 4 MiB.
    pub(crate) const LIST: Self = Self {
        rows: 1_000,
        bytes: 4 << 20,
    };
}

/// A part of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeliveryPage {
    /// The deliveries, in the order of the list.
    pub deliveries: Vec<DeliveryRecord>,
    /// What would be in the page too, but cannot be read.
    pub damaged: Vec<DamagedDelivery>,
    /// Where the next page begins; `None` at the end of the list.
    pub next: Option<PageCursor>,
}

/// The deliveries of one event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EventDeliveries {
    /// The deliveries with their attempts, in the order in which they were created.
    pub deliveries: Vec<(DeliveryRecord, Vec<Attempt>)>,
    /// What cannot be read.
    pub damaged: Vec<DamagedDelivery>,
    /// Number of further deliveries, beyond the limits of the page.
    pub left_out: u64,
}

/// A delivery that cannot be read back, or all deliveries of a damaged part of the store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("{} cannot be read: {reason}", match id {
    Some(id) => format!("delivery {id}"),
    None => "a part of the deliveries".to_owned(),
})]
pub struct DamagedDelivery {
    /// The delivery, if it is known.
    pub id: Option<DeliveryId>,
    /// What is wrong.
    pub reason: String,
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
