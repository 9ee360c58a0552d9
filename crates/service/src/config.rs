//! `reflexarc.toml`: what the service is made of, read as a whole, with everything that is wrong with it.

mod keys;
mod targets;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::SignedDuration;
use reflexarc::FileDiagnostics;
use reflexarc_diagnostic::toml::{Document, EmbeddedText, FaultCodes};
use reflexarc_diagnostic::{Code, Diagnostic, Severity};
use reqwest::Url;

use self::keys::{ConfigContext, ConfigTable};
use crate::dispatch::Queue;
use crate::http::{EventBridge, Identity, OverHttps, Role, Token, Tokens};
use crate::limits::Limits;
use crate::log::Redactor;
use crate::store::{Retention, StoreOptions};
use crate::telemetry::Collector;
use reflexarc_delivery::http::EgressPolicy;

/// A commented configuration to begin with, as `reflexarc config init` writes it.
pub const TEMPLATE: &str = include_str!("config/template.toml");

/// The configuration, ready to be used.
pub struct Config {
    /// Where it was read from; `None` when it was a text.
    pub source: Option<Source>,
    /// The store's file.
    pub store_path: PathBuf,
    /// How it is opened.
    pub store_options: StoreOptions,
    /// How long things are kept in it.
    pub retention: Retention,
    /// Rule files and folders.
    pub rules: Vec<PathBuf>,
    /// Where HTTP is served.
    pub listen: SocketAddr,
    /// Who we are to TLS clients.
    pub identity: Option<Identity>,
    /// Who may do what.
    pub tokens: Tokens,
    /// Verifies requests of EventBridge.
    pub eventbridge: Option<EventBridge>,
    /// What strangers may cost.
    pub limits: Limits,
    /// What is logged, such as `info`.
    pub log: String,
    /// Where traces go.
    pub collector: Option<Collector>,
    /// How long what is under way may take to end after a stop.
    pub patience: Duration,
    /// One for each target; none where secrets were left alone, and not to be sent with where they are blank.
    pub queues: Vec<Queue>,
    /// Knows every secret of this configuration.
    pub redactor: Redactor,
}

/// The file that a configuration was read from, to be read again at a reload.
#[derive(Debug, Clone)]
pub struct Source {
    /// The file.
    pub path: PathBuf,
    /// The files that it names: secrets, certificates, templates.
    pub files: Vec<PathBuf>,
    /// The settings that no reload changes.
    pub fixed: Fixed,
}

/// The settings that change only at a restart: what is bound or opened once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fixed {
    /// Where HTTP is served.
    pub listen: SocketAddr,
    /// The store's file, and how it is opened.
    pub store: (PathBuf, StoreOptions),
    /// What strangers may cost.
    pub limits: Limits,
    /// What is logged.
    pub log: String,
    /// Where traces go.
    pub telemetry: Option<Collector>,
    /// How long what is under way may take to end after a stop.
    pub patience: Duration,
}

/// Whether secrets are looked up.
#[derive(Clone, Copy)]
pub enum Secrets<'a> {
    /// In files, and in this environment.
    Resolve(&'a dyn Fn(&str) -> Option<String>),
    /// Not at all, for commands that only need the store: they run where the secrets are not.
    Leave,
    /// Every one is taken to be empty, for rehearsals, which send nothing: there are targets, to plan and render with.
    Blank,
}

impl Config {
    /// Reads the file.
    ///
    /// # Errors
    /// With everything that is wrong, each with its place.
    pub fn load(path: &Path, secrets: Secrets<'_>) -> Result<Self, FileDiagnostics> {
        let name = path.display().to_string();
        let faulty = |text: String, diagnostics| FileDiagnostics {
            name: name.clone(),
            text,
            diagnostics,
        };
        let text = std::fs::read_to_string(path).map_err(|error| {
            let fault = Diagnostic::error(
                Code::CONFIG_FILE,
                0..0,
                format!("cannot read {name}: {error}"),
            );
            faulty(
                String::new(),
                vec![fault.with_help("`reflexarc config init` writes one to begin with")],
            )
        })?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let read = Self::read_noting_files(&text, folder, secrets);
        let (config, files) = read.map_err(|diagnostics| faulty(text, diagnostics))?;
        let source = Some(Source {
            path: path.to_owned(),
            files,
            fixed: config.fixed(),
        });
        Ok(Self { source, ..config })
    }

    /// Reads the text; relative paths start from `folder`.
    ///
    /// # Errors
    /// With everything that is wrong, each with its place.
    pub fn read(text: &str, folder: &Path, secrets: Secrets<'_>) -> Result<Self, Vec<Diagnostic>> {
        Self::read_noting_files(text, folder, secrets).map(|(config, _)| config)
    }

    fn read_noting_files(
        text: &str,
        folder: &Path,
        secrets: Secrets<'_>,
    ) -> Result<(Self, Vec<PathBuf>), Vec<Diagnostic>> {
        let document = Document::parse(text, "the configuration", FaultCodes::CONFIG);
        // A table that was not closed swallows the keys after it: whatever else is reported of a
        // file that is not TOML would be guesses.
        if document.has_syntax_errors() {
            return Err(document.into_diagnostics());
        }
        let environment = match secrets {
            Secrets::Resolve(environment) => Some(environment),
            Secrets::Leave | Secrets::Blank => None,
        };
        let with_targets = !matches!(secrets, Secrets::Leave);
        let context = ConfigContext::new(folder, environment, with_targets);
        let root = ConfigTable::new(&context, document.root());
        let config = Self::of(&root);
        root.finish();
        let faults = document.into_diagnostics();
        if faults.iter().any(|fault| fault.severity == Severity::Error) {
            return Err(faults);
        }
        let secrets = context.secrets.into_inner();
        let redactor = Redactor::new(secrets.iter().map(String::as_str));
        Ok((Self { redactor, ..config }, context.files.into_inner()))
    }

    fn of(root: &ConfigTable<'_>) -> Self {
        let rules = root.nonempty_strings("rules").map_or_else(
            || vec!["rules".to_owned()],
            |paths| paths.into_iter().map(EmbeddedText::into_text).collect(),
        );
        let log = root.string("log").unwrap_or_else(|| "info".to_owned());
        let day = SignedDuration::from_hours(24);
        let mut store_path = root.context.folder.join("reflexarc.db");
        let mut store_options = StoreOptions {
            duplicates: day,
            max_bytes: None,
            check: true,
        };
        if let Some(store) = root.table("store") {
            store_path = store.path("path").unwrap_or(store_path);
            store_options.duplicates = store.duration("duplicates").unwrap_or(day);
            store_options.max_bytes = store.integer("max_bytes", 1 << 20..=i64::MAX.unsigned_abs());
            store.finish();
        }
        let mut retention = Retention::default();
        if let Some(archive) = root.table("archive") {
            retention.age = archive.duration("keep").unwrap_or(retention.age);
            retention.bytes = archive.integer("max_bytes", 1 << 20..=i64::MAX.unsigned_abs());
            archive.finish();
        }
        let http = Http::of(root.table("http"), root);
        let queues = targets::read(root);
        Self {
            source: None,
            store_path,
            store_options,
            retention,
            rules: rules
                .iter()
                .map(|path| root.context.folder.join(path))
                .collect(),
            listen: http.listen,
            identity: http.identity,
            tokens: http.tokens,
            eventbridge: http.eventbridge,
            limits: limits(root),
            log,
            collector: root.table("telemetry").and_then(collector),
            patience: root
                .duration("patience")
                .map_or(Duration::from_secs(30), SignedDuration::unsigned_abs),
            queues,
            redactor: Redactor::default(),
        }
    }
}

impl Config {
    /// The settings that change only at a restart.
    pub fn fixed(&self) -> Fixed {
        Fixed {
            listen: self.listen,
            store: (self.store_path.clone(), self.store_options.clone()),
            limits: self.limits.clone(),
            log: self.log.clone(),
            telemetry: self.collector.clone(),
            patience: self.patience,
        }
    }
}

impl Fixed {
    /// The names of the settings in which they differ.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let pairs = [
            ("http.listen", self.listen == other.listen),
            ("store", self.store == other.store),
            ("limits", self.limits == other.limits),
            ("log", self.log == other.log),
            ("telemetry", self.telemetry == other.telemetry),
            ("patience", self.patience == other.patience),
        ];
        pairs
            .into_iter()
            .filter(|(_, same)| !same)
            .map(|(name, _)| name.to_owned())
            .collect()
    }
}

struct Http {
    listen: SocketAddr,
    identity: Option<Identity>,
    tokens: Tokens,
    eventbridge: Option<EventBridge>,
}

impl Http {
    fn of(keys: Option<ConfigTable<'_>>, root: &ConfigTable<'_>) -> Self {
        let listen = SocketAddr::from(([127, 0, 0, 1], 8321));
        let Some(keys) = keys else {
            return Self {
                listen,
                identity: None,
                tokens: Tokens::default(),
                eventbridge: None,
            };
        };
        let address = keys.string("listen").map(|text| text.parse::<SocketAddr>());
        if let Some(Err(_)) = address {
            keys.fault(
                "listen",
                Code::CONFIG_VALUE,
                "`listen` is no address",
                "write address and port: \"0.0.0.0:8321\"",
            );
        }
        let listen = address.and_then(Result::ok).unwrap_or(listen);
        let tokens: Vec<Token> = keys
            .tables("tokens")
            .into_iter()
            .filter_map(token)
            .collect();
        let identity = keys.table("tls").and_then(identity);
        let eventbridge = keys.table("eventbridge").and_then(eventbridge);
        if !listen.ip().is_loopback() && !keys.has("tokens") {
            let help = "add [[http.tokens]], or listen on 127.0.0.1";
            let message = "without tokens everybody who reaches this address may do everything";
            keys.fault("listen", Code::CONFIG_VALUE, message, help);
        }
        // Without secrets there are no tokens, and no service either.
        let tokens = if root.context.environment.is_some() {
            Tokens::new(tokens)
        } else {
            Tokens::default()
        };
        keys.finish();
        Self {
            listen,
            identity,
            tokens,
            eventbridge,
        }
    }
}

fn token(keys: ConfigTable<'_>) -> Option<Token> {
    let name = keys.required_string("name", "it says in logs who came");
    if !keys.has("roles") {
        keys.missing("roles", "list some of: ingest, read, operate");
    }
    let choices = [
        ("ingest", Role::Ingest),
        ("read", Role::Read),
        ("operate", Role::Operate),
    ];
    let roles = keys.nonempty_strings("roles").unwrap_or_default();
    let roles: Vec<Role> = roles
        .iter()
        .filter_map(|role| keys.choose("role", role, &choices))
        .collect();
    if !keys.has("token") {
        keys.missing("token", "write token = { env = \"NAME\" }");
    }
    let (secret, expires) = (keys.secret("token"), keys.timestamp("expires"));
    keys.finish();
    Some(Token::new(name?, &secret?, roles, expires))
}

fn identity(keys: ConfigTable<'_>) -> Option<Identity> {
    for key in ["certificate", "key"] {
        if !keys.has(key) {
            keys.missing(key, "name a file in PEM");
        }
    }
    // Without secrets nothing is served, so the private key is left alone too.
    let leave = keys.context.environment.is_none();
    let (certificate, key) = if leave {
        (
            keys.path("certificate").map(|_| Vec::new()),
            keys.path("key").map(|_| Vec::new()),
        )
    } else {
        (keys.file("certificate"), keys.file("key"))
    };
    let identity = match (certificate, key) {
        (Some(certificate), Some(key)) if !leave => Identity::new(&certificate, &key)
            .map_err(|message| {
                keys.fault(
                    "certificate",
                    Code::CONFIG_VALUE,
                    message,
                    "certificate chain and key in PEM",
                );
            })
            .ok(),
        _ => None,
    };
    keys.finish();
    identity
}

fn eventbridge(keys: ConfigTable<'_>) -> Option<EventBridge> {
    let url = keys.required_string(
        "url",
        "our address as the HTTP target has it: https://hooks.example.com",
    );
    let origin = url.and_then(|url| match Url::parse(&url) {
        Ok(parsed) if parsed.has_host() => Some(parsed.origin().ascii_serialization()),
        _ => {
            keys.fault(
                "url",
                Code::CONFIG_VALUE,
                format!("`{url}` is no URL"),
                "such as https://hooks.example.com",
            );
            None
        }
    });
    if !keys.has("token") {
        keys.missing(
            "token",
            "set a token on the HTTP target: without one, anybody's rules could send here",
        );
    }
    if !keys.has("regions") {
        keys.missing(
            "regions",
            "list the regions of your event buses, such as \"cn-hangzhou\"",
        );
    }
    let (token, regions) = (keys.secret("token"), keys.nonempty_strings("regions"));
    keys.finish();
    let client = EgressPolicy::default().client(None).ok()?;
    Some(EventBridge::new(
        origin?,
        token?,
        regions?.into_iter().map(EmbeddedText::into_text).collect(),
        Box::new(OverHttps { client }),
    ))
}

fn collector(keys: ConfigTable<'_>) -> Option<Collector> {
    let endpoint =
        keys.required_string("endpoint", "the collector's address: http://localhost:4318");
    let endpoint = endpoint.and_then(|text| targets::url(&keys, "endpoint", &text));
    let headers = targets::headers(&keys);
    let one_in = keys.integer("one_in", 1..=u32::MAX.into());
    keys.finish();
    Some(Collector {
        endpoint: endpoint?,
        headers,
        one_in: one_in.unwrap_or(1),
    })
}

fn limits(root: &ConfigTable<'_>) -> Limits {
    let mut limits = Limits::DEFAULT;
    if let Some(keys) = root.table("limits") {
        let count = |key, limit: &mut usize| {
            *limit = keys.integer(key, 1..=1 << 30).unwrap_or(*limit);
        };
        count("body_bytes", &mut limits.body_bytes);
        count("batch_events", &mut limits.batch_events);
        count("queue_events", &mut limits.queue_events);
        count("queue_bytes", &mut limits.queue_bytes);
        count("connections", &mut limits.connections);
        let time = |key, limit: Duration| {
            keys.duration(key)
                .map_or(limit, SignedDuration::unsigned_abs)
        };
        limits.head = time("head", limits.head);
        limits.body = time("body", limits.body);
        if limits.queue_bytes < limits.body_bytes || limits.queue_events < limits.batch_events {
            let message =
                "the queue is smaller than one request may be: such a request could never be taken";
            keys.fault(
                "",
                Code::CONFIG_VALUE,
                message,
                "queue_bytes ≥ body_bytes, queue_events ≥ batch_events",
            );
        }
        keys.finish();
    }
    limits
}
