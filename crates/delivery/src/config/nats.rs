//! The keys by which targets and sources connect to NATS.

use std::path::PathBuf;

use async_nats::{ConnectOptions, ServerAddr};
use reflexarc_diagnostic::toml::DeValue;
use reflexarc_diagnostic::{Code, Diagnostic};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use secrecy::{ExposeSecret, SecretString};

use super::ConfigTable;
use super::network::{authorities, check_address};
use crate::http::{EgressPolicy, certificates};
use crate::nats::{NatsLogin, NatsSettings, NatsTls};

/// How to write `url`.
const URL_HELP: &str = "the NATS servers: url = \"nats://nats.example.com:4222\", a list of \
                        several, or { env = \"NATS_URL\" }";
/// The keys of which at most one may be there.
const LOGINS: [&str; 4] = ["token", "user", "nkey", "credentials"];

/// Reads `url`, `token`, `user` and `password`, `nkey`, `credentials`, `tls`, `authorities`,
/// `certificate` and `key`.
pub fn nats(keys: &ConfigTable<'_>) -> Option<NatsSettings> {
    let servers = servers(keys);
    let login = login(keys);
    let tls = tls(keys);
    let (servers, login, tls) = (servers?, login?, tls?);
    warn_of_clear_secrets(keys, &servers, &login, &tls);
    Some(NatsSettings {
        servers,
        login,
        tls,
    })
}

/// `url`: a server, several, or a secret with one or several, with commas between them.
fn servers(keys: &ConfigTable<'_>) -> Option<Vec<ServerAddr>> {
    let is_reference = keys
        .lookup("url")
        .is_some_and(|value| matches!(value.get_ref(), DeValue::Table(_)));
    if keys.is_recording() {
        keys.secret("url");
    }
    if !is_reference {
        if !keys.has("url") {
            keys.missing("url", URL_HELP);
        }
        let texts = keys.nonempty_strings("url")?;
        let servers = texts.iter().map(|text| {
            let parsed = server(keys, text.text()).map_err(|fault| {
                format!(
                    "invalid address of a NATS server `{}`: {fault}",
                    text.text()
                )
            });
            keys.parsed(text, parsed)
        });
        // All of them are read, so that each fault is reported.
        let servers: Vec<_> = servers.collect();
        return servers.into_iter().collect();
    }
    let secret = keys.secret("url")?;
    if !keys.context().resolves_secrets() {
        // Nothing is sent, see `Secrets`; the name is reserved, so that nothing could be.
        return "nats://secret.invalid"
            .parse()
            .ok()
            .map(|server| vec![server]);
    }
    let parts = secret.expose_secret().split(',');
    let parsed: Result<Vec<_>, _> = parts.map(|part| server(keys, part.trim())).collect();
    parsed
        .map_err(|fault| {
            // Without the text, which is a secret.
            let message = format!("the secret `url` is not an address of a NATS server: {fault}");
            keys.fault("url", Code::CONFIG_SECRET, message, URL_HELP);
        })
        .ok()
}

fn server(keys: &ConfigTable<'_>, text: &str) -> Result<ServerAddr, String> {
    let server: ServerAddr = text
        .parse()
        .map_err(|_| "expected nats://host:port".to_owned())?;
    if server.is_websocket() {
        return Err("expected nats:// or tls://, not a web socket".to_owned());
    }
    if server.host().is_empty() {
        return Err("expected nats:// and a host".to_owned());
    }
    // A password in the address, which logs must not show.
    let password = server.password().map(str::to_owned);
    keys.context().record_secrets(password);
    // Names are not checked again when they are resolved, as for HTTP: NATS servers speak first, so
    // that nothing is sent to another service at such an address.
    check_address(
        keys,
        "url",
        EgressPolicy::operator_hosts().check_host(server.host()),
    );
    Ok(server)
}

fn login(keys: &ConfigTable<'_>) -> Option<NatsLogin> {
    let given: Vec<&str> = LOGINS.into_iter().filter(|key| keys.has(key)).collect();
    if let [first, second, ..] = given[..] {
        let message = format!("both `{first}` and `{second}`");
        let help = "keep the one that the server expects";
        keys.fault(second, Code::CONFIG_VALUE, message, help);
    }
    if keys.has("user") != keys.has("password") {
        let message = "`user` and `password` must be set together";
        keys.fault("user", Code::CONFIG_MISSING, message, "set both or neither");
    }
    let (token, user) = (keys.secret("token"), keys.string("user"));
    let (password, seed) = (keys.secret("password"), keys.secret("nkey"));
    let credentials = keys.secret("credentials");
    let credentials = credentials.and_then(|text| checked_credentials(keys, text));
    let login = match given.first() {
        None => NatsLogin::Anonymous,
        Some(&"token") => NatsLogin::Token(token?),
        Some(&"user") => NatsLogin::Password(user?, password?),
        Some(&"nkey") => NatsLogin::NKey(seed?),
        Some(_) => NatsLogin::Credentials(credentials?),
    };
    (given.len() < 2).then_some(login)
}

/// The text of a credentials file, if it is one.
fn checked_credentials(keys: &ConfigTable<'_>, text: SecretString) -> Option<SecretString> {
    if !keys.context().resolves_secrets() {
        return Some(text);
    }
    // Without its message, which may quote the text.
    if ConnectOptions::new()
        .credentials(text.expose_secret())
        .is_err()
    {
        let message = "the secret `credentials` is not a credentials file of NATS";
        let help = "write credentials = { file = \"user.creds\" }, a file that `nsc generate \
                    creds` makes";
        keys.fault("credentials", Code::CONFIG_SECRET, message, help);
        return None;
    }
    Some(text)
}

fn tls(keys: &ConfigTable<'_>) -> Option<NatsTls> {
    let required = keys.boolean("tls").unwrap_or_default();
    let pem = |key: &str, content: &str, is_valid: fn(&[u8]) -> bool| -> Option<Option<PathBuf>> {
        if !keys.has(key) {
            return Some(None);
        }
        // Read here too, so that a wrong file is found before the first connection, and a reload
        // notices a new one.
        if !is_valid(&keys.file(key)?) {
            let message = format!("`{key}` has no {content}");
            keys.fault(key, Code::CONFIG_VALUE, message, "use a file in PEM");
            return None;
        }
        Some(keys.path(key))
    };
    let authorities_are_valid = authorities(keys).is_some();
    if keys.has("certificate") != keys.has("key") {
        let message = "`certificate` and `key` must be set together";
        let key = if keys.has("key") {
            "key"
        } else {
            "certificate"
        };
        keys.fault(key, Code::CONFIG_MISSING, message, "set both or neither");
    }
    let is_certificate = |pem: &[u8]| certificates(pem).is_ok();
    let is_key = |pem: &[u8]| PrivateKeyDer::from_pem_slice(pem).is_ok();
    let certificate = pem("certificate", "certificates", is_certificate);
    let key = pem("key", "private key", is_key);
    // After all keys were read: those that were not would seem to be unknown.
    authorities_are_valid.then_some(NatsTls {
        required,
        authorities: keys.path("authorities"),
        identity: certificate?.zip(key?),
    })
}

/// A token or a password that everyone on the way can read.
fn warn_of_clear_secrets(
    keys: &ConfigTable<'_>,
    servers: &[ServerAddr],
    login: &NatsLogin,
    tls: &NatsTls,
) {
    let key = match login {
        NatsLogin::Token(_) => "token",
        NatsLogin::Password(..) => "password",
        // Keys sign; they are not sent.
        NatsLogin::Anonymous | NatsLogin::NKey(_) | NatsLogin::Credentials(_) => return,
    };
    let is_clear = |server: &ServerAddr| {
        let address: Option<std::net::IpAddr> = server.host().parse().ok();
        let is_here = address.is_some_and(|address| address.is_loopback());
        !server.tls_required() && !is_here && server.host() != "localhost"
    };
    if !tls.required && servers.iter().any(is_clear) {
        let message = format!("the {key} is sent in the clear if the server does not require TLS");
        let warning = Diagnostic::warning(Code::CONFIG_VALUE, keys.span_of(key), message);
        keys.report(warning.with_help("set tls = true, or write tls:// in `url`"));
    }
}
