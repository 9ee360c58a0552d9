//! `after`, `key` and `cancel`: actions that are delivered later, and the names under which a rule
//! cancels and replaces them.

use jiff::SignedDuration;
use reflexarc_diagnostic::{format_duration, nearest, parse_duration};
use rhai::{Dynamic, Map};

use crate::ReactionLimits;
use crate::run::{BuiltinResult, Run, grouped};

/// The fields of the last map of `send` and `call`.
pub(crate) const DELAY_FIELDS: [&str; 2] = ["after", "key"];

/// When an action is delivered, and its name.
#[derive(Debug, Default)]
pub(super) struct Delay {
    pub(super) after: Option<SignedDuration>,
    pub(super) key: Option<String>,
}

impl Delay {
    /// Reads the fields `after` and `key` of a map of `function`.
    pub(super) fn read(
        run: &Run<'_>,
        function: &str,
        after: Option<&Dynamic>,
        key: Option<&Dynamic>,
    ) -> BuiltinResult<Self> {
        let after = super::string(function, "after", after)?;
        let key = super::string(function, "key", key)?;
        Ok(Self {
            after: match after {
                Some(text) => Some(checked_after(run, function, &text)?),
                None => None,
            },
            key: match key {
                Some(key) => Some(checked_key(run, function, &key)?),
                None => None,
            },
        })
    }

    /// Reads the last map of `send` or `call`.
    pub(super) fn of_map(run: &Run<'_>, function: &str, fields: &Map) -> BuiltinResult<Self> {
        let mut found = [None; DELAY_FIELDS.len()];
        for (name, value) in fields {
            // An error, not ignored: with `afer` a document would be sent at once.
            let place = DELAY_FIELDS.iter().position(|known| name == known);
            let place = place.ok_or_else(|| unknown_field(function, name))?;
            found[place] = Some(value).filter(|value| !value.is_unit());
        }
        let [after, key] = found;
        Self::read(run, function, after, key)
    }

    /// The size of what the script gave.
    pub(super) fn bytes(&self) -> usize {
        self.key.as_ref().map_or(0, String::len)
    }
}

pub(super) fn cancel(run: &Run<'_>, key: &str) -> BuiltinResult<()> {
    run.cancel(&checked_key(run, "cancel", key)?)
}

/// The duration of `after`, which is longer than zero.
pub(crate) fn parse_after(function: &str, text: &str) -> Result<SignedDuration, String> {
    parse_duration(text).map_err(|invalid| format!("`after` of `{function}`: {invalid}"))
}

/// Why a delay is too long, if it is.
pub(crate) fn too_long(
    function: &str,
    after: SignedDuration,
    limits: &ReactionLimits,
) -> Option<String> {
    let longest = SignedDuration::try_from(limits.delay).unwrap_or(SignedDuration::MAX);
    (after > longest).then(|| {
        let (after, longest) = (format_duration(after), format_duration(longest));
        format!("`after` of `{function}`: {after} is longer than {longest}")
    })
}

/// Why a name is empty, if it is.
pub(crate) fn empty_key(function: &str, key: &str) -> Option<String> {
    // Spaces too: they come of a field that an event has empty.
    let is_empty = key.trim().is_empty();
    is_empty.then(|| format!("the key of `{function}` is empty"))
}

/// Why a name has too many bytes, if it has.
pub(crate) fn long_key(function: &str, key: &str, limits: &ReactionLimits) -> Option<String> {
    let max = limits.delay_key_bytes;
    let is_long = key.len() > max;
    is_long.then(|| {
        let max = grouped(max);
        format!("the key of `{function}` has more than {max} bytes")
    })
}

fn checked_after(run: &Run<'_>, function: &str, text: &str) -> BuiltinResult<SignedDuration> {
    let after = parse_after(function, text)?;
    match too_long(function, after, run.limits) {
        Some(message) => run.exceeded("delay", message),
        None => Ok(after),
    }
}

fn checked_key(run: &Run<'_>, function: &str, key: &str) -> BuiltinResult<String> {
    if let Some(message) = empty_key(function, key) {
        return Err(message.into());
    }
    match long_key(function, key, run.limits) {
        Some(message) => run.exceeded("delay_key_bytes", message),
        None => Ok(key.to_owned()),
    }
}

fn unknown_field(function: &str, name: &str) -> String {
    let hint = match nearest(name, DELAY_FIELDS) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("expected one of: {}", DELAY_FIELDS.join(", ")),
    };
    format!("unknown field `{name}` in the last map of `{function}`; {hint}")
}
