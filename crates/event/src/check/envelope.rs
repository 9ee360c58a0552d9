//! What goes for every ECS event: name, level, resource, times, and what its envelope demands.

use super::places::Step::{self, Key};
use super::{Checked, alike, at, named, shown};
use crate::json::Json;
use crate::reading::{Reading, is_masked};
use crate::{Arn, Envelope, Level, OperationResult, catalogue, find_name, parse_time};
use reflexarc_diagnostic::Code;

/// The members of the content that hold times.
const TIMES: [&str; 8] = [
    "publishTime",
    "notBefore",
    "executeStartTime",
    "executeFinishTime",
    "startTime",
    "endTime",
    "intervalStart",
    "intervalEnd",
];

/// How many characters EventBridge carries in an attribute.
const LONGEST: [(&str, usize); 4] = [("id", 128), ("source", 128), ("subject", 512), ("type", 64)];

/// What `resourceId` names, by the first part of an event's name, with the members of the content that name it too.
const KINDS: [(&str, &str, &[&str]); 4] = [
    ("NetworkInterface", "eni", &["eniId"]),
    ("Instance", "instance", &["instanceId", "resourceId"]),
    ("Disk", "disk", &["diskId"]),
    ("Snapshot", "snapshot", &["snapshotId"]),
];

impl Checked<'_> {
    pub(super) fn envelope(&mut self) {
        self.name();
        self.level();
        self.content();
        self.resource();
        for key in ["id", "userId", "regionId"] {
            self.text(&[Key(key)]);
        }
        self.time(&[Key("eventTime")]);
        for key in TIMES {
            self.time(&[Key("content"), Key(key)]);
        }
        if self.event.envelope() == Envelope::CloudEvent {
            self.lengths();
        }
    }

    fn name(&mut self) {
        let Some(name) = self.text(&[Key("name")]) else {
            return;
        };
        let ecs = at(self.native, &[Key("product")])
            .and_then(Json::as_str)
            .is_none_or(|product| product == "ECS");
        if !ecs {
            return;
        }
        let Some((entry, status)) = find_name(&name) else {
            let message = format!("`{}` is in no catalogue of ECS events", shown(&name));
            let names = catalogue().iter().map(|entry| entry.name);
            let like = alike(&name, names);
            let help = like.map_or_else(
                || "new events appear now and then; rules may name it all the same".to_owned(),
                |like| format!("did you mean `{like}`?"),
            );
            let hint = self.hint(Code::UNKNOWN_EVENT_NAME, &[Key("name")], message, &help);
            self.add(match like {
                Some(like) => self.mended(hint, &[Key("name")], like),
                None => hint,
            });
            return;
        };
        let stated = at(self.native, &[Key("content"), Key("eventStatus")]).and_then(Json::as_str);
        if let (Some(status), Some(stated)) =
            (status, stated.filter(|stated| status != Some(stated)))
        {
            let message = format!(
                "the name says {status}, but `eventStatus` is `{}`",
                shown(stated)
            );
            let span = self.places.value(&[Key("content"), Key("eventStatus")]);
            let hint = self.hint(
                Code::INCONSISTENT_NAME_STATUS,
                &[Key("name")],
                message,
                "the content is usually right",
            );
            self.add(hint.with_label(span, format!("`{}` knows both", entry.name)));
        }
    }

    fn level(&mut self) {
        let Some(text) = self.text(&[Key("level")]) else {
            return;
        };
        let Some(level) = Level::parse(&text) else {
            let message = format!("`{}` is no level", shown(&text));
            self.add(self.warning(
                Code::UNKNOWN_LEVEL,
                &[Key("level")],
                message,
                "the levels are INFO, WARN and CRITICAL",
            ));
            return;
        };
        let written = at(self.event.tree(), &[Key("level")]).and_then(Json::as_str);
        if self.event.envelope() == Envelope::Native
            && written.is_some_and(|text| text != level.as_str())
        {
            let message = format!(
                "the level `{}` is read as {level}",
                shown(written.unwrap_or_default())
            );
            let help = "native events write it in capitals";
            let hint = self.hint(Code::TOLERATED_SPELLING, &[Key("level")], message, help);
            self.add(self.mended(hint, &[Key("level")], level.as_str()));
        }
        self.level_and_result(level);
    }

    /// Only events that are INFO by themselves are raised by a failure and not otherwise.
    fn level_and_result(&mut self, level: Level) {
        let name = at(self.native, &[Key("name")])
            .and_then(Json::as_str)
            .unwrap_or_default();
        let raised = matches!(
            name,
            crate::ENI_OPERATION_COMPLETED | "Disk:DiskOperationCompleted"
        );
        let path = [Key("content"), Key("result")];
        let result = at(self.native, &path)
            .and_then(Json::as_str)
            .and_then(OperationResult::parse);
        if let Some(result) = result.filter(|result| raised && result.level() != level) {
            let message =
                format!("the level is {level}, but the result of the operation is {result}");
            let help = format!(
                "an operation with the result {result} has the level {}",
                result.level()
            );
            let span = self.places.value(&path);
            let label = format!("this goes with {}", result.level());
            let warning = self.warning(Code::INCONSISTENT_LEVEL, &[Key("level")], message, &help);
            self.add(warning.with_label(span, label));
        }
    }

    fn content(&mut self) {
        let path = [Key("content")];
        match at(self.native, &path) {
            None => {
                let help = "an event without content tells that something happened, but not what";
                self.add(self.warning(
                    Code::FIELD_MISSING,
                    &path,
                    "the event has no content".to_owned(),
                    help,
                ));
            }
            Some(Json::Object(_)) => {
                let raw = self.event.envelope() != Envelope::CloudMonitor
                    && self
                        .event
                        .tree()
                        .get("content")
                        .or(self.event.tree().get("data"))
                        .is_some_and(|raw| raw.as_str().is_some());
                if raw {
                    let message = "the content is JSON text inside a string".to_owned();
                    self.add(self.hint(
                        Code::TOLERATED_SPELLING,
                        &path,
                        message,
                        "write the object itself",
                    ));
                }
            }
            Some(other) => {
                let message = format!("the content should be an object, but is {}", other.kind());
                self.add(self.warning(
                    Code::WRONG_TYPE,
                    &path,
                    message,
                    "write an object with the fields of the event",
                ));
            }
        }
    }

    fn resource(&mut self) {
        let path = [Key("resourceId")];
        // Parts of an ARN that are not masked can be checked although the whole matches nothing.
        let masked = at(self.native, &path)
            .and_then(Json::as_str)
            .is_some_and(is_masked);
        let text = at(self.native, &path)
            .and_then(Json::as_str)
            .map(str::to_owned);
        self.text(&path);
        let Some(text) = text.filter(|text| !text.is_empty()) else {
            return;
        };
        let Some(arn) = Arn::parse(&text) else {
            if !masked {
                let message = format!("`{}` is not the name of a resource", shown(&text));
                self.add(self.warning(
                    Code::INVALID_ARN,
                    &path,
                    message,
                    "write acs:ecs:<region>:<account>:<kind>/<id>",
                ));
            }
            return;
        };
        let name = at(self.native, &[Key("name")])
            .and_then(Json::as_str)
            .unwrap_or_default()
            .to_owned();
        let Some((resource, kind, ids)) = KINDS
            .into_iter()
            .find(|(resource, ..)| name.split(':').next() == Some(*resource))
        else {
            return;
        };
        if arn.kind != kind {
            let message = format!(
                "an event about {resource} names a resource of the kind `{}`",
                shown(&arn.kind)
            );
            self.add(self.warning(
                Code::ARN_RESOURCE_TYPE,
                &path,
                message,
                &format!("the kind of its resource is `{kind}`"),
            ));
        } else if let Some(key) = ids
            .iter()
            .find(|key| at(self.native, &[Key("content"), Key(key)]).is_some())
        {
            self.agrees(&arn.id, &[Key("content"), Key(key)]);
        }
        self.agrees(&arn.region, &[Key("regionId")]);
    }

    /// Says so when a part of the ARN differs from what stands at the path.
    fn agrees(&mut self, part: &str, path: &[Step<'_>]) {
        let Some(other) = at(self.native, path).and_then(Json::as_str) else {
            return;
        };
        if other == part || other.is_empty() {
            return;
        }
        // What is hidden may agree.
        if is_masked(other) || is_masked(part) {
            return;
        }
        let message = format!(
            "the resource id names `{}`, but `{}` is `{}`",
            shown(part),
            named(path),
            shown(other)
        );
        let span = self.places.value(path);
        let help = "the content is usually right";
        let warning = self.warning(Code::INCONSISTENT_ARN, &[Key("resourceId")], message, help);
        self.add(warning.with_label(span, "not the same"));
    }

    fn time(&mut self, path: &[Step<'_>]) {
        let Some(text) = self.text(path) else { return };
        match Reading::of(&text, parse_time) {
            Reading::Masked(_) => self.add(self.hidden(path, &text)),
            Reading::Unknown(_) => {
                let message = format!("`{}` is not a time", shown(&text));
                let help = "write it like 20190409T121826.922+0800 or 2019-04-09T04:18:26Z, always with an offset";
                self.add(self.warning(Code::INVALID_TIME, path, message, help));
            }
            Reading::Clear(_) | Reading::Missing => {}
        }
    }

    fn lengths(&mut self) {
        for (attribute, longest) in LONGEST {
            let Some(text) = self.event.tree().get(attribute).and_then(Json::as_str) else {
                continue;
            };
            let length = text.chars().count();
            if length > longest {
                let message = format!("`{attribute}` has {length} characters");
                let help = format!("EventBridge carries at most {longest}");
                let span = self.places.raw(attribute);
                self.add(
                    reflexarc_diagnostic::Diagnostic::warning(
                        Code::ATTRIBUTE_TOO_LONG,
                        span,
                        message,
                    )
                    .with_help(help),
                );
            }
        }
    }
}
