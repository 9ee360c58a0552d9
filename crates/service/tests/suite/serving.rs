//! A whole service on this machine.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reflexarc::RuleSet;
use reflexarc_delivery::config::TargetConfig;
use reflexarc_delivery::{FileTarget, RetryPolicy};
use reflexarc_event::Json;
use reflexarc_service::{Config, ServiceBuilder, SqliteStore, Store};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::delivering::{queue, quick};
use crate::samples::OPTIONS;

pub(crate) struct Serving {
    pub(crate) url: String,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) client: reqwest::Client,
    stop: watch::Sender<bool>,
    running: JoinHandle<()>,
}

/// Sends every failed operation to the target `out`.
pub(crate) const RULE: &str = r#"
when = 'content.result == "failed"'
then = 'send("out", #{ eni: event.content.eniId });'
"#;

/// The parts of a service, which a test can change before it runs.
pub(crate) struct Parts {
    pub(crate) config: Config,
    pub(crate) rules: RuleSet,
    pub(crate) store: Arc<dyn Store>,
}

/// One rule, one target `out` that writes `out.ndjson`.
pub(crate) fn parts(folder: &tempfile::TempDir) -> Parts {
    let rules = folder.path().join("rules");
    if !rules.exists() {
        std::fs::create_dir(&rules).unwrap();
        std::fs::write(rules.join("failed.toml"), RULE).unwrap();
    }
    Parts {
        store: Arc::new(SqliteStore::open(&folder.path().join("store.db"), &OPTIONS).unwrap()),
        rules: RuleSet::load(&rules).unwrap_or_else(|faults| panic!("{faults:?}")),
        config: Config {
            rule_paths: vec![rules],
            queues: vec![out(folder, quick(3))],
            shutdown_timeout: Duration::from_secs(5),
            ..Config::default()
        },
    }
}

pub(crate) fn out(folder: &tempfile::TempDir, policy: RetryPolicy) -> TargetConfig {
    queue(
        "out",
        FileTarget::file(folder.path().join("out.ndjson")),
        policy,
    )
}

impl Serving {
    pub(crate) async fn start() -> Self {
        Self::with(|_| ()).await
    }

    pub(crate) async fn with(change: impl FnOnce(&mut Parts)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut parts = parts(&folder);
        change(&mut parts);
        Self::run(folder, parts).await
    }

    pub(crate) async fn run(folder: tempfile::TempDir, parts: Parts) -> Self {
        drop(rustls::crypto::ring::default_provider().install_default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if parts.config.tls_identity.is_some() {
            "https"
        } else {
            "http"
        };
        let url = format!(
            "{scheme}://localhost:{}",
            listener.local_addr().unwrap().port()
        );
        let (stop, stopped) = watch::channel(false);
        let store = parts.store.clone();
        let builder = ServiceBuilder::new(parts.config, parts.rules, parts.store);
        let running = tokio::spawn(async move { builder.serve(listener, stopped).await.unwrap() });
        Self {
            url,
            store,
            folder,
            client: reqwest::Client::new(),
            stop,
            running,
        }
    }

    /// Posts JSON (or lines of it) to `/events` and gives status and answer.
    pub(crate) async fn post(&self, content_type: &str, body: impl Into<String>) -> (u16, Json) {
        self.post_to("/events", &[("content-type", content_type)], body)
            .await
    }

    pub(crate) async fn post_to(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<String>,
    ) -> (u16, Json) {
        let mut request = self
            .client
            .post(format!("{}{path}", self.url))
            .body(body.into());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        answer(request).await
    }

    pub(crate) async fn get(&self, path: &str, token: Option<&str>) -> (u16, Json) {
        let mut request = self.client.get(format!("{}{path}", self.url));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        answer(request).await
    }

    /// Lines written by the target `out`.
    pub(crate) fn lines(&self) -> Vec<Json> {
        let text = std::fs::read_to_string(self.path("out.ndjson")).unwrap_or_default();
        // A long line may be read while it is being written.
        let complete = text.rsplit_once('\n').map_or("", |(complete, _)| complete);
        complete
            .lines()
            .map(|line| Json::parse(line).unwrap())
            .collect()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn stop_soon(&self) {
        self.stop.send_replace(true);
    }

    pub(crate) async fn stop(self) -> tempfile::TempDir {
        self.stop_soon();
        self.running.await.unwrap();
        self.folder
    }
}

async fn answer(request: reqwest::RequestBuilder) -> (u16, Json) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (
        status,
        Json::parse(&text).unwrap_or_else(|_| Json::from(text)),
    )
}
