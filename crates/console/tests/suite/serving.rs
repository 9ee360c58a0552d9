//! A service with a console.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use reflexarc::RuleSet;
use reflexarc_service::config::Secrets;
use reflexarc_service::{Config, ServiceBuilder, SqliteStore, Store, StoreOptions};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::browser::{Browser, Reply, send};

/// The token of `ops`, who may do everything.
pub(crate) const OPS: &str = "token-of-ops-5f1c";
/// The token of `reader`, who may look.
pub(crate) const READER: &str = "token-of-reader-77aa";
/// The token of `cloud`, who may only post events.
pub(crate) const CLOUD: &str = "token-of-cloud-0c3e";

/// Sends every event to `out`.
const ALL: &str = "when = 'id != \"\"'\nthen = 'send(\"out\", event.id);'\n";
/// Sends some events to a target that does not exist: they become dead letters.
const LOST: &str = "when = 'name == \"lost\"'\nthen = 'send(\"network-team\", event.id);'\n";

pub(crate) struct Serving {
    pub(crate) console: SocketAddr,
    pub(crate) api: SocketAddr,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) folder: tempfile::TempDir,
    stop: watch::Sender<bool>,
    running: JoinHandle<()>,
}

/// The configuration with tokens of these names and roles; their secrets are in files of the name.
pub(crate) fn config(tokens: &[(&str, &str)]) -> String {
    let mut text = "[targets.out]\ntype = \"file\"\npath = \"out.ndjson\"\n\
                    [console]\nlisten = \"127.0.0.1:8326\"\nhosts = [\"console.example\"]\n"
        .to_owned();
    for (name, roles) in tokens {
        text.push_str(&format!(
            "[[http.tokens]]\nname = \"{name}\"\ntoken = {{ file = \"{name}\" }}\nroles = {roles}\n"
        ));
    }
    text
}

/// The three tokens.
pub(crate) const TOKENS: [(&str, &str); 3] = [
    ("ops", "[\"ingest\", \"read\", \"operate\"]"),
    ("reader", "[\"read\"]"),
    ("cloud", "[\"ingest\"]"),
];

impl Serving {
    /// With the three tokens.
    pub(crate) async fn start() -> Self {
        Self::with(&config(&TOKENS), &[("all.toml", ALL)]).await
    }

    /// With the three tokens, and dead letters of events of the name `lost`.
    pub(crate) async fn losing() -> Self {
        Self::with(&config(&TOKENS), &[("all.toml", ALL), ("lost.toml", LOST)]).await
    }

    /// With no tokens.
    pub(crate) async fn open() -> Self {
        Self::with(&config(&[]), &[("all.toml", ALL)]).await
    }

    async fn with(config: &str, rules: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir(path("rules")).unwrap();
        for (name, text) in rules {
            std::fs::write(path("rules").join(name), text).unwrap();
        }
        for (name, token) in [("ops", OPS), ("reader", READER), ("cloud", CLOUD)] {
            write_secret(&path(name), token);
        }
        std::fs::write(path("reflexarc.toml"), config).unwrap();
        let config = Config::load(&path("reflexarc.toml"), Secrets::Resolve(&|_| None));
        let mut config = config.unwrap_or_else(|errors| panic!("{errors:?}"));
        config.rule_paths = vec![path("rules")];
        // Without a look at the targets, which the command line has.
        let rules = RuleSet::load(path("rules"));
        let rules = rules.unwrap_or_else(|errors| panic!("{errors:?}"));
        let store = SqliteStore::open(&path("store.db"), &StoreOptions::default()).unwrap();
        let store: Arc<dyn Store> = Arc::new(store);
        let listen = || TcpListener::bind("127.0.0.1:0");
        let (api, console) = (listen().await.unwrap(), listen().await.unwrap());
        let addresses = (api.local_addr().unwrap(), console.local_addr().unwrap());
        let (stop, stopped) = watch::channel(false);
        let builder = ServiceBuilder::new(config, rules, store.clone())
            .with_console(console, Box::new(reflexarc_console::router));
        let running = tokio::spawn(async move { builder.serve(api, stopped).await.unwrap() });
        Self {
            api: addresses.0,
            console: addresses.1,
            store,
            folder,
            stop,
            running,
        }
    }

    /// A browser without cookies.
    pub(crate) fn browser(&self) -> Browser {
        Browser::new(self.console)
    }

    /// A browser that has logged in.
    pub(crate) async fn logged_in(&self, token: &str) -> Browser {
        let mut browser = self.browser();
        let reply = browser.log_in(token).await;
        assert_eq!((reply.status, reply.header("location")), (303, Some("/")));
        browser
    }

    /// A request to the API of `ops`.
    pub(crate) async fn api(&self, method: &str, path: &str, body: &str) -> Reply {
        let authorization = format!("Bearer {OPS}");
        let headers = [
            ("host", "localhost"),
            ("authorization", authorization.as_str()),
            ("content-type", "application/json"),
        ];
        send(self.api, method, path, &headers, body).await
    }

    /// Posts an event.
    pub(crate) async fn event(&self, id: &str, name: &str) {
        let event = format!(
            "{{\"id\": \"{id}\", \"name\": \"{name}\", \"product\": \"test\", \
             \"time\": \"2026-11-27T03:04:05Z\"}}"
        );
        let reply = self.api("POST", "/events", &event).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
    }

    /// Waits until there are so many dead letters.
    pub(crate) async fn letters(&self, wanted: u64) {
        for _ in 0..1_000 {
            let counts = self.store.dead_letter_counts().unwrap();
            if counts.iter().map(|(_, count)| *count).sum::<u64>() == wanted {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("there are never {wanted} dead letters");
    }

    /// Another configuration, in effect.
    pub(crate) async fn reload(&self, config: &str) {
        std::fs::write(self.folder.path().join("reflexarc.toml"), config).unwrap();
        let reply = self.api("POST", "/reload", "").await;
        assert_eq!(reply.status, 200, "{}", reply.body);
    }

    /// Another secret of a token.
    pub(crate) fn write_token(&self, name: &str, token: &str) {
        write_secret(&self.folder.path().join(name), token);
    }

    pub(crate) async fn stop(self) {
        self.stop.send(true).unwrap();
        self.running.await.unwrap();
    }
}

fn write_secret(path: &Path, token: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, token).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}
