//! Evaluates expressions of Terraform, as far as their values are known before deployment.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use hcl_edit::Decorated;
use hcl_edit::expr::{Expression, ForExpr, ObjectKey, Traversal, TraversalOperator};

use super::super::found::Settings;
use super::super::limits::IacLimits;
use super::super::value::Value;
use super::files::ModuleFiles;
use super::functions;
use super::module::Module;
use super::operators::{binary, unary};
use super::template;

/// What expressions of a module see.
pub(super) struct Scope<'a> {
    pub(super) module: &'a Module,
    /// Values of the variables, from the call of the module.
    pub(super) arguments: BTreeMap<String, Value>,
    pub(super) settings: &'a Settings,
    pub(super) files: &'a ModuleFiles,
    pub(super) limits: &'a IacLimits,
    /// What is left of the limit of evaluation.
    left: &'a Cell<usize>,
    /// Locals that are evaluated, and those that are being evaluated (`None`).
    locals: RefCell<BTreeMap<String, Option<Value>>>,
}

/// Names that are bound: `each` and `count` of a resource, and the variables of `for`.
pub(super) type Bindings<'b> = &'b [(String, Value)];

impl<'a> Scope<'a> {
    pub(super) fn new(
        module: &'a Module,
        arguments: BTreeMap<String, Value>,
        settings: &'a Settings,
        files: &'a ModuleFiles,
        limits: &'a IacLimits,
        left: &'a Cell<usize>,
    ) -> Self {
        Self {
            module,
            arguments,
            settings,
            files,
            limits,
            left,
            locals: RefCell::new(BTreeMap::new()),
        }
    }

    /// The value of an expression.
    pub(super) fn value(&self, expression: &Expression, bound: Bindings<'_>) -> Value {
        self.value_at(expression, bound, 0)
    }

    pub(super) fn value_at(
        &self,
        expression: &Expression,
        bound: Bindings<'_>,
        depth: usize,
    ) -> Value {
        // Locals refer to locals: the depth of the text is not that of the evaluation.
        if depth > 4 * self.limits.depth {
            return Value::Unknown("its expressions refer to one another".to_owned());
        }
        let below = |expression: &Expression| self.value_at(expression, bound, depth + 1);
        let value = match expression {
            Expression::Null(_) => Value::Null,
            Expression::Bool(value) => Value::Bool(*value.value()),
            Expression::Number(number) => Value::Number(number.value().to_string()),
            Expression::String(text) => Value::Text(text.value().clone()),
            Expression::Array(elements) => Value::List(elements.iter().map(below).collect()),
            Expression::Object(object) => {
                let mut members = Vec::new();
                for (key, value) in object {
                    let key = match key {
                        ObjectKey::Ident(name) => name.as_str().to_owned(),
                        ObjectKey::Expression(key) => match key_text(key, below(key)) {
                            Ok(key) => key,
                            Err(unknown) => return unknown,
                        },
                    };
                    members.push((key, below(value.expr())));
                }
                Value::map(members)
            }
            Expression::StringTemplate(parts) => {
                template::evaluate(parts.iter(), self, bound, depth + 1)
            }
            Expression::HeredocTemplate(heredoc) => {
                template::evaluate(heredoc.template.iter(), self, bound, depth + 1)
            }
            Expression::Parenthesis(inner) => below(inner.inner()),
            Expression::Variable(name) => bound_value(name.as_str(), bound),
            Expression::Conditional(conditional) => match below(&conditional.cond_expr) {
                Value::Bool(true) => below(&conditional.true_expr),
                Value::Bool(false) => below(&conditional.false_expr),
                Value::Unknown(reason) => Value::Unknown(reason),
                other => match other.to_text().as_deref() {
                    Some("true") => below(&conditional.true_expr),
                    Some("false") => below(&conditional.false_expr),
                    _ => Value::Unknown("a condition is neither true nor false".to_owned()),
                },
            },
            Expression::FuncCall(call) => functions::call(call, self, bound, depth + 1),
            Expression::Traversal(traversal) => {
                self.traverse(traversal, &source(expression), bound, depth + 1)
            }
            Expression::UnaryOp(operation) => {
                unary(*operation.operator.value(), below(&operation.expr))
            }
            Expression::BinaryOp(operation) => binary(
                *operation.operator.value(),
                &below(&operation.lhs_expr),
                &below(&operation.rhs_expr),
            ),
            Expression::ForExpr(each) => self.for_each(each, bound, depth + 1),
        };
        self.charge(value)
    }

    /// The value, unless the limit of evaluation is reached.
    pub(super) fn charge(&self, value: Value) -> Value {
        if let Some(left) = self.left.get().checked_sub(value.size()) {
            self.left.set(left);
            return value;
        }
        self.left.set(0);
        let limit = self.limits.evaluation;
        Value::Unknown(format!(
            "its expressions make more than {limit} values and bytes"
        ))
    }

    fn traverse(
        &self,
        traversal: &Traversal,
        text: &str,
        bound: Bindings<'_>,
        depth: usize,
    ) -> Value {
        let operators = traversal.operators.as_slice();
        let root = match &traversal.expr {
            Expression::Variable(name) => Some(name.as_str()),
            _ => None,
        };
        let is_bound = |name: &str| bound.iter().any(|(found, _)| found == name);
        let first = operators.first().map(Decorated::value);
        let (value, rest) = match (root, first) {
            (Some("var"), Some(TraversalOperator::GetAttr(name))) => {
                (self.variable(name.as_str(), depth), &operators[1..])
            }
            (Some("local"), Some(TraversalOperator::GetAttr(name))) => {
                (self.local(name.as_str(), depth), &operators[1..])
            }
            (Some("path"), Some(TraversalOperator::GetAttr(_))) => (Value::from("."), &[][..]),
            (Some(name), _) if !is_bound(name) => {
                let value = self.settings.get(text).map(Value::from);
                let value = value.unwrap_or_else(|| {
                    Value::Unknown(format!(
                        "`{text}` is known after deployment; give it with --set {text}=VALUE"
                    ))
                });
                (value, &[][..])
            }
            _ => (self.value_at(&traversal.expr, bound, depth + 1), operators),
        };
        self.apply(value, rest, text, bound, depth)
    }

    fn apply(
        &self,
        mut value: Value,
        operators: &[Decorated<TraversalOperator>],
        text: &str,
        bound: Bindings<'_>,
        depth: usize,
    ) -> Value {
        for (at, operator) in operators.iter().enumerate() {
            let key = match operator.value() {
                TraversalOperator::GetAttr(name) => name.as_str().to_owned(),
                TraversalOperator::LegacyIndex(index) => index.value().to_string(),
                TraversalOperator::Index(index) => {
                    match key_text(index, self.value_at(index, bound, depth + 1)) {
                        Ok(key) => key,
                        Err(unknown) => return unknown,
                    }
                }
                TraversalOperator::AttrSplat(_) | TraversalOperator::FullSplat(_) => {
                    let elements = match value {
                        Value::List(elements) => elements,
                        Value::Null => Vec::new(),
                        Value::Unknown(reason) => return Value::Unknown(reason),
                        single => vec![single],
                    };
                    let rest = &operators[at + 1..];
                    let apply = |element| self.apply(element, rest, text, bound, depth + 1);
                    return Value::List(elements.into_iter().map(apply).collect());
                }
            };
            value = match select(&value, &key) {
                Ok(value) => value,
                Err(Some(reason)) => return Value::Unknown(reason),
                Err(None) => return Value::Unknown(format!("`{text}` has no `{key}`")),
            };
        }
        value
    }

    fn variable(&self, name: &str, depth: usize) -> Value {
        if let Some(value) = self.arguments.get(name) {
            return value.clone();
        }
        let variable = self.module.variables.get(name);
        let setting = [name.to_owned(), format!("var.{name}")]
            .iter()
            .find_map(|key| self.settings.get(key));
        if let Some(text) = setting {
            let is_structured = variable.is_some_and(|variable| variable.is_structured);
            return match hcl_edit::parser::parse_expr(text) {
                Ok(expression) if is_structured => self.value_at(&expression, &[], depth + 1),
                _ => Value::from(text),
            };
        }
        let default = variable.and_then(|variable| variable.default.as_ref());
        match self.module.values.get(name).or(default) {
            Some(expression) => self.value_at(expression, &[], depth + 1),
            None => Value::Unknown(format!(
                "the variable `{name}` has no default; give it with --set {name}=VALUE"
            )),
        }
    }

    fn local(&self, name: &str, depth: usize) -> Value {
        if let Some(known) = self.locals.borrow().get(name) {
            let circle = || Value::Unknown(format!("`local.{name}` refers to itself"));
            return known.clone().unwrap_or_else(circle);
        }
        let Some(expression) = self.module.locals.get(name) else {
            return Value::Unknown(format!("unknown `local.{name}`"));
        };
        self.locals.borrow_mut().insert(name.to_owned(), None);
        let value = self.value_at(expression, &[], depth + 1);
        self.locals
            .borrow_mut()
            .insert(name.to_owned(), Some(value.clone()));
        value
    }

    fn for_each(&self, each: &ForExpr, bound: Bindings<'_>, depth: usize) -> Value {
        let collection = self.value_at(&each.intro.collection_expr, bound, depth + 1);
        let pairs = match pairs(&collection) {
            Ok(pairs) => pairs,
            Err(reason) => return Value::Unknown(reason),
        };
        let mut list = Vec::new();
        let mut map: Vec<(String, Value)> = Vec::new();
        for (key, value) in pairs {
            let mut names = bound.to_vec();
            if let Some(variable) = &each.intro.key_var {
                names.push((variable.as_str().to_owned(), key));
            }
            names.push((each.intro.value_var.as_str().to_owned(), value));
            if let Some(condition) = &each.cond {
                match self.value_at(&condition.expr, &names, depth + 1) {
                    Value::Bool(true) => {}
                    Value::Bool(false) => continue,
                    other => {
                        let reason = other.unknown().unwrap_or("a condition is not a boolean");
                        return Value::Unknown(reason.to_owned());
                    }
                }
            }
            let value = self.value_at(&each.value_expr, &names, depth + 1);
            match &each.key_expr {
                None => list.push(value),
                Some(expression) => {
                    let key = self.value_at(expression, &names, depth + 1);
                    let key = match key_text(expression, key) {
                        Ok(key) => key,
                        Err(unknown) => return unknown,
                    };
                    let earlier = map.iter_mut().find(|(found, _)| *found == key);
                    match earlier {
                        Some((_, Value::List(values))) if each.grouping => values.push(value),
                        Some(_) => return Value::Unknown(format!("the key `{key}` is repeated")),
                        None if each.grouping => map.push((key, Value::List(vec![value]))),
                        None => map.push((key, value)),
                    }
                }
            }
            if self.left.get() == 0 {
                break;
            }
        }
        match &each.key_expr {
            None => Value::List(list),
            Some(_) => Value::map(map),
        }
    }
}

/// The value of `each`, `count` or a variable of `for`.
fn bound_value(name: &str, bound: Bindings<'_>) -> Value {
    let found = bound.iter().rev().find(|(found, _)| found == name);
    match found {
        Some((_, value)) => value.clone(),
        None => Value::Unknown(format!("`{name}` is not known")),
    }
}

/// The keys and values of a collection, as `for` and `for_each` see them.
pub(super) fn pairs(collection: &Value) -> Result<Vec<(Value, Value)>, String> {
    match collection {
        Value::List(elements) => {
            let pair =
                |(index, value): (usize, &Value)| (Value::Number(index.to_string()), value.clone());
            Ok(elements.iter().enumerate().map(pair).collect())
        }
        Value::Map(members) => {
            let mut pairs: Vec<_> = members
                .iter()
                .map(|one| (one.key.clone(), one.value.clone()))
                .collect();
            // Terraform goes through maps in the order of their keys.
            pairs.sort_by(|(one, _), (other, _)| one.cmp(other));
            let pair = |(key, value)| (Value::Text(key), value);
            Ok(pairs.into_iter().map(pair).collect())
        }
        Value::Unknown(reason) => Err(reason.clone()),
        _ => Err("expected a list or a map".to_owned()),
    }
}

/// The text of an expression for people: `var.names[0]`.
pub(super) fn source(expression: &Expression) -> String {
    let text = expression.to_string();
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ")
}

/// The element or member of a key; `Err(None)` if there is none.
pub(super) fn select(value: &Value, key: &str) -> Result<Value, Option<String>> {
    match value {
        Value::Unknown(reason) => Err(Some(reason.clone())),
        Value::List(elements) => {
            let index: Option<usize> = key.parse().ok();
            index
                .and_then(|index| elements.get(index))
                .cloned()
                .ok_or(None)
        }
        value => value.get(key).cloned().ok_or(None),
    }
}

/// The key of an object: a text, or an identifier in parentheses.
fn key_text(expression: &Expression, value: Value) -> Result<String, Value> {
    match value {
        // An object's key in brackets of an older syntax: `{"a" = 1}` and `{a = 1}` are alike.
        Value::Unknown(reason) => match expression {
            Expression::Variable(name) => Ok(name.as_str().to_owned()),
            _ => Err(Value::Unknown(reason)),
        },
        value => value
            .to_text()
            .ok_or_else(|| Value::Unknown("a key is not a text".to_owned())),
    }
}
