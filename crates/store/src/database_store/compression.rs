//! Compression of events and evaluations.
//!
//! A text of some hundred bytes that is compressed alone hardly gets smaller, and most of the time
//! goes into tables of how often each byte occurs. So compressor and decompressor share a
//! dictionary, `events.zdict`: texts and tables of typical events and evaluations. An ENI event of
//! 690 bytes takes 410 bytes without it, and 60 to 90 with it.
//!
//! The dictionary is made with `zstd --train`, see the README of this crate. It must never change:
//! a store cannot be read without the dictionary with which it was written. A better one is a
//! second one, and a frame says by a number which it needs.

use std::cell::RefCell;
use std::io::Read;
use std::sync::LazyLock;

use zstd::bulk::Compressor;
use zstd::dict::{DecoderDictionary, EncoderDictionary};
use zstd::stream::read::Decoder;

use crate::StoreError;

/// zstd's default level.
// Compressing is done on the writer thread, where time is scarcer than space.
const LEVEL: i32 = 3;

static TEXTS: &[u8] = include_bytes!("events.zdict");
static ENCODER: LazyLock<EncoderDictionary<'static>> =
    LazyLock::new(|| EncoderDictionary::copy(TEXTS, LEVEL));
static DECODER: LazyLock<DecoderDictionary<'static>> =
    LazyLock::new(|| DecoderDictionary::copy(TEXTS));

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
            let mut compressor = Compressor::with_prepared_dictionary(&ENCODER).map_err(failed)?;
            compressor.include_checksum(true).map_err(failed)?;
            *slot = Some(compressor);
        }
        match slot {
            Some(compressor) => compressor.compress(bytes).map_err(failed),
            None => Err(StoreError::Failed("missing compressor".into())),
        }
    })
}

/// The inverse of [`pack`] for what was at most `limit` bytes; also of what was compressed without
/// a dictionary, as in files of earlier versions.
pub(crate) fn unpack(packed: &[u8], limit: usize) -> Result<Vec<u8>, String> {
    let decoder = Decoder::with_prepared_dictionary(packed, &DECODER);
    let decoder = decoder.map_err(|error| error.to_string())?;
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sha2::{Digest, Sha256};

    use super::*;

    /// What was written with it could not be read any more.
    #[test]
    fn the_dictionary_has_not_changed() {
        let digest = "5515bed4209d99789cc187d781d7c58b56922d8b2e67f8e291a1f0c7546d7c56";
        let hex = |text: String, byte: &u8| text + format!("{byte:02x}").as_str();
        assert_eq!(
            Sha256::digest(TEXTS).iter().fold(String::new(), hex),
            digest
        );
    }

    #[test]
    fn typical_events_take_a_quarter_on_average() {
        let text = include_str!("../../../../examples/eni-events.ndjson");
        let packed = |event: &str| pack(event.as_bytes()).unwrap().len();
        let all: usize = text.lines().map(packed).sum();
        assert!(all * 4 < text.len(), "{all} of {}", text.len());
    }

    #[test]
    fn damage_is_found() {
        let packed = pack(br#"{"id":"2256A988","name":"NetworkInterface"}"#).unwrap();
        for at in 0..packed.len() {
            for bit in 0..8 {
                let mut damaged = packed.clone();
                damaged[at] ^= 1 << bit;
                let found = unpack(&damaged, 1_000);
                let original = unpack(&packed, 1_000);
                // The header has bits without a meaning.
                assert!(
                    found.is_err() || found == original,
                    "bit {bit} of byte {at}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn unpacking_is_the_inverse_of_packing(
            bytes in prop::collection::vec(any::<u8>(), 0..2_000),
            repeated in 1..20_usize,
        ) {
            let bytes = bytes.repeat(repeated);
            prop_assert_eq!(unpack(&pack(&bytes).unwrap(), bytes.len()), Ok(bytes.clone()));
            // As earlier versions have written.
            let plain = zstd::bulk::compress(&bytes, LEVEL).unwrap();
            prop_assert_eq!(unpack(&plain, bytes.len()), Ok(bytes.clone()));
        }
    }
}
