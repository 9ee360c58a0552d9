//! The heartbeat: a request to a monitor outside, while the service makes progress.
//!
//! Whatever is wrong with this machine, with its network or with this process, the monitor notices
//! by the heartbeat that does not come. So none is sent while a part that is essential stands
//! still:
//!
//! | part | makes progress while |
//! |---|---|
//! | `store` | it can be written, see [`StoreHealth`] |
//! | `timers` | the scheduler looks at the deadlines, and none is late |
//! | `queue NAME` | the queue of each target runs and looks into the outbox, if it may send |
//!
//! Timers and queues that stand still are the problem `stalled` too, with or without a heartbeat.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reflexarc_delivery::http::{BoundedResponse, ClientError, EgressPolicy, request_error};
use reflexarc_delivery::shorten;
use reflexarc_diagnostic::format_duration;
use reflexarc_event::Json;
use reqwest::{Client, Url};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::dispatch::Queues;
use crate::live_config::LiveConfig;
use crate::shutdown::stopped;
use crate::store_health::StoreHealth;
use crate::telemetry::{Metrics, OutcomeLabel, ProblemKind, Redactor};
use crate::timeline::ServiceTimeline;

/// How often progress is looked at.
const CHECK_INTERVAL: Duration = Duration::from_secs(5);
/// Longest time for the monitor to answer.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Largest part of its answer in a message, in bytes.
const ANSWER_BYTES: usize = 200;

/// Where heartbeats are sent, and how often.
pub struct Heartbeat {
    url: Url,
    every: Duration,
    policy: EgressPolicy,
    client: Client,
}

impl Heartbeat {
    /// A GET request to `url` in each interval `every`, by a `client` of this `policy`.
    pub fn new(url: Url, every: Duration, policy: EgressPolicy, client: Client) -> Self {
        Self {
            url,
            every,
            policy,
            client,
        }
    }

    /// The same with a client of this policy.
    ///
    /// # Errors
    /// If the scheme is `https`, and the certificate authorities of the system cannot be read.
    pub fn with_policy(
        url: Url,
        every: Duration,
        policy: EgressPolicy,
    ) -> Result<Self, ClientError> {
        let client = policy.client_of(&url, None)?;
        Ok(Self::new(url, every, policy, client))
    }

    /// Sends one. Returns why the monitor did not take it.
    async fn send(&self) -> Result<(), String> {
        // The client's resolver sees host names only; an address in the URL is checked here.
        let checked = self.policy.check_url(&self.url);
        checked.map_err(|denied| denied.to_string())?;
        let request = self.client.get(self.url.clone()).timeout(TIMEOUT);
        let response = request.send().await.map_err(request_error)?;
        let response = BoundedResponse::read(response).await;
        let answer = shorten(&response.summary(), ANSWER_BYTES);
        match response.status {
            200..=299 => Ok(()),
            300..=399 => Err(format!(
                "{answer}; redirects are not followed: configure the final URL"
            )),
            _ => Err(answer),
        }
    }
}

/// What has become of the heartbeats, for `/status`.
#[derive(Default)]
pub(crate) struct HeartbeatStatus(Mutex<Latest>);

#[derive(Default)]
struct Latest {
    /// When the monitor last took one.
    sent: Option<Timestamp>,
    /// Why it did not take the last one.
    error: Option<String>,
    /// What does not make progress, by part.
    withheld: BTreeMap<String, String>,
}

impl HeartbeatStatus {
    /// `{"every": …, "last_ping": …, "error": …, "withheld": [{"part": …, "detail": …}]}`; null
    /// without `[heartbeat]`.
    pub(crate) fn to_json(&self, live: &LiveConfig) -> Json {
        let Some(heartbeat) = live.heartbeat.load_full() else {
            return Json::Null;
        };
        let every = SignedDuration::try_from(heartbeat.every).unwrap_or(SignedDuration::MAX);
        let latest = self.lock();
        let withheld = latest.withheld.iter().map(|(part, detail)| {
            Json::object([
                ("part", part.as_str().into()),
                ("detail", detail.as_str().into()),
            ])
        });
        let sent = latest.sent.map(|sent| sent.to_string());
        Json::object([
            ("every", format_duration(every).into()),
            ("last_ping", Json::optional(sent.as_deref())),
            ("error", Json::optional(latest.error.as_deref())),
            ("withheld", Json::Array(withheld.collect())),
        ])
    }

    /// Records what keeps heartbeats from being sent, and logs what has changed.
    fn set_withheld(&self, stalled: &BTreeMap<String, String>) {
        let mut latest = self.lock();
        let is_same = latest.withheld.keys().eq(stalled.keys());
        latest.withheld.clone_from(stalled);
        drop(latest);
        if is_same {
            return;
        }
        if stalled.is_empty() {
            tracing::info!("heartbeats are sent again");
            return;
        }
        let parts = stalled
            .iter()
            .map(|(part, detail)| format!("{part}: {detail}"));
        let parts: Vec<_> = parts.collect();
        tracing::warn!(
            without_progress = parts.join("; "),
            "no heartbeat is sent until these make progress"
        );
    }

    fn lock(&self) -> MutexGuard<'_, Latest> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What must make progress.
pub(crate) struct Progress {
    pub(crate) store: Arc<StoreHealth>,
    pub(crate) timeline: ServiceTimeline,
    pub(crate) queues: Arc<Queues>,
}

impl Progress {
    /// The timers and queues that stand still, each with the reason.
    fn stalled(&self) -> BTreeMap<String, String> {
        let timers = self.timeline.stalled(std::time::Instant::now());
        let timers = timers.map(|detail| ("timers".to_owned(), detail));
        let queues = self.queues.stalled().into_iter();
        let queues = queues.map(|(target, detail)| (format!("queue {target}"), detail));
        timers.into_iter().chain(queues).collect()
    }
}

/// Sends the heartbeats.
pub(crate) struct HeartbeatSender {
    pub(crate) live: Arc<LiveConfig>,
    pub(crate) progress: Progress,
    pub(crate) status: Arc<HeartbeatStatus>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) redactor: Redactor,
}

impl HeartbeatSender {
    /// Looks at the progress, and sends what is due, until `stop` becomes true.
    pub(crate) async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut last: Option<Instant> = None;
        for outcome in ["sent", "failed"] {
            drop(self.counter(outcome));
        }
        while !*stop.borrow() {
            let mut stalled = self.progress.stalled();
            self.report_stalled(&stalled);
            // The problems of the store are in the list already.
            if let Some(failure) = self.progress.store.failure() {
                stalled.insert("store".to_owned(), failure);
            }
            let heartbeat = self.live.heartbeat.load_full();
            let pause = match &heartbeat {
                None => {
                    self.status.set_withheld(&BTreeMap::new());
                    self.metrics.problems.over(ProblemKind::HeartbeatFailed);
                    CHECK_INTERVAL
                }
                Some(heartbeat) => {
                    self.status.set_withheld(&stalled);
                    let due = last.map_or(Duration::ZERO, |last| {
                        heartbeat.every.saturating_sub(last.elapsed())
                    });
                    if due.is_zero() && stalled.is_empty() {
                        last = Some(Instant::now());
                        tokio::select! {
                            () = self.send(heartbeat) => {}
                            () = stopped(&mut stop) => return,
                        }
                        heartbeat.every.min(CHECK_INTERVAL)
                    } else if due.is_zero() {
                        // As soon as there is progress again.
                        heartbeat.every.min(CHECK_INTERVAL)
                    } else {
                        due.min(CHECK_INTERVAL)
                    }
                }
            };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stopped(&mut stop) => return,
            }
        }
    }

    fn report_stalled(&self, stalled: &BTreeMap<String, String>) {
        let subjects = stalled.iter().map(|(part, detail)| {
            let subject = part.clone();
            (subject, (1, detail.clone()))
        });
        let problems = &self.metrics.problems;
        problems.set(ProblemKind::Stalled, &subjects.collect());
    }

    async fn send(&self, heartbeat: &Heartbeat) {
        let sent = heartbeat.send().await;
        let outcome = if sent.is_ok() { "sent" } else { "failed" };
        self.counter(outcome).inc();
        let error = sent.err().map(|error| self.redactor.redact(&error));
        let problems = &self.metrics.problems;
        problems.set_level(ProblemKind::HeartbeatFailed, error.clone());
        let mut latest = self.status.lock();
        if error.is_none() {
            latest.sent = Some(Timestamp::now());
        }
        latest.error = error;
    }

    fn counter(&self, outcome: &'static str) -> prometheus_client::metrics::counter::Counter {
        let label = OutcomeLabel { outcome };
        self.metrics.heartbeats.get_or_create(&label).clone()
    }
}
