//! Checks of every ECS event: name, level, resource, times, and limits of its envelope.

use super::source_map::PathStep::{self, Key};
use super::{Checker, at, named, shown};
use crate::json::Json;
use crate::parsed::{Parsed, is_masked};
use crate::{Arn, Envelope, Level, OperationResult, catalogue, find_name, parse_time};
use reflexarc_diagnostic::{Code, Diagnostic, nearest};

/// The members of the content that are times.
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

/// The maximum length of CloudEvents attributes in EventBridge, in characters.
const MAX_LENGTHS: [(&str, usize); 4] =
    [("id", 128), ("source", 128), ("subject", 512), ("type", 64)];

/// By the first part of an event's name: the resource type in `resourceId`, and the members of the
/// content that hold the id of the resource too.
const RESOURCE_TYPES: [(&str, &str, &[&str]); 4] = [
    ("NetworkInterface", "eni", &["eniId"]),
    ("Instance", "instance", &["instanceId", "resourceId"]),
    ("Disk", "disk", &["diskId"]),
    ("Snapshot", "snapshot", &["snapshotId"]),
];

impl Checker<'_> {
    pub(super) fn check_envelope(&mut self) {
        self.check_name();
        self.check_level();
        self.check_content();
        self.check_resource();
        for key in ["id", "userId", "regionId"] {
            self.text(&[Key(key)]);
        }
        self.check_time(&[Key("eventTime")]);
        for key in TIMES {
            self.check_time(&[Key("content"), Key(key)]);
        }
        if self.event.envelope() == Envelope::CloudEvent {
            self.check_lengths();
        }
    }

    fn check_name(&mut self) {
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
            let message = format!("unknown event name `{}`", shown(&name));
            let names = catalogue().iter().map(|entry| entry.name);
            let similar = nearest(&name, names);
            let help = similar.map_or_else(
                || "it may be newer than the catalogue; rules can use it all the same".to_owned(),
                |similar| format!("did you mean `{similar}`?"),
            );
            let hint = self.hint(Code::UNKNOWN_EVENT_NAME, &[Key("name")], message, &help);
            self.add(match similar {
                Some(similar) => self.with_fix(hint, &[Key("name")], similar),
                None => hint,
            });
            return;
        };
        let stated = at(self.native, &[Key("content"), Key("eventStatus")]).and_then(Json::as_str);
        if let (Some(status), Some(stated)) =
            (status, stated.filter(|stated| status != Some(stated)))
        {
            let message = format!(
                "status {status} in the name, but `{}` in `eventStatus`",
                shown(stated)
            );
            let span = self.source_map.value(&[Key("content"), Key("eventStatus")]);
            let hint = self.hint(
                Code::INCONSISTENT_NAME_STATUS,
                &[Key("name")],
                message,
                "the content is usually right",
            );
            self.add(hint.with_label(span, format!("a status of `{}`", entry.name)));
        }
    }

    fn check_level(&mut self) {
        let Some(text) = self.text(&[Key("level")]) else {
            return;
        };
        let Ok(level) = text.parse::<Level>() else {
            let message = format!("unknown level `{}`", shown(&text));
            self.add(self.warning(
                Code::UNKNOWN_LEVEL,
                &[Key("level")],
                message,
                "write INFO, WARN or CRITICAL",
            ));
            return;
        };
        let written = at(self.event.tree(), &[Key("level")]).and_then(Json::as_str);
        if self.event.envelope() == Envelope::Native
            && written.is_some_and(|text| text != level.as_str())
        {
            let message = format!(
                "level `{}` is accepted as {level}",
                shown(written.unwrap_or_default())
            );
            let help = "write it in capitals";
            let hint = self.hint(Code::TOLERATED_SPELLING, &[Key("level")], message, help);
            self.add(self.with_fix(hint, &[Key("level")], level.as_str()));
        }
        self.check_level_and_result(level);
    }

    /// Only for events whose level follows from their result.
    fn check_level_and_result(&mut self, level: Level) {
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
            .and_then(|text| text.parse::<OperationResult>().ok());
        if let Some(result) = result.filter(|result| raised && result.level() != level) {
            let message = format!("level {level} contradicts result {result}");
            let help = format!(
                "an operation with result {result} has level {}",
                result.level()
            );
            let span = self.source_map.value(&path);
            let label = format!("requires level {}", result.level());
            let warning = self.warning(Code::INCONSISTENT_LEVEL, &[Key("level")], message, &help);
            self.add(warning.with_label(span, label));
        }
    }

    fn check_content(&mut self) {
        let path = [Key("content")];
        match at(self.native, &path) {
            None => {
                let help = "add an object with the fields of the event";
                self.add(self.warning(
                    Code::FIELD_MISSING,
                    &path,
                    "missing `content`".to_owned(),
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
                    let message = "content is JSON text in a string".to_owned();
                    self.add(self.hint(
                        Code::TOLERATED_SPELLING,
                        &path,
                        message,
                        "write the object itself",
                    ));
                }
            }
            Some(other) => {
                let message = format!("expected an object as content, found {}", other.kind());
                self.add(self.warning(
                    Code::WRONG_TYPE,
                    &path,
                    message,
                    "write an object with the fields of the event",
                ));
            }
        }
    }

    fn check_resource(&mut self) {
        let path = [Key("resourceId")];
        // The parts of a masked ARN that are not masked themselves can still be checked.
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
        let Ok(arn) = text.parse::<Arn>() else {
            if !masked {
                let message = format!("invalid ARN `{}`", shown(&text));
                self.add(self.warning(
                    Code::INVALID_ARN,
                    &path,
                    message,
                    "write acs:ecs:<region>:<account>:<type>/<id>",
                ));
            }
            return;
        };
        let name = at(self.native, &[Key("name")])
            .and_then(Json::as_str)
            .unwrap_or_default()
            .to_owned();
        let Some((resource, kind, ids)) = RESOURCE_TYPES
            .into_iter()
            .find(|(resource, ..)| name.split(':').next() == Some(*resource))
        else {
            return;
        };
        if arn.kind != kind {
            let message = format!(
                "expected resource type `{kind}`, found `{}`",
                shown(&arn.kind)
            );
            self.add(self.warning(
                Code::ARN_RESOURCE_TYPE,
                &path,
                message,
                &format!("the resource of {resource} events has this type"),
            ));
        } else if let Some(key) = ids
            .iter()
            .find(|key| at(self.native, &[Key("content"), Key(key)]).is_some())
        {
            self.check_agreement(&arn.id, &[Key("content"), Key(key)]);
        }
        self.check_agreement(&arn.region, &[Key("regionId")]);
    }

    /// Reports a part of the ARN that differs from the value at the path.
    fn check_agreement(&mut self, part: &str, path: &[PathStep<'_>]) {
        let Some(other) = at(self.native, path).and_then(Json::as_str) else {
            return;
        };
        if other == part || other.is_empty() {
            return;
        }
        // The masked part may agree.
        if is_masked(other) || is_masked(part) {
            return;
        }
        let message = format!(
            "`{}` in the resource id contradicts `{}` in `{}`",
            shown(part),
            shown(other),
            named(path)
        );
        let span = self.source_map.value(path);
        let help = "the content is usually right";
        let warning = self.warning(Code::INCONSISTENT_ARN, &[Key("resourceId")], message, help);
        self.add(warning.with_label(span, "differs"));
    }

    fn check_time(&mut self, path: &[PathStep<'_>]) {
        let Some(text) = self.text(path) else { return };
        match Parsed::of(&text, |text| parse_time(text).ok()) {
            Parsed::Masked(_) => self.add(self.masked_value(path, &text)),
            Parsed::Invalid(_) => {
                let message = format!("invalid time `{}`", shown(&text));
                let help =
                    "write it as 20190409T121826.922+0800 or 2019-04-09T04:18:26Z, with an offset";
                self.add(self.warning(Code::INVALID_TIME, path, message, help));
            }
            Parsed::Value(_) | Parsed::Missing => {}
        }
    }

    fn check_lengths(&mut self) {
        for (attribute, max_length) in MAX_LENGTHS {
            let Some(text) = self.event.tree().get(attribute).and_then(Json::as_str) else {
                continue;
            };
            let length = text.chars().count();
            if length > max_length {
                let message = format!("attribute `{attribute}` has {length} characters");
                let help = format!("EventBridge allows at most {max_length}");
                let span = self.source_map.raw(attribute);
                self.add(
                    Diagnostic::warning(Code::ATTRIBUTE_TOO_LONG, span, message).with_help(help),
                );
            }
        }
    }
}
