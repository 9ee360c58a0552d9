//! What one process tells the next one about time: a file beside the store.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;

use super::check::Reading;

/// The time at a moment of a boot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ClockRecord {
    /// Which boot of the machine; empty where that is unknown.
    pub(super) boot: String,
    pub(super) at: Reading,
}

/// Identifies the boot of a Linux machine.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";
/// Largest size of a record in bytes; one has about 100.
const MAX_BYTES: usize = 1_000;

impl ClockRecord {
    /// Reads a record; `None` if there is none, or it is not whole.
    pub(super) fn read(path: &Path) -> Option<Self> {
        let text = reflexarc_files::read_regular_file(path, MAX_BYTES).ok()?;
        let text = String::from_utf8(text).ok()?;
        let mut words = text.split_whitespace();
        let record = Self {
            at: Reading {
                wall: words.next()?.parse().ok()?,
                elapsed: Duration::from_millis(words.next()?.parse().ok()?),
            },
            boot: words.next()?.to_owned(),
        };
        // A file that was cut off ends earlier.
        (words.next() == Some("end")).then_some(record)
    }

    /// Replaces the file.
    pub(super) fn write(&self, path: &Path) -> std::io::Result<()> {
        let Self { boot, at } = self;
        let boot = if boot.is_empty() { "-" } else { boot };
        let (wall, elapsed): (Timestamp, _) = (at.wall, at.elapsed.as_millis());
        let mut new = path.as_os_str().to_owned();
        new.push(".new");
        let mut options = std::fs::OpenOptions::new();
        options.create(true).write(true).truncate(true).mode(0o600);
        options
            .open(&new)?
            .write_all(format!("{wall} {elapsed} {boot} end\n").as_bytes())?;
        std::fs::rename(new, path)
    }
}

/// Which boot of the machine this is; empty where that is unknown.
pub(super) fn boot_id() -> String {
    let id = std::fs::read_to_string(BOOT_ID).unwrap_or_default();
    id.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_read_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db.clock");
        assert_eq!(ClockRecord::read(&path), None);
        let record = ClockRecord {
            boot: "7e9f".to_owned(),
            at: Reading {
                wall: "2026-11-26T05:00:00.5Z".parse().unwrap(),
                elapsed: Duration::from_millis(1_234_567),
            },
        };
        record.write(&path).unwrap();
        assert_eq!(ClockRecord::read(&path), Some(record));
        let whole = std::fs::read_to_string(&path).unwrap();
        for length in 0..whole.len() - 1 {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert_eq!(ClockRecord::read(&path), None, "{length}");
        }
    }
}
