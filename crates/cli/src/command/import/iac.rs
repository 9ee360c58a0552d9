//! Infrastructure code: templates of CloudFormation, SAM, CDK and the Serverless Framework, and
//! Terraform.

mod cloudformation;
mod found;
mod json;
mod limits;
mod names;
mod serverless;
mod sources;
mod terraform;
mod value;
mod yaml;

use std::cell::Cell;
use std::path::{Path, PathBuf};

use reflexarc::RuleSet;

use self::found::{Filter, FoundRule};
use self::limits::IacLimits;
use self::sources::{Kind, SourceFile, Sources};
use self::terraform::{Context, Module, ModuleFiles, Modules};
use self::value::Value;
use super::{Destination, Import, report_skipped, target_draft, write};
use crate::exit::{Exit, Failure};
use crate::output::Output;

pub(super) use self::found::Settings;

/// What was found beside what is imported.
#[derive(Debug, Default)]
struct Report {
    /// Files with rules.
    files: usize,
    /// Rules with a pattern.
    patterns: usize,
    /// Rules that run on a schedule: where they are, and the schedule.
    schedules: Vec<(String, String)>,
    /// Files that cannot be read, with the reason.
    faulty: Vec<(String, String)>,
    /// Files that were named, but have no rule.
    without_rules: Vec<String>,
}

/// Imports the rules in files and folders.
pub(super) fn run(
    paths: &[PathBuf],
    settings: &Settings,
    destination: &Destination,
    output: &mut Output,
) -> Result<Exit, Failure> {
    let (mut import, report) = import_within(paths, settings, &IacLimits::DEFAULT)?;
    if report.patterns + report.schedules.len() + report.faulty.len() == 0 {
        let message = "no rules found: expected templates of CloudFormation, SAM or CDK, \
                       configurations of the Serverless Framework, or Terraform";
        return Err(Failure::Invalid(message.to_owned()));
    }
    target_draft::resolve_names(&mut import.drafts);
    let mut import = super::skip_duplicate_names(import);
    skip_invalid(&mut import);
    write(&import, destination, output)?;
    for draft in &import.drafts {
        // Of a rule without targets, the file says what they were.
        for omission in draft.omissions.iter().filter(|_| !draft.targets.is_empty()) {
            output.status(&format!("{}: {omission}", draft.name));
        }
    }
    for (label, schedule) in &report.schedules {
        output.status(&format!(
            "{label} is left out: it runs on the schedule `{schedule}`"
        ));
    }
    for file in &report.without_rules {
        output.status(&format!("{file} has no rules"));
    }
    for name in settings.unused() {
        output.status(&format!("--set {name}: no rule depends on it"));
    }
    report_skipped(&import, output);
    for (file, reason) in &report.faulty {
        output.error(&format!("{file}: {reason}"));
    }
    let left_out = import.skipped.len() + import.invalid_filters.len();
    let imported = report.patterns.saturating_sub(left_out);
    let (patterns, files) = (report.patterns, report.files);
    output.status(&format!(
        "{patterns} patterns in {files} files: {imported} imported, {left_out} not; \
         {} schedules left out",
        report.schedules.len()
    ));
    Ok(if left_out + report.faulty.len() == 0 {
        Exit::Done
    } else {
        Exit::Negative
    })
}

/// Skips rules that do not compile, which would keep all others from being written.
fn skip_invalid(import: &mut Import) {
    for draft in std::mem::take(&mut import.drafts) {
        let name = format!("{}.toml", draft.name);
        match RuleSet::compile([(name, draft.to_toml())]) {
            Ok(_) => import.drafts.push(draft),
            Err(invalid) => import.invalid_filters.extend(invalid.into_files()),
        }
    }
}

fn import_within(
    paths: &[PathBuf],
    settings: &Settings,
    limits: &IacLimits,
) -> Result<(Import, Report), Failure> {
    let Sources { files, faulty, .. } = sources::read(paths, limits)?;
    let mut report = Report {
        faulty,
        ..Report::default()
    };
    let mut found = Vec::new();
    let mut modules = Modules::new();
    for file in &files {
        let name = file.path.display().to_string();
        match read(file, settings, limits, &mut modules) {
            Ok(rules) => found.extend(rules),
            Err(reason) => report.faulty.push((name, reason)),
        }
    }
    // Files that expressions name are read below the folder that is imported.
    let root = common_folder(paths);
    let context = Context {
        modules: &modules,
        settings,
        files: &ModuleFiles::new(&root, limits),
        limits,
        left: Cell::new(limits.evaluation),
    };
    found.extend(terraform::rules(&context));
    if found.len() > limits.patterns {
        let message = format!(
            "more than {} rules; import parts of the files",
            limits.patterns
        );
        return Err(Failure::Usage(message));
    }
    let has_rule = |file: &SourceFile| {
        let name = file.path.display().to_string();
        found.iter().any(|rule| rule.file == name)
            || report.faulty.iter().any(|(faulty, _)| *faulty == name)
    };
    // A file with variables only is of use all the same.
    let useless = files
        .iter()
        .filter(|file| file.is_named && file.kind != Kind::Hcl);
    report.without_rules = useless
        .filter(|file| !has_rule(file))
        .map(|file| file.path.display().to_string())
        .collect();
    let mut names: Vec<&str> = found.iter().map(|rule| rule.file.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    report.files = names.len();
    let mut import = Import::default();
    names::make_distinct(&mut found);
    for rule in found {
        if let Filter::Schedule(schedule) = &rule.filter {
            let label = format!("{} ({})", rule.address, rule.place());
            report.schedules.push((label, schedule.clone()));
        } else {
            report.patterns += 1;
            rule.import(&mut import);
        }
    }
    Ok((import, report))
}

/// Reads a file: the rules of a template, or a part of a module, which has its rules when all of
/// its files are read.
fn read(
    file: &SourceFile,
    settings: &Settings,
    limits: &IacLimits,
    modules: &mut Modules,
) -> Result<Vec<FoundRule>, String> {
    let name = file.path.display().to_string();
    let rules_of = |root: &Value| {
        if serverless::is_configuration(&name, root) {
            serverless::rules(&name, root, settings, limits)
        } else if cloudformation::is_template(root) {
            cloudformation::rules(&name, root, settings, limits)
        } else if terraform::is_plan(root) {
            terraform::rules_of_plan(&name, root)
        } else {
            Vec::new()
        }
    };
    match file.kind {
        Kind::Json => json::read(&file.text, limits).map(|root| rules_of(&root)),
        Kind::Yaml => {
            let documents = yaml::read(&file.text, limits)?;
            Ok(documents.iter().flat_map(rules_of).collect())
        }
        Kind::Hcl | Kind::TerraformJson => {
            let folder = file
                .path
                .parent()
                .filter(|path| !path.as_os_str().is_empty());
            let folder = folder.unwrap_or(Path::new("."));
            let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
            let module = modules
                .entry(folder.clone())
                .or_insert_with(|| Module::new(&folder));
            let added = match file.kind {
                Kind::Hcl => module.add_hcl(&name, &file.text),
                _ => json::read(&file.text, limits).and_then(|root| module.add_json(&name, &root)),
            };
            // Without rules in it, it is only of interest if the module has others.
            match added {
                Err(reason) if file.is_named || sources::mentions_rules(&file.text) => Err(reason),
                _ => Ok(Vec::new()),
            }
        }
    }
}

/// The folder that all paths are below.
fn common_folder(paths: &[PathBuf]) -> PathBuf {
    let folder = |path: &PathBuf| {
        let path = path.canonicalize().unwrap_or_else(|_| path.clone());
        if path.is_dir() {
            path
        } else {
            path.parent().map(Path::to_owned).unwrap_or_default()
        }
    };
    let mut folders = paths.iter().map(folder);
    let first = folders.next().unwrap_or_default();
    folders.fold(first, |common, folder| {
        let shared = common.components().zip(folder.components());
        shared
            .take_while(|(one, other)| one == other)
            .map(|(one, _)| one)
            .collect()
    })
}

#[cfg(test)]
mod tests;
