//! From an event to the rules that match it, and to their effects.

use std::cell::RefCell;

use jiff::Timestamp;
use reflexarc_event::{EventError, Limits, NativeEvent};
use reflexarc_pattern::Scratch;
use reflexarc_pattern::explain::Explanation;
use reflexarc_reaction::{State, Stopwatch};

use super::RuleSet;
use crate::coverage::ExecutedLines;
use crate::evaluate::{self, Ahead, Context, Found};
use crate::explain::{
    LookupExplanation, WindowExplanation, explain_lookups, explain_native, explain_window,
};
use crate::filter_search::{FilterBudget, UndecidedRule};
use crate::rule::Rule;
use crate::window::Roles;
use crate::{Evaluation, Failure, ReactionBudget, filter_search};

/// The rules that match one event, as positions in [`RuleSet::rules`], ascending. Matching needs
/// neither state nor time, so it can be done on any thread before the event is evaluated.
///
/// ```
/// use reflexarc::{NativeEvent, RuleSet};
///
/// let rules = RuleSet::compile([("a.toml", "when = 'id == 1'\nnotify = ['team']")])?;
/// let matched = rules.matching(&NativeEvent::from_json(r#"{"id": 1}"#)?);
/// assert!(matched.is_match());
/// assert_eq!(matched.ids(), [0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Matched {
    ids: Vec<u32>,
    /// Positions of rules of whose time windows a filter after `when` matches, and what the event
    /// is to them; ascending.
    steps: Vec<(u32, Roles)>,
    /// Positions of rules that could not be compared with the event, and why.
    undecided: Vec<UndecidedRule>,
}

/// What watches an evaluation.
#[derive(Default, Clone, Copy)]
pub(super) struct Watch<'a> {
    pub(super) stopwatch: Option<Stopwatch<'a>>,
    pub(super) budget: Option<&'a dyn ReactionBudget>,
    pub(super) trace: Option<&'a ExecutedLines>,
    /// As [`Context::fires_overdue`].
    pub(super) fires_overdue: bool,
}

thread_local! {
    /// The matcher's working memory, reused so that matching allocates nothing once it has grown.
    /// Nothing in it outlives the matching of one event.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

impl RuleSet {
    /// Finds the rules that match an event.
    pub fn matching(&self, event: &NativeEvent) -> Matched {
        let mut ids = Vec::new();
        // One scratch space a thread and not one a rule set: a reload would start with an empty
        // one.
        let undecided = SCRATCH.with_borrow_mut(|scratch| {
            let matcher = &self.inner.matcher;
            matcher.matching(event.event(), scratch, &mut ids);
            // Nearly always empty, and then nothing is allocated.
            let undecided = scratch.undecided().iter();
            undecided.map(|id| filter_search::too_long(*id)).collect()
        });
        self.matched(ids, undecided)
    }

    /// As [`RuleSet::matching`], for the text of an event under
    /// [`Limits::DEFAULT`](reflexarc_event::Limits::DEFAULT). An event that needs no conversion is
    /// validated and matched in one pass, without a copy of its bytes.
    ///
    /// # Errors
    /// As [`NativeEvent::from_json`].
    ///
    /// ```
    /// use reflexarc::RuleSet;
    ///
    /// let rules = RuleSet::from_patterns([("warn".to_owned(), "level == 1".parse()?)])?;
    /// assert_eq!(rules.matching_text(br#"{"level": 1}"#)?.into_ids(), [0]);
    /// assert!(rules.matching_text(b"{").is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn matching_text(&self, event: &[u8]) -> Result<Matched, EventError> {
        let mut ids = Vec::new();
        let matched = SCRATCH.with_borrow_mut(|scratch| {
            let matcher = &self.inner.matcher;
            matcher.matching_native(event, &Limits::DEFAULT, scratch, &mut ids)?;
            let undecided = scratch.undecided().iter();
            Some(undecided.map(|id| filter_search::too_long(*id)).collect())
        });
        match matched {
            Some(undecided) => Ok(self.matched(ids, undecided)),
            None => Ok(self.matching(&NativeEvent::from_json(event)?)),
        }
    }

    /// As [`RuleSet::matching`], with what each rule may consume over many events: where only a
    /// search over the elements of arrays can decide a filter, it takes up to some milliseconds,
    /// which count like those of a reaction.
    pub fn matching_within(&self, event: &NativeEvent, budget: &dyn ReactionBudget) -> Matched {
        let mut ids = Vec::new();
        let rule_of = |id| self.inner.rule_of(id);
        let filters = FilterBudget::new(&rule_of, budget);
        let undecided = SCRATCH.with_borrow_mut(|scratch| {
            let matcher = &self.inner.matcher;
            matcher.matching_within(event.event(), &filters, scratch, &mut ids);
            filters.reasons(scratch.undecided())
        });
        self.matched(ids, undecided)
    }

    /// The rules that [`RuleSet::matching`] of this set found, by name. Positions that the set does
    /// not have are ignored.
    ///
    /// ```
    /// use reflexarc::{NativeEvent, RuleSet};
    ///
    /// let rules = RuleSet::compile([("a.toml", "when = 'id == 1'\nnotify = ['team']")])?;
    /// let matched = rules.matching(&NativeEvent::from_json(r#"{"id": 1}"#)?);
    /// assert!(rules.matched_rules(&matched).map(|rule| rule.name()).eq(["a"]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn matched_rules(&self, matched: &Matched) -> impl Iterator<Item = &Rule> {
        self.positioned_rules(matched).map(|(_, rule)| rule)
    }

    /// Evaluates an event: runs the reactions of the rules that match it, and of those that match
    /// what they emit. The same event, state and time always give the same evaluation.
    ///
    /// ```
    /// use reflexarc::{NativeEvent, NoState, RuleSet, Timestamp};
    ///
    /// let text = "when = 'id exists'\nthen = 'send(\"inventory\", event.id)'";
    /// let rules = RuleSet::compile([("a.toml", text)])?;
    /// let event = NativeEvent::from_json(r#"{"id": 7}"#)?;
    /// let evaluation = rules.evaluate(&event, &NoState, Timestamp::UNIX_EPOCH);
    /// let action = &evaluation.rules[0].actions[0];
    /// assert_eq!(action.to_json().to_string(), r#"{"target":"inventory","send":7}"#);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn evaluate(&self, event: &NativeEvent, state: &dyn State, now: Timestamp) -> Evaluation {
        self.evaluate_matched(event, &self.matching(event), state, now, None)
    }

    /// As [`RuleSet::evaluate`], for an event that [`RuleSet::matching`] was called for already.
    /// With a stopwatch, each script is held to its deadline.
    ///
    /// ```
    /// use std::time::Instant;
    ///
    /// use reflexarc::{NativeEvent, NoState, RuleSet, Timestamp};
    ///
    /// let rules = RuleSet::compile([("a.toml", "when = 'id exists'\nthen = 'log(1)'")])?;
    /// let event = NativeEvent::from_json(r#"{"id": 7}"#)?;
    /// let matched = rules.matching(&event);
    /// let start = Instant::now();
    /// let stopwatch = || start.elapsed();
    /// let now = Timestamp::UNIX_EPOCH;
    /// let evaluation = rules.evaluate_matched(&event, &matched, &NoState, now, Some(&stopwatch));
    /// assert_eq!(evaluation.rules.len(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn evaluate_matched(
        &self,
        event: &NativeEvent,
        matched: &Matched,
        state: &dyn State,
        now: Timestamp,
        stopwatch: Option<Stopwatch<'_>>,
    ) -> Evaluation {
        let watch = Watch {
            stopwatch,
            ..Watch::default()
        };
        self.evaluate_in(event, matched, Ahead::default(), state, now, watch)
    }

    /// As [`RuleSet::evaluate`], after what is overdue of the matches that the event changes, each
    /// at its deadline: for a program in which events may come before deadlines are fired.
    ///
    /// ```
    /// use reflexarc::{MemoryState, NativeEvent, RuleSet, Timestamp};
    ///
    /// let rules = RuleSet::compile([("stuck.toml", r#"
    ///     when = 'op == "Detach"'
    ///     by = "eni"
    ///     not_followed_by = { when = 'op == "Detached"', within = "30m" }
    ///     notify = ["network-team"]
    /// "#)])?;
    /// let event = |op| NativeEvent::from_json(format!(r#"{{"op": "{op}", "eni": 1}}"#));
    /// let (mut state, start) = (MemoryState::new(), Timestamp::UNIX_EPOCH);
    /// rules.evaluate_in_time(&event("Detach")?, &mut state, start, &mut |_| ());
    ///
    /// let (closing, later) = (event("Detached")?, "1970-01-01T05:00:00Z".parse()?);
    /// assert_eq!(rules.evaluate(&closing, &state, later).actions().count(), 0);
    /// assert_eq!(rules.evaluate_overdue(&closing, &state, later).actions().count(), 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn evaluate_overdue(
        &self,
        event: &NativeEvent,
        state: &dyn State,
        now: Timestamp,
    ) -> Evaluation {
        let watch = Watch {
            fires_overdue: true,
            ..Watch::default()
        };
        let matched = self.matching(event);
        self.evaluate_in(event, &matched, Ahead::default(), state, now, watch)
    }

    /// As [`RuleSet::evaluate_matched`], with what each rule may consume over many events: see
    /// [`ReactionBudget`]. What is overdue of the matches that the event changes fires first, as in
    /// [`RuleSet::evaluate_overdue`].
    pub fn evaluate_within(
        &self,
        event: &NativeEvent,
        matched: &Matched,
        state: &dyn State,
        now: Timestamp,
        stopwatch: Option<Stopwatch<'_>>,
        budget: &dyn ReactionBudget,
    ) -> Evaluation {
        let watch = Watch {
            stopwatch,
            budget: Some(budget),
            trace: None,
            fires_overdue: true,
        };
        self.evaluate_in(event, matched, Ahead::default(), state, now, watch)
    }

    /// As [`RuleSet::evaluate_matched`], recording the lines of scripts that ran.
    pub(crate) fn evaluate_traced(
        &self,
        event: &NativeEvent,
        matched: &Matched,
        state: &dyn State,
        now: Timestamp,
        trace: &ExecutedLines,
    ) -> Evaluation {
        let watch = Watch {
            trace: Some(trace),
            ..Watch::default()
        };
        self.evaluate_in(event, matched, Ahead::default(), state, now, watch)
    }

    /// Why a rule matches an event or not; `None` if no rule has that name.
    ///
    /// ```
    /// use reflexarc::{NativeEvent, RuleSet};
    ///
    /// let rules = RuleSet::compile([("a.toml", "when = 'id == 1'\nnotify = ['team']")])?;
    /// let event = NativeEvent::from_json(r#"{"id": 7}"#)?;
    /// let explanation = rules.explain(&event, "a").ok_or("no such rule")?;
    /// assert!(!explanation.matched());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn explain(&self, event: &NativeEvent, rule: &str) -> Option<Explanation> {
        let rule = self.get(rule)?;
        Some(explain_native(rule.pattern().node(), event))
    }

    /// What an event is to the time window of a rule, besides what [`RuleSet::explain`] says of
    /// `when`; `None` if no rule has that name, or it has no window.
    ///
    /// ```
    /// use reflexarc::{NativeEvent, RuleSet};
    ///
    /// let rules = RuleSet::compile([("stuck.toml", r#"
    ///     when = 'result == "accepted"'
    ///     by = "eni"
    ///     not_followed_by = { when = 'result == "success"', within = "30m" }
    ///     notify = ["team"]
    /// "#)])?;
    /// let event = NativeEvent::from_json(r#"{"result": "success", "eni": ["eni-1"]}"#)?;
    /// let window = rules.explain_window(&event, "stuck").ok_or("no window")?;
    /// assert!(window.filters[0].explanation.matched());
    /// assert_eq!(window.key.unwrap_err(), "the value at `eni` is an array");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn explain_window(&self, event: &NativeEvent, rule: &str) -> Option<WindowExplanation> {
        explain_window(self.get(rule)?, event)
    }

    /// What the lookups of a rule find for an event, by name; none if no rule has that name.
    ///
    /// ```
    /// use reflexarc::{NativeEvent, RuleSet, Tables};
    ///
    /// let tables = Tables::parse([("vswitches.csv", "cidr,id\n10.0.0.0/8,vsw-1\n")])?;
    /// let rules = RuleSet::compile_with_tables([("attach.toml", r#"
    ///     when = 'ip exists'
    ///     lookup = { vswitch = { table = "vswitches", key = "ip" } }
    ///     then = 'log(lookup.vswitch?.id)'
    /// "#)], &tables)?;
    /// let found = |json: &str| -> Result<_, reflexarc::EventError> {
    ///     let event = NativeEvent::from_json(json)?;
    ///     Ok(rules.explain_lookups(&event, "attach").remove(0).row)
    /// };
    /// let row = found(r#"{"ip": "10.1.2.3"}"#)?.map(|row| row.to_string());
    /// assert_eq!(row, Ok(r#"{"cidr":"10.0.0.0/8","id":"vsw-1"}"#.to_owned()));
    /// assert_eq!(found("{}")?, Err("the event has no value at `ip`".to_owned()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn explain_lookups(&self, event: &NativeEvent, rule: &str) -> Vec<LookupExplanation> {
        let rule = self.get(rule);
        rule.map_or_else(Vec::new, |rule| explain_lookups(rule, event))
    }

    /// The rules that match, with their positions.
    pub(super) fn positioned_rules(
        &self,
        matched: &Matched,
    ) -> impl Iterator<Item = (usize, &Rule)> {
        // `get`, because after a reload a caller may still hold the positions of the previous set.
        let positions = matched.ids().iter().map(|id| *id as usize);
        positions.filter_map(|id| Some((id, self.inner.rules.get(id)?.as_ref())))
    }

    pub(super) fn evaluate_in(
        &self,
        event: &NativeEvent,
        matched: &Matched,
        ahead: Ahead,
        state: &dyn State,
        now: Timestamp,
        watch: Watch<'_>,
    ) -> Evaluation {
        // Emitted events are matched against all rules again, by the same matcher.
        let matching = |event: &NativeEvent| {
            let matched = match watch.budget {
                None => self.matching(event),
                Some(budget) => self.matching_within(event, budget),
            };
            self.found(&matched)
        };
        let context = self.context(&matching, state, now, watch);
        evaluate::evaluate(event, self.found(matched), ahead, &context)
    }

    pub(super) fn context<'a>(
        &'a self,
        matching: &'a dyn Fn(&NativeEvent) -> Found<'a>,
        state: &'a dyn State,
        now: Timestamp,
        watch: Watch<'a>,
    ) -> Context<'a> {
        Context {
            matching,
            state,
            now,
            stopwatch: watch.stopwatch,
            budget: watch.budget,
            limits: &self.inner.limits,
            reaction_limits: &self.inner.reaction_limits,
            history: &self.inner.history,
            trace: watch.trace,
            fires_overdue: watch.fires_overdue,
        }
    }

    /// What the ids of the matcher say.
    fn matched(&self, mut ids: Vec<u32>, mut undecided: Vec<UndecidedRule>) -> Matched {
        let mut steps: Vec<(u32, Roles)> = Vec::new();
        let rules = self.inner.rules.len();
        // A rule set without windows has no higher ids, and pays for a comparison.
        if ids.last().is_some_and(|last| *last as usize >= rules) {
            let first = ids.partition_point(|id| (*id as usize) < rules);
            for id in ids.split_off(first) {
                let Some((rule, roles)) = self.inner.steps.get(id as usize - rules) else {
                    continue;
                };
                match steps.last_mut() {
                    Some((last, all)) if last == rule => *all = all.and(*roles),
                    _ => steps.push((*rule, *roles)),
                }
            }
        }
        for (id, ..) in &mut undecided {
            *id = self.inner.position_of(*id).unwrap_or(*id);
        }
        Matched {
            ids,
            steps,
            undecided,
        }
    }

    pub(super) fn found(&self, matched: &Matched) -> Found<'_> {
        let failure = |(id, cause, message): &UndecidedRule| {
            let mut failure = Failure::new(self.inner.rules.get(*id as usize)?.name(), message);
            failure.cause = *cause;
            Some(failure)
        };
        Found {
            rules: self.positioned_roles(matched),
            undecided: matched.undecided.iter().filter_map(failure).collect(),
        }
    }
}

impl RuleSet {
    /// The rules that the event means something to, in order: their positions, and what it is to
    /// each.
    pub(super) fn positioned_roles(&self, matched: &Matched) -> Vec<(usize, &Rule, Roles)> {
        let rules = self.positioned_rules(matched);
        let mut all: Vec<_> = rules.map(|(at, rule)| (at, rule, Roles::OPENING)).collect();
        for (position, roles) in &matched.steps {
            let position = *position as usize;
            match all.binary_search_by_key(&position, |(at, ..)| *at) {
                Ok(at) => all[at].2 = all[at].2.and(*roles),
                Err(at) => {
                    let rule = self.inner.rules.get(position);
                    all.splice(at..at, rule.map(|rule| (position, rule.as_ref(), *roles)));
                }
            }
        }
        all
    }
}

impl Matched {
    /// Whether any rule matches.
    pub fn is_match(&self) -> bool {
        !self.ids.is_empty()
    }

    /// Whether an evaluation has no effects and no failures: no rule matches, and all were compared
    /// with the event.
    pub fn is_nothing(&self) -> bool {
        self.ids.is_empty() && self.steps.is_empty() && self.undecided.is_empty()
    }

    /// Whether it is no step of any window.
    pub(super) fn has_no_steps(&self) -> bool {
        self.steps.is_empty()
    }

    /// The positions of rules that could not be compared with the event: it would have taken too
    /// long. They do not count as matching, and are failures of an evaluation.
    pub fn undecided(&self) -> impl Iterator<Item = u32> {
        self.undecided.iter().map(|(id, ..)| *id)
    }

    /// The positions in [`RuleSet::rules`], ascending.
    pub fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// The positions, owned.
    pub fn into_ids(self) -> Vec<u32> {
        self.ids
    }
}
