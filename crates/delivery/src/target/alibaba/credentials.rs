//! Key pairs, and where a target gets them from.

use std::fmt;

use secrecy::{ExposeSecret, SecretString};

use super::instance_role::InstanceRole;
use super::signature::SigningKey;

/// An access key, permanent or temporary.
#[derive(Clone)]
pub struct AccessKey {
    /// The id of the key.
    pub id: String,
    /// The secret that requests are signed with.
    pub secret: SecretString,
    /// The token of a temporary key (STS).
    pub security_token: Option<SecretString>,
}

/// Where a target gets its key from.
pub enum CredentialSource {
    /// A key that does not change while the target exists.
    Key(AccessKey),
    /// The role of the instance: temporary keys from the metadata service, renewed before they
    /// expire.
    InstanceRole(InstanceRole),
}

impl CredentialSource {
    /// The key to sign with now.
    ///
    /// # Errors
    /// Why the metadata service gives none.
    pub(super) async fn key(&self) -> Result<AccessKey, String> {
        match self {
            Self::Key(key) => Ok(key.clone()),
            Self::InstanceRole(role) => role.key().await,
        }
    }

    /// The role that has another key when the API does not accept one any more.
    pub(super) fn role(&self) -> Option<&InstanceRole> {
        match self {
            Self::Key(_) => None,
            Self::InstanceRole(role) => Some(role),
        }
    }
}

impl AccessKey {
    pub(super) fn signing(&self) -> SigningKey<'_> {
        SigningKey {
            id: &self.id,
            secret: self.secret.expose_secret(),
            token: self.token(),
        }
    }

    pub(super) fn token(&self) -> Option<&str> {
        self.security_token
            .as_ref()
            .map(SecretString::expose_secret)
            // An empty one, of a rehearsal, would be signed as a header without a value.
            .filter(|token| !token.is_empty())
    }
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessKey").finish_non_exhaustive()
    }
}
