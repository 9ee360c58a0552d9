//! JSON notation, step 2: from the members of an object to constraints on paths.

use std::collections::HashMap;

use reflexarc_diagnostic::{Code, Diagnostic, Span};

use super::TreeBuilder;
use super::json::{Member, Value, ValueKind};
use super::leaf::literal;
use super::operator_key;
use super::overrides::{Constraint, combinations};
use crate::dialect::{self, aws};
use crate::spanned::{SpannedAlternative, SpannedField, SpannedNode, SpannedPredicate};
use crate::{Dialect, Path, normal};

/// The keys of the enclosing objects, outermost first.
type Keys = Vec<String>;

/// Longest value that is repeated in a help text, in bytes.
const LONGEST_IN_HELP: usize = 60;

const EMPTY_OBJECT: &str = "empty object";

impl TreeBuilder<'_> {
    /// Builds the tree of a whole pattern.
    pub(super) fn pattern(&mut self, value: Value) -> Option<SpannedNode> {
        let span = value.span.clone();
        let ValueKind::Object(members) = value.kind else {
            return None;
        };
        if members.is_empty() {
            return self.empty_pattern(span);
        }
        if self.is_wrapped(&members, &span) {
            return None;
        }
        self.check_top_level_keys(&members);
        let constraints = self.constraints(members, &mut Keys::new());
        // Before the tree, because overridden constraints count for AWS, too.
        if self.dialect == Dialect::Aws {
            self.check_combinations(&span, &constraints);
        }
        let tree = self.tree(span, constraints)?;
        dialect::check_tree(&tree, self.dialect, &mut self.diagnostics);
        Some(tree)
    }

    fn empty_pattern(&mut self, span: Span) -> Option<SpannedNode> {
        if self.dialect == Dialect::Alibaba {
            return Some(SpannedNode::with_span(&normal::always(), &span));
        }
        self.push(
            Diagnostic::error(Code::EMPTY_VALUE, span, EMPTY_OBJECT).with_help(
                "add at least one path, `{\"name\": [\"x\"]}`; \
                     to match every event, write `{\"name\": [{\"exists\": true}]}`",
            ),
        );
        None
    }

    /// The constraints of an object at the path `keys`.
    fn constraints(&mut self, members: Vec<Member>, keys: &mut Keys) -> Vec<Constraint> {
        let mut constraints = Vec::new();
        for member in self.last_of_each_key(members) {
            match (self.dialect, member.key.as_str()) {
                (Dialect::Reflexarc | Dialect::Aws, "$or") => {
                    constraints.extend(self.or(member.value, keys));
                }
                (Dialect::Alibaba, "$or") => {
                    let message = format!("{} does not support `$or`", self.dialect.title());
                    self.error(Code::NOT_PORTABLE, member.key_span, message)
                        .help = Some("write one rule for each alternative".into());
                }
                (Dialect::Reflexarc, "$and") => constraints.extend(self.and(member.value, keys)),
                (Dialect::Reflexarc, "$not") => constraints.extend(self.not(member.value, keys)),
                _ => self.member_constraints(member, keys, &mut constraints),
            }
        }
        constraints
    }

    /// Adds the constraints of a member with an ordinary key: of its alternatives, or of the object
    /// below it.
    fn member_constraints(
        &mut self,
        member: Member,
        keys: &mut Keys,
        constraints: &mut Vec<Constraint>,
    ) {
        let Member {
            key,
            key_span,
            value,
        } = member;
        let span = key_span.start..value.span.end;
        keys.push(self.field_key(&key));
        match value.kind {
            ValueKind::Object(members) if members.is_empty() => {
                let help = format!(
                    "to require a value at `{key}`, write `\"{key}\": [{{\"exists\": true}}]`"
                );
                self.error(Code::EMPTY_VALUE, value.span, EMPTY_OBJECT).help = Some(help);
            }
            ValueKind::Object(members) => {
                if self.is_key_accepted(&key, &key_span, &value.span, &members) {
                    constraints.extend(self.constraints(members, keys));
                }
            }
            ValueKind::Array(alternatives) => {
                let alternatives = self.leaf(&key, &key_span, value.span, alternatives);
                let path = Path::from_keys(keys.iter());
                constraints.push(Constraint::Field(
                    SpannedField {
                        path,
                        key: key_span,
                        alternatives,
                    },
                    span,
                ));
            }
            ValueKind::Invalid => {}
            _ => {
                self.scalar_leaf(&key, &value);
                // As if it were in an array, so that warnings about the path come at once.
                let element = value.span.clone();
                let alternatives = literal(value).map(|predicate| SpannedAlternative {
                    span: element.clone(),
                    predicates: vec![SpannedPredicate {
                        span: element,
                        predicate,
                    }],
                });
                let field = SpannedField {
                    path: Path::from_keys(keys.iter()),
                    key: key_span,
                    alternatives: alternatives.into_iter().collect(),
                };
                constraints.push(Constraint::Field(field, span));
            }
        }
        keys.pop();
    }

    fn scalar_leaf(&mut self, key: &str, value: &Value) {
        let written = &self.source[value.span.clone()];
        let diagnostic = Diagnostic::error(
            Code::SCALAR_LEAF,
            value.span.clone(),
            format!(
                "expected an array of alternatives at `{key}`, found {}",
                value.type_name()
            ),
        );
        // An operator belongs into the array of a path, and is no path itself.
        self.push(if operator_key::is_operator(key) {
            diagnostic.with_help(
                "put an operator into the array of a path: `{\"path\": [{\"prefix\": \"x\"}]}`",
            )
        } else {
            diagnostic
                .with_help(if written.len() <= LONGEST_IN_HELP {
                    format!("wrap it in `[ ]`: `[{written}]`")
                } else {
                    "wrap it in `[ ]`".to_owned()
                })
                .with_fix(value.span.clone(), format!("[{written}]"))
        });
    }

    /// The key as part of a path. In the reflexarc dialect `$$or` is a field named `$or`.
    fn field_key(&self, key: &str) -> String {
        if self.dialect == Dialect::Reflexarc && crate::tree::is_escaped_key(key) {
            key[1..].to_owned()
        } else {
            key.to_owned()
        }
    }

    /// Alibaba Cloud: of members with the same key only the last one, with a warning for the
    /// others. Other dialects: all members; duplicates are resolved by path, in `overrides`.
    fn last_of_each_key(&mut self, members: Vec<Member>) -> Vec<Member> {
        if self.dialect != Dialect::Alibaba {
            return members;
        }
        // `{"data": {"a": ["x"]}, "data": {"b": ["y"]}}` constrains only `data.b` there: the
        // last of equal keys is kept, as many JSON parsers do.
        let mut last: HashMap<String, Span> = HashMap::new();
        for member in &members {
            if let Some(earlier) = last.insert(member.key.clone(), member.key_span.clone()) {
                self.warn_overridden(&member.key, earlier, member.key_span.clone());
            }
        }
        members
            .into_iter()
            .filter(|member| last.get(&member.key) == Some(&member.key_span))
            .collect()
    }

    fn or(&mut self, value: Value, keys: &mut Keys) -> Option<Constraint> {
        let span = value.span.clone();
        // `"a": {"$or": ["x", "y"]}`: the array of a path is its alternatives already.
        if let (ValueKind::Array(elements), Some(key)) = (&value.kind, keys.last())
            && elements
                .iter()
                .all(|element| !matches!(element.kind, ValueKind::Object(_) | ValueKind::Invalid))
            && !elements.is_empty()
        {
            let help = format!("write `\"{key}\": {}`", self.source_of(&value));
            let message = "`$or` expects an array of objects, found values";
            self.error(Code::INVALID_CONNECTIVE, span, message).help = Some(help);
            return None;
        }
        let branches = self.branches("$or", value)?;
        if branches.len() == 1 && self.dialect == Dialect::Aws {
            self.error(
                Code::INVALID_CONNECTIVE,
                span.clone(),
                "expected at least two objects in `$or`",
            )
            .help = Some("with one alternative, write its keys directly".into());
        }
        // `keys` are those around the `$or`: `{"a": {"$or": [{"b": [1]}, {"c": [2]}]}}` constrains
        // `a.b` and `a.c`.
        let mut alternatives = Vec::new();
        for (_, members) in branches {
            self.check_operator_keys(&members);
            alternatives.push(self.constraints(members, keys));
        }
        Some(Constraint::Or(span, alternatives))
    }

    fn and(&mut self, value: Value, keys: &mut Keys) -> Option<Constraint> {
        let span = value.span.clone();
        let mut parts = Vec::new();
        for (span, members) in self.branches("$and", value)? {
            let constraints = self.constraints(members, keys);
            parts.extend(self.tree(span, constraints));
        }
        Some(Constraint::Independent(SpannedNode::all(span, parts)))
    }

    fn not(&mut self, value: Value, keys: &mut Keys) -> Option<Constraint> {
        let span = value.span.clone();
        match value.kind {
            ValueKind::Object(members) if !members.is_empty() => {
                let constraints = self.constraints(members, keys);
                let inner = self.tree(span.clone(), constraints)?;
                Some(Constraint::Independent(SpannedNode::not(span, inner)))
            }
            ValueKind::Invalid => None,
            _ => {
                let message = format!(
                    "`$not` expects an object with at least one key, found {}",
                    value.type_name()
                );
                let error = Diagnostic::error(Code::INVALID_CONNECTIVE, span.clone(), message)
                    .with_help("for example `\"$not\": {\"name\": [\"x\"]}`");
                // Of several objects, either all or any may be meant.
                let only = match &value.kind {
                    ValueKind::Array(elements) => match elements.as_slice() {
                        [only] if matches!(only.kind, ValueKind::Object(_)) => Some(only),
                        _ => None,
                    },
                    _ => None,
                };
                let fix = only.map(|only| self.source_of(only).to_owned());
                self.push(match fix {
                    Some(fix) => error.with_fix(span, fix),
                    None => error,
                });
                None
            }
        }
    }

    /// The objects of a `$or` or `$and`.
    fn branches(&mut self, name: &str, value: Value) -> Option<Vec<(Span, Vec<Member>)>> {
        let help = format!("for example `\"{name}\": [{{\"a\": [1]}}, {{\"b\": [2]}}]`");
        let kind = value.type_name();
        let elements = match value.kind {
            ValueKind::Array(elements) if !elements.is_empty() => elements,
            ValueKind::Invalid => return None,
            ValueKind::Array(_) => {
                self.error(
                    Code::INVALID_CONNECTIVE,
                    value.span,
                    format!("empty `{name}`"),
                )
                .help = Some(help);
                return None;
            }
            other => {
                let help = match &other {
                    ValueKind::Object(members) if !members.is_empty() => {
                        format!("write `\"{name}\": {}`", self.each_in_an_object(members))
                    }
                    _ => help,
                };
                self.error(
                    Code::INVALID_CONNECTIVE,
                    value.span,
                    format!("`{name}` expects an array of objects, found {kind}"),
                )
                .help = Some(help);
                return None;
            }
        };
        let mut branches = Vec::new();
        for element in elements {
            let kind = element.type_name();
            match element.kind {
                ValueKind::Object(members) if members.is_empty() => {
                    self.error(Code::EMPTY_VALUE, element.span, EMPTY_OBJECT)
                        .help = Some(format!("remove it from `{name}`, or add a path to it"));
                }
                ValueKind::Object(members) => branches.push((element.span, members)),
                ValueKind::Invalid => {}
                _ => {
                    let message = format!("`{name}` expects objects, found {kind}");
                    self.error(Code::INVALID_CONNECTIVE, element.span, message)
                        .help = Some(help.clone());
                }
            }
        }
        Some(branches)
    }

    /// Reports operators that are used as keys inside `$or`, at any depth: an error for AWS, which
    /// reserves them, otherwise a warning, because `"$or": [{"prefix": ["x"]}]` is more likely a
    /// misplaced operator than a field named `prefix`.
    fn check_operator_keys(&mut self, members: &[Member]) {
        for member in members {
            if aws::is_reserved_in_or(&member.key) {
                let help =
                    "put an operator into the array of a path: `{\"path\": [{\"prefix\": \"x\"}]}`";
                let code = Code::RESERVED_IN_OR;
                let diagnostic = if self.dialect == Dialect::Aws {
                    let message = aws::reserved_in_or(&member.key);
                    Diagnostic::error(code, member.key_span.clone(), message)
                } else {
                    let message = format!("operator `{}` is used as a key", member.key);
                    Diagnostic::warning(code, member.key_span.clone(), message)
                        .with_label(member.key_span.clone(), "parsed as a path")
                };
                self.push(diagnostic.with_help(help));
            }
            if let ValueKind::Object(members) = &member.value.kind {
                self.check_operator_keys(members);
            }
        }
    }

    fn check_combinations(&mut self, span: &Span, constraints: &[Constraint]) {
        if combinations(constraints) > aws::COMBINATIONS {
            let message = format!(
                "`$or` expands to more than {} combinations",
                aws::COMBINATIONS
            );
            self.error(Code::TOO_MANY_COMBINATIONS, span.clone(), message)
                .help = Some("split the pattern into several rules".into());
        }
    }
}
