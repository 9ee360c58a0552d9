//! What all targets that take calls have: which operations are allowed, and how many changes.

use jiff::SignedDuration;
use reflexarc_diagnostic::toml::EmbeddedText;
use reflexarc_diagnostic::{Code, Diagnostic};

use super::ConfigTable;
use crate::call::{CallSettings, ChangeLimit};
use crate::operation_patterns::OperationPatterns;

/// The longest `expires`: what a call is about has changed by then.
const MAX_EXPIRES: SignedDuration = SignedDuration::from_hours(24);
/// The largest number of changes, a minute or a day.
const MAX_CHANGES: u64 = 1_000_000;

/// The keys of calls, besides `allow`.
pub(super) struct CallKeys {
    pub(super) dry_run: Option<bool>,
    pub(super) changes: ChangeLimit,
    pub(super) expires: SignedDuration,
}

impl CallKeys {
    /// Reads `dry_run`, `max_changes` and `expires`.
    pub(super) fn read(keys: &ConfigTable<'_>) -> Self {
        let expires = keys.duration("expires").unwrap_or(CallSettings::EXPIRES);
        if expires > MAX_EXPIRES {
            let message = format!("`expires` is longer than {MAX_EXPIRES:#}");
            let help = "set it to \"24h\" or less";
            keys.fault("expires", Code::CONFIG_VALUE, message, help);
        }
        Self {
            dry_run: keys.boolean("dry_run"),
            changes: change_limit(keys),
            expires,
        }
    }
}

/// `max_changes = { per_minute = 10, per_day = 100 }`.
fn change_limit(keys: &ConfigTable<'_>) -> ChangeLimit {
    let mut limit = ChangeLimit::default();
    if let Some(table) = keys.table("max_changes") {
        let read = |key, default| table.integer(key, 0..=MAX_CHANGES).unwrap_or(default);
        limit.per_minute = read("per_minute", limit.per_minute);
        limit.per_day = read("per_day", limit.per_day);
        table.finish();
    }
    limit
}

/// The patterns of a key, each of which `check` accepts or says how to write.
pub(super) fn operation_patterns(
    keys: &ConfigTable<'_>,
    key: &str,
    check: impl Fn(&str) -> Result<(), String>,
) -> Option<OperationPatterns> {
    let patterns = keys.nonempty_strings(key)?;
    let mut are_valid = true;
    // All of them are reported, and none is left out: `allow` without a pattern that is wrong would
    // answer `NotAllowed` to what its author has allowed.
    for pattern in &patterns {
        if let Err(help) = check(pattern.text()) {
            let message = format!("invalid operation `{}` in `{key}`", pattern.text());
            let fault = Diagnostic::error(Code::CONFIG_VALUE, pattern.span(), message);
            keys.report(fault.with_help(help));
            are_valid = false;
        }
    }
    are_valid.then_some(())?;
    let texts = patterns.into_iter().map(EmbeddedText::into_text);
    Some(OperationPatterns::new(texts))
}
