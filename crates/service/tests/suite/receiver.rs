//! A receiver on this machine that remembers its calls and answers as it is told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};

#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) at: Instant,
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

type Judge = dyn Fn(&Call, &[Call]) -> Option<Reply> + Send + Sync;

#[derive(Clone)]
pub(crate) struct Receiver {
    pub(crate) url: String,
    calls: Arc<Mutex<Vec<Call>>>,
    replies: Arc<Mutex<VecDeque<Reply>>>,
    judge: Arc<Judge>,
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
    /// Answers `replies` in turn, then 200.
    pub(crate) async fn start(replies: impl IntoIterator<Item = Reply>) -> Self {
        Self::judging(replies, |_, _| None).await
    }

    /// As the judge says, who sees the call and all earlier ones; else the replies in turn; else 200.
    pub(crate) async fn judging(
        replies: impl IntoIterator<Item = Reply>,
        judge: impl Fn(&Call, &[Call]) -> Option<Reply> + Send + Sync + 'static,
    ) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receiver = Self {
            url: format!("http://{}/hook", listener.local_addr().unwrap()),
            calls: Arc::default(),
            replies: Arc::new(Mutex::new(replies.into_iter().collect())),
            judge: Arc::new(judge),
        };
        let app = Router::new().fallback(answer).with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        receiver
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    /// Waits until there were so many calls.
    pub(crate) async fn wait(&self, count: usize) -> Vec<Call> {
        eventually(|| Some(self.calls()).filter(|calls| calls.len() >= count)).await
    }
}

async fn answer(
    State(receiver): State<Receiver>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let call = Call {
        at: Instant::now(),
        uri,
        headers,
        body: String::from_utf8_lossy(&body).into_owned(),
    };
    let reply = {
        let mut calls = receiver.calls.lock().unwrap();
        let judged = (receiver.judge)(&call, &calls);
        calls.push(call);
        judged
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

/// Asks again and again, for as long as a slow machine may need.
pub(crate) async fn eventually<T>(mut ask: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "it never happened"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
