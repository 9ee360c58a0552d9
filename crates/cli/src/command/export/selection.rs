//! The rules that are exported, with the targets that they name.

use std::path::PathBuf;

use reflexarc::{Diagnostic, FileDiagnostics, PortableFilter, Rule, RuleSet};

use super::rule_keys::target_names;
use super::targets::{ConfiguredTarget, ConfiguredTargets};
use crate::config_args::load_without_secrets;
use crate::exit::{Exit, Failure};
use crate::input::load_rules;
use crate::output::Output;

/// Arguments about the rules and their targets.
#[derive(Debug, clap::Args)]
pub(super) struct SelectionArgs {
    /// Rule files or folders, searched recursively; `-` is stdin [default: rules]
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// Only this rule
    #[arg(long, value_name = "NAME")]
    rule: Option<String>,
    /// Configuration with the targets that the rules name; without PATH, export its rules
    #[arg(long, value_name = "FILE", conflicts_with = "to")]
    config: Option<PathBuf>,
    /// Send the events of all rules to this address instead, such as that of a running service
    #[arg(long, value_name = "URL", value_parser = http_url)]
    to: Option<String>,
}

/// The rules and targets of an export.
pub(super) struct Selection {
    rules: RuleSet,
    rule: Option<String>,
    pub(super) targets: ConfiguredTargets,
    exit: Exit,
}

/// The targets of a rule.
pub(super) struct RuleTargets<'s> {
    pub(super) known: Vec<&'s ConfiguredTarget>,
    /// What is not exported.
    pub(super) omissions: Vec<String>,
}

impl Selection {
    /// Loads the rules and the configuration.
    pub(super) fn load(args: &SelectionArgs) -> Result<Self, Failure> {
        let config = args
            .config
            .as_deref()
            .map(load_without_secrets)
            .transpose()?;
        let paths = match &config {
            Some(config) if args.paths.is_empty() => &config.rule_paths,
            _ => &args.paths,
        };
        let rules = load_rules(paths)?;
        if let Some(name) = args.rule.as_ref().filter(|name| rules.get(name).is_none()) {
            return Err(Failure::Usage(format!("unknown rule `{name}`")));
        }
        let targets = match (&args.to, &args.config) {
            (Some(url), _) => ConfiguredTargets::one(url),
            (None, Some(path)) => ConfiguredTargets::read(path)?,
            (None, None) => ConfiguredTargets::Unknown,
        };
        Ok(Self {
            rules,
            rule: args.rule.clone(),
            targets,
            exit: Exit::Done,
        })
    }

    /// The chosen rules.
    pub(super) fn rules(&self) -> Vec<&Rule> {
        let wanted = |rule: &&Rule| self.rule.as_ref().is_none_or(|name| name == rule.name());
        self.rules.rules().filter(wanted).collect()
    }

    /// The exit code: negative once a filter could not be exported.
    pub(super) fn exit(&self) -> Exit {
        self.exit
    }

    /// Records that a rule is not exported.
    pub(super) fn refuse(&mut self) {
        self.exit = Exit::Negative;
    }

    /// The targets of a rule.
    pub(super) fn targets_of(&self, rule: &Rule) -> RuleTargets<'_> {
        let mut found = RuleTargets {
            known: Vec::new(),
            omissions: Vec::new(),
        };
        let names = target_names(rule);
        match &self.targets {
            ConfiguredTargets::One(target) => found.known.push(target),
            ConfiguredTargets::Unknown if !names.is_empty() => found.omissions.push(format!(
                "its targets are not exported: {}; give their configuration with --config, or an \
                 address with --to",
                names.join(", ")
            )),
            ConfiguredTargets::Unknown => {}
            ConfiguredTargets::Of(targets) => {
                for name in names {
                    match targets.iter().find(|target| target.name == name) {
                        Some(target) => found.known.push(target),
                        None => found.omissions.push(format!(
                            "target {name} is not in the configuration and not exported"
                        )),
                    }
                }
            }
        }
        found
    }

    /// Whether the rules react elsewhere, so that only their filters matter.
    pub(super) fn sends_to_one(&self) -> bool {
        matches!(self.targets, ConfiguredTargets::One(_))
    }
}

/// Reports the warnings or errors about the filter of a rule.
pub(super) fn report_filter(rule: &Rule, found: Vec<Diagnostic>, output: &mut Output) {
    output.diagnostics([&FileDiagnostics {
        name: rule.file().to_owned(),
        text: rule.text().to_owned(),
        diagnostics: found,
    }]);
}

/// Reports what is not exported of a rule, or changed.
pub(super) fn report_omissions(rule: &Rule, omissions: &[String], output: &mut Output) {
    for omission in omissions {
        output.status(&format!("{}: {omission}", rule.name()));
    }
}

/// What to say of a filter in several parts.
pub(super) fn parts_note(filter: &PortableFilter) -> Option<String> {
    let count = filter.texts.len();
    let overlap = if filter.is_disjoint {
        ""
    } else {
        "; an event may match two of them and be sent twice"
    };
    (count > 1).then(|| format!("its filter becomes {count} rules{overlap}"))
}

fn http_url(text: &str) -> Result<String, String> {
    match reqwest::Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {
            Ok(text.to_owned())
        }
        _ => Err("expected http or https and a host".to_owned()),
    }
}
