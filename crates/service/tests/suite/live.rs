//! `GET /live`: what streams have, what they leave out, and how they end.

use std::time::Duration;

use jiff::Timestamp;
use reflexarc::RuleSet;
use reflexarc_delivery::ChangeLimit;
use reflexarc_event::Json;
use reflexarc_service::security::{Role, Token, Tokens};
use reqwest::Response;

use crate::calls::StubApi;
use crate::samples::event_text;
use crate::serving::{Parts, RULE, Serving};

/// Longer than anything here takes.
const LIMIT: Duration = Duration::from_secs(20);

/// A stream as a client reads it.
struct Stream {
    response: Response,
    text: String,
    /// The id of the last entry.
    id: String,
}

impl Stream {
    async fn open(serving: &Serving, query: &str) -> Self {
        Self::after(serving, query, None).await
    }

    async fn after(serving: &Serving, query: &str, id: Option<&str>) -> Self {
        let response = request(serving, query, id, None).await;
        assert_eq!(response.status().as_u16(), 200);
        let headers = response.headers();
        assert_eq!(headers["content-type"], "text/event-stream");
        assert_eq!(headers["cache-control"], "no-store");
        Self {
            response,
            text: String::new(),
            id: String::new(),
        }
    }

    /// The next entry; `None` at the end of the stream.
    async fn next(&mut self) -> Option<Json> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    let line = block.lines().find_map(|line| line.strip_prefix(name));
                    line.map(str::to_owned)
                };
                let (data, id) = (field("data: "), field("id: "));
                self.text = String::from(rest);
                if let Some(data) = data {
                    self.id = id.unwrap();
                    return Some(Json::parse(&data).unwrap());
                }
                continue;
            }
            let chunk = tokio::time::timeout(LIMIT, self.response.chunk()).await;
            let chunk = chunk.expect("an entry in time").ok().flatten()?;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    /// As many entries, each as its kind and what is in `member`.
    async fn take(&mut self, count: usize, member: &str) -> Vec<String> {
        let mut taken = Vec::new();
        for _ in 0..count {
            let entry = self.next().await.unwrap();
            let member = entry.get(member).map(ToString::to_string);
            let kind = entry.get("kind").unwrap().as_str().unwrap().to_owned();
            taken.push(format!("{kind} {}", member.unwrap_or_default()));
        }
        taken
    }
}

async fn request(
    serving: &Serving,
    query: &str,
    id: Option<&str>,
    token: Option<&str>,
) -> Response {
    let mut request = serving.client.get(format!("{}/live{query}", serving.url));
    if let Some(id) = id {
        request = request.header("last-event-id", id);
    }
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    request.send().await.unwrap()
}

async fn post(serving: &Serving, ids: impl IntoIterator<Item = String>) {
    let events = ids.into_iter().map(|id| event_text(&id, "eni-1"));
    let body = events.collect::<Vec<_>>().join("\n");
    let (status, answer) = serving.post("application/x-ndjson", body).await;
    assert_eq!(status, 200, "{answer}");
}

fn number(json: &Json, member: &str) -> i64 {
    json.get(member).unwrap().as_i64().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_have_their_verdicts_and_attempts_follow() {
    let serving = Serving::start().await;
    let mut stream = Stream::open(&serving, "").await;
    post(&serving, ["1".to_owned(), "1".to_owned()]).await;
    let first = stream.next().await.unwrap();
    assert_eq!(number(&first, "seq"), 1);
    assert_eq!(
        first.get("rules").unwrap().to_string(),
        r#"[{"rule":"failed","outcome":"reacted","actions":[{"target":"out","kind":"send"}]}]"#
    );
    assert_eq!(first.get("failures").unwrap().to_string(), "[]");
    let id = first.get("event").and_then(|event| event.get("id"));
    assert_eq!(id, first.get("id"));
    let second = stream.next().await.unwrap();
    assert_eq!(second.get("duplicate"), Some(&Json::Bool(true)));
    let attempt = stream.next().await.unwrap();
    assert_eq!(attempt.get("kind").unwrap().as_str(), Some("delivery"));
    assert_eq!(attempt.get("outcome").unwrap().as_str(), Some("delivered"));
    let delivery = attempt.get("delivery").unwrap();
    assert_eq!(
        first.get("deliveries").unwrap().elements(),
        std::slice::from_ref(delivery)
    );
    serving.stop().await;
}

/// Two rules with a target each.
fn two_rules(parts: &mut Parts) {
    let other = "when = 'id == \"other\"'\nthen = 'send(\"nowhere\", #{})'";
    let rules = [("failed.toml", RULE), ("other.toml", other)];
    parts.rules = RuleSet::compile(rules).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_select_by_rule_target_kind_and_event() {
    let serving = Serving::with(two_rules).await;
    let mut by_rule = Stream::open(&serving, "?rule=other").await;
    let mut by_target = Stream::open(&serving, "?target=out&kinds=delivery").await;
    let mut by_event = Stream::open(&serving, "?when=id+%3D%3D+%222%22").await;
    post(&serving, ["1", "other", "2", "end"].map(str::to_owned)).await;
    assert_eq!(by_rule.take(1, "id").await, [r#"event "other""#]);
    let attempts = by_target.take(4, "event").await;
    assert!(
        attempts.contains(&r#"delivery "2""#.to_owned()),
        "{attempts:?}"
    );
    // The event and its delivery, which does not carry it.
    assert_eq!(by_event.take(1, "id").await, [r#"event "2""#]);
    assert_eq!(by_event.take(1, "event").await, [r#"delivery "2""#]);

    for (query, expected) in [
        (
            "?rule=faild",
            "unknown rule `faild`; did you mean `failed`?",
        ),
        ("?target=outt", "unknown target `outt`; did you mean `out`?"),
        (
            "?kinds=event,events",
            "unknown kind `events`; did you mean `event`?",
        ),
        ("?when=id+%3D+1", "invalid `when`:"),
        ("?when=id+exists&when=id+exists", "`when` is given twice"),
    ] {
        let (status, answer) = serving.get(&format!("/live{query}"), None).await;
        let error = answer.get("error").unwrap().as_str().unwrap().to_owned();
        assert_eq!(status, 400, "{query}");
        assert!(error.starts_with(expected), "{error}");
    }
    let long = format!("/live?when={}", "x".repeat((16 << 10) + 1));
    assert_eq!(serving.get(&long, None).await.0, 400);
    let many = format!("?{}", "&rule=failed".repeat(65));
    let repeated = request(&serving, &many, None, None).await;
    assert_eq!(repeated.status().as_u16(), 200, "a name counts once");
    serving.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_resumes_without_loss_or_repetition() {
    let serving = Serving::start().await;
    let mut stream = Stream::open(&serving, "?kinds=event").await;
    let (mut seen, mut id) = (Vec::new(), String::new());
    for round in 0..5 {
        post(&serving, (0..40).map(|n| format!("{round}-{n}"))).await;
        // Cut in the middle of what was sent.
        for entry in stream.take(17, "seq").await {
            seen.push(entry);
        }
        id.clone_from(&stream.id);
        drop(stream);
        post(&serving, (40..50).map(|n| format!("{round}-{n}"))).await;
        stream = Stream::after(&serving, "?kinds=event", Some(&id)).await;
        while seen.len() < 50 * (round + 1) {
            seen.extend(stream.take(1, "seq").await);
        }
    }
    let expected: Vec<_> = (1..=250).map(|seq| format!("event {seq}")).collect();
    assert_eq!(seen, expected);
    // Of another process, or invented: it says that something may be missing.
    for id in ["0-1", "x", "", &format!("{}9", stream.id)] {
        let mut other = Stream::after(&serving, "", Some(id)).await;
        let first = other.next().await.unwrap();
        assert_eq!(first.get("kind").unwrap().as_str(), Some("left_out"));
        assert_eq!(first.get("count"), Some(&Json::Null));
    }
    serving.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_slow_reader_misses_is_counted() {
    let serving = Serving::with(|parts| {
        parts.rules = RuleSet::compile([("none.toml", "when = 'id == 1'\nthen = ''")]).unwrap();
    })
    .await;
    let mut stream = Stream::open(&serving, "").await;
    let total = 12_000;
    for batch in 0..12 {
        post(&serving, (0..1_000).map(|n| format!("{batch}-{n}"))).await;
    }
    // It reads only now, and less than came.
    let (mut received, mut left_out, mut last) = (0, 0, 0);
    while last < total {
        let entry = stream.next().await.unwrap();
        if entry.get("kind").unwrap().as_str() == Some("left_out") {
            left_out += number(&entry, "count");
            continue;
        }
        assert!(number(&entry, "seq") > last, "{entry}");
        last = number(&entry, "seq");
        received += 1;
    }
    assert!(left_out > 0);
    assert_eq!(received + left_out, total);
    serving.stop().await;
}

/// A filter that would take hours on an event of 2 KB.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_that_a_filter_cannot_decide_are_counted() {
    let serving = Serving::start().await;
    let arrays = (0..8).map(|i| format!("a{i}.x == 1 and a{i}.y == 1"));
    let arrays = arrays.collect::<Vec<_>>().join(" and ");
    let filter = format!("id == \"end\" or not ({arrays} and z.x == 1 and z.y == 1)");
    let query: String = form_urlencoded::byte_serialize(filter.as_bytes()).collect();
    let mut stream = Stream::open(&serving, &format!("?when={query}")).await;
    let both = vec![r#"{"x": 1, "y": 1}"#; 20].join(", ");
    let arrays = (0..8).map(|i| format!(r#""a{i}": [{both}]"#));
    let arrays = arrays.collect::<Vec<_>>().join(", ");
    let one = [vec![r#"{"x": 1}"#; 21], vec![r#"{"y": 1}"#; 21]].concat();
    let hard = |id| format!(r#"{{"id": "{id}", {arrays}, "z": [{}]}}"#, one.join(", "));
    let body = [hard("1"), hard("2"), r#"{"id": "end"}"#.to_owned()].join("\n");
    let (status, answer) = serving.post("application/x-ndjson", body).await;
    assert_eq!(status, 200, "{answer}");
    let (mut undecided, mut ids) = (0, Vec::new());
    while undecided < 2 || ids.is_empty() {
        let entry = stream.next().await.unwrap();
        if entry.get("kind").unwrap().as_str() == Some("left_out") {
            let reason = entry.get("reason").unwrap().as_str().unwrap();
            assert!(reason.contains("the filter `when`"), "{reason}");
            undecided += number(&entry, "count");
        } else {
            ids.push(entry.get("id").unwrap().to_string());
        }
    }
    assert_eq!((undecided, ids), (2, vec![r#""end""#.to_owned()]));
    serving.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn firings_are_in_the_stream() {
    let serving = Serving::with(|parts| {
        let rule = "when = 'id exists'\nbatch = { within = \"1s\" }\n\
                    then = 'send(\"out\", #{ count: count })'";
        parts.rules = RuleSet::compile([("gathered.toml", rule)]).unwrap();
    })
    .await;
    let mut stream = Stream::open(&serving, "?kinds=firing").await;
    post(&serving, ["1", "2"].map(str::to_owned)).await;
    let firing = stream.next().await.unwrap();
    assert_eq!(firing.get("rule").unwrap().as_str(), Some("gathered"));
    assert_eq!(firing.get("outcome").unwrap().as_str(), Some("fired"));
    // After the entry of the rules and those of the events.
    assert_eq!(number(&firing, "seq"), 4);
    serving.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_and_their_answers_are_in_the_stream() {
    let serving = Serving::with(|parts| {
        let rule = "when = 'id exists'\nthen = 'call(\"ecs\", \"DescribeDisks\", #{})'\n\
                    answered = 'log(answer.status)'";
        parts.rules = RuleSet::compile([("asks.toml", rule)]).unwrap();
        let api = StubApi::new([]);
        let hour = jiff::SignedDuration::from_hours(1);
        parts.config.queues = vec![api.target(ChangeLimit::default(), hour)];
    })
    .await;
    let mut stream = Stream::open(&serving, "?kinds=call,answer").await;
    post(&serving, ["1".to_owned()]).await;
    let (mut call, mut answer) = (None, None);
    while call.is_none() || answer.is_none() {
        let entry = stream.next().await.unwrap();
        let kind = entry.get("kind").unwrap().as_str().unwrap().to_owned();
        assert_eq!(
            entry.get("target").unwrap().as_str(),
            Some("ecs"),
            "{entry}"
        );
        assert_eq!(
            entry.get("operation").unwrap().as_str(),
            Some("DescribeDisks")
        );
        *(if kind == "call" {
            &mut call
        } else {
            &mut answer
        }) = Some(entry);
    }
    assert_eq!(answer.unwrap().get("ok"), Some(&Json::Bool(true)));
    serving.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_end_at_shutdown() {
    // What does not end by itself is ended after that time.
    let shutdown_timeout = Duration::from_secs(300);
    let serving = Serving::with(|parts| parts.config.shutdown_timeout = shutdown_timeout).await;
    let mut streams = Vec::new();
    for _ in 0..8 {
        streams.push(Stream::open(&serving, "").await);
    }
    let begun = std::time::Instant::now();
    serving.stop().await;
    for mut stream in streams {
        assert!(stream.next().await.is_none());
    }
    assert!(
        begun.elapsed() < Duration::from_secs(60),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_needs_a_token_as_long_as_it_lasts() {
    let soon = Timestamp::now() + jiff::SignedDuration::from_secs(10);
    let serving = Serving::with(|parts| {
        let token = |name: &str, role, expires| {
            Token::new(
                name.into(),
                &format!("secret-{name}").into(),
                vec![role],
                expires,
            )
        };
        parts.config.tokens = Tokens::new(vec![
            token("reader", Role::Read, None),
            token("guest", Role::Read, Some(soon)),
            token("sender", Role::Ingest, None),
        ]);
    })
    .await;
    for (token, status) in [
        (None, 401),
        (Some("secret-nobody"), 401),
        (Some("secret-sender"), 403),
        (Some("secret-reader"), 200),
    ] {
        let response = request(&serving, "", None, token).await;
        assert_eq!(response.status().as_u16(), status, "{token:?}");
    }
    let mut guest = request(&serving, "", None, Some("secret-guest")).await;
    assert_eq!(guest.status().as_u16(), 200);
    let ended = async { while guest.chunk().await.unwrap().is_some() {} };
    tokio::time::timeout(Duration::from_secs(60), ended)
        .await
        .unwrap();
    assert!(Timestamp::now() >= soon);
    serving.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_number_of_streams_is_limited() {
    let serving = Serving::start().await;
    let mut streams = Vec::new();
    for _ in 0..64 {
        streams.push(Stream::open(&serving, "").await);
    }
    let refused = request(&serving, "", None, None).await;
    assert_eq!(refused.status().as_u16(), 429);
    assert_eq!(refused.headers()["retry-after"], "10");
    streams.pop();
    // The end of a connection is noticed a moment later.
    let mut status = 429;
    for _ in 0..100 {
        status = request(&serving, "", None, None).await.status().as_u16();
        if status == 200 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(status, 200);
    serving.stop().await;
}
