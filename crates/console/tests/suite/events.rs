//! `/events`, and one event.

use tokio::task::block_in_place;

use crate::served::Served;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_are_listed_newest_first_and_filtered() {
    let served = Served::start().await;
    assert!(
        served
            .page("/events")
            .await
            .contains("<span class=\"badge plain\">reload</span>")
    );
    served.fill("first", "eni-1").await;
    served.fill("second", "eni-2").await;
    let page = served.page("/events").await;
    let place = |text: &str| page.find(text).unwrap_or_else(|| panic!("{text}: {page}"));
    assert!(place(">second</a>") < place(">first</a>"));
    assert!(page.contains("<a href=\"/rules/failed\">failed</a>"));
    assert!(
        page.contains("1 <span class=\"badge bad\">dead</span>"),
        "{page}"
    );
    assert!(page.contains("reflexarc archive list --all"));
    assert!(page.contains("data-live=\"/live?kinds=event%2Cfiring%2Canswer\""));

    let page = served
        .page("/events?id=first&from=1h&rule=failed&kind=event")
        .await;
    assert!(page.contains(">first</a>") && !page.contains(">second</a>"));
    assert!(page.contains("value=\"first\"") && page.contains("<option selected>event"));
    let none = served.page("/events?source=other").await;
    assert!(none.contains("No entry matches the filter."));
    for invalid in ["kind=none", "from=soon", "before=x"] {
        assert_eq!(
            served.get(&format!("/events?{invalid}")).await.status,
            400,
            "{invalid}"
        );
    }
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_event_shows_all_that_is_known() {
    let served = Served::start().await;
    served.fill("first", "eni-1").await;
    let at = served.seq("first");
    let page = served.page(&format!("/events/{at}")).await;
    for text in [
        "<h1>Event first</h1>",
        "<dd>acs.ecs</dd>",
        // As it was received.
        "&#34;eniId&#34;: &#34;eni-1&#34;",
        "<a href=\"/rules/failed\">failed</a> matches",
        "<a href=\"/rules/faulty\">faulty</a> does not match",
        &format!("href=\"/events/{at}/why/failed\" hx-get=\"/events/{at}/why/failed\""),
        "<code>looking at eni-1</code>",
        "<caption>State of the rule</caption>",
        "<code>seen</code></th><td data-label=\"Before\"><code>(none)</code></td>\
         <td data-label=\"After\"><code>1</code></td>",
        "<code>team=network</code>",
        "document to <a href=\"/targets/out\">out</a>",
        // The answer of the receiver, and what can be done.
        "&#60;b&#62;&#34;refused&#34;&#60;/b&#62;",
        "/confirm?operation=redrive&#38;id=",
        "<span class=\"badge good\">delivered</span>",
        // What waits.
        "pending, opened by this event",
        "Command line: <code>reflexarc trace first</code>",
    ] {
        assert!(page.contains(text), "{text}: {page}");
    }
    let why = served.page(&format!("/events/{at}/why/faulty")).await;
    assert!(why.contains("<div id=\"why\">"), "{why}");
    assert!(
        why.contains("content.result") && why.contains("does not match"),
        "{why}"
    );
    assert!(why.contains("reflexarc trace first --explain faulty"));
    let window = served.page(&format!("/events/{at}/why/stuck")).await;
    assert!(
        window.contains("waits 1h") && window.contains("&#34;eni-1&#34;"),
        "{window}"
    );

    let raw = served.get(&format!("/events/{at}/raw")).await;
    assert!(
        raw.head.contains("content-type: text/plain"),
        "{}",
        raw.head
    );
    assert!(
        raw.head
            .contains(&format!("attachment; filename=\"entry-{at}.json\"")),
        "{}",
        raw.head
    );
    assert!(raw.body.starts_with(r#"{"id": "first""#), "{}", raw.body);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_state_before_is_shown_and_long_values_are_shortened() {
    let served = Served::start().await;
    served.fill("first", "eni-1").await;
    served.fill("second", &"é".repeat(1_000)).await;
    let page = served
        .page(&format!("/events/{}", served.seq("second")))
        .await;
    for text in [
        "<code>1</code></td><td data-label=\"After\"><code>2</code></td>",
        "<code>&#34;eni-1&#34;</code></td>",
        "… (2002 bytes)</code></td>",
    ] {
        assert!(page.contains(text), "{text}: {page}");
    }
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn large_events_are_cut_and_downloaded_as_a_whole() {
    let served = Served::start().await;
    let event = format!(
        r#"{{"id": "large", "content": {{"x": "{}"}}}}"#,
        "y".repeat(300_000)
    );
    served.send(&event).await;
    let at = served.seq("large");
    let page = served.page(&format!("/events/{at}")).await;
    assert!(
        page.contains("Only the first 64 KiB are shown."),
        "{}",
        &page[..2_000]
    );
    assert!(page.len() < 200_000, "{}", page.len());
    assert_eq!(served.get(&format!("/events/{at}/raw")).await.body, event);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failures_and_what_follows_an_event_are_shown() {
    let served = Served::start().await;
    served
        .send(r#"{"id": "f", "content": {"result": "faulty", "eniId": "no way"}}"#)
        .await;
    let page = served.page(&format!("/events/{}", served.seq("f"))).await;
    assert!(
        page.contains("failed</h3>") && page.contains("no way"),
        "{page}"
    );
    served.fill("g", "eni-1").await;
    // Closing is an entry about the same event.
    let closed = reflexarc_service::store::ClosedBy {
        by: "ola".to_owned(),
        reason: Some("moved <b>".to_owned()),
    };
    let now = jiff::Timestamp::now();
    assert!(
        block_in_place(|| served.store.close_match("stuck", "\"eni-1\"", &closed, now)).unwrap()
    );
    let page = served.page("/events?kind=closed").await;
    let (_, address) = page
        .split_once("<th scope=\"row\" data-label=\"Id\"><a href=\"")
        .unwrap();
    let (address, _) = address.split_once('"').unwrap();
    let entry = served.page(address).await;
    assert!(
        entry.contains("What happened") && entry.contains("moved &#60;b&#62;"),
        "{entry}"
    );
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_entries_are_not_found() {
    let served = Served::start().await;
    served.send(r#"{"id": "1"}"#).await;
    for path in [
        "/events/7",
        "/events/x",
        "/events/-1",
        "/events/99999999999999999999",
        "/events/7/raw",
        "/events/7/why/failed",
        "/events/1/why/none",
        "/deliveries/none",
        "/deliveries/00000000000000000000000000000001",
        "/incidents/7",
        "/incidents/x",
        "/rules/none",
        "/rules/none/tests",
        "/rules/none/raw",
    ] {
        let page = served.get(path).await;
        assert_eq!(page.status, 404, "{path}");
        assert!(
            page.body.contains("<h1>Not found</h1>"),
            "{path}: {}",
            page.body
        );
    }
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stream_of_the_list_says_what_comes() {
    let served = Served::start().await;
    let reading = served.stream_until("/live?kinds=event&rule=failed", "live-7");
    let sending = async {
        // Entries from before a stream are not in it.
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        served
            .send(r#"{"id": "other-7", "content": {"result": "success"}}"#)
            .await;
        served.fill("live-7", "eni-1").await;
    };
    let (read, ()) = tokio::join!(reading, sending);
    assert!(
        read.to_ascii_lowercase()
            .contains("content-type: text/event-stream"),
        "{read}"
    );
    assert!(!read.contains("other-7"), "{read}");
    assert_eq!(served.get("/live?rule=none").await.status, 400);
    served.stop().await;
}
