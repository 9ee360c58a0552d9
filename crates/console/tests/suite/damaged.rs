//! Records that cannot be read.

use crate::served::Served;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_records_are_shown_as_such() {
    let served = Served::start().await;
    served.fill("first", "eni-1").await;
    served.fill("second", "eni-2").await;
    let (first, second) = (served.seq("first"), served.seq("second"));
    let folder = served.stop().await;
    let database = rusqlite::Connection::open(folder.path().join("reflexarc.db")).unwrap();
    let changed = database
        .execute(
            "UPDATE archive SET body = x'00ff' WHERE id = 'first' AND entry = 0",
            [],
        )
        .unwrap();
    assert_eq!(changed, 1);
    drop(database);

    let served = Served::start_in(folder).await;
    let page = served.page(&format!("/events/{first}")).await;
    assert!(
        page.contains(&format!("<h1>Entry {first} is damaged</h1>")),
        "{page}"
    );
    assert!(
        page.contains(&format!("event {first} of the archive is damaged")),
        "{page}"
    );
    // Its deliveries are whole.
    assert!(
        page.contains("<span class=\"badge bad\">dead</span>"),
        "{page}"
    );
    assert_eq!(
        served.get(&format!("/events/{first}/raw")).await.status,
        409
    );
    assert_eq!(
        served
            .get(&format!("/events/{first}/why/failed"))
            .await
            .status,
        409
    );
    assert!(
        served
            .page(&format!("/events/{second}"))
            .await
            .contains("<h1>Event second</h1>")
    );
    assert!(served.page("/events").await.contains(">second</a>"));
    served.stop().await;
}
