//! Former spellings of options: they go on working for a release, with a hint.

use std::collections::BTreeMap;

use clap::ArgMatches;
use clap::parser::ValueSource;

use crate::output::Output;

/// An option that has another spelling now.
struct Deprecated {
    command: &'static str,
    /// The option, which is hidden from the help.
    option: &'static str,
    /// What to write instead.
    instead: &'static str,
}

const DEPRECATED: [Deprecated; 12] = [
    deprecated("run", "rules", "reflexarc run RULES EVENTS"),
    deprecated("run", "events", "reflexarc run RULES EVENTS"),
    deprecated("run", "all", "--unmatched"),
    deprecated("match", "rules", "reflexarc match RULES EVENTS"),
    deprecated("explain", "rules", "reflexarc explain RULES EVENT"),
    deprecated("explain", "event", "reflexarc explain FILTER|RULES EVENT"),
    deprecated("explain", "all", "--full"),
    deprecated("convert", "to", "--notation"),
    deprecated("export", "rules", "reflexarc export PATH"),
    deprecated("simulate", "scenario", "reflexarc simulate SCENARIO RULES"),
    deprecated("simulate", "rules", "reflexarc simulate SCENARIO RULES"),
    deprecated("simulate", "to", "--forward"),
];

/// Writes to stderr what to write instead of the deprecated options on this command line.
pub(crate) fn print_hints(matches: &ArgMatches, output: &mut Output) {
    let Some((name, matches)) = matches.subcommand() else {
        return;
    };
    let is_given = |deprecated: &&Deprecated| {
        deprecated.command == name
            && matches.value_source(deprecated.option) == Some(ValueSource::CommandLine)
    };
    // Options with the same replacement share one hint.
    let mut hints: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for deprecated in DEPRECATED.iter().filter(is_given) {
        let options = hints.entry(deprecated.instead).or_default();
        options.push(format!("`--{}`", deprecated.option));
    }
    for (instead, options) in hints {
        let verb = if options.len() == 1 { "is" } else { "are" };
        let options = options.join(" and ");
        output.status(&format!(
            "hint: {options} {verb} deprecated; write `{instead}`"
        ));
    }
}

const fn deprecated(
    command: &'static str,
    option: &'static str,
    instead: &'static str,
) -> Deprecated {
    Deprecated {
        command,
        option,
        instead,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::DEPRECATED;
    use crate::command::Cli;

    #[test]
    fn exactly_the_hidden_options_are_deprecated() {
        let cli = Cli::command();
        let mut hidden = Vec::new();
        for command in cli.get_subcommands() {
            let options = command
                .get_arguments()
                .filter(|option| option.is_hide_set());
            hidden.extend(options.map(|option| (command.get_name(), option.get_id().as_str())));
        }
        let mut listed: Vec<_> = DEPRECATED
            .iter()
            .map(|deprecated| (deprecated.command, deprecated.option))
            .collect();
        hidden.sort_unstable();
        listed.sort_unstable();
        assert_eq!(hidden, listed);
    }
}
