//! Random secrets, and comparing them.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// There is no source of random numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unavailable;

/// A key of this process.
pub(crate) struct Key([u8; 32]);

/// What a CSRF token is for; a token for one is not valid for the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The form that logs in.
    Login,
    /// The forms of a session.
    Session,
}

impl Key {
    /// A new key.
    pub(crate) fn random() -> Result<Self, Unavailable> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes).map_err(|_| Unavailable)?;
        Ok(Self(bytes))
    }

    /// The CSRF token that belongs to a cookie; without one, to this process.
    pub(crate) fn csrf_token(&self, purpose: Purpose, cookie: &str) -> String {
        // A key of any length is valid.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else {
            return String::new();
        };
        mac.update(&[purpose as u8]);
        mac.update(cookie.as_bytes());
        hex::encode(mac.finalize().into_bytes())
    }

    /// Whether a form has the CSRF token that belongs to a cookie.
    pub(crate) fn is_csrf_token(&self, purpose: Purpose, cookie: &str, given: &str) -> bool {
        let expected = self.csrf_token(purpose, cookie);
        !expected.is_empty() && bool::from(expected.as_bytes().ct_eq(given.as_bytes()))
    }
}

/// 256 random bits as text.
pub(crate) fn random_text() -> Result<String, Unavailable> {
    Key::random().map(|Key(bytes)| hex::encode(bytes))
}
