//! Reloading rules and configuration while events keep coming.
//!
//! A reload reads everything again and takes every part that is valid (`load.rs`); a part that is
//! not stays as it was, and the reload counts as refused. It is triggered by a change of a file, by
//! SIGHUP (`watcher.rs`) or by `POST /reload`.

mod load;
mod refusal;
mod rule_counts;
mod watcher;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use arc_swap::{ArcSwap, ArcSwapOption};
use jiff::Timestamp;
use reflexarc::{FileDiagnostics, InvalidFiles, RuleSet};
use reflexarc_diagnostic::{Code, Diagnostic};

use self::load::{Loaded, Running, display_names, removed_rules};
pub(crate) use self::refusal::Refusal;
use self::rule_counts::RuleCounts;
use self::watcher::WatchedPaths;
pub(crate) use self::watcher::watch;
use crate::config::{Config, ConfigPart, ConfigSource, Validity, display_paths};
use crate::dispatch::Queues;
use crate::live_config::LiveConfig;
use crate::store::StoreError;
use crate::telemetry::{Metrics, OutcomeLabel, ProblemKind, Problems, Redactor};
use crate::timeline::ServiceTimeline;

/// Loads configuration and rules again and makes them live.
pub(crate) struct Reloader {
    source: Option<ConfigSource>,
    rule_paths: Mutex<Vec<PathBuf>>,
    files: Mutex<Vec<PathBuf>>,
    live: Arc<LiveConfig>,
    timeline: ServiceTimeline,
    queues: Arc<Queues>,
    redactor: Redactor,
    metrics: Arc<Metrics>,
    restart: ArcSwap<Vec<String>>,
    started: Instant,
    rule_counts: Mutex<RuleCounts>,
    /// Why the last reload was refused, if it was.
    refusal: ArcSwapOption<Refusal>,
    /// Held during a reload.
    reloading: Mutex<()>,
}

/// The outcome of a reload that took everything.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reloaded {
    /// Number of rules.
    pub rules: u64,
    /// Number of targets.
    pub targets: u64,
    /// The names of rules that do not exist any more.
    pub removed: Vec<String>,
    /// Number of pending keys that were closed, because the windows of their rules changed or are
    /// gone.
    pub closed: u64,
    /// Settings that differ from the running ones but take effect only at a restart, such as
    /// `http.listen`.
    pub restart: Vec<String>,
}

/// The outcome of a reload that did not take everything.
#[derive(Debug)]
pub(crate) struct RefusedReload {
    /// Why.
    pub(crate) errors: InvalidFiles,
    /// As it is kept for `/status`.
    pub(crate) refusal: Arc<Refusal>,
}

impl Reloader {
    /// For the rules in these files and folders, and the configuration file if there is one.
    pub(crate) fn new(
        source: Option<ConfigSource>,
        rule_paths: Vec<PathBuf>,
        live: Arc<LiveConfig>,
        timeline: ServiceTimeline,
        queues: Arc<Queues>,
        redactor: Redactor,
        metrics: Arc<Metrics>,
    ) -> Self {
        let files = source
            .as_ref()
            .map(|source| source.files.clone())
            .unwrap_or_default();
        let rules = live.rules.load().len();
        Self {
            source,
            started: Instant::now(),
            rule_counts: Mutex::new(RuleCounts::new(rules)),
            rule_paths: Mutex::new(rule_paths),
            files: Mutex::new(files),
            live,
            timeline,
            queues,
            redactor,
            metrics,
            restart: ArcSwap::default(),
            refusal: ArcSwapOption::default(),
            reloading: Mutex::default(),
        }
    }

    /// What triggers a reload when it changes: rules, the configuration, and the files that it
    /// names.
    fn paths(&self) -> WatchedPaths {
        let source = self.source.as_ref().map(|source| source.path.clone());
        let named = lock(&self.files).iter().cloned().collect::<Vec<_>>();
        WatchedPaths {
            rules: self.rule_paths(),
            files: source.into_iter().chain(named).collect(),
        }
    }

    /// The problems of the service.
    pub(crate) fn problems(&self) -> &Problems {
        &self.metrics.problems
    }

    /// As [`Reloaded::restart`], of the last reload.
    pub(crate) fn restart_needed(&self) -> Vec<String> {
        self.restart.load().to_vec()
    }

    /// Why the last reload was refused; `None` if it was not, or if there was none.
    pub(crate) fn refusal(&self) -> Option<Arc<Refusal>> {
        self.refusal.load_full()
    }

    /// Reloads. Evaluations and sends that are running finish with the rules and settings that they
    /// began with. `force` confirms a number of rules that falls to 0 or by more than half.
    ///
    /// # Errors
    /// With all diagnostics. The parts that are invalid stay as they were.
    pub(crate) fn reload(&self, force: bool) -> Result<Reloaded, RefusedReload> {
        // One at a time. If two overlapped, the one that read the older files could finish last and
        // win.
        let _reloading = lock(&self.reloading);
        let rules = self.live.rules.load_full();
        let (targets, rule_paths) = (self.queues.known_targets(), self.rule_paths());
        let running = Running {
            rules: &rules,
            most_rules: lock(&self.rule_counts).largest(self.started.elapsed()),
            targets: &targets,
            rule_paths: &rule_paths,
        };
        let loaded = match &self.source {
            // Without a file (tests, embedded use) there are only rules to reload.
            None => Loaded::rules_only(&running, force),
            Some(source) => Loaded::read(source, &running, force),
        };
        // The values of the metric's label, on which alerts are built.
        let taken = loaded.errors.is_empty();
        let outcome = if taken { "taken" } else { "refused" };
        self.metrics
            .reloads
            .get_or_create(&OutcomeLabel { outcome })
            .inc();
        self.metrics.reload_refused.set(i64::from(!taken));
        self.apply(loaded, force)
    }

    fn apply(&self, loaded: Loaded, force: bool) -> Result<Reloaded, RefusedReload> {
        let Loaded {
            config,
            validity,
            rules,
            mut refused,
            mut errors,
            confirmable,
        } = loaded;
        // Targets before rules: a rule that names a new target must not run before that target
        // exists, or its delivery would become a dead letter.
        let restart = match config {
            Some(config) => self.apply_config(config, &validity),
            None => self.restart.load().to_vec(),
        };
        self.restart.store(Arc::new(restart.clone()));
        let (mut removed, mut closed) = (Vec::new(), 0);
        if let Some(rules) = rules {
            match self.replace_rules(rules, force) {
                Ok(replaced) => (removed, closed) = replaced,
                Err(error) => {
                    errors.push(store_failure(&self.rule_paths(), &error));
                    refused.insert(ConfigPart::Rules);
                }
            }
        }
        let rules = self.live.rules.load();
        self.live.budgets.load().warn_unknown_rules(&rules);
        if !restart.is_empty() {
            tracing::warn!(
                settings = restart.join(", "),
                "these settings take effect only at a restart"
            );
        }
        if !errors.is_empty() {
            let errors = InvalidFiles::new(errors);
            let refusal = Arc::new(Refusal::new(
                &errors,
                refused,
                confirmable,
                Timestamp::now(),
            ));
            let problems = &self.metrics.problems;
            // A file that is saved every second would otherwise be eleven lines a second.
            if problems.holds(ProblemKind::ReloadRefused, "", &refusal.first_error()) {
                refusal.log();
            }
            self.refusal.store(Some(refusal.clone()));
            return Err(RefusedReload { errors, refusal });
        }
        self.refusal.store(None);
        self.metrics.problems.over(ProblemKind::ReloadRefused);
        let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
        let rules = count(self.live.rules.load().len());
        let targets = count(self.queues.wake().names().len());
        let tables = count(self.live.rules.load().tables().len());
        tracing::info!(rules, tables, targets, "reloaded");
        Ok(Reloaded {
            rules,
            targets,
            removed,
            closed,
            restart,
        })
    }

    /// Makes the rules live. Returns the names of those that are gone, and how many pending keys
    /// were closed.
    fn replace_rules(&self, rules: RuleSet, force: bool) -> Result<(Vec<String>, u64), StoreError> {
        let before = self.live.rules.load_full();
        let (count, removed) = (rules.len(), removed_rules(&before, &rules));
        let closed = self.timeline.replace_rules(rules)?;
        self.timeline.withdraw_calls_of_other_rules();
        let now = self.started.elapsed();
        lock(&self.rule_counts).record(count, force, now);
        // Also if few: it may not be meant, and the alerts of these rules do not come again.
        if !removed.is_empty() {
            tracing::warn!(
                count = removed.len(),
                rules = display_names(&removed),
                "a reload removed rules"
            );
        }
        if closed > 0 {
            tracing::warn!(
                keys = closed,
                "a reload closed pending keys of changed windows"
            );
        }
        Ok((removed.into_iter().map(str::to_owned).collect(), closed))
    }

    /// Makes the valid parts live. Returns the names of the settings that need a restart.
    fn apply_config(&self, config: Config, validity: &Validity) -> Vec<String> {
        let is_valid = |part| !validity.invalid.contains(&part);
        for warning in config.warnings.iter().flat_map(|file| &file.diagnostics) {
            let message = warning.message.as_str();
            let help = warning.help.as_deref().unwrap_or_default();
            tracing::warn!(message, help, "the configuration has a warning");
        }
        let restart = match &self.source {
            Some(source) if is_valid(ConfigPart::Restart) => source
                .restart_settings
                .differences(&config.restart_settings()),
            _ => self.restart.load().to_vec(),
        };
        // First of all, so that no log line can contain a new secret.
        self.redactor.learn(&config.redactor);
        if is_valid(ConfigPart::Tokens) {
            let tokens = if validity.invalid_tokens.is_empty() {
                config.tokens
            } else {
                // A token is revoked by removing its entry, also while another entry is invalid.
                let previous = self.live.tokens.load();
                config.tokens.with_kept(&previous, &validity.invalid_tokens)
            };
            self.live.tokens.store(Arc::new(tokens));
        }
        if is_valid(ConfigPart::EventBridge) {
            let eventbridge = config.eventbridge.map(Arc::new);
            self.live.eventbridge.store(eventbridge);
        }
        if is_valid(ConfigPart::Access) {
            self.live.access.store(Arc::new(config.access));
        }
        if is_valid(ConfigPart::Tls) {
            let identity = config.tls_identity.map(Arc::new);
            self.live.tls_identity.store(identity);
        }
        if is_valid(ConfigPart::Heartbeat) {
            let heartbeat = config.heartbeat.map(Arc::new);
            self.live.heartbeat.store(heartbeat);
        }
        if is_valid(ConfigPart::Archive) {
            self.live.retention.store(Arc::new(config.retention));
        }
        if is_valid(ConfigPart::Budgets) {
            self.live.budgets.store(Arc::new(config.budgets));
        }
        if is_valid(ConfigPart::Targets) {
            let names = config.queues.iter().map(|queue| queue.name.clone());
            // First, so that no node takes what another one has for unknown.
            self.timeline.announce_targets(&names.collect::<Vec<_>>());
            self.queues.replace(config.queues);
        }
        // Also if the rules are refused: the files to correct are those that are named now.
        *lock(&self.rule_paths) = config.rule_paths;
        // The watcher reads the paths after each reload.
        *lock(&self.files) = config.source.map(|source| source.files).unwrap_or_default();
        restart
    }

    fn rule_paths(&self) -> Vec<PathBuf> {
        lock(&self.rule_paths).clone()
    }
}

/// The rules are valid, but what they wait for cannot be recorded.
fn store_failure(paths: &[PathBuf], error: &StoreError) -> FileDiagnostics {
    let message = format!("the rules cannot become live: {error}");
    let help = "the rules before stay in effect; reload again when the store works";
    FileDiagnostics {
        name: display_paths(paths),
        text: String::new(),
        diagnostics: vec![Diagnostic::error(Code::RULE_FILE, 0..0, message).with_help(help)],
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
