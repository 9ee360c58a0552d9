//! `[http]`, `[limits]` and `[telemetry]`.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use jiff::SignedDuration;
use reflexarc::MAX_STATE_ENTRIES;
use reflexarc_delivery::config::{ConfigTable, headers, url_or_reference, usable_authorities};
use reflexarc_delivery::http::EgressPolicy;
use reflexarc_diagnostic::Code;
use reflexarc_diagnostic::toml::EmbeddedText;
use reqwest::Url;

use super::Config;
use super::parts::{ConfigPart, ErrorTracker};
use crate::limits::Limits;
use crate::security::{
    AccessRules, EventBridge, HttpsCertificates, Role, TlsIdentity, Token, Tokens,
};
use crate::store::Retention;
use crate::telemetry::Collector;

/// The roles by their names.
pub(super) const ROLES: [(&str, Role); 3] = [
    ("ingest", Role::Ingest),
    ("read", Role::Read),
    ("operate", Role::Operate),
];

/// What `[http]` configures.
pub(super) struct HttpSection {
    pub(super) listen: SocketAddr,
    pub(super) tls_identity: Option<TlsIdentity>,
    pub(super) tokens: Tokens,
    pub(super) eventbridge: Option<EventBridge>,
    pub(super) access: AccessRules,
}

impl HttpSection {
    /// Without TLS, tokens and EventBridge.
    pub(super) fn new(listen: SocketAddr) -> Self {
        Self {
            listen,
            tls_identity: None,
            tokens: Tokens::default(),
            eventbridge: None,
            access: AccessRules::default(),
        }
    }
}

/// `max_entries` of `[state]`.
pub(super) fn max_state_entries(root: &ConfigTable<'_>) -> Option<usize> {
    let state = root.table("state")?;
    let max_entries = state.integer("max_entries", 1..=MAX_STATE_ENTRIES);
    state.finish();
    max_entries
}

/// `keep` of `[dead_letters]` without an end.
const FOREVER: &str = "forever";

/// `[archive]` and `[dead_letters]`.
pub(super) fn retention(root: &ConfigTable<'_>, mut retention: Retention) -> Retention {
    if let Some(archive) = root.table("archive") {
        retention.age = archive.duration("keep").unwrap_or(retention.age);
        retention.bytes = archive.integer("max_bytes", 1 << 20..=i64::MAX.unsigned_abs());
        archive.finish();
    }
    if let Some(letters) = root.table("dead_letters") {
        let keep = letters.raw().get("keep");
        let is_forever = keep.is_some_and(|keep| keep.get_ref().as_str() == Some(FOREVER));
        retention.dead_letters = if is_forever {
            // Read, so that it is no unknown key.
            letters
                .string("keep")
                .map_or(retention.dead_letters, |_| None)
        } else {
            letters.duration("keep").or(retention.dead_letters)
        };
        letters.finish();
    }
    retention
}

/// `[http]`.
pub(super) fn http(table: ConfigTable<'_>, tracker: &mut ErrorTracker<'_>) -> HttpSection {
    // Reading goes on with the default, so that one run reports the errors of the other keys too.
    let listen = tracker.read(&[ConfigPart::Restart], || listen(&table));
    let listen = listen.unwrap_or_else(|| Config::default().listen);
    // An invalid token is reported and left out. `serve` refuses the configuration then, and a
    // reload keeps the token that had this name, so there are never fewer tokens than intended.
    let entries = tracker.read(&[ConfigPart::Tokens], || table.tables("tokens"));
    let mut tokens: Vec<Token> = Vec::new();
    for entry in entries {
        let name = entry
            .raw()
            .get("name")
            .and_then(|name| name.get_ref().as_str());
        let name = name.map(str::to_owned);
        match tracker.observe(|| token(entry)) {
            (token, true) => tokens.extend(token),
            (_, false) => tracker.validity.invalid_tokens.extend(name),
        }
    }
    let tls_identity = tracker.read(&[ConfigPart::Tls], || {
        table.table("tls").and_then(tls_identity)
    });
    let eventbridge = tracker.read(&[ConfigPart::EventBridge], || {
        table.table("eventbridge").and_then(eventbridge)
    });
    let access = tracker.read(&[ConfigPart::Access], || access(&table));
    if !listen.ip().is_loopback() && !table.has("tokens") {
        let message = "missing tokens: without them anyone who can reach this address may do \
                       everything";
        let help = "add [[http.tokens]], or listen on 127.0.0.1";
        tracker.read(&[ConfigPart::Tokens], || {
            table.fault("listen", Code::CONFIG_VALUE, message, help);
        });
    }
    // Without secrets the tokens are all empty, and nothing is served either.
    let tokens = if table.context().resolves_secrets() {
        Tokens::new(tokens)
    } else {
        Tokens::default()
    };
    // An unknown key may be a misspelling of any of them: with `[http.tsl]` the certificate would
    // seem to have been removed, and the service would go on without TLS.
    tracker.read(&ConfigPart::HTTP, || table.finish());
    HttpSection {
        listen,
        tls_identity,
        tokens,
        eventbridge,
        access,
    }
}

/// `listen`, or its default; `None` if it is invalid.
pub(super) fn listen(table: &ConfigTable<'_>) -> Option<SocketAddr> {
    let Some(text) = table.string("listen") else {
        return Some(Config::default().listen);
    };
    let address = text.parse();
    if address.is_err() {
        report_address(table, &text, 8321);
    }
    address.ok()
}

/// Reports a `listen` that is not an address and port.
pub(super) fn report_address(table: &ConfigTable<'_>, text: &str, default_port: u16) {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (host, port) = text.rsplit_once(':').unwrap_or((text, ""));
    let on_this_machine = |port: &str| format!("127.0.0.1:{port}");
    let default = default_port.to_string();
    let (reason, right) = if digits(text) {
        (Some("the address is missing"), on_this_machine(text))
    } else if text.contains("://") {
        (
            Some("a scheme and a path are not part of it"),
            on_this_machine(&default),
        )
    } else if let Ok(address) = text.parse::<IpAddr>() {
        let right = SocketAddr::new(address, default_port).to_string();
        (Some("the port is missing"), right)
    } else if digits(port) && port.parse::<u16>().is_err() {
        (
            Some("the highest port is 65535"),
            format!("{host}:{default}"),
        )
    } else if host == "localhost" && digits(port) {
        (Some("a name is not an address"), on_this_machine(port))
    } else if host.is_empty() && digits(port) {
        (Some("the address is missing"), on_this_machine(port))
    } else {
        (None, on_this_machine(&default))
    };
    let mut message = "`listen` is not an address and port".to_owned();
    if let Some(reason) = reason {
        message += &format!(": {reason}");
    }
    let help = format!("write it as \"{right}\"");
    table.fault("listen", Code::CONFIG_VALUE, message, help);
}

/// `[telemetry]`.
pub(super) fn telemetry(table: ConfigTable<'_>) -> Option<Collector> {
    let help = "the collector's address: endpoint = \"http://localhost:4318\"";
    let endpoint = url_or_reference(&table, "endpoint", help);
    if let Some(Err(denied)) = endpoint
        .as_ref()
        .map(|url| EgressPolicy::operator_hosts().check_url(url))
    {
        let help = "write the address of the collector";
        table.fault("endpoint", Code::CONFIG_VALUE, denied.to_string(), help);
    }
    let headers = headers(&table);
    let one_in = table.integer("one_in", 1..=u32::MAX.into());
    let authorities = usable_authorities(&table, endpoint.as_ref());
    table.finish();
    Some(Collector {
        endpoint: endpoint?,
        headers,
        authorities,
        one_in: one_in.unwrap_or(1),
    })
}

/// `[limits]`.
pub(super) fn limits(root: &ConfigTable<'_>) -> Limits {
    let mut limits = Limits::DEFAULT;
    let Some(table) = root.table("limits") else {
        return limits;
    };
    let count = |key, limit: &mut usize| {
        // 1 GiB fits the 32-bit numbers in which permits are acquired; no request is that large.
        *limit = table.integer(key, 1..=1 << 30).unwrap_or(*limit);
    };
    count("body_bytes", &mut limits.body_bytes);
    count("batch_events", &mut limits.batch_events);
    count("queue_events", &mut limits.queue_events);
    count("queue_bytes", &mut limits.queue_bytes);
    count("delivery_bytes", &mut limits.delivery_bytes);
    count("connections", &mut limits.connections);
    count("peer_connections", &mut limits.peer_connections);
    count("peer_requests", &mut limits.peer_requests);
    let time = |key, limit: Duration| {
        table
            .duration(key)
            .map_or(limit, SignedDuration::unsigned_abs)
    };
    limits.head = time("head", limits.head);
    limits.body = time("body", limits.body);
    limits.write = time("write", limits.write);
    limits.token_delay = time("token_delay", limits.token_delay);
    if limits.queue_bytes < limits.body_bytes || limits.queue_events < limits.batch_events {
        // A request of the largest size would be refused with 429 for ever, however often the
        // client tried again.
        let message = "the queue is smaller than the largest request";
        let help = "queue_bytes ≥ body_bytes and queue_events ≥ batch_events are required";
        table.fault("", Code::CONFIG_VALUE, message, help);
    }
    table.finish();
    limits
}

/// `[[http.tokens]]`.
fn token(table: ConfigTable<'_>) -> Option<Token> {
    let name = table.required_string("name", "the client's name, for logs: name = \"cloud\"");
    if !table.has("roles") {
        table.missing("roles", "list some of: ingest, read, operate");
    }
    let roles = table.choices("roles", "role", &ROLES).unwrap_or_default();
    if !table.has("token") {
        table.missing("token", "write token = { env = \"NAME\" }");
    }
    let (secret, expires) = (table.secret("token"), table.timestamp("expires"));
    table.finish();
    Some(Token::new(name?, &secret?, roles, expires))
}

/// `hosts` and `trusted_proxies`.
fn access(table: &ConfigTable<'_>) -> AccessRules {
    let network = |text: &EmbeddedText| {
        let parsed = text.text().parse::<IpNet>();
        // A single address is a network too.
        let parsed = parsed.or_else(|_| text.text().parse::<IpAddr>().map(IpNet::from));
        let message = |_| {
            format!(
                "invalid network `{}`; write it as \"10.1.0.0/16\"",
                text.text()
            )
        };
        table.parsed(text, parsed.map_err(message))
    };
    let texts = |key| table.nonempty_strings(key).unwrap_or_default();
    AccessRules {
        hosts: hosts(table),
        trusted_proxies: texts("trusted_proxies")
            .iter()
            .filter_map(network)
            .collect(),
    }
}

/// `hosts`: names by which the service or its console is addressed.
pub(super) fn hosts(table: &ConfigTable<'_>) -> Vec<String> {
    let host = |text: &EmbeddedText| {
        // As it stands in `Host`, without the port, which the service does not look at.
        let url = Url::parse(&format!("http://{}/", text.text())).ok();
        let name = url.as_ref().and_then(Url::host_str);
        let is_name = name.is_some_and(|name| name.eq_ignore_ascii_case(text.text()));
        let message = "expected the name of a host, such as \"reflexarc.internal\"";
        let parsed = is_name.then(|| text.text().to_ascii_lowercase());
        table.parsed(text, parsed.ok_or_else(|| message.to_owned()))
    };
    let texts = table.nonempty_strings("hosts").unwrap_or_default();
    texts.iter().filter_map(host).collect()
}

/// `[http.tls]`.
fn tls_identity(table: ConfigTable<'_>) -> Option<TlsIdentity> {
    for key in ["certificate", "key"] {
        if !table.has(key) {
            table.missing(key, "name a file in PEM");
        }
    }
    // The private key is a secret: without secrets it is not read.
    if !table.context().resolves_secrets() {
        table.path("certificate");
        table.path("key");
        table.finish();
        return None;
    }
    let (certificate, key) = (table.file("certificate"), table.file("key"));
    let identity = certificate.zip(key).and_then(|(certificate, key)| {
        let identity = TlsIdentity::new(&certificate, &key);
        let help = "both files must be PEM, and the key must belong to the certificate";
        identity
            .map_err(|error| {
                table.fault("certificate", Code::CONFIG_VALUE, error.to_string(), help);
            })
            .ok()
    });
    table.finish();
    identity
}

/// `[http.eventbridge]`.
fn eventbridge(table: ConfigTable<'_>) -> Option<EventBridge> {
    let help = "the service's address as the HTTP target has it: https://hooks.example.com";
    let url = table.required_string("url", help);
    let origin = url.and_then(|url| match Url::parse(&url) {
        Ok(parsed) if parsed.has_host() => Some(parsed.origin().ascii_serialization()),
        _ => {
            let message = format!("invalid URL `{url}`");
            let help = "write it as https://hooks.example.com";
            table.fault("url", Code::CONFIG_VALUE, message, help);
            None
        }
    });
    // Required, unlike in EventBridge itself, see `security::eventbridge`.
    if !table.has("token") {
        let help = "set a token on the HTTP target: without one, anyone's event rules could send \
                    to this service";
        table.missing("token", help);
    }
    if !table.has("regions") {
        let help = "list the regions of your event buses: regions = [\"cn-hangzhou\"]";
        table.missing("regions", help);
    }
    let (token, regions) = (table.secret("token"), table.nonempty_strings("regions"));
    // A client reads the certificates of the system, which takes a while.
    if table.is_recording() {
        return None;
    }
    // Public addresses only: the certificate's URL comes from the client, and although its host is
    // checked, DNS could lead anywhere.
    let certificates = HttpsCertificates::new(&EgressPolicy::default());
    let certificates = certificates.map_err(|error| {
        let help = "check the certificate authorities of this system";
        table.fault("", Code::CONFIG_VALUE, error.to_string(), help);
    });
    table.finish();
    Some(EventBridge::new(
        origin?,
        token?,
        regions?.into_iter().map(EmbeddedText::into_text).collect(),
        Box::new(certificates.ok()?),
    ))
}
