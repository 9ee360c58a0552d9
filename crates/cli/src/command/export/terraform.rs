//! `reflexarc export terraform`: resources as a document in JSON syntax.

use reflexarc_pattern::Dialect;
use serde_json::{Map, Value, json};

use super::eventbridge::{self, EventRule, EventTarget, Parameter};
use super::names::{NameStyle, Names};
use super::secret_text::{Variables, escaped};
use super::selection::{self, Selection};
use super::{cloudmonitor, print};
use crate::exit::{Exit, Failure};
use crate::output::Output;

/// Arguments of `export terraform`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    selection: selection::SelectionArgs,
    /// Cloud: alibaba, aws
    #[arg(long, value_name = "NAME", default_value = "alibaba", value_parser = cloud)]
    dialect: Dialect,
    /// Service of Alibaba Cloud
    #[arg(long, value_enum, default_value_t)]
    service: AlibabaService,
    /// With --service cloudmonitor: leave out conditions that it does not have
    #[arg(long)]
    widen: bool,
    /// Event bus
    #[arg(long, value_name = "NAME", default_value = "default")]
    bus: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
enum AlibabaService {
    #[default]
    Eventbridge,
    Cloudmonitor,
}

/// Writes the document.
pub(super) fn run(args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let is_monitor = args.service == AlibabaService::Cloudmonitor;
    if args.dialect == Dialect::Aws && is_monitor {
        let message = "--service is for --dialect alibaba".to_owned();
        return Err(Failure::Usage(message));
    }
    if args.widen && !is_monitor {
        return Err(Failure::Usage(
            "--widen needs --service cloudmonitor".to_owned(),
        ));
    }
    let mut selection = Selection::load(&args.selection)?;
    let mut variables = Variables::default();
    let mut names = Names::default();
    let mut resources = Map::new();
    let kind = match args.dialect {
        Dialect::Aws => "aws_cloudwatch_event_rule",
        _ if is_monitor => "alicloud_cms_event_rule",
        _ => "alicloud_event_bridge_rule",
    };
    if is_monitor {
        for rule in cloudmonitor::rules(&mut selection, args.widen, output) {
            let name = names.give(&rule.name, NameStyle::TerraformResource);
            resources.insert(name, cloudmonitor::resource(&rule, &mut variables));
        }
    } else {
        for rule in eventbridge::rules(&mut selection, &args.bus, args.dialect, output) {
            let resource = match args.dialect {
                Dialect::Aws => aws_rule(&rule),
                _ => alibaba_rule(&rule, &mut variables),
            };
            if args.dialect != Dialect::Aws && rule.targets.is_empty() {
                output.status(&format!(
                    "{}: terraform needs at least one block `targets`; give --config or --to",
                    rule.name
                ));
            }
            resources.insert(
                names.give(&rule.name, NameStyle::TerraformResource),
                resource,
            );
        }
    }
    let mut document = json!({ "resource": { kind: resources } });
    let blocks = variables.blocks();
    if !blocks.is_empty() {
        document["variable"] = blocks.into();
    }
    print(&document, output)?;
    Ok(selection.exit())
}

fn aws_rule(rule: &EventRule) -> Value {
    json!({
        "name": rule.name,
        "description": escaped(&rule.description),
        "event_bus_name": escaped(&rule.bus),
        "event_pattern": escaped(&rule.pattern),
        "state": if rule.enabled { "ENABLED" } else { "DISABLED" },
    })
}

fn alibaba_rule(rule: &EventRule, variables: &mut Variables) -> Value {
    let targets: Vec<Value> = rule
        .targets
        .iter()
        .map(|target| alibaba_target(target, variables))
        .collect();
    json!({
        "event_bus_name": escaped(&rule.bus),
        "rule_name": rule.name,
        "description": escaped(&rule.description),
        "filter_pattern": escaped(&rule.pattern),
        "status": if rule.enabled { "ENABLE" } else { "DISABLE" },
        "targets": targets,
    })
}

fn alibaba_target(target: &EventTarget, variables: &mut Variables) -> Value {
    let parameters = target.parameters.iter().map(|parameter| match parameter {
        Parameter::Constant(key, value) => json!({
            "resource_key": key, "form": "CONSTANT", "value": value.with_variables(variables),
        }),
        Parameter::Original(key) => json!({ "resource_key": key, "form": "ORIGINAL" }),
        Parameter::Path(key, path) => {
            json!({ "resource_key": key, "form": "JSONPATH", "value": escaped(path) })
        }
        Parameter::Transformed(key, made) => {
            let request = made.parameter(key);
            let mut parameter = json!({ "resource_key": key, "form": request["Form"] });
            for (from, to) in [("Value", "value"), ("Template", "template")] {
                if let Some(text) = request[from].as_str() {
                    parameter[to] = escaped(text).into();
                }
            }
            parameter
        }
    });
    let parameters: Vec<Value> = parameters.collect();
    // The provider requires an endpoint. Mail has none; its sender is shown by the console.
    let endpoint = target.endpoint.as_ref();
    let endpoint = endpoint.map_or_else(String::new, |text| text.with_variables(variables));
    json!({
        "target_id": target.id,
        "type": target.kind,
        "endpoint": endpoint,
        "push_retry_strategy": target.retry,
        "param_list": parameters,
    })
}

fn cloud(name: &str) -> Result<Dialect, String> {
    match name {
        "alibaba" => Ok(Dialect::Alibaba),
        "aws" => Ok(Dialect::Aws),
        _ => Err("expected alibaba or aws".to_owned()),
    }
}
