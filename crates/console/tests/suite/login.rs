//! Tokens, sessions and roles.

use std::time::{Duration, Instant};

use crate::serving::{CLOUD, OPS, READER, Serving, TOKENS, config};

#[tokio::test]
async fn pages_need_a_login_and_lead_back() {
    let serving = Serving::start().await;
    let mut browser = serving.browser();
    for path in [
        "/",
        "/targets",
        "/targets/out",
        "/audit?by=a%26b&from=2h",
        "/jobs",
        "/jobs/1",
    ] {
        let reply = browser.get(path).await;
        assert_eq!(reply.status, 303, "{path}");
        let login = reply.header("location").unwrap();
        assert!(login.starts_with("/login?next=%2F"), "{login}");
        assert!(reply.body.is_empty());
    }
    let login = browser.get("/audit?by=a%26b&from=2h").await;
    let login = browser.get(login.header("location").unwrap()).await;
    let mut form = login.form("/login");
    form.iter_mut().find(|(name, _)| name == "token").unwrap().1 = READER.to_owned();
    let reply = browser.submit("/login", &form).await;
    assert_eq!(reply.header("location"), Some("/audit?by=a%26b&from=2h"));
    assert_eq!(browser.get("/audit?by=a%26b&from=2h").await.status, 200);
    // A form has no page to come back to.
    let reply = serving
        .browser()
        .post("/perform", &[("operation", "reload")])
        .await;
    assert_eq!(
        (reply.status, reply.header("location")),
        (303, Some("/login?next=%2F"))
    );
    // htmx would follow the redirect by itself.
    let mut other = serving.browser();
    let reply = other
        .request("GET", "/jobs/1", &[("hx-request", "true")], "")
        .await;
    assert_eq!((reply.status, reply.header("location")), (401, None));
    assert_eq!(reply.header("hx-redirect"), Some("/login?next=%2Fjobs%2F1"));
    serving.stop().await;
}

#[tokio::test]
async fn a_session_begins_with_a_token_and_ends_with_logout() {
    let serving = Serving::start().await;
    let mut browser = serving.browser();
    let reply = browser.log_in(OPS).await;
    assert_eq!(reply.status, 303);
    let cookie = reply.cookies()[0].to_owned();
    let (pair, attributes) = cookie.split_once("; ").unwrap();
    let id = pair.strip_prefix("reflexarc-session=").unwrap();
    assert!(
        id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "{cookie}"
    );
    assert_eq!(attributes, "Path=/; HttpOnly; SameSite=Strict");
    let page = browser.get("/").await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains("<span>ops</span>"), "{}", page.body);
    for secret in [OPS, id] {
        assert!(!page.body.contains(secret));
    }
    // Who has a session need not log in again.
    assert_eq!(
        browser.get("/login?next=/jobs").await.header("location"),
        Some("/jobs")
    );

    let stolen = browser.clone();
    let logout = page.form("/logout");
    let reply = browser.submit("/logout", &logout).await;
    assert_eq!(
        (reply.status, reply.header("location")),
        (303, Some("/login"))
    );
    assert!(reply.cookies()[0].contains("reflexarc-session=; ") && browser.session().is_none());
    // The cookie is worth nothing any more, not even with the CSRF token.
    let mut thief = stolen;
    assert_eq!(thief.get("/").await.status, 303);
    let reply = thief.submit("/logout", &logout).await;
    assert_eq!(reply.header("location"), Some("/login?next=%2F"));
    serving.stop().await;
}

#[tokio::test]
async fn cookies_are_secure_behind_a_proxy_with_tls() {
    let serving = Serving::start().await;
    let mut browser = serving.browser();
    let page = browser.get("/login").await;
    let mut form = page.form("/login");
    form.iter_mut().find(|(name, _)| name == "token").unwrap().1 = READER.to_owned();
    let mut body = form_urlencoded::Serializer::new(String::new());
    body.extend_pairs(&form);
    let body = body.finish();
    let proxied = [
        ("host", "console.example"),
        ("content-type", "application/x-www-form-urlencoded"),
        ("origin", "https://console.example"),
    ];
    // Anybody may send this header, so that it is not looked at.
    let claimed = [
        proxied[0],
        proxied[1],
        ("origin", "http://console.example"),
        ("x-forwarded-proto", "https"),
    ];
    let mut other = browser.clone();
    let reply = other.request("POST", "/login", &claimed, &body).await;
    assert_eq!(reply.status, 303);
    assert!(
        !reply.cookies()[0].contains("Secure"),
        "{:?}",
        reply.cookies()
    );

    let reply = browser.request("POST", "/login", &proxied, &body).await;
    assert_eq!(reply.status, 303);
    let cookie = reply.cookies()[0].to_owned();
    assert!(cookie.starts_with("__Host-reflexarc-session="), "{cookie}");
    assert!(
        cookie.ends_with("; HttpOnly; SameSite=Strict; Secure"),
        "{cookie}"
    );
    let page = browser.get("/").await;
    assert!(page.body.contains("<span>reader <span"), "{}", page.body);
    // It goes before a cookie that another host of the domain has set.
    let session = ("reflexarc-session".to_owned(), "0".repeat(64));
    browser.cookies.insert(0, session);
    assert_eq!(browser.get("/").await.status, 200);
    let mut body = form_urlencoded::Serializer::new(String::new());
    body.extend_pairs(page.form("/logout"));
    let reply = browser
        .request("POST", "/logout", &proxied, &body.finish())
        .await;
    assert_eq!(reply.status, 303);
    assert!(reply.cookies()[0].starts_with("__Host-reflexarc-session=; "));
    assert_eq!(browser.get("/").await.status, 303);
    serving.stop().await;
}

#[tokio::test]
async fn each_login_has_an_id_of_its_own() {
    let serving = Serving::start().await;
    // An id that an attacker has made the browser send.
    let mut browser = serving.browser();
    let planted = ("reflexarc-session".to_owned(), "0".repeat(64));
    browser.cookies.push(planted.clone());
    assert_eq!(browser.log_in(READER).await.status, 303);
    let first = browser.session().unwrap().to_owned();
    assert_ne!(first, planted.1);
    let before = browser.clone();
    // Another login of the same browser: the session before is over.
    browser
        .cookies
        .retain(|(name, _)| name != "reflexarc-session");
    let page = browser.get("/login").await;
    browser
        .cookies
        .push(("reflexarc-session".to_owned(), first.clone()));
    let mut form = page.form("/login");
    form.iter_mut().find(|(name, _)| name == "token").unwrap().1 = OPS.to_owned();
    assert_eq!(browser.submit("/login", &form).await.status, 303);
    assert_ne!(browser.session().unwrap(), first);
    assert_eq!({ before }.get("/").await.status, 303);
    assert!(browser.get("/").await.body.contains("<span>ops</span>"));
    serving.stop().await;
}

#[tokio::test]
async fn wrong_tokens_are_refused_later_and_later() {
    let serving = Serving::start().await;
    let mut browser = serving.browser();
    let upper = OPS.to_uppercase();
    let mut took = Duration::ZERO;
    // The first ten in a minute are answered at once, as those of the API.
    for wrong in ["wrong-5f1c", "", &OPS[1..], &upper].repeat(3) {
        let began = Instant::now();
        let reply = browser.log_in(wrong).await;
        took = began.elapsed();
        assert_eq!(reply.status, 401, "{wrong}");
        assert!(reply.body.contains("Unknown or expired token."));
        assert!(browser.session().is_none());
        assert!(
            wrong.is_empty() || !reply.body.contains(wrong),
            "{}",
            reply.body
        );
    }
    assert!(took >= Duration::from_millis(200), "{took:?}");
    let status = serving.api("GET", "/status", "").await.body;
    assert!(status.contains("\"problem\":\"wrong_tokens\""), "{status}");
    assert!(!status.contains("5f1c"), "{status}");
    serving.stop().await;
}

#[tokio::test]
async fn roles_decide_what_is_shown_and_done() {
    let serving = Serving::start().await;
    let mut cloud = serving.browser();
    let reply = cloud.log_in(CLOUD).await;
    assert_eq!(reply.status, 403);
    assert!(reply.body.contains("does not have the role read") && cloud.session().is_none());

    let mut reader = serving.logged_in(READER).await;
    let page = reader.get("/targets/out").await;
    assert_eq!(page.status, 200);
    assert!(!page.body.contains("/confirm?") && page.body.contains("(read only)"));
    let pause = "operation=pause_target&target=out";
    assert_eq!(reader.get(&format!("/confirm?{pause}")).await.status, 403);
    let csrf = page.form("/logout")[0].1.clone();
    let fields = [
        ("csrf", csrf.as_str()),
        ("operation", "pause_target"),
        ("target", "out"),
    ];
    let reply = reader.post("/perform", &fields).await;
    assert_eq!(reply.status, 403);
    assert!(reply.body.contains("role operate"), "{}", reply.body);
    assert!(serving.store.paused_targets().unwrap().is_empty());

    let mut ops = serving.logged_in(OPS).await;
    let page = ops.get("/targets/out").await;
    assert!(page.body.contains("/confirm?operation=pause_target"));
    assert_eq!(ops.get(&format!("/confirm?{pause}")).await.status, 200);
    serving.stop().await;
}

#[tokio::test]
async fn a_session_ends_with_its_token() {
    let serving = Serving::start().await;
    let mut reader = serving.logged_in(READER).await;
    let mut ops = serving.logged_in(OPS).await;
    // The token loses a role.
    let mut tokens = TOKENS;
    tokens[1].1 = "[\"ingest\"]";
    serving.reload(&config(&tokens)).await;
    assert_eq!(reader.get("/").await.status, 403);
    assert_eq!(ops.get("/").await.status, 200);
    // It is removed, and comes back.
    serving.reload(&config(&[TOKENS[0], TOKENS[2]])).await;
    assert_eq!(reader.get("/").await.status, 303);
    serving.reload(&config(&TOKENS)).await;
    assert_eq!(reader.get("/").await.status, 303);
    // Another secret of the same name: the old one may have leaked.
    let mut reader = serving.logged_in(READER).await;
    serving.write_token("reader", "token-of-reader-new");
    serving.reload(&config(&TOKENS)).await;
    assert_eq!(reader.get("/").await.status, 303);
    assert_eq!(reader.log_in(READER).await.status, 401);
    assert_eq!(reader.log_in("token-of-reader-new").await.status, 303);
    // It expires.
    let expired = config(&TOKENS).replace(
        "roles = [\"read\"]",
        "roles = [\"read\"]\nexpires = 2020-01-01T00:00:00Z",
    );
    serving.reload(&expired).await;
    assert_eq!(reader.get("/").await.status, 303);
    serving.stop().await;
}

#[tokio::test]
async fn without_tokens_nobody_logs_in() {
    let serving = Serving::open().await;
    let mut browser = serving.browser();
    let page = browser.get("/").await;
    assert_eq!((page.status, page.cookies().len()), (200, 0));
    assert!(!page.body.contains("Log out"), "{}", page.body);
    assert_eq!(browser.get("/login").await.header("location"), Some("/"));
    let reply = browser.post("/login", &[("token", "x")]).await;
    assert_eq!(reply.header("location"), Some("/"));
    // All roles, but no form of another page.
    let fields = [("operation", "pause_target"), ("target", "out")];
    assert_eq!(browser.post("/perform", &fields).await.status, 403);
    let csrf = browser.csrf().await;
    let fields = [fields[0], fields[1], ("csrf", csrf.as_str())];
    assert_eq!(browser.post("/perform", &fields).await.status, 303);
    assert_eq!(serving.store.paused_targets().unwrap().len(), 1);
    serving.stop().await;
}
