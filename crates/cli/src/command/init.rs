//! `reflexarc init`: a folder with rules, events and a configuration to begin with.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::schema;
use crate::exit::{Exit, Failure};
use crate::output::Output;

/// Arguments of `init`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Writes three rules with their tests (`rules/`), a few events that they match (`events.ndjson`), the \
configuration of the service (`reflexarc.toml`), and what editors need to complete and check these \
files: JSON Schemas (`.reflexarc/`) and the settings of Taplo and VS Code. The service listens on \
this machine only and sends its mails to a stand-in at 127.0.0.1:1025.

Nothing is overwritten: if `rules`, `events.ndjson` or `reflexarc.toml` exists, nothing is written; \
settings of editors that exist are kept as they are.

Exit codes: 0 created · 2 a file exists already

Examples:
  reflexarc init alerts")]
pub(crate) struct Args {
    /// Folder to create, or to write into
    #[arg(default_value = ".", value_name = "DIR")]
    dir: PathBuf,
}

/// One file that is written.
struct NewFile {
    /// Its path in the folder.
    path: &'static str,
    content: String,
    /// Whether it belongs to an editor: then one that exists is kept.
    is_for_editors: bool,
}

/// The folder of rules; one with anything in it is somebody's.
const RULES: &str = "rules";

/// Creates the files, or none of them.
pub(crate) fn run(args: &Args, output: &mut Output) -> Result<Exit, Failure> {
    let dir = &args.dir;
    let files = files();
    // Everything is checked before anything is written.
    let existing = existing(dir, &files);
    if !existing.is_empty() {
        let names: Vec<String> = existing.iter().map(|path| display(dir, path)).collect();
        let message = format!(
            "nothing was written, because of what exists already: {}; name another folder, such as \
             `reflexarc init alerts`",
            names.join(", ")
        );
        return Err(Failure::Usage(message));
    }
    let (written, kept) = write_all(dir, &files)?;
    for path in written {
        output.line(format_args!("created {}", display(dir, path)))?;
    }
    for path in kept {
        let path = display(dir, path);
        output.line(format_args!("kept    {path}, which exists already"))?;
    }
    output.line("\nNext:")?;
    if dir != Path::new(".") {
        output.line(format_args!("  cd {}", quoted(dir)))?;
    }
    output.line("  reflexarc test                       run the tests of the rules")?;
    output
        .line("  reflexarc run rules events.ndjson    print what the rules do with the events")?;
    output.line(
        "  reflexarc serve                      run the service; `reflexarc send events.ndjson` \
         sends it events",
    )?;
    Ok(Exit::Done)
}

fn files() -> Vec<NewFile> {
    let own = |path, content: &str| NewFile {
        path,
        content: content.to_owned(),
        is_for_editors: false,
    };
    let editors = |path, content: String| NewFile {
        path,
        content,
        is_for_editors: true,
    };
    let taplo = include_str!("init/taplo.toml");
    vec![
        own(
            "rules/failed-attach.toml",
            include_str!("init/failed-attach.toml"),
        ),
        own(
            "rules/attach-storm.toml",
            include_str!("init/attach-storm.toml"),
        ),
        own(
            "rules/stuck-detach.toml",
            include_str!("init/stuck-detach.toml"),
        ),
        own("events.ndjson", include_str!("init/events.ndjson")),
        own("reflexarc.toml", include_str!("init/reflexarc.toml")),
        editors(".reflexarc/rule.schema.json", schema::rule()),
        editors(".reflexarc/config.schema.json", schema::config()),
        editors(".taplo.toml", taplo.to_owned()),
        editors(
            ".vscode/settings.json",
            include_str!("init/settings.json").to_owned(),
        ),
        editors(
            ".vscode/extensions.json",
            include_str!("init/extensions.json").to_owned(),
        ),
    ]
}

/// What is in the way.
fn existing<'f>(dir: &Path, files: &'f [NewFile]) -> Vec<&'f str> {
    let own = files.iter().filter(|file| !file.is_for_editors);
    let paths = own
        .map(|file| file.path)
        .filter(|path| !path.starts_with(RULES));
    let rules = dir.join(RULES);
    let has_rules = match fs::read_dir(&rules) {
        Ok(mut entries) => entries.next().is_some(),
        // Whatever it is, no folder can be made there.
        Err(_) => exists(&rules),
    };
    let mut found: Vec<&str> = has_rules.then_some(RULES).into_iter().collect();
    found.extend(paths.filter(|path| exists(&dir.join(path))));
    found
}

/// Whether there is anything, a link that leads nowhere included.
fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

/// Writes the files, and returns which were written and which kept. After an error, those that were
/// written are removed.
fn write_all<'f>(
    dir: &Path,
    files: &'f [NewFile],
) -> Result<(Vec<&'f str>, Vec<&'f str>), Failure> {
    let (mut written, mut kept) = (Vec::new(), Vec::new());
    for file in files {
        let path = dir.join(file.path);
        if file.is_for_editors && exists(&path) {
            kept.push(file.path);
            continue;
        }
        if let Err(error) = write(&path, &file.content) {
            let mut message = format!("cannot write {}: {error}", path.display());
            for path in written.iter().map(|path| dir.join(path)) {
                if let Err(error) = fs::remove_file(&path) {
                    message += &format!("; cannot remove {}: {error}", path.display());
                }
            }
            return Err(Failure::Runtime(message));
        }
        written.push(file.path);
    }
    Ok((written, kept))
}

/// Writes a file, or leaves none; the error says so if that is not possible.
fn write(path: &Path, content: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    // `create_new`: a file that has appeared meanwhile is not overwritten.
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(content.as_bytes()).map_err(|error| {
        // A part of a file is of no use.
        match fs::remove_file(path) {
            Ok(()) => error,
            Err(removal) => io::Error::other(format!("{error}; a part of it is left: {removal}")),
        }
    })
}

fn display(dir: &Path, path: &str) -> String {
    if dir == Path::new(".") {
        path.to_owned()
    } else {
        dir.join(path).display().to_string()
    }
}

/// The folder as an argument for a shell.
fn quoted(dir: &Path) -> String {
    let text = dir.display().to_string();
    let is_plain = |c: char| c.is_alphanumeric() || "/._-+~".contains(c);
    if text.chars().all(is_plain) && !text.starts_with(['-', '~']) {
        return text;
    }
    let text = text.replace('\'', r"'\''");
    let prefix = if text.starts_with('-') { "./" } else { "" };
    format!("'{prefix}{text}'")
}
