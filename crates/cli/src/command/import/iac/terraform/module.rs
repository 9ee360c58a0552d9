//! The files of a Terraform module: all of one folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::super::limits::IacLimits;
use super::super::value::Value;
use hcl_edit::Span as _;
use hcl_edit::expr::{Array, Expression, Object, ObjectKey, ObjectValue};
use hcl_edit::structure::{Body, Structure};
use hcl_edit::template::StringTemplate;

/// A module.
#[derive(Debug, Default)]
pub(in super::super) struct Module {
    pub(super) folder: PathBuf,
    pub(super) variables: BTreeMap<String, Variable>,
    /// Values of `.tfvars` files.
    pub(super) values: BTreeMap<String, Expression>,
    pub(super) locals: BTreeMap<String, Expression>,
    pub(super) resources: Vec<Block>,
    pub(super) calls: Vec<Block>,
}

/// A variable.
#[derive(Debug)]
pub(super) struct Variable {
    pub(super) default: Option<Expression>,
    /// Whether texts are to be read as expressions: it is not of the type `string`.
    pub(super) is_structured: bool,
}

/// A resource or the call of a module.
#[derive(Debug, Clone)]
pub(super) struct Block {
    pub(super) file: String,
    pub(super) line: usize,
    /// Type and name, or the name of a call.
    pub(super) labels: Vec<String>,
    pub(super) body: Vec<Item>,
}

/// A part of a block.
#[derive(Debug, Clone)]
pub(super) enum Item {
    Attribute(String, Expression),
    Block(String, Vec<Item>),
}

impl Block {
    pub(super) fn attribute(&self, name: &str) -> Option<&Expression> {
        self.body.iter().find_map(|item| match item {
            Item::Attribute(key, value) if key == name => Some(value),
            _ => None,
        })
    }
}

impl Module {
    pub(in super::super) fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            ..Self::default()
        }
    }

    /// Adds a file in HCL.
    pub(in super::super) fn add_hcl(&mut self, file: &str, text: &str) -> Result<(), String> {
        let body = parse(text)?;
        if file.ends_with(".tfvars") {
            for attribute in body.attributes() {
                let name = attribute.key.as_str().to_owned();
                self.values.insert(name, attribute.value.clone());
            }
            return Ok(());
        }
        let lines = LineIndex::new(text);
        for block in body.blocks() {
            let labels: Vec<String> = block
                .labels
                .iter()
                .map(|label| label.as_str().to_owned())
                .collect();
            let line = block.span().map_or(0, |span| lines.line(span.start));
            let kind = block.ident.as_str();
            self.add(file, line, kind, labels, items(&block.body));
        }
        Ok(())
    }

    /// Adds a file in JSON (`.tf.json`), whose texts are templates.
    pub(in super::super) fn add_json(&mut self, file: &str, root: &Value) -> Result<(), String> {
        for section in root.members() {
            let depth = match section.key.as_str() {
                "resource" => 2,
                "variable" | "module" => 1,
                "locals" => 0,
                _ => continue,
            };
            self.add_labelled(file, &section.key, depth, section.line, &section.value, &[])?;
        }
        Ok(())
    }

    fn add_labelled(
        &mut self,
        file: &str,
        kind: &str,
        depth: usize,
        line: usize,
        value: &Value,
        labels: &[String],
    ) -> Result<(), String> {
        // Each level may be a list of objects.
        if let Value::List(parts) = value {
            for part in parts {
                self.add_labelled(file, kind, depth, line, part, labels)?;
            }
            return Ok(());
        }
        if depth == 0 {
            let mut body = Vec::new();
            for member in value.members() {
                let is_type = kind == "variable" && member.key == "type";
                let value = if is_type {
                    // A type is an expression without `${ }`.
                    let text = member.value.as_str().unwrap_or_default();
                    Expression::from(text)
                } else {
                    expression(&member.value)?
                };
                body.push(Item::Attribute(member.key.clone(), value));
            }
            self.add(file, line, kind, labels.to_vec(), body);
            return Ok(());
        }
        for member in value.members() {
            let labels = [labels, std::slice::from_ref(&member.key)].concat();
            self.add_labelled(file, kind, depth - 1, member.line, &member.value, &labels)?;
        }
        Ok(())
    }

    fn add(&mut self, file: &str, line: usize, kind: &str, labels: Vec<String>, body: Vec<Item>) {
        let block = Block {
            file: file.to_owned(),
            line,
            labels,
            body,
        };
        match (kind, block.labels.as_slice()) {
            ("variable", [name]) => {
                let kind = block.attribute("type").map(ToString::to_string);
                let kind = kind.unwrap_or_default();
                let kind = kind.trim().trim_matches('"');
                let variable = Variable {
                    default: block.attribute("default").cloned(),
                    is_structured: !matches!(kind, "" | "string"),
                };
                self.variables.insert(name.clone(), variable);
            }
            ("locals", []) => {
                for item in block.body {
                    if let Item::Attribute(name, value) = item {
                        self.locals.insert(name, value);
                    }
                }
            }
            ("resource", [_, _]) => self.resources.push(block),
            ("module", [_]) => self.calls.push(block),
            _ => {}
        }
    }
}

/// Parses HCL.
fn parse(text: &str) -> Result<Body, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    hcl_edit::parser::parse_body(text).map_err(|error| {
        let location = error.location();
        format!(
            "invalid HCL at {}:{}: {}",
            location.line(),
            location.column(),
            error.message()
        )
    })
}

fn items(body: &Body) -> Vec<Item> {
    body.iter()
        .map(|structure| match structure {
            Structure::Attribute(attribute) => {
                Item::Attribute(attribute.key.as_str().to_owned(), attribute.value.clone())
            }
            Structure::Block(block) => {
                Item::Block(block.ident.as_str().to_owned(), items(&block.body))
            }
        })
        .collect()
}

/// A value of JSON as an expression: its texts are templates.
pub(super) fn expression(value: &Value) -> Result<Expression, String> {
    Ok(match value {
        Value::Null | Value::Unknown(_) | Value::Encoded(_) => Expression::null(),
        Value::Bool(value) => Expression::from(*value),
        Value::Number(_) => {
            let text = value.to_text().unwrap_or_default();
            text.parse()
                .map_err(|_| format!("{text} is not a number of Terraform"))?
        }
        Value::Text(text) if text.contains("${") || text.contains("%{") => {
            let template = hcl_edit::parser::parse_template(text)
                .map_err(|error| format!("invalid template `{text}`: {}", error.message()))?;
            // `"${a}"` is `a` with its type, as in HCL.
            let mut parts = template.into_iter();
            match (parts.next(), parts.next()) {
                (Some(hcl_edit::template::Element::Interpolation(only)), None) => only.expr,
                (first, second) => {
                    let parts = first.into_iter().chain(second).chain(parts);
                    Expression::StringTemplate(parts.collect::<StringTemplate>())
                }
            }
        }
        Value::Text(text) => Expression::from(text.as_str()),
        Value::List(elements) => {
            let elements: Result<Array, String> = elements.iter().map(expression).collect();
            Expression::Array(elements?)
        }
        Value::Map(members) if members.len() > IacLimits::TERRAFORM_JSON_MEMBERS => {
            let most = IacLimits::TERRAFORM_JSON_MEMBERS;
            return Err(format!("an object has more than {most} members"));
        }
        Value::Map(members) => {
            let mut object = Object::new();
            for member in members {
                let key = ObjectKey::from(Expression::from(member.key.as_str()));
                object.insert(key, ObjectValue::new(expression(&member.value)?));
            }
            Expression::Object(object)
        }
    })
}

/// Finds lines by offsets.
struct LineIndex(Vec<usize>);

impl LineIndex {
    fn new(text: &str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        Self(ends.map(|(at, _)| at).collect())
    }

    fn line(&self, offset: usize) -> usize {
        self.0.partition_point(|end| *end < offset) + 1
    }
}
