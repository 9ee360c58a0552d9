//! `reflexarc convert`: convert a filter to the other notation.

use std::io::Read as _;

use reflexarc_pattern::Dialect;

use crate::exit::{Exit, Failure};
use crate::filter_argument;
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
    pattern: String,
    /// Notation to print [default: the one that the filter is not written in]
    #[arg(long, value_enum)]
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
    let mut text = args.pattern.clone();
    if text == "-" {
        text.clear();
        std::io::stdin().read_to_string(&mut text)?;
    }
    let pattern = filter_argument::parse(&text, args.dialect, output)?;
    let other = if text.trim_start().starts_with('{') {
        Notation::Expression
    } else {
        Notation::Json
    };
    match args.to.unwrap_or(other) {
        Notation::Json => output.line(pattern.to_json())?,
        Notation::Expression => output.line(pattern.to_expression())?,
    }
    Ok(Exit::Done)
}
