//! Who calls: users, and the cloud services that manage interfaces for them.

use crate::Limits;

/// One account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its number, as digits.
    pub id: String,
    /// Whether the ENI operation completion event feature, an invitational preview, is on for it.
    pub preview: bool,
    /// The service's number, where the account belongs to a cloud service. What such an account creates is managed.
    pub service: Option<i64>,
    /// How many secondary, standard interfaces it may own in the region.
    pub quota: usize,
}

impl Account {
    /// A user's account, without the preview.
    pub fn user(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            preview: false,
            service: None,
            quota: Limits::DEFAULT.interfaces_per_account,
        }
    }

    /// The account of the cloud service with that number, without the preview.
    pub fn service(id: &str, number: i64) -> Self {
        Self {
            service: Some(number),
            ..Self::user(id)
        }
    }

    /// The same with the preview switched.
    #[must_use]
    pub fn with_preview(mut self, preview: bool) -> Self {
        self.preview = preview;
        self
    }

    /// The same with another quota.
    #[must_use]
    pub fn with_quota(mut self, quota: usize) -> Self {
        self.quota = quota;
        self
    }
}
