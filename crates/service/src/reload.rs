//! New rules and settings into force, while events go on coming.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::{ArcSwap, ArcSwapOption};
use reflexarc::{FileDiagnostics, RuleSet};
use reflexarc_diagnostic::{Code, Diagnostic};

use crate::config::{Config, Fixed, Secrets, Source};
use crate::http::{EventBridge, Identity, Tokens};
use crate::log::Redactor;
use crate::metrics::{Metrics, OutcomeLabel};
use crate::queues::Queues;
use crate::store::Retention;

/// What a reload replaces, as it is now. Whoever works with a part of it takes it anew each time.
pub struct InForce {
    /// The rules.
    pub rules: Arc<ArcSwap<RuleSet>>,
    /// Who may do what over HTTP.
    pub tokens: ArcSwap<Tokens>,
    /// Verifies requests of EventBridge.
    pub eventbridge: ArcSwapOption<EventBridge>,
    /// Who we are to TLS clients.
    pub identity: ArcSwapOption<Identity>,
    /// How long things are kept.
    pub retention: ArcSwap<Retention>,
}

/// Loads configuration and rules again and puts them in force as a whole, or not at all.
pub struct Reloader {
    source: Option<Source>,
    rule_paths: Mutex<Vec<PathBuf>>,
    files: Mutex<Vec<PathBuf>>,
    in_force: Arc<InForce>,
    queues: Arc<Queues>,
    redactor: Redactor,
    metrics: Arc<Metrics>,
    restart: ArcSwap<Vec<String>>,
    turn: Mutex<()>,
}

/// What is in force after a reload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reloaded {
    /// How many rules.
    pub rules: u64,
    /// How many targets.
    pub targets: u64,
    /// Settings that were changed in the file, but change only at a restart, such as `http.listen`.
    pub restart: Vec<String>,
}

impl Reloader {
    /// For the rules in these files and folders, and the configuration, where there is one.
    pub(crate) fn new(
        source: Option<Source>,
        rule_paths: Vec<PathBuf>,
        in_force: Arc<InForce>,
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
            in_force,
            queues,
            redactor,
            metrics,
            restart: ArcSwap::default(),
            turn: Mutex::default(),
        }
    }

    /// Every file and folder whose change matters: rules, the configuration, and the files that it names.
    pub fn paths(&self) -> Vec<PathBuf> {
        let mut paths = self.rule_paths();
        paths.extend(self.source.as_ref().map(|source| source.path.clone()));
        paths.extend(
            self.files
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .iter()
                .cloned(),
        );
        paths
    }

    /// As [`Reloaded::restart`], of the last reload.
    pub fn restart_needed(&self) -> Vec<String> {
        self.restart.load().to_vec()
    }

    /// Loads and puts in force. Events under way finish with the rules they began with, sends under way with the settings
    /// they began with.
    ///
    /// # Errors
    /// With everything that is wrong. What was in force stays.
    pub fn reload(&self) -> Result<Reloaded, Vec<FileDiagnostics>> {
        // One at a time, so that the last to begin is the last to take effect.
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let loaded = self.load();
        let outcome = if loaded.is_ok() { "taken" } else { "refused" };
        self.metrics
            .reloads
            .get_or_create(&OutcomeLabel { outcome })
            .inc();
        match loaded {
            Ok((config, rules)) => {
                let count = |length: usize| u64::try_from(length).unwrap_or(u64::MAX);
                let length = count(rules.len());
                let restart = config.map_or_else(Vec::new, |config| self.adopt(config));
                self.in_force.rules.store(Arc::new(rules));
                let targets = count(self.queues.wake().names().len());
                tracing::info!(rules = length, targets, "reloaded");
                if !restart.is_empty() {
                    tracing::warn!(
                        settings = restart.join(", "),
                        "these settings change only at a restart"
                    );
                }
                self.restart.store(Arc::new(restart.clone()));
                Ok(Reloaded {
                    rules: length,
                    targets,
                    restart,
                })
            }
            Err(faults) => {
                let files: Vec<&str> = faults
                    .iter()
                    .filter(|file| file.has_errors())
                    .map(|file| file.name.as_str())
                    .collect();
                let files = files.join(", ");
                tracing::error!(
                    files,
                    "the new rules or settings are broken; the old ones stay in force"
                );
                Err(faults)
            }
        }
    }

    fn load(&self) -> Result<(Option<Config>, RuleSet), Vec<FileDiagnostics>> {
        let Some(source) = &self.source else {
            return Ok((None, RuleSet::load_all(&self.rule_paths())?));
        };
        let environment = |name: &str| std::env::var(name).ok();
        let config = Config::load(&source.path, Secrets::Resolve(&environment))
            .map_err(|file| vec![file])?;
        if !source.fixed.listen.ip().is_loopback() && config.tokens.is_empty() {
            return Err(vec![exposed(&source.path, &source.fixed)]);
        }
        let rules = RuleSet::load_all(&config.rules)?;
        Ok((Some(config), rules))
    }

    /// Puts settings in force; those that cannot be.
    fn adopt(&self, config: Config) -> Vec<String> {
        let restart = self
            .source
            .as_ref()
            .map_or_else(Vec::new, |source| source.fixed.differences(&config.fixed()));
        // Before anything can be said about the new secrets.
        self.redactor.learn(&config.redactor);
        self.queues.replace(config.queues);
        self.in_force.tokens.store(Arc::new(config.tokens));
        self.in_force
            .eventbridge
            .store(config.eventbridge.map(Arc::new));
        self.in_force.identity.store(config.identity.map(Arc::new));
        self.in_force.retention.store(Arc::new(config.retention));
        *self
            .rule_paths
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = config.rules;
        *self.files.lock().unwrap_or_else(PoisonError::into_inner) =
            config.source.map(|source| source.files).unwrap_or_default();
        restart
    }

    fn rule_paths(&self) -> Vec<PathBuf> {
        self.rule_paths
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// The file may say that it listens on loopback now, but until a restart it listens where it did.
fn exposed(path: &Path, fixed: &Fixed) -> FileDiagnostics {
    let message = format!(
        "without tokens everybody who reaches {} may do everything",
        fixed.listen
    );
    let fault = Diagnostic::error(Code::CONFIG_VALUE, 0..0, message);
    let help = "the address changes only at a restart: keep [[http.tokens]] until then";
    FileDiagnostics {
        name: path.display().to_string(),
        text: std::fs::read_to_string(path).unwrap_or_default(),
        diagnostics: vec![fault.with_help(help)],
    }
}
