//! What a reload reads, and which parts of it are taken.
//!
//! Each part of the configuration is taken or refused on its own (`ConfigPart`), so that a revoked
//! token is revoked whatever else is wrong. Only targets and rules depend on each other: every
//! target that a rule names must exist.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use reflexarc::{FileDiagnostics, InvalidFiles, RuleSet};
use reflexarc_delivery::config::KnownTarget;
use reflexarc_diagnostic::{Code, Diagnostic};

use crate::config::{
    Config, ConfigPart, ConfigSource, PartialConfig, RestartSettings, Secrets, Validity,
    display_paths,
};
use crate::rule_targets::check_targets;

/// What is in effect before a reload.
pub(super) struct Running<'a> {
    pub(super) rules: &'a RuleSet,
    /// The largest number of rules within a day.
    pub(super) most_rules: usize,
    pub(super) targets: &'a [KnownTarget],
    pub(super) rule_paths: &'a [PathBuf],
}

/// What was read, and what of it is taken.
pub(super) struct Loaded {
    /// `None` without a configuration file, or if no part of it can be used.
    pub(super) config: Option<Config>,
    /// Which parts of the configuration are valid on their own.
    pub(super) validity: Validity,
    /// The rules to take.
    pub(super) rules: Option<RuleSet>,
    /// The parts that are not taken.
    pub(super) refused: BTreeSet<ConfigPart>,
    /// The errors; empty if and only if nothing is refused.
    pub(super) errors: Vec<FileDiagnostics>,
    /// Whether everything that is refused is taken with `force`.
    pub(super) confirmable: bool,
}

/// The largest number of names of removed rules in a message.
const MAX_NAMED: usize = 5;

impl Loaded {
    /// Reads the rules alone.
    pub(super) fn rules_only(running: &Running<'_>, force: bool) -> Self {
        let mut loaded = Self::empty();
        let paths = running.rule_paths;
        loaded.take_rules(RuleSet::load_all(paths), running, paths, None, force);
        loaded
    }

    /// Reads the configuration and the rules.
    pub(super) fn read(source: &ConfigSource, running: &Running<'_>, force: bool) -> Self {
        let mut loaded = Self::empty();
        // The environment of this process, which nothing outside can change: only secrets in files
        // can be rotated without a restart.
        let environment = |name: &str| std::env::var(name).ok();
        let secrets = Secrets::Resolve(&environment);
        let PartialConfig {
            mut config,
            validity,
            errors,
            ..
        } = match Config::load_parts(&source.path, secrets) {
            Ok(partial) => partial,
            Err(invalid) => {
                loaded.refused.extend(ConfigPart::ALL);
                loaded.errors.extend(invalid.into_files());
                return loaded;
            }
        };
        loaded.refused.extend(&validity.invalid);
        if !validity.invalid_tokens.is_empty() {
            loaded.refused.insert(ConfigPart::Tokens);
        }
        loaded.errors.extend(errors);
        let open = config.tokens.is_open() && validity.invalid_tokens.is_empty();
        let public = !source.restart_settings.listen.ip().is_loopback();
        loaded.validity = validity;
        if open && public && !loaded.refused.contains(&ConfigPart::Tokens) {
            let error = missing_tokens(&source.path, &source.restart_settings);
            loaded.errors.push(error);
            loaded.refuse(ConfigPart::Tokens);
        }
        let targets = (!loaded.refused.contains(&ConfigPart::Targets))
            .then(|| std::mem::take(&mut config.known_targets));
        let paths = std::mem::take(&mut config.rule_paths);
        if !loaded.refused.contains(&ConfigPart::Rules) {
            let rules = config.read_rules(&paths);
            loaded.take_rules(rules, running, &paths, targets.as_deref(), force);
        } else if let Some(new) = &targets {
            loaded.check_new_targets(running.rules, new);
        }
        config.rule_paths = paths;
        config.known_targets = targets.unwrap_or_default();
        loaded.config = Some(config);
        loaded
    }

    fn empty() -> Self {
        Self {
            config: None,
            validity: Validity::default(),
            rules: None,
            refused: BTreeSet::new(),
            errors: Vec::new(),
            confirmable: false,
        }
    }

    fn refuse(&mut self, part: ConfigPart) {
        self.refused.insert(part);
        self.validity.invalid.insert(part);
    }

    /// Takes the rules, which were read from `paths`, if they are valid, and decides whether the
    /// new targets can be taken: `None` if they are invalid or there are none to read.
    //
    // In the order of preference: both; the new targets under the old rules, for example a rotated
    // secret while a rule file is broken; the new rules on the old targets.
    fn take_rules(
        &mut self,
        rules: Result<RuleSet, InvalidFiles>,
        running: &Running<'_>,
        paths: &[PathBuf],
        new_targets: Option<&[KnownTarget]>,
        force: bool,
    ) {
        let after = new_targets.unwrap_or(running.targets);
        let valid = self.errors.is_empty();
        let rules = match rules {
            Ok(rules) => rules,
            Err(invalid) => {
                self.errors.extend(invalid.into_files());
                self.refuse(ConfigPart::Rules);
                return self.keep_rules(running, new_targets);
            }
        };
        if let Err(invalid) = check_targets(&rules, after) {
            self.errors.extend(invalid.into_files());
            // A target was removed or renamed, and the rules still name it: they go on together.
            let fits_old = check_targets(&rules, running.targets).is_ok();
            let old_fits = check_targets(running.rules, after).is_ok();
            if new_targets.is_none() || old_fits || !fits_old {
                self.refuse(ConfigPart::Rules);
                return self.keep_rules(running, new_targets);
            }
            self.refuse(ConfigPart::Targets);
        }
        if !force && let Some(error) = count_falls(running, &rules, paths) {
            self.confirmable = valid && self.errors.is_empty();
            self.errors.push(error);
            self.refuse(ConfigPart::Rules);
            return self.keep_rules(running, new_targets);
        }
        self.rules = Some(rules);
    }

    /// The rules in effect stay: the new targets are taken only if they fit.
    fn keep_rules(&mut self, running: &Running<'_>, new_targets: Option<&[KnownTarget]>) {
        if let Some(new) = new_targets
            && !self.refused.contains(&ConfigPart::Targets)
        {
            self.check_new_targets(running.rules, new);
        }
    }

    fn check_new_targets(&mut self, rules: &RuleSet, targets: &[KnownTarget]) {
        let Err(invalid) = check_targets(rules, targets) else {
            return;
        };
        self.refuse(ConfigPart::Targets);
        // Where the file still names the target, the error is there already.
        let listed: BTreeSet<&str> = self.errors.iter().map(|file| file.name.as_str()).collect();
        let files = invalid.into_files().into_iter();
        let new: Vec<_> = files
            .filter(|file| !listed.contains(file.name.as_str()))
            .collect();
        self.errors.extend(new);
    }
}

/// The error if more than half of the rules would be gone, or all of them.
//
// A folder that is not mounted, a checkout that stopped half-way and a wrong path look the same as
// rules that were deleted on purpose; and each event in between would go unnoticed.
fn count_falls(running: &Running<'_>, new: &RuleSet, paths: &[PathBuf]) -> Option<FileDiagnostics> {
    let (old, most) = (running.rules, running.most_rules);
    // Less than half of the most is not enough: 10 rules that fell to 5 may fall to 4, but 10 that
    // fell to 5 and stay at 5 are no news.
    if !falls_too_far(most, new.len()) || new.len() >= old.len() {
        return None;
    }
    let place = display_paths(paths);
    let were = if most > old.len() {
        format!("{most} were in effect within the last day")
    } else {
        format!("{most} are in effect")
    };
    let message = if new.is_empty() {
        format!("no rules in {place}, where {were}")
    } else {
        let (left, names) = (new.len(), display_names(&removed_rules(old, new)));
        format!("{left} rules in {place}, where {were}; removed: {names}")
    };
    let help = "restore the files; if this is intended, confirm it with `reflexarc reload --force` \
                or POST /reload?force=true";
    Some(FileDiagnostics {
        name: place,
        text: String::new(),
        diagnostics: vec![Diagnostic::error(Code::RULE_FILE, 0..0, message).with_help(help)],
    })
}

/// The names of the rules of `old` that are not in `new`.
pub(super) fn removed_rules<'a>(old: &'a RuleSet, new: &RuleSet) -> Vec<&'a str> {
    let names = old.rules().map(reflexarc::Rule::name);
    names.filter(|name| new.get(name).is_none()).collect()
}

/// The first few names, and how many more there are.
pub(super) fn display_names(names: &[&str]) -> String {
    let listed = names.get(..MAX_NAMED).unwrap_or(names).join(", ");
    match names.len().saturating_sub(MAX_NAMED) {
        0 => listed,
        more => format!("{listed} and {more} more"),
    }
}

/// Whether the number of rules falls to 0 or by more than half.
fn falls_too_far(old: usize, new: usize) -> bool {
    // 10 → 5 and 1 → 1 are taken; 10 → 4 and 1 → 0 are not.
    new.saturating_mul(2) < old
}

/// The new file may say `listen = "127.0.0.1:…"`, where no tokens are needed; but until a restart
/// the service listens on the old address, which others can reach.
fn missing_tokens(path: &Path, settings: &RestartSettings) -> FileDiagnostics {
    let message = format!(
        "missing tokens: without them anyone who can reach {} may do everything",
        settings.listen
    );
    let help = "the address changes only at a restart: keep [[http.tokens]] until then";
    let (name, text) = crate::config::read_file(path).unwrap_or_else(|file| (file.name, file.text));
    FileDiagnostics {
        name,
        text,
        diagnostics: vec![Diagnostic::error(Code::CONFIG_VALUE, 0..0, message).with_help(help)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_fall_by_more_than_half_needs_a_confirmation() {
        for (old, new, refused) in [
            (10, 5, false),
            (10, 4, true),
            (3, 2, false),
            (3, 1, true),
            (2, 1, false),
            (1, 0, true),
            (0, 0, false),
            (0, 7, false),
        ] {
            assert_eq!(falls_too_far(old, new), refused, "{old} to {new}");
        }
    }
}
