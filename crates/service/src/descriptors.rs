//! File descriptors: as many as the system allows, some of them kept for the store and deliveries.
//!
//! When connections of clients use up all descriptors, deliveries fail with "too many open files"
//! and the store cannot open its files. So there are never more connections than the limit of the
//! process allows beside what everything else needs.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors of the store (file, log and index for each of its connections), files that are read,
/// logs, the runtime and name resolution.
const OWN: u64 = 96;

/// Has an entry for each open descriptor.
const OPEN_FILES: &str = "/proc/self/fd";

/// Raises the limit of open files of this process as far as the system lets it.
pub(crate) fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if raised != limit
        && let Err(error) = setrlimit(Resource::Nofile, raised)
    {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
}

/// How many connections there may be: `configured`, or fewer if the limit of open files does not
/// leave `sends` descriptors for deliveries, those of the service itself and `reserve` more.
pub(crate) fn connection_limit(configured: usize, sends: usize, reserve: usize) -> usize {
    let Some(open_files) = getrlimit(Resource::Nofile).current else {
        return configured;
    };
    within(open_files, configured, sends, reserve)
}

/// What is short, if descriptors are: less than a tenth of the limit is left.
pub(crate) fn shortage() -> Option<String> {
    let limit = getrlimit(Resource::Nofile).current?;
    // Without a descriptor for the folder itself, none is left. Elsewhere than on Linux there is
    // no such folder.
    let open = match std::fs::read_dir(OPEN_FILES) {
        Ok(files) => files.count() as u64,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        Err(_) => limit,
    };
    is_short(open, limit).then(|| format!("{open} of {limit} are open"))
}

fn is_short(open: u64, limit: u64) -> bool {
    open.saturating_mul(10) > limit.saturating_mul(9)
}

fn within(open_files: u64, configured: usize, sends: usize, reserve: usize) -> usize {
    // A send may have a socket to its receiver and one to a name server, or pipes to a program.
    let kept = OWN + 2 * sends as u64 + reserve as u64;
    // With a limit that is too low for all, clients and deliveries share it.
    let left = open_files.saturating_sub(kept).max(open_files / 4);
    usize::try_from(left).map_or(configured, |left| left.clamp(1, configured))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_kept_for_deliveries() {
        assert_eq!(within(65_536, 1_024, 40, 16), 1_024);
        assert_eq!(within(1_024, 1_024, 40, 16), 1_024 - 96 - 80 - 16);
        assert_eq!(within(64, 1_024, 40, 16), 16);
        assert_eq!(within(0, 1_024, 40, 16), 1);
        assert_eq!(within(1_024, 8, 40, 16), 8);
    }

    #[test]
    fn a_shortage_is_less_than_a_tenth() {
        assert!(!is_short(900, 1_000) && is_short(901, 1_000) && is_short(1, 1));
        assert!(!is_short(0, 0));
    }

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        raise_limit();
        let limit = getrlimit(Resource::Nofile);
        assert_eq!(limit.current, limit.maximum);
    }
}
