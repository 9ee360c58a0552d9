//! Accounts: users, and the cloud services that manage interfaces for them.

use crate::Limits;

/// One account.
///
/// ```
/// use reflexarc_eni::resources::Account;
///
/// let user = Account::user("1001").with_preview(true).with_quota(10);
/// assert_eq!((user.preview, user.quota, user.service), (true, 10, None));
/// assert_eq!(Account::service("9001", 9001).service, Some(9001));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The account's number, as digits.
    pub id: String,
    /// Whether the preview of ENI completion events is on for it; the feature is by invitation.
    pub preview: bool,
    /// The service's number when the account belongs to a cloud service. Interfaces that such an
    /// account creates are managed.
    pub service: Option<i64>,
    /// The maximum number of secondary, unmanaged interfaces that it owns in the region.
    pub quota: usize,
}

impl Account {
    /// A user's account, with the preview off.
    pub fn user(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            preview: false,
            service: None,
            quota: Limits::DEFAULT.interfaces_per_account,
        }
    }

    /// The account of the cloud service with that number, with the preview off.
    pub fn service(id: &str, number: i64) -> Self {
        Self {
            service: Some(number),
            ..Self::user(id)
        }
    }

    /// Turns the preview on or off.
    #[must_use]
    pub fn with_preview(mut self, preview: bool) -> Self {
        self.preview = preview;
        self
    }

    /// Replaces the quota.
    #[must_use]
    pub fn with_quota(mut self, quota: usize) -> Self {
        self.quota = quota;
        self
    }
}
