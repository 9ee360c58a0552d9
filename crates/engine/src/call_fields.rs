//! Warnings about fields of `call` and `answer` that scripts read and that these do not have: they
//! are `()`, and a condition on them always goes the same way.

use reflexarc_diagnostic::{Code, Diagnostic, nearest};
use reflexarc_reaction::{Reaction, VariableField};

/// A variable of `answered`.
struct Variable {
    name: &'static str,
    fields: &'static [&'static str],
    /// What is written by mistake, and the field that is meant.
    aliases: &'static [(&'static str, &'static str)],
    /// The field with the names of an API, which begin with a capital letter: `InstanceId`.
    of_api: &'static str,
}

const CALL: Variable = Variable {
    name: "call",
    fields: &["target", "operation", "parameters"],
    aliases: &[
        ("action", "operation"),
        ("args", "parameters"),
        ("params", "parameters"),
    ],
    of_api: "parameters",
};

const ANSWER: Variable = Variable {
    name: "answer",
    fields: &["ok", "status", "code", "message", "body"],
    aliases: &[
        ("data", "body"),
        ("error", "code"),
        ("error_code", "code"),
        ("errorCode", "code"),
        ("okay", "ok"),
        ("response", "body"),
        ("result", "body"),
        ("status_code", "status"),
        ("statusCode", "status"),
        ("success", "ok"),
    ],
    of_api: "body",
};

/// The warnings about what a script reads of `call` and `answer`, located in it.
pub(crate) fn check(reaction: &Reaction) -> Vec<Diagnostic> {
    let call = reaction.call_fields().into_iter();
    let answer = reaction.answer_fields().into_iter();
    let call = call.filter_map(|field| CALL.check(&field));
    call.chain(answer.filter_map(|field| ANSWER.check(&field)))
        .collect()
}

impl Variable {
    fn check(&self, field: &VariableField) -> Option<Diagnostic> {
        let Self {
            name,
            fields,
            aliases,
            of_api,
        } = self;
        let written = field.path.split('.').next()?;
        let span = field.keys.first()?.clone();
        if fields.contains(&written) {
            return None;
        }
        let message = format!("`{name}` has no field `{written}`");
        let warning = Diagnostic::warning(Code::UNKNOWN_CALL_FIELD, span.clone(), message);
        // `answer.Instances` is what the API calls it, in the document of its response.
        let is_of_api = written.starts_with(|first: char| first.is_ascii_uppercase());
        let alias = aliases.iter().find(|(alias, _)| *alias == written);
        let meant = if is_of_api {
            Some(format!("{of_api}.{written}"))
        } else {
            let alias = alias.map(|(_, meant)| *meant);
            let meant = alias.or_else(|| nearest(written, fields.iter().copied()));
            meant.map(str::to_owned)
        };
        Some(match meant {
            Some(meant) => warning
                .with_help(format!("write `{name}.{meant}`"))
                .with_fix(span, meant),
            None => warning.with_help(format!("expected one of: {}", fields.join(", "))),
        })
    }
}
