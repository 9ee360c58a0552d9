//! An event whose every field is markup, script or a command, on every screen.

use reflexarc_event::Json;
use reflexarc_service::store::NewSilence;

use tokio::task::block_in_place;

use crate::served::Served;

/// Each would do something if a page had it unescaped, or hide something.
const HOSTILE: [&str; 40] = [
    "<script>hostile()</script>",
    "</script><script>hostile()</script>",
    "<img src=x onerror=hostile()>",
    "\"><img src=x onerror=hostile()>",
    "'><img src=x onerror=hostile()>",
    "<svg onload=hostile()>",
    "<svg/onload=hostile()//",
    "\" onmouseover=\"hostile()\" autofocus onfocus=\"hostile()",
    "' onfocus='hostile()' autofocus='",
    "javascript:hostile()",
    "java\tscript:hostile()",
    "data:text/html,<script>hostile()</script>",
    "</title><script>hostile()</script>",
    "</textarea><script>hostile()</script>",
    "</style><script>hostile()</script>",
    "</pre></main><h1>hostile</h1>",
    "<!--<script>hostile()</script>-->",
    "--><script>hostile()</script>",
    "]]><script>hostile()</script>",
    "<iframe srcdoc='<script>hostile()</script>'></iframe>",
    "<a href=javascript:hostile()>x</a>",
    "<form action=//evil.example><input name=x></form>",
    "<base href=//evil.example/>",
    "<meta http-equiv=\"refresh\" content=\"0;url=//evil.example/\">",
    "<link rel=stylesheet href=//evil.example/x.css>",
    "<div hx-get=\"/audit\" hx-trigger=\"load\">x</div>",
    "<div hx-on:load=\"hostile()\">x</div>",
    "<div data-hx-post=\"/perform\" data-hx-trigger=\"load\">x</div>",
    "{{ 7*7 }}{% raw %}${7*7}#{7*7}",
    "\u{202e}txt.exe\u{202c}\u{2066}\u{2069}",
    "&lt;script&gt;hostile()&lt;/script&gt;",
    "&#60;script&#62;hostile()&#60;/script&#62;",
    "\u{feff}<script >hostile()</script\n>",
    "x\r\nset-cookie: hostile=1\r\n\r\n<script>hostile()</script>",
    "//evil.example/%2e%2e/\\evil",
    "\u{0}\u{1}\u{7}\u{1b}[31mred\u{1b}[0m\u{7f}\u{9b}",
    "../../etc/passwd",
    "$(reboot); `reboot` | ' \" \\",
    "\u{200b}\u{200e}\u{2028}\u{2029}\u{e0041}",
    "<plaintext><xmp><noscript><template>",
];

fn hostile_event(number: usize, text: &str) -> String {
    let all = HOSTILE.iter().enumerate();
    let mut content: Vec<(String, Json)> = all
        .map(|(number, text)| (format!("field{number}"), Json::from(*text)))
        .collect();
    content.push((text.to_owned(), Json::from("a hostile name")));
    content.push(("result".to_owned(), Json::from("failed")));
    content.push(("eniId".to_owned(), Json::from(text)));
    content.push(("long".to_owned(), Json::from("<b>".repeat(30_000))));
    Json::object([
        ("id", Json::from(format!("{number}-{text}"))),
        ("source", Json::from(text)),
        ("name", Json::from(text)),
        ("resourceId", Json::from(text)),
        ("regionId", Json::from(text)),
        ("content", Json::Object(content)),
    ])
    .to_string()
}

/// What a browser would run, load or hide.
fn check(path: &str, page: &str) {
    let (head, body) = page.split_once("</head>").unwrap();
    let own = head.matches("<script src=\"/assets/").count();
    assert_eq!(head.matches("<script").count(), own, "{path}: {head}");
    for tag in [
        "<script",
        "<img",
        "<svg",
        "<iframe",
        "<base",
        "<meta",
        "<link",
        "<style",
        "<plaintext",
        "<template",
        "<b>",
        "<!--",
        "<xmp",
        "<object",
        "<form action=//",
    ] {
        let at = body.find(tag);
        let near = at.map(|at| &body[at..body.len().min(at + 80)]);
        assert_eq!(near, None, "{path}");
    }
    assert_eq!(body.matches("<h1>").count(), 1, "{path}");
    assert_eq!(body.matches("</main>").count(), 1, "{path}");
    let hidden = body.chars().find(|character| {
        character.is_control() && !"\n\t".contains(*character)
            || ('\u{200e}'..='\u{200f}').contains(character)
            || ('\u{2028}'..='\u{202e}').contains(character)
            || ('\u{2066}'..='\u{2069}').contains(character)
            || ('\u{e0000}'..='\u{e007f}').contains(character)
            || "\u{200b}\u{feff}".contains(*character)
    });
    assert_eq!(hidden, None, "{path}");
    for (name, value) in attributes(body) {
        assert!(!name.starts_with("on"), "{path}: {name}={value}");
        if ["href", "src", "action", "hx-get", "hx-post"].contains(&name.as_str()) {
            let is_own = value.starts_with('/') && !value.starts_with("//") || value == "#main";
            assert!(is_own && !value.contains('\\'), "{path}: {name}={value}");
        }
    }
}

/// The attributes of all elements. Escaped text has neither `<` nor `"`.
fn attributes(body: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for tag in body.split('<').skip(1) {
        let tag = tag.split_once('>').map_or(tag, |(tag, _)| tag);
        let mut rest = tag;
        while let Some((before, after)) = rest.split_once("=\"") {
            let name = before.rsplit([' ', '\n']).next().unwrap_or_default();
            let (value, after) = after.split_once('"').unwrap();
            found.push((name.to_owned(), value.to_owned()));
            rest = after;
        }
    }
    found
}

/// Sends an event with each of the texts everywhere, and adds a silence with each.
async fn fill(served: &Served) {
    for (number, text) in HOSTILE.iter().enumerate() {
        served.send(&hostile_event(number, text)).await;
    }
    let now = jiff::Timestamp::now();
    for text in HOSTILE {
        let silence = NewSilence {
            pattern: format!("rule == {}", Json::from(text)),
            from: now,
            until: now + jiff::SignedDuration::from_hours(1),
            owner: text.to_owned(),
            reason: text.to_owned(),
            drops: false,
        };
        block_in_place(|| served.store.add_silence(silence, 100, now))
            .unwrap()
            .unwrap();
    }
    let mut dead = 0;
    for _ in 0..500 {
        dead = served
            .store
            .dead_letter_counts()
            .unwrap()
            .iter()
            .map(|(_, count)| *count)
            .sum();
        if dead >= HOSTILE.len() as u64 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(dead, HOSTILE.len() as u64);
}

/// The addresses of all screens; the first of the events is at this position.
fn screens(first: i64) -> Vec<String> {
    let fixed = [
        "/events",
        "/dead-letters",
        "/outbox",
        "/pending",
        "/pending?order=rule",
        "/silences",
        "/rules",
        "/rules/failed",
        "/rules/failed/tests",
        "/rules/stuck",
        "/try",
    ];
    let mut paths = fixed.map(str::to_owned).to_vec();
    for (number, seq) in (1..=HOSTILE.len()).zip(first..) {
        paths.push(format!("/events/{seq}"));
        paths.push(format!("/incidents/{number}"));
    }
    // Explanations show more of the event than the text of its number.
    for seq in (first..).take(4) {
        paths.push(format!("/events/{seq}/why/failed"));
        paths.push(format!("/events/{seq}/why/stuck"));
    }
    paths
}

/// The addresses of lists with a text as their filter.
fn filters(text: &str) -> Vec<String> {
    let text: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
    // Hidden characters that the user has entered are in the input as they are.
    let hidden = ["%E2%80", "%E2%81", "%00", "%EF%BB%BF", "%0D"];
    if hidden.iter().any(|hidden| text.contains(hidden)) {
        return Vec::new();
    }
    vec![
        format!("/events?id=x&source={text}&name={text}&rule={text}"),
        format!("/dead-letters?target={text}&reason={text}&event={text}"),
        format!("/silences?pattern={text}&owner={text}&reason={text}&for=1h"),
        format!("/pending?rule={text}&key={text}"),
        format!("/rules?name={text}"),
        format!("/try?rule={text}"),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_screen_takes_events_for_markup() {
    let served = Served::start().await;
    fill(&served).await;
    let first = served.seq(&format!("0-{}", HOSTILE[0]));
    let mut paths = screens(first);
    let list = served.page("/dead-letters").await;
    let ids = list.split("<a href=\"/deliveries/").skip(1).take(3);
    paths.extend(ids.map(|id| format!("/deliveries/{}", id.split_once('"').unwrap().0)));
    paths.extend(HOSTILE.iter().flat_map(|text| filters(text)));
    for path in &paths {
        let page = served.page(path).await;
        check(path, &page);
    }
    // The texts are there, visibly.
    let page = served.page(&format!("/events/{first}")).await;
    assert!(
        page.contains("&#60;script&#62;hostile()&#60;/script&#62;"),
        "{page}"
    );
    let page = served.page(&format!("/events/{}", first + 29)).await;
    assert!(page.contains(r"\u{202e}txt.exe\u{202c}"), "{page}");

    for text in HOSTILE {
        let event = hostile_event(1, text);
        let page = served
            .post("/try", "/try", &[("event", &event), ("rule", "failed")])
            .await;
        assert_eq!(page.status, 200);
        // The form has the event as it was entered, as JSON.
        let (_, result) = page.body.split_once("<div id=\"result\"").unwrap();
        check("/try", &format!("</head><h1><div {result}"));
    }
    let rule = format!("when = 'id exists'\nthen = {}", Json::from(HOSTILE[3]));
    let fields = [("text", rule.as_str()), ("last", "50")];
    let page = served
        .post("/rules/failed", "/rules/failed/what-if", &fields)
        .await;
    check("/rules/failed/what-if", &page.body);
    served.stop().await;
}
