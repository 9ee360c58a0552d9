//! Opening a stream: a file or stdin, plain, gzip or zstd by its first bytes.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::exit::Failure;

const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const BUFFER: usize = 1 << 17;

/// An open stream of unpacked bytes.
pub(crate) struct Source {
    /// What to read.
    pub(crate) reader: Box<dyn BufRead + Send>,
    /// How many bytes of the file have been read, before unpacking.
    pub(crate) consumed: Arc<AtomicU64>,
    /// How many bytes the file has; `None` for stdin and pipes.
    pub(crate) size: Option<u64>,
}

impl Source {
    /// Opens a file, or stdin for `-`.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let unreadable =
            |error: io::Error| Failure::Input(format!("cannot read {}: {error}", path.display()));
        if path.as_os_str() == "-" {
            return Self::new(io::stdin(), None).map_err(unreadable);
        }
        let file = File::open(path).map_err(unreadable)?;
        let facts = file.metadata().map_err(unreadable)?;
        if facts.is_dir() {
            return Err(Failure::Input(format!(
                "{} is a folder, not a file of events",
                path.display()
            )));
        }
        Self::new(file, facts.is_file().then_some(facts.len())).map_err(unreadable)
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

/// Counts what is read.
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

/// The first bytes of a stream, taken out of it.
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

/// A pipe may hand out less than four bytes at a time, so looking into its buffer is not enough.
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
    fn plain_gzip_and_zstd_are_told_apart_by_their_first_bytes() {
        assert_eq!(read(b""), b"");
        assert_eq!(read(b"{}"), b"{}");
        assert_eq!(read(b"{\"a\": 1}\n"), b"{\"a\": 1}\n");
        // Two members one after the other, as `cat a.gz b.gz` gives them.
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
