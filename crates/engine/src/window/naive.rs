//! The meaning of windows over the whole list of what was applied: slow, and plain.

#![allow(clippy::unwrap_used, reason = "a scenario that fails must stop")]

use std::collections::BTreeMap;

use super::{
    Batch, Count, Ending, Firing, FiringKind, MAX_EVENTS, Micros, Roles, Seen, Sequence, Shape,
    Silence, Span, Window,
};

/// An event of the list.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) seen: Seen,
    pub(crate) roles: Roles,
    pub(crate) value: Option<String>,
    /// Whether it is an event of the rule, of this key or another.
    pub(crate) is_relevant: bool,
}

/// A firing and when it happened.
pub(crate) type Fired = (Micros, Firing);

/// What a list of events and times leads to, up to the end.
pub(crate) fn firings(
    window: &Window,
    events: &[Event],
    end: Micros,
    ending: &dyn Fn(&Firing) -> Ending,
) -> Vec<Fired> {
    let mut history = History {
        window,
        ending,
        applied: Vec::new(),
        fired: Vec::new(),
        held: None,
        retry: None,
        consumed: Vec::new(),
        used: None,
        reset: 0,
        armed: events.first().map_or(end, |event| event.seen.at),
        newest_late: None,
    };
    for event in events {
        history.advance(event.seen.at);
        if event.is_relevant && event.seen.is_late(window.grace) {
            history.newest_late = Some(event.seen.at);
        }
        if !event.roles.is_empty() {
            history.apply(event.clone());
        }
    }
    history.advance(end);
    history.fired
}

struct History<'a> {
    window: &'a Window,
    ending: &'a dyn Fn(&Firing) -> Ending,
    applied: Vec<Event>,
    fired: Vec<Fired>,
    /// The match that waits to be resolved, when it fired, and when it is quiet.
    held: Option<(Firing, Micros, Option<Micros>)>,
    retry: Option<(Firing, Micros)>,
    /// Positions of events that a firing has used.
    consumed: Vec<u64>,
    /// The last event that a match has used.
    used: Option<Seen>,
    /// How many of the applied events were forgotten with all before them.
    reset: usize,
    armed: Micros,
    /// When the newest late event of the rule was applied.
    newest_late: Option<Micros>,
}

impl History<'_> {
    /// Fires what is due up to a time, the earliest first.
    fn advance(&mut self, to: Micros) {
        loop {
            let retry = self.retry.as_ref().map(|(_, at)| at + 1);
            let quiet = self.held.as_ref().and_then(|held| held.2);
            let own = self.next();
            let own_at = own.as_ref().map(|(at, _)| *at);
            let Some(at) = [retry, quiet, own_at].into_iter().flatten().min() else {
                return;
            };
            if at > to {
                return;
            }
            if retry == Some(at) {
                let firing = self.retry.clone().unwrap().0;
                self.run(firing, at);
            } else if quiet == Some(at) {
                let (firing, _, until) = self.held.take().unwrap();
                let firing = Firing {
                    kind: FiringKind::Resolve,
                    deadline: until,
                    ..firing
                };
                self.run(firing, at);
            } else {
                let (at, firing) = own.unwrap();
                self.consumed
                    .extend(self.open().iter().map(|event| event.seen.position));
                self.run(firing, at);
            }
        }
    }

    fn run(&mut self, firing: Firing, at: Micros) {
        self.fired.push((at, firing.clone()));
        if firing.kind == FiringKind::Resolve {
            return;
        }
        let retried = self.retry.take().is_some_and(|(retry, _)| retry == firing);
        match (self.ending)(&firing) {
            Ending::Completed if self.window.resolves => {
                let quiet = match &self.window.shape {
                    Shape::Count(Count { quiet, .. }) => quiet.map(|quiet| at + quiet),
                    _ => None,
                };
                self.held = Some((firing, at, quiet));
            }
            Ending::Failed if !retried => self.retry = Some((firing, at)),
            _ => {}
        }
    }

    /// What fires next without an event.
    fn next(&self) -> Option<(Micros, Firing)> {
        let window = self.window;
        let open = self.open();
        match &window.shape {
            Shape::Absence(absence) => {
                let first = open.first()?;
                let latest = open.iter().max_by_key(|event| event.seen.order());
                let anchor = if absence.restart { latest? } else { first }.seen;
                let deadline = anchor.time + absence.within;
                let at = if anchor.is_late(window.grace) {
                    deadline.max(self.newest_late?) + window.settle
                } else {
                    deadline.max(anchor.at) + window.grace
                };
                Some((at, self.firing(&open, Some(deadline), first.seen.position)))
            }
            Shape::Silence(Silence { duration }) => {
                let last = self.applied.last();
                let since = last.map_or(self.armed, |last| last.seen.at);
                // Once until the next event.
                let fired = self.fired.iter().any(|(at, firing)| {
                    firing.kind == FiringKind::Begin
                        && *at >= since
                        && firing.event == last.map(|last| last.seen.position)
                });
                if fired {
                    return None;
                }
                let opening = last.map_or(
                    Seen {
                        time: self.armed,
                        position: 0,
                        at: self.armed,
                    },
                    |last| last.seen,
                );
                let event = last.map(|last| last.seen.position);
                let firing = Firing {
                    kind: FiringKind::Begin,
                    opening,
                    deadline: Some(since + duration),
                    late: false,
                    count: u64::from(last.is_some()),
                    event,
                    events: event.into_iter().collect(),
                    closing: None,
                };
                Some((since + duration + window.grace, firing))
            }
            Shape::Batch(Batch { within, idle, .. }) => {
                let (first, last) = (open.first()?, open.last()?);
                let mut at = first.seen.at + within;
                if let Some(idle) = idle {
                    at = at.min(last.seen.at + idle);
                }
                Some((at, self.firing(&open, Some(at), last.seen.position)))
            }
            Shape::Count(_) | Shape::Sequence(_) => None,
        }
    }

    /// The events of the match in progress, in the order of application.
    fn open(&self) -> Vec<Event> {
        let opens = |event: &&Event| {
            event.roles.has(Roles::OPENING) && !self.consumed.contains(&event.seen.position)
        };
        let open = self.applied.iter().filter(opens);
        match &self.window.shape {
            Shape::Absence(absence) => {
                let remembered = absence.within + self.window.grace;
                let closes = |event: &Event, closing: &Event| {
                    closing.roles.has(Roles::step(0))
                        && closing.seen.is_after(&event.seen)
                        && (closing.seen.position > event.seen.position
                            || event.seen.at <= closing.seen.at + remembered)
                };
                let open =
                    open.filter(|event| !self.applied.iter().any(|closing| closes(event, closing)));
                open.cloned().collect()
            }
            _ => open.cloned().collect(),
        }
    }

    fn firing(&self, events: &[Event], deadline: Option<Micros>, event: u64) -> Firing {
        let positions = events.iter().map(|event| event.seen.position);
        Firing {
            kind: FiringKind::Begin,
            opening: events[0].seen,
            deadline,
            late: events
                .iter()
                .any(|event| event.seen.is_late(self.window.grace)),
            count: u64::try_from(events.len()).unwrap(),
            event: Some(event),
            events: positions.take(MAX_EVENTS).collect(),
            closing: None,
        }
    }

    fn apply(&mut self, event: Event) {
        let (seen, window) = (event.seen, self.window);
        if let Some((_, at, None)) = self.held
            && at + window.forget <= seen.at
        {
            self.held = None;
        }
        let resolves = match (&window.shape, &self.held) {
            (Shape::Absence(_), Some((firing, ..))) => {
                event.roles.has(Roles::step(0)) && seen.is_after(&firing.opening)
            }
            (Shape::Silence(_), Some(_)) => true,
            _ => false,
        };
        if resolves {
            let (firing, ..) = self.held.take().unwrap();
            let firing = Firing {
                kind: FiringKind::Resolve,
                closing: Some(seen.position),
                ..firing
            };
            self.run(firing, seen.at);
        }
        if let (
            Shape::Count(Count {
                quiet: Some(quiet), ..
            }),
            Some(held),
        ) = (&window.shape, &mut self.held)
        {
            held.2 = held.2.max(Some(seen.at + quiet));
        }
        match &window.shape {
            Shape::Count(count) => match count.span {
                Span::Within(within) => self.count(event, count.at_least, within),
                Span::Every(every) => self.count_aligned(event, count.at_least, every),
            },
            Shape::Sequence(sequence) => self.sequence(event, sequence),
            Shape::Absence(_) | Shape::Silence(_) => self.applied.push(event),
            Shape::Batch(batch) => {
                self.applied.push(event);
                let open = self.open();
                if u64::try_from(open.len()).unwrap() >= batch.max {
                    let last = open.last().unwrap().seen;
                    let mut at = open[0].seen.at + batch.within;
                    if let Some(idle) = batch.idle {
                        at = at.min(last.at + idle);
                    }
                    let firing = self.firing(&open, Some(at), last.position);
                    self.consumed
                        .extend(open.iter().map(|event| event.seen.position));
                    self.run(firing, last.at);
                }
            }
        }
    }

    fn count(&mut self, event: Event, at_least: usize, within: Micros) {
        let seen = event.seen;
        // All is forgotten when nothing was added for so long.
        let last = self.applied[self.reset..]
            .iter()
            .map(|event| event.seen.at)
            .max();
        if last.is_some_and(|last| seen.at > last + within + self.window.grace) {
            self.reset = self.applied.len();
            self.used = None;
        }
        if self.used.is_some_and(|used| !seen.is_after(&used)) {
            return;
        }
        // The newest event of each value, and the newest `at_least` of these.
        let mut known: Vec<Event> = Vec::new();
        for event in &self.applied[self.reset..] {
            if self.used.is_some_and(|used| !event.seen.is_after(&used)) {
                continue;
            }
            known.retain(|other| event.value.is_none() || other.value != event.value);
            known.push(event.clone());
            known.sort_by_key(|event| event.seen.order());
            if known.len() > at_least {
                known.remove(0);
            }
        }
        let same = |other: &Event| event.value.is_some() && other.value == event.value;
        if known
            .iter()
            .any(|other| same(other) && other.seen.is_after(&seen))
        {
            return;
        }
        known.retain(|other| !same(other));
        known.push(event.clone());
        known.sort_by_key(|event| event.seen.order());
        self.applied.push(event);
        let has_new = |group: &&[Event]| group.iter().any(|other| other.seen == seen);
        let fits = |group: &&[Event]| group[at_least - 1].seen.time - group[0].seen.time <= within;
        let group = known.windows(at_least).filter(has_new).find(fits);
        if let Some(group) = group {
            let last = group[at_least - 1].seen;
            let firing = self.firing(group, None, last.position);
            self.used = Some(last);
            self.run(firing, seen.at);
        }
    }

    fn count_aligned(&mut self, event: Event, at_least: usize, every: Micros) {
        let start = |event: &Event| event.seen.time.div_euclid(every) * every;
        // By window: its events, and when it was last seen.
        let mut windows: BTreeMap<Micros, (Vec<Event>, Micros)> = BTreeMap::new();
        let mut applied = std::mem::take(&mut self.applied);
        applied.push(event);
        let mut accepted = false;
        for event in &applied {
            let kept = every + self.window.grace;
            windows.retain(|start, (_, last)| event.seen.at <= (start + every).max(*last) + kept);
            let start = start(event);
            let older = windows.range(start..).count();
            accepted = windows.contains_key(&start) || older < 2;
            if !accepted {
                continue;
            }
            let (events, last) = windows.entry(start).or_default();
            *last = (*last).max(event.seen.at);
            let known = |other: &Event| event.value.is_some() && other.value == event.value;
            accepted = !events.iter().any(known);
            if accepted {
                events.push(event.clone());
            }
            if windows.len() > 2 {
                windows.pop_first();
            }
        }
        let new = applied.last().unwrap().clone();
        self.applied = applied;
        if let Some((events, _)) = windows.get(&start(&new))
            && accepted
            && events.len() == at_least
        {
            let mut events = events.clone();
            events.sort_by_key(|event| event.seen.order());
            let last = events.last().unwrap().seen.position;
            let firing = self.firing(&events, None, last);
            self.run(firing, new.seen.at);
        }
    }

    fn sequence(&mut self, event: Event, sequence: &Sequence) {
        let now = event.seen.at;
        let within = sequence.within.iter().max().unwrap();
        let alive = |seen: &Seen| now <= seen.at + within + self.window.grace;
        // What is forgotten: all that neither is young nor begins a match whose last event is.
        let (partial, _) = matches(&self.applied, sequence);
        let begins: Vec<u64> = partial
            .into_iter()
            .filter(|partial| alive(&partial.last().unwrap().seen))
            .flatten()
            .map(|event| event.seen.position)
            .collect();
        self.applied
            .retain(|event| alive(&event.seen) || begins.contains(&event.seen.position));
        self.used = self.used.filter(alive);
        if self.used.is_some_and(|used| !event.seen.is_after(&used)) {
            return;
        }
        self.applied.push(event);
        self.applied.sort_by_key(|event| event.seen.order());
        if let (_, Some(events)) = matches(&self.applied, sequence) {
            let end = events.last().unwrap().seen;
            let firing = self.firing(&events, None, events[0].seen.position);
            self.used = Some(end);
            self.applied.retain(|event| event.seen.is_after(&end));
            self.run(firing, now);
        }
    }
}

/// The partial matches of events in order, each as its events, and the first complete match.
fn matches(events: &[Event], sequence: &Sequence) -> (Vec<Vec<Event>>, Option<Vec<Event>>) {
    let mut partial: Vec<Vec<Event>> = Vec::new();
    for event in events {
        if event.roles.has(Roles::UNTIL) {
            partial.clear();
        }
        let mut longer = Vec::new();
        partial.retain(|begun| {
            let step = begun.len() - 1;
            let time = event.seen.time - begun.last().unwrap().seen.time;
            let continues = event.roles.has(Roles::step(step)) && time <= sequence.within[step];
            if continues {
                let mut begun = begun.clone();
                begun.push(event.clone());
                longer.push(begun);
            }
            !continues
        });
        for longer in longer {
            if longer.len() > sequence.within.len() {
                return (partial, Some(longer));
            }
            partial.retain(|begun| begun.len() != longer.len());
            partial.push(longer);
        }
        if event.roles.has(Roles::OPENING) {
            partial.retain(|begun| begun.len() != 1);
            partial.push(vec![event.clone()]);
        }
    }
    (partial, None)
}
