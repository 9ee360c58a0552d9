//! `/silences`.

use jiff::{SignedDuration, Timestamp};
use reflexarc_service::store::{NewSilence, SilenceEnd};

use tokio::task::block_in_place;

use crate::served::Served;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silences_are_listed_by_their_time() {
    let served = Served::start().await;
    let now = Timestamp::now();
    let hours = SignedDuration::from_hours;
    for (reason, from, until) in [
        ("now", now - hours(1), now + hours(1)),
        ("soon", now + hours(1), now + hours(2)),
        ("ended", now - hours(1), now + hours(1)),
    ] {
        let silence = NewSilence {
            pattern: "rule == \"failed\"".to_owned(),
            from,
            until,
            owner: "ola".to_owned(),
            reason: reason.to_owned(),
            drops: false,
        };
        block_in_place(|| served.store.add_silence(silence, 10, now))
            .unwrap()
            .unwrap();
    }
    let end = SilenceEnd {
        at: now,
        by: "ana".to_owned(),
        drops: false,
    };
    block_in_place(|| served.store.end_silence(3, end))
        .unwrap()
        .unwrap();
    let page = served.page("/silences").await;
    let (active, rest) = page.split_once("id=\"future\"").unwrap();
    let (future, expired) = rest.split_once("id=\"expired\"").unwrap();
    assert!(
        active.contains("Silence 1") && active.contains("<code>rule == &#34;failed&#34;</code>")
    );
    assert!(
        active.contains("operation=end_silence&#38;id=1&#38;next="),
        "{active}"
    );
    assert!(active.contains("operation=end_silence&#38;id=1&#38;drop=true"));
    assert!(future.contains("Silence 2") && !future.contains("Silence 1"));
    assert!(
        expired.contains("Silence 3") && expired.contains("by ana"),
        "{expired}"
    );
    assert!(!expired.contains("/confirm"));
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silence_is_previewed_before_it_is_added() {
    let served = Served::start().await;
    served.fill("first", "eni-1").await;
    let pattern = "pattern=rule+%3D%3D+%22failed%22";
    let page = served.page(&format!("/silences?{pattern}")).await;
    assert!(
        page.contains("What it would withhold") && page.contains("2 of the last 24 hours"),
        "{page}"
    );
    assert!(page.contains("/deliveries/"));
    assert!(page.contains("To add it, enter a reason") && !page.contains("operation=add_silence"));
    let page = served
        .page(&format!(
            "/silences?{pattern}&for=2h&reason=moving&owner=&drop="
        ))
        .await;
    let add = "/confirm?operation=add_silence&#38;pattern=rule+%3D%3D+%22failed%22&#38;for=2h\
               &#38;reason=moving&#38;next=";
    assert!(page.contains(add), "{page}");

    let none = "pattern=rule+%3D%3D+%22none%22&for=2h&reason=x";
    let page = served.page(&format!("/silences?{none}")).await;
    assert!(
        page.contains("The pattern matches no delivery now."),
        "{page}"
    );
    assert!(
        page.contains("The nearest delivery is") && page.contains("&#38;confirm=true&#38;next=")
    );
    let page = served.page("/silences?pattern=rule+%3D+1").await;
    assert!(
        page.contains("aria-invalid=\"true\"") && page.contains("invalid `pattern`"),
        "{page}"
    );
    served.stop().await;
}
