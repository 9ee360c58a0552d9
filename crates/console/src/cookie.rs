//! The two cookies: the session, and what the form that logs in belongs to.

use axum::http::header::{COOKIE, ORIGIN};
use axum::http::{HeaderMap, HeaderValue};

/// A cookie of the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cookie {
    /// The id of a session.
    Session,
    /// A random text, before there is a session.
    Login,
}

/// Longest time of the cookie before a session.
const LOGIN_SECONDS: u32 = 3_600;

impl Cookie {
    /// Its value in a request. The name that only this host can set comes first, and with `has_tls`
    /// it is the only one.
    pub(crate) fn value(self, headers: &HeaderMap, has_tls: bool) -> Option<String> {
        match self.values(headers, true) {
            found if !found.is_empty() || has_tls => only(&found),
            _ => only(&self.values(headers, false)),
        }
    }

    fn values(self, headers: &HeaderMap, secure: bool) -> Vec<&str> {
        let name = self.name(secure);
        let lines = headers.get_all(COOKIE).iter();
        let pairs = lines.flat_map(|line| line.to_str().unwrap_or_default().split(';'));
        let pairs = pairs.filter_map(|pair| pair.trim().split_once('='));
        let own = pairs.filter(|(found, _)| *found == name);
        own.map(|(_, value)| value).collect()
    }

    /// The header that sets it. `value` must be ASCII letters and digits.
    pub(crate) fn set(self, value: &str, secure: bool) -> String {
        let life = match self {
            // Until the browser is closed, and the service may end it before.
            Self::Session => String::new(),
            Self::Login => format!("; Max-Age={LOGIN_SECONDS}"),
        };
        self.header(value, &life, secure)
    }

    /// The header that removes it.
    pub(crate) fn clear(self, secure: bool) -> String {
        self.header("", "; Max-Age=0", secure)
    }

    fn header(self, value: &str, life: &str, secure: bool) -> String {
        let name = self.name(secure);
        let secure = if secure { "; Secure" } else { "" };
        format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{life}")
    }

    /// With the prefix, a browser refuses the cookie from any other host of the domain.
    fn name(self, secure: bool) -> &'static str {
        match (self, secure) {
            (Self::Session, true) => "__Host-reflexarc-session",
            (Self::Session, false) => "reflexarc-session",
            (Self::Login, true) => "__Host-reflexarc-login",
            (Self::Login, false) => "reflexarc-login",
        }
    }
}

/// The only value. Of several, another name of the same domain may have set one.
fn only(values: &[&str]) -> Option<String> {
    match values {
        [value] => Some((*value).to_owned()),
        _ => None,
    }
}

/// Whether a form was sent from a page with TLS, which a proxy in front may have added: the browser
/// sets `Origin`. `X-Forwarded-Proto` is ignored, because any client may send it.
pub(crate) fn is_from_https(headers: &HeaderMap) -> bool {
    let origin = headers.get(ORIGIN).map(HeaderValue::as_bytes);
    origin.is_some_and(|origin| origin.starts_with(b"https://"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_cookie_of_the_name_counts() {
        let value = |lines: &[&str], secure| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(COOKIE, line.parse().unwrap());
            }
            Cookie::Session.value(&headers, secure)
        };
        let one = "a=b; reflexarc-session=abc; c";
        assert_eq!(value(&[one], false).as_deref(), Some("abc"));
        // Over TLS only the name that no other host can set.
        assert_eq!(value(&[one], true), None);
        let host = "__Host-reflexarc-session=abc";
        assert_eq!(value(&[host], true).as_deref(), Some("abc"));
        // Without TLS here, a proxy in front may have it.
        assert_eq!(value(&[host], false).as_deref(), Some("abc"));
        let planted = "reflexarc-session=planted";
        assert_eq!(value(&[planted, host], false).as_deref(), Some("abc"));
        assert_eq!(value(&[host, host, planted], false), None);
        assert_eq!(value(&[], false), None);
        assert_eq!(value(&["xreflexarc-session=abc"], false), None);
        for twice in [
            &[one, one][..],
            &["reflexarc-session=a; reflexarc-session=b"],
        ] {
            assert_eq!(value(twice, false), None);
        }
    }
}
