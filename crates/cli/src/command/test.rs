//! `reflexarc test`: run the tests in rule files.

use std::path::PathBuf;

use reflexarc::{RuleReport, RuleSet, update_tests};

use crate::exit::{Exit, Failure};
use crate::input::load_rules;
use crate::output::rewrite::rewrite;
use crate::output::{Format, Output, junit, tests};
use crate::rule_warnings;

/// Arguments of `test`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Each rule is tested on its own, with a virtual clock that starts at `clock`, or at the time of \
the test's first event.

Exit codes:
  0 all tests passed
  1 a test failed, or --coverage is incomplete
  3 invalid rules

Examples:
  reflexarc test rules
  reflexarc test rules --coverage
  reflexarc test rules --filter \"a failed attach\" --format junit > report.xml")]
pub(crate) struct Args {
    /// Rule files or folders, searched recursively; `-` is stdin [default: rules]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Only tests whose name or rule name contains this text
    #[arg(long, value_name = "TEXT", default_value = "")]
    filter: String,
    /// Report what is not covered: each test of a field in `when` and in the filters of a time
    /// window must be true once and false once, each line of `then`, `resolved` and `answered` must
    /// run, and a match must have fired, not fired and been resolved
    #[arg(long)]
    coverage: bool,
    /// Update the expected `actions` of failed tests with the actual ones
    #[arg(long)]
    update: bool,
    /// Output format
    #[arg(long, value_enum, default_value_t)]
    format: TestFormat,
}

/// Format of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
enum TestFormat {
    /// Text for people.
    #[default]
    Human,
    /// One JSON document.
    Json,
    /// One JSON document per line, one for each rule.
    Ndjson,
    /// `JUnit` XML, for continuous integration.
    Junit,
}

/// Runs the tests.
pub(crate) fn run(args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    if args.update && args.paths.iter().any(|path| path.as_os_str() == "-") {
        return Err(Failure::Usage(
            "--update rewrites files; it cannot rewrite stdin".to_owned(),
        ));
    }
    let mut rules = load_rules(&args.paths)?;
    rule_warnings::draw(&rules, output);
    rule_warnings::draw_emptiness(&rules, output);
    let mut reports = rules.test(&args.filter);
    if args.update && update(&rules, &reports, output)? > 0 {
        // Tests can fail in more than their actions, so the rewritten files are tested again.
        rules = load_rules(&args.paths)?;
        reports = rules.test(&args.filter);
    }
    match args.format {
        TestFormat::Human => tests::print(&reports, args.coverage, output)?,
        TestFormat::Json | TestFormat::Ndjson => {
            let format = if args.format == TestFormat::Json {
                Format::Json
            } else {
                Format::Ndjson
            };
            output.begin(format)?;
            for report in &reports {
                output.element(format, &tests::json(report))?;
            }
            output.end(format)?;
        }
        TestFormat::Junit => output.bytes(junit::report(&reports, args.coverage)?.as_bytes())?,
    }
    let passed = reports
        .iter()
        .flat_map(|report| &report.tests)
        .all(reflexarc::TestReport::passed);
    let covered = !args.coverage || reports.iter().all(|report| report.coverage.is_full());
    Ok(if passed && covered {
        Exit::Done
    } else {
        Exit::Negative
    })
}

/// Rewrites the rule files with failed `actions`, and returns their number.
fn update(rules: &RuleSet, reports: &[RuleReport], output: &mut Output) -> Result<usize, Failure> {
    let mut updated = 0;
    for report in reports {
        let Some(rule) = rules.get(&report.rule) else {
            continue;
        };
        if let Some(text) = update_tests(rule, report) {
            rewrite(&report.file, &text)?;
            output.status(&format!("updated {}", report.file));
            updated += 1;
        }
    }
    Ok(updated)
}
