//! An HTTP receiver on this machine that records calls and sends scripted replies.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};

#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) at: Instant,
    #[allow(dead_code, reason = "receivers of the service's tests get POST only")]
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
    pub(crate) delay: Duration,
}

type Respond = dyn Fn(&Call, &[Call]) -> Option<Reply> + Send + Sync;

#[derive(Clone)]
pub(crate) struct Receiver {
    pub(crate) url: String,
    calls: Arc<Mutex<Vec<Call>>>,
    replies: Arc<Mutex<VecDeque<Reply>>>,
    respond: Arc<Respond>,
}

impl Reply {
    pub(crate) fn status(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: String::new(),
            delay: Duration::ZERO,
        }
    }
}

impl Receiver {
    /// Sends `replies` one after another, then 200.
    pub(crate) async fn start(replies: impl IntoIterator<Item = Reply>) -> Self {
        Self::with(replies, |_, _| None).await
    }

    /// Sends what `respond` returns for a call and all earlier ones, else the next of `replies`,
    /// else 200.
    pub(crate) async fn with(
        replies: impl IntoIterator<Item = Reply>,
        respond: impl Fn(&Call, &[Call]) -> Option<Reply> + Send + Sync + 'static,
    ) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receiver = Self {
            url: format!("http://{}/hook", listener.local_addr().unwrap()),
            calls: Arc::default(),
            replies: Arc::new(Mutex::new(replies.into_iter().collect())),
            respond: Arc::new(respond),
        };
        let app = Router::new().fallback(handle).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        receiver
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    /// Waits until there were `count` calls.
    pub(crate) async fn wait(&self, count: usize) -> Vec<Call> {
        eventually(|| Some(self.calls()).filter(|calls| calls.len() >= count)).await
    }
}

async fn handle(
    State(receiver): State<Receiver>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let call = Call {
        at: Instant::now(),
        method,
        uri,
        headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    let reply = {
        let mut calls = receiver.calls.lock().unwrap();
        let response = (receiver.respond)(&call, &calls);
        calls.push(call);
        response
            .or_else(|| receiver.replies.lock().unwrap().pop_front())
            .unwrap_or(Reply::status(200))
    };
    tokio::time::sleep(reply.delay).await;
    let mut response = (StatusCode::from_u16(reply.status).unwrap(), reply.body).into_response();
    for (name, value) in reply.headers {
        response.headers_mut().insert(name, value.parse().unwrap());
    }
    response
}

/// Polls until there is a result, for as long as a slow machine may need.
pub(crate) async fn eventually<T>(mut poll: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(result) = poll() {
            return result;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "no result within a minute"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
