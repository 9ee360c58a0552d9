//! Events on their way out of a simulated cloud: to a URL and into files, account by account.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use reflexarc_delivery::http::EgressPolicy;
use reflexarc_eni::events::{Bus, PublishedEvent};
use reflexarc_eni::scenario::World;
use reflexarc_event::Event;
use reqwest::Url;
use tokio::sync::mpsc;

use super::Args;
use crate::exit::Failure;

/// How long a receiver may take, as Cloud Monitor's callbacks have it.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The waits before the second, third and fourth attempt.
const WAITS: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];
/// Events of one account that wait for its receiver; more are dropped, with a complaint.
const WAITING: usize = 10_000;

/// Where every account's events go.
pub(super) struct Forwarder {
    accounts: BTreeMap<String, Outlet>,
    complain: mpsc::Sender<String>,
    complaints: mpsc::Receiver<String>,
}

struct Outlet {
    name: String,
    bus: Bus,
    queue: Option<mpsc::Sender<Event>>,
    file: Option<PathBuf>,
}

impl Forwarder {
    /// One queue for each account that has somewhere to send to. Must be called inside the runtime.
    pub(super) fn new(world: &World, args: &Args) -> Result<Self, Failure> {
        let token = match &args.token_env {
            Some(name) => Some(std::env::var(name).map_err(|_| {
                Failure::Usage(format!(
                    "the environment variable {name}, which --token-env names, is not set"
                ))
            })?),
            None => None,
        };
        if let Some(folder) = &args.out {
            std::fs::create_dir_all(folder)
                .map_err(|error| Failure::Runtime(format!("{}: {error}", folder.display())))?;
        }
        // Whoever starts a simulation says where its events go: any network is fine.
        let everywhere = ["0.0.0.0/0", "::/0"]
            .iter()
            .filter_map(|network| network.parse().ok())
            .collect();
        let client = EgressPolicy {
            allowed: everywhere,
        }
        .client(None)
        .map_err(Failure::Runtime)?;
        let (complain, complaints) = mpsc::channel(WAITING);
        let mut accounts = BTreeMap::new();
        for account in &world.accounts {
            let queue = match account.to.as_ref().or(args.to.as_ref()) {
                Some(url) => {
                    let (queue, events) = mpsc::channel(WAITING);
                    let (url, token) = (address(url)?, token.clone());
                    tokio::spawn(deliver(
                        client.clone(),
                        url,
                        token,
                        events,
                        complain.clone(),
                    ));
                    Some(queue)
                }
                None => None,
            };
            let file = args
                .out
                .as_ref()
                .map(|folder| folder.join(format!("{}.ndjson", account.name)));
            let outlet = Outlet {
                name: account.name.clone(),
                bus: account.bus.clone(),
                queue,
                file,
            };
            accounts.insert(account.account.id.clone(), outlet);
        }
        Ok(Self {
            accounts,
            complain,
            complaints,
        })
    }

    /// Sends an event out of its recipient's bus; no other account's.
    pub(super) fn send(&mut self, publication: &PublishedEvent) -> Result<(), Failure> {
        let Some(outlet) = self.accounts.get(&publication.recipient) else {
            return Ok(());
        };
        let Some(event) = outlet.bus.receive(publication) else {
            return Ok(());
        };
        if let Some(path) = &outlet.file {
            let failed =
                |error: std::io::Error| Failure::Runtime(format!("{}: {error}", path.display()));
            let mut file = OpenOptions::new()
                .create(true)
                .append(true)
                .open(path)
                .map_err(failed)?;
            file.write_all(&[event.bytes(), b"\n"].concat())
                .map_err(failed)?;
        }
        if outlet
            .queue
            .as_ref()
            .is_some_and(|queue| queue.try_send(event).is_err())
        {
            let words = format!(
                "{WAITING} events of {} are waiting; one was dropped",
                outlet.name
            );
            // When even complaints pile up, there is one already that says so.
            let _ = self.complain.try_send(words);
        }
        Ok(())
    }

    /// The next thing that went wrong on the way.
    pub(super) async fn complaint(&mut self) -> String {
        match self.complaints.recv().await {
            Some(complaint) => complaint,
            None => std::future::pending().await,
        }
    }
}

fn address(text: &str) -> Result<Url, Failure> {
    let url = Url::parse(text)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.ok_or_else(|| Failure::Usage(format!("`{text}` is no http or https URL")))
}

/// Delivers one account's events, in order, each at most four times.
async fn deliver(
    client: reqwest::Client,
    url: Url,
    token: Option<String>,
    mut events: mpsc::Receiver<Event>,
    complain: mpsc::Sender<String>,
) {
    while let Some(event) = events.recv().await {
        let mut waits = WAITS.into_iter();
        loop {
            let kind = match event.tree().get("specversion") {
                Some(_) => "application/cloudevents+json",
                None => "application/json",
            };
            let mut request = client
                .post(url.clone())
                .timeout(TIMEOUT)
                .header("content-type", kind)
                .body(event.bytes().to_vec());
            if let Some(token) = &token {
                request = request.bearer_auth(token);
            }
            let trouble = match request.send().await {
                Ok(response) if response.status().is_success() => break,
                Ok(response) => format!("answered {}", response.status()),
                Err(error) => error.to_string(),
            };
            let Some(wait) = waits.next() else {
                let _ = complain.try_send(format!("an event for {url} was given up: {trouble}"));
                break;
            };
            tokio::time::sleep(wait).await;
        }
    }
}
