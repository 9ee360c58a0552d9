//! The state of a program that evaluates events itself: what it commits is what it reads again,
//! beside a service that uses the same file in turn.

use proptest::prelude::*;
use reflexarc::{Evaluation, RuleSet};
use reflexarc_event::{Event, NativeEvent};
use reflexarc_reaction::{Entry, Json, MemoryState, State as _, StateChange};
use reflexarc_store::{
    Archived, DamagedEvent, EntryKind, Selection, Store as _, StoreCheck, StoreError,
};

use crate::samples::{at, evaluation, incoming, open};

const COUNTS: &str = r#"
when = 'content.result == "failed"'
then = '''
add(event.content.eniId, 1);
if event.content.eniId == "eni-0" { remove("eni-1"); }
set("last", event.content.eniId, "20s");
'''
"#;

const REPEATED: &str = r#"
when = 'content.result == "failed"'
by = "content.eniId"
count = { at_least = 3, within = "30s" }
then = 'notify("ops", "again")'
"#;

const STUCK: &str = r#"
when = 'content.result == "accepted"'
by = "content.eniId"
not_followed_by = { when = 'content.result == "failed"', within = "25s" }
then = 'notify("ops", "stuck")'
"#;

const RESULTS: [&str; 3] = ["failed", "accepted", "success"];

/// One thing that happens to a file that a program and a service use in turns.
#[derive(Debug, Clone)]
enum Step {
    /// An event of this result and interface, this many seconds after the one before.
    Event(usize, usize, i64),
    /// Time alone.
    Pass(i64),
    RemoveExpired,
    Reopen,
    /// The service stores an event.
    Serve,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..RESULTS.len(), 0..3_usize, 0..15_i64).prop_map(|(r, e, s)| Step::Event(r, e, s)),
        2 => (0..60_i64).prop_map(Step::Pass),
        1 => Just(Step::RemoveExpired),
        1 => Just(Step::Reopen),
        1 => Just(Step::Serve),
    ]
}

fn rules() -> RuleSet {
    let files = [("counts", COUNTS), ("repeated", REPEATED), ("stuck", STUCK)];
    RuleSet::compile(files).unwrap()
}

fn event(result: &str, eni: usize) -> NativeEvent {
    let text = format!(
        r#"{{"product":"ECS","name":"NetworkInterface:NetworkInterfaceOperateCompleted",
        "content":{{"eniId":"eni-{eni}","result":"{result}"}}}}"#
    );
    NativeEvent::new(Event::from_json(text).unwrap()).unwrap()
}

/// What a file cannot give back is the same: events whose positions a state in memory forgets are
/// equal in both, and so are entries, matches, deadlines and the clock.
fn assert_same(read: &MemoryState, expected: &MemoryState) {
    assert_eq!(read.to_json(), expected.to_json());
    let kept = |state: &MemoryState| -> Vec<_> {
        let events = state.kept_events();
        events
            .map(|kept| (kept.position, kept.event.bytes().to_vec()))
            .collect()
    };
    assert_eq!(kept(read), kept(expected));
    assert_eq!(read.next_due(), expected.next_due());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    /// However events, time, restarts and the service follow each other, the file has the state
    /// that a program without a file would have.
    #[test]
    fn what_was_committed_is_read_again(steps in prop::collection::vec(step(), 1..40)) {
        let folder = tempfile::tempdir().unwrap();
        let rules = rules();
        let mut store = open(folder.path());
        let mut state = store.memory_state().unwrap();
        let mut seconds = 0;
        let mut served = 0;
        for step in steps {
            let before = state.clone();
            match step {
                Step::Event(result, eni, later) => {
                    seconds += later;
                    let event = event(RESULTS[result], eni);
                    rules.evaluate_in_time(&event, &mut state, at(seconds), &mut |_| ());
                }
                Step::Pass(later) => {
                    seconds += later;
                    rules.fire_due(&mut state, at(seconds));
                }
                Step::RemoveExpired => state.remove_expired(at(seconds)),
                Step::Reopen => {
                    drop(store);
                    store = open(folder.path());
                    state = store.memory_state().unwrap();
                    assert_same(&state, &before);
                    continue;
                }
                Step::Serve => {
                    // In turns: a program has the file open, or a service has.
                    let id = format!("served-{served}");
                    store.accept(incoming(&id), Evaluation::default(), at(seconds)).unwrap();
                    served += 1;
                    state = store.memory_state().unwrap();
                    continue;
                }
            }
            store.commit_state(&before, &state, at(seconds)).wait().unwrap();
            assert_same(&store.memory_state().unwrap(), &state);
        }
        let mut check = StoreCheck::default();
        while !check.is_done {
            store.check(&mut check).unwrap();
        }
        prop_assert!(check.damage.is_empty(), "{:?}", check.damage);
        for id in 0..served {
            let found = store.find(&format!("served-{id}")).unwrap();
            prop_assert_eq!(found.len(), 1, "event {} of the service", id);
        }
    }
}

/// A program commits after each event; the file must not grow by an entry each.
#[test]
fn commits_leave_one_entry_in_the_archive() {
    let folder = tempfile::tempdir().unwrap();
    let (rules, store) = (rules(), open(folder.path()));
    let mut state = store.memory_state().unwrap();
    for second in 0..200 {
        let before = state.clone();
        let event = event("failed", 2);
        rules.evaluate_in_time(&event, &mut state, at(second), &mut |_| ());
        let committed = store.commit_state(&before, &state, at(second));
        committed.wait().unwrap();
    }
    let mut entries = Vec::new();
    let mut visit = |entry: Result<Archived, DamagedEvent>| {
        entries.push(entry.unwrap().entry);
        true
    };
    store.walk(&Selection::default(), &mut visit).unwrap();
    let markers = entries.iter().filter(|entry| **entry == EntryKind::State);
    assert_eq!(markers.count(), 1, "{entries:?}");
    // Besides, the events of the matches: two of `repeated` at most.
    assert!(entries.len() <= 4, "{entries:?}");
}

/// Otherwise matches would refer to the events of another history.
#[test]
fn a_state_of_another_file_is_refused_and_changes_nothing() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [own, other] = folders.each_ref().map(|folder| open(folder.path()));
    let rules = rules();
    let empty = own.memory_state().unwrap();
    let mut state = empty.clone();
    for eni in 0..3 {
        let opening = event("accepted", eni);
        rules.evaluate_in_time(&opening, &mut state, at(0), &mut |_| ());
    }
    own.commit_state(&empty, &state, at(0)).wait().unwrap();

    for id in ["served-0", "served-1", "served-2"] {
        let accepted = other.accept(incoming(id), Evaluation::default(), at(0));
        accepted.unwrap();
    }
    let before = other.memory_state().unwrap();
    let refused = other.commit_state(&empty, &state, at(0)).wait();
    let Err(StoreError::Failed(reason)) = refused else {
        panic!("{refused:?}");
    };
    assert!(
        reason.contains("the state does not come from this file"),
        "{reason}"
    );
    assert_same(&other.memory_state().unwrap(), &before);
}

/// Rules of the service go on with the entries that a program has written, and the other way.
#[test]
fn a_service_and_a_program_share_entries() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let before = store.memory_state().unwrap();
    let mut state = before.clone();
    let mut entry = Entry::new(Json::from(3));
    entry.expires = Some(at(100));
    state.insert("counts", "eni-1", entry);
    store.commit_state(&before, &state, at(0)).wait().unwrap();

    let read = store.state(at(1)).unwrap();
    assert_eq!(read, [("counts".into(), "eni-1".into(), "3".into())]);
    let change = StateChange::Set {
        key: "eni-1".into(),
        value: Json::from(4),
        expires: None,
    };
    let evaluated = evaluation("counts", Vec::new(), vec![change]);
    store.accept(incoming("a"), evaluated, at(2)).unwrap();
    let read = store.memory_state().unwrap();
    let entry = read.get("counts", "eni-1", at(200)).unwrap();
    assert_eq!(entry.value, Json::from(4));
}
