//! `reflexarc schema`: JSON Schemas of rule files and of the configuration.

mod descriptions;
mod json_schema;

use reflexarc_service::config::{TEMPLATE, config_shape};

use self::descriptions::Descriptions;
use crate::exit::{Exit, Failure};
use crate::output::Output;

/// Arguments of `schema`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Editors complete, explain and check keys by a schema: VS Code with the extension Even Better TOML, \
others with Taplo. `reflexarc init` writes the schemas and the settings for both. The schema (draft \
7) is made from what reads the files, so it has the keys of this version. It checks keys and types; \
`reflexarc check` and `reflexarc config check` check everything.

Examples:
  reflexarc schema rule
  reflexarc schema config")]
pub(crate) struct Args {
    /// Kind of file
    #[arg(value_enum)]
    file: Kind,
}

/// The files that have a schema.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Kind {
    /// Rule files
    Rule,
    /// The configuration, reflexarc.toml
    Config,
}

/// Prints the schema.
pub(crate) fn run(args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let schema = match args.file {
        Kind::Rule => rule(),
        Kind::Config => config(),
    };
    output.bytes(schema.as_bytes())?;
    Ok(Exit::Done)
}

/// The schema of rule files, as text.
pub(crate) fn rule() -> String {
    let descriptions = Descriptions::of_rules(reflexarc::REFERENCE);
    let shape = reflexarc::rule_shape();
    json_schema::document("A rule of reflexarc", &shape, &descriptions)
}

/// The schema of the configuration, as text.
pub(crate) fn config() -> String {
    let descriptions = Descriptions::of_configuration(TEMPLATE);
    json_schema::document(
        "The configuration of reflexarc",
        &config_shape(),
        &descriptions,
    )
}
