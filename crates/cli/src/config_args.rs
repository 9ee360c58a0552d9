//! Arguments of the commands that need the configuration, and what these commands open with it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use reflexarc::RuleSet;
use reflexarc_service::config::Secrets;
use reflexarc_service::telemetry::start_logging;
use reflexarc_service::{Config, Store, StoreError, open_store};

use crate::exit::Failure;
use crate::output::Format;
use crate::service_args::ServiceArgs;

/// The path of the configuration.
#[derive(Debug, clap::Args)]
pub(crate) struct ConfigArgs {
    /// Configuration file
    #[arg(long, default_value = "reflexarc.toml", value_name = "FILE")]
    config: PathBuf,
}

/// Arguments of the commands that print from the store.
#[derive(Debug, clap::Args)]
pub(crate) struct StoreReportArgs {
    #[command(flatten)]
    pub(crate) config: ConfigArgs,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: Format,
}

impl ConfigArgs {
    /// Those of a command line with this file.
    pub(crate) fn of(config: &Path) -> Self {
        Self {
            config: config.to_owned(),
        }
    }

    /// Reads the configuration and resolves its secrets.
    pub(crate) fn load(&self) -> Result<Config, Failure> {
        let environment = |name: &str| std::env::var(name).ok();
        Ok(Config::load(&self.config, Secrets::Resolve(&environment))?)
    }

    /// Reads the configuration without resolving its secrets.
    pub(crate) fn load_without_secrets(&self) -> Result<Config, Failure> {
        load_without_secrets(&self.config)
    }

    /// Reads the configuration and resolves only the secrets of its store.
    ///
    /// Operators run `trace`, `dlq` and the like from their own shell, where the other secrets of
    /// the service are not set.
    pub(crate) fn load_for_store(&self) -> Result<Config, Failure> {
        let environment = |name: &str| std::env::var(name).ok();
        Ok(Config::load(&self.config, Secrets::Store(&environment))?)
    }

    /// Reads the configuration with every secret empty: its targets can be described, but not used.
    pub(crate) fn load_with_blank_secrets(&self) -> Result<Config, Failure> {
        load_with_blank_secrets(&self.config)
    }

    /// The running service of the configuration.
    pub(crate) fn service(&self) -> ServiceArgs {
        ServiceArgs::of_config(&self.config)
    }

    /// Opens the existing store of the configuration; the service may be running on it.
    pub(crate) fn open_store(&self) -> Result<(Config, Arc<dyn Store>), Failure> {
        let config = self.load_for_store()?;
        if !config.store.has_store().map_err(store_failure)? {
            return Err(Failure::Runtime(format!(
                "no store at {}; the service creates it at its first start",
                config.store
            )));
        }
        let store = open_store(&config).map_err(store_failure)?;
        Ok((config, store))
    }

    /// Opens the store as [`ConfigArgs::open_store`] does, and loads the current rules.
    pub(crate) fn open_store_and_rules(
        &self,
    ) -> Result<(Config, Arc<dyn Store>, RuleSet), Failure> {
        let (config, store) = self.open_store()?;
        let rules = config.read_rules(&config.rule_paths)?;
        Ok((config, store, rules))
    }
}

/// Reads a configuration without resolving its secrets.
pub(crate) fn load_without_secrets(path: &Path) -> Result<Config, Failure> {
    Ok(Config::load(path, Secrets::Skip)?)
}

/// Reads a configuration with every secret empty.
pub(crate) fn load_with_blank_secrets(path: &Path) -> Result<Config, Failure> {
    Ok(Config::load(path, Secrets::Blank)?)
}

/// Starts logging and opens the store, for a process that delivers.
pub(crate) fn open_for_delivery(config: &Config) -> Result<Arc<dyn Store>, Failure> {
    start_logging(&config.log, config.log_format, config.redactor.clone())
        .map_err(|error| Failure::Invalid(error.to_string()))?;
    open_store(config).map_err(store_failure)
}

/// A store error as the failure of a command.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the signature that map_err needs"
)]
pub(crate) fn store_failure(error: StoreError) -> Failure {
    Failure::Runtime(error.to_string())
}

/// A tokio runtime for the asynchronous parts of the service.
pub(crate) fn tokio_runtime() -> Result<tokio::runtime::Runtime, Failure> {
    Ok(tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?)
}
