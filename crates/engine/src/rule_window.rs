//! The time window of a rule: the window itself, and the filters and keys of its events.

mod contradictions;
mod describe;

use std::collections::BTreeSet;
use std::sync::OnceLock;

use reflexarc_diagnostic::toml::EmbeddedText;
use reflexarc_event::Json;
use reflexarc_pattern::Pattern;

use crate::event_key::EventKey;
use crate::rule::Response;
use crate::window::{Count, Shape, Span, Window};
use crate::window_keys::WindowKind;

/// What a rule with one of the keys `count`, `followed_by`, `not_followed_by`, `absent_for` and
/// `batch` waits for.
#[derive(Debug)]
pub(crate) struct RuleWindow {
    /// The location of its key in the rule's file.
    pub(crate) span: reflexarc_diagnostic::Span,
    pub(crate) window: Window,
    /// The key of the events that `when` and `until` match, and those of steps without their own.
    pub(crate) by: EventKey,
    /// The filters of the steps after `when`; for `not_followed_by` the one of the closing event.
    pub(crate) steps: Vec<WindowStep>,
    pub(crate) until: Option<WindowFilter>,
    /// `distinct` of `count`: the values at this path are counted, and not the events.
    pub(crate) distinct: Option<EventKey>,
    /// `expect`: keys that are waited for although no event has come; the JSON of values as
    /// [`EventKey::of`] makes them.
    pub(crate) expected: BTreeSet<String>,
    /// How many keys may wait, and how many others may be kept.
    pub(crate) max_pending: usize,
    /// `resolved`.
    pub(crate) resolved: Option<Response>,
    /// Computed when it is first read: see [`RuleWindow::fingerprint`].
    pub(crate) fingerprint: OnceLock<u64>,
    /// Likewise: see [`RuleWindow::expected_mark`].
    pub(crate) expected_hash: OnceLock<u64>,
}

/// A filter of a window, with its place in the rule's file.
#[derive(Debug)]
pub(crate) struct WindowFilter {
    pub(crate) source: EmbeddedText,
    pub(crate) pattern: Pattern,
}

/// A step of a window.
#[derive(Debug)]
pub(crate) struct WindowStep {
    pub(crate) filter: WindowFilter,
    /// The key of its events, if it is not that of the rule.
    pub(crate) by: Option<EventKey>,
}

impl RuleWindow {
    pub(crate) fn kind(&self) -> WindowKind {
        match self.window.shape {
            Shape::Count(_) => WindowKind::Count,
            Shape::Sequence(_) => WindowKind::FollowedBy,
            Shape::Absence(_) => WindowKind::NotFollowedBy,
            Shape::Silence(_) => WindowKind::AbsentFor,
            Shape::Batch(_) => WindowKind::Batch,
        }
    }

    /// Its filters: those of the steps, then `until`.
    pub(crate) fn filters(&self) -> impl Iterator<Item = &WindowFilter> {
        let steps = self.steps.iter().map(|step| &step.filter);
        steps.chain(&self.until)
    }

    /// A number that changes when matches of the window mean something else: with its shape, its
    /// filters after `when`, and its keys. What is only a bound or a patience is not part of it, so
    /// that an operator can change `grace` without closing what is pending.
    pub(crate) fn fingerprint(&self) -> u64 {
        *self
            .fingerprint
            .get_or_init(|| fnv1a(self.meaning().as_bytes()))
    }

    /// A value that changes with the keys that are expected.
    pub(crate) fn expected_mark(&self) -> Json {
        let hash = self.expected_hash.get_or_init(|| {
            let keys: Vec<&str> = self.expected.iter().map(String::as_str).collect();
            fnv1a(keys.join("\u{0}").as_bytes())
        });
        Json::from(format!("{hash:016x}"))
    }

    /// All that its matches depend on, as text.
    fn meaning(&self) -> String {
        let mut text = match &self.window.shape {
            Shape::Count(Count { at_least, span, .. }) => {
                let (kind, span) = match span {
                    Span::Within(within) => ("within", within),
                    Span::Every(every) => ("every", every),
                };
                format!("count {at_least} {kind} {span}")
            }
            Shape::Sequence(sequence) => format!("followed_by {:?}", sequence.within),
            Shape::Absence(absence) => {
                format!("not_followed_by {} {}", absence.within, absence.restart)
            }
            Shape::Silence(silence) => format!("absent_for {}", silence.duration),
            Shape::Batch(batch) => format!("batch {} {:?} {}", batch.within, batch.idle, batch.max),
        };
        let mut add = |part: &str| {
            // Not a character that a path or filter can have unescaped.
            text.push('\u{0}');
            text.push_str(part);
        };
        let add_key = |add: &mut dyn FnMut(&str), key: &EventKey| {
            add("key");
            for path in key.paths() {
                add(path.text());
            }
            // What their rows say is not part of it: a match keeps the key with which it opened.
            for path in key.row_paths() {
                let lookup = &path.lookup;
                add(&lookup.table_name);
                add(&lookup.column);
                add(lookup.path.text());
            }
        };
        add_key(&mut add, &self.by);
        for step in &self.steps {
            add(&step.filter.pattern.to_expression());
            if let Some(by) = &step.by {
                add_key(&mut add, by);
            }
        }
        if let Some(until) = &self.until {
            add("until");
            add(&until.pattern.to_expression());
        }
        if let Some(distinct) = &self.distinct {
            add("distinct");
            add_key(&mut add, distinct);
        }
        text
    }
}

/// FNV-1a: a hash that is the same in every version and on every machine.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
