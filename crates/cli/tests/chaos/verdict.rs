//! The end of a run: every acknowledged event is counted, one by one.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use reflexarc_event::Json;

use crate::world::{TARGETS, World};

/// Longest time until everything that waits is delivered when all faults are over.
const DRAIN: Duration = Duration::from_secs(60);

/// Waits until nothing is pending.
pub(crate) fn drain(world: &World) {
    for target in TARGETS {
        // An operator's command may have met a service that was frozen.
        let path = format!("/targets/{target}/resume");
        let limit = Duration::from_secs(20);
        let response = world.operator().call("POST", &path, "", limit);
        if response.is_none_or(|response| response.status != 200) {
            world.fail(format!("{target} cannot be resumed"));
        }
    }
    let begun = Instant::now();
    let mut waiting = String::new();
    while begun.elapsed() < DRAIN {
        let limit = Duration::from_secs(10);
        let outbox = world.operator().call("GET", "/outbox?limit=5", "", limit);
        if let Some(outbox) = outbox.filter(|outbox| outbox.status == 200) {
            if outbox.body.trim() == "[]" {
                return;
            }
            waiting = outbox.body;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    world.fail(format!("these still wait after {DRAIN:?}: {waiting}"));
}

/// The dead letters, as target and event, from all pages.
pub(crate) fn dead_letters(world: &World) -> BTreeMap<(String, String), u64> {
    let mut found = BTreeMap::new();
    let mut next = Some("/dlq?limit=200".to_owned());
    while let Some(path) = next.take() {
        let limit = Duration::from_secs(20);
        let response = world.operator().call("GET", &path, "", limit).unwrap();
        assert_eq!(response.status, 200, "{}", response.body);
        for letter in Json::parse(&response.body).unwrap().elements() {
            let text = |key: &str| letter.get(key).unwrap().as_str().unwrap().to_owned();
            let event = letter.get("event").unwrap();
            let event = event.as_str().or_else(|| event.get("id")?.as_str());
            let name = (text("target"), event.unwrap().to_owned());
            *found.entry(name).or_default() += 1;
        }
        let link = response.head.lines().find(|line| {
            let line = line.to_ascii_lowercase();
            line.starts_with("link:") && line.contains("rel=\"next\"")
        });
        next = link.and_then(|line| Some(line.split_once('<')?.1.split_once('>')?.0.to_owned()));
    }
    found
}

/// Every acknowledged event is archived once.
pub(crate) fn check_archive(world: &World) {
    let export = world.service.run(&["archive", "export"]);
    if export.status.code() != Some(0) {
        let errors = String::from_utf8_lossy(&export.stderr).into_owned();
        world.fail(format!("the archive cannot be exported: {errors}"));
        return;
    }
    let mut archived: BTreeMap<String, u64> = BTreeMap::new();
    for line in String::from_utf8(export.stdout).unwrap().lines() {
        let event = Json::parse(line).unwrap();
        let id = event.get("id").unwrap().as_str().unwrap().to_owned();
        *archived.entry(id).or_default() += 1;
    }
    for (id, count) in &archived {
        if *count > 1 {
            world.fail(format!("event {id} is archived {count} times"));
        }
    }
    for (key, count) in world.ledger.acknowledged().iter() {
        for number in 0..*count {
            if !archived.contains_key(&format!("{key}/{number}")) {
                world.fail(format!("lost: event {key}/{number} is not archived"));
            }
        }
    }
    for id in world.ledger.poison().iter() {
        if !archived.contains_key(id) {
            world.fail(format!("lost: event {id} is not archived"));
        }
    }
}

/// Each action of every acknowledged event was received or is a dead letter; all copies of a
/// delivery are equal, and the state that the rule kept is that of a run without faults.
pub(crate) fn check_deliveries(world: &World, letters: &BTreeMap<(String, String), u64>) {
    let acknowledged = world.ledger.acknowledged().clone();
    for (target, receiver) in &world.receivers {
        let received = receiver.received();
        for fault in received.faults.iter().take(5) {
            world.fail(format!("{target}: {fault}"));
        }
        for (key, count) in &acknowledged {
            for number in 0..*count {
                let letter = ((*target).to_owned(), format!("{key}/{number}"));
                let is_received = received.by_event.contains_key(&(key.clone(), number));
                if !is_received && !letters.contains_key(&letter) {
                    world.fail(format!("lost: {key}/{number} for {target}"));
                }
            }
        }
        for ((key, number), (_, payload)) in &received.by_event {
            let payload = Json::parse(payload).unwrap();
            let [n, before] = ["n", "before"].map(|key| payload.get(key).and_then(Json::as_i64));
            if before.unwrap_or_default() != i64::try_from(*number).unwrap() {
                world.fail(format!("{key}/{number}: the entry before was {before:?}"));
            }
            if n != i64::try_from(number + 1).ok() {
                world.fail(format!("{key}/{number}: the rule counted {n:?}"));
            }
        }
    }
}

/// The first copies of each key came in order.
pub(crate) fn check_order(world: &World) {
    for (target, receiver) in &world.receivers {
        for (key, numbers) in &receiver.received().first_copies {
            if let Some(pair) = numbers.windows(2).find(|pair| pair[0] > pair[1]) {
                let [first, second] = [pair[0], pair[1]];
                world.fail(format!(
                    "{target}: {key}/{first} came before {key}/{second}"
                ));
            }
        }
    }
}
