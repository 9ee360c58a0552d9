//! Bearer tokens with roles.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// What a token allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Role {
    /// Post events.
    Ingest,
    /// Read traces, the outbox, dead letters, status and metrics.
    Read,
    /// Reload rules; cancel, redrive and drop deliveries.
    Operate,
}

/// A bearer token. Only its digest is kept.
#[derive(Debug, Clone)]
pub struct Token {
    name: String,
    digest: [u8; 32],
    roles: Vec<Role>,
    expires: Option<Timestamp>,
}

/// The name of every client where there are no tokens.
pub(crate) const ANONYMOUS: &str = "anonymous";

/// Accepted bearer tokens.
///
/// ```
/// use axum::http::HeaderMap;
/// use jiff::Timestamp;
/// use reflexarc_service::security::{AccessDenied, Role, Token, Tokens};
///
/// let secret = "a long random text".into();
/// let token = Token::new("dashboard".into(), &secret, vec![Role::Read], None);
/// let tokens = Tokens::new(vec![token]);
/// let headers: HeaderMap =
///     [("authorization".parse()?, "Bearer a long random text".parse()?)].into_iter().collect();
/// let now = Timestamp::now();
/// assert_eq!(tokens.check(&headers, "", Role::Read, now), Ok("dashboard"));
/// assert_eq!(tokens.check(&headers, "", Role::Operate, now), Err(AccessDenied::Forbidden));
/// let none = HeaderMap::new();
/// assert_eq!(tokens.check(&none, "", Role::Read, now), Err(AccessDenied::Unauthenticated));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Tokens {
    tokens: Vec<Token>,
    /// Whether every request is refused if there are no tokens.
    closed: bool,
}

/// Why a request is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AccessDenied {
    /// 401: the token is missing, unknown or expired.
    #[error("missing or invalid bearer token")]
    Unauthenticated,
    /// 403: the token is valid but does not have the role.
    #[error("the token does not have the required role")]
    Forbidden,
}

impl Token {
    /// A token; logs name its holder by `name`.
    pub fn new(
        name: String,
        secret: &SecretString,
        roles: Vec<Role>,
        expires: Option<Timestamp>,
    ) -> Self {
        Self {
            name,
            // The digest is enough to compare with, and a memory dump does not contain the token. A
            // slow password hash is not needed: tokens are long and random.
            digest: Sha256::digest(secret.expose_secret()).into(),
            roles,
            expires,
        }
    }
}

impl Token {
    /// The name of its holder.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// What it allows.
    pub(crate) fn roles(&self) -> &[Role] {
        &self.roles
    }

    /// What tells it from another token of the same name. It cannot be used in its place.
    pub(crate) fn fingerprint(&self) -> [u8; 32] {
        Sha256::digest(self.digest).into()
    }

    fn is_valid(&self, now: Timestamp) -> bool {
        self.expires.is_none_or(|end| now < end)
    }
}

impl Tokens {
    /// Accepts these tokens. Without any, every request is allowed; the configuration permits that
    /// only if the service listens on a loopback address.
    pub fn new(tokens: Vec<Token>) -> Self {
        Self {
            tokens,
            closed: false,
        }
    }

    /// These tokens, and of `previous` those whose names are among `kept`. Without any, every
    /// request is refused.
    ///
    /// ```
    /// use axum::http::HeaderMap;
    /// use jiff::Timestamp;
    /// use reflexarc_service::security::{AccessDenied, Role, Token, Tokens};
    ///
    /// let old = Token::new("old".into(), &"a long random text".into(), vec![Role::Read], None);
    /// let previous = Tokens::new(vec![old]);
    /// // Its entry was removed, and the entry that was added is invalid.
    /// let tokens = Tokens::default().with_kept(&previous, &["new".to_owned()]);
    /// let denied = tokens.check(&HeaderMap::new(), "", Role::Read, Timestamp::now());
    /// assert_eq!(denied, Err(AccessDenied::Unauthenticated));
    /// ```
    #[must_use]
    pub fn with_kept(mut self, previous: &Self, kept: &[String]) -> Self {
        let kept = previous
            .tokens
            .iter()
            .filter(|token| kept.contains(&token.name));
        self.tokens.extend(kept.cloned());
        // An empty list would let everyone in: the only entry may be the one with the error.
        self.closed = true;
        self
    }

    /// Whether every request is allowed.
    pub fn is_open(&self) -> bool {
        self.tokens.is_empty() && !self.closed
    }

    /// A token that a person has entered; `None` if it is unknown or has expired.
    pub(crate) fn find(&self, token: &SecretString, now: Timestamp) -> Option<&Token> {
        self.matching(token.expose_secret(), now)
    }

    /// The token with this name and fingerprint; `None` if it was removed or replaced or has
    /// expired.
    pub(crate) fn current(
        &self,
        name: &str,
        fingerprint: [u8; 32],
        now: Timestamp,
    ) -> Option<&Token> {
        let mut tokens = self.tokens.iter();
        tokens.find(|token| {
            token.name == name && token.fingerprint() == fingerprint && token.is_valid(now)
        })
    }

    /// The fingerprint of the token with this name; `None` if there is none.
    pub(crate) fn fingerprint_of(&self, name: &str) -> Option<[u8; 32]> {
        let token = self.tokens.iter().find(|token| token.name == name);
        token.map(Token::fingerprint)
    }

    /// The name of the token's holder, if the token has `role`. The token is in the `Authorization`
    /// header or, for clients that cannot set headers (Cloud Monitor's webhooks), the query
    /// parameter `token`.
    ///
    /// # Errors
    /// If the request must be refused.
    pub fn check(
        &self,
        headers: &HeaderMap,
        query: &str,
        role: Role,
        now: Timestamp,
    ) -> Result<&str, AccessDenied> {
        if self.is_open() {
            return Ok(ANONYMOUS);
        }
        let header = headers
            .get(AUTHORIZATION)
            // No token has a character beyond ASCII, so such a header is refused like a wrong
            // token.
            .map(|value| bearer(value.to_str().unwrap_or_default()).to_owned());
        // A header that is present decides, even if it is wrong: two tokens in one request are a
        // mistake that must not be hidden.
        let given = header
            .or_else(|| token_in_query(query))
            .ok_or(AccessDenied::Unauthenticated)?;
        let token = self.matching(&given, now);
        let token = token.ok_or(AccessDenied::Unauthenticated)?;
        if token.roles.contains(&role) {
            Ok(&token.name)
        } else {
            Err(AccessDenied::Forbidden)
        }
    }

    /// The token with this text, if it has not expired.
    fn matching(&self, given: &str, now: Timestamp) -> Option<&Token> {
        let digest: [u8; 32] = Sha256::digest(given).into();
        // Digests are compared in constant time, with every token: how long a refusal takes says
        // nothing about how much of a token was right, or which token it is like.
        let mut found = None;
        for token in &self.tokens {
            if bool::from(token.digest.ct_eq(&digest)) {
                found = Some(token);
            }
        }
        // An expired token gets the same answer as an unknown one.
        found.filter(|token| token.is_valid(now))
    }
}

/// The token of `Bearer …`; the empty text, which is never a token, for anything else.
fn bearer(value: &str) -> &str {
    match value.split_once(' ') {
        // RFC 7235: the scheme is case-insensitive.
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => "",
    }
}

fn token_in_query(query: &str) -> Option<String> {
    form_urlencoded::parse(query.as_bytes())
        .find(|(key, _)| key == "token")
        .map(|(_, value)| value.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens() -> Tokens {
        let token = |name: &str, roles: &[Role], expires| {
            Token::new(
                name.into(),
                &format!("secret-{name}").into(),
                roles.to_vec(),
                expires,
            )
        };
        Tokens::new(vec![
            token("cloud", &[Role::Ingest], None),
            token("ops", &[Role::Read, Role::Operate], None),
            token("old", &[Role::Ingest], Some(Timestamp::UNIX_EPOCH)),
        ])
    }

    #[test]
    fn a_token_grants_its_roles_until_it_expires() {
        let check = |header: Option<&str>, query, role, second| {
            let headers = header
                .map(|value| (AUTHORIZATION, value.parse().unwrap()))
                .into_iter()
                .collect();
            tokens()
                .check(
                    &headers,
                    query,
                    role,
                    Timestamp::from_second(second).unwrap(),
                )
                .map(str::to_owned)
        };
        assert_eq!(
            check(Some("Bearer secret-cloud"), "", Role::Ingest, 0),
            Ok("cloud".into())
        );
        assert_eq!(
            check(Some("bearer secret-cloud "), "", Role::Ingest, 0),
            Ok("cloud".into())
        );
        assert_eq!(
            check(None, "a=b&token=secret%2Dcloud", Role::Ingest, 0),
            Ok("cloud".into())
        );
        assert_eq!(
            check(Some("Bearer secret-cloud"), "", Role::Operate, 0),
            Err(AccessDenied::Forbidden)
        );
        assert_eq!(
            check(Some("Bearer secret-ops"), "", Role::Ingest, 0),
            Err(AccessDenied::Forbidden)
        );
        assert_eq!(
            check(Some("Bearer secret-old"), "", Role::Ingest, -1),
            Ok("old".into())
        );
        assert_eq!(
            check(Some("Bearer secret-old"), "", Role::Ingest, 0),
            Err(AccessDenied::Unauthenticated)
        );
        for wrong in [
            None,
            Some("Bearer "),
            Some("Bearer secret-clou"),
            Some("Basic secret-cloud"),
            Some("secret-cloud"),
        ] {
            assert_eq!(
                check(wrong, "", Role::Ingest, 0),
                Err(AccessDenied::Unauthenticated),
                "{wrong:?}"
            );
        }
        // The query is not read if there is a header.
        assert_eq!(
            check(Some("Bearer wrong"), "token=secret-cloud", Role::Ingest, 0),
            Err(AccessDenied::Unauthenticated)
        );
    }
}
