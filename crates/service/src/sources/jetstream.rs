//! Events from a stream of NATS JetStream.
//!
//! All nodes share one durable consumer, so that each message is sent to one of them. A node pulls
//! no more messages than its intake has room for, submits them in their order, and acknowledges
//! each once its events are committed:
//!
//! ```text
//! pull ── convert ── intake ── commit ── +ACK
//!            │          │         └ refused: -NAK with a delay, and a pause of pulling
//!            │          └ no room: the same
//!            └ no event: published to the subject for rejects, then +TERM
//! ```
//!
//! The acknowledgement is not confirmed by the server (`+ACK` without an answer): where it is lost,
//! as after a crash between commit and acknowledgement, the message comes again, and the store
//! recognises its events by their identities. An event without an id has that of its message: what
//! its `Nats-Msg-Id` says, else stream, sequence and time.

mod consumer;
mod in_flight;
mod message;
mod pull;
mod reject;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_nats::connection::State;
use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::{Context, context::ContextBuilder};
use async_nats::{Client, Event};
use jiff::Timestamp;
use tokio::sync::watch;

use self::consumer::prepare;
use self::pull::Puller;
use super::backoff::Backoff;
use super::{JetStreamSettings, SourceConfig, SourceStatus};
use crate::http::AppState;
use crate::shutdown::stopped;
use crate::telemetry::{ProblemKind, SourceLabel, SourceMessageLabel};

/// Pauses between attempts to connect, and to find the stream.
const RECONNECT: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(15)];
/// How often the lag is asked for.
const WATCH_INTERVAL: Duration = Duration::from_secs(2);
/// Longest time for an answer of the server.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest time for the last acknowledgements to leave at the end.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);
/// A connection that has been away for this many looks is a problem; a server that restarts is
/// back before.
const AWAY_LOOKS: u32 = 3;
/// After an error of the server, this many looks without another end the problem: longer than a
/// request for messages, which may cause the next one, lasts.
const CALM_LOOKS: u32 = 5;

/// What the parts of a source share.
#[derive(Clone)]
pub(super) struct Source {
    pub(super) name: Arc<str>,
    pub(super) settings: Arc<JetStreamSettings>,
    pub(super) state: Arc<AppState>,
    pub(super) status: Arc<SourceStatus>,
    shutdown_timeout: Duration,
    /// The last error of the server that no request was answered with.
    pub(super) fault: Arc<Mutex<Option<String>>>,
}

/// What becomes of messages, as `outcome` of the metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MessageOutcome {
    /// All its events were stored, or have been before.
    Accepted,
    /// It is no event.
    Rejected,
    /// It comes again later.
    Postponed,
}

/// Runs a source until `stop` becomes true.
pub(super) async fn run(
    state: Arc<AppState>,
    config: SourceConfig,
    status: Arc<SourceStatus>,
    shutdown_timeout: Duration,
    mut stop: watch::Receiver<bool>,
) {
    let source = Source {
        name: config.name.into(),
        settings: Arc::new(config.settings),
        state,
        status,
        shutdown_timeout,
        fault: Arc::default(),
    };
    source.register_metrics();
    let [first, longest] = RECONNECT;
    let mut backoff = Backoff::new(first, longest);
    while !*stop.borrow() {
        let ended = tokio::select! {
            connected = source.connect() => connected,
            () = stopped(&mut stop) => return,
        };
        let failure = match ended {
            Ok(context) => {
                backoff.reset();
                source.take_messages(&context, &mut stop).await
            }
            Err(failure) => Some(failure),
        };
        let Some(failure) = failure else {
            return;
        };
        source.report_failure(&failure);
        tokio::select! {
            () = tokio::time::sleep(backoff.next()) => {}
            () = stopped(&mut stop) => return,
        }
    }
}

impl Source {
    async fn connect(&self) -> Result<Context, String> {
        let (status, fault) = (self.status.clone(), self.fault.clone());
        let connected = self.state.metrics.source_connected.clone();
        let label = self.label();
        let client = self
            .settings
            .nats
            .connect("reflexarc source", move |event| {
                let is_connected = match &event {
                    Event::Connected => true,
                    Event::Disconnected | Event::Closed => false,
                    Event::ServerError(_) | Event::ClientError(_) => {
                        *lock(&fault) = Some(event.to_string());
                        return;
                    }
                    _ => return,
                };
                status.set_connected(is_connected);
                let gauge = connected.get_or_create(&label);
                gauge.set(is_connected.into());
            });
        let client = client.await.map_err(|error| error.reason)?;
        Ok(ContextBuilder::new().timeout(REQUEST_TIMEOUT).build(client))
    }

    /// Takes messages over this connection until `stop` becomes true, or its consumer is gone;
    /// returns why it is then.
    async fn take_messages(
        &self,
        context: &Context,
        stop: &mut watch::Receiver<bool>,
    ) -> Option<String> {
        let client = context.client();
        let prepared = tokio::select! {
            prepared = prepare(context, &self.settings) => prepared,
            () = stopped(stop) => return None,
        };
        let (consumer, differences) = match prepared {
            Ok(prepared) => prepared,
            Err(failure) => return Some(self.with_fault(failure)),
        };
        if self.status.set_differences(differences.clone()) && !differences.is_empty() {
            tracing::info!(
                source = &*self.name,
                differences = differences.join("; "),
                "the consumer has other settings than the configuration, and they are used"
            );
        }
        let ack_wait = consumer.cached_info().config.ack_wait;
        let (gone, mut is_gone) = watch::channel(None);
        let watching = tokio::spawn(
            self.clone()
                .watch_lag(client.clone(), consumer.clone(), gone),
        );
        let mut puller = Puller::new(self.clone(), consumer, ack_wait);
        let failure = tokio::select! {
            () = puller.run(stop.clone()) => None,
            failure = is_gone.wait_for(Option::is_some) => match failure {
                Ok(failure) => failure.clone(),
                Err(_) => Some("internal error while watching the consumer".to_owned()),
            },
        };
        puller.finish(self.shutdown_timeout).await;
        watching.abort();
        // Without an answer they would come again, to be recognised as duplicates.
        drop(tokio::time::timeout(FLUSH_TIMEOUT, client.flush()).await);
        self.report_connected(false);
        failure
    }

    /// Looks at the consumer again and again, for its lag and whether it is there. Sends to `gone`
    /// why it is not.
    async fn watch_lag(
        self,
        client: Client,
        consumer: PullConsumer,
        gone: watch::Sender<Option<String>>,
    ) {
        // Looks without an answer, and looks since the server reported an error.
        let (mut away, mut calm) = (0, CALM_LOOKS);
        loop {
            let is_connected = client.connection_state() == State::Connected;
            // Again: an event of the connection before may come late.
            self.report_connected(is_connected);
            if is_connected {
                let found = tokio::time::timeout(REQUEST_TIMEOUT, consumer.get_info()).await;
                match found {
                    Ok(Ok(info)) => {
                        away = 0;
                        self.report_lag(info.num_pending, info.num_ack_pending as u64);
                        calm += 1;
                        // A request for messages has no other answer if it is not permitted.
                        if let Some(fault) = lock(&self.fault).take() {
                            calm = 0;
                            self.report_failure(&fault);
                        } else if calm >= CALM_LOOKS {
                            self.report_running();
                        }
                    }
                    Ok(Err(error)) if consumer::is_gone(&error) => {
                        gone.send_replace(Some(format!("the consumer is gone: {error}")));
                        return;
                    }
                    Ok(Err(error)) => {
                        away += 1;
                        self.report_away(away, &error.to_string());
                    }
                    Err(_) => {
                        away += 1;
                        self.report_away(away, "the server does not answer");
                    }
                }
            } else {
                away += 1;
                self.report_away(away, "the connection is interrupted");
            }
            tokio::time::sleep(WATCH_INTERVAL).await;
        }
    }

    fn report_connected(&self, is_connected: bool) {
        self.status.set_connected(is_connected);
        let metrics = &self.state.metrics;
        let gauge = metrics.source_connected.get_or_create(&self.label());
        gauge.set(is_connected.into());
    }

    fn report_away(&self, looks: u32, reason: &str) {
        if looks >= AWAY_LOOKS {
            let endpoint = self.settings.nats.endpoint();
            self.report_failure(&self.with_fault(format!("{reason} ({endpoint})")));
        }
    }

    /// The reason with the last error of the server, which often explains it.
    fn with_fault(&self, reason: String) -> String {
        match lock(&self.fault).take() {
            Some(fault) => format!("{reason}; {fault}"),
            None => reason,
        }
    }

    /// Reports that no messages come.
    fn report_failure(&self, reason: &str) {
        let reason = self.state.redactor.redact(reason);
        let problems = &self.state.metrics.problems;
        if problems.holds(ProblemKind::SourceFailing, &self.name, &reason) {
            tracing::warn!(
                source = &*self.name,
                reason,
                "a source takes no messages; trying again"
            );
        }
        self.status.set_error(Some(reason));
    }

    fn report_running(&self) {
        self.status.set_error(None);
        let problems = &self.state.metrics.problems;
        problems.end(ProblemKind::SourceFailing, &self.name);
    }

    fn report_lag(&self, pending: u64, ack_pending: u64) {
        self.status.set_lag(pending, ack_pending);
        let metrics = &self.state.metrics;
        let amount = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        let gauge = metrics.source_pending.get_or_create(&self.label());
        gauge.set(amount(pending));
        let gauge = metrics.source_ack_pending.get_or_create(&self.label());
        gauge.set(amount(ack_pending));
    }

    /// Counts what has become of a message.
    pub(super) fn count(&self, outcome: MessageOutcome) {
        let label = SourceMessageLabel {
            source: self.name.to_string(),
            outcome: outcome.name(),
        };
        self.state
            .metrics
            .source_messages
            .get_or_create(&label)
            .inc();
    }

    /// Records that a message came; `deliveries` is how often it has been sent.
    pub(super) fn observe_arrival(&self, deliveries: i64) {
        let (now, metrics) = (Timestamp::now(), &self.state.metrics);
        self.status.set_last_message(now);
        let gauge = metrics.source_last_message.get_or_create(&self.label());
        gauge.set(now.as_second());
        if deliveries > 1 {
            metrics
                .source_redelivered
                .get_or_create(&self.label())
                .inc();
        }
    }

    /// Every series is there from the start, so that alerts do not depend on a message.
    fn register_metrics(&self) {
        let metrics = &self.state.metrics;
        for outcome in MessageOutcome::ALL {
            let (source, outcome) = (self.name.to_string(), outcome.name());
            let label = SourceMessageLabel { source, outcome };
            drop(metrics.source_messages.get_or_create(&label));
        }
        drop(metrics.source_redelivered.get_or_create(&self.label()));
        drop(metrics.source_connected.get_or_create(&self.label()));
        drop(metrics.source_pending.get_or_create(&self.label()));
        drop(metrics.source_ack_pending.get_or_create(&self.label()));
    }

    fn label(&self) -> SourceLabel {
        SourceLabel {
            source: self.name.to_string(),
        }
    }
}

impl MessageOutcome {
    const ALL: [Self; 3] = [Self::Accepted, Self::Rejected, Self::Postponed];

    fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Postponed => "postponed",
        }
    }
}

fn lock(fault: &Mutex<Option<String>>) -> MutexGuard<'_, Option<String>> {
    fault.lock().unwrap_or_else(PoisonError::into_inner)
}
