//! Who calls an action, and from where.

use super::AccessKey;

/// The caller of an action, as `ActionTrail` records it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The account's id.
    pub account: String,
    /// The id of the access key that signed the request; absent for a call without HTTP.
    pub access_key: Option<String>,
    /// The role and the name of the session, if the key is one of a role.
    pub role: Option<(String, String)>,
    /// The address from which the request came.
    pub source_address: String,
    /// The program that made the request.
    pub user_agent: String,
}

impl Caller {
    /// The account itself, without a key, in this process.
    pub fn of_account(account: &str) -> Self {
        Self {
            account: account.to_owned(),
            access_key: None,
            role: None,
            source_address: "127.0.0.1".to_owned(),
            user_agent: "reflexarc".to_owned(),
        }
    }

    /// The holder of an access key.
    pub(super) fn of_key(key: &AccessKey, source_address: &str, user_agent: &str) -> Self {
        let session = key.session.as_ref();
        Self {
            account: key.account.clone(),
            access_key: Some(key.id.clone()),
            role: session.map(|session| (session.role.clone(), session.name.clone())),
            source_address: source_address.to_owned(),
            user_agent: user_agent.to_owned(),
        }
    }
}
