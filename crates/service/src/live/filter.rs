//! Which entries a stream has.

use std::collections::{HashSet, VecDeque};

use reflexarc_diagnostic::nearest;
use reflexarc_event::Event;
use reflexarc_pattern::{Dialect, Matcher, Pattern, Scratch};

use super::LiveEntry;

/// The kinds of entries.
const KINDS: [&str; 5] = ["event", "firing", "delivery", "call", "answer"];
/// Most rules, and most targets, of a filter.
const MAX_NAMES: usize = 64;
/// Longest filter on events, in bytes.
const MAX_WHEN_BYTES: usize = 16 << 10;
/// Positions of matching events that a stream remembers, for their deliveries.
const REMEMBERED: usize = 10_000;

/// Selects entries: each condition that is given must hold.
#[derive(Default)]
pub(crate) struct LiveFilter {
    rules: Vec<String>,
    targets: Vec<String>,
    /// All if empty.
    kinds: Vec<String>,
    when: Option<When>,
}

/// A filter on the event that an entry is about.
struct When {
    matcher: Matcher,
    scratch: Scratch,
    ids: Vec<u32>,
    /// Where in the archive the events are that matched: their deliveries do not carry them.
    positions: HashSet<i64>,
    oldest: VecDeque<i64>,
    /// Events that the stream lacks although they may match, since they were counted last.
    undecided: u64,
}

/// A filter that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct InvalidLiveFilter(String);

impl LiveFilter {
    /// The filter of a query: `rule` and `target`, any number of times, `kinds`, separated by
    /// commas, and `when`. `rules` and `targets` are the names that there are.
    ///
    /// # Errors
    /// If there is no such rule, target or kind, or `when` is not a filter.
    pub(crate) fn parse(
        query: &str,
        rules: &[&str],
        targets: &[&str],
    ) -> Result<Self, InvalidLiveFilter> {
        let mut filter = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            match &*name {
                "rule" => add(&mut filter.rules, "rule", &value, rules)?,
                "target" => add(&mut filter.targets, "target", &value, targets)?,
                "kinds" => {
                    for kind in value.split(',').map(str::trim) {
                        add(&mut filter.kinds, "kind", kind, &KINDS)?;
                    }
                }
                "when" => {
                    if filter.when.is_some() {
                        let message = "`when` is given twice; combine the filters with `and`";
                        return Err(InvalidLiveFilter(message.to_owned()));
                    }
                    filter.when = Some(When::parse(&value)?);
                }
                // `token`, and whatever a proxy adds.
                _ => {}
            }
        }
        Ok(filter)
    }

    /// Whether the stream has this entry.
    pub(crate) fn selects(&mut self, entry: &LiveEntry) -> bool {
        // First, because deliveries of a matching event come later, whatever else is selected.
        if let Some(when) = &mut self.when
            && !when.selects(entry)
        {
            return false;
        }
        let is_any = |names: &[String], is: &dyn Fn(&str) -> bool| {
            names.is_empty() || names.iter().any(|name| is(name))
        };
        is_any(&self.kinds, &|kind| entry.kind() == kind)
            && is_any(&self.rules, &|rule| entry.is_about_rule(rule))
            && is_any(&self.targets, &|target| entry.is_about_target(target))
    }

    /// The number of events since the last call that the stream lacks although they may match: the
    /// filter would have taken too long.
    pub(crate) fn take_undecided(&mut self) -> u64 {
        let when = self.when.as_mut();
        when.map_or(0, |when| std::mem::take(&mut when.undecided))
    }

    /// Takes notice of an entry that the stream does not have because it is from before.
    pub(crate) fn note(&mut self, entry: &LiveEntry) {
        if let Some(when) = &mut self.when {
            when.selects(entry);
        }
    }
}

impl When {
    fn parse(text: &str) -> Result<Self, InvalidLiveFilter> {
        let invalid = |message: String| InvalidLiveFilter(format!("invalid `when`: {message}"));
        if text.len() > MAX_WHEN_BYTES {
            let message = format!("it is longer than {MAX_WHEN_BYTES} bytes");
            return Err(invalid(message));
        }
        let pattern = Pattern::parse(text, Dialect::Reflexarc);
        let pattern = pattern.map_err(|error| invalid(error.to_string()))?;
        let matcher = Matcher::build([pattern.node()]);
        Ok(Self {
            matcher: matcher.map_err(|error| invalid(error.to_string()))?,
            scratch: Scratch::default(),
            ids: Vec::new(),
            positions: HashSet::new(),
            oldest: VecDeque::new(),
            undecided: 0,
        })
    }

    fn selects(&mut self, entry: &LiveEntry) -> bool {
        let position = entry.position();
        if entry.kind() == "delivery" || entry.kind() == "call" {
            return self.positions.contains(&position);
        }
        let is_selected = entry.native().is_some_and(|event| self.matches(event));
        if is_selected && self.positions.insert(position) {
            self.oldest.push_back(position);
            if self.oldest.len() > REMEMBERED
                && let Some(oldest) = self.oldest.pop_front()
            {
                self.positions.remove(&oldest);
            }
        }
        is_selected
    }

    fn matches(&mut self, event: &Event) -> bool {
        self.matcher
            .matching(event, &mut self.scratch, &mut self.ids);
        if !self.scratch.undecided().is_empty() {
            self.undecided += 1;
        }
        !self.ids.is_empty()
    }
}

/// Adds a name that exists.
fn add(
    names: &mut Vec<String>,
    what: &str,
    name: &str,
    known: &[&str],
) -> Result<(), InvalidLiveFilter> {
    if !known.contains(&name) {
        let hint = nearest(name, known.iter().copied());
        let hint = hint.map_or_else(String::new, |hint| format!("; did you mean `{hint}`?"));
        return Err(InvalidLiveFilter(format!("unknown {what} `{name}`{hint}")));
    }
    if names.len() >= MAX_NAMES {
        let message = format!("more than {MAX_NAMES} names of a {what}");
        return Err(InvalidLiveFilter(message));
    }
    if !names.iter().any(|one| one == name) {
        names.push(name.to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_names_is_limited() {
        let names: Vec<String> = (0..=MAX_NAMES).map(|number| format!("r{number}")).collect();
        let known: Vec<&str> = names.iter().map(String::as_str).collect();
        let query = |count: usize| {
            let pairs = names.iter().take(count).map(|name| format!("rule={name}"));
            pairs.collect::<Vec<_>>().join("&")
        };
        assert!(LiveFilter::parse(&query(MAX_NAMES), &known, &[]).is_ok());
        let error = LiveFilter::parse(&query(MAX_NAMES + 1), &known, &[]).err();
        let expected = "more than 64 names of a rule";
        assert_eq!(
            error.map(|error| error.to_string()).as_deref(),
            Some(expected)
        );
    }
}
