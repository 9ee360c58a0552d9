//! `/pending` and incidents.

use tokio::task::block_in_place;

use crate::served::Served;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn matches_and_incidents_are_listed_with_operations() {
    let served = Served::start().await;
    assert!(
        served
            .page("/pending")
            .await
            .contains("There are no pending matches.")
    );
    served.fill("first", "eni-1").await;
    served.fill("second", "eni-2").await;
    let page = served.page("/pending").await;
    for text in [
        "<a href=\"/rules/stuck\">stuck</a>",
        "<code>eni-1</code>",
        &format!("<a href=\"/events/{}\">first</a>", served.seq("first")),
        "operation=close_pending&#38;rule=stuck&#38;key=%22eni-1%22",
        "<a href=\"/incidents/1\">Incident 1</a>",
        "operation=acknowledge_incident&#38;id=1",
        "operation=close_incident&#38;id=1",
    ] {
        assert!(page.contains(text), "{text}: {page}");
    }
    assert!(
        page.find("<code>eni-1</code>") < page.rfind("<code>eni-2</code>"),
        "soonest first"
    );
    let page = served
        .page("/pending?rule=stuck&key=eni-2&order=rule")
        .await;
    assert!(
        page.contains("<code>eni-2</code>") && !page.contains("<code>eni-1</code>"),
        "{page}"
    );
    let page = served.page("/pending?rule=none").await;
    assert!(
        page.contains("No pending match fits the filter.") && page.contains("No incident is open.")
    );
    // By deadline, behind a place, and by rule and key.
    let later = |year: i64| format!("/pending?after={}/1/k", (year - 1970) * 31_557_600_000_000);
    assert!(
        served
            .page(&later(2000))
            .await
            .contains("<code>eni-1</code>")
    );
    let page = served.page(&later(2200)).await;
    assert!(
        page.contains("There are no further matches.") && !page.contains("<td data-label=\"Due\">")
    );
    for after in ["after=%00", "after=1/eni-1", "order=rule&after=%00"] {
        assert_eq!(served.get(&format!("/pending?{after}")).await.status, 400);
    }
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_incident_has_its_deliveries_until_it_ends() {
    let served = Served::start().await;
    served.fill("first", "eni-1").await;
    let page = served.page("/incidents/1").await;
    for text in [
        "<span class=\"badge bad\">open</span>",
        "<code>eni-1</code>",
        "<a href=\"/targets/out\">out</a>",
        "operation=acknowledge_incident&#38;id=1",
        "reflexarc incident show 1",
    ] {
        assert!(page.contains(text), "{text}: {page}");
    }
    let closed = reflexarc_service::store::ClosedBy {
        by: "ola".to_owned(),
        reason: Some("moved".to_owned()),
    };
    let now = jiff::Timestamp::now();
    assert!(block_in_place(|| served.store.close_incident(1, &closed, now)).unwrap());
    let page = served.page("/incidents/1").await;
    assert!(
        page.contains("closed") && page.contains("by ola: moved"),
        "{page}"
    );
    assert!(!page.contains("/confirm"));
    let list = served.page("/pending").await;
    let ended = list.split_once("Ended incidents").unwrap().1;
    assert!(
        ended.contains("<a href=\"/incidents/1\">Incident 1</a>"),
        "{list}"
    );
    served.stop().await;
}
