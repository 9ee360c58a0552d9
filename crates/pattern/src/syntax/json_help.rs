//! JSON notation: what to write instead, with the author's own keys and values.

use reflexarc_diagnostic::{Code, Diagnostic, Span, nearest};

use super::foreign::{self, ForeignOperator, Meaning, but};
use super::json::{Member, Value, ValueKind};
use super::{TreeBuilder, cidr, operator_key};
use crate::keywords::JSON_OPERATORS;
use crate::{Decimal, Dialect};

impl TreeBuilder<'_> {
    /// The error for alternatives that are objects of the event and not of operators:
    /// `"a": [{"b": ["x"]}]`.
    pub(super) fn object_elements(&self, key: &str, elements: &[Value]) -> Option<Diagnostic> {
        let is_field = |member: &Member, object: Option<&Span>| {
            !member.key.starts_with('$')
                && !JSON_OPERATORS.contains(&member.key.as_str())
                && nearest(&member.key, JSON_OPERATORS).is_none()
                && !operator_key::is_operator(&member.key)
                && self.meant_operator(member, object).is_none()
                && self.meant_alternative(member).is_none()
                && !foreign::is_order(member)
        };
        let mut first = None;
        for element in elements {
            let ValueKind::Object(members) = &element.kind else {
                return None;
            };
            let object = (members.len() == 1).then_some(&element.span);
            if members.is_empty() || !members.iter().all(|member| is_field(member, object)) {
                return None;
            }
            first = first.or(Some(members));
        }
        let members = first.filter(|_| self.dialect != Dialect::Alibaba)?;
        let below = self.below(members)?;
        let member = &members[0];
        let message = format!("unknown operator `{}`", member.key);
        let error = Diagnostic::error(Code::UNKNOWN_OPERATOR, member.key_span.clone(), message);
        Some(error.with_help(format!(
            "fields of the objects in an array are written below its path: `\"{key}\": {below}`"
        )))
    }

    /// An object of the event as a pattern: scalars are put into arrays.
    fn below(&self, members: &[Member]) -> Option<String> {
        let mut parts = Vec::new();
        for member in members {
            let key = &self.source[member.key_span.clone()];
            let source = self.source_of(&member.value);
            let value = match &member.value.kind {
                ValueKind::Object(inner) => self.below(inner)?,
                ValueKind::Array(_) => source.to_owned(),
                ValueKind::Invalid => return None,
                _ => format!("[{source}]"),
            };
            parts.push(format!("{key}: {value}"));
        }
        Some(format!("{{{}}}", parts.join(", ")))
    }

    /// The alternatives that an unknown operator with this argument means, for help: unlike those
    /// of a fix they need not be the only reading.
    pub(super) fn meant_alternative(&self, member: &Member) -> Option<String> {
        let name = member.key.trim_start_matches('$').to_lowercase();
        let name = name.replace(['-', '_'], "");
        match (name.as_str(), &member.value.kind) {
            ("ip" | "ipaddress" | "address", ValueKind::String(text))
                if cidr::parse(text, self.dialect).is_ok() =>
            {
                return Some(format!("{{\"cidr\": {}}}", foreign::json(text)));
            }
            ("or" | "any" | "anyof" | "oneof", ValueKind::Array(elements)) => {
                let sources = elements.iter().map(|element| self.source_of(element));
                return Some(sources.collect::<Vec<_>>().join(", "));
            }
            _ => {}
        }
        let operator = ForeignOperator::read(&member.key)?;
        let negate = |test: String, negated: bool| if negated { but(&test) } else { test };
        let (name, argument) = match (operator.meaning, &member.value.kind) {
            (Meaning::Wildcard, ValueKind::String(text)) => {
                ("wildcard", text.replace('%', "*").replace("**", "*"))
            }
            (Meaning::Regexp, ValueKind::String(text)) => ("regexp", foreign::whole_regexp(text)),
            (Meaning::Between | Meaning::Range, ValueKind::Array(ends)) => {
                let (test, _) = self.range_of(ends)?;
                return Some(negate(test, operator.negated));
            }
            (Meaning::Empty, ValueKind::Bool(is_empty)) => {
                return Some(negate("\"\"".to_owned(), *is_empty == operator.negated));
            }
            _ => return None,
        };
        let mut argument = foreign::json(&argument);
        if operator.ignoring_case {
            argument = format!("{{\"equals-ignore-case\": {argument}}}");
        }
        let test = format!("{{\"{name}\": {argument}}}");
        Some(negate(test, operator.negated))
    }

    /// Puts the right spelling into the only error about the argument of `numeric`.
    pub(super) fn help_with_numeric(&mut self, value: &Value, before: usize) {
        let meant = self.meant_comparisons(value);
        let [error] = &mut self.diagnostics[before..] else {
            return;
        };
        // A reversed range has help of its own.
        let is_spelling = matches!(error.code, Code::WRONG_ARGUMENT | Code::UNKNOWN_OPERATOR);
        let Some((meant, is_exact)) = meant.filter(|_| is_spelling && error.fix.is_none()) else {
            return;
        };
        error.help = Some(format!("write `\"numeric\": {meant}`"));
        if is_exact {
            *error = error.clone().with_fix(value.span.clone(), meant);
        }
    }

    /// The comparisons that an invalid argument of `numeric` means, and whether that is evident.
    fn meant_comparisons(&self, value: &Value) -> Option<(String, bool)> {
        let list = |parts: Vec<String>| format!("[{}]", parts.join(", "));
        let items = match &value.kind {
            ValueKind::Number(_) => {
                return Some((
                    list(vec!["\"=\"".into(), self.source_of(value).into()]),
                    true,
                ));
            }
            ValueKind::String(text) => return Some((list(comparison_in(text)?), true)),
            ValueKind::Array(items) => items,
            ValueKind::Object(members) => {
                let mut parts = Vec::new();
                for member in members {
                    parts.push(format!("\"{}\"", symbol_of(&member.key)?));
                    parts.push(self.number_of(&member.value)?);
                }
                return (parts.len() == 2).then(|| (list(parts), true));
            }
            _ => return None,
        };
        match items.as_slice() {
            [
                Value {
                    kind: ValueKind::String(text),
                    ..
                },
            ] => {
                return Some((list(comparison_in(text)?), true));
            }
            [number] => return Some((list(vec!["\"=\"".into(), self.number_of(number)?]), true)),
            _ => {}
        }
        let is_word = |item: &&Value| {
            matches!(&item.kind, ValueKind::String(text)
                if ["and", "between", "&&"].contains(&text.to_lowercase().as_str()))
        };
        let rest: Vec<&Value> = items.iter().filter(|item| !is_word(item)).collect();
        if let [low, high] = rest.as_slice()
            && let (Some(low), Some(high)) = (self.number_of(low), self.number_of(high))
        {
            return Some((format!("[\">=\", {low}, \"<=\", {high}]"), false));
        }
        // `[">", "25"]`: numbers in quotes, in pairs.
        let mut parts = Vec::new();
        for pair in rest.chunks(2) {
            let [symbol, number] = pair else { return None };
            let ValueKind::String(text) = &symbol.kind else {
                return None;
            };
            parts.push(format!("\"{}\"", symbol_of(text)?));
            parts.push(self.number_of(number)?);
        }
        (parts.len() <= 4).then(|| (list(parts), true))
    }

    /// The JSON text of a number, also of one in quotes.
    pub(super) fn number_of(&self, value: &Value) -> Option<String> {
        match &value.kind {
            ValueKind::Number(_) => Some(self.source_of(value).to_owned()),
            ValueKind::String(text) => {
                let text = text.trim();
                text.parse::<Decimal>().ok().map(|_| text.to_owned())
            }
            _ => None,
        }
    }

    /// The members of an object as an array of objects, for `$or` and `$and`.
    pub(super) fn each_in_an_object(&self, members: &[Member]) -> String {
        let parts = members.iter().map(|member| {
            let span = member.key_span.start..member.value.span.end;
            format!("{{{}}}", &self.source[span])
        });
        format!("[{}]", parts.collect::<Vec<_>>().join(", "))
    }
}

/// The parts of one comparison in a text: `>5`.
fn comparison_in(text: &str) -> Option<Vec<String>> {
    let text = text.trim();
    let length = text.find(|c| !"<>=".contains(c))?;
    let symbol = if length == 0 {
        "="
    } else {
        symbol_of(&text[..length])?
    };
    let number = text[length..].trim();
    number.parse::<Decimal>().ok()?;
    Some(vec![format!("\"{symbol}\""), number.to_owned()])
}

fn symbol_of(text: &str) -> Option<&'static str> {
    Some(match text.trim_start_matches('$').to_lowercase().as_str() {
        "=" | "==" | "===" | "eq" => "=",
        "<" | "lt" => "<",
        "<=" | "=<" | "lte" | "le" => "<=",
        ">" | "gt" => ">",
        ">=" | "=>" | "gte" | "ge" => ">=",
        _ => return None,
    })
}

/// Adds help to an error of the grammar: `head` is the text before the token at which it stopped.
pub(super) fn with_structure_help(
    error: Diagnostic,
    text: &str,
    head: &str,
    token: &str,
) -> Diagnostic {
    let span = error.span.clone();
    let end = head.len()..head.len();
    let last_word = head
        .rsplit(|c: char| c.is_whitespace() || "[:,{".contains(c))
        .next();
    let operator = last_word.filter(|word| !word.is_empty() && word.chars().all(is_symbol));
    if text[span.start..].starts_with("/*") {
        return error.with_help("comments start with `#` or `//`");
    }
    if error.message.starts_with("expected end of input") {
        return after_pattern(error, head, token);
    }
    // `{{ a.b }} == "x"`: a path of a template.
    if head == "{" && token == "{" {
        let inner = text
            .trim()
            .strip_prefix("{{")
            .and_then(|text| text.strip_suffix("}}"));
        if let Some(inner) = inner
            .map(str::trim)
            .filter(|inner| !inner.contains(['{', '}']))
            && foreign::whole(inner).is_some()
        {
            let span = 0..text.len();
            let message = "a filter is written without `{{ }}`";
            let found = Diagnostic::error(error.code, span.clone(), message);
            return found
                .with_help(format!("write `{inner}`"))
                .with_fix(span, inner);
        }
        let plain = text.replace("{{", "").replace("}}", "");
        if let Some(right) = foreign::whole(&plain) {
            return error.with_help(format!("a path is written without braces: `{right}`"));
        }
    }
    // `{ $.a = "x" }`, `{a == "x"}`: an expression in braces.
    let is_expression = token == "(" || token.starts_with(is_symbol) || head.ends_with('=');
    let has_json_key = text
        .trim_start_matches(['{', ' ', '\n', '\t'])
        .starts_with('"');
    if is_expression
        && !has_json_key
        && let Some(inner) = text
            .trim()
            .strip_prefix('{')
            .and_then(|text| text.strip_suffix('}'))
        && let Some(right) = foreign::whole(inner)
    {
        return error.with_help(format!(
            "an expression is written without braces: `{right}`"
        ));
    }
    if let Some(operator) = operator {
        let help = match operator {
            "!=" | "<>" => format!("write `[{{\"anything-but\": {token}}}]`"),
            _ => match symbol_of(operator) {
                Some(symbol) => format!("write `[{{\"numeric\": [\"{symbol}\", {token}]}}]`"),
                None => "put operators into an object, such as `{\"prefix\": \"x\"}`".to_owned(),
            },
        };
        return error.with_help(help);
    }
    let is_value =
        token.starts_with(|c: char| c == '"' || c == '{' || c == '[' || c.is_alphanumeric());
    let after_value = head.ends_with(|c: char| "\"]}'".contains(c) || c.is_alphanumeric());
    match token {
        // `{"a": "x" or "y"}` needs an array for its values.
        "or" | "and" | "OR" | "AND" | "|" | "||" if is_in_object(head) => {
            error.with_help("write alternatives in an array: `[\"x\", \"y\"]`")
        }
        "or" | "and" | "OR" | "AND" | "|" | "||" => error
            .with_help("separate values with `,`")
            .with_fix(span, ","),
        "," if head.ends_with(',') => error.with_help("remove the second `,`").with_fix(span, ""),
        ";" => error
            .with_help("separate members with `,`")
            .with_fix(span, ","),
        "(" => error.with_help("write a list of values in `[ ]`"),
        "/" => error.with_help(
            "write a regular expression as `{\"regexp\": \"…\"}`; it must match the whole text",
        ),
        _ if error.message.contains("expected `:`") => match token {
            _ if token.starts_with(['=', ':']) => {
                error.with_help("write `:` after a key").with_fix(span, ":")
            }
            "[" | "{" => error.with_help("write `:` after a key").with_fix(end, ":"),
            _ => error.with_help(format!(
                "write an array of alternatives after each key: `{}: [\"x\"]`",
                last_word.unwrap_or("\"name\"")
            )),
        },
        _ if is_value && after_value => error
            .with_help("separate members and values with `,`")
            .with_fix(end, ","),
        _ => error.with_help(
            "a pattern is an object with an array of alternatives for each path: \
             `{\"name\": [\"x\"]}`",
        ),
    }
}

/// Whether the innermost open bracket of a text is a brace.
fn is_in_object(head: &str) -> bool {
    let (mut open, mut in_string, mut escaped) = (Vec::new(), false, false);
    for c in head.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = in_string,
            '"' => in_string ^= true,
            _ if in_string => {}
            '{' | '[' => open.push(c),
            '}' | ']' => {
                open.pop();
            }
            _ => {}
        }
    }
    open.last() == Some(&'{')
}

/// An error about what comes after the object.
fn after_pattern(error: Diagnostic, head: &str, token: &str) -> Diagnostic {
    /// A longer pattern is not repeated.
    const LONGEST: usize = 80;
    let pattern = if head.len() <= LONGEST {
        head.trim()
    } else {
        "{…}"
    };
    let span = error.span.clone();
    match token.to_lowercase().as_str() {
        "," | ";" => error.with_help("remove it").with_fix(span, ""),
        "or" | "||" => error.with_help(format!(
            "join patterns in one object: `{{\"$or\": [{pattern}, {{…}}]}}`"
        )),
        "and" | "&&" | "{" => error.with_help(format!(
            "put all keys into one object, or join patterns: `{{\"$and\": [{pattern}, {{…}}]}}`"
        )),
        _ => error.with_help("remove what comes after the object"),
    }
}

fn is_symbol(c: char) -> bool {
    matches!(c, '=' | '<' | '>' | '!' | '~')
}
