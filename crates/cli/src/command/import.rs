//! `reflexarc import`: the cloud's subscriptions become rule files.
#![allow(
    clippy::doc_markdown,
    reason = "help texts name actions of the API, and would show the backticks"
)]

pub(super) mod cloudmonitor;
mod document;
mod eventbridge;
mod iac;
mod json_layout;
pub(super) mod rule_draft;
mod target_draft;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use reflexarc::{FileDiagnostics, RuleSet};
use reflexarc_event::Json;
use reflexarc_pattern::PatternError;

use self::document::{Document, documents};
use self::rule_draft::RuleDraft;
use crate::exit::{Exit, Failure};
use crate::input::read_stdin;
use crate::output::{Output, Paint};

/// Arguments of `import`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Each rule or subscription becomes a rule file; targets with a message of their own get a rule \
file of their own. The rules name the targets, and their tables are printed as a start for \
reflexarc.toml. A disabled one has `enabled = false`. What is not imported is reported on \
stderr; a rule without a target that can be imported keeps its filter, disabled, with a comment \
that names its targets, for you to add a reaction. A filter that would match other events than in \
the cloud is not imported at all.

The files are responses, as the API or one of its SDKs returns them (`…Response.to_map()`), or \
requests. Give all pages of a list. `reflexarc help import iac` explains infrastructure code.

Exit codes:
  0 all imported
  1 some not imported, or without any target
  2 wrong usage
  3 the input is not a response of the API

Examples:
  aliyun eventbridge ListRules --EventBusName default > rules.json
  reflexarc import eventbridge rules.json targets.json --out rules
  aws events list-rules > aws-rules.json
  reflexarc import eventbridge aws-rules.json --targets ec2-stopped=aws-targets.json --out from-aws
  reflexarc import cloudmonitor rule-list.json --targets eni-alerts=alerts.json --out rules
  reflexarc import iac infrastructure --out from-code")]
pub(crate) struct Args {
    #[command(subcommand)]
    source: Source,
}

/// The kind of subscriptions.
#[derive(Debug, clap::Subcommand)]
enum Source {
    /// EventBridge of Alibaba Cloud and of AWS: ListRules, GetRule or DescribeRule, and targets
    Eventbridge {
        /// Responses of ListRules, GetRule, DescribeRule and ListTargets, or requests of
        /// CreateRule, in any order; `-` is stdin
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// The response of ListTargetsByRule of AWS for a rule, which it does not name itself
        #[arg(long, value_name = "RULE=FILE", value_parser = rule_and_file)]
        targets: Vec<(String, PathBuf)>,
        #[command(flatten)]
        destination: Destination,
    },
    /// Infrastructure code: CloudFormation, SAM, CDK output, Serverless Framework, Terraform
    #[command(after_help = IAC_HELP)]
    Iac {
        /// Templates (.yaml, .yml, .json, .template), Terraform (.tf, .tf.json), and what
        /// `terraform show -json` prints (.json); folders are searched
        #[arg(required = true, value_name = "PATH")]
        paths: Vec<PathBuf>,
        /// The value of a parameter, variable or attribute of a resource, such as `Stage`,
        /// `AWS::AccountId`, `Queue.Arn`, `opt:stage` or `aws_s3_bucket.logs.id`
        #[arg(long, value_name = "NAME=VALUE", value_parser = name_and_value)]
        set: Vec<(String, String)>,
        #[command(flatten)]
        destination: Destination,
    },
    /// Cloud Monitor: responses of DescribeEventRuleList and DescribeEventRuleTargetList
    Cloudmonitor {
        /// Responses of DescribeEventRuleList and DescribeEventRuleAttribute, or requests of
        /// PutEventRule and PutEventRuleTargets, in any order; `-` is stdin
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        /// The response of DescribeEventRuleTargetList for a rule, which it does not name itself
        #[arg(long, value_name = "RULE=FILE", value_parser = rule_and_file)]
        targets: Vec<(String, PathBuf)>,
        #[command(flatten)]
        destination: Destination,
    },
}

const IAC_HELP: &str = "\
Each rule with an event pattern becomes a rule file, disabled, with comments that say where it is \
from and what its targets were; patterns of AWS stay as they are, for `check --dialect aws` and \
`export --dialect aws`. Rules of Alibaba Cloud (alicloud_event_bridge_rule, \
alicloud_cms_event_rule) are converted as by `import eventbridge` and `import cloudmonitor`.

Functions are evaluated as far as their values are known: parameters and variables with defaults, \
locals, mappings, modules in the same folder. A pattern with a value that only the deployment has \
is not imported, unless --set gives it. Schedules are left out, and a faulty file is reported and \
does not stop the others.

Exit codes:
  0 all patterns imported
  1 some not imported, or faulty files
  2 wrong usage
  3 no rules found

Examples:
  reflexarc import iac template.yaml --set Bucket=reports --out from-code
  reflexarc import iac infrastructure --out from-code --force
  reflexarc check from-code --dialect aws";

/// Where the rule files are written.
#[derive(Debug, clap::Args)]
struct Destination {
    /// The folder for the rule files
    #[arg(long, default_value = "rules", value_name = "FOLDER")]
    out: PathBuf,
    /// Replace existing files
    #[arg(long)]
    force: bool,
}

/// The result of reading the responses.
#[derive(Debug, Default)]
struct Import {
    drafts: Vec<RuleDraft>,
    /// The names of subscriptions that cannot be imported, and why.
    skipped: Vec<(String, String)>,
    /// Filters that cannot be parsed.
    invalid_filters: Vec<FileDiagnostics>,
    /// What is missing from the input.
    incomplete: Vec<String>,
}

/// Imports subscriptions.
pub(crate) fn run(args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let (mut import, destination) = match &args.source {
        Source::Eventbridge {
            files,
            targets,
            destination,
        } => {
            let import = eventbridge::import(&read_all(files)?, &read_targets(targets)?)?;
            (import, destination)
        }
        Source::Iac {
            paths,
            set,
            destination,
        } => return iac::run(paths, &iac::Settings::new(set), destination, output),
        Source::Cloudmonitor {
            files,
            targets,
            destination,
        } => {
            let import = cloudmonitor::import(&read_all(files)?, &read_targets(targets)?)?;
            (import, destination)
        }
    };
    target_draft::resolve_names(&mut import.drafts);
    let import = skip_duplicate_names(import);
    write(&import, destination, output)?;
    for draft in &import.drafts {
        for omission in &draft.omissions {
            output.status(&format!("{}: {omission}", draft.name));
        }
    }
    report_skipped(&import, output);
    for what in &import.incomplete {
        output.error(what);
    }
    // A rule without targets is only a filter: no message would come of it.
    let is_complete = import.skipped.is_empty()
        && import.invalid_filters.is_empty()
        && import.incomplete.is_empty()
        && import.drafts.iter().all(|draft| !draft.targets.is_empty());
    Ok(if is_complete {
        Exit::Done
    } else {
        Exit::Negative
    })
}

/// Reports what is not imported.
fn report_skipped(import: &Import, output: &mut Output) {
    for invalid in &import.invalid_filters {
        output.diagnostics([invalid]);
    }
    for (name, reason) in &import.skipped {
        output.error(&format!("`{name}` is not imported: {reason}"));
    }
}

/// A name for a rule without one: the name of its file and its number there, such as `rules-2`.
fn name_by_place(file: &str, number: usize) -> String {
    let stem = Path::new(file)
        .file_stem()
        .map(|stem| stem.to_string_lossy());
    let stem = rule_draft::rule_name(stem.as_deref().unwrap_or_default());
    if stem.trim_matches('-').is_empty() {
        format!("rule-{number}")
    } else {
        format!("{stem}-{number}")
    }
}

/// Skips rules whose file name another rule has already: `a b` and `a-b` are both `a-b.toml`.
fn skip_duplicate_names(mut import: Import) -> Import {
    let mut names = BTreeSet::new();
    for draft in std::mem::take(&mut import.drafts) {
        if names.insert(draft.name.clone()) {
            import.drafts.push(draft);
        } else {
            let reason = format!("another rule has the file name {}.toml", draft.name);
            import.skipped.push((draft.description, reason));
        }
    }
    import
}

/// Writes all rule files, after checking that all of them compile and none of them exists. So a run
/// that fails leaves no files.
fn write(import: &Import, destination: &Destination, output: &mut Output) -> Result<(), Failure> {
    let files: Vec<(String, String)> = import
        .drafts
        .iter()
        .map(|draft| (format!("{}.toml", draft.name), draft.to_toml()))
        .collect();
    RuleSet::compile(files.clone())?;
    let mut paths = files.iter().map(|(name, _)| destination.out.join(name));
    let existing = paths.find(|path| path.exists() && !destination.force);
    if let Some(existing) = existing {
        let message = format!("{} exists already; --force replaces it", existing.display());
        return Err(Failure::Usage(message));
    }
    let failed = |path: &Path, error: std::io::Error| {
        Failure::Runtime(format!("{}: {error}", path.display()))
    };
    std::fs::create_dir_all(&destination.out).map_err(|error| failed(&destination.out, error))?;
    for (name, text) in &files {
        let path = destination.out.join(name);
        std::fs::write(&path, text).map_err(|error| failed(&path, error))?;
        // A comment, so that the whole output can be redirected into reflexarc.toml.
        let path = output.paint(Paint::Bold, path.display());
        output.line(format_args!("# wrote {path}"))?;
    }
    // Several rules may notify one target.
    let mut printed = BTreeSet::new();
    for target in import.drafts.iter().flat_map(|draft| &draft.targets) {
        if printed.insert(&target.name) {
            output.line("")?;
            output.line(target.to_toml())?;
        }
    }
    Ok(())
}

/// A filter that is invalid, with what is wrong.
fn invalid_filter(name: String, text: String, error: PatternError) -> FileDiagnostics {
    FileDiagnostics {
        name,
        text,
        diagnostics: error.into_diagnostics(),
    }
}

fn read_all(files: &[PathBuf]) -> Result<Vec<Document>, Failure> {
    let mut found = Vec::new();
    for file in files {
        found.append(&mut documents(&file.display().to_string(), read(file)?)?);
    }
    Ok(found)
}

fn read_targets(targets: &[(String, PathBuf)]) -> Result<Vec<(String, Vec<Document>)>, Failure> {
    let read_one = |(rule, file): &(String, PathBuf)| {
        let found = documents(&file.display().to_string(), read(file)?)?;
        Ok((rule.clone(), found))
    };
    targets.iter().map(read_one).collect()
}

fn read(path: &Path) -> Result<Json, Failure> {
    let name = path.display();
    let bytes = if path.as_os_str() == "-" {
        read_stdin()?.into_bytes()
    } else {
        std::fs::read(path).map_err(|error| Failure::Usage(format!("{name}: {error}")))?
    };
    Json::parse(&bytes).map_err(|error| Failure::Invalid(format!("{name}: {error}")))
}

fn name_and_value(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.trim().to_owned(), value.to_owned()))
}

fn rule_and_file(text: &str) -> Result<(String, PathBuf), String> {
    let (rule, file) = text.split_once('=').ok_or("expected RULE=FILE")?;
    Ok((rule.to_owned(), PathBuf::from(file)))
}
