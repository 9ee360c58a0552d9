//! Opening a stream: a file or stdin, decompressed by the format of its first bytes.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::exit::Failure;

/// Magic number of gzip (RFC 1952).
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// Magic number of a zstd frame (RFC 8878), little-endian.
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Bytes read at once.
const BUFFER: usize = 1 << 17;

/// An open stream of decompressed bytes.
pub(crate) struct Source {
    /// The decompressed bytes.
    pub(crate) reader: Box<dyn BufRead + Send>,
    /// Bytes read from the file so far, before decompression; for the progress bar.
    pub(crate) consumed: Arc<AtomicU64>,
    /// Size of the file in bytes; `None` for stdin and pipes.
    pub(crate) size: Option<u64>,
}

impl Source {
    /// Opens a file, or stdin if the path is `-`.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let unreadable =
            |error: io::Error| Failure::Input(format!("cannot read {}: {error}", path.display()));
        if path.as_os_str() == "-" {
            return Self::new(io::stdin(), None).map_err(unreadable);
        }
        let file = File::open(path).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        if metadata.is_dir() {
            return Err(Failure::Input(format!(
                "cannot read {}: it is a folder; expected a file of events",
                path.display()
            )));
        }
        Self::new(file, metadata.is_file().then_some(metadata.len())).map_err(unreadable)
    }

    fn new(raw: impl Read + Send + 'static, size: Option<u64>) -> io::Result<Self> {
        let consumed = Arc::new(AtomicU64::new(0));
        let counted = Counted {
            inner: raw,
            consumed: Arc::clone(&consumed),
        };
        let mut plain = BufReader::with_capacity(BUFFER, counted);
        let magic = first_bytes(&mut plain)?;
        let reader: Box<dyn BufRead + Send> = if magic.starts_with(&GZIP) {
            // A gzip file may have several members: `cat a.gz b.gz` is one.
            Box::new(BufReader::with_capacity(
                BUFFER,
                flate2::bufread::MultiGzDecoder::new(magic.into_reader(plain)),
            ))
        } else if magic.starts_with(&ZSTD) {
            Box::new(BufReader::with_capacity(
                BUFFER,
                zstd::stream::Decoder::with_buffer(magic.into_reader(plain))?,
            ))
        } else {
            Box::new(magic.into_reader(plain))
        };
        Ok(Self {
            reader,
            consumed,
            size,
        })
    }
}

/// A reader that counts its bytes.
struct Counted<R> {
    inner: R,
    consumed: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.consumed.fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

/// The first bytes of a stream, already read from it.
struct Magic {
    bytes: [u8; 4],
    len: usize,
}

impl Magic {
    fn starts_with(&self, magic: &[u8]) -> bool {
        self.bytes[..self.len].starts_with(magic)
    }

    /// The stream with its first bytes put back.
    fn into_reader<R: BufRead>(self, rest: R) -> io::Chain<io::Take<io::Cursor<[u8; 4]>>, R> {
        io::Cursor::new(self.bytes)
            .take(self.len as u64)
            .chain(rest)
    }
}

/// Reads the first bytes of a stream.
///
/// Peeking into the buffer would not do: a pipe may hand out fewer than four bytes at a time.
fn first_bytes(reader: &mut impl Read) -> io::Result<Magic> {
    let mut magic = Magic {
        bytes: [0; 4],
        len: 0,
    };
    while magic.len < magic.bytes.len() {
        match reader.read(&mut magic.bytes[magic.len..]) {
            Ok(0) => break,
            Ok(read) => magic.len += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(magic)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn read(bytes: &'static [u8]) -> Vec<u8> {
        let mut source = Source::new(bytes, None).unwrap();
        let mut text = Vec::new();
        source.reader.read_to_end(&mut text).unwrap();
        assert_eq!(source.consumed.load(Ordering::Relaxed), bytes.len() as u64);
        text
    }

    #[test]
    fn the_first_bytes_select_the_decompression() {
        assert_eq!(read(b""), b"");
        assert_eq!(read(b"{}"), b"{}");
        assert_eq!(read(b"{\"a\": 1}\n"), b"{\"a\": 1}\n");
        // Two gzip members, as `cat a.gz b.gz` gives them.
        let mut packed = Vec::new();
        for text in ["{}\n", "{\"b\":2}\n"] {
            let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            gzip.write_all(text.as_bytes()).unwrap();
            packed.extend(gzip.finish().unwrap());
        }
        assert_eq!(read(packed.leak()), b"{}\n{\"b\":2}\n");
        let packed = zstd::encode_all(&b"{\"c\":3}\n"[..], 1).unwrap();
        assert_eq!(read(packed.leak()), b"{\"c\":3}\n");
    }
}
