//! The rows of matches: what a rule with a time window waits for, from its opening to its end.

use std::collections::BTreeMap;

use jiff::Timestamp;
use reflexarc::{FiringReason, RuleEffects};
use reflexarc_event::Json;

use super::super::open_matches::MatchStep;
use super::super::timeline::{Content, Entry};
use super::bars::{Bar, BarKind};
use super::marks::Mark;
use super::rows::{RowKind, Rows};
use super::shapes::Shape;
use crate::output::match_text::script_key;

/// Which match an entry is about: account, rule and key.
type Id<'a> = (Option<&'a str>, &'a str, String);

/// The bars of all matches.
#[derive(Default)]
struct Bars<'a> {
    drawn: Vec<Bar>,
    /// The index of the bar of each match that waits.
    waiting: BTreeMap<Id<'a>, usize>,
    /// When each match fired that may be resolved.
    fired: BTreeMap<Id<'a>, Timestamp>,
}

/// The bars of the matches in a timeline.
pub(super) fn match_bars(entries: &[Entry], rows: &mut Rows) -> Vec<Bar> {
    let mut bars = Bars::default();
    for entry in entries {
        bars.add(entry, rows);
    }
    bars.drawn
}

/// The marks of an entry about a match.
pub(super) fn match_mark(entry: &Entry, rows: &mut Rows) -> Option<Mark> {
    let (shape, note) = match &entry.content {
        Content::Match { step, .. } => match step {
            MatchStep::Opened { .. } => (Shape::Opened, None),
            MatchStep::Closed => (Shape::Closed, None),
            // The deadline is drawn where it is, not when it was moved there.
            MatchStep::Moved { .. } | MatchStep::Pending { .. } => return None,
        },
        Content::Rule(effects) => {
            let (shape, verb) = match effects.firing.as_ref()?.reason {
                FiringReason::Resolved => (Shape::Resolved, "resolved"),
                _ => (Shape::Fired, "fired"),
            };
            let text = format!("{} {verb}{}", effects.rule, targets_of(effects));
            (shape, Some(text))
        }
        _ => return None,
    };
    let (_, row) = id_and_row(entry, rows)?;
    Some(Mark {
        at: entry.at,
        row,
        shape,
        note,
    })
}

/// ` → network-team, on-call`, or nothing where a rule has no actions.
pub(super) fn targets_of(effects: &RuleEffects) -> String {
    let targets = effects.actions.iter();
    let targets: Vec<_> = targets.map(reflexarc_reaction::Action::target).collect();
    if targets.is_empty() {
        String::new()
    } else {
        format!(" → {}", targets.join(", "))
    }
}

/// The match that an entry is about, and the name of its row: the rule, and below it the key, or
/// the account where the rule has no `by`.
fn id_and_row<'a>(entry: &'a Entry, rows: &mut Rows) -> Option<(Id<'a>, usize)> {
    let account = entry.account.as_deref();
    let (rule, key) = match &entry.content {
        Content::Match { rule, key, .. } => (rule.as_str(), script_key(key)),
        Content::Rule(effects) => (effects.rule.as_str(), effects.firing.as_ref()?.key.clone()),
        _ => return None,
    };
    // The interface of a reaction is that of its event, which for most rules is their key.
    let id_text = entry.interface.as_deref();
    let name = match (&key, &entry.content) {
        (Json::String(text), _) if text.is_empty() => account.unwrap_or_default().to_owned(),
        (
            _,
            Content::Match {
                name: Some(name), ..
            },
        ) => name.clone(),
        (Json::String(text), Content::Rule(_)) if text.starts_with("eni-") => {
            id_text.unwrap_or(text).to_owned()
        }
        (Json::String(text), _) => text.clone(),
        (key, _) => key.to_string(),
    };
    let row = rows.id(RowKind::Match, rule, &name);
    Some(((account, rule, key.to_string()), row))
}

impl<'a> Bars<'a> {
    fn add(&mut self, entry: &'a Entry, rows: &mut Rows) {
        let Some((id, row)) = id_and_row(entry, rows) else {
            return;
        };
        match &entry.content {
            Content::Match { step, .. } => match step {
                MatchStep::Opened { due } => self.open(id, row, entry.at, *due),
                MatchStep::Moved { due } => {
                    if let Some(bar) = self.waiting.get(&id) {
                        self.drawn[*bar].due = *due;
                    }
                }
                // Up to its deadline, also where the scenario ends before that.
                MatchStep::Pending { due } => {
                    if let Some(bar) = self.waiting.remove(&id) {
                        let bar = &mut self.drawn[bar];
                        (bar.due, bar.to) = (*due, *due);
                    }
                }
                MatchStep::Closed => self.end(&id, entry.at),
            },
            Content::Rule(effects) => match effects.firing.as_ref().map(|firing| firing.reason) {
                Some(FiringReason::Resolved) => {
                    if let Some(from) = self.fired.remove(&id) {
                        self.drawn.push(Bar {
                            row,
                            kind: BarKind::Reported,
                            from,
                            to: Some(entry.at),
                            due: None,
                        });
                    }
                }
                Some(_) => {
                    self.end(&id, entry.at);
                    self.fired.insert(id, entry.at);
                }
                None => {}
            },
            _ => {}
        }
    }

    fn open(&mut self, id: Id<'a>, row: usize, at: Timestamp, due: Option<Timestamp>) {
        self.waiting.insert(id, self.drawn.len());
        self.drawn.push(Bar {
            row,
            kind: BarKind::Waiting,
            from: at,
            to: None,
            due,
        });
    }

    fn end(&mut self, id: &Id<'a>, at: Timestamp) {
        if let Some(bar) = self.waiting.remove(id) {
            let bar = &mut self.drawn[bar];
            bar.to = Some(at);
            // A deadline that the match did not last to did not happen.
            bar.due = bar.due.filter(|due| *due <= at);
        }
    }
}
