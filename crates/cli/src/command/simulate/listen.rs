//! The ECS API over HTTP, on the clock of the wall.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use reflexarc_eni::Cloud;
use reflexarc_eni::events::RequestOutcome;
use reflexarc_eni::rpc::{Endpoint, HttpRequest, HttpResponse, RequestLimits};
use reflexarc_eni::scenario::{Scenario, World};
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc};

use super::forward::Forwarder;
use super::timeline::Entry;
use super::{Args, faults};
use crate::exit::{Exit, Failure};
use crate::output::{Format, Output};

/// Notices that wait to be printed and sent; a request waits while there are more.
const WAITING: usize = 10_000;

/// Serves until the process is told to stop.
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
    let mut forwarder = Forwarder::new(&world, args)?;
    let listener = TcpListener::bind(address)
        .await
        .map_err(|error| Failure::Runtime(format!("cannot listen on {address}: {error}")))?;
    let bound = listener.local_addr()?;
    let (tell, mut told) = mpsc::channel(WAITING);
    let mut cloud = world.cloud.clone();
    if !world.has_seed {
        cloud = cloud.with_seed(Timestamp::now().as_microsecond().unsigned_abs());
    }
    let endpoint = Endpoint::new(cloud, world.keys(), RequestLimits::DEFAULT);
    let service = Arc::new(Service {
        endpoint: Mutex::new(endpoint),
        tell,
        woken: Notify::new(),
    });
    let control = if bound.ip().is_loopback() {
        faults::routes()
    } else {
        Router::new()
    };
    let app = control
        .fallback(answer)
        .layer(DefaultBodyLimit::max(RequestLimits::DEFAULT.bytes + 1))
        .with_state(Arc::clone(&service));
    output.line(format_args!("listening on http://{bound}"))?;
    output.flush()?;
    let start = Timestamp::now();
    let server = async { axum::serve(listener, app).await };
    let clock = run_clock(&service);
    tokio::pin!(server, clock);
    loop {
        tokio::select! {
            ended = &mut server => {
                ended?;
                return Ok(Exit::Done);
            }
            () = &mut clock => {}
            stopped = tokio::signal::ctrl_c() => {
                stopped?;
                return Ok(Exit::Done);
            }
            Some(outcome) = told.recv() => {
                let account_name = |id: &str| world.account(id).map_or(id, |found| &found.name).to_owned();
                let entry = Entry::told(&outcome, account_name, str::to_owned);
                match args.format {
                    Format::Human => entry.print(start, output)?,
                    Format::Json | Format::Ndjson => output.json(&entry)?,
                }
                output.flush()?;
                if let Ok(publication) = &outcome.published {
                    forwarder.send(publication)?;
                }
            }
            complaint = forwarder.complaint() => output.error(&complaint),
        }
    }
}

/// The cloud behind the API, shared by its requests.
pub(super) struct Service {
    endpoint: Mutex<Endpoint>,
    tell: mpsc::Sender<RequestOutcome>,
    /// Rung after every request: something new may fall due.
    woken: Notify,
}

impl Service {
    /// Does something with the cloud past its API.
    pub(super) fn with_cloud<T>(&self, change: impl FnOnce(&mut Cloud) -> T) -> T {
        change(
            self.endpoint
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .cloud_mut(),
        )
    }

    fn request(&self, request: &HttpRequest) -> (HttpResponse, Vec<RequestOutcome>) {
        let mut endpoint = self.endpoint.lock().unwrap_or_else(PoisonError::into_inner);
        let response = endpoint.serve(request, Timestamp::now());
        // Nobody looks at the changes of status here; they must not pile up.
        endpoint.take_changes();
        (response, endpoint.take_outcomes())
    }

    /// Lets fall due what is due: what there is to tell, and when to look again.
    fn tick(&self) -> (Vec<RequestOutcome>, Option<Timestamp>) {
        let mut endpoint = self.endpoint.lock().unwrap_or_else(PoisonError::into_inner);
        endpoint.advance(Timestamp::now());
        endpoint.take_changes();
        (endpoint.take_outcomes(), endpoint.cloud().next_completion())
    }

    async fn publish(&self, outcomes: Vec<RequestOutcome>) {
        for outcome in outcomes {
            // The receiver lives as long as the server does.
            let _ = self.tell.send(outcome).await;
        }
    }
}

/// Completes what falls due, for ever.
async fn run_clock(service: &Service) {
    loop {
        let (outcomes, next) = service.tick();
        service.publish(outcomes).await;
        let wait = next.map_or(Duration::from_secs(3600), |next| {
            Duration::try_from(next.duration_since(Timestamp::now())).unwrap_or(Duration::ZERO)
        });
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = service.woken.notified() => {}
        }
    }
}

async fn answer(
    State(service): State<Arc<Service>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let headers = headers.iter().map(|(name, value)| {
        (
            name.as_str().to_owned(),
            String::from_utf8_lossy(value.as_bytes()).into_owned(),
        )
    });
    let request = HttpRequest {
        method: method.as_str().to_owned(),
        path: uri.path().to_owned(),
        query: uri.query().unwrap_or_default().to_owned(),
        headers: headers.collect(),
        body: body.to_vec(),
    };
    let (response, outcomes) = service.request(&request);
    service.publish(outcomes).await;
    service.woken.notify_one();
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
