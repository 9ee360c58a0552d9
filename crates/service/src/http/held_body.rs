//! Bodies of responses that count until they are written.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use hyper::body::{Frame, SizeHint};
use reflexarc_event::Json;
use tokio::sync::OwnedSemaphorePermit;

/// Bytes that are handed to the connection at a time.
const PART: usize = 32 << 10;

/// A body with a permit that is given back when it is written but for the last parts, or when its
/// connection ends.
//
// A list is a megabyte. Without this, each of 1,000 clients that request one and do not read would
// have it in memory until the time limit for writing.
struct HeldBody {
    text: Vec<u8>,
    sent: usize,
    _permit: OwnedSemaphorePermit,
}

/// A response in JSON that holds the permit until it is written.
pub(super) fn held_response(body: &Json, permit: OwnedSemaphorePermit) -> Response {
    let body = HeldBody {
        text: format!("{body}\n").into_bytes(),
        sent: 0,
        _permit: permit,
    };
    let headers = [(CONTENT_TYPE, "application/json")];
    (StatusCode::OK, headers, Body::new(body)).into_response()
}

impl HttpBody for HeldBody {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let rest = &self.text[self.sent..];
        if rest.is_empty() {
            return Poll::Ready(None);
        }
        // Copied: a slice of one large buffer would keep all of it until the last part is written,
        // long after this body and its permit are gone.
        let part = Bytes::copy_from_slice(&rest[..rest.len().min(PART)]);
        self.sent += part.len();
        Poll::Ready(Some(Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.sent == self.text.len()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact((self.text.len() - self.sent) as u64)
    }
}
