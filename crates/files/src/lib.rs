//! Regular files only: reading within a limit, and appending.
//!
//! Rules, configurations and secrets are small regular files. What is found in their place may be
//! anything: opening a FIFO waits until someone writes to it, a device may never end, and a
//! container runtime creates a folder where a file to mount is missing. All of these are errors
//! here, and none of them makes the caller wait.

#![allow(
    clippy::disallowed_methods,
    reason = "the crate that reads files for the others"
)]

use std::fs::{self, File, FileType, OpenOptions};
use std::io::{self, Read as _};
use std::path::Path;

/// Why a file was not opened or read. The messages name no path; callers precede them by it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The file is missing, or cannot be opened or read.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// A folder.
    #[error("expected a file, found a folder")]
    Folder,
    /// A FIFO, a socket or a device.
    #[error("expected a regular file, found {0}")]
    Special(&'static str),
    /// Larger than the limit.
    #[error("the file has {}{found} bytes, more than the {limit} allowed", at_least(*grew))]
    TooLarge {
        /// Its size in bytes; with `grew` a lower bound.
        found: u64,
        /// The limit in bytes.
        limit: usize,
        /// Whether it grew while it was read.
        grew: bool,
    },
}

/// Reads a regular file of at most `limit` bytes. Links are followed.
///
/// ```
/// use std::path::Path;
///
/// use reflexarc_files::read_regular_file;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("rule.toml");
/// std::fs::write(&path, "when = 'a exists'")?;
/// assert_eq!(read_regular_file(&path, 100)?, b"when = 'a exists'");
///
/// let error = read_regular_file(&path, 10).unwrap_err();
/// assert_eq!(error.to_string(), "the file has 17 bytes, more than the 10 allowed");
/// let error = read_regular_file(folder.path(), 100).unwrap_err();
/// assert_eq!(error.to_string(), "expected a file, found a folder");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If it is missing, too large, not a regular file, or cannot be read.
pub fn read_regular_file(path: &Path, limit: usize) -> Result<Vec<u8>, ReadError> {
    // Looked at before it is opened, because opening alone has effects on some devices (a tape
    // rewinds), and a socket cannot be opened at all.
    require_regular(fs::metadata(path)?.file_type())?;
    let file = open(path, &mut OpenOptions::new())?;
    // Looked at again: another file may have come to this path in between.
    let facts = file.metadata()?;
    require_regular(facts.file_type())?;
    if facts.len() > limit as u64 {
        return Err(ReadError::TooLarge {
            found: facts.len(),
            limit,
            grew: false,
        });
    }
    // The size is not trusted for the reading itself: a file may grow, and files of /proc have
    // the size 0.
    let mut bytes = Vec::new();
    file.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > limit {
        return Err(ReadError::TooLarge {
            found: bytes.len() as u64,
            limit,
            grew: true,
        });
    }
    Ok(bytes)
}

/// Opens a regular file to append to and to read, and creates it if it is missing. Links are
/// followed.
///
/// ```
/// use std::io::Write as _;
///
/// use reflexarc_files::open_to_append;
///
/// let folder = tempfile::tempdir()?;
/// let path = folder.path().join("deliveries.ndjson");
/// for line in ["1\n", "2\n"] {
///     open_to_append(&path)?.write_all(line.as_bytes())?;
/// }
/// assert_eq!(std::fs::read_to_string(&path)?, "1\n2\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// If it is not a regular file, or cannot be opened or created.
pub fn open_to_append(path: &Path) -> Result<File, ReadError> {
    match fs::metadata(path) {
        Ok(facts) => require_regular(facts.file_type())?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error.into()),
    }
    let file = open(path, OpenOptions::new().create(true).append(true))?;
    require_regular(file.metadata()?.file_type())?;
    Ok(file)
}

/// Opens for reading at least, without waiting: a FIFO without a writer opens at once, to be
/// refused.
#[cfg(unix)]
fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;

    let nonblocking = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
    // The flags are those of `open(2)`, which are small and positive on every system.
    let flags = i32::try_from(nonblocking.bits()).unwrap_or_default();
    options.read(true).custom_flags(flags).open(path)
}

#[cfg(not(unix))]
fn open(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    options.read(true).open(path)
}

fn require_regular(found: FileType) -> Result<(), ReadError> {
    if found.is_file() {
        Ok(())
    } else if found.is_dir() {
        Err(ReadError::Folder)
    } else {
        Err(ReadError::Special(special_name(found)))
    }
}

#[cfg(unix)]
fn special_name(found: FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt as _;

    if found.is_fifo() {
        "a FIFO (named pipe)"
    } else if found.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

#[cfg(not(unix))]
fn special_name(_found: FileType) -> &'static str {
    "a special file"
}

fn at_least(grew: bool) -> &'static str {
    if grew { "at least " } else { "" }
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    fn message(path: &Path) -> String {
        read_regular_file(path, 100)
            .expect_err("not a regular file")
            .to_string()
    }

    #[test]
    fn special_files_are_refused_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo.toml");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, mode).unwrap();
        let socket = folder.path().join("socket.toml");
        let _listener = UnixListener::bind(&socket).unwrap();
        for (path, found) in [
            (fifo.as_path(), "a FIFO (named pipe)"),
            (&socket, "a socket"),
            (Path::new("/dev/null"), "a device"),
            (Path::new("/dev/zero"), "a device"),
        ] {
            let expected = format!("expected a regular file, found {found}");
            assert_eq!(message(path), expected);
            let error = open_to_append(path).expect_err("not a regular file");
            assert_eq!(error.to_string(), expected);
            // Also behind a link.
            let link = folder.path().join("link.toml");
            std::os::unix::fs::symlink(path, &link).unwrap();
            assert_eq!(message(&link), expected);
            fs::remove_file(&link).unwrap();
        }
    }

    #[test]
    fn link_loops_and_missing_files_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let link = folder.path().join("a.toml");
        std::os::unix::fs::symlink(&link, &link).unwrap();
        assert!(
            message(&link).contains("symbolic links"),
            "{}",
            message(&link)
        );
        let missing = message(&folder.path().join("b.toml"));
        assert!(missing.contains("No such file"), "{missing}");
    }

    #[test]
    fn sizes_are_bounded_also_where_the_system_says_zero() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sparse.toml");
        // 1 TiB that takes no space.
        File::create(&path).unwrap().set_len(1 << 40).unwrap();
        assert!(message(&path).contains("1099511627776 bytes"));
        fs::write(&path, [b'a'; 100]).unwrap();
        assert_eq!(read_regular_file(&path, 100).unwrap().len(), 100);
        if cfg!(target_os = "linux") {
            let proc = Path::new("/proc/self/smaps");
            assert!(message(proc).contains("at least 101 bytes"));
        }
    }
}
