//! `reflexarc check`: check rule files, or events.

mod events;
mod fix;

use std::path::{Path, PathBuf};

use reflexarc::{Rule, RuleSet};
use reflexarc_delivery::config::TargetConfig;
use reflexarc_diagnostic::{
    Code, Diagnostic, FileDiagnostics, InvalidFiles, Severity, remove_allowed,
};
use reflexarc_pattern::Dialect;
use reflexarc_service::{check_calls, check_targets};

use crate::config_args::{load_with_blank_secrets, load_without_secrets};
use crate::exit::{Exit, Failure};
use crate::input::{load_rules, with_warnings_of_valid};
use crate::output::calls::CallList;
use crate::output::findings::{Finding, FindingsFormat, FindingsWriter};
use crate::output::text::plural;
use crate::output::{Format, Output};
use crate::rule_warnings;

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
After the findings it lists the operations that enabled rules can call, and the disabled rules.

With --events, reports what looks wrong in events: unknown names and operations, contradictions, \
malformed addresses and times, masked values. Events are read as `run` reads them; several of \
them in one file are reported with their lines. Hints never change the exit code.

Exit codes:
  0 no errors (warnings are allowed)
  1 with --dialect: some filters are not portable; with --diff: there are fixes; with --fix: fixes
    are left after many rounds
  3 invalid rules, or warnings with --deny-warnings
  4 with --events: some events could not be read (the others were checked)

Examples:
  reflexarc check rules
  reflexarc check rules --dialect aws            what would AWS EventBridge reject?
  reflexarc check rules --config reflexarc.toml   does every target exist?
  reflexarc check rules --calls --format json     what can the rules call?
  reflexarc check rules --fix                    apply the fixes
  reflexarc check rules --allow RA0214           without this hint
  reflexarc check rules --format sarif > reflexarc.sarif
  reflexarc check --events examples/eni-events.ndjson
  reflexarc check - < rules/failed-operation.toml")]
#[allow(
    clippy::struct_excessive_bools,
    reason = "the flags of a command are independent of each other"
)]
pub(crate) struct Args {
    /// Rule files or folders, searched recursively; `-` is stdin [default: rules]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// PATH names events instead of rules: NDJSON, a JSON array or JSON documents, optionally
    /// compressed with gzip or zstd; `-` is stdin [default: stdin]
    #[arg(long, conflicts_with = "dialect")]
    events: bool,
    /// Also check whether another service accepts the filters: aws, alibaba
    #[arg(long, value_name = "NAME")]
    dialect: Option<Dialect>,
    /// Also check that this configuration has every target that the rules name, and allows the
    /// operations that they call; without PATH, check its rules
    #[arg(long, value_name = "FILE", conflicts_with = "events")]
    config: Option<PathBuf>,
    /// List only the operations that the rules can call: with --config, also how their targets
    /// treat them
    #[arg(long, conflicts_with_all = ["events", "dialect", "fix"])]
    calls: bool,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    format: FindingsFormat,
    /// Treat warnings as errors
    #[arg(long)]
    deny_warnings: bool,
    /// Do not report warnings and hints with these codes; a rule file has the key `allow` for it
    #[arg(long, value_name = "CODE", value_delimiter = ',')]
    allow: Vec<Code>,
    /// Apply the fixes of findings to the rule files, with --dialect also those for the service,
    /// then check the files again
    #[arg(long, conflicts_with = "events")]
    fix: bool,
    /// With --fix: change nothing; print the fixes as a diff
    #[arg(long, requires = "fix")]
    diff: bool,
}

/// Checks the rules or the events.
pub(crate) fn run(args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    if args.fix {
        let paths = fixed_paths(&args.paths)?;
        let mode = if args.diff {
            fix::Mode::Diff
        } else {
            fix::Mode::Write
        };
        let dialect = args
            .dialect
            .filter(|dialect| *dialect != Dialect::Reflexarc);
        let outcome = fix::run(&paths, mode, (dialect, &args.allow), output)?;
        if args.diff && outcome.fixes > 0 {
            return Ok(Exit::Negative);
        }
        if outcome.is_unfinished {
            let exit = check_rules(args, output)?;
            return Ok(if exit == Exit::Done {
                Exit::Negative
            } else {
                exit
            });
        }
    }
    if args.events {
        events::run(args, output)
    } else {
        check_rules(args, output)
    }
}

/// The rule files and folders to fix.
fn fixed_paths(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    if paths.iter().any(|path| path.as_os_str() == "-") {
        return Err(Failure::Usage(
            "--fix rewrites files; it cannot rewrite stdin".to_owned(),
        ));
    }
    Ok(if paths.is_empty() {
        vec![PathBuf::from("rules")]
    } else {
        paths.to_vec()
    })
}

fn check_rules(args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    // A rule set loads as a whole or not at all, so dialects are checked only if there are no
    // errors.
    let config = args.config.as_deref().map(load_without_secrets);
    let config = config.transpose()?;
    let paths = match &config {
        Some(config) if args.paths.is_empty() => &config.rule_paths,
        _ => &args.paths,
    };
    let loaded = match load_rules(paths) {
        Err(Failure::Rules(files)) => Err(files),
        loaded => Ok(loaded?),
    };
    let (count, mut files) = match &loaded {
        Ok(rules) => (Some(rules.len()), rules.warnings().to_vec()),
        Err(files) => (None, with_warnings_of_valid(files.clone(), paths)),
    };
    let targets = args.config.as_deref().map(call_targets).unwrap_or_default();
    if args.calls
        && let Ok(rules) = &loaded
    {
        return list_calls(rules, &targets, args.format, output);
    }
    let unknown_targets = match (&loaded, &config) {
        (Ok(rules), Some(config)) => {
            files.extend(check_calls(rules, &targets));
            check_targets(rules, &config.known_targets).err()
        }
        _ => None,
    };
    let is_refused = unknown_targets.is_some();
    files.extend(
        unknown_targets
            .into_iter()
            .flat_map(InvalidFiles::into_files),
    );
    let mut portable = true;
    if let Ok(rules) = &loaded {
        let is_hint = |found: &Diagnostic| found.severity == Severity::Hint;
        files.extend(check_filters(rules, Dialect::Reflexarc, is_hint));
        if let Some(dialect) = args
            .dialect
            .filter(|dialect| *dialect != Dialect::Reflexarc)
        {
            let found = check_filters(rules, dialect, |_| true);
            portable = !found.iter().any(FileDiagnostics::has_errors);
            files.extend(found);
        }
    }
    if let Ok(rules) = &loaded {
        files.extend(rules.overlaps());
    }
    for file in &mut files {
        remove_allowed(&mut file.diagnostics, |code| args.allow.contains(&code));
    }
    let mut writer = FindingsWriter::new(args.format);
    for file in &files {
        for diagnostic in &file.diagnostics {
            let finding = Finding {
                file: &file.name,
                first_line: 1,
                text: &file.text,
                diagnostic,
            };
            writer.write(&finding, output)?;
        }
    }
    let counts = writer.finish(output)?;
    if let Ok(rules) = &loaded {
        rule_warnings::draw_emptiness(rules, output);
    }
    if let (FindingsFormat::Human, Ok(rules)) = (args.format, &loaded) {
        let disabled = rules.rules().filter(|rule| !rule.enabled());
        let disabled: Vec<_> = disabled.map(Rule::name).collect();
        if !disabled.is_empty() {
            output.line(format_args!("disabled: {}", disabled.join(", ")))?;
        }
        for line in CallList::of(rules).lines(&targets) {
            output.line(line)?;
        }
    }
    if args.format == FindingsFormat::Human {
        let rules = count.map_or_else(String::new, |count| {
            format!("{}: ", plural(count as u64, "rule"))
        });
        output.line(format_args!("{rules}{counts}"))?;
    }
    // Errors of another dialect are not errors of the rules: they only make the result negative.
    Ok(
        if loaded.is_err() || is_refused || args.deny_warnings && counts.warnings > 0 {
            Exit::Invalid
        } else if portable {
            Exit::Done
        } else {
            Exit::Negative
        },
    )
}

/// The targets of a configuration that take calls, which are never used here. None where one of
/// them needs a secret to be read: then nothing is known of what it allows.
fn call_targets(path: &Path) -> Vec<TargetConfig> {
    load_with_blank_secrets(path).map_or_else(|_| Vec::new(), |config| config.queues)
}

fn list_calls(
    rules: &RuleSet,
    targets: &[TargetConfig],
    format: FindingsFormat,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let calls = CallList::of(rules);
    let format = match format {
        FindingsFormat::Human => {
            for line in calls.lines(targets) {
                output.line(line)?;
            }
            return Ok(Exit::Done);
        }
        FindingsFormat::Json => Format::Json,
        FindingsFormat::Ndjson => Format::Ndjson,
        FindingsFormat::Sarif | FindingsFormat::Github => {
            let message = "--calls has no findings; use --format human, json or ndjson";
            return Err(Failure::Usage(message.to_owned()));
        }
    };
    output.begin(format)?;
    for call in calls.to_json(targets) {
        output.element(format, &call)?;
    }
    output.end(format)?;
    Ok(Exit::Done)
}

/// The diagnostics of a dialect about the filters of the rules, as far as `wanted` keeps them.
fn check_filters(
    rules: &RuleSet,
    dialect: Dialect,
    wanted: impl Fn(&Diagnostic) -> bool,
) -> Vec<FileDiagnostics> {
    let check_rule = |rule: &Rule| {
        let mut diagnostics = rule.check(dialect);
        diagnostics.retain(&wanted);
        let file = FileDiagnostics {
            name: rule.file().to_owned(),
            text: rule.text().to_owned(),
            diagnostics,
        };
        (!file.diagnostics.is_empty()).then_some(file)
    };
    rules.rules().filter_map(check_rule).collect()
}
