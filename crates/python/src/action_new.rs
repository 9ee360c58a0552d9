//! Actions that a program makes itself.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::SignedDuration;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use reflexarc_event::Level;
use reflexarc_reaction::Action;

use crate::action::PyAction;
use crate::action_origin::ActionOrigin;

/// When a program's action is delivered, and under which name it waits.
pub(crate) struct Waiting<'a> {
    pub(crate) after: Option<Duration>,
    pub(crate) key: Option<String>,
    pub(crate) rule: &'a str,
}

impl Waiting<'_> {
    /// The action as one of its rule, of no event.
    pub(crate) fn of(self, mut action: Action) -> PyResult<PyAction> {
        if let Some(after) = self.after {
            // Durations as text are exact to the millisecond.
            let millis = i64::try_from(after.as_millis())
                .map_err(|_| PyValueError::new_err("invalid after: it is too long"))?;
            action = action.with_after(SignedDuration::from_millis(millis));
        }
        if let Some(key) = self.key {
            action = action.with_key(key);
        }
        Ok(PyAction {
            rule: self.rule.to_owned(),
            hop: 0,
            causes: Vec::new(),
            labels: BTreeMap::new(),
            firing: None,
            scope: None,
            event: None,
            // Of no evaluation: it is known by an id of its own.
            origin: ActionOrigin::default(),
            action,
        })
    }
}

/// The level of a message by its name.
pub(crate) fn level(name: &str) -> PyResult<Level> {
    [Level::Info, Level::Warn, Level::Critical]
        .into_iter()
        .find(|level| level.lowercase() == name)
        .ok_or_else(|| {
            PyValueError::new_err(format!(
                "invalid level={name:?}: expected \"info\", \"warn\" or \"critical\""
            ))
        })
}
