//! What a delivery reports: an event, or a step in the life of an incident.

/// What led to a delivery.
///
/// ```
/// use reflexarc_delivery::Phase;
///
/// assert_eq!(Phase::from_number(2), Some(Phase::Resolved));
/// assert!(Phase::Fired.is_of_match() && !Phase::Event.is_of_match());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Phase {
    /// An event, or the answer to a call.
    #[default]
    Event,
    /// A match of a time window fired.
    Fired,
    /// A match that had fired was resolved.
    Resolved,
    /// A person has acknowledged the incident.
    Acknowledged,
}

impl Phase {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Event, Self::Fired, Self::Resolved, Self::Acknowledged];

    /// Whether a match led to it, by firing or by being resolved.
    pub fn is_of_match(self) -> bool {
        matches!(self, Self::Fired | Self::Resolved)
    }

    /// Its number, as stores keep it. Stores of earlier versions have 1 for resolved matches too.
    pub fn number(self) -> u8 {
        match self {
            Self::Event => 0,
            Self::Fired => 1,
            Self::Resolved => 2,
            Self::Acknowledged => 3,
        }
    }

    /// The phase with this number; `None` for the number of a later version.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.number() == number)
    }

    /// Its name: `event`, `fired`, `resolved`, `acknowledged`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Event => "event",
            Self::Fired => "fired",
            Self::Resolved => "resolved",
            Self::Acknowledged => "acknowledged",
        }
    }
}
