//! Opening an input: a file or stdin; a stream is decompressed by the format of its first bytes.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal as _, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use reflexarc_event::OtherFormat;

use crate::exit::Failure;

/// Magic number of gzip (RFC 1952).
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// Magic number of a zstd frame (RFC 8878), little-endian.
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Bytes read at once.
const BUFFER: usize = 1 << 17;
/// The longest text that is read from stdin: larger than every limit of a rule or filter, so that
/// their own errors are reported.
const MAX_TEXT: u64 = 16 << 20;

/// An open stream of decompressed bytes.
pub(crate) struct Source {
    /// The decompressed bytes.
    pub(crate) reader: Box<dyn BufRead + Send>,
    /// Bytes read from the file so far, before decompression; for the progress bar.
    pub(crate) consumed: Arc<AtomicU64>,
    /// Size of the file in bytes; `None` for stdin and pipes.
    pub(crate) size: Option<u64>,
    /// The path, for messages.
    pub(crate) name: String,
}

/// Opens files of events; without any, stdin, unless that is a terminal.
///
/// All are opened before the first is read, so that a wrong name is found at once.
pub(crate) fn open_all(paths: &[PathBuf]) -> Result<Vec<Source>, Failure> {
    if paths.is_empty() {
        if io::stdin().is_terminal() {
            return Err(Failure::Usage(
                "missing events: add a file, or `-` to read the terminal".to_owned(),
            ));
        }
        return Ok(vec![Source::open(Path::new("-"))?]);
    }
    let stdin = paths.iter().filter(|path| path.as_os_str() == "-");
    if stdin.count() > 1 {
        return Err(Failure::Usage(
            "`-` is given twice, but stdin can be read only once".to_owned(),
        ));
    }
    paths.iter().map(|path| Source::open(path)).collect()
}

/// The whole text of stdin.
pub(crate) fn read_stdin() -> Result<String, Failure> {
    let mut text = String::new();
    io::stdin()
        .take(MAX_TEXT + 1)
        .read_to_string(&mut text)
        .map_err(|error| Failure::Input(format!("cannot read stdin: {error}")))?;
    if text.len() as u64 > MAX_TEXT {
        let message = format!("stdin has more than the {MAX_TEXT} bytes allowed");
        return Err(Failure::Input(message));
    }
    Ok(text)
}

/// The whole text of a file that the command line names; `-` is stdin.
pub(crate) fn read_text(path: &Path) -> Result<String, Failure> {
    if path.as_os_str() == "-" {
        return read_stdin();
    }
    std::fs::read_to_string(path)
        .map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))
}

impl Source {
    /// Opens a file, or stdin if the path is `-`.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        let unreadable =
            |error: io::Error| Failure::Input(format!("cannot read {}: {error}", path.display()));
        let name = path.display().to_string();
        if path.as_os_str() == "-" {
            return Self::new(io::stdin(), None, name).map_err(unreadable);
        }
        let file = File::open(path).map_err(unreadable)?;
        let metadata = file.metadata().map_err(unreadable)?;
        if metadata.is_dir() {
            return Err(Failure::Input(format!(
                "cannot read {}: it is a folder; expected a file of events",
                path.display()
            )));
        }
        let size = metadata.is_file().then_some(metadata.len());
        Self::new(file, size, name).map_err(unreadable)
    }

    fn new(raw: impl Read + Send + 'static, size: Option<u64>, name: String) -> io::Result<Self> {
        let consumed = Arc::new(AtomicU64::new(0));
        let counted = Counted {
            inner: raw,
            consumed: Arc::clone(&consumed),
        };
        let mut plain = BufReader::with_capacity(BUFFER, counted);
        let magic = first_bytes(&mut plain)?;
        // Of compressed streams gzip and zstd are read. UTF-16 would be cut at the wrong bytes, so
        // that each line would be an error of its own.
        if let Some(
            format @ (OtherFormat::Utf16 | OtherFormat::Compressed("zip" | "xz" | "bzip2")),
        ) = OtherFormat::of(&magic.bytes[..magic.len])
        {
            let message = format!("expected JSON, found {format}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
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
            name,
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
        let mut source = Source::new(bytes, None, "-".to_owned()).unwrap();
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
        let error = |bytes: &'static [u8]| {
            let source = Source::new(bytes, None, "-".to_owned());
            source.err().map(|error| error.to_string())
        };
        for (bytes, found) in [(&b"{\0\"\0a\0"[..], "UTF-16"), (b"PK\x03\x04", "zip")] {
            assert!(error(bytes).is_some_and(|error| error.contains(found)));
        }
        let packed = zstd::encode_all(&b"{\"c\":3}\n"[..], 1).unwrap();
        assert_eq!(read(packed.leak()), b"{\"c\":3}\n");
    }
}
