//! What a rule would have matched and done: an edited text against the last events of the archive.
//! Nothing is stored and nothing is sent.

mod reactions;

use std::time::{Duration, Instant};

use jiff::Timestamp;
use reflexarc::{InvalidFiles, RuleSet};
use reflexarc_delivery::EventRef;
use reflexarc_event::NativeEvent;

use self::reactions::Reactions;
pub use self::reactions::{Outcome, ReactionChanges, ReactionEffect, ReactionExample};
use crate::store::{Archived, EntryKind, EventFilter, PageLimits, Store, StoreError};

/// How far a comparison goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct WhatIfLimits {
    /// Bytes of the edited text; 256 KiB.
    pub text_bytes: usize,
    /// Events that are compared; 10,000.
    pub events: usize,
    /// Bytes of these events; 64 MiB.
    pub bytes: usize,
    /// How long it takes; 5 s.
    pub time: Duration,
    /// Events that are listed of each kind; 50. All are counted.
    pub listed: usize,
    /// Events whose reactions are evaluated; 2,000.
    pub reactions: usize,
    /// How long reactions take, of [`WhatIfLimits::time`]; 2 s.
    pub reaction_time: Duration,
    /// Events of which it is shown what the reactions do; 10.
    pub examples: usize,
    /// Effects that are shown of one reaction; 5.
    pub effects: usize,
}

/// What an edited rule matches and does in place of the rule in effect.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct WhatIf {
    /// How many events were compared.
    pub compared: u64,
    /// When the oldest of them was accepted.
    pub since: Option<Timestamp>,
    /// How many the rule in effect matches.
    pub before: u64,
    /// How many the edited one matches.
    pub after: u64,
    /// Those that only the edited one matches, the newest first.
    pub newly: Changed,
    /// Those that only the rule in effect matches, the newest first.
    pub no_longer: Changed,
    /// How many events one of the filters could not be compared with.
    pub undecided: u64,
    /// How many entries of the archive could not be read.
    pub damaged: u64,
    /// Why not all events were compared that were asked for.
    pub stopped: Option<WhatIfStop>,
    /// Whether the edited rule is disabled: it is compared as if it were enabled.
    pub is_disabled: bool,
    /// Whether one of the two has a time window: then only `when` is compared, because what they
    /// do depends on the events before.
    pub has_window: bool,
    /// What the reactions do; `None` with a time window.
    pub reactions: Option<ReactionChanges>,
}

/// Events with another result than before.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Changed {
    /// How many there are.
    pub count: u64,
    /// The first of them.
    pub listed: Vec<ChangedEvent>,
}

/// An event with another result than before.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChangedEvent {
    /// Its archive position.
    pub seq: i64,
    /// Source and id.
    pub name: EventRef,
    /// Its `name` or `type`.
    pub kind: String,
    /// When it was accepted.
    pub received: Timestamp,
}

/// Why a comparison ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhatIfStop {
    /// The archive has no more events.
    EndOfArchive,
    /// The events have [`WhatIfLimits::bytes`].
    Bytes,
    /// It has taken [`WhatIfLimits::time`].
    Time,
}

/// Enough for the newest entry.
const NEWEST: PageLimits = PageLimits {
    rows: 1,
    bytes: 1 << 20,
};

/// Positions without an entry after which the archive counts as ended.
const MAX_GAP: i64 = 10_000;

impl WhatIfLimits {
    /// The limits.
    pub const LIMITS: Self = Self {
        text_bytes: 256 << 10,
        events: 10_000,
        bytes: 64 << 20,
        time: Duration::from_secs(5),
        listed: 50,
        reactions: 2_000,
        reaction_time: Duration::from_secs(2),
        examples: 10,
        effects: 5,
    };
}

/// Compares what the rule `name` matches of the last events, and does with them, with what it would
/// with another text; a rule that does not exist matches nothing.
///
/// Reactions are evaluated on an empty state: what scripts read of it is missing, and `throttle` and
/// `once` suppress nothing. Calls are not made. Of rules with a time window only `when` is compared.
///
/// # Errors
/// If the store cannot be read; the inner one, with diagnostics, if the text is invalid.
pub fn what_if(
    store: &dyn Store,
    rules: &RuleSet,
    (name, text): (&str, &str),
    last: usize,
    limits: &WhatIfLimits,
) -> Result<Result<WhatIf, String>, StoreError> {
    let began = Instant::now();
    if text.len() > limits.text_bytes {
        let most = limits.text_bytes;
        return Ok(Err(format!("the rule is longer than {most} bytes")));
    }
    let current = rules.get(name);
    let file = match current.map(reflexarc::Rule::file) {
        Some(file) if !file.is_empty() => file.to_owned(),
        _ => format!("{name}.toml"),
    };
    let edited = RuleSet::compile_with_tables([(file.as_str(), text)], rules.tables());
    let edited = match edited.map_err(|invalid: InvalidFiles| invalid.to_string()) {
        Ok(edited) => edited,
        Err(message) => return Ok(Err(message)),
    };
    let patterns = |rule: Option<&reflexarc::Rule>| {
        let patterns = rule.map(|rule| (rule.name().to_owned(), rule.pattern().clone()));
        // Filters alone: a disabled rule would match nothing.
        RuleSet::from_patterns(patterns)
    };
    let sets = patterns(current).and_then(|before| Ok((before, patterns(edited.rules().next())?)));
    let (before, after) = match sets {
        Ok(sets) => sets,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let mut found = WhatIf::default();
    if let Some(rule) = edited.rules().next() {
        found.is_disabled = !rule.enabled();
    }
    let mut both = current.into_iter().chain(edited.rules());
    found.has_window = both.any(|rule| rule.window().is_some());
    let reactions = (!found.has_window).then(|| Reactions::new(current, &edited, file, limits));
    let reactions = match reactions.transpose() {
        Ok(reactions) => reactions,
        Err(invalid) => return Ok(Err(invalid.to_string())),
    };
    let comparison = Comparison {
        sets: [before, after],
        reactions,
        limits,
        last: last.min(limits.events) as u64,
        began,
        bytes: 0,
        found,
    };
    comparison.run(store).map(Ok)
}

/// A comparison that goes on.
struct Comparison<'a> {
    /// The filter before and after; each a set of at most one rule.
    sets: [RuleSet; 2],
    /// `None` if only the filters are compared.
    reactions: Option<Reactions<'a>>,
    limits: &'a WhatIfLimits,
    last: u64,
    began: Instant,
    /// The size of the events so far.
    bytes: usize,
    found: WhatIf,
}

impl Comparison<'_> {
    /// Compares the events by their positions, the newest first.
    fn run(mut self, store: &dyn Store) -> Result<WhatIf, StoreError> {
        let newest = store.entry_page(&EventFilter::default(), None, NEWEST)?;
        let newest = newest.entries.first().map(|entry| entry.seq);
        let (mut seq, mut gap) = (newest.unwrap_or(0), 0);
        while self.found.compared < self.last {
            if seq <= 0 || gap > MAX_GAP {
                self.found.stopped = Some(WhatIfStop::EndOfArchive);
                break;
            }
            self.found.stopped = self.stop();
            if self.found.stopped.is_some() {
                break;
            }
            gap += 1;
            match store.entry(seq)? {
                Some(Ok(archived)) => {
                    gap = 0;
                    // Rules see received events; what they have emitted depends on the rules.
                    if archived.entry == EntryKind::Event {
                        self.compare(archived);
                    }
                }
                Some(Err(_)) => {
                    gap = 0;
                    self.found.damaged += 1;
                }
                None => {}
            }
            seq -= 1;
        }
        self.found.reactions = self.reactions.map(Reactions::finish);
        Ok(self.found)
    }

    fn stop(&self) -> Option<WhatIfStop> {
        if self.bytes >= self.limits.bytes {
            Some(WhatIfStop::Bytes)
        } else if self.began.elapsed() >= self.limits.time {
            Some(WhatIfStop::Time)
        } else {
            None
        }
    }

    fn compare(&mut self, archived: Archived) {
        self.bytes += archived.event.bytes().len();
        let Ok(native) = NativeEvent::new(archived.event) else {
            self.found.damaged += 1;
            return;
        };
        let found = &mut self.found;
        found.compared += 1;
        found.since = Some(archived.received);
        let [before, after] = &self.sets;
        let [before, after] = [before.matching(&native), after.matching(&native)];
        if before.undecided().chain(after.undecided()).next().is_some() {
            found.undecided += 1;
            return;
        }
        found.before += u64::from(before.is_match());
        found.after += u64::from(after.is_match());
        let at = archived.received;
        let event = || ChangedEvent {
            seq: archived.seq,
            name: archived.name.clone(),
            kind: archived.kind.clone(),
            received: at,
        };
        let changed = match (before.is_match(), after.is_match()) {
            (false, true) => {
                if let Some(reactions) = &mut self.reactions {
                    reactions.add_newly(&native, &after, at, event);
                }
                &mut found.newly
            }
            (true, false) => &mut found.no_longer,
            (true, true) => {
                if let Some(reactions) = &mut self.reactions {
                    reactions.compare(&native, [&before, &after], at, event);
                }
                return;
            }
            (false, false) => return,
        };
        changed.count += 1;
        if changed.listed.len() < self.limits.listed {
            changed.listed.push(event());
        }
    }
}

#[cfg(test)]
mod tests {
    use reflexarc::Evaluation;
    use reflexarc_event::Event;

    use super::*;
    use crate::{Config, Incoming, SqliteStore};

    const RULE: &str = "when = 'n >= 8'\nnotify = ['team']";

    /// A store of ten events, with `n` from 1.
    fn store(folder: &tempfile::TempDir) -> SqliteStore {
        let options = Config::default().store_options;
        let store = SqliteStore::open(&folder.path().join("reflexarc.db"), &options).unwrap();
        for n in 1..=10 {
            let event = Event::from_json(format!(r#"{{"id": "{n}", "n": {n}}}"#)).unwrap();
            let incoming = Incoming::new(event).unwrap();
            let now = Timestamp::from_second(n).unwrap();
            store.accept(incoming, Evaluation::default(), now).unwrap();
        }
        store
    }

    /// Compares two texts of a rule by the ten events.
    pub(super) fn compare_texts(
        before: &str,
        after: &str,
        limits: &WhatIfLimits,
    ) -> Result<WhatIf, String> {
        let folder = tempfile::tempdir().unwrap();
        let rules = RuleSet::compile([("rule.toml", before)]).unwrap();
        what_if(&store(&folder), &rules, ("rule", after), 10, limits).unwrap()
    }

    fn compare(text: &str, last: usize, limits: &WhatIfLimits) -> Result<WhatIf, String> {
        let folder = tempfile::tempdir().unwrap();
        let rules = RuleSet::compile([("big.toml", RULE)]).unwrap();
        what_if(&store(&folder), &rules, ("big", text), last, limits).unwrap()
    }

    #[test]
    fn changed_events_are_listed_newest_first() {
        let text = "when = 'n >= 5 and n < 10'\nenabled = false\nnotify = ['team']";
        let found = compare(text, 7, &WhatIfLimits::LIMITS).unwrap();
        assert_eq!((found.compared, found.before, found.after), (7, 3, 5));
        let seqs = |changed: &Changed| -> Vec<i64> {
            changed.listed.iter().map(|event| event.seq).collect()
        };
        assert_eq!(seqs(&found.newly), [7, 6, 5]);
        assert_eq!(seqs(&found.no_longer), [10]);
        assert_eq!((found.is_disabled, found.stopped), (true, None));
        assert_eq!(found.since, Timestamp::from_second(4).ok());
    }

    #[test]
    fn a_comparison_says_where_it_ended() {
        let all = compare(RULE, 1_000, &WhatIfLimits::LIMITS).unwrap();
        assert_eq!(
            (all.compared, all.stopped),
            (10, Some(WhatIfStop::EndOfArchive))
        );
        assert_eq!(
            (all.before, all.newly.count, all.no_longer.count),
            (3, 0, 0)
        );
        let limits = WhatIfLimits {
            events: 4,
            ..WhatIfLimits::LIMITS
        };
        let few = compare(RULE, 1_000, &limits).unwrap();
        assert_eq!((few.compared, few.stopped), (4, None));
        let limits = WhatIfLimits {
            bytes: 30,
            ..WhatIfLimits::LIMITS
        };
        let small = compare(RULE, 1_000, &limits).unwrap();
        assert_eq!(
            (small.compared, small.stopped),
            (2, Some(WhatIfStop::Bytes))
        );
        let limits = WhatIfLimits {
            time: Duration::ZERO,
            ..WhatIfLimits::LIMITS
        };
        let none = compare(RULE, 1_000, &limits).unwrap();
        assert_eq!((none.compared, none.stopped), (0, Some(WhatIfStop::Time)));
        let limits = WhatIfLimits {
            listed: 1,
            ..WhatIfLimits::LIMITS
        };
        let listed = compare("when = 'n < 3'\nnotify = ['team']", 100, &limits).unwrap();
        assert_eq!((listed.newly.count, listed.newly.listed.len()), (2, 1));
    }

    #[test]
    fn invalid_rules_are_refused_with_their_place() {
        let error = compare("when = 'n ='\nnotify = ['team']", 1, &WhatIfLimits::LIMITS);
        let error = error.unwrap_err();
        assert!(error.contains("big.toml:1"), "{error}");
        let limits = WhatIfLimits {
            text_bytes: 10,
            ..WhatIfLimits::LIMITS
        };
        let error = compare(RULE, 1, &limits).unwrap_err();
        assert!(error.contains("longer than 10 bytes"), "{error}");
    }
}
