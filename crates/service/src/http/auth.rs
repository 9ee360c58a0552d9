//! Who may do what: bearer tokens with roles.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use jiff::Timestamp;
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// What a token allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// Post events.
    Ingest,
    /// Look at traces, the outbox, dead letters and figures.
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

/// Every token that is good for something.
#[derive(Debug, Clone, Default)]
pub struct Tokens {
    tokens: Vec<Token>,
}

/// Why a request is turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// 401: no token, or none that we know, or one that has expired.
    #[error("a valid bearer token is needed")]
    Unknown,
    /// 403: the token is good, but not for this.
    #[error("this token does not have the role for this")]
    Role,
}

impl Token {
    /// A token; `name` says in logs who came.
    pub fn new(
        name: String,
        secret: &SecretString,
        roles: Vec<Role>,
        expires: Option<Timestamp>,
    ) -> Self {
        Self {
            name,
            digest: Sha256::digest(secret.expose_secret()).into(),
            roles,
            expires,
        }
    }
}

impl Tokens {
    /// These tokens. With none, everybody may do everything: the configuration allows that on loopback alone.
    pub fn new(tokens: Vec<Token>) -> Self {
        Self { tokens }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.tokens.is_empty()
    }

    /// Says who comes, if they may do what needs `role`. The token stands in the Authorization header or, for clients
    /// that cannot set headers (Cloud Monitor's webhooks), as `token` in the query.
    ///
    /// # Errors
    /// When they may not.
    pub fn check(
        &self,
        headers: &HeaderMap,
        query: &str,
        role: Role,
        now: Timestamp,
    ) -> Result<&str, Denied> {
        if self.tokens.is_empty() {
            return Ok("anybody");
        }
        let header = headers
            .get(AUTHORIZATION)
            .map(|value| bearer(value.to_str().unwrap_or_default()).to_owned());
        let given = header.or_else(|| queried(query)).ok_or(Denied::Unknown)?;
        let digest: [u8; 32] = Sha256::digest(given).into();
        // Digests have one length, and every token is compared with in full: the time tells nothing about any of them.
        let mut found = None;
        for token in &self.tokens {
            if bool::from(token.digest.ct_eq(&digest)) {
                found = Some(token);
            }
        }
        let token = found
            .filter(|token| token.expires.is_none_or(|end| now < end))
            .ok_or(Denied::Unknown)?;
        if token.roles.contains(&role) {
            Ok(&token.name)
        } else {
            Err(Denied::Role)
        }
    }
}

/// The token of `Bearer …`; of anything else one that nobody has.
fn bearer(value: &str) -> &str {
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        _ => "",
    }
}

fn queried(query: &str) -> Option<String> {
    let url = Url::parse(&format!("http://localhost/?{query}")).ok()?;
    url.query_pairs()
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
    fn a_token_is_good_for_its_roles_until_it_expires() {
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
            Err(Denied::Role)
        );
        assert_eq!(
            check(Some("Bearer secret-ops"), "", Role::Ingest, 0),
            Err(Denied::Role)
        );
        assert_eq!(
            check(Some("Bearer secret-old"), "", Role::Ingest, -1),
            Ok("old".into())
        );
        assert_eq!(
            check(Some("Bearer secret-old"), "", Role::Ingest, 0),
            Err(Denied::Unknown)
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
                Err(Denied::Unknown),
                "{wrong:?}"
            );
        }
        // A wrong header is not made good by the query.
        assert_eq!(
            check(Some("Bearer wrong"), "token=secret-cloud", Role::Ingest, 0),
            Err(Denied::Unknown)
        );
    }
}
