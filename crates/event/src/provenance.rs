//! What the conversion to the native form did to a field, for explanations.

use crate::eni::LISTS;
use crate::envelope::Envelope;
use crate::json::Json;
use crate::normalize::converted;
use crate::{NativeEvent, Path, cloudevent, history, webhook};

/// Where a field of the received event is in the native form.
///
/// ```
/// use reflexarc_event::{MovedField, NativeEvent, Path};
///
/// let event = NativeEvent::from_json(
///     r#"{
///         "specversion": "1.0", "source": "acs.ecs", "type": "ecs:Disk:Stalled",
///         "data": {"diskId": "d-1"}
///     }"#,
/// )?;
/// let moved = |path: &str| event.moved_field(&Path::from_keys([path]));
/// assert_eq!(moved("data.diskId"), Some(MovedField::To(Path::from_keys(["content.diskId"]))));
/// assert_eq!(moved("specversion"), Some(MovedField::Removed));
/// assert_eq!(moved("content.diskId"), None);
/// # Ok::<(), reflexarc_event::EventError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MovedField {
    /// At another path.
    To(Path),
    /// Nowhere: it says nothing that the native form does not say otherwise.
    Removed,
}

impl NativeEvent {
    /// Where a field that only the received event has at this path is in the native form; `None` if
    /// the event was not converted, the received event lacks the field, or it has not moved.
    pub fn moved_field(&self, path: &Path) -> Option<MovedField> {
        let received = self.received()?;
        let segments: Vec<&str> = path.segments().collect();
        at(received.tree(), &segments)?;
        if at(self.tree(), &segments).is_some() {
            return None;
        }
        let moved = native_paths(received.envelope(), &segments)
            .into_iter()
            .find(|path| at(self.tree(), &path.segments().collect::<Vec<_>>()).is_some());
        Some(moved.map_or(MovedField::Removed, MovedField::To))
    }

    /// The value in the received event of a field that has another, canonical spelling in the
    /// native form.
    ///
    /// ```
    /// use reflexarc_event::{NativeEvent, Path};
    ///
    /// let event = NativeEvent::from_json(
    ///     r#"{
    ///         "name": "NetworkInterface:NetworkInterfaceOperateCompleted",
    ///         "content": {"eniStatus": "The resource has been deleted."}
    ///     }"#,
    /// )?;
    /// let received = event.received_spelling(&Path::from_keys(["content.eniStatus"]));
    /// let received = received.as_ref().and_then(|value| value.as_str());
    /// assert_eq!(received, Some("The resource has been deleted."));
    /// # Ok::<(), reflexarc_event::EventError>(())
    /// ```
    pub fn received_spelling(&self, path: &Path) -> Option<Json> {
        let received = self.received()?;
        let segments: Vec<&str> = path.segments().collect();
        let canonical = at(self.tree(), &segments)?;
        // The received values in the layout of the native form. `self` was made of it, so the
        // conversion has succeeded before.
        let received = converted(received)
            .ok()?
            .unwrap_or_else(|| received.clone());
        let singular = |plural: &str| LISTS.into_iter().find(|(key, _)| *key == plural);
        let spelled = at(received.tree(), &segments).or_else(|| match segments.as_slice() {
            ["content", key] => at(received.tree(), &["content", singular(key)?.1]),
            _ => None,
        })?;
        (spelled != canonical).then(|| spelled.clone())
    }
}

/// The paths in the native form to which a path of an envelope can lead.
fn native_paths(envelope: Envelope, segments: &[&str]) -> Vec<Path> {
    let aside = |key: &str| Path::from_keys([&[key], segments].concat());
    let mut paths = match envelope {
        Envelope::CloudEvent => {
            let mut paths = renamed(segments, cloudevent::native_key);
            // The CloudEvent may wrap an event of another form whole.
            if let ["data", rest @ ..] = segments
                && !rest.is_empty()
            {
                paths.push(Path::from_keys(rest));
            }
            paths.push(aside("cloudEvent"));
            paths
        }
        Envelope::CloudMonitor => {
            let mut paths = webhook::native_paths(segments);
            paths.push(aside("webhook"));
            paths
        }
        Envelope::CloudMonitorRecord => renamed(segments, history::native_key),
        _ => Vec::new(),
    };
    paths.push(Path::from_keys(segments));
    // The lists of addresses may have come under a key in the singular.
    let plural = |path: &Path| {
        let segments: Vec<&str> = path.segments().collect();
        let ["content", key] = segments.as_slice() else {
            return None;
        };
        let (plural, _) = LISTS.into_iter().find(|(_, singular)| singular == key)?;
        Some(Path::from_keys(["content", plural]))
    };
    let lists: Vec<Path> = paths.iter().filter_map(plural).collect();
    paths.extend(lists);
    paths
}

/// The path with another first key.
fn renamed(segments: &[&str], native_key: fn(&str) -> Option<&'static str>) -> Vec<Path> {
    let Some((first, rest)) = segments.split_first() else {
        return Vec::new();
    };
    let renamed = native_key(first).map(|key| Path::from_keys([&[key], rest].concat()));
    renamed.into_iter().collect()
}

/// The value at a path: through keys, or as a key that contains the dots.
fn at<'a>(tree: &'a Json, segments: &[&str]) -> Option<&'a Json> {
    match segments {
        [] => Some(tree),
        [first, rest @ ..] => tree
            .get(first)
            .and_then(|value| at(value, rest))
            .or_else(|| tree.get(&segments.join("."))),
    }
}
