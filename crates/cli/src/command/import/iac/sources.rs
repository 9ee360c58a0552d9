//! The files of infrastructure code: those that are named, and those below folders.

use std::path::{Path, PathBuf};

use reflexarc_files::read_regular_file;

use super::limits::IacLimits;
use crate::exit::Failure;

/// A file that may have rules.
#[derive(Debug)]
pub(super) struct SourceFile {
    pub(super) path: PathBuf,
    pub(super) kind: Kind,
    pub(super) text: String,
    /// Whether it was named itself: then it is reported if it is of no use.
    pub(super) is_named: bool,
}

/// The format of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Json,
    Yaml,
    /// Terraform: HCL.
    Hcl,
    /// Terraform: JSON.
    TerraformJson,
}

/// The files, and those that could not be read, with the reason.
#[derive(Debug, Default)]
pub(super) struct Sources {
    pub(super) files: Vec<SourceFile>,
    pub(super) faulty: Vec<(String, String)>,
    seen: usize,
}

/// Reads the files at the paths, of folders those below them in the order of their names.
pub(super) fn read(paths: &[PathBuf], limits: &IacLimits) -> Result<Sources, Failure> {
    let mut sources = Sources::default();
    for path in paths {
        if path.is_dir() {
            add_folder(path, 0, limits, &mut sources)?;
        } else if let Some(kind) = kind_of(path) {
            add_file(path, kind, true, limits, &mut sources)?;
        } else {
            let reason = "unknown kind of file; expected .json, .yaml, .yml, .template or .tf";
            sources
                .faulty
                .push((path.display().to_string(), reason.to_owned()));
        }
    }
    Ok(sources)
}

fn add_folder(
    folder: &Path,
    depth: usize,
    limits: &IacLimits,
    sources: &mut Sources,
) -> Result<(), Failure> {
    let failed = |reason: String| (folder.display().to_string(), reason);
    if depth > limits.folders {
        let reason = format!("more than {} folders below one another", limits.folders);
        sources.faulty.push(failed(reason));
        return Ok(());
    }
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            sources.faulty.push(failed(error.to_string()));
            return Ok(());
        }
    };
    let mut paths: Vec<PathBuf> = Vec::new();
    for entry in entries {
        match entry {
            Ok(entry) => paths.push(entry.path()),
            Err(error) => sources.faulty.push(failed(error.to_string())),
        }
    }
    paths.sort();
    for path in paths {
        let name = path.file_name().map(|name| name.to_string_lossy());
        let name = name.unwrap_or_default();
        // Hidden folders hold copies and caches: .git, .terraform, .aws-sam, .serverless.
        if name.starts_with('.') || name == "node_modules" {
            continue;
        }
        // Links are not followed: they may lead anywhere, or in a circle.
        let facts = match path.symlink_metadata() {
            Ok(facts) => facts,
            Err(error) => {
                let fault = (path.display().to_string(), error.to_string());
                sources.faulty.push(fault);
                continue;
            }
        };
        if facts.is_dir() {
            add_folder(&path, depth + 1, limits, sources)?;
        } else if facts.is_file()
            && let Some(kind) = kind_of(&path)
        {
            add_file(&path, kind, false, limits, sources)?;
        }
    }
    Ok(())
}

fn add_file(
    path: &Path,
    kind: Kind,
    is_named: bool,
    limits: &IacLimits,
    sources: &mut Sources,
) -> Result<(), Failure> {
    sources.seen += 1;
    if sources.seen > limits.files {
        let message = format!("more than {} files; import parts of them", limits.files);
        return Err(Failure::Usage(message));
    }
    let text = read_regular_file(path, limits.file_bytes)
        .map_err(|error| error.to_string())
        .and_then(|bytes| String::from_utf8(bytes).map_err(|_| "the file is not UTF-8".to_owned()));
    match text {
        // Variables and locals of a module may be in any of its files.
        Ok(text)
            if is_named
                || kind == Kind::Hcl
                || kind == Kind::TerraformJson
                || mentions_rules(&text) =>
        {
            sources.files.push(SourceFile {
                path: path.to_owned(),
                kind,
                text,
                is_named,
            });
        }
        Ok(_) => {}
        Err(reason) => sources.faulty.push((path.display().to_string(), reason)),
    }
    Ok(())
}

/// Whether a text can have a rule in it. Folders hold many files of other programs, also invalid
/// ones, such as templates of YAML.
pub(super) fn mentions_rules(text: &str) -> bool {
    [
        "AWS::Events::Rule",
        "EventBridgeRule",
        "CloudWatchEvent",
        "eventBridge",
        "cloudwatchEvent",
        "aws_cloudwatch_event_rule",
        "alicloud_event_bridge_rule",
        "alicloud_cms_event_rule",
        "eventbridge/aws",
    ]
    .iter()
    .any(|name| text.contains(name))
}

fn kind_of(path: &Path) -> Option<Kind> {
    let name = path.file_name()?.to_string_lossy().to_lowercase();
    let ends = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
    if ends(&[".tf.json", ".tfvars.json"]) {
        Some(Kind::TerraformJson)
    } else if ends(&[".tf", ".tfvars", ".tofu"]) {
        Some(Kind::Hcl)
    } else if ends(&[".json", ".template"]) {
        Some(Kind::Json)
    } else if ends(&[".yaml", ".yml"]) {
        Some(Kind::Yaml)
    } else {
        None
    }
}
