//! Lists of deliveries over HTTP.

use jiff::Timestamp;
use reflexarc_event::Json;
use reflexarc_reaction::Action;

use crate::samples::{evaluation, incoming};
use crate::serving::{Serving, parts};

#[tokio::test]
async fn large_dead_letters_are_listed_in_pages() {
    let folder = tempfile::tempdir().unwrap();
    // Accepting waits for the writer, which async code must not.
    let (folder, parts) = tokio::task::spawn_blocking(move || {
        let parts = parts(&folder);
        for number in 0..80 {
            // To a target that does not exist, so that the start makes them dead letters.
            let action = Action::send("gone", "x".repeat(30_000));
            let event = incoming(&number.to_string());
            let evaluation = evaluation("r", vec![action], vec![]);
            let accepted = parts.store.accept(event, evaluation, Timestamp::now());
            assert_eq!(accepted.unwrap().deliveries.len(), 1);
        }
        (folder, parts)
    })
    .await
    .unwrap();
    let serving = Serving::run(folder, parts).await;
    let mut path = "/dlq?limit=50".to_owned();
    let (mut events, mut sizes) = (Vec::new(), Vec::new());
    loop {
        let url = format!("{}{path}", serving.url);
        let response = serving.client.get(url).send().await.unwrap();
        assert_eq!(response.status(), 200);
        let link = response.headers().get("link").cloned();
        let text = response.text().await.unwrap();
        sizes.push(text.len());
        let page = Json::parse(&text).unwrap();
        let names = page
            .elements()
            .iter()
            .map(|one| one.get("event").unwrap().to_string());
        events.extend(names);
        let Some(link) = link else { break };
        let link = link.to_str().unwrap();
        path = link
            .strip_prefix('<')
            .unwrap()
            .split_once(">; rel=\"next\"")
            .unwrap()
            .0
            .to_owned();
    }
    assert!(sizes.iter().all(|size| *size < 1_200_000), "{sizes:?}");
    assert_eq!(sizes.len(), 3);
    events.sort();
    events.dedup();
    assert_eq!(events.len(), 80);
    for (query, status) in [
        ("limit=0", 400),
        ("limit=x", 400),
        ("after=1-2", 400),
        ("x=y", 200),
    ] {
        assert_eq!(
            serving.get(&format!("/outbox?{query}"), None).await.0,
            status,
            "{query}"
        );
    }
    serving.stop().await;
}
