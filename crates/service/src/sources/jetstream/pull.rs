//! Pulling messages: as many as there is room for, submitted in their order.

use std::time::Duration;

use async_nats::jetstream::consumer::PullConsumer;
use async_nats::jetstream::{AckKind, Message};
use futures_util::StreamExt as _;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::in_flight::{Ended, InFlight, reject};
use super::message::{Origin, Unreadable, read};
use super::{MessageOutcome, Source};
use crate::http::RequestStart;
use crate::intake::{AdmissionPermit, Source as Sender};
use crate::shutdown::stopped;
use crate::sources::backoff::Backoff;
use crate::store::Incoming;
use crate::telemetry::ProblemKind;

/// How long the server keeps a request for messages open.
const EXPIRES: Duration = Duration::from_secs(5);
/// How much longer its end is waited for: it does not come if the connection was interrupted.
const GRACE: Duration = Duration::from_secs(1);
/// How long messages that are on their way are waited for at the end.
const DRAIN: Duration = Duration::from_millis(200);
/// How often it is looked whether there is room.
const ROOM_INTERVAL: Duration = Duration::from_millis(50);
/// Pauses of pulling, while messages cannot be stored.
const PAUSES: [Duration; 2] = [Duration::from_millis(250), Duration::from_secs(15)];
/// Delays after which a message comes again, by how often it has come.
const DELAYS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(60)];

/// Pulls the messages of a source.
pub(super) struct Puller {
    source: Source,
    consumer: PullConsumer,
    /// When the server sends a message again.
    ack_wait: Duration,
    /// Messages that wait for their commit, or to be rejected.
    in_flight: JoinSet<Ended>,
    pauses: Backoff,
    paused_until: Option<Instant>,
    /// Until when messages of this pull may wait for room.
    wait_until: Instant,
    /// The next message is larger than what is pulled at one time: it is pulled alone.
    is_next_large: bool,
}

impl Puller {
    pub(super) fn new(source: Source, consumer: PullConsumer, ack_wait: Duration) -> Self {
        let [first, longest] = PAUSES;
        Self {
            source,
            consumer,
            ack_wait,
            in_flight: JoinSet::new(),
            pauses: Backoff::new(first, longest),
            paused_until: None,
            wait_until: Instant::now(),
            is_next_large: false,
        }
    }

    /// Pulls until `stop` becomes true.
    pub(super) async fn run(&mut self, mut stop: watch::Receiver<bool>) {
        while !*stop.borrow() {
            if self.has_room() {
                self.pull(&mut stop).await;
                continue;
            }
            tokio::select! {
                () = stopped(&mut stop) => return,
                Some(ended) = self.in_flight.join_next() => self.observe(ended.ok()),
                () = tokio::time::sleep(ROOM_INTERVAL) => {}
            }
        }
    }

    /// Waits for the commits of what was submitted, and the acknowledgements.
    pub(super) async fn finish(&mut self, timeout: Duration) {
        let ended = async { while self.in_flight.join_next().await.is_some() {} };
        // What is left then is sent again, and recognised as duplicates.
        if tokio::time::timeout(timeout, ended).await.is_err() {
            self.in_flight.abort_all();
        }
    }

    /// Whether messages are pulled: nothing has failed lately, half of the batch is free, the store
    /// can be written, and the intake would admit a batch.
    fn has_room(&mut self) -> bool {
        if self
            .paused_until
            .is_some_and(|until| Instant::now() < until)
        {
            return false;
        }
        self.paused_until = None;
        let free = self.free();
        let state = &self.source.state;
        free * 2 >= self.source.settings.batch
            && free > 0
            && state.health.failure().is_none()
            && state.intake.has_room(
                self.sender(),
                free.min(state.limits.queue_events / 4),
                self.bytes(),
            )
    }

    fn free(&self) -> usize {
        self.source
            .settings
            .batch
            .saturating_sub(self.in_flight.len())
    }

    /// How many bytes are pulled at one time.
    fn bytes(&self) -> usize {
        let limits = &self.source.state.limits;
        limits.body_bytes.min(limits.queue_bytes / 4)
    }

    fn sender(&self) -> Sender {
        Sender::Stream(self.source.name.clone())
    }

    /// Requests messages, and submits those that come until the request ends.
    async fn pull(&mut self, stop: &mut watch::Receiver<bool>) {
        let request = self.consumer.batch().expires(EXPIRES);
        let request = if std::mem::take(&mut self.is_next_large) {
            request.max_messages(1)
        } else {
            request.max_messages(self.free()).max_bytes(self.bytes())
        };
        let mut messages = match request.messages().await {
            Ok(messages) => messages,
            Err(error) => return self.pause_after(&error.to_string()),
        };
        let mut deadline = Instant::now() + EXPIRES + GRACE;
        self.wait_until = Instant::now() + self.ack_wait / 2;
        let mut is_stopping = false;
        loop {
            tokio::select! {
                () = stopped(stop), if !is_stopping => {
                    is_stopping = true;
                    deadline = Instant::now() + DRAIN;
                }
                Some(ended) = self.in_flight.join_next() => self.observe(ended.ok()),
                message = messages.next() => match message {
                    // For another node, at once.
                    Some(Ok(message)) if is_stopping => {
                        drop(message.ack_with(AckKind::Nak(None)).await);
                    }
                    Some(Ok(message)) => self.take(message).await,
                    Some(Err(error)) => return self.pause_after(&error.to_string()),
                    None => return,
                },
                () = tokio::time::sleep_until(deadline) => return,
            }
        }
    }

    /// Reads a message, and waits for room if there is none: what this node has in flight is
    /// committed soon, and messages that wait stay in their order. Not longer than until the server
    /// would send the messages behind it again.
    async fn read(
        &mut self,
        message: &Message,
        origin: &Origin,
    ) -> Result<(Vec<Incoming>, AdmissionPermit), Unreadable> {
        loop {
            let state = self.source.state.clone();
            match read(&state, self.sender(), message, origin).await {
                Err(Unreadable::Overloaded(_)) if Instant::now() < self.wait_until => {
                    tokio::select! {
                        Some(ended) = self.in_flight.join_next() => self.observe(ended.ok()),
                        () = tokio::time::sleep(ROOM_INTERVAL) => {}
                    }
                }
                read => return read,
            }
        }
    }

    /// Submits the events of a message.
    async fn take(&mut self, message: Message) {
        let start = RequestStart::now();
        let Some(origin) = Origin::of(&message) else {
            let subject = message.subject.as_str();
            self.source.report_failure(&format!(
                "a message on `{subject}` does not say where it is in the stream; it is not \
                 acknowledged. Check which program answers on the subjects of JetStream"
            ));
            return;
        };
        self.source.observe_arrival(origin.deliveries);
        let read = self.read(&message, &origin).await;
        let state = &self.source.state;
        match read {
            Ok((events, permit)) => {
                let sampled = state.sampled(&events);
                let reply = state.intake.submit(events, permit);
                let (_, acker) = message.split();
                let in_flight = InFlight {
                    source: self.source.clone(),
                    acker,
                    ack_wait: self.ack_wait,
                    delay: delay(origin.deliveries),
                };
                let committed = in_flight.wait(reply, sampled, start);
                self.in_flight.spawn(committed);
            }
            Err(Unreadable::Rejected(rejection)) => {
                let delay = delay(origin.deliveries);
                let rejected = reject(self.source.clone(), message, origin, rejection, delay);
                self.in_flight.spawn(rejected);
            }
            Err(Unreadable::Overloaded(overloaded)) => {
                let problems = &state.metrics.problems;
                let subject = format!("source {}", self.source.name);
                problems.report(
                    ProblemKind::IntakeFull,
                    &subject,
                    1,
                    &overloaded.to_string(),
                );
                self.postpone(&message, &origin).await;
            }
            Err(Unreadable::Failed(error)) => {
                let (kind, subject) = (ProblemKind::StoreOperationFailed, "message");
                let problems = &state.metrics.problems;
                problems.report(kind, subject, 1, &error.to_string());
                self.postpone(&message, &origin).await;
            }
        }
    }

    /// Has a message sent again later, and pulls no more until then.
    async fn postpone(&mut self, message: &Message, origin: &Origin) {
        let kind = AckKind::Nak(Some(delay(origin.deliveries)));
        drop(message.ack_with(kind).await);
        self.source.count(MessageOutcome::Postponed);
        self.pause();
    }

    fn observe(&mut self, ended: Option<Ended>) {
        match ended {
            Some(Ended::Done) => self.pauses.reset(),
            // The store has refused it, and would refuse the next ones.
            Some(Ended::Postponed) => self.pause(),
            None => {
                self.source.report_failure(
                    "internal error while a message was stored: it comes again; please report \
                     this bug of reflexarc",
                );
                self.pause();
            }
        }
    }

    /// Does not pull for a while. Failures of messages that came together count once.
    fn pause(&mut self) {
        if self
            .paused_until
            .is_none_or(|until| Instant::now() >= until)
        {
            self.paused_until = Some(Instant::now() + self.pauses.next());
        }
    }

    /// A request for messages has failed. If the consumer is gone, `watch_lag` finds out.
    fn pause_after(&mut self, error: &str) {
        if error.contains("MaxBytes") {
            self.is_next_large = true;
        } else {
            tracing::debug!(source = &*self.source.name, error, "cannot pull messages");
            self.pause();
        }
    }
}

/// After how long a message is sent again that has been sent this often.
fn delay(deliveries: i64) -> Duration {
    let [first, longest] = DELAYS;
    let deliveries = u32::try_from(deliveries.max(1)).unwrap_or(u32::MAX);
    Backoff::new(first, longest).after(deliveries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_of_a_message_grow_up_to_a_minute() {
        let delays = [-1, 1, 2, 3, 6, 7, 1_000, i64::MAX].map(|sent| delay(sent).as_secs());
        assert_eq!(delays, [1, 1, 2, 4, 32, 60, 60, 60]);
    }
}
