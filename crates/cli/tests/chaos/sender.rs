//! Senders of events, and the record of what was acknowledged.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::http::Client;
use crate::random::Random;
use crate::world::World;

/// Threads that send; each has keys of its own, so that the order of a key is that of its thread.
pub(crate) const SENDERS: usize = 4;
const KEYS: u64 = 4;
/// A request is repeated for as long; longer than any fault lasts.
const PATIENCE: Duration = Duration::from_secs(120);

/// What has a 2xx response.
#[derive(Default)]
pub(crate) struct Ledger {
    acknowledged: Mutex<BTreeMap<String, u64>>,
    poison: Mutex<BTreeSet<String>>,
}

impl Ledger {
    /// For each key, how many of its events are acknowledged: those from 0 on.
    pub(crate) fn acknowledged(&self) -> MutexGuard<'_, BTreeMap<String, u64>> {
        self.acknowledged.lock().unwrap()
    }

    /// Ids of acknowledged events whose reaction fails.
    pub(crate) fn poison(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.poison.lock().unwrap()
    }

    /// How many events are acknowledged.
    pub(crate) fn count(&self) -> u64 {
        self.acknowledged().values().sum::<u64>() + self.poison().len() as u64
    }
}

/// Sends events until the run ends, each until it has a 2xx response.
pub(crate) fn send(world: &World, sender: usize, mut random: Random) {
    let mut next: BTreeMap<String, u64> = BTreeMap::new();
    let client = world.sender();
    while !world.is_stopping() {
        let key = format!("eni-{sender}-{}", random.below(KEYS));
        let first = next.get(&key).copied().unwrap_or_default();
        let count = 1 + random.below(4);
        let events = (first..first + count).map(|number| event(&key, number, "failed"));
        let body: Vec<String> = events.collect();
        // As any sender does: the same bytes until there is a 2xx response.
        if post(world, &client, &body.join("\n")) {
            next.insert(key.clone(), first + count);
            world.ledger.acknowledged().insert(key, first + count);
        }
        std::thread::sleep(random.between(Duration::ZERO, Duration::from_millis(300)));
    }
}

/// Sends one event whose reaction fails, once. Whether it was accepted.
pub(crate) fn send_poison(world: &World, number: u64) -> bool {
    let key = format!("poison-{number}");
    let body = event(&key, 0, "poison");
    let limit = Duration::from_secs(5);
    let response = world.sender().call("POST", "/events", &body, limit);
    let is_accepted = response.is_some_and(|response| response.status == 200);
    if is_accepted {
        world.ledger.poison().insert(format!("{key}/0"));
    }
    is_accepted
}

/// Whether it was accepted in the end.
fn post(world: &World, client: &Client, body: &str) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < PATIENCE {
        let response = client.call("POST", "/events", body, Duration::from_secs(10));
        match response.as_ref().map(|response| response.status) {
            Some(200) => return true,
            // Later: the connection broke off, the queue is full, the store cannot be written.
            None | Some(408 | 429 | 503) => {}
            Some(status) => {
                let answer = response.map(|response| response.body).unwrap_or_default();
                world.fail(format!("an event was refused with {status}: {answer}"));
                return false;
            }
        }
        if !world.failures().is_empty() {
            return false;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    world.fail(format!("an event was not accepted within {PATIENCE:?}"));
    false
}

/// A failed attach of the interface `key`, or another result.
pub(crate) fn event(key: &str, number: u64, result: &str) -> String {
    format!(
        concat!(
            r#"{{"id":"{key}/{number}","product":"ECS","#,
            r#""resourceId":"acs:ecs:cn-hangzhou:1:eni/{key}","level":"WARN","#,
            r#""name":"NetworkInterface:NetworkInterfaceOperateCompleted","userId":"1","#,
            r#""eventTime":"20190409T121826.922+0800","regionId":"cn-hangzhou","#,
            r#""content":{{"eniId":"{key}","operation":"AttachNetworkInterface","#,
            r#""eniStatus":"Available","result":"{result}","requestId":"{number}"}}}}"#
        ),
        key = key,
        number = number,
        result = result
    )
}
