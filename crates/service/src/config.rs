//! `reflexarc.toml`: read as a whole, with every diagnostic at once.

mod client;
mod sections;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use self::client::ClientSettings;
use jiff::SignedDuration;
use reflexarc::{FileDiagnostics, InvalidFiles, RuleSet};
pub use reflexarc_delivery::config::Secrets;
use reflexarc_delivery::config::{
    self as delivery_config, ConfigContext, ConfigTable, TargetConfig,
};
use reflexarc_diagnostic::toml::{Document, EmbeddedText, FaultCodes};
use reflexarc_diagnostic::{Code, Diagnostic, Severity};

use self::sections::HttpSection;
use crate::limits::Limits;
use crate::rule_targets::check_targets;
use crate::security::{EventBridge, TlsIdentity, Tokens};
use crate::store::{Retention, StoreOptions};
use crate::telemetry::{Collector, Redactor, check_filter};

/// A commented configuration to start from; `reflexarc config init` writes it.
pub const TEMPLATE: &str = include_str!("config/template.toml");

/// A configuration. The default is that of an empty file.
///
/// ```
/// use std::path::Path;
///
/// use reflexarc_service::Config;
/// use reflexarc_service::config::Secrets;
///
/// let folder = Path::new("/etc/reflexarc");
/// let text = "[http]\nlisten = \"127.0.0.1:9000\"\n[store]\npath = \"events.db\"";
/// let config = Config::read(text, folder, Secrets::Skip)?;
/// assert_eq!(config.listen.port(), 9000);
/// assert_eq!(config.store_path, folder.join("events.db"));
///
/// let error = Config::read("lisen = 1", folder, Secrets::Skip).err().unwrap();
/// assert_eq!(error.diagnostics().count(), 1);
/// assert!(error.to_string().contains("reflexarc.toml:1:1"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
// Flat, although the file has sections: users of the library build a `Config` themselves with
// `..Config::default()`, and one level is enough for twenty settings.
pub struct Config {
    /// The file that it was read from; `None` if it was a text.
    pub source: Option<ConfigSource>,
    /// Path of the store.
    pub store_path: PathBuf,
    /// How the store is opened.
    pub store_options: StoreOptions,
    /// How long events are kept.
    pub retention: Retention,
    /// Rule files and folders.
    pub rule_paths: Vec<PathBuf>,
    /// The address of the HTTP server.
    pub listen: SocketAddr,
    /// Certificate and key for TLS clients.
    pub tls_identity: Option<TlsIdentity>,
    /// Accepted bearer tokens.
    pub tokens: Tokens,
    /// Verifies requests signed by EventBridge.
    pub eventbridge: Option<EventBridge>,
    /// Resource limits for untrusted input.
    pub limits: Limits,
    /// Log filter, such as `info`.
    pub log: String,
    /// Where traces are sent.
    pub collector: Option<Collector>,
    /// Longest time for open requests, and then for running sends, to finish after a stop.
    pub shutdown_timeout: Duration,
    /// The names of all targets.
    pub target_names: Vec<String>,
    /// One for each target. None with [`Secrets::Skip`]; not to be sent with if
    /// [`Secrets::Blank`].
    pub queues: Vec<TargetConfig>,
    /// Redacts every secret of this configuration.
    pub redactor: Redactor,
    /// Warnings, such as deprecated keys.
    pub warnings: Option<FileDiagnostics>,
}

/// The file that a configuration was read from.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ConfigSource {
    /// Its path.
    pub path: PathBuf,
    /// The files that it names: secrets, certificates, templates.
    pub files: Vec<PathBuf>,
    /// The settings that a reload does not change, as the file had them. Command-line options may
    /// override some of them afterwards, which does not change the file.
    pub restart_settings: RestartSettings,
}

/// The settings that take effect only at a restart: what is bound or opened once.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RestartSettings {
    /// The address of the HTTP server.
    pub listen: SocketAddr,
    /// Path of the store, and how it is opened.
    pub store: (PathBuf, StoreOptions),
    /// Resource limits for untrusted input.
    pub limits: Limits,
    /// Log filter.
    pub log: String,
    /// Where traces are sent.
    pub telemetry: Option<Collector>,
    /// Longest time for open requests, and then for running sends, to finish after a stop.
    pub shutdown_timeout: Duration,
}

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// With all diagnostics.
    pub fn load(path: &Path, secrets: Secrets<'_>) -> Result<Self, InvalidFiles> {
        let (name, text) = read_file(path)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let file = |diagnostics| FileDiagnostics {
            name: name.clone(),
            text: text.clone(),
            diagnostics,
        };
        let (mut config, files, warnings) =
            Self::read_with_files(&text, folder, secrets).map_err(file)?;
        config.warnings = (!warnings.is_empty()).then(|| file(warnings));
        config.source = Some(ConfigSource {
            path: path.to_owned(),
            files,
            restart_settings: config.restart_settings(),
        });
        Ok(config)
    }

    /// Reads a text. Relative paths start from `folder`.
    ///
    /// # Errors
    /// With all diagnostics.
    pub fn read(text: &str, folder: &Path, secrets: Secrets<'_>) -> Result<Self, InvalidFiles> {
        let file = |diagnostics| FileDiagnostics {
            name: "reflexarc.toml".to_owned(),
            text: text.to_owned(),
            diagnostics,
        };
        let (mut config, _, warnings) =
            Self::read_with_files(text, folder, secrets).map_err(file)?;
        config.warnings = (!warnings.is_empty()).then(|| file(warnings));
        Ok(config)
    }

    /// Loads the rules, of which there must be some: a service without rules does nothing, and that
    /// is never meant. Every target that they name must be configured.
    ///
    /// # Errors
    /// With all diagnostics.
    pub fn load_rules(&self) -> Result<RuleSet, InvalidFiles> {
        let rules = RuleSet::load_all(&self.rule_paths)?;
        if rules.is_empty() {
            return Err(self.no_rules().into());
        }
        check_targets(&rules, &self.target_names)?;
        Ok(rules)
    }

    fn no_rules(&self) -> FileDiagnostics {
        let paths = self
            .rule_paths
            .iter()
            .map(|path| path.display().to_string());
        let name = paths.collect::<Vec<_>>().join(", ");
        let help = "rules are *.toml files; `rules = \"folder\"` in the configuration says where";
        let fault = Diagnostic::error(Code::RULE_FILE, 0..0, format!("no rules in {name}"));
        FileDiagnostics {
            name,
            text: String::new(),
            diagnostics: vec![fault.with_help(help)],
        }
    }

    /// The settings that take effect only at a restart.
    pub fn restart_settings(&self) -> RestartSettings {
        RestartSettings {
            listen: self.listen,
            store: (self.store_path.clone(), self.store_options.clone()),
            limits: self.limits.clone(),
            log: self.log.clone(),
            telemetry: self.collector.clone(),
            shutdown_timeout: self.shutdown_timeout,
        }
    }

    /// The configuration, the files that it names, and warnings.
    fn read_with_files(
        text: &str,
        folder: &Path,
        secrets: Secrets<'_>,
    ) -> Result<(Self, Vec<PathBuf>, Vec<Diagnostic>), Vec<Diagnostic>> {
        let document = Document::parse(text, "the configuration", FaultCodes::CONFIG);
        // A table that was not closed swallows the keys after it: whatever else is reported of a
        // file that is not TOML would be guesses.
        if document.has_syntax_errors() {
            return Err(document.into_diagnostics());
        }
        let context = ConfigContext::new(folder, secrets);
        let root = ConfigTable::new(&context, document.root());
        let mut config = Self::from_table(&root);
        // After every section was read: unknown keys are those that none of them looked up.
        root.finish();
        let diagnostics = document.into_diagnostics();
        let is_error = |diagnostic: &Diagnostic| diagnostic.severity == Severity::Error;
        if diagnostics.iter().any(is_error) {
            return Err(diagnostics);
        }
        let (secrets, files) = context.into_found();
        // Collected while reading, so no secret can be forgotten here.
        config.redactor = Redactor::new(secrets.iter().map(String::as_str));
        Ok((config, files, diagnostics))
    }

    fn from_table(root: &ConfigTable<'_>) -> Self {
        let default = Self::default();
        let in_folder = |path: &PathBuf| root.context().folder().join(path);
        let rule_paths: Vec<PathBuf> = match root.nonempty_strings("rules") {
            None => default.rule_paths,
            Some(paths) => paths
                .into_iter()
                .map(|path| PathBuf::from(EmbeddedText::into_text(path)))
                .collect(),
        };
        let mut store_path = in_folder(&default.store_path);
        let mut store_options = default.store_options;
        if let Some(store) = root.table("store") {
            store_path = store.path("path").unwrap_or(store_path);
            store_options.duplicate_window = store
                .duration("duplicates")
                .unwrap_or(store_options.duplicate_window);
            // A smaller store could not even hold its tables.
            store_options.max_bytes = store.integer("max_bytes", 1 << 20..=i64::MAX.unsigned_abs());
            store.finish();
        }
        let mut retention = default.retention;
        if let Some(archive) = root.table("archive") {
            retention.age = archive.duration("keep").unwrap_or(retention.age);
            retention.bytes = archive.integer("max_bytes", 1 << 20..=i64::MAX.unsigned_abs());
            archive.finish();
        }
        let http = root.table("http").map(sections::http);
        let http = http.unwrap_or_else(|| HttpSection::new(default.listen));
        Self {
            store_path,
            store_options,
            retention,
            rule_paths: rule_paths.iter().map(in_folder).collect(),
            listen: http.listen,
            tls_identity: http.tls_identity,
            tokens: http.tokens,
            eventbridge: http.eventbridge,
            limits: sections::limits(root),
            log: log_filter(root).unwrap_or(default.log),
            collector: root.table("telemetry").and_then(sections::telemetry),
            shutdown_timeout: shutdown_timeout(root).unwrap_or(default.shutdown_timeout),
            target_names: delivery_config::target_names(root),
            queues: delivery_config::targets(root),
            ..Self::default()
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            source: None,
            store_path: "reflexarc.db".into(),
            store_options: StoreOptions {
                // EventBridge's longest retry policy sends an event again for up to a day.
                duplicate_window: SignedDuration::from_hours(24),
                max_bytes: None,
                // Reads the whole file at each start, which takes seconds for gigabytes. Damage is
                // then found before new events are added to it, not when an old one is needed.
                integrity_check: true,
            },
            retention: Retention::default(),
            rule_paths: vec!["rules".into()],
            // Loopback, so that an installation without tokens is reachable from this machine only.
            listen: SocketAddr::from(([127, 0, 0, 1], 8321)),
            tls_identity: None,
            tokens: Tokens::default(),
            eventbridge: None,
            limits: Limits::DEFAULT,
            log: "info".to_owned(),
            collector: None,
            shutdown_timeout: Duration::from_secs(30),
            target_names: Vec::new(),
            queues: Vec::new(),
            redactor: Redactor::default(),
            warnings: None,
        }
    }
}

impl RestartSettings {
    /// The names of the settings in which `self` and `other` differ.
    ///
    /// ```
    /// use reflexarc_service::Config;
    ///
    /// let running = Config::default().restart_settings();
    /// let edited = Config { log: "debug".into(), ..Config::default() };
    /// assert_eq!(running.differences(&edited.restart_settings()), ["log"]);
    /// ```
    pub fn differences(&self, other: &Self) -> Vec<String> {
        // The order of the documentation, and of `restart` in the response to a reload.
        let same = [
            ("http.listen", self.listen == other.listen),
            ("store", self.store == other.store),
            ("limits", self.limits == other.limits),
            ("log", self.log == other.log),
            ("telemetry", self.telemetry == other.telemetry),
            (
                "shutdown_timeout",
                self.shutdown_timeout == other.shutdown_timeout,
            ),
        ];
        same.into_iter()
            .filter(|(_, same)| !same)
            .map(|(name, _)| name.to_owned())
            .collect()
    }
}

/// The name and text of a configuration file.
fn read_file(path: &Path) -> Result<(String, String), FileDiagnostics> {
    let name = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => Ok((name, text)),
        Err(error) => {
            let message = format!("cannot read {name}: {error}");
            let fault = Diagnostic::error(Code::CONFIG_FILE, 0..0, message)
                .with_help("create one with `reflexarc config init`");
            Err(FileDiagnostics {
                name,
                text: String::new(),
                diagnostics: vec![fault],
            })
        }
    }
}

/// `log`, a valid filter.
fn log_filter(root: &ConfigTable<'_>) -> Option<String> {
    let filter = root.string("log")?;
    if let Err(error) = check_filter(&filter) {
        let help = "write a level, such as \"info\", or \"info,reflexarc_service=debug\"";
        root.fault("log", Code::CONFIG_VALUE, error.to_string(), help);
    }
    Some(filter)
}

/// `shutdown_timeout`, or its former name `patience`.
fn shutdown_timeout(root: &ConfigTable<'_>) -> Option<Duration> {
    let timeout = root.duration("shutdown_timeout");
    // Looked up only if it is there: otherwise messages about unknown keys would offer it.
    let old_key = root.raw().keys().find(|key| key.get_ref() == "patience");
    let old = old_key.and_then(|key| {
        let warning = Diagnostic::warning(
            Code::CONFIG_DEPRECATED,
            key.span(),
            "`patience` is deprecated",
        );
        let warning = if timeout.is_none() {
            warning
                .with_help("write `shutdown_timeout`")
                .with_fix(key.span(), "shutdown_timeout")
        } else {
            warning.with_help("remove it: `shutdown_timeout` is used")
        };
        root.document().report(warning);
        root.duration("patience")
    });
    timeout.or(old).map(SignedDuration::unsigned_abs)
}
