//! The two cookies: the session, and what the form that logs in belongs to.

use axum::http::HeaderMap;
use axum::http::header::COOKIE;

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
    /// Its value in a request. `None` if there are several: another name of the same domain may
    /// have set one of them.
    pub(crate) fn value(self, headers: &HeaderMap, secure: bool) -> Option<String> {
        let name = self.name(secure);
        let lines = headers.get_all(COOKIE).iter();
        let pairs = lines.flat_map(|line| line.to_str().unwrap_or_default().split(';'));
        let mut values = pairs
            .filter_map(|pair| pair.trim().split_once('='))
            .filter(|(found, _)| *found == name);
        let (_, value) = values.next()?;
        values.next().is_none().then(|| value.to_owned())
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
