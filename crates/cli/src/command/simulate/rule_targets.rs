//! Delivering events to the targets of rules that accounts have created in a listening cloud.
//!
//! Only programs on this machine are called: a rule that is made for the real cloud must not send
//! simulated events to the receivers of real ones.

mod report;

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reflexarc_delivery::http::EgressPolicy;
use reflexarc_eni::scenario::World;
use reflexarc_eni::subscriptions::{Delivery, Destination};
use reqwest::{Client, Url};
use tokio::sync::{Semaphore, mpsc};

pub(super) use report::{Outcome, TargetReport};

use super::shared_cloud::SharedCloud;

/// The time limit of one attempt; Cloud Monitor documents 5 s, EventBridge none.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The maximum number of deliveries in progress, those that wait for a repetition included; further
/// ones are dropped.
const DELIVERIES: usize = 10_000;
/// The maximum number of requests at the same time.
const REQUESTS: usize = 64;

/// Delivers to the targets of rules.
pub(super) struct RuleTargets {
    shared: Arc<Shared>,
    reports: mpsc::Receiver<TargetReport>,
}

/// What all deliveries share.
struct Shared {
    cloud: Arc<SharedCloud>,
    /// Account ids and names.
    names: Vec<(String, String)>,
    /// A bearer token, and the address that gets it.
    token: Option<(Url, String)>,
    deliveries: Arc<Semaphore>,
    requests: Semaphore,
    reports: mpsc::Sender<TargetReport>,
}

impl RuleTargets {
    /// Targets at the address of `token` get that bearer token.
    pub(super) fn new(
        world: &World,
        cloud: Arc<SharedCloud>,
        token: Option<(Url, String)>,
    ) -> Self {
        let names = world.accounts.iter();
        let names = names.map(|account| (account.account.id.clone(), account.name.clone()));
        let (sender, reports) = mpsc::channel(DELIVERIES);
        let shared = Shared {
            cloud,
            names: names.collect(),
            token,
            deliveries: Arc::new(Semaphore::new(DELIVERIES)),
            requests: Semaphore::new(REQUESTS),
            reports: sender,
        };
        Self {
            shared: Arc::new(shared),
            reports,
        }
    }

    /// Starts a delivery, or returns the report that there are too many. Must be called inside the
    /// runtime.
    #[must_use]
    pub(super) fn start(&self, delivery: Delivery) -> Option<TargetReport> {
        let shared = Arc::clone(&self.shared);
        let Ok(permit) = Arc::clone(&shared.deliveries).try_acquire_owned() else {
            let reason = format!("{DELIVERIES} deliveries are in progress already");
            return Some(shared.report(&delivery, 0, Outcome::NotSent(reason)));
        };
        tokio::spawn(async move {
            shared.deliver(&delivery).await;
            drop(permit);
        });
        None
    }

    /// The next report about an attempt.
    pub(super) async fn report(&mut self) -> TargetReport {
        match self.reports.recv().await {
            Some(report) => report,
            None => std::future::pending().await,
        }
    }

    /// What the command says when it ends: the reports that have not been printed, and how many
    /// deliveries are still in progress.
    pub(super) fn last_reports(&mut self) -> (Vec<TargetReport>, Option<String>) {
        let mut last = Vec::new();
        while let Ok(report) = self.reports.try_recv() {
            last.push(report);
        }
        let undelivered = match DELIVERIES - self.shared.deliveries.available_permits() {
            0 => None,
            1 => Some("1 delivery to a target of a rule was not made".to_owned()),
            count => Some(format!(
                "{count} deliveries to targets of rules were not made"
            )),
        };
        (last, undelivered)
    }
}

impl Shared {
    async fn deliver(&self, delivery: &Delivery) {
        let (client, url, is_get) = match request(&delivery.destination) {
            Ok(request) => request,
            Err(reason) => {
                let report = self.report(delivery, 0, Outcome::NotSent(reason));
                return self.send_report(report).await;
            }
        };
        for attempt in 1.. {
            let failure = match self.attempt(delivery, (&client, &url), is_get).await {
                Ok(status) => {
                    let report = self.report(delivery, attempt, Outcome::Delivered(status));
                    return self.send_report(report).await;
                }
                Err(failure) => failure,
            };
            let random = RandomState::new().build_hasher().finish();
            let delay = delivery.retry.delay(attempt, random);
            let delay = delay.map(Duration::from_secs);
            let outcome = Outcome::Failed {
                reason: failure,
                retry_after: delay,
            };
            self.send_report(self.report(delivery, attempt, outcome))
                .await;
            let Some(delay) = delay else { return };
            tokio::time::sleep(delay).await;
            let is_subscribed = self
                .cloud
                .update(|cloud| cloud.is_subscribed(&delivery.account, &delivery.target));
            if !is_subscribed {
                let reason = "the rule or target was deleted or disabled".to_owned();
                let report = self.report(delivery, attempt, Outcome::NotSent(reason));
                return self.send_report(report).await;
            }
        }
    }

    async fn attempt(
        &self,
        delivery: &Delivery,
        (client, url): (&Client, &Url),
        is_get: bool,
    ) -> Result<u16, String> {
        // The semaphore is never closed, so this is not a failure.
        let _permit = self.requests.acquire().await;
        let request = if is_get {
            let mut url = url.clone();
            url.query_pairs_mut().append_pair("data", &delivery.body);
            client.get(url)
        } else {
            client
                .post(url.clone())
                .header("content-type", delivery.content_type)
                .body(delivery.body.clone())
        };
        let token = self.token.as_ref();
        let token = token.filter(|(address, _)| address.origin() == url.origin());
        let request = match token {
            Some((_, token)) => request.bearer_auth(token),
            None => request,
        };
        match request.timeout(TIMEOUT).send().await {
            Ok(response) if response.status().is_success() => Ok(response.status().as_u16()),
            Ok(response) => Err(format!("HTTP status {}", response.status())),
            Err(error) => Err(error.to_string()),
        }
    }

    fn report(&self, delivery: &Delivery, attempt: u32, outcome: Outcome) -> TargetReport {
        let mut names = self.names.iter();
        let name = names.find(|(id, _)| *id == delivery.account);
        TargetReport {
            at: Timestamp::now(),
            account: name.map_or(&delivery.account, |(_, name)| name).clone(),
            target: delivery.target.clone(),
            event: delivery.event.clone(),
            endpoint: delivery.destination.endpoint().to_owned(),
            attempt,
            outcome,
        }
    }

    async fn send_report(&self, report: TargetReport) {
        // It fails only once the command has ended and prints no more reports.
        let _ = self.reports.send(report).await;
    }
}

/// A client, the address to call, and whether by GET; or why it is not called.
// A client each: an address with `https` needs certificates, which a machine may not have.
fn request(destination: &Destination) -> Result<(Client, Url, bool), String> {
    let Destination::Http { url, is_get } = destination else {
        return Err("only HTTP targets are simulated".to_owned());
    };
    let url = Url::parse(url).map_err(|error| format!("invalid URL: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || !is_on_this_machine(&url) {
        return Err("only HTTP targets on this machine are called".to_owned());
    }
    let client = EgressPolicy::operator_hosts().client_of(&url, None);
    let client = client.map_err(|error| error.to_string())?;
    Ok((client, url, *is_get))
}

fn is_on_this_machine(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    // An IPv6 address is in brackets in a URL.
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || address.parse().is_ok_and(|ip: Ipv4Addr| ip.is_loopback())
        || address.parse().is_ok_and(|ip: Ipv6Addr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_called(url: &str) -> bool {
        let destination = Destination::Http {
            url: url.to_owned(),
            is_get: false,
        };
        request(&destination).is_ok()
    }

    #[test]
    fn only_programs_on_this_machine_are_called() {
        for url in [
            "http://127.0.0.1:8321/events",
            "http://localhost/",
            "http://127.8.9.1/",
            "https://[::1]:1/",
            // Other spellings of 127.0.0.1, which URLs have one spelling for.
            "http://2130706433/",
            "http://0x7f.1/",
        ] {
            assert!(is_called(url), "{url}");
        }
        for url in [
            "http://10.0.0.1/",
            "http://0.0.0.0/",
            "http://example.com/",
            "http://localhost.example.com/",
            "http://127.0.0.1.example.com/",
            "http://[::ffff:10.0.0.1]/",
            "ftp://127.0.0.1/",
            "file:///etc/passwd",
            "127.0.0.1",
        ] {
            assert!(!is_called(url), "{url}");
        }
    }
}
