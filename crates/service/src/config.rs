//! `reflexarc.toml`: read as a whole, with every diagnostic at once.

mod budgets;
mod client;
mod console;
mod file;
mod heartbeat;
mod masking;
mod parts;
mod restart;
mod sections;
mod shape;
mod sources;
mod store;
mod target_settings;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use self::client::ClientSettings;
pub use self::file::read_file;
pub use self::restart::RestartSettings;
pub use self::shape::config_shape;
pub use self::target_settings::TargetSettings;
use jiff::SignedDuration;
use reflexarc::{FileDiagnostics, InvalidFiles, ReactionLimits, RuleSet};
pub use reflexarc_delivery::config::Secrets;
use reflexarc_delivery::config::{
    self as delivery_config, ConfigContext, ConfigDigest, ConfigTable, KnownTarget, TargetConfig,
};
use reflexarc_diagnostic::toml::{Document, EmbeddedText, FaultCodes, ValueShape};
use reflexarc_diagnostic::{Code, Diagnostic};

use self::parts::ErrorTracker;
pub(crate) use self::parts::{ConfigPart, PartialConfig, Validity};
use self::sections::HttpSection;
use crate::budgets::Budgets;
use crate::heartbeat::Heartbeat;
use crate::limits::Limits;
use crate::rule_targets::check_targets;
use crate::security::{AccessRules, EventBridge, TlsIdentity, Tokens};
use crate::sources::SourceConfig;
use crate::store::{Retention, StoreOptions};
use crate::store_location::StoreLocation;
use crate::telemetry::{Collector, LogFormat, Redactor, check_filter};

/// A commented configuration to start from; `reflexarc config init` writes it.
pub const TEMPLATE: &str = include_str!("config/template.toml");

/// A configuration. The default is that of an empty file.
///
/// ```
/// use std::path::Path;
///
/// use reflexarc_service::config::Secrets;
/// use reflexarc_service::{Config, StoreLocation};
///
/// let folder = Path::new("/etc/reflexarc");
/// let text = "[http]\nlisten = \"127.0.0.1:9000\"\n[store]\npath = \"events.db\"";
/// let config = Config::read(text, folder, Secrets::Skip)?;
/// assert_eq!(config.listen.port(), 9000);
/// assert_eq!(config.store, StoreLocation::File(folder.join("events.db")));
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
    /// Where the store is.
    pub store: StoreLocation,
    /// How the store is opened.
    pub store_options: StoreOptions,
    /// How long events are kept.
    pub retention: Retention,
    /// Rule files and folders.
    pub rule_paths: Vec<PathBuf>,
    /// How many state entries each rule may have that does not say it.
    pub max_state_entries: usize,
    /// The address of the HTTP server.
    pub listen: SocketAddr,
    /// Certificate and key for TLS clients.
    pub tls_identity: Option<TlsIdentity>,
    /// Accepted bearer tokens.
    pub tokens: Tokens,
    /// Verifies requests signed by EventBridge.
    pub eventbridge: Option<EventBridge>,
    /// Names of the service and its proxies.
    pub access: AccessRules,
    /// The address of the console; `None` if there is none.
    pub console: Option<SocketAddr>,
    /// Names by which browsers address the console, besides those of the loopback interface.
    pub console_hosts: Vec<String>,
    /// Resource limits for untrusted input.
    pub limits: Limits,
    /// What the reactions of each rule may consume.
    pub budgets: Budgets,
    /// Log filter, such as `info`.
    pub log: String,
    /// How log lines look.
    pub log_format: LogFormat,
    /// Where a sign of life is sent, and how often.
    pub heartbeat: Option<Heartbeat>,
    /// Where events are taken from, besides HTTP.
    pub sources: Vec<SourceConfig>,
    /// Where traces are sent.
    pub collector: Option<Collector>,
    /// Longest time for open requests, and then for running sends, to finish after a stop.
    pub shutdown_timeout: Duration,
    /// All targets by name.
    pub known_targets: Vec<KnownTarget>,
    /// One for each target. None with [`Secrets::Skip`] and [`Secrets::Store`]; not to be sent
    /// with if [`Secrets::Blank`].
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

impl Config {
    /// Reads a file.
    ///
    /// # Errors
    /// With all diagnostics.
    pub fn load(path: &Path, secrets: Secrets<'_>) -> Result<Self, InvalidFiles> {
        let PartialConfig { config, errors, .. } = Self::load_parts(path, secrets)?;
        match errors {
            None => Ok(config),
            Some(errors) => Err(errors.into()),
        }
    }

    /// Reads a file of which some parts may be invalid.
    ///
    /// # Errors
    /// If no part can be used: the file cannot be read, is not TOML, or has an unknown key at the
    /// top level, which may be a misspelling of any part.
    pub(crate) fn load_parts(
        path: &Path,
        secrets: Secrets<'_>,
    ) -> Result<PartialConfig, InvalidFiles> {
        let (name, text) = read_file(path)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let mut partial = Self::read_parts(&name, &text, folder, secrets)?;
        let files = std::mem::take(&mut partial.files);
        partial.config.source = Some(ConfigSource {
            path: path.to_owned(),
            files,
            restart_settings: partial.config.restart_settings(),
        });
        Ok(partial)
    }

    /// Reads a text. Relative paths start from `folder`.
    ///
    /// # Errors
    /// With all diagnostics.
    pub fn read(text: &str, folder: &Path, secrets: Secrets<'_>) -> Result<Self, InvalidFiles> {
        let PartialConfig { config, errors, .. } =
            Self::read_parts("reflexarc.toml", text, folder, secrets)?;
        match errors {
            None => Ok(config),
            Some(errors) => Err(errors.into()),
        }
    }

    /// Loads the rules, of which there must be some: a service without rules does nothing, and that
    /// is never meant. Every target that they name must be configured, and fit.
    ///
    /// # Errors
    /// With all diagnostics.
    pub fn load_rules(&self) -> Result<RuleSet, InvalidFiles> {
        let rules = self.read_rules(&self.rule_paths)?;
        if rules.is_empty() {
            return Err(self.no_rules().into());
        }
        check_targets(&rules, &self.known_targets)?;
        Ok(rules)
    }

    /// Loads rules from these paths, with the limits of this configuration.
    ///
    /// # Errors
    /// With all diagnostics.
    pub fn read_rules(&self, paths: &[PathBuf]) -> Result<RuleSet, InvalidFiles> {
        let mut limits = ReactionLimits::DEFAULT;
        limits.state_entries = self.max_state_entries;
        RuleSet::load_all_with_limits(paths, &limits)
    }

    fn no_rules(&self) -> FileDiagnostics {
        let name = display_paths(&self.rule_paths);
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
            console: (self.console, self.console_hosts.clone()),
            store: (self.store.clone(), self.store_options.clone()),
            limits: self.limits.clone(),
            log: self.log.clone(),
            log_format: self.log_format,
            sources: self.source_digests(),
            telemetry: self.collector.clone(),
            shutdown_timeout: self.shutdown_timeout,
        }
    }

    fn source_digests(&self) -> Vec<(String, ConfigDigest)> {
        let sources = self.sources.iter();
        let digests = sources.map(|source| (source.name.clone(), source.digest));
        digests.collect()
    }

    /// Reads the parts of a text; `name` is the file's name in diagnostics.
    fn read_parts(
        name: &str,
        text: &str,
        folder: &Path,
        secrets: Secrets<'_>,
    ) -> Result<PartialConfig, FileDiagnostics> {
        let file = |diagnostics| masking::masked(name, text, diagnostics);
        let document = Document::parse(text, "the configuration", FaultCodes::CONFIG)
            .with_advice(&delivery_config::ADVICE);
        // A table that was not closed swallows the keys after it: whatever else is reported of a
        // file that is not TOML would be guesses.
        if document.has_syntax_errors() {
            return Err(file(document.into_diagnostics()));
        }
        let context = ConfigContext::new(folder, secrets);
        let root = ConfigTable::new(&context, document.root());
        let mut tracker = ErrorTracker::new(&document);
        let mut config = Self::from_table(&root, &mut tracker);
        // After every section was read: unknown keys are those that none of them looked up. With
        // `[htpp.tls]` for `[http.tls]`, the certificate would seem to have been removed.
        let ((), keys_known) = tracker.observe(|| root.finish());
        let validity = tracker.validity;
        let has_errors = document.error_count() > 0;
        let diagnostics = document.into_diagnostics();
        if !keys_known {
            return Err(file(diagnostics));
        }
        let (secrets, files) = context.into_found();
        // Collected while reading, so no secret can be forgotten here.
        config.redactor = Redactor::new(secrets.iter().map(String::as_str));
        let found = (!diagnostics.is_empty()).then(|| file(diagnostics));
        let (errors, warnings) = if has_errors {
            (found, None)
        } else {
            (None, found)
        };
        config.warnings = warnings;
        Ok(PartialConfig {
            config,
            validity,
            files,
            errors,
        })
    }

    fn from_table(root: &ConfigTable<'_>, tracker: &mut ErrorTracker<'_>) -> Self {
        let default = Self::default();
        let in_folder = |path: &PathBuf| root.context().folder().join(path);
        let (store, store_options) =
            tracker.read(&[ConfigPart::Restart], || store::store(root, &default));
        let rule_paths = tracker.read(&[ConfigPart::Rules], || root.nonempty_strings("rules"));
        let max_state_entries =
            tracker.read(&[ConfigPart::Rules], || sections::max_state_entries(root));
        let rule_paths: Vec<PathBuf> = match rule_paths {
            None => default.rule_paths,
            Some(paths) => paths
                .into_iter()
                .map(|path| PathBuf::from(EmbeddedText::into_text(path)))
                .collect(),
        };
        let retention = tracker.read(&[ConfigPart::Archive], || {
            sections::retention(root, default.retention)
        });
        let http = tracker.read(&ConfigPart::HTTP, || root.table("http"));
        let http = http.map(|table| sections::http(table, tracker));
        let http = http.unwrap_or_else(|| HttpSection::new(default.listen));
        let budgets = tracker.read(&[ConfigPart::Budgets], || budgets::budgets(root));
        let heartbeat = tracker.read(&[ConfigPart::Heartbeat], || {
            root.table("heartbeat").and_then(heartbeat::heartbeat)
        });
        let has_tokens = root.raw().get("http");
        let has_tokens = has_tokens
            .and_then(|http| http.get_ref().as_table())
            .is_some_and(|http| http.contains_key("tokens"));
        let console = tracker.read(&[ConfigPart::Restart], || {
            root.table("console")
                .and_then(|table| console::console(table, has_tokens))
        });
        let (limits, log, log_format, collector, timeout) =
            tracker.read(&[ConfigPart::Restart], || {
                (
                    sections::limits(root),
                    log_filter(root),
                    log_format(root),
                    root.table("telemetry").and_then(sections::telemetry),
                    shutdown_timeout(root),
                )
            });
        let sources = tracker.read(&[ConfigPart::Restart], || sources::sources(root));
        let (known_targets, queues) = tracker.read(&[ConfigPart::Targets], || {
            (
                delivery_config::known_targets(root),
                delivery_config::targets(root),
            )
        });
        Self {
            store,
            store_options,
            retention,
            rule_paths: rule_paths.iter().map(in_folder).collect(),
            max_state_entries: max_state_entries.unwrap_or(default.max_state_entries),
            listen: http.listen,
            tls_identity: http.tls_identity,
            tokens: http.tokens,
            eventbridge: http.eventbridge,
            access: http.access,
            console: console.as_ref().map(|console| console.listen),
            console_hosts: console.map(|console| console.hosts).unwrap_or_default(),
            limits,
            budgets,
            log: log.unwrap_or(default.log),
            log_format: log_format.unwrap_or_default(),
            heartbeat,
            sources,
            collector,
            shutdown_timeout: timeout.unwrap_or(default.shutdown_timeout),
            known_targets,
            queues,
            ..Self::default()
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            source: None,
            store: StoreLocation::File("reflexarc.db".into()),
            store_options: StoreOptions {
                // EventBridge's longest retry policy sends an event again for up to a day.
                duplicate_window: SignedDuration::from_hours(24),
                max_bytes: None,
            },
            retention: Retention::default(),
            rule_paths: vec!["rules".into()],
            max_state_entries: ReactionLimits::DEFAULT.state_entries,
            // Loopback, so that an installation without tokens is reachable from this machine only.
            listen: SocketAddr::from(([127, 0, 0, 1], 8321)),
            tls_identity: None,
            tokens: Tokens::default(),
            eventbridge: None,
            access: AccessRules::default(),
            console: None,
            console_hosts: Vec::new(),
            limits: Limits::DEFAULT,
            budgets: Budgets::default(),
            log: "info".to_owned(),
            log_format: LogFormat::Auto,
            heartbeat: None,
            sources: Vec::new(),
            collector: None,
            shutdown_timeout: Duration::from_secs(30),
            known_targets: Vec::new(),
            queues: Vec::new(),
            redactor: Redactor::default(),
            warnings: None,
        }
    }
}

/// Paths in a list, for messages.
pub(crate) fn display_paths(paths: &[PathBuf]) -> String {
    let paths = paths.iter().map(|path| path.display().to_string());
    paths.collect::<Vec<_>>().join(", ")
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

/// `log_format`, one of its names.
fn log_format(root: &ConfigTable<'_>) -> Option<LogFormat> {
    let name = root.word("log_format", &LogFormat::NAMES)?;
    let format = LogFormat::named(&name);
    if format.is_none() {
        let message = format!("unknown log format `{name}`");
        let help = format!("expected one of {}", LogFormat::NAMES.join(", "));
        root.fault("log_format", Code::CONFIG_VALUE, message, &help);
    }
    format
}

/// `shutdown_timeout`, or its former name `patience`.
fn shutdown_timeout(root: &ConfigTable<'_>) -> Option<Duration> {
    let timeout = root.duration("shutdown_timeout");
    // Looked up only if it is there: otherwise messages about unknown keys would offer it.
    root.declare("patience", vec![ValueShape::Duration]);
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
