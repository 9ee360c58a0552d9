//! What goes for the completion of an ENI operation.

use super::places::Step::Key;
use super::{Checked, alike, at, shown};
use crate::json::Json;
use crate::{ENI_OPERATION_COMPLETED, EniStatus, Envelope, Operation, OperationResult};
use reflexarc_diagnostic::Code;

impl Checked<'_> {
    pub(super) fn eni(&mut self) {
        let is_eni =
            at(self.native, &[Key("name")]).and_then(Json::as_str) == Some(ENI_OPERATION_COMPLETED);
        if !is_eni
            || at(self.native, &[Key("content")])
                .is_none_or(|content| !matches!(content, Json::Object(_)))
        {
            return;
        }
        self.missing();
        for key in ["eniId", "requestId"] {
            self.text(&[Key("content"), Key(key)]);
        }
        let operation = self.operation();
        let result = self.result();
        let status = self.status();
        if let (Some(operation), Some(result), Some(status)) = (operation, result, status) {
            let usual = operation.leaves(result);
            if !usual.contains(&status) {
                let message =
                    format!("{operation} with the result {result} does not leave an ENI {status}");
                let usual: Vec<&str> = usual.iter().map(|status| status.as_str()).collect();
                let help = format!("it leaves it {}", usual.join(" or "));
                self.add(self.warning(
                    Code::INCONSISTENT_STATUS,
                    &[Key("content"), Key("eniStatus")],
                    message,
                    &help,
                ));
            }
        }
    }

    fn missing(&mut self) {
        for key in ["eniId", "operation", "eniStatus", "result", "requestId"] {
            let path = [Key("content"), Key(key)];
            if is_absent(at(self.native, &path)) {
                let message = format!("the content has no `{key}`");
                self.add(self.warning(
                    Code::FIELD_MISSING,
                    &path,
                    message,
                    "every ENI operation event has it",
                ));
            }
        }
        // CloudEvents have their own way to be incomplete, and Cloud Monitor's test messages lack these on purpose.
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
                let message = format!("the event has no `{key}`");
                let help = match key {
                    "id" => "without an id a repetition cannot be told from a new event",
                    _ => "every native event has it",
                };
                self.add(self.hint(Code::FIELD_MISSING, &[Key(key)], message, help));
            }
        }
    }

    fn operation(&mut self) -> Option<Operation> {
        let path = [Key("content"), Key("operation")];
        let text = self.text(&path)?;
        let operation = Operation::parse(&text);
        if operation.is_none() {
            let names = Operation::ALL.map(Operation::as_str);
            self.unknown(
                Code::UNKNOWN_OPERATION,
                &path,
                &text,
                "operation on an ENI",
                &names,
            );
        }
        operation
    }

    fn result(&mut self) -> Option<OperationResult> {
        let path = [Key("content"), Key("result")];
        let text = self.text(&path)?;
        let result = OperationResult::parse(&text);
        match result {
            None => {
                let names = OperationResult::ALL.map(OperationResult::as_str);
                self.unknown(Code::UNKNOWN_RESULT, &path, &text, "result", &names);
            }
            Some(result) => self.respelt(
                &path,
                &text,
                result.as_str(),
                "ENI events say success or failed",
            ),
        }
        result
    }

    fn status(&mut self) -> Option<EniStatus> {
        let path = [Key("content"), Key("eniStatus")];
        let text = self.text(&path)?;
        let status = EniStatus::parse(&text);
        match status {
            None => {
                let names = EniStatus::ALL.map(EniStatus::as_str);
                self.unknown(
                    Code::UNKNOWN_STATUS,
                    &path,
                    &text,
                    "state of an ENI",
                    &names,
                );
            }
            Some(status) => {
                let help = "that text describes the state, rules look for the code word";
                self.respelt(&path, &text, status.as_str(), help);
            }
        }
        status
    }

    fn unknown(
        &mut self,
        code: Code,
        path: &[super::Step<'_>],
        text: &str,
        what: &str,
        names: &[&'static str],
    ) {
        let like = alike(text, names.iter().copied());
        let help = like.map_or_else(
            || format!("known are {}", names.join(", ")),
            |like| format!("did you mean `{like}`?"),
        );
        let warning = self.warning(
            code,
            path,
            format!("`{}` is no known {what}", shown(text)),
            &help,
        );
        self.add(match like {
            Some(like) => self.mended(warning, path, like),
            None => warning,
        });
    }

    fn respelt(&mut self, path: &[super::Step<'_>], text: &str, code_word: &str, help: &str) {
        if text == code_word {
            return;
        }
        let message = format!("`{}` is read as {code_word}", shown(text));
        let hint = self.hint(Code::TOLERATED_SPELLING, path, message, help);
        self.add(self.mended(hint, path, code_word));
    }
}

fn is_absent(value: Option<&Json>) -> bool {
    value.is_none_or(|value| matches!(value, Json::Null))
}
