//! `reflexarc convert`: a filter in the other notation.

use std::io::Read as _;

use reflexarc_pattern::Dialect;

use crate::exit::{Exit, Failure};
use crate::output::Output;
use crate::pattern_text;

/// Arguments of `convert`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  reflexarc convert 'content.result == \"failed\"'
  reflexarc convert '{\"content\": {\"result\": [\"failed\"]}}'
  aws events describe-rule --name r --query EventPattern --output text | reflexarc convert --dialect aws -")]
pub(crate) struct Args {
    /// The filter, in either notation; `-` is stdin
    pattern: String,
    /// The notation to write; the other one than the filter's when left out
    #[arg(long, value_enum)]
    to: Option<Notation>,
    /// The language the filter is written in: reflexarc, aws, alibaba
    #[arg(long, default_value_t, value_name = "NAME")]
    dialect: Dialect,
}

/// How a filter is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Notation {
    /// `{"name": ["x"]}`
    Json,
    /// `name == "x"`
    Expression,
}

/// Converts.
pub(crate) fn run(args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let mut text = args.pattern.clone();
    if text == "-" {
        text.clear();
        std::io::stdin().read_to_string(&mut text)?;
    }
    let pattern = pattern_text::parse(&text, args.dialect, output)?;
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
