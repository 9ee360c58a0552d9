//! What a program that delivers actions itself needs of a configuration: its targets.

use std::path::{Path, PathBuf};

use reflexarc::InvalidFiles;
use reflexarc_delivery::config::{
    self as delivery_config, ConfigContext, ConfigTable, KnownTarget, Secrets, TargetConfig,
};
use reflexarc_diagnostic::toml::{Document, FaultCodes};

use super::{Config, masking, read_file};
use crate::telemetry::Redactor;

/// The targets of a configuration. The rest of it has to be valid too, but its secrets are not
/// looked up: a program that delivers needs no tokens of the service.
///
/// ```
/// use std::path::Path;
///
/// use reflexarc_service::config::TargetSettings;
///
/// let text = r#"
///     [[http.tokens]]
///     name = "cloud"
///     roles = ["ingest"]
///     token = { env = "NOT_SET" }
///
///     [targets.log]
///     type = "file"
///     path = "log.ndjson"
/// "#;
/// let settings = TargetSettings::read(text, Path::new("/var/log"), &|_| None)?;
/// assert_eq!(settings.targets[0].name, "log");
/// # Ok::<(), reflexarc::InvalidFiles>(())
/// ```
pub struct TargetSettings {
    /// One for each target.
    pub targets: Vec<TargetConfig>,
    /// Their names, and what they take.
    pub known: Vec<KnownTarget>,
    /// Redacts every secret of the targets.
    pub redactor: Redactor,
    /// The files that the targets name: secrets, certificates, templates.
    pub files: Vec<PathBuf>,
}

impl TargetSettings {
    /// Reads a file. `environment` returns environment variables.
    ///
    /// # Errors
    /// With all diagnostics.
    pub fn load(
        path: &Path,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, InvalidFiles> {
        let (name, text) = read_file(path)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Self::read_as(&name, &text, folder, environment)
    }

    /// Reads a text. Relative paths start from `folder`.
    ///
    /// # Errors
    /// With all diagnostics.
    pub fn read(
        text: &str,
        folder: &Path,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, InvalidFiles> {
        Self::read_as("reflexarc.toml", text, folder, environment)
    }

    fn read_as(
        name: &str,
        text: &str,
        folder: &Path,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, InvalidFiles> {
        // First without secrets: with `[target.log]` for `[targets.log]` there would be no target.
        if let Some(errors) = Config::read_parts(name, text, folder, Secrets::Skip)?.errors {
            return Err(errors.into());
        }
        let document = Document::parse(text, "the configuration", FaultCodes::CONFIG)
            .with_advice(&delivery_config::ADVICE);
        let context = ConfigContext::new(folder, Secrets::Resolve(environment));
        let root = ConfigTable::new(&context, document.root());
        let targets = delivery_config::targets(&root);
        let known = delivery_config::known_targets(&root);
        if document.error_count() > 0 {
            let diagnostics = document.into_diagnostics();
            return Err(masking::masked(name, text, diagnostics).into());
        }
        let (secrets, files) = context.into_found();
        Ok(Self {
            targets,
            known,
            redactor: Redactor::new(secrets.iter().map(String::as_str)),
            files,
        })
    }
}
