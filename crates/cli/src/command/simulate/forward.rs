//! Forwarding the events of a listening cloud: to a URL and into a file, for each account.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reflexarc_delivery::http::EgressPolicy;
use reflexarc_eni::events::Bus;
use reflexarc_eni::scenario::World;
use reflexarc_event::Event;
use reqwest::Url;
use tokio::sync::mpsc;

use super::Args;
use crate::exit::Failure;

/// The time limit of one attempt; Cloud Monitor documents 5 s for its callbacks.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The delays before the second, third and fourth attempt.
const RETRY_DELAYS: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
];
/// The maximum number of events that wait for the receiver of one account; further ones are
/// dropped.
const QUEUE: usize = 10_000;

/// Forwards every account's events to where they belong.
pub(super) struct Forwarder {
    /// By account id.
    accounts: BTreeMap<String, AccountOutput>,
    /// The address of `--forward` and its bearer token.
    token: Option<(Url, String)>,
    warning_sender: mpsc::Sender<String>,
    warnings: mpsc::Receiver<String>,
}

/// Where the events of one account go.
struct AccountOutput {
    name: String,
    bus: Bus,
    queue: Option<mpsc::Sender<Event>>,
    file: Option<PathBuf>,
}

impl Forwarder {
    /// Starts a sender for each account that has a URL. Must be called inside the runtime.
    pub(super) fn new(world: &World, args: &Args) -> Result<Self, Failure> {
        let token = args.token_env.as_deref().map(bearer_token).transpose()?;
        if let Some(folder) = &args.out {
            std::fs::create_dir_all(folder)
                .map_err(|error| Failure::Runtime(format!("{}: {error}", folder.display())))?;
        }
        // The addresses come from the command line and the scenario of the same user, so private
        // networks are allowed; a simulation is usually on one machine.
        let client = EgressPolicy::operator_hosts()
            .client(None)
            .map_err(|error| Failure::Runtime(error.to_string()))?;
        // Senders run as tasks of their own and cannot return errors, so they report them here.
        let (warning_sender, warnings) = mpsc::channel(QUEUE);
        let mut accounts = BTreeMap::new();
        for account in &world.accounts {
            let queue = match account.to.as_deref().or(args.forward()) {
                Some(url) => {
                    let (queue, events) = mpsc::channel(QUEUE);
                    let sender = EventSender {
                        client: client.clone(),
                        url: parse_url(url)?,
                        token: token.clone(),
                        warnings: warning_sender.clone(),
                    };
                    tokio::spawn(sender.run(events));
                    Some(queue)
                }
                None => None,
            };
            let file_name = format!("{}.ndjson", account.name);
            let account_output = AccountOutput {
                name: account.name.clone(),
                bus: account.bus.clone(),
                queue,
                file: args.out.as_ref().map(|folder| folder.join(file_name)),
            };
            accounts.insert(account.account.id.clone(), account_output);
        }
        let address = args.forward().map(parse_url).transpose()?;
        Ok(Self {
            accounts,
            token: address.zip(token),
            warning_sender,
            warnings,
        })
    }

    /// Forwards an event, which is in its native form, from its recipient's bus.
    pub(super) fn send(&mut self, recipient: &str, event: &Event) -> Result<(), Failure> {
        let Some(account) = self.accounts.get(recipient) else {
            return Ok(());
        };
        let event = account.bus.envelope.wrap(event);
        if let Some(path) = &account.file {
            append(path, &event)
                .map_err(|error| Failure::Runtime(format!("{}: {error}", path.display())))?;
        }
        if let Some(queue) = &account.queue
            && queue.try_send(event).is_err()
        {
            let name = &account.name;
            let warning = format!("dropped an event of {name}: {QUEUE} are waiting already");
            // A full channel of warnings already contains this one.
            let _ = self.warning_sender.try_send(warning);
        }
        Ok(())
    }

    /// The address of `--forward` and its bearer token, if it has one.
    pub(super) fn token(&self) -> Option<(Url, String)> {
        self.token.clone()
    }

    /// The next event that could not be forwarded, as a message.
    pub(super) async fn warning(&mut self) -> String {
        match self.warnings.recv().await {
            Some(warning) => warning,
            None => std::future::pending().await,
        }
    }
}

/// Sends the events of one account to its receiver.
struct EventSender {
    client: reqwest::Client,
    url: Url,
    token: Option<String>,
    warnings: mpsc::Sender<String>,
}

impl EventSender {
    /// Sends events in order: the next one waits until this one is delivered or given up.
    async fn run(self, mut events: mpsc::Receiver<Event>) {
        while let Some(event) = events.recv().await {
            let mut delays = RETRY_DELAYS.into_iter();
            while let Err(failure) = self.post(&event).await {
                let Some(delay) = delays.next() else {
                    let attempts = RETRY_DELAYS.len() + 1;
                    let warning = format!(
                        "cannot deliver an event to {} in {attempts} attempts: {failure}",
                        self.url
                    );
                    // Waits while the channel is full: this event is reported nowhere else. It
                    // fails only once the command has ended and prints no more warnings.
                    let _ = self.warnings.send(warning).await;
                    break;
                };
                tokio::time::sleep(delay).await;
            }
        }
    }

    async fn post(&self, event: &Event) -> Result<(), String> {
        // Only CloudEvents have `specversion`; the other envelopes are plain JSON.
        let content_type = match event.tree().get("specversion") {
            Some(_) => "application/cloudevents+json",
            None => "application/json",
        };
        let mut request = self
            .client
            .post(self.url.clone())
            .timeout(TIMEOUT)
            .header("content-type", content_type)
            .body(event.bytes().to_vec());
        if let Some(token) = &self.token {
            request = request.bearer_auth(token);
        }
        match request.send().await {
            Ok(response) if response.status().is_success() => Ok(()),
            Ok(response) => Err(format!("HTTP status {}", response.status())),
            Err(error) => Err(error.to_string()),
        }
    }
}

fn bearer_token(variable: &str) -> Result<String, Failure> {
    std::env::var(variable).map_err(|_| {
        Failure::Usage(format!(
            "--token-env: the environment variable {variable} is not set"
        ))
    })
}

fn parse_url(text: &str) -> Result<Url, Failure> {
    let is_http = |url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host();
    let url = Url::parse(text).ok().filter(is_http);
    url.ok_or_else(|| Failure::Usage(format!("invalid URL `{text}`: expected http or https")))
}

fn append(path: &Path, event: &Event) -> std::io::Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    // One write, so that a reader of the growing file sees whole lines.
    file.write_all(&[event.bytes(), b"\n"].concat())
}
