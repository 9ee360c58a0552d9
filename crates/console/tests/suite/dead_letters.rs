//! `/dead-letters`, `/outbox`, and one delivery.

use crate::served::Served;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_letters_are_counted_filtered_and_offered_for_operations() {
    let served = Served::start().await;
    assert!(
        served
            .page("/dead-letters")
            .await
            .contains("There are no dead letters.")
    );
    served.fill("first", "eni-1").await;
    served.fill("second", "eni-2").await;
    let page = served.page("/dead-letters").await;
    for text in [
        "<strong>2</strong> in all",
        "href=\"/confirm?operation=redrive_matching&#38;next=%2Fdead-letters\"",
        "href=\"/dead-letters?target=refuse\">refuse</a> 2",
        &format!("href=\"/events/{}\">first</a>", served.seq("first")),
        "Command line: <code>reflexarc dlq list</code>",
    ] {
        assert!(page.contains(text), "{text}: {page}");
    }
    assert!(
        page.find(">second<").unwrap() < page.find(">first<").unwrap(),
        "newest first"
    );

    let page = served
        .page("/dead-letters?event=first&target=refuse&until=&reason=")
        .await;
    assert!(
        page.contains("<strong>1</strong> match the filter"),
        "{page}"
    );
    assert!(!page.contains(">second<"));
    let all = "/confirm?operation=drop_matching&#38;target=refuse&#38;event=first&#38;next=";
    assert!(page.contains(all), "{page}");
    let command = "reflexarc dlq list --target refuse --event first";
    assert!(page.contains(command), "{page}");
    for (query, count) in [
        ("reason=no+such", 0),
        ("rule=stuck", 0),
        ("since=1h", 2),
        ("until=1h", 0),
    ] {
        let page = served.page(&format!("/dead-letters?{query}")).await;
        assert!(
            page.contains(&format!("<strong>{count}</strong>")),
            "{query}: {page}"
        );
    }
    assert_eq!(served.get("/dead-letters?after=7").await.status, 400);
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_delivery_has_its_payload_attempts_and_operations() {
    let served = Served::start().await;
    served.fill("first", "eni-1").await;
    let list = served.page("/dead-letters").await;
    let (_, address) = list.split_once("<a href=\"/deliveries/").unwrap();
    let (id, _) = address.split_once('"').unwrap();
    let page = served.page(&format!("/deliveries/{id}")).await;
    for text in [
        "<span class=\"badge bad\">dead</span>",
        &format!(
            "<a href=\"/events/{}\">event first</a>",
            served.seq("first")
        ),
        "&#34;eniId&#34;: &#34;eni-1&#34;",
        "&#60;b&#62;&#34;refused&#34;&#60;/b&#62;",
        &format!("/confirm?operation=redrive&#38;id={id}"),
        &format!("/confirm?operation=drop&#38;id={id}"),
        &format!("reflexarc outbox show {id}"),
    ] {
        assert!(page.contains(text), "{text}: {page}");
    }
    served.stop().await;
}

/// Counting what matches a text would read all reasons: a page says how many it has found itself.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_dead_letters_than_a_page_are_counted_unless_a_text_is_searched_for() {
    let served = Served::start().await;
    for number in 0..51 {
        served.fill(&format!("event-{number}"), "eni-1").await;
    }
    for (query, count) in [
        ("", "<strong>51</strong> in all"),
        ("target=refuse", "<strong>51</strong> match the filter"),
        (
            "reason=refused",
            "At least <strong>50</strong> match the filter",
        ),
        ("reason=no+such", "<strong>0</strong> match the filter"),
        ("event=event-7", "<strong>1</strong> match the filter"),
    ] {
        let page = served.page(&format!("/dead-letters?{query}")).await;
        assert!(page.contains(count), "{query}: {page}");
        let is_offered = page.contains("operation=redrive_matching");
        assert_eq!(is_offered, !count.contains(">0<"), "{query}");
    }
    served.stop().await;
}
