//! Does a wildcard match a whole value? Greedy, piece by piece: the first piece stands at the start, the last at the
//! end, and each one between is taken where it ends first, which leaves the most room for the rest.
//!
//! The same as `value::wildcard`, for wildcards that are one text with a separator for each star.

use super::predicates::SEPARATOR;
use crate::value::ignoring_case;

/// By the exact bytes; linear in the value.
pub(super) fn matches(wildcard: &[u8], value: &[u8]) -> bool {
    let Some(first_star) = memchr::memchr(SEPARATOR, wildcard) else {
        return wildcard == value;
    };
    let last_star = memchr::memrchr(SEPARATOR, wildcard).unwrap_or(first_star);
    let room = value.strip_prefix(&wildcard[..first_star]);
    let Some(mut room) = room.and_then(|room| room.strip_suffix(&wildcard[last_star + 1..])) else {
        return false;
    };
    if first_star == last_star {
        return true;
    }
    for piece in wildcard[first_star + 1..last_star].split(|&byte| byte == SEPARATOR) {
        let Some(at) = find(room, piece) else {
            return false;
        };
        room = &room[at + piece.len()..];
    }
    true
}

/// With letters compared ignoring case; at most value × wildcard.
pub(super) fn matches_ignoring_case(wildcard: &[u8], value: &str) -> bool {
    let mut pieces = wildcard
        .split(|&byte| byte == SEPARATOR)
        .map(|piece| std::str::from_utf8(piece).unwrap_or(""));
    let Some(mut room) = pieces
        .next()
        .and_then(|first| ignoring_case::strip_prefix(first, value))
    else {
        return false;
    };
    let Some(last) = pieces.next_back() else {
        return room.is_empty();
    };
    match ignoring_case::strip_suffix(last, room) {
        Some(rest) => room = rest,
        None => return false,
    }
    for piece in pieces {
        let Some(end) = ignoring_case::first_end(piece, room) else {
            return false;
        };
        room = &room[end..];
    }
    true
}

fn find(room: &[u8], piece: &[u8]) -> Option<usize> {
    match piece {
        [byte] => memchr::memchr(*byte, room),
        _ => memchr::memmem::find(room, piece),
    }
}
