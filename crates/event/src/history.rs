//! Conversion of the records of `DescribeSystemEventAttribute` to the flat form of Cloud Monitor.

use crate::json::Json;
use crate::time;

/// The members of the flat form, in its order, and those of a record.
pub(crate) const MEMBERS: [(&str, &str); 11] = [
    ("id", "Id"),
    ("product", "Product"),
    ("resourceId", "ResourceId"),
    ("level", "Level"),
    ("name", "Name"),
    ("eventTime", "Time"),
    ("regionId", "RegionId"),
    ("content", "Content"),
    ("status", "Status"),
    ("groupId", "GroupId"),
    ("instanceName", "InstanceName"),
];

/// The member of a record from which the native member `key` comes.
pub(crate) fn origin(key: &str) -> Option<&'static str> {
    MEMBERS
        .iter()
        .find(|(native, _)| *native == key)
        .map(|(_, member)| *member)
}

/// The native member that comes from a member of a record.
pub(crate) fn native_key(member: &str) -> Option<&'static str> {
    MEMBERS
        .iter()
        .find(|(_, other)| *other == member)
        .map(|(native, _)| *native)
}

/// The flat form of a record. Members without a counterpart keep their names.
pub(crate) fn to_flat(record: &Json) -> Json {
    let renamed = MEMBERS
        .iter()
        .filter(|(key, _)| record.get(key).is_none())
        .filter_map(|(key, member)| Some((*key, *member, record.get(member)?)));
    let renamed: Vec<_> = renamed.collect();
    let is_renamed = |key: &str| renamed.iter().any(|(_, member, _)| *member == key);
    let kept = record.members().iter().filter(|(key, _)| !is_renamed(key));
    let converted = renamed.iter().map(|(key, _, value)| {
        let value = match value {
            // A number that is no time stays as it came; `check --events` reports it.
            Json::Number(text) if *key == "eventTime" => time::parse_time(text)
                .map_or_else(|_| (*value).clone(), |time| time::compact(time).into()),
            other => (*other).clone(),
        };
        ((*key).to_owned(), value)
    });
    converted.chain(kept.cloned()).collect()
}
