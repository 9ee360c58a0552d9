//! One stream: reads the ring at its own pace and writes server-sent events.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::http::HeaderValue;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use hyper::body::Frame;
use reflexarc_event::Json;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};

use super::filter::LiveFilter;
use super::{LiveBroadcast, LiveReader, Missed, TooManyStreams};
use crate::http::{OpenStream, StreamedResponse};
use crate::shutdown::stopped;

/// Longest time without anything sent.
const COMMENT_EVERY: Duration = Duration::from_secs(15);
/// How often is asked whether the reader may still read.
const CHECK_EVERY: Duration = Duration::from_secs(1);
/// Pause after entries were sent: what comes meanwhile is sent together.
const PAUSE: Duration = Duration::from_millis(50);
/// Entries that are examined at once.
const EXAMINED: usize = 256;
/// Bytes that are sent at once.
const CHUNK: usize = 32 << 10;
/// How long clients are asked to wait before they connect again, in milliseconds.
const RETRY: u32 = 1_000;

/// What a stream may do in a second, in units: examining an entry costs one, sending it
/// [`SEND_COST`]. So a stream examines at most 10,000 entries a second, and sends at most 500, more
/// than people read; a reader of everything must not slow the service that it watches.
const UNITS: f64 = 10_000.0;
/// Units that are saved up: what fits into the ring is examined at once.
const SAVED: f64 = 4.0 * UNITS;
const SEND_COST: f64 = 19.0;

/// Who wants which stream.
pub(crate) struct StreamRequest<A> {
    pub(crate) filter: LiveFilter,
    /// The id of the last entry that the client has.
    pub(crate) last_event_id: Option<String>,
    /// Whether the client may still read, asked every second.
    pub(crate) is_allowed: A,
    /// Ends when the response does.
    pub(crate) open: OpenStream,
    pub(crate) stop: watch::Receiver<bool>,
}

/// The response with the stream.
///
/// # Errors
/// If there are as many streams as there may be.
pub(crate) fn live_response<A: Fn() -> bool + Send + 'static>(
    live: &LiveBroadcast,
    request: StreamRequest<A>,
) -> Result<Response, TooManyStreams> {
    let (reader, missed) = live.subscribe(request.last_event_id.as_deref())?;
    let (chunks, received) = mpsc::channel(1);
    let mut stream = Stream {
        reader,
        filter: request.filter,
        is_allowed: request.is_allowed,
        stop: request.stop,
        chunks,
        buffer: format!(": live\nretry: {RETRY}\n\n"),
        budget: Budget {
            units: SAVED,
            at: Instant::now(),
        },
    };
    for entry in stream.reader.earlier() {
        stream.filter.note(&entry);
    }
    // Those from before the stream are not counted.
    stream.filter.take_undecided();
    if let Some(missed) = missed {
        stream.push_missed(missed);
    }
    tokio::spawn(stream.run());
    let body = Body::new(StreamBody {
        chunks: received,
        _open: request.open,
    });
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    let mut response = (StatusCode::OK, headers, body).into_response();
    // nginx would collect what is sent.
    let buffering = HeaderValue::from_static("no");
    response
        .headers_mut()
        .insert("x-accel-buffering", buffering);
    response.extensions_mut().insert(StreamedResponse);
    Ok(response)
}

struct Stream<A> {
    reader: LiveReader,
    filter: LiveFilter,
    is_allowed: A,
    stop: watch::Receiver<bool>,
    chunks: mpsc::Sender<Bytes>,
    /// What is to be sent.
    buffer: String,
    budget: Budget,
}

/// The units that are left.
struct Budget {
    units: f64,
    at: Instant,
}

/// The body of the response: what the stream sends, until it ends.
struct StreamBody {
    chunks: mpsc::Receiver<Bytes>,
    _open: OpenStream,
}

impl<A: Fn() -> bool> Stream<A> {
    /// Until the service stops, the client is gone or may no longer read.
    async fn run(mut self) {
        let mut check = tokio::time::interval(CHECK_EVERY);
        check.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut stop, chunks) = (self.stop.clone(), self.chunks.clone());
        let mut sent = Instant::now();
        let mut paused_until = None;
        loop {
            if !self.buffer.is_empty() {
                let chunk = Bytes::from(std::mem::take(&mut self.buffer));
                // A client that does not read is waited for here, but not by the service; and not
                // beyond the time when it may read.
                let permit = loop {
                    tokio::select! {
                        permit = chunks.reserve() => break permit,
                        () = stopped(&mut stop) => return,
                        _ = check.tick() => if !(self.is_allowed)() { return },
                    }
                };
                let Ok(permit) = permit else { return };
                permit.send(chunk);
                sent = Instant::now();
                paused_until.get_or_insert(sent + PAUSE);
            }
            tokio::select! {
                () = stopped(&mut stop) => return,
                () = chunks.closed() => return,
                _ = check.tick() => {
                    if !(self.is_allowed)() {
                        return;
                    }
                    if sent.elapsed() >= COMMENT_EVERY {
                        self.buffer.push_str(":\n\n");
                    }
                }
                pause = self.next(paused_until) => paused_until = pause,
            }
        }
    }

    /// Waits for entries and examines some. Returns when to go on, if there is a pause.
    async fn next(&mut self, paused_until: Option<Instant>) -> Option<Instant> {
        if let Some(until) = paused_until {
            tokio::time::sleep_until(until).await;
        }
        self.reader.changed().await;
        let wait = self.budget.wait();
        if !wait.is_zero() {
            return Some(Instant::now() + wait.max(PAUSE));
        }
        let has_more = self.examine();
        (!has_more).then(|| Instant::now() + PAUSE)
    }

    /// Examines some entries. Returns whether it may go on at once.
    fn examine(&mut self) -> bool {
        let read = self.reader.read(EXAMINED);
        if read.missed > 0 {
            let (missed, before) = (read.missed, read.first.saturating_sub(1));
            self.push_missed_before(Missed::Entries(missed), before);
        }
        for (number, entry) in (read.first..).zip(&read.entries) {
            if self.budget.units <= 0.0 || self.buffer.len() >= CHUNK {
                self.reader.back_to(number);
                self.push_undecided();
                return self.budget.units > 0.0;
            }
            self.budget.units -= 1.0;
            if self.filter.selects(entry) {
                self.budget.units -= SEND_COST;
                let id = self.reader.id_of(number);
                self.push(&id, &entry.text());
            }
        }
        self.push_undecided();
        read.entries.len() == EXAMINED
    }

    /// Reports to the client how many events it lacks because its filter could not be evaluated.
    fn push_undecided(&mut self) {
        let count = self.filter.take_undecided();
        if count > 0 {
            let last = self.reader.next_number().saturating_sub(1);
            let reason = "it would take too long to decide whether they match the filter `when`; \
                          make it simpler: fewer conditions on fields of objects in arrays";
            self.push_left_out(Json::count(count), reason, last);
        }
    }

    fn push(&mut self, id: &str, data: &str) {
        for part in ["id: ", id, "\ndata: ", data, "\n\n"] {
            self.buffer.push_str(part);
        }
    }

    /// Tells the client that it has missed entries before the next one.
    fn push_missed(&mut self, missed: Missed) {
        let before = self.reader.next_number().saturating_sub(1);
        self.push_missed_before(missed, before);
    }

    fn push_missed_before(&mut self, missed: Missed, last: u64) {
        let (count, reason) = match missed {
            Missed::Entries(count) => (Json::count(count), "the reader is too slow"),
            Missed::Unknown => {
                let reason = "the service was restarted, or too much time has passed";
                (Json::Null, reason)
            }
        };
        self.push_left_out(count, reason, last);
    }

    fn push_left_out(&mut self, count: Json, reason: &str, last: u64) {
        let members = [
            ("kind", Json::from("left_out")),
            ("count", count),
            ("reason", reason.into()),
        ];
        let id = self.reader.id_of(last);
        self.push(&id, &Json::object(members).to_string());
    }
}

impl Budget {
    /// How long to wait until there are units.
    fn wait(&mut self) -> Duration {
        let now = Instant::now();
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = now;
        self.units = (self.units + passed * UNITS).min(SAVED);
        if self.units > 0.0 {
            return Duration::ZERO;
        }
        Duration::from_secs_f64((1.0 - self.units) / UNITS)
    }
}

impl HttpBody for StreamBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let chunk = self.chunks.poll_recv(context);
        chunk.map(|chunk| chunk.map(|chunk| Ok(Frame::data(chunk))))
    }
}
