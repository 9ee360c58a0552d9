//! Resource limits for untrusted events.

/// Limits on one event, the same in debug and release builds, checked before memory is allocated.
///
/// ```
/// use reflexarc_event::{Event, EventError, Limits};
///
/// let limits = Limits { bytes: 64, ..Limits::DEFAULT };
/// let event = Event::from_json_within(format!(r#"{{"a": "{}"}}"#, "x".repeat(80)), &limits);
/// assert!(matches!(event, Err(EventError::TooLarge { limit: 64, .. })));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Maximum length of an event in bytes.
    pub bytes: usize,
    /// Maximum nesting of arrays and objects; a scalar has depth 0, `{}` has depth 1.
    pub depth: usize,
    /// Maximum length in bytes of a document that contains events.
    pub document_bytes: usize,
    /// Maximum number of events that one document contains.
    pub contained: usize,
    /// Maximum nesting of documents that contain others, where each list, element and message is
    /// a level. A document that is nested more deeply is an error, not an event.
    pub nesting: usize,
    /// Maximum number of findings of [`crate::check`] for one event. One more says that there are
    /// others.
    pub findings: usize,
}

impl Limits {
    /// 1 MiB, 128 levels, documents of 16 MiB and 10,000 events in 8 levels of
    /// documents, 100 findings.
    pub const DEFAULT: Self = Self {
        bytes: 1 << 20,
        depth: 128,
        document_bytes: 16 << 20,
        contained: 10_000,
        // Records of SQS with notifications of SNS that contain records of CloudTrail are 7 levels.
        nesting: 8,
        findings: 100,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
