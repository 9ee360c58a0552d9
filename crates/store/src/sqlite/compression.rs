//! Compression of events and evaluations.

use std::cell::RefCell;
use std::io::Read;

use zstd::bulk::Compressor;
use zstd::stream::read::Decoder;

use crate::StoreError;

/// zstd's default level.
// Compressing is done on the writer thread, where time is scarcer than space.
const LEVEL: i32 = 3;

thread_local! {
    // A compressor's tables are far larger than an event, so each thread makes them once.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
}

/// Compresses with a checksum, so that damage inside a database page is found when it is read:
/// SQLite itself has no checksums.
pub(super) fn pack(bytes: &[u8]) -> Result<Vec<u8>, StoreError> {
    let failed = |error: std::io::Error| StoreError::Failed(format!("cannot compress: {error}"));
    // Created on first use, because creating it can fail and a thread-local initialiser cannot.
    COMPRESSOR.with_borrow_mut(|slot| {
        if slot.is_none() {
            let mut compressor = Compressor::new(LEVEL).map_err(failed)?;
            compressor.include_checksum(true).map_err(failed)?;
            *slot = Some(compressor);
        }
        match slot {
            Some(compressor) => compressor.compress(bytes).map_err(failed),
            None => Err(StoreError::Failed("missing compressor".into())),
        }
    })
}

/// The inverse of [`pack`] for what was at most `limit` bytes.
pub(super) fn unpack(packed: &[u8], limit: usize) -> Result<Vec<u8>, String> {
    let decoder = Decoder::with_buffer(packed).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    // One byte more than allowed: enough to see that there is more, without reading a damaged or
    // malicious frame that expands to gigabytes.
    decoder
        .take(limit as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    if bytes.len() > limit {
        Err(format!("more than {limit} bytes"))
    } else {
        Ok(bytes)
    }
}
