//! `reflexarc export cloudmonitor`: event rules of Cloud Monitor with their targets.

mod keywords;
mod pattern;

use reflexarc::Rule;
use reflexarc_diagnostic::{Code, Diagnostic};
use serde_json::{Map, Value, json};

use self::pattern::{MonitorFilter, MonitorPattern};
use super::LIMITS;
use super::names::{NameStyle, Names};
use super::rule_keys::RuleKeys;
use super::secret_text::{SecretText, Variables, escaped};
use super::selection::{self, Selection, report_filter, report_omissions};
use super::targets::{ConfiguredTarget, TargetKind};
use crate::output::Output;

/// Arguments of `export cloudmonitor`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) selection: selection::SelectionArgs,
    /// Leave out conditions that Cloud Monitor does not have: its rule selects more events
    #[arg(long)]
    pub(super) widen: bool,
}

/// A rule as the service has it.
pub(super) struct MonitorRule {
    pub(super) name: String,
    description: String,
    enabled: bool,
    filter: MonitorFilter,
    /// The mute time in seconds.
    silence: Option<u64>,
    contacts: Vec<Contact>,
    webhooks: Vec<Callback>,
}

/// A contact group, which gets chat messages and mail.
struct Contact {
    id: String,
    group: String,
}

/// An address that is called.
struct Callback {
    id: String,
    protocol: &'static str,
    url: SecretText,
}

/// The methods of contact groups: chat and mail. The others call people.
const CONTACT_LEVEL: &str = "4";

/// The key of `throttle` by which Cloud Monitor mutes.
const MUTE_KEY: [&str; 2] = ["name", "resourceId"];

/// The rules of a selection; what is not exported is reported.
pub(super) fn rules(
    selection: &mut Selection,
    widen: bool,
    output: &mut Output,
) -> Vec<MonitorRule> {
    let mut names = Names::default();
    let mut rules = Vec::new();
    let mut refused = false;
    for rule in selection.rules() {
        let keys = RuleKeys::of(rule);
        let keywords = keys.then.as_deref().and_then(keywords::of_script);
        let mut omissions = Vec::new();
        let filter = MonitorFilter::of(rule.needed_events().node(), keywords.as_deref());
        let filter = filter.and_then(|filter| {
            if !filter.left_out.is_empty() && !widen {
                return Err(filter.left_out);
            }
            Ok(filter)
        });
        let filter = match filter {
            Ok(filter) => filter,
            Err(left_out) => {
                report_filter(rule, refusals(rule, &left_out), output);
                refused = true;
                continue;
            }
        };
        omissions.extend(
            filter.left_out.iter().map(|condition| {
                format!("selects more events than here: without {}", condition.text)
            }),
        );
        omissions.extend(filter.notes.iter().cloned());
        let found = selection.targets_of(rule);
        omissions.extend(found.omissions);
        let silence = if selection.sends_to_one() {
            None
        } else {
            omissions.extend(keys.omissions(rule, keywords.is_some(), true));
            if keys.has_message() {
                omissions.push("its message is not exported: Cloud Monitor has its own".to_owned());
            }
            silence(&keys, &mut omissions)
        };
        let name = names.give(rule.name(), NameStyle::CloudMonitor);
        let mut exported = MonitorRule {
            name,
            description: rule.description().to_owned(),
            enabled: rule.enabled(),
            filter,
            silence,
            contacts: Vec::new(),
            webhooks: Vec::new(),
        };
        for target in found.known {
            exported.add_target(target, &mut omissions);
        }
        report_omissions(rule, &omissions, output);
        rules.push(exported);
    }
    if refused {
        selection.refuse();
    }
    rules
}

/// The requests of `PutEventRule` and `PutEventRuleTargets`.
pub(super) fn request(rule: &MonitorRule) -> Value {
    let mut put = json!({
        "RuleName": rule.name,
        "Description": rule.description,
        "EventType": "SYSTEM",
        "State": if rule.enabled { "ENABLED" } else { "DISABLED" },
        "EventPattern": rule.filter.patterns.iter().map(pattern_request).collect::<Vec<_>>(),
    });
    if let Some(seconds) = rule.silence {
        put["SilenceTime"] = seconds.into();
    }
    if let Some(group) = &rule.filter.group {
        put["GroupId"] = group.as_str().into();
    }
    let mut targets = json!({ "RuleName": rule.name });
    let contact = |contact: &Contact| {
        let group = &contact.group;
        json!({ "Id": contact.id, "ContactGroupName": group, "Level": CONTACT_LEVEL })
    };
    let callback = |callback: &Callback| {
        json!({
            "Id": callback.id,
            "Protocol": callback.protocol,
            "Method": "POST",
            "Url": callback.url.with_placeholders(),
        })
    };
    if !rule.contacts.is_empty() {
        targets["ContactParameters"] = rule.contacts.iter().map(contact).collect();
    }
    if !rule.webhooks.is_empty() {
        targets["WebhookParameters"] = rule.webhooks.iter().map(callback).collect();
    }
    json!({ "PutEventRule": put, "PutEventRuleTargets": targets })
}

/// The resource `alicloud_cms_event_rule`.
pub(super) fn resource(rule: &MonitorRule, variables: &mut Variables) -> Value {
    let patterns = rule.filter.patterns.iter().map(pattern_block);
    let mut resource = json!({
        "rule_name": escaped(&rule.name),
        "description": escaped(&rule.description),
        "status": if rule.enabled { "ENABLED" } else { "DISABLED" },
        "event_pattern": patterns.collect::<Vec<_>>(),
    });
    if let Some(seconds) = rule.silence {
        resource["silence_time"] = seconds.into();
    }
    if let Some(group) = &rule.filter.group {
        resource["group_id"] = escaped(group).into();
    }
    let contact = |contact: &Contact| {
        json!({
            "contact_parameters_id": contact.id,
            "contact_group_name": escaped(&contact.group),
            "level": CONTACT_LEVEL,
        })
    };
    if !rule.contacts.is_empty() {
        resource["contact_parameters"] = rule.contacts.iter().map(contact).collect();
    }
    let callbacks = rule.webhooks.iter().map(|callback| {
        json!({
            "webhook_parameters_id": callback.id,
            "protocol": callback.protocol,
            "method": "POST",
            "url": callback.url.with_variables(variables),
        })
    });
    let callbacks: Vec<Value> = callbacks.collect();
    if !callbacks.is_empty() {
        resource["webhook_parameters"] = callbacks.into();
    }
    resource
}

impl MonitorRule {
    fn add_target(&mut self, target: &ConfiguredTarget, omissions: &mut Vec<String>) {
        let name = &target.name;
        let is_full = |count: usize| count == LIMITS.cloudmonitor_targets;
        let too_many = format!(
            "target {name} is not exported: a rule has at most {} of its kind",
            LIMITS.cloudmonitor_targets
        );
        match &target.kind {
            TargetKind::Webhook { url, omitted } => {
                if is_full(self.webhooks.len()) {
                    omissions.push(too_many);
                    return;
                }
                for key in omitted {
                    omissions.push(format!("target {name}: `{key}` is not exported"));
                }
                for source in url.secrets() {
                    omissions.push(format!("target {name}: fill in the secret: {source}"));
                }
                self.webhooks.push(Callback {
                    id: name.clone(),
                    protocol: if url.start().starts_with("http:") {
                        "http"
                    } else {
                        "https"
                    },
                    url: url.clone(),
                });
            }
            TargetKind::DingTalk { .. } | TargetKind::Email { .. } => {
                if is_full(self.contacts.len()) {
                    omissions.push(too_many);
                    return;
                }
                omissions.push(format!(
                    "target {name} becomes the contact group {name}, which must exist"
                ));
                self.contacts.push(Contact {
                    id: (self.contacts.len() + 1).to_string(),
                    group: name.clone(),
                });
            }
            TargetKind::Other(kind) => omissions.push(format!(
                "target {name} of type {kind} is not exported: Cloud Monitor has no such target"
            )),
        }
    }
}

/// The mute time for `throttle`.
fn silence(keys: &RuleKeys, omissions: &mut Vec<String>) -> Option<u64> {
    let seconds = keys.throttle?;
    let mut key: Vec<&str> = keys.throttle_key.iter().map(String::as_str).collect();
    key.sort_unstable();
    if key != MUTE_KEY {
        omissions.push(format!(
            "`throttle` is by {} here; Cloud Monitor mutes by name and resource",
            if key.is_empty() {
                "rule".to_owned()
            } else {
                key.join(" and ")
            }
        ));
    }
    Some(seconds)
}

fn refusals(rule: &Rule, left_out: &[pattern::LeftOut]) -> Vec<Diagnostic> {
    let spanned = rule.pattern().spanned();
    let fields = spanned.as_ref().map(|spanned| spanned.tree().fields());
    let refusal = |condition: &pattern::LeftOut| {
        let field = fields.iter().flatten();
        let mut field =
            field.filter(|field| Some(field.path.as_str()) == condition.path.as_deref());
        let span = field
            .next()
            .map_or(0..rule.pattern().source().len(), |one| one.key.clone());
        let message = format!("Cloud Monitor cannot compare {}", condition.text);
        Diagnostic::error(Code::NOT_PORTABLE, rule.filter_span(&span), message)
            .with_help("export it to EventBridge, or leave such conditions out with --widen")
    };
    left_out.iter().map(refusal).collect()
}

fn pattern_request(pattern: &MonitorPattern) -> Value {
    let mut request = Map::new();
    request.insert("Product".to_owned(), pattern.product.as_str().into());
    if !pattern.names.is_empty() {
        request.insert("NameList".to_owned(), json!(pattern.names));
    }
    request.insert("LevelList".to_owned(), json!(any_if_empty(&pattern.levels)));
    request.insert(
        "EventTypeList".to_owned(),
        json!(any_if_empty(&pattern.types)),
    );
    if let Some(keyword) = &pattern.keyword {
        request.insert("CustomFilters".to_owned(), keyword.as_str().into());
    }
    request.into()
}

fn pattern_block(pattern: &MonitorPattern) -> Value {
    let mut block = json!({
        "product": escaped(&pattern.product),
        "level_list": any_if_empty(&pattern.levels),
        "event_type_list": any_if_empty(&pattern.types),
    });
    if !pattern.names.is_empty() {
        let names = pattern.names.iter().map(|name| escaped(name));
        block["name_list"] = names.collect();
    }
    if let Some(keyword) = &pattern.keyword {
        block["sql_filter"] = escaped(keyword).into();
    }
    block
}

/// `*` for a list without values: all of them.
fn any_if_empty(values: &[String]) -> Vec<String> {
    if values.is_empty() {
        vec!["*".to_owned()]
    } else {
        values.to_vec()
    }
}
