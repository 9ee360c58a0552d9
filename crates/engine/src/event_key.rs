//! Which events belong together: the values at the paths of `by`, or of the key of a gate.

use reflexarc_diagnostic::toml::EmbeddedText;
use reflexarc_event::{Event, FieldSet, Json};

use crate::event_value::{fields_of, scalar_at};
use crate::lookup::RowPath;

/// The paths of the values that events with the same key have in common.
#[derive(Debug, Clone, Default)]
pub(crate) struct EventKey {
    paths: Vec<EmbeddedText>,
    /// What is read of an event to find the values.
    fields: FieldSet,
    /// For each path, the column of a lookup that it names; empty if none of them does.
    lookups: Vec<Option<RowPath>>,
}

/// Bytes of the key of a match, as JSON. One with more is not followed.
pub(crate) const MAX_KEY_BYTES: usize = 1024;

impl EventKey {
    /// The key with these paths, each with the column of a lookup that it names, if any.
    pub(crate) fn new(paths: Vec<(EmbeddedText, Option<RowPath>)>) -> Self {
        let (paths, mut lookups): (Vec<_>, Vec<_>) = paths.into_iter().unzip();
        if lookups.iter().all(Option::is_none) {
            lookups.clear();
        }
        let mut key = Self {
            paths,
            fields: FieldSet::default(),
            lookups,
        };
        key.fields = fields_of(key.event_paths().map(EmbeddedText::text));
        key
    }

    /// None where all events have the same key.
    pub(crate) fn paths(&self) -> &[EmbeddedText] {
        &self.paths
    }

    /// The paths of fields of the event, without those of lookups.
    pub(crate) fn event_paths(&self) -> impl Iterator<Item = &EmbeddedText> {
        let paths = self.paths.iter().enumerate();
        paths
            .filter(|(at, _)| self.row_path(*at).is_none())
            .map(|(_, path)| path)
    }

    /// The columns of lookups among the paths.
    pub(crate) fn row_paths(&self) -> impl Iterator<Item = &RowPath> {
        self.lookups.iter().flatten()
    }

    /// The value of the event at the path, or of the row that a lookup finds for it; for several
    /// paths an array of them. Values that filters take for equal are one key. Without a value at
    /// each path, the reason.
    pub(crate) fn of(&self, event: &Event) -> Result<Json, String> {
        let tree = event.partial_tree(&self.fields);
        let value = |at: usize, path: &EmbeddedText| match self.row_path(at) {
            None => scalar_at(&tree, path.text(), "the event"),
            Some(path) => path.value(event),
        };
        match &self.paths[..] {
            [path] => value(0, path),
            paths => {
                let values = paths.iter().enumerate();
                let values = values.map(|(at, path)| value(at, path));
                Ok(Json::Array(values.collect::<Result<_, _>>()?))
            }
        }
    }

    fn row_path(&self, at: usize) -> Option<&RowPath> {
        self.lookups.get(at)?.as_ref()
    }
}

/// The same paths, wherever they are written.
impl PartialEq for EventKey {
    fn eq(&self, other: &Self) -> bool {
        let texts = |key: &Self| {
            key.paths
                .iter()
                .map(|path| path.text().to_owned())
                .collect()
        };
        let (a, b): (Vec<String>, Vec<String>) = (texts(self), texts(other));
        a == b
    }
}

impl Eq for EventKey {}
