//! `/rules`, tests, "try an event" and "what if".

use crate::served::{FAILED, STUCK, Served};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rules_have_counts_text_and_tests() {
    let served = Served::start().await;
    served.fill("first", "eni-1").await;
    served
        .send(r#"{"id": "f", "content": {"result": "faulty", "eniId": "x"}}"#)
        .await;
    let page = served.page("/rules").await;
    let row = |name: &str| {
        let (_, row) = page
            .split_once(&format!("<a href=\"/rules/{name}\">"))
            .unwrap();
        row.split_once("</tr>").unwrap().0.to_owned()
    };
    let number = |label: &str, count: u64| {
        format!("<td data-label=\"{label}\" class=\"number inline\">{count}</td>")
    };
    assert!(
        row("failed").contains(&number("Matched", 1)),
        "{}",
        row("failed")
    );
    assert!(
        row("faulty").contains(&number("Failed", 1)),
        "{}",
        row("faulty")
    );
    assert!(
        row("stuck").contains(&number("Pending", 1)),
        "{}",
        row("stuck")
    );
    assert!(row("failed").contains("Report what failed"));
    let page = served.page("/rules?name=fau").await;
    assert!(page.contains("/rules/faulty") && !page.contains("/rules/stuck"));

    let page = served.page("/rules/failed").await;
    for text in [
        "when = &#39;content.result == &#34;failed&#34;&#39;",
        "<code>team=network</code>",
        "<a href=\"/targets/refuse\">refuse</a>",
        "hx-get=\"/rules/failed/tests\"",
        "href=\"/events?rule=failed\"",
        "reflexarc test failed.toml",
    ] {
        assert!(page.contains(text), "{text}: {page}");
    }
    assert_eq!(served.get("/rules/failed/raw").await.body, FAILED);
    let page = served.page("/rules/failed/tests").await;
    assert!(page.contains("1 passed, 1 failed."), "{page}");
    assert!(
        page.contains("failed.toml:17") && page.contains("+ false"),
        "{page}"
    );
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_is_tried_without_effect() {
    let served = Served::start().await;
    let event = r#"{"id": "t", "eventTime": "2026-11-25T08:00:00Z", "name": "Eni:<Failed>",
                    "content": {"result": "failed", "eniId": "eni-7"}}"#;
    let fields = [("event", event), ("rule", "faulty")];
    let page = served.post("/try?rule=faulty", "/try", &fields).await;
    assert_eq!(page.status, 200, "{}", page.body);
    for text in [
        "Eni:&#60;Failed&#62;",
        "2026-11-25 08:00:00 UTC",
        "<code>looking at eni-7</code>",
        "document to <a href=\"/targets/out\">out</a>",
        // The state before and after.
        "<code>seen</code>",
        "<code>(none)</code>",
        "Why rule <a href=\"/rules/faulty\">faulty</a> does not match",
    ] {
        assert!(page.body.contains(text), "{text}: {}", page.body);
    }
    let page = served
        .post("/rules/failed", "/try", &[("event", "{\"id\": ")])
        .await;
    assert!(page.body.contains("role=\"alert\""), "{}", page.body);
    let page = served.page("/events?kind=event").await;
    assert!(page.contains("No entry matches the filter."), "{page}");
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edited_rule_is_compared_with_the_archive() {
    let served = Served::start().await;
    served.fill("first", "eni-1").await;
    served
        .send(r#"{"id": "second", "content": {"result": "success", "eniId": "eni-1"}}"#)
        .await;
    let edited = "when = 'content.result == \"success\"'\r\nnotify = ['out']\r\n";
    let fields = [("text", edited), ("last", "100")];
    let page = served
        .post("/rules/failed", "/rules/failed/what-if", &fields)
        .await;
    for text in [
        "Compared 2 events",
        "matches <strong>1</strong> of them, the edited one <strong>1</strong>",
        "<h3>Newly matched: 1</h3>",
        "<h3>No longer matched: 1</h3>",
        ">second</a>",
        "The archive has no more events.",
    ] {
        assert!(page.body.contains(text), "{text}: {}", page.body);
    }
    // What it would do, before and after.
    let changed = FAILED.replace("send(\"refuse\", event);", "send(\"<b>\", 1);");
    let changed = changed.replace("== \"failed\"", "!= \"\"");
    for (edited, texts) in [
        (FAILED, vec!["<h3>Other reaction: 0</h3>"]),
        (
            &changed,
            vec![
                "<h3>Other reaction: 1</h3>",
                "<h3>Newly matched: 1</h3>",
                "What the edited rule would do with the newest of them",
                "document to <a href=\"/targets/refuse\">refuse</a>",
                "document to <a href=\"/targets/%3Cb%3E\">&#60;b&#62;</a>: 1</p>",
                "on an empty state",
            ],
        ),
        (
            "when = 'content.result == \"failed\"'\nthen = 'throw \"<no>\"'",
            vec!["<p>fails:</p>", "failed.toml:2:9: &#60;no&#62;"],
        ),
        (STUCK, vec!["Only <code>when</code> is compared"]),
    ] {
        let fields = [("text", edited), ("last", "100")];
        let page = served
            .post("/rules/failed", "/rules/failed/what-if", &fields)
            .await;
        for text in texts {
            assert!(page.body.contains(text), "{text}: {}", page.body);
        }
    }
    // Nothing was stored.
    let page = served.page("/events?kind=event").await;
    assert_eq!(
        page.matches("<th scope=\"row\" data-label=\"Id\">").count(),
        2,
        "{page}"
    );
    let fields = [("text", "when = 'x ='\nnotify = ['out']"), ("last", "7")];
    let page = served
        .post("/rules/failed", "/rules/failed/what-if", &fields)
        .await;
    assert!(page.body.contains("The rule is invalid:"), "{}", page.body);
    assert!(page.body.contains("failed.toml:1"), "{}", page.body);
    served.stop().await;
}
