//! Conversion of the webhook of a Cloud Monitor subscription policy to the native form; see the
//! module `normalize`.

use crate::json::Json;
use crate::native_field::{content, level, with_status};
use crate::{Path, time};

/// The native member for members whose names the native form uses already.
pub(crate) const WEBHOOK: &str = "webhook";

/// The paths from which each native member can come, preferred ones first.
pub(crate) const ORIGINS: [(&str, &[&[&str]]); 14] = [
    (
        "id",
        &[
            &["alert", "meta", "sysEventMeta", "id"],
            &["alert", "traceId"],
            &["alert", "dedupId"],
        ],
    ),
    (
        "product",
        &[
            &["alert", "product"],
            &["alert", "meta", "sysEventMeta", "product"],
        ],
    ),
    (
        "resourceId",
        &[
            &["alert", "arn"],
            &["alert", "meta", "sysEventMeta", "resourceId"],
        ],
    ),
    (
        "level",
        &[
            &["alert", "meta", "sysEventMeta", "level"],
            &["alert", "severity"],
            &["severity"],
        ],
    ),
    (
        "name",
        &[
            &["alert", "eventName"],
            &["alert", "meta", "sysEventMeta", "name"],
        ],
    ),
    ("userId", &[&["alert", "userId"], &["userId"]]),
    (
        "eventTime",
        &[
            &["alert", "meta", "sysEventMeta", "eventTime"],
            &["alert", "timestamp"],
            &["time"],
        ],
    ),
    (
        "regionId",
        &[&["alert", "meta", "sysEventMeta", "regionId"]],
    ),
    (
        "content",
        &[&["alert", "eventContentMap"], &["alert", "eventRawContent"]],
    ),
    (
        "eventType",
        &[
            &["alert", "eventType"],
            &["alert", "meta", "sysEventMeta", "eventType"],
        ],
    ),
    (
        "groupId",
        &[
            &["alert", "groupId"],
            &["alert", "meta", "sysEventMeta", "groupId"],
        ],
    ),
    ("ruleName", &[&["strategyName"]]),
    (
        "instanceName",
        &[&["alert", "meta", "sysEventMeta", "instanceName"]],
    ),
    ("status", &[&["alert", "meta", "sysEventMeta", "status"]]),
];

/// The number of paths in [`ORIGINS`].
pub(crate) const ORIGIN_PATHS: usize = 27;

/// The paths in a webhook from which the native member `key` can come, preferred ones first.
pub(crate) fn origins(key: &str) -> &'static [&'static [&'static str]] {
    ORIGINS
        .iter()
        .find(|(native, _)| *native == key)
        .map_or(&[], |(_, paths)| paths)
}

/// The position of a path among all those of [`ORIGINS`], in their order. The path is given by its
/// last key, and by the number of keys before it: those are always `alert`, `meta` and
/// `sysEventMeta`.
// By the length first, as in `MemberKey`.
pub(crate) fn origin_position(level: usize, key: &str) -> Option<usize> {
    Some(match (level, key.len(), key) {
        (0, 4, "time") => 16,
        (0, 6, "userId") => 13,
        (0, 8, "severity") => 9,
        (0, 12, "strategyName") => 24,
        (1, 3, "arn") => 5,
        (1, 6, "userId") => 12,
        (1, 7, "traceId") => 1,
        (1, 7, "dedupId") => 2,
        (1, 7, "product") => 3,
        (1, 7, "groupId") => 22,
        (1, 8, "severity") => 8,
        (1, 9, "eventName") => 10,
        (1, 9, "timestamp") => 15,
        (1, 9, "eventType") => 20,
        (1, 15, "eventContentMap") => 18,
        (1, 15, "eventRawContent") => 19,
        (3, 2, "id") => 0,
        (3, 4, "name") => 11,
        (3, 5, "level") => 7,
        (3, 6, "status") => 26,
        (3, 7, "product") => 4,
        (3, 7, "groupId") => 23,
        (3, 8, "regionId") => 17,
        (3, 9, "eventTime") => 14,
        (3, 9, "eventType") => 21,
        (3, 10, "resourceId") => 6,
        (3, 12, "instanceName") => 25,
        _ => return None,
    })
}

/// The paths in the native form to which a path in a webhook can lead.
pub(crate) fn native_paths(segments: &[&str]) -> Vec<Path> {
    let of = |key: &'static str, origin: &&[&'static str]| {
        let rest = segments.strip_prefix(*origin)?;
        Some(Path::from_keys([&[key], rest].concat()))
    };
    ORIGINS
        .iter()
        .flat_map(|(key, origins)| origins.iter().filter_map(move |origin| of(key, origin)))
        .collect()
}

/// The native form of a webhook.
pub(crate) fn to_native(event: &Json, depth: usize) -> Json {
    // Values are removed from a copy as they are converted; what is left is kept as it is.
    let mut rest = event.clone();
    let mut native: Vec<(String, Json)> = Vec::new();
    for (key, paths) in ORIGINS {
        let mut found: Option<Json> = None;
        for path in paths {
            let Some(value) = at(event, path).map(|value| convert(key, value, depth)) else {
                continue;
            };
            // The same value at a second path is redundant; a different one is kept where it is.
            if found
                .get_or_insert_with(|| value.clone())
                .eq_ignoring_order(&value)
            {
                remove(&mut rest, path);
            }
        }
        native.extend(found.map(|value| (key.to_owned(), value)));
    }
    let native = Json::Object(native);
    // Cloud Monitor sends name and status apart, the native form has one name:
    // "Disk:Stalled" with "eventStatus": "Executing" is "Disk:Stalled:Executing".
    let status = native
        .get("content")
        .and_then(|content| content.get("eventStatus"))
        .or_else(|| native.get("status"));
    let name = native
        .get("name")
        .and_then(Json::as_str)
        .map(|name| Json::from(with_status(name, status.and_then(Json::as_str))));
    let converted = native
        .members()
        .iter()
        .map(|(key, value)| match (key.as_str(), &name) {
            ("name", Some(name)) => (key.clone(), name.clone()),
            _ => (key.clone(), value.clone()),
        });
    let keeps_name = |key: &str| key != WEBHOOK && native.get(key).is_none();
    let kept = rest
        .members()
        .iter()
        .filter(|(key, _)| keeps_name(key))
        .cloned();
    // Webhooks have members such as `userId` and `time` that the native form uses for other values.
    let aside: Json = rest
        .members()
        .iter()
        .filter(|(key, _)| !keeps_name(key))
        .cloned()
        .collect();
    let aside = (!aside.members().is_empty()).then(|| (WEBHOOK.to_owned(), aside));
    converted.chain(kept).chain(aside).collect()
}

fn convert(key: &str, value: &Json, depth: usize) -> Json {
    match (key, value) {
        ("content", _) => content(value.clone(), depth),
        ("level", _) => level(value),
        // A number that is no time stays as it came; `check --events` reports it.
        ("eventTime", Json::Number(text)) => {
            time::parse_time(text).map_or_else(|_| value.clone(), |time| time::compact(time).into())
        }
        _ => value.clone(),
    }
}

fn at<'a>(event: &'a Json, path: &[&str]) -> Option<&'a Json> {
    path.iter().try_fold(event, |value, key| value.get(key))
}

/// Removes the member at the path, and every object that is empty then.
fn remove(event: &mut Json, path: &[&str]) {
    let (Json::Object(members), [key, rest @ ..]) = (event, path) else {
        return;
    };
    if rest.is_empty() {
        members.retain(|(name, _)| name != key);
    } else if let Some(at) = members.iter().rposition(|(name, _)| name == key) {
        remove(&mut members[at].1, rest);
        if members[at].1.members().is_empty() {
            members.remove(at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_those_of_the_origins() {
        let paths = ORIGINS.iter().flat_map(|(_, paths)| *paths);
        let paths: Vec<_> = paths.collect();
        for (position, path) in paths.iter().enumerate() {
            let (key, objects) = path.split_last().unwrap();
            assert!(["alert", "meta", "sysEventMeta"].starts_with(objects));
            assert_eq!(
                origin_position(objects.len(), key),
                Some(position),
                "{path:?}"
            );
        }
        // And no others.
        for level in 0..4 {
            for key in paths.iter().filter_map(|path| path.last()) {
                let is_origin =
                    |path: &&&[&str]| path.len() == level + 1 && path.last() == Some(key);
                let expected = paths.iter().position(is_origin);
                assert_eq!(origin_position(level, key), expected, "{level} {key}");
            }
        }
        assert_eq!(paths.len(), ORIGIN_PATHS);
    }
}
