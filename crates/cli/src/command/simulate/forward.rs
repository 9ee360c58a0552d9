//! Forwarding the events of a listening cloud: to a URL and into a file, for each account.
//!
//! As with a real event bus, a receiver that is restarted loses nothing: what it does not take is
//! sent again until it does.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reflexarc_delivery::http::{EgressPolicy, request_error};
use reflexarc_eni::events::Bus;
use reflexarc_eni::scenario::World;
use reflexarc_event::Event;
use reqwest::{StatusCode, Url};
use tokio::sync::mpsc;

use super::Args;
use crate::exit::Failure;

/// The time limit of one attempt; Cloud Monitor documents 5 s for its callbacks.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The delay before the second attempt; each further one is twice as long, up to the last.
const FIRST_DELAY: Duration = Duration::from_secs(1);
const LAST_DELAY: Duration = Duration::from_secs(8);
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
    /// How many events wait to be taken, or were dropped.
    undelivered: Arc<AtomicUsize>,
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
        let policy = EgressPolicy::operator_hosts();
        // Senders run as tasks of their own and cannot return errors, so they report them here.
        let (warning_sender, warnings) = mpsc::channel(QUEUE);
        let mut accounts = BTreeMap::new();
        for account in &world.accounts {
            let undelivered = Arc::new(AtomicUsize::new(0));
            let queue = match account.to.as_deref().or(args.forward()) {
                Some(url) => {
                    let (queue, events) = mpsc::channel(QUEUE);
                    let url = parse_url(url)?;
                    let client = policy.client_of(&url, None);
                    let sender = EventSender {
                        client: client.map_err(|error| Failure::Runtime(error.to_string()))?,
                        url,
                        token: token.clone(),
                        undelivered: Arc::clone(&undelivered),
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
                undelivered,
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
        if let Some(queue) = &account.queue {
            account.undelivered.fetch_add(1, Ordering::Relaxed);
            if queue.try_send(event).is_err() {
                let name = &account.name;
                let warning = format!("dropped an event of {name}: {QUEUE} are waiting already");
                // A full channel contains this warning already. How many were dropped is said at
                // the end, by `undelivered`.
                let _ = self.warning_sender.try_send(warning);
            }
        }
        Ok(())
    }

    /// What the command says when it ends: warnings that have not been printed, and how many events
    /// are not delivered.
    pub(super) fn last_warnings(&mut self) -> Vec<String> {
        let mut last: Vec<String> = Vec::new();
        while let Ok(warning) = self.warnings.try_recv() {
            last.push(warning);
        }
        last.extend(self.undelivered());
        last
    }

    fn undelivered(&self) -> Option<String> {
        let of_account = |account: &AccountOutput| account.undelivered.load(Ordering::Relaxed);
        match self.accounts.values().map(of_account).sum() {
            0_usize => None,
            1 => Some("1 event was not delivered".to_owned()),
            count => Some(format!("{count} events were not delivered")),
        }
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
    undelivered: Arc<AtomicUsize>,
    warnings: mpsc::Sender<String>,
}

/// Why the receiver has not taken an event.
enum NotTaken {
    /// Another attempt may succeed.
    Unavailable(String),
    /// Every attempt would end so.
    Refused(StatusCode),
}

impl EventSender {
    /// Sends events in order: the next one waits until this one is delivered or refused.
    async fn run(self, mut events: mpsc::Receiver<Event>) {
        while let Some(event) = events.recv().await {
            self.deliver(&event).await;
            self.undelivered.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Sends an event until it is taken or refused.
    async fn deliver(&self, event: &Event) {
        let mut delay = FIRST_DELAY;
        loop {
            match self.post(event).await {
                Ok(()) => return,
                Err(NotTaken::Refused(status)) => {
                    let warning = format!("{} refuses an event: HTTP status {status}", self.url);
                    return self.warn(warning).await;
                }
                Err(NotTaken::Unavailable(reason)) => {
                    // Said once for each event that waits.
                    if delay == FIRST_DELAY {
                        let warning = format!(
                            "cannot deliver events to {} now, trying again until it takes them: {reason}",
                            self.url
                        );
                        self.warn(warning).await;
                    }
                    tokio::time::sleep(delay).await;
                    delay = LAST_DELAY.min(delay * 2);
                }
            }
        }
    }

    /// Waits while the channel is full: what is said is said nowhere else. It fails only once the
    /// command has ended and prints no more warnings.
    async fn warn(&self, warning: String) {
        let _ = self.warnings.send(warning).await;
    }

    async fn post(&self, event: &Event) -> Result<(), NotTaken> {
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
            Ok(response) => {
                let status = response.status();
                let is_temporary = status.is_server_error()
                    || status == StatusCode::REQUEST_TIMEOUT
                    || status == StatusCode::TOO_MANY_REQUESTS;
                match status {
                    status if status.is_success() => Ok(()),
                    status if is_temporary => {
                        Err(NotTaken::Unavailable(format!("HTTP status {status}")))
                    }
                    status => Err(NotTaken::Refused(status)),
                }
            }
            Err(error) => Err(NotTaken::Unavailable(request_error(error))),
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

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use reflexarc_eni::scenario::Scenario;

    use super::*;

    #[derive(clap::Parser)]
    struct Command {
        #[command(flatten)]
        args: Args,
    }

    #[tokio::test]
    async fn what_is_beyond_the_queue_is_dropped_and_counted() {
        let scenario: Scenario = "".parse().unwrap();
        // Nothing is sent: senders do not run before this test waits.
        let line = "simulate --listen 127.0.0.1:0 --forward http://127.0.0.1:1";
        let args = Command::try_parse_from(line.split(' ')).unwrap().args;
        let mut forwarder = Forwarder::new(&scenario.world, &args).unwrap();
        assert_eq!(forwarder.undelivered(), None);
        let tenant = scenario.world.accounts[0].account.id.clone();
        let event = Event::from_json(r#"{"name": "x", "content": {}}"#).unwrap();
        for _ in 0..QUEUE {
            forwarder.send(&tenant, &event).unwrap();
        }
        assert!(forwarder.warnings.try_recv().is_err());
        for _ in 0..2 {
            forwarder.send(&tenant, &event).unwrap();
        }
        let dropped = "dropped an event of tenant: 10000 are waiting already";
        let undelivered = "10002 events were not delivered";
        assert_eq!(forwarder.last_warnings(), [dropped, dropped, undelivered]);
    }
}
