//! `reflexarc fmt`: format the filters in rule files.

use std::path::PathBuf;

use reflexarc::format_rule;

use crate::exit::{Exit, Failure};
use crate::input::load_rules;
use crate::output::rewrite::rewrite;
use crate::output::text::plural;
use crate::output::{Output, diff};

/// Arguments of `fmt`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Only `when` is rewritten, in its own notation; everything else stays unchanged. Comments stay \
beside the part of the filter that they follow. A rule on stdin is printed formatted on stdout.

Exit codes:
  0 done
  1 with --check or --diff: some files are not formatted
  3 invalid rules

Examples:
  reflexarc fmt rules
  reflexarc fmt rules --check
  reflexarc fmt - < rules/failed-operation.toml     print the formatted rule")]
pub(crate) struct Args {
    /// Rule files or folders, searched recursively; `-` is stdin [default: rules]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Change nothing; list the files that are not formatted
    #[arg(long)]
    check: bool,
    /// Change nothing; print the changes as a diff
    #[arg(long)]
    diff: bool,
}

/// Formats the rule files, or reports those that are not formatted.
pub(crate) fn run(args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let stdin = args.paths.iter().any(|path| path.as_os_str() == "-");
    if stdin && args.paths.len() > 1 {
        return Err(Failure::Usage(
            "`-` prints one rule on stdout; remove the other paths".to_owned(),
        ));
    }
    // Only valid rules are formatted: rewriting a filter that does not parse could lose its text.
    let rules = load_rules(&args.paths)?;
    let mut changed = 0;
    for rule in rules.rules() {
        let formatted = format_rule(rule.file(), rule.text())?;
        if stdin && !args.check && !args.diff {
            output.bytes(formatted.as_bytes())?;
            return Ok(Exit::Done);
        }
        if formatted == rule.text() {
            continue;
        }
        changed += 1;
        if args.diff {
            diff::print(rule.file(), rule.text(), &formatted, output)?;
        } else if args.check {
            output.line(format_args!("{} is not formatted", rule.file()))?;
        } else {
            rewrite(rule.file(), &formatted)?;
            output.line(format_args!("formatted {}", rule.file()))?;
        }
    }
    if args.check || args.diff {
        return Ok(if changed > 0 {
            Exit::Negative
        } else {
            Exit::Done
        });
    }
    output.line(format_args!(
        "formatted {} of {}",
        changed,
        plural(rules.len() as u64, "rule")
    ))?;
    Ok(Exit::Done)
}
