//! `answer` of a `[[test]]` or one of its steps: the answer to a call that the rule made.

use reflexarc_diagnostic::toml::{DeValue, EmbeddedText, TableReader};
use reflexarc_diagnostic::{Code, Diagnostic, Span};
use reflexarc_event::Json;
use reflexarc_reaction::CallAnswer;

use crate::misplaced_keys::MisplacedKeys;
use crate::toml_json::{error_span, json};

/// The answer to the oldest call of an operation that has none.
#[derive(Debug, Clone)]
pub(crate) struct TestAnswer {
    pub(crate) target: String,
    pub(crate) operation: String,
    /// The location of the operation in the file, quotes included.
    pub(crate) operation_span: Span,
    pub(crate) answer: CallAnswer,
}

/// The status of an answer that is ok, where the test has none.
const OK: u16 = 200;

/// Reads `answer`: a table, or an array of them.
pub(crate) fn read(step: &TableReader<'_>, misplaced: &MisplacedKeys) -> Vec<TestAnswer> {
    let answers = step.table_or_tables("answer").into_iter();
    let answers = answers.filter_map(|table| {
        let answer = read_answer(&table);
        misplaced.allow(&table);
        table.finish();
        answer
    });
    answers.collect()
}

fn read_answer(table: &TableReader<'_>) -> Option<TestAnswer> {
    let target = table.required_string("target", "name the target that was called");
    let operation = table.required_string("operation", "name the operation that was called");
    let answer = read_outcome(table);
    Some(TestAnswer {
        target: target?,
        operation: operation?,
        operation_span: table.span_of("operation"),
        answer: answer?,
    })
}

fn read_outcome(table: &TableReader<'_>) -> Option<CallAnswer> {
    let ok = table.boolean("ok");
    let status = table.integer::<u16>("status", 100..=599);
    let code = table.string("code");
    let message = table.string("message");
    let body = read_body(table);
    let is_ok = match ok {
        Some(ok) => ok,
        // After a value of another type nothing about the answer is certain.
        None if table.has("ok") => return None,
        None => true,
    };
    if is_ok {
        for key in ["code", "message"] {
            if table.has(key) {
                table.fault(
                    key,
                    Code::RULE_CONFLICT,
                    format!("`{key}` in an answer that is ok"),
                    format!("add ok = false, or remove `{key}`"),
                );
            }
        }
        if let Some(status) = status.filter(|status| !(200..300).contains(status)) {
            table.fault(
                "status",
                Code::RULE_CONFLICT,
                format!("an answer with the status {status} is not ok"),
                "add ok = false and the code",
            );
        }
        return Some(CallAnswer::ok(status.unwrap_or(OK), body?));
    }
    // A script that tells errors apart would see one that no API has.
    if !table.has("code") && !table.has("status") {
        table.missing("code", "name the error: code = \"InvalidEniId.NotFound\"");
    }
    let (message, body) = (message.unwrap_or_default(), body?);
    let Some(status) = status else {
        let code = code.unwrap_or_default();
        return Some(CallAnswer::refused(0, code, message, body).without_status());
    };
    // As targets do where an API has no codes.
    let code = code.unwrap_or_else(|| status.to_string());
    Some(CallAnswer::refused(status, code, message, body))
}

/// The body: a JSON text, or a TOML value; null where there is none. `None` after a fault.
fn read_body(table: &TableReader<'_>) -> Option<Json> {
    let Some(value) = table.lookup("body") else {
        return Some(Json::Null);
    };
    let DeValue::String(_) = value.get_ref() else {
        return Some(json(value.get_ref()));
    };
    let text = table.embedded("body")?;
    match Json::parse(text.text()) {
        Ok(body) => Some(body),
        Err(error) => {
            table.report(invalid_body(&text, error.offset, &error.to_string()));
            None
        }
    }
}

fn invalid_body(text: &EmbeddedText, offset: usize, error: &str) -> Diagnostic {
    let message = format!("invalid body: {error}");
    let fault = Diagnostic::error(Code::RULE_VALUE, error_span(text, offset), message);
    fault.with_help("write JSON, for example body = '{\"TotalCount\": 0}' or body = '\"a text\"'")
}
