//! Decompressing and parsing what holds events: bodies of requests, and messages of sources.

use std::sync::Arc;

use axum::http::HeaderMap;

use super::AppState;
use super::body::{self, BodyError, Elements};
use super::compression::{Compression, decompress};
use crate::intake::{AdmissionPermit, Overloaded};
use crate::store::StoreError;

/// Largest body in bytes that is parsed where it was read, in about a millisecond.
const QUICK_BODY: usize = 64 << 10;

/// Why a body cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// It is wrong.
    #[error("{0}")]
    Body(#[from] BodyError),
    /// There is no room for what it decompresses to.
    #[error("{0}")]
    Overloaded(#[from] Overloaded),
    /// The service failed.
    #[error("{0}")]
    Failed(#[from] StoreError),
}

/// Decompresses and parses a body. Its permit then covers the decompressed bytes too, until the
/// events are stored.
pub(crate) async fn read_elements<B: AsRef<[u8]> + Send + 'static>(
    state: &Arc<AppState>,
    headers: HeaderMap,
    bytes: B,
    mut permit: AdmissionPermit,
) -> Result<(Elements, AdmissionPermit), ReadError> {
    let compression = Compression::of(&headers, bytes.as_ref())?;
    let max_events = state.limits.batch_events;
    if compression.is_none() && bytes.as_ref().len() <= QUICK_BODY {
        return Ok((
            body::read_body(&headers, bytes.as_ref(), max_events)?,
            permit,
        ));
    }
    // Megabytes take tens of milliseconds, in which this thread could not answer health checks.
    // As many at one time as can run: beside its body, each may need several times as much memory.
    let turn = state.large_work.clone().acquire_owned().await;
    let threads = state.work_threads.clone();
    let state = state.clone();
    let work = move || {
        // Until the end of the work, also when the client is gone before.
        let _turn = turn;
        let Some(compression) = compression else {
            return Ok((
                body::read_body(&headers, bytes.as_ref(), max_events)?,
                permit,
            ));
        };
        let bytes = decompress(compression, bytes.as_ref(), state.limits.body_bytes)?;
        state.intake.reserve_bytes(&mut permit, bytes.len())?;
        Ok((body::read_body(&headers, &bytes, max_events)?, permit))
    };
    threads.run(work).await?
}
