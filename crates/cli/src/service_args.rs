//! Arguments of the commands that call a running service: its address and credentials, by default
//! those in the configuration.

use std::path::{Path, PathBuf};

use reflexarc_delivery::http::certificates;
use reflexarc_service::config::ClientSettings;
use reflexarc_service::operate::{Remote, RemoteError};
use reflexarc_service::security::Role;

use crate::exit::Failure;

/// The configuration that is read if it exists.
const DEFAULT_CONFIG: &str = "reflexarc.toml";
/// The address of a service without configuration.
const DEFAULT_URL: &str = "http://127.0.0.1:8321";
/// The environment variable whose token takes precedence over the tokens of the configuration.
const DEFAULT_TOKEN_ENV: &str = "REFLEXARC_TOKEN";

/// The address and credentials of a running service.
#[derive(Debug, clap::Args)]
pub(crate) struct ServiceArgs {
    /// Configuration file with the address, certificate and tokens of the service
    /// [default: reflexarc.toml, if it exists]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Address of the service, instead of that in the configuration; without --config no token of
    /// the configuration is sent to it
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Environment variable with the bearer token
    /// [default: `REFLEXARC_TOKEN` if it is set, else a token of the configuration]
    #[arg(long, value_name = "NAME")]
    token_env: Option<String>,
    /// PEM file of certificate authorities to trust in addition to those of the system
    #[arg(long, value_name = "FILE")]
    authorities: Option<PathBuf>,
}

impl ServiceArgs {
    /// The service of this configuration.
    pub(crate) fn of_config(config: &Path) -> Self {
        Self {
            config: Some(config.to_owned()),
            url: None,
            token_env: None,
            authorities: None,
        }
    }

    /// A client of the service, for a request that requires `role`.
    pub(crate) fn remote(&self, role: Role) -> Result<Remote, Failure> {
        let settings = self.settings(role)?;
        let name = self.token_env.as_deref().unwrap_or(DEFAULT_TOKEN_ENV);
        let token = std::env::var(name).ok().filter(|token| !token.is_empty());
        // A variable that is named on the command line is meant, even if it is not set: another
        // token would be a surprise.
        let configured = settings.token.filter(|_| self.token_env.is_none());
        let token = token.map(Into::into).or(configured);
        let mut authorities = settings.certificate;
        if let Some(path) = &self.authorities {
            let more = std::fs::read(path).map_err(|error| {
                Failure::Usage(format!("cannot read {}: {error}", path.display()))
            })?;
            // Here, because the certificate of the configuration may be in front of them.
            certificates(&more).map_err(|error| {
                let name = path.display();
                Failure::Usage(format!("{name}: {error}; --authorities is a file in PEM"))
            })?;
            let all = authorities.get_or_insert_default();
            all.push(b'\n');
            all.extend(more);
        }
        let url = self.url.as_deref().unwrap_or(&settings.url);
        Remote::new(url, token, authorities.as_deref()).map_err(refused)
    }

    /// The settings of the configuration, or the defaults where none is read.
    fn settings(&self, role: Role) -> Result<ClientSettings, Failure> {
        let default = Path::new(DEFAULT_CONFIG);
        let path = match (&self.config, &self.url) {
            (Some(path), _) => Some(path.as_path()),
            // The tokens of the service beside us are not sent to another one.
            (None, Some(_)) => None,
            (None, None) => Some(default).filter(|path| path.exists()),
        };
        let Some(path) = path else {
            return Ok(ClientSettings {
                url: DEFAULT_URL.to_owned(),
                token: None,
                certificate: None,
            });
        };
        let environment = |name: &str| std::env::var(name).ok();
        Ok(ClientSettings::load(path, role, &environment)?)
    }
}

/// An error of the client as the failure of a command.
pub(crate) fn refused(error: RemoteError) -> Failure {
    match error {
        RemoteError::Address(_) => Failure::Usage(error.to_string()),
        // The service responds 422 if the rules or the configuration to load are invalid; the body
        // has the drawn diagnostics.
        RemoteError::Refused {
            status: 422,
            answer,
        } => Failure::Invalid(answer),
        error => Failure::Runtime(error.to_string()),
    }
}
