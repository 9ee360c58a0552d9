//! What a link of another site leads to, and what becomes of everything else of other sites.

use crate::attacks::has_protection;
use crate::serving::{OPS, Serving};

/// What a browser sends when the user follows a link of another site.
const LINK: [(&str, &str); 4] = [
    ("sec-fetch-site", "cross-site"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-dest", "document"),
    ("referer", "https://chat.example/"),
];

#[tokio::test]
async fn links_of_other_sites_lead_to_the_session() {
    let serving = Serving::start().await;
    let mut ops = serving.logged_in(OPS).await;
    // The browser sends no cookie with it, and so gets a page that leads to itself.
    let path = "/events?id=a%26b&name=%22%3E%3Cscript%3E";
    let reply = serving.browser().request("GET", path, &LINK, "").await;
    assert_eq!((reply.status, reply.header("location")), (200, None));
    has_protection(&reply, path);
    let refresh = "content=\"0;url=/events?id=a%26b&#38;name=%22%3E%3Cscript%3E\"";
    assert!(reply.body.contains(refresh), "{}", reply.body);
    assert!(reply.addresses().iter().any(|address| address == path));
    // That is a request of our own page, with the cookie.
    let own = [("sec-fetch-site", "same-origin"), LINK[1], LINK[2]];
    assert_eq!(ops.request("GET", path, &own, "").await.status, 200);
    let reply = serving.browser().request("GET", path, &own, "").await;
    assert_eq!(reply.status, 303);
    // The login page does the same, and leads only to pages of the console.
    for (next, leads_to) in [("/targets", "/targets"), ("//evil.example", "/")] {
        let path = format!("/login?next={next}");
        let reply = serving.browser().request("GET", &path, &LINK, "").await;
        let refresh = format!("content=\"0;url={leads_to}\"");
        assert!(reply.body.contains(&refresh), "{}", reply.body);
    }
    serving.stop().await;
}

#[tokio::test]
async fn only_links_of_other_sites_are_followed() {
    let serving = Serving::start().await;
    let mut ops = serving.logged_in(OPS).await;
    let csrf = ops.csrf().await;
    let body = format!("csrf={csrf}&operation=pause_target&target=out");
    for path in ["/perform", "/login", "/logout", "/try"] {
        let reply = ops.request("POST", path, &LINK, &body).await;
        assert_eq!(reply.status, 403, "{path}");
    }
    for changed in [
        ("sec-fetch-mode", "cors"),
        ("sec-fetch-mode", "no-cors"),
        ("sec-fetch-dest", "iframe"),
        ("sec-fetch-dest", "image"),
        ("sec-fetch-dest", "script"),
        ("origin", "https://chat.example"),
        ("host", "evil.example"),
    ] {
        let mut headers = LINK.to_vec();
        headers.retain(|(name, _)| *name != changed.0);
        headers.push(changed);
        for path in ["/", "/login", "/live", "/assets/console.css"] {
            let reply = ops.request("GET", path, &headers, "").await;
            assert_eq!(reply.status, 403, "{path} {changed:?}");
        }
    }
    assert!(serving.store.paused_targets().unwrap().is_empty());
    serving.stop().await;
}

#[tokio::test]
async fn refusals_are_pages() {
    let serving = Serving::start().await;
    let foreign = ("host", "evil-<b>.example");
    let site = ("sec-fetch-site", "cross-site");
    for (header, status, expected) in [
        (("host", "evil.example"), 403, "`hosts` in [console]"),
        (foreign, 400, "invalid Host header"),
        (site, 403, "a page of another site"),
    ] {
        for accept in ["text/html,application/xhtml+xml,*/*;q=0.8", "*/*", ""] {
            let headers = [header, ("accept", accept)];
            let reply = serving.browser().request("GET", "/", &headers, "").await;
            assert_eq!(reply.status, status, "{header:?}");
            has_protection(&reply, "/");
            let kind = reply.header("content-type");
            assert_eq!(kind, Some("text/html; charset=utf-8"));
            assert!(reply.body.contains("<h1>"), "{}", reply.body);
            assert!(reply.body.contains(expected), "{}", reply.body);
            assert!(!reply.body.contains("<b>"), "{}", reply.body);
            assert_eq!(reply.header("connection"), Some("close"));
        }
        let headers = [header, ("accept", "application/json")];
        let reply = serving.browser().request("GET", "/", &headers, "").await;
        assert_eq!(reply.status, status, "{header:?}");
        assert_eq!(reply.header("content-type"), Some("application/json"));
        assert!(reply.body.starts_with("{\"error\":"), "{}", reply.body);
        has_protection(&reply, "/");
    }
    serving.stop().await;
}
