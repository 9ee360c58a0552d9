//! Replay equality: what a store and a timeline have done, the archive alone leads to again.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use arc_swap::ArcSwap;
use jiff::{SignedDuration, Timestamp};
use reflexarc::RuleSet;
use reflexarc_event::{Event, Json};
use reflexarc_reaction::{CallAnswer, OwnCode};

use super::{EndedCall, ServiceTimeline, TimelineParts};
use crate::clock::ServiceClock;
use crate::deadlines::Deadlines;
use crate::dispatch::Wake;
use crate::intake::FailureTracker;
use crate::live::LiveBroadcast;
use crate::nodes::Nodes;
use crate::operate::verify_archive;
use crate::store::{
    Accepted, ClosedBy, DeliveryStatus, EntryKind, EvaluateInTransaction, Incoming, Reply,
    Selection, SqliteStore, StateReader, Store, StoreOptions, StoredState,
};
use crate::telemetry::Metrics;

/// SHA-256 over all evaluations of the workload, the same on every machine. It changes with what
/// evaluations are: then print it, and see why in the differences of the snapshots of rules.
const CHECKSUM: &str = "b8621a29265a924acd550dbca028e21eab69f96f178a7963545ef4217e90fc13";

const RULES: [(&str, &str); 13] = [
    (
        "count",
        "count = { at_least = 3, within = '60s' }\nthen = 'send(\"out\", #{ key: key, count: count, late: late });'",
    ),
    (
        "every",
        "count = { at_least = 4, every = '5m' }\nthen = 'add(\"windows\", 1); log(get(\"windows\"));'",
    ),
    (
        "distinct",
        "count = { at_least = 3, within = '2m', distinct = 'value', quiet = '1m' }\n\
         then = 'send(\"out\", events.len());'\nresolved = 'log(\"over\");'",
    ),
    (
        "sequence",
        "until = 'op == \"U\"'\nthen = 'notify(\"team\", key + \" \" + opened);'\n\
         [[followed_by]]\nwhen = 'op == \"B\"'\nwithin = '40s'\n\
         [[followed_by]]\nwhen = 'op == \"C\"'\nwithin = '1m'",
    ),
    (
        "absence",
        "not_followed_by = { when = 'op == \"B\"', within = '30s' }\nonce = { within = '5m' }\n\
         then = '''if count > 2 { throw \"many\" }\n\
         notify(\"team\", #{ title: `${key}`, after: \"1m\", key: \"late\" }); emit(#{ op: \"E\", key: key });'''\n\
         resolved = 'cancel(\"late\"); send(\"out\", closing.id);'",
    ),
    (
        "restarted",
        "not_followed_by = { when = 'op == \"C\"', within = '45s', restart = true }\n\
         then = 'send(\"out\", deadline);'\nsettle = '20s'",
    ),
    (
        "silence",
        "absent_for = '3m'\nexpect = [0, 1, 9]\nthen = 'send(\"out\", #{ silent: key });'\n\
         resolved = 'log(event.id);'",
    ),
    (
        "batch",
        "batch = { within = '2m', idle = '25s', max = 6 }\nthen = 'send(\"out\", count);'",
    ),
    (
        "small",
        "count = { at_least = 5, within = '10m' }\nmax_pending = 2\nthen = 'log(count);'",
    ),
    (
        "pace",
        "throttle = { every = '90s' }\nthen = 'send(\"out\", event.id);'",
    ),
    (
        "state",
        "then = '''let n = get(\"n\") ?? 0; set(\"n\", n + 1, \"10m\");\n\
         if n % 7 == 0 { emit(#{ op: \"A\", key: event.key, by: \"state\" }); }'''",
    ),
    (
        "calls",
        "then = 'call(\"api\", \"Look\", #{ key: event.key })'\n\
         answered = '''add(\"answers\", 1);\n\
         if !answer.ok { throw answer.code }\n\
         if call.operation == \"Look\" {\n\
         call(\"api\", \"Act\", #{ n: get(\"answers\") });\n\
         emit(#{ op: \"A\", key: event.key });\n\
         } else { send(\"out\", call.parameters.n); }'''",
    ),
    (
        "chain",
        "count = { at_least = 2, within = '10m' }\nthen = 'send(\"out\", events[0].op);'",
    ),
];

/// A store with a timeline, at a time that the test sets.
struct World {
    folder: tempfile::TempDir,
    rules: RuleSet,
    /// The wall clock, and the time since the boot.
    time: Arc<Mutex<(Timestamp, Duration)>>,
    running: Option<Running>,
}

/// What a restart begins anew.
struct Running {
    store: Arc<dyn Store>,
    clock: ServiceClock,
    timeline: ServiceTimeline,
}

impl World {
    fn new() -> Self {
        let files = RULES.map(|(name, text)| {
            let when = match name {
                "chain" => "op in [\"A\", \"E\"] and by exists or op == \"E\"",
                "state" | "pace" => "op in [\"B\", \"C\"]",
                "calls" => "op == \"C\"",
                _ => "op == \"A\"",
            };
            let text = format!("when = '{when}'\nby = 'key'\n{text}\n");
            (format!("{name}.toml"), text)
        });
        let begin: Timestamp = "2026-11-26T08:00:00Z".parse().unwrap();
        let mut world = Self {
            folder: tempfile::tempdir().unwrap(),
            rules: RuleSet::compile(files).unwrap(),
            time: Arc::new(Mutex::new((begin, Duration::from_secs(1_000)))),
            running: None,
        };
        world.start(None);
        world
    }

    fn start(&mut self, looked: Option<Timestamp>) {
        let path = self.folder.path().join("reflexarc.db");
        let store = SqliteStore::open(&path, &StoreOptions::default()).unwrap();
        let store: Arc<dyn Store> = Arc::new(store);
        let time = self.time.clone();
        let clock = ServiceClock::controlled(move || *time.lock().unwrap());
        let metrics = Arc::new(Metrics::new());
        let parts = TimelineParts {
            rules: Arc::new(ArcSwap::from_pointee(self.rules.clone())),
            failures: Arc::new(FailureTracker::new(metrics.problems.clone())),
            metrics,
            clock: clock.clone(),
            wake: Wake::default(),
            store: Arc::downgrade(&store),
            broadcast: LiveBroadcast::default(),
            nodes: Nodes::default(),
        };
        let timeline = ServiceTimeline::new(parts, Arc::new(Deadlines::default()), looked);
        store.set_timeline(Arc::new(timeline.clone()));
        timeline.begin().unwrap();
        self.running = Some(Running {
            store,
            clock,
            timeline,
        });
    }

    fn running(&self) -> &Running {
        self.running.as_ref().unwrap()
    }

    /// Ends the process, and begins another one so much later.
    fn restart(&mut self, seconds: u64) {
        let looked = self.running().clock.now();
        self.running = None;
        self.pass(seconds);
        self.start(Some(looked));
    }

    /// Lets time pass without anything running.
    fn pass(&self, seconds: u64) {
        let mut time = self.time.lock().unwrap();
        let passed = Duration::from_secs(seconds);
        *time = (time.0 + passed, time.1 + passed);
    }

    /// Lets time pass as the scheduler does: deadlines are looked at at least every five seconds.
    fn wait(&self, seconds: u64) {
        for second in 0..seconds {
            self.pass(1);
            let running = self.running();
            if second % 5 == 4
                && let Some(adopted) = running.timeline.submit_adoption()
            {
                adopted.wait().unwrap();
            }
            if second % 5 == 4 && running.timeline.is_due() {
                running.timeline.submit_step(128).unwrap().wait().unwrap();
            }
        }
    }

    /// The wall clock is set, and that is accepted ten minutes later.
    fn set_clock(&self, offset: SignedDuration) {
        self.time.lock().unwrap().0 += offset;
        for _ in 0..62 {
            self.wait(10);
        }
    }

    /// Answers some of the calls that wait.
    fn answer(&self, numbers: &mut Numbers) {
        let Running {
            store, timeline, ..
        } = self.running();
        let most = usize::try_from(numbers.below(4)).unwrap();
        let waiting = store.deliveries(DeliveryStatus::Pending, Some("api"), most);
        for waiting in waiting.unwrap() {
            let answer = match numbers.below(5) {
                0 => CallAnswer::own(OwnCode::OutcomeUnknown, "no response"),
                _ => CallAnswer::ok(200, Json::object([("Found", true.into())])),
            };
            let ended = EndedCall {
                id: waiting.delivery.id,
                attempt: None,
                answer,
            };
            timeline.submit_answer(ended).wait().unwrap();
        }
    }

    fn accept(&self, events: Vec<String>) -> Vec<Accepted> {
        let running = self.running();
        let events = events.into_iter().map(|event| {
            let rules = self.rules.clone();
            let evaluate: EvaluateInTransaction =
                Box::new(move |state: &dyn StateReader, incoming: &Incoming, now| {
                    let stored = StoredState::new(state);
                    let evaluation = rules.evaluate_overdue(&incoming.native, &stored, now);
                    stored.into_reads()?;
                    Ok(evaluation)
                });
            let event = Event::from_json(event).unwrap();
            (Incoming::new(event).unwrap(), evaluate)
        });
        let now = running.clock.now();
        let (reply, done) = Reply::channel();
        let permit = Box::new(());
        let store = &running.store;
        store.accept_together(events.collect(), now, permit, reply);
        // As the intake does: what an event has set may be earlier than what is known.
        let accepted = done.wait().unwrap();
        running.timeline.forget_deadlines();
        accepted
    }
}

/// Numbers that are the same everywhere.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

fn event(id: usize, now: Timestamp, numbers: &mut Numbers) -> String {
    let op = ["A", "A", "A", "B", "C", "U"][usize::try_from(numbers.below(6)).unwrap()];
    let late = match numbers.below(5) {
        0 => numbers.below(90),
        _ => 0,
    };
    let time = now - Duration::from_secs(late);
    let (key, value) = (numbers.below(4), numbers.below(5));
    format!(
        r#"{{"id": "{id}", "op": "{op}", "key": {key}, "value": {value}, "eventTime": "{time}"}}"#
    )
}

#[test]
fn the_archive_leads_to_the_same_evaluations() {
    let (mut world, mut numbers) = (World::new(), Numbers(18));
    let mut id = 0;
    while id < 3_000 {
        let now = world.running().clock.now();
        let count = if numbers.below(4) == 0 { 8 } else { 1 };
        let events = (0..count).map(|n| event(id + n, now, &mut numbers));
        world.accept(events.collect());
        id += count;
        world.answer(&mut numbers);
        match numbers.below(100) {
            0 => world.restart(numbers.below(10)),
            1 => world.restart(20 + numbers.below(200)),
            // The whole machine is suspended.
            2 => world.pass(16 + numbers.below(100)),
            3 => {
                world
                    .running()
                    .timeline
                    .replace_rules(world.rules.clone())
                    .unwrap();
            }
            4 => {
                let closed = ClosedBy {
                    by: "me".to_owned(),
                    reason: None,
                };
                let store = &world.running().store;
                let now = world.running().clock.now();
                store.close_match("absence", "1", &closed, now).unwrap();
            }
            5 if id > 1_000 => {
                let hours = SignedDuration::from_hours(2);
                let is_back = numbers.below(2) == 0;
                world.set_clock(if is_back { -hours } else { hours });
            }
            _ => world.wait(numbers.below(12)),
        }
    }
    let store = &world.running().store;
    let mut kinds = std::collections::BTreeMap::new();
    let mut visit = |archived: Result<crate::store::Archived, _>| {
        let entry = archived.unwrap().entry;
        *kinds.entry(entry).or_insert(0) += 1;
        true
    };
    store.walk(&Selection::default(), &mut visit).unwrap();
    // A program writes the state only while no service runs.
    let of_service = EntryKind::ALL.into_iter();
    for kind in of_service.filter(|kind| *kind != EntryKind::State) {
        assert!(kinds.contains_key(&kind), "no {kind:?} in {kinds:?}");
    }
    assert!(kinds[&EntryKind::Firing] > 500, "{kinds:?}");

    let verified = verify_archive(&**store, &world.rules).unwrap();
    let first = verified.to_json();
    assert_eq!(verified.different, 0, "{first}");
    assert_eq!(verified.other_rules, None);
    assert!(verified.damaged.is_empty());
    assert_eq!(verified.checksum, CHECKSUM);
}
