//! Explanations of filters for events that were converted to the native form.

use reflexarc_diagnostic::truncate;
use reflexarc_event::{Json, MovedField, NativeEvent};
use reflexarc_pattern::Node;
use reflexarc_pattern::explain::{Explanation, FieldTest, Hint, explain};

use crate::evaluate::key_of_event;
use crate::event_key::EventKey;
use crate::rule_window::{RuleWindow, WindowFilter};
use crate::{Rule, WindowKind};

/// Characters of a value that a hint shows.
const SHOWN: usize = 200;

/// What an event is to the time window of a rule: see [`RuleSet::explain_window`].
///
/// [`RuleSet::explain_window`]: crate::RuleSet::explain_window
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct WindowExplanation {
    /// What the rule waits for: see [`Rule::window_description`].
    pub description: String,
    /// The key of the event as scripts see it, or why the event is not followed; an empty text
    /// where the rule has no `by`.
    pub key: Result<Json, String>,
    /// The value that `distinct` of `count` counts, or why the event is not counted.
    pub distinct: Option<Result<Json, String>>,
    /// The filters after `when`: those of the steps, then `until`.
    pub filters: Vec<WindowFilterExplanation>,
}

/// What an event is to a filter of a time window.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct WindowFilterExplanation {
    /// The key of the filter in the rule file, with its number where there are several:
    /// `not_followed_by`, `followed_by 2`, `until`.
    pub name: String,
    /// Whether it matches, and why.
    pub explanation: Explanation,
    /// The key of the event by the step's own `by`, if it has one, or why it has none.
    pub key: Option<Result<Json, String>>,
}

/// What a lookup of a rule finds for an event: see [`RuleSet::explain_lookups`].
///
/// [`RuleSet::explain_lookups`]: crate::RuleSet::explain_lookups
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LookupExplanation {
    /// Its name.
    pub name: String,
    /// The name of the table.
    pub table: String,
    /// The column of the table that the value of the event is compared with.
    pub column: String,
    /// The value of the event, or why it has none.
    pub key: Result<Json, String>,
    /// The row as an object of its columns, or why there is none.
    pub row: Result<Json, String>,
}

/// Why a filter matches an event or not, with hints at fields that the conversion moved and at
/// values that it replaced.
///
/// ```
/// use reflexarc::{NativeEvent, Pattern, explain_native};
///
/// let event = NativeEvent::from_json(
///     r#"{"specversion": "1.0", "source": "acs.ecs", "type": "ecs:Disk:Stalled", "data": {}}"#,
/// )?;
/// let filter: Pattern = r#"type == "ecs:Disk:Stalled""#.parse()?;
/// let explanation = explain_native(filter.node(), &event);
/// assert!(explanation.render(false).contains("in which this field is name"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn explain_native(filter: &Node, event: &NativeEvent) -> Explanation {
    let hint = |field: &FieldTest| {
        if field.count > 0 {
            let received = event.received_spelling(&field.path)?;
            let received = received.to_string();
            return Some(Hint::ConvertedFrom(truncate(&received, SHOWN).into_owned()));
        }
        Some(match event.moved_field(&field.path)? {
            MovedField::To(path) => Hint::MovedTo(path),
            MovedField::Removed => Hint::Removed,
        })
    };
    explain(filter, event.tree()).with_hints(hint)
}

/// What an event is to the window of a rule, if it has one.
pub(crate) fn explain_window(rule: &Rule, event: &NativeEvent) -> Option<WindowExplanation> {
    let window = rule.window.as_deref()?;
    let key = |key: &EventKey| key_of_event(key, event.event()).map(|(_, value)| value);
    let explained =
        |name: String, filter: &WindowFilter, by: Option<&EventKey>| WindowFilterExplanation {
            name,
            explanation: explain_native(filter.pattern.node(), event),
            key: by.map(key),
        };
    let steps = window.steps.iter().zip(1..).map(|(step, number)| {
        let name = step_name(window, number);
        explained(name, &step.filter, step.by.as_ref())
    });
    let until = window.until.iter();
    let until = until.map(|filter| explained("until".to_owned(), filter, None));
    Some(WindowExplanation {
        description: window.describe(),
        key: key(&window.by),
        distinct: window.distinct.as_ref().map(key),
        filters: steps.chain(until).collect(),
    })
}

/// What the lookups of a rule find for an event, by name.
pub(crate) fn explain_lookups(rule: &Rule, event: &NativeEvent) -> Vec<LookupExplanation> {
    let explained = rule.lookups.iter().map(|lookup| LookupExplanation {
        name: lookup.name.clone(),
        table: lookup.table_name.clone(),
        column: lookup.column.clone(),
        key: lookup.key(event.event()),
        row: lookup.row(event.event()),
    });
    explained.collect()
}

/// The name of a step, from 1.
fn step_name(window: &RuleWindow, number: usize) -> String {
    match (window.kind(), window.steps.len()) {
        (WindowKind::FollowedBy, 2..) => format!("followed_by {number}"),
        (kind, _) => kind.key().to_owned(),
    }
}
