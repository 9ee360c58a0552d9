//! `[store]`: a file or a database.

use std::path::Path;

use reflexarc_diagnostic::InvalidFiles;
use reflexarc_service::config::Secrets;
use reflexarc_service::{Config, StoreLocation};

fn read(text: &str, secrets: Secrets<'_>) -> Result<Config, InvalidFiles> {
    Config::read(text, Path::new("/etc/reflexarc"), secrets)
}

#[test]
fn a_store_without_a_url_is_a_file() {
    for (text, expected) in [
        ("", "/etc/reflexarc/reflexarc.db"),
        (
            "[store]\nduplicates = \"1h\"",
            "/etc/reflexarc/reflexarc.db",
        ),
        ("[store]\npath = \"events.db\"", "/etc/reflexarc/events.db"),
        ("[store]\npath = \"/data/events.db\"", "/data/events.db"),
    ] {
        let config = read(text, Secrets::Skip).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(config.store, StoreLocation::File(expected.into()));
        assert_eq!(config.store.to_string(), expected);
    }
}

#[cfg(feature = "cluster")]
mod with_postgres {
    use super::*;

    const URL: &str = "postgresql://operator:pass%2Fword-1@db.example:5433/events?sslmode=disable";

    fn environment(name: &str) -> Option<String> {
        (name == "DATABASE_URL").then(|| format!("{URL}\n"))
    }

    #[test]
    fn the_url_is_a_secret_that_nothing_shows() {
        let text = "[store]\nurl = { env = \"DATABASE_URL\" }\nduplicates = \"1h\"";
        for secrets in [Secrets::Resolve(&environment), Secrets::Store(&environment)] {
            let config = read(text, secrets).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(config.store.to_string(), "postgresql://db.example/events");
            assert_eq!(
                format!("{:?}", config.store),
                "Server(StoreUrl([redacted]))"
            );
            assert!(config.warnings.is_none());
            let written = format!("cannot connect to {URL}, pass%2Fword-1, pass/word-1");
            let redacted = config.redactor.redact(&written);
            assert_eq!(
                redacted,
                "cannot connect to [redacted], [redacted], [redacted]"
            );
        }
        // Another password is another store, until a restart.
        let other = |_: &str| Some(URL.replace("word-1", "word-2"));
        let [one, same, two] = [
            read(text, Secrets::Resolve(&environment)),
            read(text, Secrets::Resolve(&environment)),
            read(text, Secrets::Resolve(&other)),
        ]
        .map(|config| config.ok().unwrap().restart_settings());
        assert!(one.differences(&same).is_empty());
        assert_eq!(one.differences(&two), ["store"]);
    }

    #[test]
    fn other_secrets_are_not_looked_up_for_the_store() {
        let text = "[store]\nurl = { env = \"DATABASE_URL\" }\n[targets.out]\ntype = \"webhook\"\n\
                    url = { env = \"HOOK_URL\" }\n";
        let config = read(text, Secrets::Store(&environment));
        let config = config.unwrap_or_else(|error| panic!("{error}"));
        assert!(config.queues.is_empty());
        assert_eq!(config.known_targets.len(), 1);
        for secrets in [Secrets::Skip, Secrets::Blank] {
            let config = read(text, secrets).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(config.store.to_string(), "the database");
            let error = reflexarc_service::open_store(&config).err().unwrap();
            assert!(error.to_string().contains("without the URL"), "{error}");
        }
    }

    #[test]
    fn a_url_without_a_password_may_be_written_in_the_configuration() {
        let text = "[store]\nurl = \"postgresql://operator@/events?host=/run/postgresql\"";
        for secrets in [Secrets::Resolve(&environment), Secrets::Skip] {
            let config = read(text, secrets).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(
                config.store.to_string(),
                "postgresql:///run/postgresql/events"
            );
        }
    }

    #[test]
    fn errors_of_the_store_are_reported_at_their_places() {
        let nothing = |_: &str| None;
        let render = |text: &str, secrets: Secrets<'_>| {
            let error = read(text, secrets).err().unwrap().to_string();
            for part in ["pass%2Fword", "pass/word", "s3cret"] {
                assert!(!error.contains(part), "{error}");
            }
            error
        };
        insta::assert_snapshot!(render(
            "[store]\nurl = { env = \"DATABASE_URL\" }\npath = \"events.db\"\nmax_bytes = 20_000_000",
            Secrets::Resolve(&environment)
        ));
        insta::assert_snapshot!(render(
            &format!("[store]\nurl = \"{URL}\""),
            Secrets::Resolve(&environment)
        ));
        let reference = "[store]\nurl = { env = \"DATABASE_URL\" }";
        insta::assert_snapshot!(render(reference, Secrets::Store(&nothing)));
        let wrong = |_: &str| Some("mysql://u:s3cret@db/events".to_owned());
        insta::assert_snapshot!(render(reference, Secrets::Store(&wrong)));
        let unknown = |_: &str| Some("postgresql://u:s3cret@db/events?colour=red".to_owned());
        insta::assert_snapshot!(render(reference, Secrets::Store(&unknown)));
        insta::assert_snapshot!(render(
            "[store]\nurl = \"sqlite://u@db\"\nurls = 1",
            Secrets::Resolve(&environment)
        ));
    }
}

#[cfg(not(feature = "cluster"))]
#[test]
fn a_program_without_postgresql_says_so() {
    let text = "[store]\nurl = { env = \"DATABASE_URL\" }";
    for secrets in [Secrets::Skip, Secrets::Store(&|_| None)] {
        let error = read(text, secrets).err().unwrap();
        assert_eq!(error.diagnostics().count(), 1, "{error}");
        let text = error.to_string();
        assert!(text.contains("built without PostgreSQL"), "{text}");
        assert!(text.contains("--features cluster"), "{text}");
    }
}
