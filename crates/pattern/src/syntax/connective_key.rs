//! JSON notation: connectives of other languages as keys: `{"or": [{…}]}`, `{"$nor": [{…}]}`.

use reflexarc_diagnostic::{Code, Diagnostic, Span, nearest, similar};

use super::TreeBuilder;
use super::json::{Value, ValueKind};
use super::operator_key::is_operator;
use crate::Dialect;
use crate::keywords::JSON_OPERATORS;

/// What joins conditions, in whatever language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Joining {
    Or,
    And,
    Not,
    Nor,
}

impl TreeBuilder<'_> {
    /// An array below a key that is a connective without `$`, or a misspelt one: `{"or": [{…}]}`,
    /// `{"$nor": [{…}]}`.
    pub(super) fn connective_as_key(
        &self,
        key: &str,
        key_span: &Span,
        span: &Span,
        elements: &[Value],
    ) -> Option<Diagnostic> {
        let joining = Joining::read(key)?;
        // The elements are objects of paths, and not of operators.
        let is_condition = |element: &Value| match &element.kind {
            ValueKind::Object(members) => {
                !members.is_empty()
                    && members.iter().all(|member| {
                        let is_path = matches!(
                            member.value.kind,
                            ValueKind::Array(_) | ValueKind::Object(_)
                        );
                        // Among alternatives `$and` joins conditions on one value.
                        is_path
                            && !is_operator(&member.key)
                            && member.key != "$and"
                            && similar(&member.key, JSON_OPERATORS).is_none()
                    })
            }
            _ => false,
        };
        if elements.is_empty() || !elements.iter().all(is_condition) {
            return None;
        }
        let message = format!("unknown key `{key}`");
        let error = Diagnostic::error(Code::UNKNOWN_OPERATOR, key_span.clone(), message);
        if !joining.is_supported(self.dialect) {
            return Some(error.with_help("write one rule for each alternative"));
        }
        let member = key_span.start..span.end;
        let array = &self.source[span.clone()];
        let only = match elements {
            [only] => Some(self.source_of(only)),
            _ => None,
        };
        Some(match (joining, only) {
            (Joining::Or | Joining::And, _) => {
                let meant = if joining == Joining::Or {
                    "$or"
                } else {
                    "$and"
                };
                error
                    .with_help(format!("did you mean `{meant}`?"))
                    .with_fix(key_span.clone(), format!("\"{meant}\""))
            }
            (Joining::Not | Joining::Nor, Some(only)) => error
                .with_help("did you mean `$not`?")
                .with_fix(member, format!("\"$not\": {only}")),
            (Joining::Nor, None) => error
                .with_help("write `\"$not\": {\"$or\": […]}`")
                .with_fix(member, format!("\"$not\": {{\"$or\": {array}}}")),
            (Joining::Not, None) => {
                error.with_help("`$not` takes one object: `\"$not\": {\"$or\": […]}`")
            }
        })
    }

    /// An object below a connective without `$`: `{"not": {"a": ["x"]}}`.
    pub(super) fn object_of_connective(&self, key: &str, key_span: &Span) -> Option<Diagnostic> {
        let joining = Joining::read(key)?;
        // `any` and `all` may be fields that have fields.
        let plain = key.trim_start_matches('$').to_lowercase();
        if !matches!(plain.as_str(), "or" | "and" | "not" | "nor") {
            return None;
        }
        let message = format!("`{key}` is used as a key");
        let warning = Diagnostic::warning(Code::OPERATOR_AS_KEY, key_span.clone(), message)
            .with_label(key_span.clone(), "parsed as a path");
        if !joining.is_supported(self.dialect) {
            return Some(warning.with_help("the dialect has no such connective"));
        }
        Some(match joining {
            Joining::Not => warning
                .with_help("did you mean `$not`?")
                .with_fix(key_span.clone(), "\"$not\""),
            Joining::Or => warning.with_help("write `\"$or\": [{…}, {…}]` to join conditions"),
            Joining::And => warning.with_help("write `\"$and\": [{…}, {…}]` to join conditions"),
            Joining::Nor => warning.with_help("write `\"$not\": {\"$or\": [{…}, {…}]}`"),
        })
    }

    /// `{"a": {"or": [{"prefix": "x"}, "y"]}}`: the elements are the alternatives of `a`.
    pub(super) fn alternatives_below_or(&self, key: &str, value: &Value) -> Option<Vec<String>> {
        let ValueKind::Array(elements) = &value.kind else {
            return None;
        };
        if Joining::read(key) != Some(Joining::Or) || elements.is_empty() {
            return None;
        }
        let is_alternative = |element: &Value| match &element.kind {
            ValueKind::Object(members) => {
                !members.is_empty()
                    && members.iter().all(|member| {
                        JSON_OPERATORS.contains(&member.key.as_str())
                            && !matches!(member.value.kind, ValueKind::Invalid)
                    })
            }
            ValueKind::Array(_) | ValueKind::Invalid => false,
            _ => true,
        };
        let has_operator = elements
            .iter()
            .any(|element| matches!(element.kind, ValueKind::Object(_)));
        if !has_operator || !elements.iter().all(is_alternative) {
            return None;
        }
        let sources = elements.iter().map(|element| self.source_of(element));
        Some(sources.map(str::to_owned).collect())
    }
}

impl Joining {
    fn read(key: &str) -> Option<Self> {
        let plain = key.strip_prefix('$').unwrap_or(key);
        let lower = plain.to_lowercase().replace(['-', '_'], "");
        Some(match lower.as_str() {
            "or" | "any" | "anyof" | "should" => Self::Or,
            "and" | "all" | "allof" | "must" => Self::And,
            "not" | "mustnot" => Self::Not,
            "nor" | "none" | "noneof" => Self::Nor,
            // `$ro`, `$annd`; a key without `$` is more likely a field.
            _ if key.starts_with('$') => match nearest(&lower, ["or", "and", "not"])? {
                "or" => Self::Or,
                "and" => Self::And,
                _ => Self::Not,
            },
            _ => return None,
        })
    }

    fn is_supported(self, dialect: Dialect) -> bool {
        match dialect {
            Dialect::Reflexarc => true,
            Dialect::Aws => self == Self::Or,
            Dialect::Alibaba => false,
        }
    }
}
