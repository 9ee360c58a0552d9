//! `reflexarc convert`: convert a filter to the other notation.

use reflexarc_pattern::Dialect;

use crate::exit::{Exit, Failure};
use crate::filter_argument;
use crate::input::read_stdin;
use crate::output::Output;

/// Arguments of `convert`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  reflexarc convert 'content.result == \"failed\"'
  reflexarc convert '{\"content\": {\"result\": [\"failed\"]}}'
  aws events describe-rule --name r --query EventPattern --output text \\
      | reflexarc convert --dialect aws -")]
pub(crate) struct Args {
    /// Filter, in either notation; `-` is stdin
    filter: String,
    /// Notation to print [default: the one that the filter is not written in]
    #[arg(long, value_enum)]
    notation: Option<Notation>,
    /// Deprecated: --notation
    #[arg(long, value_enum, hide = true, conflicts_with = "notation")]
    to: Option<Notation>,
    /// Language that the filter is written in: reflexarc, aws, alibaba
    #[arg(long, default_value_t, value_name = "NAME")]
    dialect: Dialect,
}

/// Notation of a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Notation {
    /// `{"name": ["x"]}`
    Json,
    /// `name == "x"`
    Expression,
}

/// Converts the filter.
pub(crate) fn run(args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let text = if args.filter == "-" {
        read_stdin()?
    } else {
        args.filter.clone()
    };
    let pattern = if args.filter == "-" {
        filter_argument::parse(&text, args.dialect, output)?
    } else {
        filter_argument::parse_argument(&text, &[], args.dialect, output)?
    };
    let other = if text.trim_start().starts_with('{') {
        Notation::Expression
    } else {
        Notation::Json
    };
    match args.notation.or(args.to).unwrap_or(other) {
        Notation::Json => output.line(pattern.to_json())?,
        Notation::Expression => output.line(pattern.to_expression())?,
    }
    Ok(Exit::Done)
}
