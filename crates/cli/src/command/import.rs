//! `reflexarc import`: subscriptions of the cloud become rule files.
#![allow(
    clippy::doc_markdown,
    reason = "help texts name actions of the API, and would show the backticks"
)]

mod cloudmonitor;
mod eventbridge;
mod rule_text;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use reflexarc::RuleSet;
use reflexarc_diagnostic::FileDiagnostics;
use reflexarc_event::Json;

use self::rule_text::Draft;
use crate::exit::{Exit, Failure};
use crate::output::{Output, Paint};

/// Arguments of `import`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
One rule file is written for each rule or subscription, and one more for each target that was told something of its own;
`notify` names the targets, and what they are is printed as a beginning of reflexarc.toml. What did not carry over is said on stderr. A filter that would match
something else here than there is not imported at all.

Exit codes: 0 all imported · 1 some were not · 2 wrong usage · 3 the input is not what the API answers

Examples:
  aliyun eventbridge ListRules --EventBusName default > rules.json
  reflexarc import eventbridge rules.json targets.json --out rules
  reflexarc import cloudmonitor rule-list.json --targets eni-alerts=targets.json --out rules")]
pub(crate) struct Args {
    #[command(subcommand)]
    from: From,
}

/// Where from.
#[derive(Debug, clap::Subcommand)]
enum From {
    /// Alibaba Cloud EventBridge: the answers of ListRules, and of ListTargets
    Eventbridge {
        /// The answers, in any order
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
        #[command(flatten)]
        to: To,
    },
    /// Cloud Monitor: the answer of DescribeEventRuleList, and of DescribeEventRuleTargetList for each rule
    Cloudmonitor {
        /// The answer of DescribeEventRuleList
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The answer of DescribeEventRuleTargetList for a rule, which does not say itself for which
        #[arg(long, value_name = "RULE=FILE", value_parser = rule_and_file)]
        targets: Vec<(String, PathBuf)>,
        #[command(flatten)]
        to: To,
    },
}

/// Where to.
#[derive(Debug, clap::Args)]
struct To {
    /// The folder for the rule files
    #[arg(long, default_value = "rules", value_name = "FOLDER")]
    out: PathBuf,
    /// Replace files that are there
    #[arg(long)]
    force: bool,
}

/// What came of the input.
#[derive(Debug, Default)]
struct Import {
    drafts: Vec<Draft>,
    /// Names of what was not imported, and why.
    refused: Vec<(String, String)>,
    /// Filters that cannot be read, with their text.
    broken: Vec<FileDiagnostics>,
}

/// Imports.
pub(crate) fn run(args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let (import, to) = match &args.from {
        From::Eventbridge { files, to } => {
            let answers = files
                .iter()
                .map(|file| read(file))
                .collect::<Result<Vec<_>, _>>()?;
            (eventbridge::import(&answers)?, to)
        }
        From::Cloudmonitor { file, targets, to } => {
            let targets = targets
                .iter()
                .map(|(rule, file)| Ok((rule.clone(), read(file)?)));
            (
                cloudmonitor::import(&read(file)?, &targets.collect::<Result<Vec<_>, Failure>>()?)?,
                to,
            )
        }
    };
    let import = distinct(import);
    write(&import, to, output)?;
    for draft in &import.drafts {
        for loss in &draft.losses {
            output.status(&format!("{}: {loss}", draft.name));
        }
    }
    for broken in &import.broken {
        output.diagnostics([broken]);
    }
    for (name, why) in &import.refused {
        output.error(&format!("{name} was not imported: {why}"));
    }
    let all = import.refused.is_empty() && import.broken.is_empty();
    Ok(if all { Exit::Done } else { Exit::Negative })
}

/// Two rules whose names make one file name: the first has it.
fn distinct(mut import: Import) -> Import {
    let mut names = BTreeSet::new();
    for draft in std::mem::take(&mut import.drafts) {
        if names.insert(draft.name.clone()) {
            import.drafts.push(draft);
        } else {
            let why = format!("another rule is written to {}.toml already", draft.name);
            import.refused.push((draft.description, why));
        }
    }
    import
}

/// Writes nothing unless everything can be written, and every rule compiles.
fn write(import: &Import, to: &To, output: &mut Output) -> Result<(), Failure> {
    let texts: Vec<(String, String)> = import
        .drafts
        .iter()
        .map(|draft| (format!("{}.toml", draft.name), draft.to_toml()))
        .collect();
    RuleSet::compile(texts.clone())?;
    let there = texts
        .iter()
        .map(|(name, _)| to.out.join(name))
        .find(|path| path.exists());
    if let Some(there) = there.filter(|_| !to.force) {
        return Err(Failure::Usage(format!(
            "{} is there already; --force replaces it",
            there.display()
        )));
    }
    let failed = |path: &Path, error: std::io::Error| {
        Failure::Runtime(format!("{}: {error}", path.display()))
    };
    std::fs::create_dir_all(&to.out).map_err(|error| failed(&to.out, error))?;
    for (name, text) in &texts {
        let path = to.out.join(name);
        std::fs::write(&path, text).map_err(|error| failed(&path, error))?;
        let path = output.paint(Paint::Bold, path.display());
        output.line(format_args!("# wrote {path}"))?;
    }
    // Rules may share a target.
    let mut said = BTreeSet::new();
    for target in import.drafts.iter().flat_map(|draft| &draft.targets) {
        if said.insert(target) {
            output.line("")?;
            output.line(target)?;
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<Json, Failure> {
    let name = path.display();
    let bytes = std::fs::read(path).map_err(|error| Failure::Usage(format!("{name}: {error}")))?;
    Json::parse(&bytes).map_err(|error| Failure::Invalid(format!("{name}: {error}")))
}

fn rule_and_file(text: &str) -> Result<(String, PathBuf), String> {
    let (rule, file) = text.split_once('=').ok_or("write it as RULE=FILE")?;
    Ok((rule.to_owned(), PathBuf::from(file)))
}

/// The texts of a list.
fn texts(list: &Json) -> impl Iterator<Item = &str> {
    list.elements().iter().filter_map(Json::as_str)
}

/// A text member, empty where there is none.
fn text<'a>(json: &'a Json, key: &str) -> &'a str {
    json.get(key).and_then(Json::as_str).unwrap_or_default()
}

/// A member within members.
fn at<'a>(json: &'a Json, path: &[&str]) -> &'a Json {
    path.iter()
        .fold(json, |json, key| json.get(key).unwrap_or(&Json::Null))
}
