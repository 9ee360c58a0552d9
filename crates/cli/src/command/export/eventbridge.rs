//! `reflexarc export eventbridge`: rules of Alibaba Cloud EventBridge with their targets.

use reflexarc::Rule;
use reflexarc_event::Json;
use reflexarc_pattern::Dialect;
use serde_json::{Value, json};

use super::LIMITS;
use super::message::{ExportedMessage, Transformation};
use super::names::{NameStyle, Names};
use super::rule_keys::{RuleKeys, target_names};
use super::secret_text::SecretText;
use super::selection::{Selection, parts_note, report_filter, report_omissions};
use super::send_script::{self, SentBody, SentDocument};
use super::targets::{ConfiguredTarget, Retry, TargetKind};
use crate::output::Output;

/// A rule as the service has it.
pub(super) struct EventRule {
    pub(super) bus: String,
    pub(super) name: String,
    pub(super) description: String,
    pub(super) enabled: bool,
    /// The filter as JSON.
    pub(super) pattern: String,
    pub(super) targets: Vec<EventTarget>,
}

/// A target of a rule.
#[derive(Clone)]
pub(super) struct EventTarget {
    pub(super) id: String,
    pub(super) kind: &'static str,
    pub(super) endpoint: Option<SecretText>,
    pub(super) parameters: Vec<Parameter>,
    /// `PushRetryStrategy`.
    pub(super) retry: &'static str,
}

/// A parameter of a target.
#[derive(Clone)]
pub(super) enum Parameter {
    Constant(&'static str, SecretText),
    /// The whole event.
    Original(&'static str),
    /// A field of the event, by its `JSONPath`.
    Path(&'static str, String),
    Transformed(&'static str, Transformation),
}

/// The rules of a selection for a dialect; what is not exported is reported.
pub(super) fn rules(
    selection: &mut Selection,
    bus: &str,
    dialect: Dialect,
    output: &mut Output,
) -> Vec<EventRule> {
    let mut names = Names::default();
    let mut rules = Vec::new();
    let mut refused = false;
    for rule in selection.rules() {
        let filter = match rule.export_split(dialect, LIMITS.parts) {
            Ok(filter) => filter,
            Err(found) => {
                report_filter(rule, found, output);
                refused = true;
                continue;
            }
        };
        report_filter(rule, filter.warnings.clone(), output);
        let mut omissions: Vec<String> = parts_note(&filter).into_iter().collect();
        let (style, targets) = if dialect == Dialect::Aws {
            omissions.extend(aws_omissions(rule));
            (NameStyle::Aws, Vec::new())
        } else {
            let targets = targets(rule, selection, &mut omissions);
            (NameStyle::EventBridge, targets)
        };
        let description = description(rule, dialect, &mut omissions);
        for (number, pattern) in (1..).zip(&filter.texts) {
            let wanted = match filter.texts.len() {
                1 => rule.name().to_owned(),
                _ => format!("{}-{number}", rule.name()),
            };
            let name = names.give(&wanted, style);
            if name != wanted {
                omissions.push(format!("`{wanted}` is called `{name}` there"));
            }
            rules.push(EventRule {
                bus: bus.to_owned(),
                name,
                description: description.clone(),
                enabled: rule.enabled(),
                pattern: compact(pattern),
                targets: targets.clone(),
            });
        }
        report_omissions(rule, &omissions, output);
    }
    if refused {
        selection.refuse();
    }
    rules
}

/// The request of `CreateRule`.
pub(super) fn request(rule: &EventRule) -> Value {
    json!({
        "EventBusName": rule.bus,
        "RuleName": rule.name,
        "Description": rule.description,
        "Status": if rule.enabled { "ENABLE" } else { "DISABLE" },
        "FilterPattern": rule.pattern,
        "EventTargets": rule.targets.iter().map(target_request).collect::<Vec<_>>(),
    })
}

fn target_request(target: &EventTarget) -> Value {
    let parameter = |parameter: &Parameter| match parameter {
        Parameter::Constant(key, value) => json!({
            "ResourceKey": key, "Form": "CONSTANT", "Value": value.with_placeholders(),
        }),
        Parameter::Original(key) => json!({ "ResourceKey": key, "Form": "ORIGINAL" }),
        Parameter::Path(key, path) => {
            json!({ "ResourceKey": key, "Form": "JSONPATH", "Value": path })
        }
        Parameter::Transformed(key, made) => made.parameter(key),
    };
    let mut request = json!({
        "Id": target.id,
        "Type": target.kind,
        "ErrorsTolerance": "ALL",
        "PushRetryStrategy": target.retry,
        "ParamList": target.parameters.iter().map(parameter).collect::<Vec<_>>(),
    });
    if let Some(endpoint) = &target.endpoint {
        request["Endpoint"] = endpoint.with_placeholders().into();
    }
    request
}

/// The pattern without white space, which counts towards quotas.
fn compact(pattern: &str) -> String {
    Json::parse(pattern).map_or_else(|_| pattern.to_owned(), |json| json.to_string())
}

fn description(rule: &Rule, dialect: Dialect, omissions: &mut Vec<String>) -> String {
    let description = rule.description();
    if dialect != Dialect::Aws {
        return description.to_owned();
    }
    let kept: String = description.chars().take(LIMITS.aws_description).collect();
    if kept.len() < description.len() {
        omissions.push(format!(
            "its description is cut after {} characters",
            LIMITS.aws_description
        ));
    }
    kept
}

fn aws_omissions(rule: &Rule) -> Vec<String> {
    let names = target_names(rule);
    let targets = (!names.is_empty()).then(|| {
        let names = names.join(", ");
        format!(
            "its targets are not exported: {names}; add an aws_cloudwatch_event_target for each"
        )
    });
    let mut omissions = RuleKeys::of(rule).omissions(rule, false, false);
    omissions.extend(targets);
    omissions
}

/// The targets of a rule, and what is not exported of it and of them.
fn targets(rule: &Rule, selection: &Selection, omissions: &mut Vec<String>) -> Vec<EventTarget> {
    let found = selection.targets_of(rule);
    omissions.extend(found.omissions);
    let keys = RuleKeys::of(rule);
    let documents = keys.then.as_deref().and_then(send_script::read);
    if !selection.sends_to_one() {
        omissions.extend(keys.omissions(rule, documents.is_some(), false));
        if keys.then.is_some() && documents.is_none() && !found.known.is_empty() {
            omissions.push("its targets get every event that the filter selects".to_owned());
        }
    }
    let message = ExportedMessage::new(rule.name(), keys.title.as_deref(), keys.text.as_deref());
    let message = message.unwrap_or_else(|reason| {
        omissions.push(format!(
            "{reason}, which is not exported: the default message is"
        ));
        ExportedMessage::default()
    });
    let context = RuleContext {
        has_message: keys.has_message(),
        message,
        documents: documents.unwrap_or_default(),
    };
    let mut targets = Vec::new();
    let mut ids = Names::default();
    for target in found.known {
        let Some(mut exported) = context.target(target, omissions) else {
            continue;
        };
        exported.id = ids.give(&exported.id, NameStyle::Aws);
        if targets.len() == LIMITS.eventbridge_targets {
            omissions.push(format!(
                "target {} is not exported: a rule has at most {} targets",
                target.name, LIMITS.eventbridge_targets
            ));
            continue;
        }
        targets.push(exported);
    }
    targets
}

/// What the targets of one rule share.
struct RuleContext {
    has_message: bool,
    message: ExportedMessage,
    documents: Vec<SentDocument>,
}

impl RuleContext {
    fn target(
        &self,
        target: &ConfiguredTarget,
        omissions: &mut Vec<String>,
    ) -> Option<EventTarget> {
        let name = &target.name;
        let (kind, endpoint, parameters) = match &target.kind {
            TargetKind::Webhook { url, omitted } => {
                for key in omitted {
                    omissions.push(format!("target {name}: `{key}` is not exported"));
                }
                if self.has_message {
                    omissions.push(format!("target {name}: gets the event, not the message"));
                }
                let kind = if url.start().starts_with("http:") {
                    "http"
                } else {
                    "https"
                };
                let mut parameters = vec![Parameter::Constant("url", url.clone())];
                parameters.push(match self.document(name) {
                    Some(SentBody::Document(body)) => transformed("Body", body, name, omissions)?,
                    Some(SentBody::Field(path)) => Parameter::Path("Body", path),
                    Some(SentBody::Event) | None => Parameter::Original("Body"),
                });
                let network = SecretText::plain("PublicNetwork");
                parameters.push(Parameter::Constant("Network", network));
                (kind, Some(url.clone()), parameters)
            }
            TargetKind::DingTalk { url, secret } => {
                let mut parameters = vec![Parameter::Constant("URL", url.clone())];
                let secret = secret
                    .clone()
                    .map(|key| Parameter::Constant("SecretKey", key));
                parameters.extend(secret);
                let body = match self.document(name) {
                    Some(SentBody::Document(body)) => body,
                    // A robot takes messages only.
                    _ => self.message.robot_body(),
                };
                parameters.extend(transformed("Body", body, name, omissions));
                ("acs.dingtalk", Some(url.clone()), parameters)
            }
            TargetKind::Email { from, to } => {
                omissions.push(format!(
                    "target {name}: mail is sent by Direct Mail, in which {from} must be an \
                     account; the mail server is not exported"
                ));
                let constant =
                    |key, value: &str| Parameter::Constant(key, SecretText::plain(value));
                let mut parameters = vec![
                    constant("AccountName", from),
                    constant("ToAddress", &to.join(",")),
                    constant("IsHtmlBody", "false"),
                ];
                let title = self.message.title.clone();
                let text = self.message.text.clone();
                parameters.extend(transformed("Subject", title, name, omissions));
                parameters.extend(transformed("Body", text, name, omissions));
                ("acs.mail", None, parameters)
            }
            TargetKind::Other(kind) => {
                omissions.push(format!(
                    "target {name} of type {kind} is not exported: EventBridge has no such target"
                ));
                return None;
            }
        };
        let secrets = endpoint
            .iter()
            .chain(parameters.iter().filter_map(|one| match one {
                Parameter::Constant(_, value) => Some(value),
                _ => None,
            }));
        let mut sources: Vec<&str> = secrets.flat_map(SecretText::secrets).collect();
        sources.sort_unstable();
        sources.dedup();
        for source in sources {
            omissions.push(format!("target {name}: fill in the secret: {source}"));
        }
        let retry = match target.retry {
            Retry::Backoff => "BACKOFF_RETRY",
            Retry::Exponential => "EXPONENTIAL_DECAY_RETRY",
            Retry::Own => {
                omissions.push(format!(
                    "target {name}: its delays of `retry` become EXPONENTIAL_DECAY_RETRY"
                ));
                "EXPONENTIAL_DECAY_RETRY"
            }
        };
        Some(EventTarget {
            id: name.clone(),
            kind,
            endpoint,
            parameters,
            retry,
        })
    }

    /// What the script sends to a target, if it sends a document.
    fn document(&self, target: &str) -> Option<SentBody> {
        let document = self.documents.iter().find(|one| one.target == target)?;
        Some(document.body.clone())
    }
}

fn transformed(
    key: &'static str,
    made: Transformation,
    target: &str,
    omissions: &mut Vec<String>,
) -> Option<Parameter> {
    if made.is_too_long() {
        omissions.push(format!(
            "target {target}: the {key} has more than {} characters and is not exported",
            LIMITS.eventbridge_template
        ));
        return None;
    }
    Some(Parameter::Transformed(key, made))
}
