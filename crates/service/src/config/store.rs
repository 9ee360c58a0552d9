//! `[store]`: where the store is, and how it is opened.

#[cfg(feature = "cluster")]
use percent_encoding::percent_decode_str;
use reflexarc_delivery::config::ConfigTable;
use reflexarc_diagnostic::Code;
#[cfg(feature = "cluster")]
use reflexarc_diagnostic::toml::DeValue;
#[cfg(feature = "cluster")]
use secrecy::{ExposeSecret, SecretString};

use super::Config;
#[cfg(feature = "cluster")]
use crate::store::PostgresStore;
use crate::store::StoreOptions;
use crate::store_location::{StoreLocation, StoreUrl};

pub(super) fn store(root: &ConfigTable<'_>, default: &Config) -> (StoreLocation, StoreOptions) {
    let mut location = default.store.clone();
    if let StoreLocation::File(path) = &mut location {
        *path = root.context().folder().join(&path);
    }
    let mut options = default.store_options.clone();
    if let Some(store) = root.table("store") {
        let path = store.path("path");
        options.duplicate_window = store
            .duration("duplicates")
            .unwrap_or(options.duplicate_window);
        // A smaller store could not even hold its tables.
        options.max_bytes = store.integer("max_bytes", 1 << 20..=i64::MAX.unsigned_abs());
        if store.has("url") {
            refuse_keys_of_files(&store);
            let url = url(&store).unwrap_or_else(StoreUrl::unresolved);
            location = StoreLocation::Server(url);
        } else if let Some(path) = path {
            location = StoreLocation::File(path);
        }
        store.finish();
    }
    (location, options)
}

/// Reports what is set for a file beside the URL of a database.
fn refuse_keys_of_files(store: &ConfigTable<'_>) {
    if store.has("path") {
        let help = "keep `url` for a PostgreSQL database, or `path` for a SQLite file";
        store.fault("path", Code::CONFIG_VALUE, "both `url` and `path`", help);
    }
    if store.has("max_bytes") {
        let message = "`max_bytes` of [store] is the largest size of a SQLite file";
        let help = "remove it; `max_bytes` of [archive] limits what is kept in a database";
        store.fault("max_bytes", Code::CONFIG_VALUE, message, help);
    }
}

/// `url`, by reference; written here only without a password.
#[cfg(feature = "cluster")]
fn url(store: &ConfigTable<'_>) -> Option<StoreUrl> {
    let is_reference = store
        .lookup("url")
        .is_some_and(|value| matches!(value.get_ref(), DeValue::Table(_)));
    if store.is_recording() {
        store.store_secret("url");
    }
    let url = if is_reference {
        let secret = store.store_secret("url")?;
        if secret.expose_secret().is_empty() {
            return Some(StoreUrl::unresolved());
        }
        secret.expose_secret().trim().to_owned()
    } else {
        store.string("url")?
    };
    let passwords = passwords(&url);
    if !is_reference && !passwords.is_empty() {
        let message = "the password in `url` must not be written in the configuration";
        let help = "write url = { env = \"DATABASE_URL\" } for an environment variable with the \
                    URL, or { file = \"path\" }";
        store.fault("url", Code::CONFIG_SECRET, message, help);
        return None;
    }
    // Both as written and decoded: errors may have either.
    let decoded = passwords.iter().map(|password| {
        let decoded = percent_decode_str(password).decode_utf8_lossy();
        decoded.into_owned()
    });
    let written = passwords.iter().map(|password| (*password).to_owned());
    // Without the line break at its end, which it may have in a variable.
    let whole = is_reference.then(|| url.clone());
    let secrets = whole.into_iter().chain(written).chain(decoded);
    store.context().record_secrets(secrets);
    if let Err(error) = PostgresStore::name_of(&url) {
        // The error is without the text, which may be a secret.
        let help = if is_reference {
            "the form is postgresql://user:password@host:5432/database"
        } else {
            "write it as \"postgresql://user@host:5432/database\""
        };
        store.fault("url", Code::CONFIG_VALUE, error.to_string(), help);
        return None;
    }
    Some(StoreUrl::new(SecretString::from(url)))
}

#[cfg(not(feature = "cluster"))]
fn url(store: &ConfigTable<'_>) -> Option<StoreUrl> {
    // Read, so that it is no unknown key.
    store.lookup("url");
    reflexarc_delivery::config::report_missing_feature(store, "url", "PostgreSQL");
    None
}

/// The passwords in the URL of a database: before the host, and as a parameter.
#[cfg(feature = "cluster")]
fn passwords(url: &str) -> Vec<&str> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (address, query) = rest.split_once('?').unwrap_or((rest, ""));
    let authority = address.split('/').next().unwrap_or_default();
    let user = authority.rsplit_once('@').map(|(user, _)| user);
    let before_host = user.and_then(|user| user.split_once(':'));
    let parameters = query.split('&').filter_map(|one| one.split_once('='));
    let parameters = parameters.filter(|(key, _)| *key == "password");
    let found = before_host.into_iter().chain(parameters);
    let found = found.map(|(_, password)| password);
    found.filter(|password| !password.is_empty()).collect()
}

#[cfg(all(test, feature = "cluster"))]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_found_wherever_a_url_has_them() {
        for (url, expected) in [
            ("postgresql://db/events", vec![]),
            ("postgresql://user@db/events", vec![]),
            ("postgresql://user:@db/events", vec![]),
            ("postgresql://user:s3cret@db:5432/events", vec!["s3cret"]),
            ("postgresql://user:a@b@db/events", vec!["a@b"]),
            (
                "postgresql://user:s3cret@db?sslmode=require",
                vec!["s3cret"],
            ),
            (
                "postgresql:///e?user=u&password=a%2Fb&host=/run",
                vec!["a%2Fb"],
            ),
            ("s3cret", vec![]),
        ] {
            assert_eq!(passwords(url), expected, "{url}");
        }
    }
}
