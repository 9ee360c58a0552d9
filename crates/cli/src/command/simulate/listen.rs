//! `--listen`: the APIs of ECS, EventBridge and Cloud Monitor over HTTP, on the real clock.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, HttpBody as _};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use reflexarc_eni::rpc::{Endpoint, HttpRequest, RequestLimits};
use reflexarc_eni::scenario::{Scenario, World};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use super::api_listener::{ApiListener, ClientAddress};
use super::forward::Forwarder;
use super::rule_targets::{RuleTargets, TargetReport};
use super::shared_cloud::{CloudOutput, SharedCloud};
use super::timeline::Entry;
use super::{Args, faults};
use crate::exit::{Exit, Failure};
use crate::output::{Format, Output};
use crate::stop_signal::StopSignals;

/// The maximum number of outcomes and events that wait to be printed and forwarded; when it is
/// reached, requests wait.
const OUTPUT_QUEUE: usize = 10_000;

/// How much of a body beyond the limit is read and dropped, in bytes.
const MAX_DISCARDED: usize = 16 << 20;

/// Serves the API until the process is interrupted.
pub(super) fn run(
    address: SocketAddr,
    scenario: Scenario,
    args: &Args,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve(address, scenario.world, args, output))
}

async fn serve(
    address: SocketAddr,
    world: World,
    args: &Args,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let forwarder = Forwarder::new(&world, args)?;
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| Failure::Runtime(format!("cannot listen on {address}: {error}")))?;
    let bound = listener.local_addr()?;
    let mut region = world.cloud.clone();
    if !world.has_seed {
        // With one seed for all runs, a second run would repeat the ids of the first one.
        region = region.with_seed(Timestamp::now().as_microsecond().unsigned_abs());
    }
    let (sender, mut outputs) = mpsc::channel(OUTPUT_QUEUE);
    let endpoint = Endpoint::new(region, world.keys(Timestamp::now()), RequestLimits::DEFAULT);
    let cloud = Arc::new(SharedCloud::new(endpoint, sender));
    let control = if bound.ip().is_loopback() {
        faults::routes()
    } else {
        Router::new()
    };
    let app = control.fallback(answer).with_state(Arc::clone(&cloud));
    let app = app.into_make_service_with_connect_info::<ClientAddress>();
    let listener = ApiListener { listener, cloud };
    let cloud = Arc::clone(&listener.cloud);
    let mut stop = StopSignals::listen()?;
    output.line(format_args!("listening on http://{bound}"))?;
    output.flush()?;
    let mut followed = Followed {
        format: args.format,
        start: Timestamp::now(),
        targets: RuleTargets::new(&world, Arc::clone(&cloud), forwarder.token()),
        forwarder,
        world,
    };
    let server = async { axum::serve(listener, app).await };
    let clock = cloud.run_clock();
    tokio::pin!(server, clock);
    loop {
        tokio::select! {
            ended = &mut server => {
                ended?;
                return Ok(Exit::Done);
            }
            () = &mut clock => {}
            () = stop.received() => break,
            Some(sent) = outputs.recv() => followed.show(sent, output)?,
            report = followed.targets.report() => followed.show_report(&report, output)?,
            warning = followed.forwarder.warning() => output.error(&warning),
        }
    }
    // What has happened already is printed, and counted as not delivered.
    while let Ok(sent) = outputs.try_recv() {
        followed.show(sent, output)?;
    }
    let (reports, undelivered) = followed.targets.last_reports();
    for report in &reports {
        followed.show_report(report, output)?;
    }
    let warnings = followed.forwarder.last_warnings().into_iter();
    for warning in warnings.chain(undelivered) {
        output.error(&warning);
    }
    Ok(Exit::Done)
}

/// The printing of what leaves the cloud, and where it goes.
struct Followed {
    world: World,
    format: Format,
    /// Times in the output are relative to this.
    start: Timestamp,
    targets: RuleTargets,
    forwarder: Forwarder,
}

impl Followed {
    /// Prints what has left the cloud, and forwards its event.
    fn show(&mut self, sent: CloudOutput, output: &mut Output) -> Result<(), Failure> {
        let (entry, sent) = match sent {
            CloudOutput::Delivery(delivery) => {
                return match self.targets.start(delivery) {
                    Some(report) => self.show_report(&report, output),
                    None => Ok(()),
                };
            }
            // Interfaces have no names here, because the script is not run.
            CloudOutput::Ended(outcome) => {
                let entry = Entry::ended(&outcome, &self.world, str::to_owned);
                let published = outcome.published.ok();
                let sent = published.map(|sent| (sent.recipient, sent.event));
                (entry, sent)
            }
            CloudOutput::Notification(sent) => {
                let entry = Entry::notified(&sent, &self.world);
                (entry, Some((sent.recipient, sent.event)))
            }
        };
        match self.format {
            Format::Human => entry.print(self.start, output)?,
            Format::Json | Format::Ndjson => output.json(&entry)?,
        }
        output.flush()?;
        match sent {
            Some((recipient, event)) => self.forwarder.send(&recipient, &event),
            None => Ok(()),
        }
    }

    fn show_report(&self, report: &TargetReport, output: &mut Output) -> Result<(), Failure> {
        match self.format {
            Format::Human => report.print(self.start, output)?,
            Format::Json | Format::Ndjson => output.json(report)?,
        }
        output.flush()
    }
}

async fn answer(
    State(cloud): State<Arc<SharedCloud>>,
    ConnectInfo(ClientAddress(client)): ConnectInfo<ClientAddress>,
    request: Request,
) -> Response {
    let (parts, body) = request.into_parts();
    let headers = parts.headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.as_str().to_owned(), value)
    });
    let request = HttpRequest {
        method: parts.method.as_str().to_owned(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: headers.collect(),
        body: read_body(body).await,
        source_address: client.ip().to_string(),
    };
    let response = cloud.serve(&request).await;
    let status = StatusCode::from_u16(response.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = [
        (
            header::CONTENT_TYPE.as_str(),
            "application/json;charset=utf-8".to_owned(),
        ),
        ("x-acs-request-id", response.request_id),
    ];
    (status, headers, response.body).into_response()
}

/// The body, and of a larger one than the API accepts only so much that the API refuses it with its
/// own error.
async fn read_body(mut body: Body) -> Vec<u8> {
    let most = RequestLimits::DEFAULT.bytes + 1;
    let mut read = Vec::new();
    // The rest is read and dropped: a client that still sends does not read a response, and would
    // report a broken connection in place of the error.
    let mut discarded = 0;
    while let Some(Ok(frame)) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        let Ok(chunk) = frame.into_data() else {
            continue;
        };
        let room = most - read.len();
        read.extend_from_slice(&chunk[..chunk.len().min(room)]);
        discarded += chunk.len().saturating_sub(room);
        if discarded > MAX_DISCARDED {
            break;
        }
    }
    read
}
