//! Promises about the matches of time windows: a store keeps them as a state in memory does.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use reflexarc::Evaluation;
use reflexarc_reaction::{KeptEvent, KeptMatch, MemoryState, NoState, State as _, StateChange};
use reflexarc_store::{
    ClosedBy, DueCursor, EntryKind, MatchFilter, PageLimits, Retention, Selection, Store,
    StoreError, StoredState,
};

use super::Backend;
use super::timeline::{in_time, set_match, waiting};
use crate::samples::{at, evaluation, incoming};

const RULES: [&str; 2] = ["a", "b"];
const KEYS: usize = 5;

#[derive(Debug, Clone)]
enum Step {
    Set(Change),
    Remove(usize, usize),
    Postpone(i64, [Option<i64>; 2]),
    Shift(i64),
    KeepWindow(u64),
    CloseRule(usize),
    Close(usize, usize),
    Prune(i64),
    Reopen,
}

#[derive(Debug, Clone)]
struct Change {
    rule: usize,
    key: usize,
    window: u64,
    due: Option<i64>,
    expires: Option<i64>,
    is_pending: bool,
    /// Which of the positions that are referred to.
    positions: Vec<usize>,
    /// Whether it refers to its own event.
    keeps_own: bool,
}

fn change() -> impl Strategy<Value = Change> {
    let time = || prop::option::of(1..20_i64);
    let place = (0..2_usize, 0..KEYS, 1..3_u64);
    let events = (prop::collection::vec(0..8_usize, 0..3), any::<bool>());
    (place, time(), time(), any::<bool>(), events).prop_map(
        |((rule, key, window), due, expires, is_pending, (positions, keeps_own))| Change {
            rule,
            key,
            window,
            due,
            expires,
            is_pending,
            positions,
            keeps_own,
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let place = || (0..2_usize, 0..KEYS);
    let settled = || prop::option::of(5..25_i64);
    prop_oneof![
        12 => change().prop_map(Step::Set),
        2 => place().prop_map(|(rule, key)| Step::Remove(rule, key)),
        2 => (0..20_i64, settled(), settled())
            .prop_map(|(to, a, b)| Step::Postpone(to, [a, b])),
        2 => (-6..7_i64).prop_map(Step::Shift),
        1 => (1..4_u64).prop_map(Step::KeepWindow),
        1 => (0..2_usize).prop_map(Step::CloseRule),
        1 => place().prop_map(|(rule, key)| Step::Close(rule, key)),
        2 => (1..20_i64).prop_map(Step::Prune),
        1 => Just(Step::Reopen),
    ]
}

/// The matches of a store as a state in memory has them.
#[derive(Default)]
struct Twin {
    state: MemoryState,
    /// The number of events that were accepted.
    accepted: usize,
}

impl Twin {
    /// All matches, those included that have expired.
    fn matches(&self) -> Vec<(String, String, KeptMatch)> {
        let rules = self.state.rules_with_matches();
        let of_rule = |rule: &str| {
            let matches = self.state.matches_of(rule, Timestamp::MIN);
            let owned = matches.map(|(key, kept)| (rule.to_owned(), key.to_owned(), kept.clone()));
            owned.collect::<Vec<_>>()
        };
        rules.flat_map(of_rule).collect()
    }

    fn positions(&self) -> BTreeSet<u64> {
        let matches = self.matches().into_iter();
        matches.flat_map(|(.., kept)| kept.positions).collect()
    }

    /// Changes the matches one by one.
    fn change(&mut self, change: impl Fn(&str, &str, KeptMatch) -> Option<KeptMatch>) {
        for (rule, key, kept) in self.matches() {
            match change(&rule, &key, kept) {
                Some(kept) => self.state.insert_match(&rule, &key, kept, &[]),
                None => self.state.apply(&rule, &[StateChange::RemoveMatch { key }]),
            }
        }
    }

    fn set(&mut self, store: &dyn Store, change: &Change) {
        let own = store.state_reader().unwrap().next_position().unwrap();
        let referred: Vec<u64> = self.positions().into_iter().collect();
        let chosen = change.positions.iter();
        let mut positions: BTreeSet<u64> = chosen
            .filter_map(|number| referred.get(*number).copied())
            .collect();
        if change.keeps_own {
            positions.insert(own);
        }
        let mut kept = KeptMatch::new(format!("{{\"n\":{}}}", self.accepted));
        kept.window = change.window;
        kept.due = change.due.map(at);
        kept.expires = change.expires.map(at);
        kept.is_pending = change.is_pending;
        kept.positions = positions.into_iter().collect();
        self.accepted += 1;
        let event = incoming(&self.accepted.to_string());
        let kept_event = Some(KeptEvent::new(own, event.native.clone()));
        let rule = RULES[change.rule];
        let changes = [StateChange::SetMatch {
            key: change.key.to_string(),
            kept,
            event: kept_event.filter(|_| change.keeps_own),
        }];
        self.state.apply(rule, &changes);
        let evaluation = evaluation(rule, vec![], changes.into());
        let accepted = store.accept(event, evaluation, at(0)).unwrap();
        assert_eq!(accepted.seq.unsigned_abs(), own);
    }

    fn remove(&mut self, store: &dyn Store, rule: &str, key: usize) {
        let changes = [StateChange::RemoveMatch {
            key: key.to_string(),
        }];
        self.state.apply(rule, &changes);
        self.accepted += 1;
        let evaluation = evaluation(rule, vec![], changes.into());
        let event = incoming(&self.accepted.to_string());
        store.accept(event, evaluation, at(0)).unwrap();
    }

    fn postpone(&mut self, store: &dyn Store, to: i64, settled: [Option<i64>; 2]) {
        let settled = move |rule: &str| settled[usize::from(rule == "b")].map(at);
        let postponed = in_time(store, move |transaction| {
            transaction.postpone_due(at(to), &settled)
        });
        let mut count = 0;
        for (rule, key, mut kept) in self.matches() {
            let is_due = kept.due.is_some_and(|due| due <= at(to)) && kept.is_live(at(to));
            if let Some(settled) = settled(&rule).filter(|_| is_due) {
                kept.not_before = kept.not_before.max(Some(settled));
                kept.due = kept.due.max(Some(settled));
                self.state.insert_match(&rule, &key, kept, &[]);
                count += 1;
            }
        }
        assert_eq!(postponed.unwrap(), count);
    }

    fn shift(&mut self, store: &dyn Store, seconds: i64) {
        let offset = SignedDuration::from_secs(seconds);
        let shifted = in_time(store, move |transaction| transaction.shift_times(offset));
        let with_deadline = self
            .matches()
            .into_iter()
            .filter(|(.., kept)| kept.due.is_some());
        assert_eq!(shifted.unwrap().0, with_deadline.count() as u64);
        self.change(|_, _, kept| Some(kept.shifted(offset)));
    }

    fn keep_window(&mut self, store: &dyn Store, window: u64) {
        let closed = in_time(store, move |transaction| {
            transaction.close_matches(&|_, of| of == window, at(0))
        });
        let mut expected = BTreeMap::new();
        for (rule, _, kept) in self.matches() {
            if kept.window != window && kept.is_pending {
                *expected.entry(rule).or_insert(0) += 1;
            }
        }
        assert_eq!(closed.unwrap(), expected.into_iter().collect::<Vec<_>>());
        self.change(|_, _, kept| (kept.window == window).then_some(kept));
    }

    fn prune(&mut self, store: &dyn Store, second: i64) {
        let retention = Retention {
            age: SignedDuration::ZERO,
            ..Retention::default()
        };
        store.prune(&retention, at(second)).unwrap();
        self.state.remove_expired_matches(at(second));
        let mut kept = BTreeSet::new();
        let mut visit = |entry: Result<reflexarc_store::Archived, _>| {
            let entry = entry.unwrap();
            if entry.entry == EntryKind::Event {
                kept.insert(entry.seq.unsigned_abs());
            }
            true
        };
        store.walk(&Selection::default(), &mut visit).unwrap();
        assert_eq!(
            kept,
            self.positions(),
            "what a match refers to, and nothing else"
        );
    }

    /// Compares all that can be read.
    fn check(&self, store: &dyn Store) {
        let reader = store.state_reader().unwrap();
        let state = StoredState::new(&*reader);
        for now in [0, 7, 19].map(at) {
            for rule in RULES {
                for key in (0..KEYS).map(|key| key.to_string()) {
                    let expected = self.state.matches().get(rule, &key, now);
                    assert_eq!(
                        state.matches().get(rule, &key, now),
                        expected,
                        "{rule} {key}"
                    );
                }
                for (pending, max) in [true, false].into_iter().flat_map(|p| [(p, 1), (p, 3)]) {
                    let has_room = state.matches().has_room(rule, pending, max, now);
                    let expected = self.state.matches().has_room(rule, pending, max, now);
                    assert_eq!(has_room, expected, "{rule} {pending} {max}");
                }
            }
            self.check_lists(store, now);
        }
        let mut counts = BTreeMap::new();
        for (rule, _, kept) in self.matches() {
            let count: &mut (u64, u64) = counts.entry(rule).or_default();
            *(if kept.is_pending {
                &mut count.0
            } else {
                &mut count.1
            }) += 1;
        }
        let found = store.match_counts().unwrap().into_iter();
        let found: BTreeMap<_, _> = found
            .map(|count| (count.rule, (count.pending, count.kept)))
            .collect();
        assert_eq!(found, counts);
        if let Some(due) = self.state.next_due() {
            assert!(
                store
                    .next_deadline()
                    .unwrap()
                    .is_some_and(|next| next <= due)
            );
        }
    }

    /// The list by deadline has the same, the soonest first.
    fn check_soonest(
        store: &dyn Store,
        filter: &MatchFilter,
        mut expected: Vec<(String, String, KeptMatch)>,
        now: Timestamp,
    ) {
        let mut found = soonest_pages(store, filter, now);
        let due = |(.., kept): &(String, String, KeptMatch)| (kept.due.is_none(), kept.due);
        assert!(found.is_sorted_by_key(due), "{found:?}");
        // Those with one deadline are in the order of their windows.
        for list in [&mut found, &mut expected] {
            list.sort_by(|left, right| {
                (due(left), &left.0, &left.1).cmp(&(due(right), &right.0, &right.1))
            });
        }
        assert_eq!(found, expected);
    }

    fn check_lists(&self, store: &dyn Store, now: Timestamp) {
        let mut live = self.state.clone();
        live.remove_expired_matches(now);
        let expected: Vec<_> = live
            .due(now)
            .map(|(at, rule, key)| (at, rule.to_owned(), key.to_owned()))
            .collect();
        for limit in [1, 3, 100] {
            let expected: Vec<_> = expected.iter().take(limit).cloned().collect();
            let undone = in_time(store, move |transaction| {
                let due = transaction.due(now, limit, &|_, _| true)?.into_iter();
                let due: Vec<_> = due.map(|due| (due.at, due.rule, due.key)).collect();
                assert_eq!(due, expected);
                // What was met and never fires is not removed then: this looks into the future.
                Err::<(), _>(StoreError::Failed("undo".into()))
            });
            assert!(undone.is_err());
        }
        let keys = || vec!["1".to_owned(), "3".to_owned()];
        let filters = [
            (None, vec![], false),
            (None, vec![], true),
            (Some("a"), keys(), false),
            (None, keys(), true),
        ];
        for (rule, keys, kept) in filters {
            let filter = MatchFilter {
                rule: rule.map(str::to_owned),
                keys,
                kept,
            };
            let matches = self.matches().into_iter();
            let expected: Vec<_> = matches
                .filter(|(of, key, found)| {
                    rule.is_none_or(|rule| rule == of)
                        && (filter.keys.is_empty() || filter.keys.contains(key))
                        && (found.is_pending || kept)
                        && found.is_live(now)
                })
                .collect();
            assert_eq!(all_pages(store, &filter, now), expected);
            Self::check_soonest(store, &filter, expected, now);
        }
    }
}

/// All matches that a filter selects by their deadlines, read in pages of two.
fn soonest_pages(
    store: &dyn Store,
    filter: &MatchFilter,
    now: Timestamp,
) -> Vec<(String, String, KeptMatch)> {
    let (mut found, mut after): (Vec<_>, Option<DueCursor>) = (Vec::new(), None);
    loop {
        let limits = PageLimits {
            rows: 2,
            bytes: usize::MAX,
        };
        let page = store.pending_by_deadline(filter, after.as_ref(), limits, now);
        let page = page.unwrap();
        assert!(page.damaged.is_empty());
        let matches = page.matches.into_iter();
        found.extend(matches.map(|listed| (listed.rule, listed.key, listed.kept)));
        let Some(next) = page.next else { return found };
        // As it is in an address.
        after = Some(next.to_string().parse().unwrap());
    }
}

/// All matches that a filter selects, read in small pages.
fn all_pages(
    store: &dyn Store,
    filter: &MatchFilter,
    now: Timestamp,
) -> Vec<(String, String, KeptMatch)> {
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let limits = PageLimits { rows: 2, bytes: 60 };
        let page = store.pending_page(filter, after.as_ref(), limits, now);
        let page = page.unwrap();
        assert!(page.damaged.is_empty());
        let matches = page.matches.into_iter();
        found.extend(matches.map(|listed| (listed.rule, listed.key, listed.kept)));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    // A rule may have several windows, which are parts of the list.
    found.sort_by(|left, right| (&left.0, &left.1).cmp(&(&right.0, &right.1)));
    found
}

/// Whatever changes them: what is kept of matches, their order, and which events are kept.
pub(super) fn matches_equal_those_in_memory(backend: &dyn Backend) {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut store = backend.open();
    let mut twin = Twin::default();
    for _ in 0..backend.cases(400) {
        let step = step().new_tree(&mut runner).unwrap().current();
        match &step {
            Step::Set(change) => twin.set(&*store, change),
            Step::Remove(rule, key) => twin.remove(&*store, RULES[*rule], *key),
            Step::Postpone(to, settled) => twin.postpone(&*store, *to, *settled),
            Step::Shift(seconds) => twin.shift(&*store, *seconds),
            Step::KeepWindow(window) => twin.keep_window(&*store, *window),
            Step::CloseRule(rule) => {
                let rule = RULES[*rule];
                let count = twin.state.matches_of(rule, Timestamp::MIN).count();
                assert_eq!(store.forget_rule(rule).unwrap(), count as u64);
                twin.change(|of, _, kept| (of != rule).then_some(kept));
            }
            Step::Close(rule, key) => {
                let (rule, key) = (RULES[*rule], key.to_string());
                let closed = ClosedBy {
                    by: "me".into(),
                    reason: None,
                };
                let was_there = twin.state.matches().get(rule, &key, at(5)).is_some();
                let is_closed = store.close_match(rule, &key, &closed, at(5)).unwrap();
                assert_eq!(is_closed, was_there);
                if is_closed {
                    twin.state.apply(rule, &[StateChange::RemoveMatch { key }]);
                }
            }
            Step::Prune(second) => twin.prune(&*store, *second),
            Step::Reopen => {
                drop(store);
                store = backend.open();
            }
        }
        twin.check(&*store);
    }
}

/// What reads matches depends on the position of its event, and is evaluated in its turn.
pub(super) fn reads_of_matches_are_never_current(backend: &dyn Backend) {
    let store = backend.open();
    let reader = store.state_reader().unwrap();
    let state = StoredState::new(&*reader);
    assert_eq!(state.matches().event_bytes(), 0);
    assert!(state.get("a", "x", at(0)).is_none());
    let reads = state.into_reads().unwrap();
    assert!(reads.is_current(&*reader, at(0)).unwrap());
    let reads: [&dyn Fn(&StoredState<'_>); 5] = [
        &|state| drop(state.matches().get("a", "x", at(0))),
        &|state| assert!(state.matches().has_room("a", true, 1, at(0))),
        &|state| assert!(state.matches().event(1).is_none()),
        &|state| assert_eq!(state.matches().next_position(), 1),
        &|state| assert_eq!(state.matches().clock(), NoState.matches().clock()),
    ];
    for read in reads {
        let state = StoredState::new(&*reader);
        read(&state);
        let reads = state.into_reads().unwrap();
        assert!(!reads.is_current(&*reader, at(0)).unwrap());
    }
}

/// An operator's closing is an entry about the event that opened the match.
pub(super) fn closing_a_match_is_recorded(backend: &dyn Backend) {
    let store = backend.open();
    let evaluated = evaluation("r", vec![], vec![set_match("\"eni-1\"", waiting(10, &[1]))]);
    store.accept(incoming("1"), evaluated, at(0)).unwrap();
    let used = store.rules_in_use().unwrap();
    assert_eq!((used[0].rule.as_str(), used[0].matches), ("r", 1));
    let closed = ClosedBy {
        by: "me".into(),
        reason: Some("known".into()),
    };
    let close = |key: &str| store.close_match("r", key, &closed, at(5)).unwrap();
    assert!(!close("\"eni-2\""));
    assert_eq!(store.event_name(1).unwrap().unwrap().id, "1");
    assert_eq!(store.event_name(2).unwrap(), None);
    assert!(close("\"eni-1\""));
    assert!(!close("\"eni-1\""));
    let about = store.find("1").unwrap();
    assert_eq!(about[1].entry, EntryKind::Closed);
    assert_eq!(about[1].resource, about[0].resource);
    let detail = r#"{"rule":"r","key":"\"eni-1\"","by":"me","reason":"known"}"#;
    assert_eq!(about[1].event.tree().to_string(), detail);
    assert!(store.rules_in_use().unwrap().is_empty());
    // By the clock of an operator, which may be any.
    assert_eq!(store.state_reader().unwrap().clock().unwrap(), at(0));
    let selection = Selection {
        kind: Some(EntryKind::Closed),
        ..Selection::default()
    };
    let mut found = Vec::new();
    let mut visit = |entry: Result<reflexarc_store::Archived, _>| {
        found.push(entry.unwrap().seq);
        true
    };
    store.walk(&selection, &mut visit).unwrap();
    assert_eq!(found, [2]);
}

/// Closing a window costs the same whatever it has; its rows are removed later.
pub(super) fn a_closed_window_is_removed_in_steps(backend: &dyn Backend) {
    let store = backend.open();
    let changes = (0..1_000).map(|key| set_match(&key.to_string(), waiting(10, &[1])));
    let evaluated = evaluation("r", vec![], changes.collect());
    store.accept(incoming("1"), evaluated, at(0)).unwrap();
    let closed = in_time(&*store, |transaction| {
        transaction.close_matches(&|_, _| false, at(0))
    });
    assert_eq!(closed.unwrap(), [("r".to_owned(), 1_000)]);
    assert!(store.match_counts().unwrap().is_empty());
    let due = in_time(&*store, |transaction| {
        let read = transaction.read_match("r", "7", at(0))?;
        assert_eq!(read, None);
        // The same keys wait again.
        let evaluated = evaluation("r", vec![], vec![set_match("7", waiting(30, &[1]))]);
        let entry = super::timeline::entry(EntryKind::Reload, 0, "reload");
        transaction.add(entry, &evaluated, at(0))?;
        transaction.due(at(20), 10, &|_, _| true)
    });
    assert!(due.unwrap().is_empty());
    assert_eq!(store.next_deadline().unwrap(), Some(at(30)));
    let retention = Retention {
        age: SignedDuration::ZERO,
        ..Retention::default()
    };
    store.prune(&retention, at(9)).unwrap();
    assert_eq!(
        store.find("1").unwrap()[0].seq,
        1,
        "the new match refers to it"
    );
    assert_eq!(store.match_counts().unwrap()[0].pending, 1);
    let empty = Evaluation::default();
    assert!(store.accept(incoming("1"), empty, at(9)).unwrap().duplicate);
}
