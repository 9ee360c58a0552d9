//! Files of many filters: NDJSON lines of `{"id": …, "pattern": …}`.

use std::path::Path;

use reflexarc_event::{Json, Limits};
use reflexarc_pattern::{Dialect, Node, Pattern};

use crate::exit::Failure;
use crate::input::{Records, Source};

/// Errors printed before the others are only counted.
const MAX_ERRORS: usize = 20;

/// Reads the filters and their ids.
///
/// Fails with the errors of all lines at once.
pub(crate) fn read(path: &Path, dialect: Dialect) -> Result<(Vec<String>, Vec<Node>), Failure> {
    let source = Source::open(path)?;
    let mut records = Records::new(source.reader, Limits::DEFAULT.bytes);
    let (mut names, mut nodes, mut errors) = (Vec::new(), Vec::new(), Vec::new());
    loop {
        let record = records
            .next()
            .map_err(|error| Failure::Input(format!("{}: {error}", path.display())))?;
        let Some(record) = record else { break };
        let text = record.text.map_err(|error| error.to_string());
        match text.and_then(|text| parse_line(&text, dialect)) {
            Ok((name, node)) => {
                names.push(name);
                nodes.push(node);
            }
            Err(reason) => errors.push(format!("{}:{}: {reason}", path.display(), record.line)),
        }
    }
    if errors.is_empty() {
        return Ok((names, nodes));
    }
    let more = errors.len().saturating_sub(MAX_ERRORS);
    errors.truncate(MAX_ERRORS);
    if more > 0 {
        errors.push(format!("and {more} more"));
    }
    Err(Failure::Invalid(errors.join("\n")))
}

fn parse_line(text: &[u8], dialect: Dialect) -> Result<(String, Node), String> {
    let json = Json::parse(text).map_err(|error| error.to_string())?;
    let id = match json.get("id") {
        Some(Json::String(id)) => id.clone(),
        Some(Json::Number(id)) => id.to_string(),
        _ => return Err("`id` must be a string or a number".to_owned()),
    };
    let pattern = match json.get("pattern") {
        Some(Json::String(text)) => text.clone(),
        Some(pattern @ Json::Object(_)) => pattern.to_string(),
        _ => return Err("`pattern` must be an object or a string".to_owned()),
    };
    match Pattern::parse(&pattern, dialect) {
        Ok(pattern) => Ok((id, pattern.node().clone())),
        Err(errors) => {
            let errors: Vec<_> = errors
                .diagnostics()
                .iter()
                .map(|error| {
                    let help = error.help.as_ref().map(|help| format!(" ({help})"));
                    format!(
                        "{}: {}{}",
                        error.code,
                        error.message,
                        help.unwrap_or_default()
                    )
                })
                .collect();
            Err(format!("filter `{id}`: {}", errors.join("; ")))
        }
    }
}
