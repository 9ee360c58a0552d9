//! Reloading rules and configuration while events keep coming.
//!
//! A reload reads everything again and applies it as a whole or not at all: a broken rule file
//! leaves the old tokens in effect too, so that there is one state to reason about. It is triggered
//! by a change of a file, by SIGHUP (`watcher.rs`) or by `POST /reload`.

mod refusal;
mod watcher;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::{ArcSwap, ArcSwapOption};
use jiff::Timestamp;
use reflexarc::{FileDiagnostics, InvalidFiles, RuleSet};
use reflexarc_diagnostic::{Code, Diagnostic};

pub(crate) use self::refusal::Refusal;
pub(crate) use self::watcher::watch;
use crate::config::{Config, ConfigSource, RestartSettings, Secrets};
use crate::dispatch::Queues;
use crate::live_config::{LiveConfig, LiveSettings};
use crate::rule_targets::check_targets;
use crate::telemetry::{Metrics, OutcomeLabel, Redactor};

/// Loads configuration and rules again and makes them live.
pub(crate) struct Reloader {
    source: Option<ConfigSource>,
    rule_paths: Mutex<Vec<PathBuf>>,
    files: Mutex<Vec<PathBuf>>,
    live: Arc<LiveConfig>,
    queues: Arc<Queues>,
    redactor: Redactor,
    metrics: Arc<Metrics>,
    restart: ArcSwap<Vec<String>>,
    /// Why the last reload was refused, if it was.
    refusal: ArcSwapOption<Refusal>,
    /// Held during a reload.
    reloading: Mutex<()>,
}

/// The outcome of a successful reload.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reloaded {
    /// Number of rules.
    pub rules: u64,
    /// Number of targets.
    pub targets: u64,
    /// Settings that differ from the running ones but take effect only at a restart, such as
    /// `http.listen`.
    pub restart: Vec<String>,
}

impl Reloader {
    /// For the rules in these files and folders, and the configuration file if there is one.
    pub(crate) fn new(
        source: Option<ConfigSource>,
        rule_paths: Vec<PathBuf>,
        live: Arc<LiveConfig>,
        queues: Arc<Queues>,
        redactor: Redactor,
        metrics: Arc<Metrics>,
    ) -> Self {
        let files = source
            .as_ref()
            .map(|source| source.files.clone())
            .unwrap_or_default();
        Self {
            source,
            rule_paths: Mutex::new(rule_paths),
            files: Mutex::new(files),
            live,
            queues,
            redactor,
            metrics,
            restart: ArcSwap::default(),
            refusal: ArcSwapOption::default(),
            reloading: Mutex::default(),
        }
    }

    /// Every file and folder whose change triggers a reload: rules, the configuration, and the
    /// files that it names.
    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        let mut paths = self.rule_paths();
        paths.extend(self.source.as_ref().map(|source| source.path.clone()));
        paths.extend(lock(&self.files).iter().cloned());
        paths
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
    /// began with.
    ///
    /// # Errors
    /// With all diagnostics. The old rules and settings stay in effect.
    pub(crate) fn reload(&self) -> Result<Reloaded, InvalidFiles> {
        // One at a time. If two overlapped, the one that read the older files could finish last and
        // win.
        let _reloading = lock(&self.reloading);
        let loaded = self.load();
        // The values of the metric's label, on which alerts are built.
        let outcome = if loaded.is_ok() { "taken" } else { "refused" };
        self.metrics
            .reloads
            .get_or_create(&OutcomeLabel { outcome })
            .inc();
        match loaded {
            Ok((config, rules)) => {
                self.refusal.store(None);
                Ok(self.apply(config, rules))
            }
            Err(error) => {
                let refusal = Refusal::new(&error, Timestamp::now());
                refusal.log();
                self.refusal.store(Some(Arc::new(refusal)));
                Err(error)
            }
        }
    }

    fn load(&self) -> Result<(Option<Config>, RuleSet), InvalidFiles> {
        let Some(source) = &self.source else {
            // Without a file (tests, embedded use) there are only rules to reload.
            let rules = RuleSet::load_all(&self.rule_paths())?;
            check_targets(&rules, &self.queues.wake().names())?;
            return Ok((None, rules));
        };
        // The environment of this process, which nothing outside can change: only secrets in files
        // can be rotated without a restart.
        let environment = |name: &str| std::env::var(name).ok();
        let config = Config::load(&source.path, Secrets::Resolve(&environment))?;
        if !source.restart_settings.listen.ip().is_loopback() && config.tokens.is_empty() {
            return Err(missing_tokens(&source.path, &source.restart_settings).into());
        }
        for warning in config.warnings.iter().flat_map(|file| &file.diagnostics) {
            let message = warning.message.as_str();
            let help = warning.help.as_deref().unwrap_or_default();
            tracing::warn!(message, help, "the configuration has a warning");
        }
        let rules = config.load_rules()?;
        Ok((Some(config), rules))
    }

    fn apply(&self, config: Option<Config>, rules: RuleSet) -> Reloaded {
        let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
        let rule_count = count(rules.len());
        // Targets before rules: a rule that names a new target must not run before that target
        // exists, or its delivery would become a dead letter.
        let restart = config.map_or_else(Vec::new, |config| self.apply_config(config));
        self.live.rules.store(Arc::new(rules));
        let targets = count(self.queues.wake().names().len());
        tracing::info!(rules = rule_count, targets, "reloaded");
        if !restart.is_empty() {
            tracing::warn!(
                settings = restart.join(", "),
                "these settings take effect only at a restart"
            );
        }
        self.restart.store(Arc::new(restart.clone()));
        Reloaded {
            rules: rule_count,
            targets,
            restart,
        }
    }

    /// Makes settings live. Returns the names of those that need a restart.
    fn apply_config(&self, config: Config) -> Vec<String> {
        let restart = self.source.as_ref().map_or_else(Vec::new, |source| {
            source
                .restart_settings
                .differences(&config.restart_settings())
        });
        // First of all, so that no log line can contain a new secret.
        self.redactor.learn(&config.redactor);
        self.queues.replace(config.queues);
        self.live.replace_settings(LiveSettings {
            tokens: config.tokens,
            eventbridge: config.eventbridge,
            tls_identity: config.tls_identity,
            retention: config.retention,
        });
        *lock(&self.rule_paths) = config.rule_paths;
        // The watcher reads the paths after each reload.
        *lock(&self.files) = config.source.map(|source| source.files).unwrap_or_default();
        restart
    }

    fn rule_paths(&self) -> Vec<PathBuf> {
        lock(&self.rule_paths).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The new file may say `listen = "127.0.0.1:…"`, where no tokens are needed; but until a restart
/// the service listens on the old address, which others can reach.
fn missing_tokens(path: &Path, settings: &RestartSettings) -> FileDiagnostics {
    let message = format!(
        "missing tokens: without them anyone who can reach {} may do everything",
        settings.listen
    );
    let help = "the address changes only at a restart: keep [[http.tokens]] until then";
    FileDiagnostics {
        name: path.display().to_string(),
        text: std::fs::read_to_string(path).unwrap_or_default(),
        diagnostics: vec![Diagnostic::error(Code::CONFIG_VALUE, 0..0, message).with_help(help)],
    }
}
