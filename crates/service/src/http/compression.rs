//! Bodies that are compressed with gzip or zstd.

use std::io::Read;

use axum::http::HeaderMap;
use axum::http::header::CONTENT_ENCODING;

use super::body::BodyError;

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compression {
    Gzip,
    Zstd,
}

/// Magic number of gzip (RFC 1952).
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// Magic number of a zstd frame (RFC 8878), little-endian.
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Base-2 logarithm of the largest zstd window: 8 MiB, which RFC 8878 recommends to support.
const ZSTD_WINDOW_LOG: u32 = 23;

impl Compression {
    /// The compression of a body, by its `Content-Encoding`, else by its first bytes: senders such
    /// as `curl --data-binary @events.ndjson.gz` do not set the header.
    ///
    /// # Errors
    /// If the encoding is unknown.
    pub(super) fn of(headers: &HeaderMap, body: &[u8]) -> Result<Option<Self>, BodyError> {
        let named = headers.get(CONTENT_ENCODING).map(|value| {
            // A value that is not ASCII is an unknown encoding; the error shows it as `?`.
            value.to_str().unwrap_or("?").trim().to_ascii_lowercase()
        });
        match named.as_deref() {
            Some("gzip" | "x-gzip") => Ok(Some(Self::Gzip)),
            Some("zstd") => Ok(Some(Self::Zstd)),
            Some("" | "identity") => Ok(None),
            Some(other) => Err(BodyError::ContentEncoding(other.to_owned())),
            // Binary data of a CloudEvent may begin like this and is no event itself.
            None if headers.contains_key("ce-specversion") => Ok(None),
            None if body.starts_with(&GZIP) => Ok(Some(Self::Gzip)),
            None if body.starts_with(&ZSTD) => Ok(Some(Self::Zstd)),
            None => Ok(None),
        }
    }
}

/// The decompressed body, of at most `limit` bytes.
///
/// # Errors
/// If the body is longer, or damaged.
pub(super) fn decompress(
    compression: Compression,
    body: &[u8],
    limit: usize,
) -> Result<Vec<u8>, BodyError> {
    let damaged = |error: std::io::Error| {
        BodyError::Invalid(format!("the body cannot be decompressed: {error}"))
    };
    // One byte more than allowed is read, so that a longer body is noticed before it is in memory.
    let most = limit as u64 + 1;
    // Without growing: a vector that doubles is in memory twice, and three times as large.
    let mut plain = Vec::with_capacity(announced(compression, body).min(limit) + 1);
    match compression {
        Compression::Gzip => flate2::bufread::MultiGzDecoder::new(body)
            .take(most)
            .read_to_end(&mut plain),
        Compression::Zstd => {
            let mut decoder = zstd::stream::Decoder::with_buffer(body).map_err(damaged)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(damaged)?;
            decoder.take(most).read_to_end(&mut plain)
        }
    }
    .map_err(damaged)?;
    if plain.len() > limit {
        return Err(BodyError::TooLong(limit));
    }
    Ok(plain)
}

/// The decompressed length that a gzip file of one member has at its end. It may be wrong.
fn announced(compression: Compression, body: &[u8]) -> usize {
    match (compression, body.last_chunk::<4>()) {
        (Compression::Gzip, Some(length)) => u32::from_le_bytes(*length) as usize,
        _ => body.len() * 4,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use axum::http::HeaderValue;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn named(encoding: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(CONTENT_ENCODING, HeaderValue::from_static(encoding))])
    }

    #[test]
    fn the_header_or_the_first_bytes_name_the_compression() {
        let (gzip, zstd) = (gzip(b"{}"), zstd::encode_all(&b"{}"[..], 1).unwrap());
        let none = HeaderMap::new();
        assert_eq!(Compression::of(&none, &gzip), Ok(Some(Compression::Gzip)));
        assert_eq!(Compression::of(&none, &zstd), Ok(Some(Compression::Zstd)));
        assert_eq!(Compression::of(&none, b"{}"), Ok(None));
        assert_eq!(
            Compression::of(&named("GZIP"), b""),
            Ok(Some(Compression::Gzip))
        );
        assert_eq!(Compression::of(&named("identity"), &gzip), Ok(None));
        assert_eq!(
            Compression::of(&named("br"), b"{}")
                .unwrap_err()
                .to_string(),
            "unknown content encoding br; expected gzip, zstd or none"
        );
        for (compression, body) in [(Compression::Gzip, &gzip), (Compression::Zstd, &zstd)] {
            assert_eq!(decompress(compression, body, 2).unwrap(), b"{}");
        }
    }

    #[test]
    fn decompressed_bodies_are_bounded() {
        let zeros = vec![b' '; 1 << 20];
        let zstd = zstd::encode_all(zeros.as_slice(), 1).unwrap();
        for (compression, body) in [(Compression::Gzip, gzip(&zeros)), (Compression::Zstd, zstd)] {
            assert_eq!(
                decompress(compression, &body, 1 << 20).unwrap().len(),
                1 << 20
            );
            let short = decompress(compression, &body, (1 << 20) - 1);
            assert_eq!(short, Err(BodyError::TooLong((1 << 20) - 1)));
            let cut = decompress(compression, &body[..body.len() / 2], 1 << 20);
            assert!(
                cut.unwrap_err()
                    .to_string()
                    .starts_with("the body cannot be decompressed")
            );
        }
    }
}
