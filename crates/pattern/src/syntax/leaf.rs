//! JSON notation: the array of alternatives at a path.

use reflexarc_diagnostic::{Code, Diagnostic, Span};

use super::TreeBuilder;
use super::json::{Member, Value, ValueKind};
use crate::dialect;
use crate::spanned::{SpannedAlternative, SpannedField, SpannedPredicate};
use crate::{Dialect, Path, Predicate, TextOp, normal};

impl TreeBuilder<'_> {
    /// The alternatives of the path at `key`.
    pub(super) fn leaf(
        &mut self,
        key: &str,
        key_span: &Span,
        span: Span,
        elements: Vec<Value>,
    ) -> Vec<SpannedAlternative> {
        if elements.is_empty() {
            self.error(
                Code::EMPTY_VALUE,
                span,
                format!("empty array at `{key}` never matches"),
            )
            .help = Some("to require a value, write `[{\"exists\": true}]`".into());
            return Vec::new();
        }
        if let Some(error) = self.connective_as_key(key, key_span, &span, &elements) {
            self.push(error);
            return Vec::new();
        }
        if let Some(right) = self.each_of_all(key_span, &elements) {
            let error = Diagnostic::error(
                Code::UNKNOWN_OPERATOR,
                elements[0].span.clone(),
                "an alternative cannot require several strings",
            );
            let member = key_span.start..span.end;
            self.push(
                error
                    .with_help(format!("write `{right}`"))
                    .with_fix(member, right),
            );
            return Vec::new();
        }
        if let Some(error) = self.object_elements(key, &elements) {
            self.push(error);
            return Vec::new();
        }
        let before = self.diagnostics.len();
        let alternatives: Vec<_> = elements
            .into_iter()
            .filter_map(|element| self.alternative(element))
            .collect();
        // Checked here and not in the finished tree, because a field that a later key overrides is
        // missing from the tree, but a service still rejects it.
        if self.dialect != Dialect::Reflexarc && self.diagnostics.len() == before {
            let field = SpannedField {
                path: Path::from_keys([key]),
                key: key_span.clone(),
                alternatives,
            };
            dialect::check_field(&field, self.dialect, &mut self.diagnostics);
            return field.alternatives;
        }
        alternatives
    }

    pub(super) fn alternative(&mut self, value: Value) -> Option<SpannedAlternative> {
        let span = value.span.clone();
        let predicates = match value.kind {
            ValueKind::Array(_) => {
                let message = "unexpected array among the alternatives";
                let written = &self.source[span.start + 1..span.end - 1];
                let help = format!("write its values without the inner brackets: `{written}`");
                self.error(Code::WRONG_ARGUMENT, span, message).help = Some(help);
                return None;
            }
            ValueKind::Object(members) => return self.operators(span, members),
            ValueKind::Invalid => return None,
            _ => {
                let predicate = literal(value)?;
                vec![SpannedPredicate {
                    span: span.clone(),
                    predicate,
                }]
            }
        };
        Some(SpannedAlternative { span, predicates })
    }

    /// An object of operators: conditions that one value must meet together.
    fn operators(&mut self, span: Span, members: Vec<Member>) -> Option<SpannedAlternative> {
        if members.is_empty() {
            self.error(Code::EMPTY_VALUE, span, "expected an operator, found `{}`")
                .help = Some("for example `{\"prefix\": \"x\"}`".into());
            return None;
        }
        // Checked here for the services, so that the error points at the second operator; in our
        // dialect one value must meet all of them.
        if let Some(range) = self.meant_range(&members) {
            let message = format!("unknown operator `{}`", members[0].key);
            self.push(
                Diagnostic::error(Code::UNKNOWN_OPERATOR, members[0].key_span.clone(), message)
                    .with_help(format!("write `{range}`"))
                    .with_fix(span, range),
            );
            return None;
        }
        let several = members.len() > 1;
        let object = (!several).then(|| span.clone());
        if several && self.dialect != Dialect::Reflexarc {
            self.reject_second_operator(&members);
        }
        let mut keys: Vec<&str> = Vec::new();
        let mut duplicates = Vec::new();
        for member in &members {
            if keys.contains(&member.key.as_str()) {
                duplicates.push(
                    Diagnostic::error(
                        Code::TOO_MANY_OPERATORS,
                        member.key_span.clone(),
                        format!("duplicate operator `{}`", member.key),
                    )
                    .with_help("to require both of one value, write `{\"$and\": [{…}, {…}]}`"),
                );
            }
            keys.push(&member.key);
        }
        let mut complete = duplicates.is_empty();
        self.diagnostics.extend(duplicates);
        let mut predicates = Vec::new();
        for member in members {
            match self.operator(member, object.as_ref()) {
                Some(more) => predicates.extend(more),
                None => complete = false,
            }
        }
        // `$and`, and in Alibaba Cloud's dialect `numeric`, can give a lower and an upper bound as
        // two predicates; the tree has them as one range.
        normal::join_ranges(&mut predicates);
        if complete {
            Some(SpannedAlternative { span, predicates })
        } else {
            None
        }
    }

    fn reject_second_operator(&mut self, members: &[Member]) {
        let message = format!(
            "{} allows only one operator per object",
            self.dialect.title()
        );
        self.error(
            Code::TOO_MANY_OPERATORS,
            members[1].key_span.clone(),
            message,
        )
        .help = Some("write one object for each alternative".into());
    }
}

/// The predicate for a plain string, number, true, false or null.
pub(super) fn literal(value: Value) -> Option<Predicate> {
    Some(match value.kind {
        ValueKind::String(text) => Predicate::Text(TextOp::Equals, text.into()),
        ValueKind::Number(number) => Predicate::Number(number),
        ValueKind::Bool(value) => Predicate::Bool(value),
        ValueKind::Null => Predicate::Null,
        ValueKind::Object(_) | ValueKind::Array(_) | ValueKind::Invalid => return None,
    })
}
