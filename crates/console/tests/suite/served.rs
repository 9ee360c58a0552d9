//! A service with a console on this machine, and what it shows.

use std::sync::Arc;
use std::time::Duration;

use reflexarc::RuleSet;
use reflexarc_service::config::Secrets;
use reflexarc_service::store::DeliveryStatus;
use reflexarc_service::{Config, ServiceBuilder, SqliteStore, Store};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A file that takes everything, and a program that refuses everything.
const CONFIG: &str = r#"
[targets.out]
type = "file"
path = "out.ndjson"
[targets.refuse]
type = "command"
argv = ["/bin/sh", "-c", "echo '<b>\"refused\"</b>' >&2; exit 1"]
retry = []
breaker = { failures = 0 }
"#;

/// Sends what failed, counts it, and writes to its log.
pub(crate) const FAILED: &str = r#"description = "Report what failed"
labels = { team = "network" }
when = 'content.result == "failed"'
then = '''
add("seen", 1);
set("last", event.content.eniId);
log(`looking at ${event.content.eniId}`);
send("out", #{ eni: event.content.eniId });
send("refuse", event);
'''

[[test]]
name = "a failure is sent"
event = '{"content": {"result": "failed", "eniId": "eni-1"}}'
matches = true

[[test]]
name = "a success is sent too"
event = '{"content": {"result": "success"}}'
matches = true
"#;

/// Waits for an hour.
pub(crate) const STUCK: &str = r#"when = 'content.result == "failed"'
by = "content.eniId"
not_followed_by = { when = 'content.result == "success"', within = "1h" }
notify = ["out"]
"#;

/// Fires with the first event, and is open for two hours.
pub(crate) const OFTEN: &str = r#"when = 'content.result == "failed"'
by = "content.eniId"
count = { at_least = 1, within = "1h", quiet = "2h" }
then = 'send("out", #{ often: key });'
resolved = 'send("out", #{ resolved: key });'
"#;

/// A reaction that fails.
pub(crate) const FAULTY: &str = r#"when = 'content.result == "faulty"'
then = 'throw event.content.eniId;'
"#;

pub(crate) struct Served {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) folder: tempfile::TempDir,
    console: String,
    api: String,
    stop: watch::Sender<bool>,
    running: JoinHandle<()>,
}

/// A response.
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Served {
    /// With the rules of this file.
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self::start_in(folder).await
    }

    /// In a folder that may have a store.
    pub(crate) async fn start_in(folder: tempfile::TempDir) -> Self {
        let config = Config::read(CONFIG, folder.path(), Secrets::Blank).unwrap();
        let rules = [
            ("failed.toml", FAILED),
            ("stuck.toml", STUCK),
            ("often.toml", OFTEN),
            ("faulty.toml", FAULTY),
        ];
        let rules = RuleSet::compile(rules).unwrap();
        let path = folder.path().join("reflexarc.db");
        let store: Arc<dyn Store> =
            Arc::new(SqliteStore::open(&path, &config.store_options).unwrap());
        let (api, console) = (listener().await, listener().await);
        let address = |listener: &TcpListener| listener.local_addr().unwrap().to_string();
        let (stop, stopped) = watch::channel(false);
        let addresses = (address(&api), address(&console));
        let builder = ServiceBuilder::new(config, rules, store.clone())
            .with_console(console, Box::new(reflexarc_console::router));
        let running = tokio::spawn(async move { builder.serve(api, stopped).await.unwrap() });
        Self {
            store,
            folder,
            api: addresses.0,
            console: addresses.1,
            stop,
            running,
        }
    }

    /// A page.
    pub(crate) async fn get(&self, path: &str) -> Page {
        self.request(&self.console, "GET", path, "", "").await
    }

    /// The stream at this address until it has this text.
    pub(crate) async fn stream_until(&self, path: &str, text: &str) -> String {
        let to = &self.console;
        let mut stream = TcpStream::connect(to).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: {to}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut read = Vec::new();
        let reading = async {
            while !String::from_utf8_lossy(&read).contains(text) {
                assert!(
                    stream.read_buf(&mut read).await.unwrap() > 0,
                    "the stream has ended"
                );
            }
        };
        tokio::time::timeout(Duration::from_secs(60), reading)
            .await
            .unwrap();
        String::from_utf8(read).unwrap()
    }

    /// A page that exists.
    pub(crate) async fn page(&self, path: &str) -> String {
        let page = self.get(path).await;
        assert_eq!(page.status, 200, "{path}: {}", page.body);
        page.body
    }

    /// The page after a form, with the CSRF token of the page `from`.
    pub(crate) async fn post(&self, from: &str, path: &str, fields: &[(&str, &str)]) -> Page {
        let form = self.page(from).await;
        let (_, token) = form.split_once("name=\"csrf\" value=\"").unwrap();
        let (token, _) = token.split_once('"').unwrap();
        let mut body = form_urlencoded::Serializer::new(String::new());
        body.append_pair("csrf", token).extend_pairs(fields);
        let kind = "application/x-www-form-urlencoded";
        self.request(&self.console, "POST", path, kind, &body.finish())
            .await
    }

    /// Sends an event, and returns the answer of the API.
    pub(crate) async fn send(&self, event: &str) {
        let answer = self.request(&self.api, "POST", "/events", "application/json", event);
        let answer = answer.await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }

    /// Sends an event of which each rule but the faulty one does something, and waits until its
    /// deliveries have ended.
    pub(crate) async fn fill(&self, id: &str, eni: &str) {
        let event = format!(
            r#"{{"id": {id:?}, "source": "acs.ecs", "name": "Eni:Failed",
                "content": {{"result": "failed", "eniId": {eni:?}}}}}"#
        );
        let dead = self.dead();
        self.send(&event).await;
        for _ in 0..500 {
            let pending = self
                .store
                .deliveries(DeliveryStatus::Pending, None, 10)
                .unwrap();
            if pending.is_empty() && self.dead() > dead {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("deliveries do not end");
    }

    /// The archive position of an event; the first entry is that of the rules.
    pub(crate) fn seq(&self, id: &str) -> i64 {
        self.store.find(id).unwrap()[0].seq
    }

    pub(crate) async fn stop(self) -> tempfile::TempDir {
        self.stop.send_replace(true);
        self.running.await.unwrap();
        self.folder
    }

    fn dead(&self) -> usize {
        self.store
            .deliveries(DeliveryStatus::Dead, None, 100)
            .unwrap()
            .len()
    }

    async fn request(&self, to: &str, method: &str, path: &str, kind: &str, body: &str) -> Page {
        let mut stream = TcpStream::connect(to).await.unwrap();
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {to}\r\norigin: http://{to}\r\nconnection: close\r\n\
             content-type: {kind}\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let is_chunked = head
            .to_ascii_lowercase()
            .contains("transfer-encoding: chunked");
        Page {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            body: if is_chunked {
                unchunked(body)
            } else {
                body.to_owned()
            },
            head: head.to_ascii_lowercase(),
        }
    }
}

async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

fn unchunked(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((length, rest)) = body.split_once("\r\n") {
        let length = usize::from_str_radix(length, 16).unwrap();
        whole.push_str(&rest[..length]);
        body = rest[length..].trim_start_matches("\r\n");
    }
    whole
}
