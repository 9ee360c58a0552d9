//! Checks of events for completed ENI operations.

use super::source_map::PathStep::Key;
use super::{Checker, at, shown};
use crate::json::Json;
use crate::{ENI_OPERATION_COMPLETED, EniStatus, Envelope, Operation, OperationResult};
use reflexarc_diagnostic::{Code, nearest};

impl Checker<'_> {
    pub(super) fn check_eni_operation(&mut self) {
        let is_eni =
            at(self.native, &[Key("name")]).and_then(Json::as_str) == Some(ENI_OPERATION_COMPLETED);
        if !is_eni
            || at(self.native, &[Key("content")])
                .is_none_or(|content| !matches!(content, Json::Object(_)))
        {
            return;
        }
        self.check_required();
        for key in ["eniId", "requestId"] {
            self.text(&[Key("content"), Key(key)]);
        }
        let operation = self.operation();
        let result = self.result();
        let status = self.status();
        if let (Some(operation), Some(result), Some(status)) = (operation, result, status) {
            let expected = operation.resulting_statuses(result);
            if !expected.contains(&status) {
                let message = format!(
                    "status {status} does not follow from {operation} with result {result}"
                );
                let expected: Vec<&str> = expected.iter().map(|status| status.as_str()).collect();
                let help = format!("the status is then {}", expected.join(" or "));
                self.add(self.warning(
                    Code::INCONSISTENT_STATUS,
                    &[Key("content"), Key("eniStatus")],
                    message,
                    &help,
                ));
            }
        }
    }

    fn check_required(&mut self) {
        for key in ["eniId", "operation", "eniStatus", "result", "requestId"] {
            let path = [Key("content"), Key(key)];
            if is_absent(at(self.native, &path)) {
                let message = format!("missing `{key}` in the content");
                self.add(self.warning(
                    Code::FIELD_MISSING,
                    &path,
                    message,
                    "every event for an ENI operation has it",
                ));
            }
        }
        // Other envelopes have other required members, and Cloud Monitor's test messages omit
        // these.
        let complete = matches!(self.event.envelope(), Envelope::Native);
        for key in [
            "id",
            "product",
            "resourceId",
            "level",
            "userId",
            "eventTime",
            "regionId",
        ] {
            if complete && is_absent(at(self.native, &[Key(key)])) {
                let message = format!("missing `{key}`");
                let help = match key {
                    "id" => "without an id, copies of the event cannot be recognised",
                    _ => "every native event has it",
                };
                self.add(self.hint(Code::FIELD_MISSING, &[Key(key)], message, help));
            }
        }
    }

    fn operation(&mut self) -> Option<Operation> {
        let path = [Key("content"), Key("operation")];
        let text = self.text(&path)?;
        let operation = text.parse::<Operation>().ok();
        match operation {
            None => {
                let names = Operation::ALL.map(Operation::as_str);
                self.unknown(Code::UNKNOWN_OPERATION, &path, &text, "operation", &names);
            }
            Some(operation) => self.check_spelling(&path, &text, operation.as_str()),
        }
        operation
    }

    fn result(&mut self) -> Option<OperationResult> {
        let path = [Key("content"), Key("result")];
        let text = self.text(&path)?;
        let result = text.parse::<OperationResult>().ok();
        match result {
            None => {
                let names = OperationResult::ALL.map(OperationResult::as_str);
                self.unknown(Code::UNKNOWN_RESULT, &path, &text, "result", &names);
            }
            Some(result) => self.check_spelling(&path, &text, result.as_str()),
        }
        result
    }

    fn status(&mut self) -> Option<EniStatus> {
        let path = [Key("content"), Key("eniStatus")];
        let text = self.text(&path)?;
        let status = text.parse::<EniStatus>().ok();
        match status {
            None => {
                let names = EniStatus::ALL.map(EniStatus::as_str);
                self.unknown(Code::UNKNOWN_STATUS, &path, &text, "status", &names);
            }
            Some(status) => self.check_spelling(&path, &text, status.as_str()),
        }
        status
    }

    fn unknown(
        &mut self,
        code: Code,
        path: &[super::PathStep<'_>],
        text: &str,
        what: &str,
        names: &[&'static str],
    ) {
        let similar = nearest(text, names.iter().copied());
        let help = similar.map_or_else(
            || format!("expected one of {}", names.join(", ")),
            |similar| format!("did you mean `{similar}`?"),
        );
        let warning = self.warning(
            code,
            path,
            format!("unknown {what} `{}`", shown(text)),
            &help,
        );
        self.add(match similar {
            Some(similar) => self.with_fix(warning, path, similar),
            None => warning,
        });
    }

    fn check_spelling(&mut self, path: &[super::PathStep<'_>], text: &str, documented: &str) {
        if text == documented {
            return;
        }
        let message = format!("`{}` is accepted as {documented}", shown(text));
        let help = format!("rules see `{documented}`; the archive keeps the event as it came");
        let hint = self.hint(Code::TOLERATED_SPELLING, path, message, &help);
        self.add(self.with_fix(hint, path, documented));
    }
}

fn is_absent(value: Option<&Json>) -> bool {
    value.is_none_or(|value| matches!(value, Json::Null))
}
