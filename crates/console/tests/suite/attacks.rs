//! What pages of other sites, and hostile links and events, can do: nothing.

use crate::browser::{Browser, Reply};
use crate::serving::{OPS, READER, Serving};

/// Every route that takes a form of a session.
const POSTS: [&str; 4] = ["/logout", "/perform", "/try", "/rules/all/what-if"];

/// Texts that break out of a page that does not escape.
const HOSTILE: [&str; 6] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' onfocus=alert(1) autofocus='",
    "</textarea></title><svg onload=alert(1)>",
    "javascript:alert(1)",
    "{{7*7}}${7*7}",
];

/// Checks that a response has all headers that protect a browser.
pub(crate) fn has_protection(reply: &Reply, path: &str) {
    let header = |name| {
        reply
            .header(name)
            .unwrap_or_else(|| panic!("{path}: {name}"))
    };
    let policy = header("content-security-policy");
    for directive in [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data:",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    ] {
        assert!(
            policy.split("; ").any(|part| part == directive),
            "{path}: {policy}"
        );
    }
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(header("x-frame-options"), "DENY");
    assert_eq!(header("x-content-type-options"), "nosniff");
    assert_eq!(header("referrer-policy"), "same-origin");
    assert_eq!(header("cross-origin-opener-policy"), "same-origin");
    assert_eq!(header("cross-origin-resource-policy"), "same-origin");
    let is_file = path.starts_with("/assets/") && reply.status == 200;
    let cached = if is_file { "no-cache" } else { "no-store" };
    assert_eq!(header("cache-control"), cached, "{path}");
    assert_eq!(reply.header("access-control-allow-origin"), None);
}

#[tokio::test]
async fn every_response_has_the_protection() {
    let serving = Serving::start().await;
    let mut ops = serving.logged_in(OPS).await;
    for (path, status) in [
        ("/", 200),
        ("/targets/out", 200),
        ("/targets/none", 404),
        ("/audit?before=x", 400),
        ("/confirm?operation=nothing", 400),
        ("/nothing", 404),
        ("/assets/console.css", 200),
        ("/assets/console.js", 200),
        ("/assets/htmx.min.js", 200),
        ("/assets/live.js", 200),
        ("/assets/icon.svg", 200),
        ("/assets/none.css", 404),
        ("/login", 303),
        ("/logout", 405),
    ] {
        let reply = ops.get(path).await;
        assert_eq!(reply.status, status, "{path}: {}", reply.body);
        has_protection(&reply, path);
    }
    let foreign = [("host", "evil.example")];
    let reply = ops.request("GET", "/", &foreign, "").await;
    assert_eq!(reply.status, 403);
    has_protection(&reply, "/");
    has_protection(&serving.browser().get("/").await, "/");
    // What is not changed is not sent again.
    let style = ops.get("/assets/console.css").await;
    let known = [("if-none-match", style.header("etag").unwrap())];
    let reply = ops.request("GET", "/assets/console.css", &known, "").await;
    assert_eq!((reply.status, reply.body.len()), (304, 0));
    serving.stop().await;
}

#[tokio::test]
async fn pages_have_no_code_and_no_style_of_their_own() {
    let serving = Serving::start().await;
    let mut ops = serving.logged_in(OPS).await;
    serving.event("e1", "lost").await;
    for path in [
        "/",
        "/targets",
        "/targets/out",
        "/audit",
        "/jobs",
        "/confirm?operation=reload",
    ] {
        let page = ops.get(path).await;
        assert_eq!(page.status, 200, "{path}");
        let body = &page.body;
        for forbidden in [
            " style=",
            "<style",
            " onclick",
            " onload",
            "javascript:",
            "hx-on",
        ] {
            assert!(!body.contains(forbidden), "{path}: {forbidden}");
        }
        for script in body.split("<script").skip(1) {
            assert!(script.starts_with(" src=\"/assets/"), "{path}: {script}");
        }
        for config in [
            "\"allowEval\":false",
            "\"includeIndicatorStyles\":false",
            "\"selfRequestsOnly\":true",
            "\"historyCacheSize\":0",
        ] {
            assert!(body.contains(config), "{path}: {config}");
        }
        // Only to own pages.
        for address in page.addresses() {
            let is_own = address.starts_with('/') && !address.starts_with("//");
            assert!(is_own || address.starts_with('#'), "{path}: {address}");
        }
    }
    serving.stop().await;
}

#[tokio::test]
async fn forms_need_the_token_of_their_session() {
    let serving = Serving::start().await;
    let mut ops = serving.logged_in(OPS).await;
    let mut other = serving.logged_in(OPS).await;
    let mut reader = serving.logged_in(READER).await;
    let own = ops.csrf().await;
    let of_other = other.csrf().await;
    let of_reader = reader.get("/").await.form("/logout")[0].1.clone();
    let of_login = serving.browser().get("/login").await.form("/login")[0]
        .1
        .clone();
    assert!(own != of_other && own != of_reader && own.len() == 64);
    let longer = format!("{own}0");
    for path in POSTS {
        let operation = [("operation", "pause_target"), ("target", "out")];
        for wrong in [
            None,
            Some(""),
            Some("0"),
            Some(&own[1..]),
            Some(&longer),
            Some(&of_other),
            Some(&of_reader),
            Some(&of_login),
        ] {
            let mut fields = operation.to_vec();
            fields.extend(wrong.map(|wrong| ("csrf", wrong)));
            let reply = ops.post(path, &fields).await;
            assert_eq!(reply.status, 403, "{path} {wrong:?}");
            assert!(reply.body.contains("not of this session"), "{}", reply.body);
        }
        // In the query it does not count.
        let query = format!("{path}?csrf={own}");
        assert_eq!(ops.post(&query, &operation).await.status, 403, "{path}");
        // Nor does a GET do anything.
        let status = ops.get(&query).await.status;
        assert!(status == 405 || path == "/try", "{path}: {status}");
    }
    assert!(serving.store.paused_targets().unwrap().is_empty());
    assert_eq!(ops.get("/").await.status, 200);
    serving.stop().await;
}

#[tokio::test]
async fn nobody_is_logged_in_by_another_page() {
    let serving = Serving::start().await;
    let page = serving.browser().get("/login").await;
    let csrf = page.form("/login")[0].1.clone();
    // Without the cookie that the form belongs to, or with another one.
    for cookie in [None, Some("0".repeat(64))] {
        let mut browser = serving.browser();
        browser
            .cookies
            .extend(cookie.map(|value| ("reflexarc-login".to_owned(), value)));
        let fields = [("csrf", csrf.as_str()), ("token", OPS)];
        let reply = browser.post("/login", &fields).await;
        assert_eq!(reply.status, 403);
        assert!(browser.session().is_none() && !reply.body.contains(OPS));
    }
    serving.stop().await;
}

#[tokio::test]
async fn requests_of_other_sites_are_refused() {
    let serving = Serving::start().await;
    let mut ops = serving.logged_in(OPS).await;
    let csrf = ops.csrf().await;
    let body = format!("csrf={csrf}&operation=pause_target&target=out");
    let port = serving.console.port();
    let own = format!("localhost:{port}");
    let origin = format!("http://localhost:{port}");
    let other_port = format!("http://localhost:{}", port - 1);
    for headers in [
        // The page's own name leads to this address.
        vec![("host", "evil.example")],
        vec![("host", "evil.example"), ("origin", "http://evil.example")],
        vec![("host", "localhost.evil.example")],
        // Forms and scripts of other pages.
        vec![("host", &*own), ("origin", "https://evil.example")],
        vec![("host", &*own), ("origin", "null")],
        vec![("host", &*own), ("origin", &other_port)],
        vec![("host", &*own), ("sec-fetch-site", "cross-site")],
        vec![
            ("host", &*own),
            ("sec-fetch-site", "same-site"),
            ("origin", &origin),
        ],
        vec![("host", &*own), ("referer", "https://evil.example/page")],
    ] {
        for method in ["GET", "POST"] {
            let path = if method == "GET" { "/" } else { "/perform" };
            let reply = ops.request(method, path, &headers, &body).await;
            assert_eq!(reply.status, 403, "{method} {headers:?}");
            assert!(!reply.body.contains("<script>"), "{}", reply.body);
        }
    }
    assert!(serving.store.paused_targets().unwrap().is_empty());
    // The configured name.
    let named = [
        ("host", "console.example"),
        ("origin", "https://console.example"),
    ];
    assert_eq!(
        ops.request("POST", "/perform", &named, &body).await.status,
        303
    );
    assert_eq!(serving.store.paused_targets().unwrap().len(), 1);
    serving.stop().await;
}

#[tokio::test]
async fn no_link_leads_to_another_site() {
    let serving = Serving::start().await;
    for next in [
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "/\r\nset-cookie: a=b",
        "/\t/evil.example",
        "\\evil.example",
        "\"><script>alert(1)</script>",
    ] {
        let encoded: String = form_urlencoded::byte_serialize(next.as_bytes()).collect();
        let mut browser = serving.browser();
        let page = browser.get(&format!("/login?next={encoded}")).await;
        let mut form = page.form("/login");
        assert_eq!(form[1], ("next".to_owned(), "/".to_owned()), "{next:?}");
        // As if the page had not looked at it.
        next.clone_into(&mut form[1].1);
        OPS.clone_into(&mut form[2].1);
        let reply = browser.submit("/login", &form).await;
        assert_eq!(
            (reply.status, reply.header("location")),
            (303, Some("/")),
            "{next:?}"
        );
        assert_eq!(reply.cookies().len(), 2, "{:?}", reply.headers);

        let again = browser.get(&format!("/login?next={encoded}")).await;
        assert_eq!(again.header("location"), Some("/"));
        let confirm = format!("/confirm?operation=pause_target&target=out&next={encoded}");
        let page = browser.get(&confirm).await;
        assert!(
            page.addresses()
                .iter()
                .all(|address| address.starts_with(['/', '#']))
        );
        let mut form = page.form("/perform");
        form.iter_mut().find(|(name, _)| name == "next").unwrap().1 = next.to_owned();
        let reply = browser.submit("/perform", &form).await;
        let location = reply.header("location").unwrap();
        assert!(location.starts_with("/?done="), "{location}");
        assert!(reply.cookies().is_empty());
    }
    serving.stop().await;
}

#[tokio::test]
async fn hostile_texts_stay_texts() {
    let serving = Serving::start().await;
    let mut ops = serving.logged_in(OPS).await;
    for text in HOSTILE {
        // Events and reasons, as they are shown on all pages afterwards.
        let id = serde_json_string(text);
        let event = format!(
            "{{\"id\": {id}, \"name\": {id}, \"product\": {id}, \"resource\": {id}, \
             \"source\": {id}, \"time\": \"2026-11-27T03:04:05Z\"}}"
        );
        serving.api("POST", "/events", &event).await;
        let csrf = ops.csrf().await;
        let fields = [
            ("csrf", csrf.as_str()),
            ("operation", "pause_target"),
            ("target", "out"),
            ("reason", text),
        ];
        assert_eq!(ops.post("/perform", &fields).await.status, 303);
        let encoded: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
        for path in [
            "/".to_owned(),
            "/targets".to_owned(),
            "/targets/out".to_owned(),
            "/audit".to_owned(),
            format!("/audit?by={encoded}&operation={encoded}"),
            format!("/audit?from={encoded}"),
            format!("/audit?before={encoded}"),
            format!("/targets/{}", encoded.replace('+', "%20")),
            format!("/jobs/{}", encoded.replace('+', "%20")),
            format!("/?done={encoded}"),
            "/events".to_owned(),
            "/events/1".to_owned(),
            format!("/events?id={encoded}&source={encoded}&rule={encoded}"),
            format!("/dead-letters?target={encoded}&reason={encoded}&rule={encoded}"),
            format!("/pending?rule={encoded}&key={encoded}"),
            format!("/silences?pattern={encoded}&reason={encoded}"),
            format!("/rules/{}", encoded.replace('+', "%20")),
            format!("/deliveries/{}", encoded.replace('+', "%20")),
            format!("/confirm?operation={encoded}"),
            format!("/confirm?operation=pause_target&target=out&reason={encoded}"),
            format!("/confirm?operation=redrive_matching&reason={encoded}&next=%2F%3Fa%3D%22"),
            format!("/confirm?operation=pause_target&target={encoded}"),
        ] {
            let page = ops.get(&path).await;
            is_harmless(&page, &path);
        }
        let resume = [
            ("csrf", csrf.as_str()),
            ("operation", "resume_target"),
            ("target", "out"),
        ];
        assert_eq!(ops.post("/perform", &resume).await.status, 303);
    }
    serving.stop().await;
}

/// Whether nothing of the hostile texts became markup.
fn is_harmless(page: &Reply, path: &str) {
    let body = &page.body;
    for markup in [
        "<script>",
        "<img",
        "<svg",
        " onerror=alert(1)>",
        "' onfocus",
        "</textarea",
    ] {
        assert!(!body.contains(markup), "{path}: {markup} in {body}");
    }
    let addresses = page.addresses();
    let is_own = |address: &String| address.starts_with(['/', '#']);
    assert!(addresses.iter().all(is_own), "{path}: {addresses:?}");
    assert!(
        page.headers
            .iter()
            .all(|(_, value)| !value.contains("alert"))
    );
}

#[tokio::test]
async fn forms_are_bounded() {
    let serving = Serving::start().await;
    let large = "x".repeat(17 << 10);
    let mut browser: Browser = serving.browser();
    browser.get("/login").await;
    assert_eq!(
        browser.post("/login", &[("token", &large)]).await.status,
        413
    );
    let mut ops = serving.logged_in(OPS).await;
    let csrf = ops.csrf().await;
    let larger = "x".repeat(3 << 20);
    let reply = ops
        .post("/perform", &[("csrf", &csrf), ("reason", &larger)])
        .await;
    assert_eq!(reply.status, 413);
    let reason = "x".repeat(501);
    let fields = [
        ("csrf", csrf.as_str()),
        ("operation", "pause_target"),
        ("target", "out"),
        ("reason", reason.as_str()),
    ];
    let reply = ops.post("/perform", &fields).await;
    assert_eq!(reply.status, 400);
    assert!(
        reply.body.contains("longer than 500 bytes"),
        "{}",
        reply.body
    );
    serving.stop().await;
}

/// A text as JSON.
fn serde_json_string(text: &str) -> String {
    reflexarc_event::Json::from(text).to_string()
}
