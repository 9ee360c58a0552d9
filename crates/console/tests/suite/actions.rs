//! Actions: confirmed with their number, performed, recorded.

use std::time::Duration;

use jiff::Timestamp;
use reflexarc_service::store::{AuditEntry, AuditFilter, AuditOutcome, AuditVia, DeliveryStatus};

use crate::browser::{Browser, Reply};
use crate::serving::{OPS, Serving};

/// Confirms what a link leads to, with these inputs changed, and gives the page after it.
async fn confirm(browser: &mut Browser, link: &str, inputs: &[(&str, &str)]) -> Reply {
    let page = browser.get(link).await;
    assert_eq!(page.status, 200, "{}", page.body);
    let mut form = page.form("/perform");
    for (name, value) in inputs {
        let found = form.iter_mut().find(|(found, _)| found == name);
        (*value).clone_into(&mut found.unwrap().1);
    }
    let reply = browser.submit("/perform", &form).await;
    assert_eq!(reply.status, 303, "{}", reply.body);
    browser.get(reply.header("location").unwrap()).await
}

/// Asserts that a page has all of these texts.
fn has(page: &Reply, texts: &[&str]) {
    for text in texts {
        assert!(page.body.contains(text), "{text}: {}", page.body);
    }
}

/// The records, the newest first.
fn records(serving: &Serving) -> Vec<AuditEntry> {
    let all = AuditFilter::default();
    serving.store.audit_page(&all, None, 10).unwrap()
}

#[tokio::test]
async fn a_target_is_paused_and_resumed() {
    let serving = Serving::start().await;
    let mut ops = serving.logged_in(OPS).await;
    let page = ops.get("/targets").await;
    let link = page.link("operation=pause_target");
    let question = ops.get(&link).await;
    has(&question, &["reflexarc target pause out"]);
    let page = confirm(&mut ops, &link, &[("reason", "night <shift>")]).await;
    // On the page where it began, with what was done.
    assert!(page.body.contains("<h1>Targets</h1>") && page.body.contains("role=\"status\""));
    has(&page, &["night &#60;shift&#62;"]);
    let (name, pause) = serving.store.paused_targets().unwrap().remove(0);
    assert_eq!((name.as_str(), pause.by.as_str()), ("out", "ops"));
    let now = ops.get("/").await;
    has(&now, &["Target paused"]);

    let link = ops
        .get("/targets/out")
        .await
        .link("operation=resume_target");
    let page = confirm(&mut ops, &link, &[]).await;
    has(&page, &["<h1>Target out</h1>"]);
    assert!(serving.store.paused_targets().unwrap().is_empty());

    let entries = records(&serving);
    let done: Vec<_> = entries
        .iter()
        .map(|entry| entry.operation.as_str())
        .collect();
    assert_eq!(done, ["resume_target", "pause_target"]);
    assert!(entries.iter().all(|entry| {
        entry.by == "ops" && entry.via == AuditVia::Console && entry.outcome == AuditOutcome::Done
    }));
    let audit = ops.get("/audit?operation=pause_target").await;
    let command = "reflexarc target pause --reason";
    has(&audit, &["Pause target: target out"]);
    assert!(audit.body.contains(command) || audit.body.contains("target pause out --reason"));
    serving.stop().await;
}

#[tokio::test]
async fn an_outcome_is_shown_to_who_acted_only() {
    let serving = Serving::start().await;
    let mut ops = serving.logged_in(OPS).await;
    let page = ops
        .get("/confirm?operation=pause_target&target=out&next=/audit?by=ops")
        .await;
    let form = page.form("/perform");
    let reply = ops.submit("/perform", &form).await;
    let location = reply.header("location").unwrap().to_owned();
    assert!(location.starts_with("/audit?by=ops&done="), "{location}");
    assert!(
        ops.get(&location)
            .await
            .body
            .contains("class=\"outcome good\"")
    );
    // It is a random text, so a link can make no page say anything.
    let mut reader = serving.logged_in(crate::serving::READER).await;
    assert!(
        !reader
            .get(&location)
            .await
            .body
            .contains("class=\"outcome good\"")
    );
    assert!(
        !ops.get("/audit?done=paused")
            .await
            .body
            .contains("class=\"outcome")
    );
    serving.stop().await;
}

#[tokio::test]
async fn all_that_match_are_changed_in_the_background() {
    let serving = Serving::losing().await;
    for number in 0..25 {
        serving.event(&format!("e{number}"), "lost").await;
    }
    serving.letters(25).await;
    let mut ops = serving.logged_in(OPS).await;
    let now = ops.get("/").await;
    has(&now, &["<a href=\"/dead-letters?target=network-team\">"]);
    let link = "/confirm?operation=drop_matching&target=network-team&next=/audit";
    let question = ops.get(link).await;
    let texts = [
        "25 dead letters to network-team",
        "This cannot be undone.",
        "reflexarc dlq drop --all --target network-team",
    ];
    has(&question, &texts);
    let page = confirm(&mut ops, link, &[]).await;
    let job = page.link("/jobs/");
    let mut shown = ops.get(&job).await;
    while shown.body.contains("hx-trigger") {
        has(&shown, &["<progress"]);
        tokio::time::sleep(Duration::from_millis(20)).await;
        shown = ops.get(&job).await;
    }
    has(&shown, &["25 of 25 done", "value=\"100\""]);
    serving.letters(0).await;
    assert!(
        ops.get("/jobs")
            .await
            .body
            .contains(&format!("href=\"{job}\""))
    );
    assert_eq!(ops.get("/jobs/999").await.status, 404);
    // There is nothing left to do.
    let question = ops.get(link).await;
    assert_eq!(question.status, 200);
    has(&question, &["There is nothing to do."]);
    assert!(!question.body.contains("action=\"/perform\""));
    serving.stop().await;
}

#[tokio::test]
async fn what_comes_after_the_confirmation_stays() {
    let serving = Serving::losing().await;
    serving.event("e1", "lost").await;
    serving.event("e2", "lost").await;
    serving.letters(2).await;
    let mut ops = serving.logged_in(OPS).await;
    let link = "/confirm?operation=drop_matching&target=network-team&next=/audit";
    let question = ops.get(link).await;
    has(&question, &["2 dead letters to network-team"]);
    let form = question.form("/perform");
    let (_, until) = form.iter().find(|(name, _)| name == "until").unwrap();
    let command = format!("reflexarc dlq drop --all --target network-team --until {until}");
    has(&question, &[&command]);
    // The same target, rule and reason, while the operator reads.
    serving.event("e3", "lost").await;
    serving.letters(3).await;
    let reply = ops.submit("/perform", &form).await;
    assert_eq!(reply.status, 303, "{}", reply.body);
    serving.letters(1).await;
    let entries = records(&serving);
    let [entry] = entries.as_slice() else {
        panic!("{entries:?}");
    };
    assert_eq!(entry.command, command);
    let left = serving.store.deliveries(DeliveryStatus::Dead, None, 10);
    let left = left.unwrap();
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].delivery.event.id, "e3");
    serving.stop().await;
}

/// The address that a form leads to with these ids selected.
fn selection(page: &Reply, operation: &str, ids: &[&str]) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    let form = page.form("/confirm");
    let hidden = form.iter().filter(|(name, _)| name == "next");
    query.extend_pairs(hidden);
    query.extend_pairs(ids.iter().map(|id| ("id", *id)));
    let button = format!("<button name=\"operation\" value=\"{operation}\">");
    has(page, &[&button]);
    query.append_pair("operation", operation);
    format!("/confirm?{}", query.finish())
}

#[tokio::test]
async fn selected_dead_letters_are_redriven_and_dropped() {
    let serving = Serving::losing().await;
    for number in 0..4 {
        serving.event(&format!("e{number}"), "lost").await;
    }
    serving.letters(4).await;
    let letters = serving.store.deliveries(DeliveryStatus::Dead, None, 10);
    let letters = letters.unwrap();
    let ids: Vec<_> = letters.iter().map(|one| one.delivery.id).collect();
    let id = |index: usize| ids[index].to_string();
    let mut ops = serving.logged_in(OPS).await;
    let page = ops.get("/dead-letters?target=network-team").await;
    for id in &ids {
        let label = format!("name=\"id\" value=\"{id}\" aria-label=\"Select {id}\"");
        has(&page, &[&label]);
    }
    let missing = "8b2a0000000000000000000000000001";
    let link = selection(&page, "drop_selected", &[&id(0), &id(2), missing]);
    let question = ops.get(&link).await;
    let command = format!("reflexarc dlq drop {} {} {missing}", id(0), id(2));
    let texts = [
        "2 dead letters; 1 not found",
        "Drop the selected dead letters",
        "This cannot be undone.",
        command.as_str(),
    ];
    has(&question, &texts);
    // Another operator drops one of them meanwhile.
    let (store, dropped) = (serving.store.clone(), ids[2]);
    let drop = move || store.drop_dead_letter(dropped, Timestamp::now()).unwrap();
    assert!(tokio::task::spawn_blocking(drop).await.unwrap());
    let reply = ops.submit("/perform", &question.form("/perform")).await;
    assert_eq!(reply.status, 303, "{}", reply.body);
    let page = ops.get(reply.header("location").unwrap()).await;
    let done = "Done: 1 dead letter dropped; 1 left unchanged; 1 not found";
    has(&page, &[done, "<strong>2</strong> match the filter"]);

    let link = selection(&page, "redrive_selected", &[&id(1), &id(3)]);
    let page = confirm(&mut ops, &link, &[]).await;
    let done = "Done: 2 dead letters moved back to the outbox";
    has(&page, &[done]);
    let entries = records(&serving);
    let done: Vec<_> = entries
        .iter()
        .map(|entry| (entry.operation.as_str(), entry.count))
        .collect();
    assert_eq!(done, [("redrive_selected", 2), ("drop_selected", 1)]);
    // Without a selection, and as a reader, who may not change anything.
    let page = ops.get("/confirm?operation=drop_selected").await;
    assert_eq!(page.status, 400);
    has(&page, &["no delivery is selected"]);
    let mut reader = serving.logged_in(crate::serving::READER).await;
    let page = reader.get("/dead-letters").await;
    assert!(!page.body.contains("checkbox"), "{}", page.body);
    serving.stop().await;
}

#[tokio::test]
async fn waiting_deliveries_are_listed_and_cancelled() {
    let serving = Serving::start().await;
    let pause = serving.api("POST", "/targets/out/pause", "").await;
    assert_eq!(pause.status, 200);
    let mut ops = serving.logged_in(OPS).await;
    let page = ops.get("/outbox").await;
    has(&page, &["There are no pending deliveries."]);
    for number in 0..3 {
        serving.event(&format!("e{number}"), "any").await;
    }
    let waiting = serving.store.deliveries(DeliveryStatus::Pending, None, 10);
    let waiting = waiting.unwrap();
    let page = ops.get("/targets/out").await;
    let page = ops.get(&page.link("/outbox")).await;
    let texts = [
        "<h1>Pending deliveries</h1>",
        "<strong>3</strong> match the filter",
        "reflexarc outbox list --target out",
    ];
    has(&page, &texts);
    let position = |event: &str| page.body.find(&format!(">{event}</a>")).unwrap();
    assert!(position("e0") < position("e2"), "the soonest first");
    let id = waiting[0].delivery.id.to_string();
    let link = selection(&page, "cancel_selected", &[&id]);
    let page = confirm(&mut ops, &link, &[]).await;
    has(&page, &["Done: 1 waiting delivery cancelled"]);
    let all = page.link("operation=cancel_matching");
    let question = ops.get(&all).await;
    let text = "2 pending deliveries to out";
    has(&question, &[text]);
    // Withheld ones are a list of their own.
    let page = ops.get("/outbox?status=withheld").await;
    let texts = [
        "There are no withheld deliveries.",
        "reflexarc outbox list --withheld",
    ];
    has(&page, &texts);
    assert_eq!(ops.get("/outbox?status=dead").await.status, 400);
    serving.stop().await;
}

#[tokio::test]
async fn what_is_refused_says_why_and_is_recorded() {
    let serving = Serving::start().await;
    let mut ops = serving.logged_in(OPS).await;
    let missing = ops
        .get("/confirm?operation=resume_target&target=none")
        .await;
    assert_eq!(missing.status, 404);
    has(&missing, &["unknown target `none`"]);
    let invalid = ops
        .get("/confirm?operation=pause_target&target=out&tagret=x")
        .await;
    assert_eq!(invalid.status, 400);
    has(&invalid, &["unknown field `tagret`"]);
    // The target was removed between the question and the answer.
    let csrf = ops.csrf().await;
    let fields = [
        ("csrf", csrf.as_str()),
        ("operation", "pause_target"),
        ("target", "gone"),
    ];
    assert_eq!(ops.post("/perform", &fields).await.status, 404);
    // The files are wrong: with their diagnostics, and the button to try again.
    let rule = serving.folder.path().join("rules/broken.toml");
    std::fs::write(&rule, "when = 'name ='\nthen = ''\n").unwrap();
    let page = ops.get("/confirm?operation=reload").await;
    let reply = ops.submit("/perform", &page.form("/perform")).await;
    assert_eq!(reply.status, 422);
    assert!(reply.body.contains("broken.toml") && reply.body.contains("role=\"alert\""));
    std::fs::remove_file(&rule).unwrap();
    let reply = ops.submit("/perform", &reply.form("/perform")).await;
    assert_eq!(reply.status, 303);
    let entries = records(&serving);
    let outcomes: Vec<_> = entries
        .iter()
        .map(|entry| (entry.operation.as_str(), entry.outcome))
        .collect();
    assert_eq!(outcomes[0], ("reload", AuditOutcome::Done));
    assert_ne!(outcomes[1].1, AuditOutcome::Done);
    assert_eq!(outcomes[2], ("pause_target", AuditOutcome::Refused));
    serving.stop().await;
}
