//! Requests of web pages to a service without tokens.
//!
//! Without tokens, everyone who can reach the loopback address may do everything, and that includes
//! the browser of this machine with whatever page is open in it. Two ways lead from a page to here:
//!
//! - **Cross-site requests.** A page posts a form to `http://127.0.0.1:8321/events`. The browser
//!   sends `Origin`, and recent ones `Sec-Fetch-Site`; neither can be set by the page.
//! - **DNS rebinding.** The page's own name, `evil.example`, resolves to 127.0.0.1 after a moment.
//!   The browser takes us for the page's own server, so the origin is not foreign; but `Host` is
//!   `evil.example`.
//!
//! So both are checked, whatever the method and the content type.

use std::net::IpAddr;

use axum::http::header::{HOST, ORIGIN, REFERER};
use axum::http::request::Parts;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, Version};
use ipnet::IpNet;
use reqwest::Url;

/// By which names the service may be addressed, and whose word about clients it takes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AccessRules {
    /// Names in `Host` that are valid besides those of the loopback interface, if there are no
    /// tokens.
    pub hosts: Vec<String>,
    /// Load balancers and proxies: the client's address is taken from what they forward.
    pub trusted_proxies: Vec<IpNet>,
}

/// Why a request is refused before anything else is looked at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestDenied {
    /// 400: RFC 9112, 3.2 demands exactly one.
    #[error("expected one Host header, found {0}")]
    HostCount(usize),
    /// 400: not a host and port.
    #[error("invalid Host header")]
    InvalidHost,
    /// 403: a name that is not one of this service.
    #[error(
        "the host `{0}` is not this service's; address it as localhost, add the name to \
         `hosts` in [http], or use tokens"
    )]
    ForeignHost(String),
    /// 403: sent by a page of another site.
    #[error("requests of web pages of another origin are refused without tokens")]
    ForeignOrigin,
}

impl AccessRules {
    /// Checks the host of a request and, if there are no tokens, that it is not sent by a web page
    /// of another origin or under another name.
    ///
    /// ```
    /// use axum::http::Request;
    /// use reflexarc_service::security::{AccessRules, RequestDenied};
    ///
    /// let check = |host| {
    ///     let (request, ()) = Request::get("/status").header("host", host).body(())?.into_parts();
    ///     Ok::<_, axum::http::Error>(AccessRules::default().check(&request, false))
    /// };
    /// assert_eq!(check("localhost:8321")?, Ok(()));
    /// let denied = RequestDenied::ForeignHost("evil.example".to_owned());
    /// assert_eq!(check("evil.example:8321")?, Err(denied));
    /// # Ok::<(), axum::http::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the request is refused: 400 for an invalid host, 403 for a foreign one or a foreign page.
    pub fn check(&self, request: &Parts, has_tokens: bool) -> Result<(), RequestDenied> {
        let host = host_of(request)?;
        if has_tokens {
            return Ok(());
        }
        let host = self.own_host(host)?;
        self.check_origin(&request.headers, host.as_ref())
    }

    /// The same without tokens, for pages that people open: a link of another site, in a chat or a
    /// ticket, may lead to one. Nothing is changed by that, and the other site sees nothing of it.
    pub(crate) fn check_page(&self, request: &Parts) -> Result<(), RequestDenied> {
        let host = self.own_host(host_of(request)?)?;
        if is_followed_link(request) {
            return Ok(());
        }
        self.check_origin(&request.headers, host.as_ref())
    }

    /// The host of a request as a URL, if it is one of this service; `None` for an HTTP/1.0 client
    /// without the header, which a browser never is.
    fn own_host(&self, host: Option<String>) -> Result<Option<Url>, RequestDenied> {
        let Some(host) = host else {
            return Ok(None);
        };
        let url = url_of(&host).ok_or(RequestDenied::InvalidHost)?;
        if !self.is_own(&url) {
            let name = url.host_str().unwrap_or_default().to_owned();
            return Err(RequestDenied::ForeignHost(name));
        }
        Ok(Some(url))
    }

    /// Whether a URL's host is a name or an address of the loopback interface, or configured.
    fn is_own(&self, url: &Url) -> bool {
        let host = url.host_str().unwrap_or_default();
        // A trailing dot is the root of DNS: `localhost.` is the same name.
        let name = host.strip_suffix('.').unwrap_or(host);
        let address = name.trim_start_matches('[').trim_end_matches(']');
        match address.parse::<IpAddr>() {
            Ok(address) => address.to_canonical().is_loopback() || self.is_configured(name),
            Err(_) => name == "localhost" || self.is_configured(name),
        }
    }

    fn is_configured(&self, name: &str) -> bool {
        self.hosts
            .iter()
            .any(|host| host.eq_ignore_ascii_case(name))
    }

    /// A browser sends `Origin` with every POST and with cross-origin requests of scripts, and
    /// `Sec-Fetch-Site` with every request; other clients send neither.
    #[expect(clippy::unused_self, reason = "reads like the calls around it")]
    fn check_origin(&self, headers: &HeaderMap, host: Option<&Url>) -> Result<(), RequestDenied> {
        for site in headers.get_all("sec-fetch-site") {
            // `same-site` is another port of this machine, where anything may run.
            if !matches!(site.as_bytes(), b"same-origin" | b"none") {
                return Err(RequestDenied::ForeignOrigin);
            }
        }
        // Browsers of before 2020 send no `Origin` with some posts of forms, but where they come
        // from.
        let mut origins: Vec<_> = headers.get_all(ORIGIN).iter().collect();
        if origins.is_empty() {
            origins = headers.get_all(REFERER).iter().collect();
        }
        for origin in origins {
            // `null`, of a sandboxed frame or a file, is no URL.
            let origin = origin.to_str().ok().and_then(|text| Url::parse(text).ok());
            let same = origin.zip(host).is_some_and(|(origin, host)| {
                // A proxy on this machine may add TLS, so that only the scheme differs: the ports
                // are compared as they are written.
                matches!(origin.scheme(), "http" | "https")
                    && origin.host() == host.host()
                    && origin.port() == host.port()
            });
            if !same {
                return Err(RequestDenied::ForeignOrigin);
            }
        }
        Ok(())
    }
}

/// Whether the user followed a link of another site: the browser shows the response as a page of its
/// own, not in a frame, and no script of the other site can read it.
///
/// Only the browser can set these headers. A `GET` with `Origin` comes from a script.
fn is_followed_link(request: &Parts) -> bool {
    let is = |name: &str, expected: &[&str]| {
        let mut values = request.headers.get_all(name).iter();
        let value = values.next().and_then(|value| value.to_str().ok());
        values.next().is_none() && value.is_some_and(|value| expected.contains(&value))
    };
    matches!(request.method, Method::GET | Method::HEAD)
        && !request.headers.contains_key(ORIGIN)
        && is("sec-fetch-site", &["cross-site", "same-site"])
        && is("sec-fetch-mode", &["navigate"])
        && is("sec-fetch-dest", &["document"])
}

/// Host and port of a request: of the address in the request line if it has one, else of `Host`.
/// `None` only for HTTP/1.0.
fn host_of(request: &Parts) -> Result<Option<String>, RequestDenied> {
    let mut hosts = request.headers.get_all(HOST).iter();
    let count = request.headers.get_all(HOST).iter().count();
    let host = match (count, request.version) {
        (1, _) => hosts.next(),
        (0, version) if version < Version::HTTP_11 => None,
        (count, _) => return Err(RequestDenied::HostCount(count)),
    };
    let host = host.map(|value| value.to_str().map_err(|_| RequestDenied::InvalidHost));
    let host = host.transpose()?.map(str::to_owned);
    // RFC 9112, 3.2.2: the address in the request line decides. A proxy in front may have looked at
    // the header only, so the two must agree.
    let Some(authority) = request.uri.authority().map(Authority::as_str) else {
        return Ok(host);
    };
    match host {
        Some(host) if !host.eq_ignore_ascii_case(authority) => Err(RequestDenied::InvalidHost),
        _ => Ok(Some(authority.to_owned())),
    }
}

/// The address of a host and port, as a browser reads them: `127.1` and `LOCALHOST` are other
/// spellings.
fn url_of(host: &str) -> Option<Url> {
    // What a URL may have before or after the host, such as `evil.example@127.0.0.1`.
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    if host.is_empty() || !host.bytes().all(is_plain) {
        return None;
    }
    Url::parse(&format!("http://{host}/")).ok()
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn check(uri: &str, version: Version, headers: &[(&str, &str)]) -> Result<(), RequestDenied> {
        let mut request = Request::builder().uri(uri).version(version);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let rules = AccessRules {
            hosts: vec!["reflexarc.internal".into(), "192.0.2.7".into()],
            ..AccessRules::default()
        };
        rules.check(&request.body(()).unwrap().into_parts().0, false)
    }

    #[test]
    fn links_of_other_sites_lead_to_pages() {
        let check = |method: &str, changed: &[(&str, &str)]| {
            let mut headers = vec![
                ("host", "localhost:8326"),
                ("sec-fetch-site", "cross-site"),
                ("sec-fetch-mode", "navigate"),
                ("sec-fetch-dest", "document"),
                ("referer", "https://chat.example/"),
            ];
            for (name, value) in changed {
                headers.retain(|(found, _)| found != name);
                headers.push((*name, *value));
            }
            let mut request = Request::builder().method(method).uri("/events");
            for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
                request = request.header(*name, *value);
            }
            let parts = request.body(()).unwrap().into_parts().0;
            let page = AccessRules::default().check_page(&parts);
            // The API has no pages.
            assert!(AccessRules::default().check(&parts, false).is_err());
            page
        };
        for method in ["GET", "HEAD"] {
            assert_eq!(check(method, &[]), Ok(()));
            assert_eq!(check(method, &[("sec-fetch-site", "same-site")]), Ok(()));
        }
        let foreign = Err(RequestDenied::ForeignOrigin);
        for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
            assert_eq!(check(method, &[]), foreign, "{method}");
        }
        for changed in [
            ("sec-fetch-mode", "cors"),
            ("sec-fetch-mode", "no-cors"),
            ("sec-fetch-mode", "websocket"),
            ("sec-fetch-mode", ""),
            ("sec-fetch-dest", "iframe"),
            ("sec-fetch-dest", "frame"),
            ("sec-fetch-dest", "object"),
            ("sec-fetch-dest", "empty"),
            ("sec-fetch-dest", "image"),
            ("sec-fetch-dest", ""),
            // Without the header the other site is the one of the referrer.
            ("sec-fetch-site", ""),
            ("origin", "https://chat.example"),
            ("origin", "null"),
        ] {
            assert_eq!(check("GET", &[changed]), foreign, "{changed:?}");
        }
        let rebound = check("GET", &[("host", "evil.example")]);
        let expected = RequestDenied::ForeignHost("evil.example".to_owned());
        assert_eq!(rebound, Err(expected));
    }

    #[test]
    fn only_own_names_are_valid_hosts() {
        let check = |host| check("/dlq", Version::HTTP_11, &[("host", host)]);
        for own in [
            "localhost",
            "localhost:8321",
            "LOCALHOST:80",
            "localhost.",
            "localhost.:8321",
            "127.0.0.1",
            "127.0.0.1:8321",
            "127.1:8321",
            "127.9.9.9",
            "[::1]",
            "[::1]:8321",
            "[0:0:0:0:0:0:0:1]:8321",
            "[::ffff:127.0.0.1]",
            "reflexarc.internal:8321",
            "Reflexarc.Internal",
            "192.0.2.7",
        ] {
            assert_eq!(check(own), Ok(()), "{own}");
        }
        for foreign in [
            "evil.example",
            "evil.example:8321",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "notlocalhost",
            "xlocalhost:8321",
            "0.0.0.0:8321",
            "0",
            "192.0.2.8",
            "[::]",
            "[::2]:8321",
            "169.254.169.254",
        ] {
            let denied = check(foreign);
            assert!(
                matches!(denied, Err(RequestDenied::ForeignHost(_))),
                "{foreign}: {denied:?}"
            );
        }
        for invalid in [
            "",
            "evil.example@127.0.0.1",
            "127.0.0.1/evil",
            "localhost#",
            "localhost:port",
            "[::1",
            "localhost, evil.example",
            "::1",
        ] {
            assert_eq!(check(invalid), Err(RequestDenied::InvalidHost), "{invalid}");
        }
    }

    #[test]
    fn there_is_one_host_and_it_agrees_with_the_address() {
        let new = Version::HTTP_11;
        assert_eq!(check("/", new, &[]), Err(RequestDenied::HostCount(0)));
        let twice = [("host", "localhost"), ("host", "localhost")];
        assert_eq!(check("/", new, &twice), Err(RequestDenied::HostCount(2)));
        assert_eq!(check("/", Version::HTTP_10, &[]), Ok(()));
        let local = [("host", "localhost:8321")];
        assert_eq!(check("http://localhost:8321/", new, &local), Ok(()));
        for address in ["http://evil.example/", "http://localhost/"] {
            let denied = check(address, new, &local);
            assert_eq!(denied, Err(RequestDenied::InvalidHost), "{address}");
        }
        let evil = [("host", "evil.example")];
        let denied = check("http://evil.example/", new, &evil);
        assert!(matches!(denied, Err(RequestDenied::ForeignHost(_))));
    }

    #[test]
    fn pages_of_other_origins_are_refused() {
        let check = |name, value| {
            let headers = [("host", "localhost:8321"), (name, value)];
            check("/reload", Version::HTTP_11, &headers)
        };
        for own in ["http://localhost:8321", "https://localhost:8321"] {
            assert_eq!(check("origin", own), Ok(()), "{own}");
        }
        for foreign in [
            "null",
            "",
            "https://evil.example",
            "http://localhost:3000",
            "http://localhost",
            "http://127.0.0.1:8321",
            "http://localhost:8321.evil.example",
            "chrome-extension://localhost:8321",
        ] {
            let denied = check("origin", foreign);
            assert_eq!(denied, Err(RequestDenied::ForeignOrigin), "{foreign}");
        }
        for (site, expected) in [
            ("same-origin", Ok(())),
            ("none", Ok(())),
            ("same-site", Err(RequestDenied::ForeignOrigin)),
            ("cross-site", Err(RequestDenied::ForeignOrigin)),
        ] {
            assert_eq!(check("sec-fetch-site", site), expected, "{site}");
        }
    }
}
