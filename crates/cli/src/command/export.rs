//! `reflexarc export`: rules for other services.
#![allow(
    clippy::doc_markdown,
    reason = "help texts name actions of the API, and would show the backticks"
)]

mod cloudmonitor;
mod eventbridge;
mod filters;
mod limits;
mod message;
mod names;
mod rule_keys;
mod secret_text;
mod selection;
mod send_script;
mod targets;
mod terraform;

pub(super) use message::is_default_body;

use reflexarc_pattern::Dialect;

use self::limits::LIMITS;
use self::selection::Selection;
use crate::exit::{Exit, Failure};
use crate::output::Output;

/// Arguments of `export`.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "\
A filter that the other service would reject is not printed; stderr shows why. Of a rule with a \
time window, the events of all its filters are selected. For Alibaba Cloud, filters are converted \
to the CloudEvents that it delivers: `name` is `type`, `content` is `data`.

`eventbridge`, `cloudmonitor` and `terraform` export whole rules: filter, targets, whether they \
are enabled. A filter that the service cannot have as one becomes several rules NAME-1, NAME-2 and \
so on. stderr says of each rule what is not exported, such as scripts. Secrets are never printed.

Exit codes:
  0 exported
  1 at least one filter cannot be exported
  3 invalid rules

Examples:
  reflexarc export --dialect alibaba --rule stuck-detaching
  reflexarc export rules --dialect aws --format ndjson
  reflexarc export eventbridge rules --config reflexarc.toml > requests.json
  reflexarc export terraform rules --to https://alerts.example.com/events > rules.tf.json"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    service: Option<Service>,
    #[command(flatten)]
    filters: filters::FilterArgs,
}

/// What whole rules are exported to.
#[derive(Debug, clap::Subcommand)]
enum Service {
    /// Requests of CreateRule of Alibaba Cloud EventBridge, as a JSON array
    #[command(after_help = EVENTBRIDGE_HELP)]
    Eventbridge(EventBridgeArgs),
    /// Requests of PutEventRule and PutEventRuleTargets of Cloud Monitor, as a JSON array
    #[command(after_help = CLOUDMONITOR_HELP)]
    Cloudmonitor(cloudmonitor::Args),
    /// Resources of Terraform, as a document for a file *.tf.json
    #[command(after_help = TERRAFORM_HELP)]
    Terraform(terraform::Args),
}

const EVENTBRIDGE_HELP: &str = "\
Each element is a request as the official SDKs take it (`CreateRuleRequest().from_map(element)`). \
Without --config, targets are left out; with --to, all events go to one address, such as a running \
service, and the rules react there. A secret is printed as a placeholder that names it.

Examples:
  reflexarc export eventbridge rules --config reflexarc.toml
  reflexarc export eventbridge --rule silence-check --to https://alerts.example.com/events";

const CLOUDMONITOR_HELP: &str = "\
Each element has the members PutEventRule and PutEventRuleTargets, requests as the official SDKs \
take them. Cloud Monitor compares product, name, level, type and application group of events; a \
filter with other conditions is not exported, or with --widen without them. Mailboxes and chats \
become contact groups of the same name; `every` of `throttle` is the mute time.

Examples:
  reflexarc export cloudmonitor --rule silence-check
  reflexarc export cloudmonitor rules --widen --to https://alerts.example.com/events";

const TERRAFORM_HELP: &str = "\
Writes alicloud_event_bridge_rule, with --service cloudmonitor alicloud_cms_event_rule, and with \
--dialect aws aws_cloudwatch_event_rule without targets. Secrets become sensitive variables.

Examples:
  reflexarc export terraform rules --config reflexarc.toml > rules.tf.json
  reflexarc export terraform rules --dialect aws > rules.tf.json";

/// Arguments of `export eventbridge`.
#[derive(Debug, clap::Args)]
struct EventBridgeArgs {
    #[command(flatten)]
    selection: selection::SelectionArgs,
    /// Event bus
    #[arg(long, value_name = "NAME", default_value = "default")]
    bus: String,
}

/// Exports filters or rules.
pub(crate) fn run(args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    match &args.service {
        None => filters::run(&args.filters, output),
        Some(Service::Eventbridge(args)) => {
            let mut selection = Selection::load(&args.selection)?;
            let rules = eventbridge::rules(&mut selection, &args.bus, Dialect::Alibaba, output);
            let requests: Vec<_> = rules.iter().map(eventbridge::request).collect();
            print(&requests.into(), output)?;
            Ok(selection.exit())
        }
        Some(Service::Cloudmonitor(args)) => {
            let mut selection = Selection::load(&args.selection)?;
            let rules = cloudmonitor::rules(&mut selection, args.widen, output);
            let requests: Vec<_> = rules.iter().map(cloudmonitor::request).collect();
            print(&requests.into(), output)?;
            Ok(selection.exit())
        }
        Some(Service::Terraform(args)) => terraform::run(args, output),
    }
}

/// Prints a document with line breaks, for people to read and to keep in version control.
fn print(document: &serde_json::Value, output: &mut Output) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(document);
    output.line(text.map_err(|error| Failure::Runtime(error.to_string()))?)
}
