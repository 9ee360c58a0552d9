//! The configuration file, for the commands that need it.

use std::path::PathBuf;
use std::sync::Arc;

use reflexarc::RuleSet;
use reflexarc_service::{Config, Secrets, Store, StoreError, StoreOptions, start_logging};

use crate::exit::Failure;

/// Where the configuration is.
#[derive(Debug, clap::Args)]
pub(crate) struct Configured {
    /// The configuration
    #[arg(long, default_value = "reflexarc.toml", value_name = "FILE")]
    config: PathBuf,
}

impl Configured {
    /// Reads it, secrets included.
    pub(crate) fn load(&self) -> Result<Config, Failure> {
        let environment = |name: &str| std::env::var(name).ok();
        Config::load(&self.config, Secrets::Resolve(&environment))
            .map_err(|file| Failure::Rules(vec![file]))
    }

    /// Reads it without looking for secrets: operators' commands run where the service's secrets are not.
    pub(crate) fn load_without_secrets(&self) -> Result<Config, Failure> {
        Config::load(&self.config, Secrets::Leave).map_err(|file| Failure::Rules(vec![file]))
    }

    /// Opens the store that it names, which must be there. The service may be running on it.
    pub(crate) fn store(&self) -> Result<(Config, Arc<Store>), Failure> {
        let config = self.load_without_secrets()?;
        if !config.store_path.exists() {
            return Err(Failure::Runtime(format!(
                "there is no store at {}",
                config.store_path.display()
            )));
        }
        let options = StoreOptions {
            check: false,
            ..config.store_options.clone()
        };
        let store = Store::open(&config.store_path, &options).map_err(failed)?;
        Ok((config, Arc::new(store)))
    }

    /// As [`Configured::store`], with the rules as they are now.
    pub(crate) fn store_and_rules(&self) -> Result<(Arc<Store>, RuleSet), Failure> {
        let (config, store) = self.store()?;
        let rules = RuleSet::load_all(&config.rules).map_err(Failure::Rules)?;
        Ok((store, rules))
    }
}

/// Starts logging and opens the store, for the process that delivers.
pub(crate) fn opened(config: &Config) -> Result<Arc<Store>, Failure> {
    start_logging(&config.log, config.redactor.clone()).map_err(Failure::Invalid)?;
    Ok(Arc::new(
        Store::open(&config.store_path, &config.store_options).map_err(failed)?,
    ))
}

/// A failure of the store as one of a command.
#[expect(clippy::needless_pass_by_value, reason = "it is given to map_err")]
pub(crate) fn failed(error: StoreError) -> Failure {
    Failure::Runtime(error.to_string())
}

/// A runtime for what the service does asynchronously.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    Ok(tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?)
}
