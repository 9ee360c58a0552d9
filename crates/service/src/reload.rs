//! New rules into force, while events go on coming.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use reflexarc_engine::{FileDiagnostics, RuleSet};

use crate::metrics::{Metrics, OutcomeLabel};

/// Loads the rule files again and puts them in force as a whole, or not at all.
pub struct Reloader {
    paths: Vec<PathBuf>,
    rules: Arc<ArcSwap<RuleSet>>,
    metrics: Arc<Metrics>,
    turn: Mutex<()>,
}

impl Reloader {
    /// For the rules in these files and folders.
    pub fn new(paths: Vec<PathBuf>, rules: Arc<ArcSwap<RuleSet>>, metrics: Arc<Metrics>) -> Self {
        Self { paths, rules, metrics, turn: Mutex::default() }
    }

    /// The files and folders.
    pub fn paths(&self) -> &[PathBuf] {
        &self.paths
    }

    /// Loads and puts in force; how many rules there are now. Events under way finish with the rules they began with.
    ///
    /// # Errors
    /// With everything that is wrong. The rules in force stay.
    pub fn reload(&self) -> Result<usize, Vec<FileDiagnostics>> {
        // One at a time, so that the last to begin is the last to take effect.
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let loaded = RuleSet::load_all(&self.paths);
        let outcome = if loaded.is_ok() { "taken" } else { "refused" };
        self.metrics.reloads.get_or_create(&OutcomeLabel { outcome }).inc();
        match loaded {
            Ok(rules) => {
                let count = rules.len();
                self.rules.store(Arc::new(rules));
                tracing::info!(rules = count, "rules reloaded");
                Ok(count)
            }
            Err(faults) => {
                let files: Vec<&str> =
                    faults.iter().filter(|file| file.has_errors()).map(|file| file.name.as_str()).collect();
                tracing::error!(files = files.join(", "), "the new rules are broken; the old ones stay in force");
                Err(faults)
            }
        }
    }
}
