//! The JSON notation, second half: from the members of an object to what each asks for.

use std::collections::HashMap;

use reflexarc_diagnostic::{Code, Diagnostic, Span};

use super::TreeBuilder;
use super::json::{Member, Value, ValueKind};
use super::overrides::{Item, combinations};
use crate::dialect::{self, aws};
use crate::spanned::{SpannedField, SpannedNode};
use crate::{Dialect, Path, normal};
use reflexarc_diagnostic::nearest;

/// The keys of the objects around a value.
type Keys = Vec<String>;

impl TreeBuilder<'_> {
    /// Reads the whole pattern.
    pub(super) fn pattern(&mut self, value: Value) -> Option<SpannedNode> {
        let span = value.span.clone();
        let ValueKind::Object(members) = value.kind else {
            return None;
        };
        if members.is_empty() {
            return self.empty_pattern(span);
        }
        let items = self.items(members, &mut Keys::new());
        if self.dialect == Dialect::Aws {
            self.count_combinations(&span, &items);
        }
        let tree = self.tree(span, items)?;
        dialect::check_tree(&tree, self.dialect, &mut self.diagnostics);
        Some(tree)
    }

    fn empty_pattern(&mut self, span: Span) -> Option<SpannedNode> {
        if self.dialect == Dialect::Alibaba {
            return Some(SpannedNode::with_span(&normal::always(), &span));
        }
        self.push(
            Diagnostic::error(Code::EMPTY, span, "an object with no keys asks for nothing")
                .with_help("name at least one path and what it must hold: `{\"name\": [\"x\"]}`"),
        );
        None
    }

    fn items(&mut self, members: Vec<Member>, keys: &mut Keys) -> Vec<Item> {
        let mut items = Vec::new();
        for member in self.kept(members) {
            match (self.dialect, member.key.as_str()) {
                (Dialect::Reflexarc | Dialect::Aws, "$or") => {
                    items.extend(self.or(member.value, keys))
                }
                (Dialect::Alibaba, "$or") => {
                    let message = format!("{} has no `$or`", self.dialect.title());
                    self.error(Code::NOT_PORTABLE, member.key_span, message)
                        .help = Some("write one rule for each alternative".into());
                }
                (Dialect::Reflexarc, "$and") => items.extend(self.and(member.value, keys)),
                (Dialect::Reflexarc, "$not") => items.extend(self.not(member.value, keys)),
                _ => self.member_items(member, keys, &mut items),
            }
        }
        items
    }

    /// What a member that is no `$or` asks for: a leaf or an object.
    fn member_items(&mut self, member: Member, keys: &mut Keys, items: &mut Vec<Item>) {
        let Member {
            key,
            key_span,
            value,
        } = member;
        let whole = key_span.start..value.span.end;
        keys.push(self.field_key(&key));
        match value.kind {
            ValueKind::Object(members) if members.is_empty() => {
                self.push(
                    Diagnostic::error(
                        Code::EMPTY,
                        value.span,
                        "an object with no keys asks for nothing",
                    )
                    .with_help(format!(
                        "to ask that `{key}` is there, write `\"{key}\": [{{\"exists\": true}}]`"
                    )),
                );
            }
            ValueKind::Object(members) => items.extend(self.items(members, keys)),
            ValueKind::Array(alternatives) => {
                let alternatives = self.leaf(&key, &key_span, value.span, alternatives);
                let path = Path::from_keys(keys.iter());
                items.push(Item::Field(
                    SpannedField {
                        path,
                        key: key_span,
                        alternatives,
                    },
                    whole,
                ));
            }
            ValueKind::Broken => {}
            _ => self.scalar_leaf(&key, &value),
        }
        keys.pop();
    }

    fn scalar_leaf(&mut self, key: &str, value: &Value) {
        let written = &self.source[value.span.clone()];
        let diagnostic = Diagnostic::error(
            Code::SCALAR_LEAF,
            value.span.clone(),
            format!("`{key}` needs a list of alternatives"),
        )
        .with_help(format!("wrap {} in `[ ]`", value.name()))
        .with_fix(value.span.clone(), format!("[{written}]"));
        self.push(diagnostic);
    }

    /// The key as part of a path. In our own dialect `$$or` is how a field called `$or` is written, and so on.
    fn field_key(&self, key: &str) -> String {
        if self.dialect == Dialect::Reflexarc && crate::tree::is_escaped_key(key) {
            key[1..].to_owned()
        } else {
            key.to_owned()
        }
    }

    /// The members that count, of those with the same key: in Alibaba's dialect the last one replaces the others whole.
    fn kept(&mut self, members: Vec<Member>) -> Vec<Member> {
        if self.dialect != Dialect::Alibaba {
            return members;
        }
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

    fn or(&mut self, value: Value, keys: &mut Keys) -> Option<Item> {
        let span = value.span.clone();
        let branches = self.branches("$or", value)?;
        if branches.len() == 1 && self.dialect == Dialect::Aws {
            self.error(
                Code::BAD_JOIN,
                span.clone(),
                "`$or` needs at least two objects",
            )
            .help = Some("with one alternative, write its keys directly".into());
        }
        let mut read = Vec::new();
        for (_, members) in branches {
            self.warn_operator_keys(&members);
            let items = self.items(members, keys);
            read.push(items);
        }
        Some(Item::Or(span, read))
    }

    fn and(&mut self, value: Value, keys: &mut Keys) -> Option<Item> {
        let span = value.span.clone();
        let mut parts = Vec::new();
        for (span, members) in self.branches("$and", value)? {
            let items = self.items(members, keys);
            parts.extend(self.tree(span, items));
        }
        Some(Item::Whole(SpannedNode::all(span, parts)))
    }

    fn not(&mut self, value: Value, keys: &mut Keys) -> Option<Item> {
        let span = value.span.clone();
        match value.kind {
            ValueKind::Object(members) if !members.is_empty() => {
                let items = self.items(members, keys);
                let inner = self.tree(span.clone(), items)?;
                Some(Item::Whole(SpannedNode::not(span, inner)))
            }
            ValueKind::Broken => None,
            _ => {
                let message = format!(
                    "`$not` takes an object with at least one key, not {}",
                    value.name()
                );
                self.error(Code::BAD_JOIN, span, message).help =
                    Some("for example `\"$not\": {\"name\": [\"x\"]}`".into());
                None
            }
        }
    }

    /// The objects of a `$or` or `$and`.
    fn branches(&mut self, name: &str, value: Value) -> Option<Vec<(Span, Vec<Member>)>> {
        let help = format!("for example `\"{name}\": [{{\"a\": [1]}}, {{\"b\": [2]}}]`");
        let kind = value.name();
        let elements = match value.kind {
            ValueKind::Array(elements) if !elements.is_empty() => elements,
            ValueKind::Broken => return None,
            ValueKind::Array(_) => {
                self.error(Code::BAD_JOIN, value.span, format!("`{name}` is empty"))
                    .help = Some(help);
                return None;
            }
            _ => {
                self.error(
                    Code::BAD_JOIN,
                    value.span,
                    format!("`{name}` takes a list of objects, not {kind}"),
                )
                .help = Some(help);
                return None;
            }
        };
        let mut branches = Vec::new();
        for element in elements {
            let kind = element.name();
            match element.kind {
                ValueKind::Object(members) if members.is_empty() => {
                    self.error(
                        Code::EMPTY,
                        element.span,
                        "an object with no keys asks for nothing",
                    )
                    .help = Some(format!("take it out of the `{name}`, or name a path in it"));
                }
                ValueKind::Object(members) => branches.push((element.span, members)),
                ValueKind::Broken => {}
                _ => {
                    let message = format!("`{name}` takes objects, not {kind}");
                    self.error(Code::BAD_JOIN, element.span, message).help = Some(help.clone());
                }
            }
        }
        Some(branches)
    }

    /// Looks for keys of a branch of `$or`, at any depth, that AWS keeps for itself.
    fn warn_operator_keys(&mut self, members: &[Member]) {
        for member in members {
            if aws::is_reserved_in_or(&member.key) {
                let message = format!(
                    "`{}` cannot be a key inside `$or` of {}",
                    member.key,
                    Dialect::Aws.title()
                );
                let help = "an operator belongs into the list of a path: `{\"path\": [{\"prefix\": \"x\"}]}`";
                let code = Code::RESERVED_IN_OR;
                let diagnostic = if self.dialect == Dialect::Aws {
                    Diagnostic::error(code, member.key_span.clone(), message)
                } else {
                    Diagnostic::warning(code, member.key_span.clone(), message)
                        .with_label(member.key_span.clone(), "read as the path of a field")
                };
                self.push(diagnostic.with_help(help));
            }
            if let ValueKind::Object(members) = &member.value.kind {
                self.warn_operator_keys(members);
            }
        }
    }

    fn count_combinations(&mut self, span: &Span, items: &[Item]) {
        let count = combinations(items);
        if count > aws::COMBINATIONS {
            let message = format!(
                "the `$or`s make more than {} combinations",
                aws::COMBINATIONS
            );
            self.error(Code::TOO_MANY, span.clone(), message).help =
                Some("write several rules instead".into());
        }
    }

    /// What the key was probably meant to be, for a list of objects whose operators are all unknown.
    pub(super) fn similar_connective(&self, key: &str) -> Option<&'static str> {
        let joins: &[&'static str] = match self.dialect {
            Dialect::Reflexarc => &["$or", "$and", "$not"],
            Dialect::Aws => &["$or"],
            Dialect::Alibaba => &[],
        };
        let word = key.strip_prefix('$')?;
        let words = joins.iter().map(|join| &join[1..]);
        let meant = nearest(word, words)?;
        joins.iter().copied().find(|join| &join[1..] == meant)
    }
}
