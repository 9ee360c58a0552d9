//! Explanations of filters for events that were converted to the native form.

use reflexarc_diagnostic::truncate;
use reflexarc_event::{MovedField, NativeEvent};
use reflexarc_pattern::Node;
use reflexarc_pattern::explain::{Explanation, FieldTest, Hint, explain};

/// Characters of a value that a hint shows.
const SHOWN: usize = 200;

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
