//! What people usually get wrong: the message about each case of `tests/corpus/mistakes`, and the
//! page `docs/mistakes.md`, which is made of the same cases.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use reflexarc_diagnostic::toml::{Document, FaultCodes};

use crate::root;

/// How to bring the page up to date, as with snapshots.
const UPDATE: &str = "INSTA_UPDATE=always";

/// How messages say what to do.
const HELPS: [&str; 9] = [
    "help:",
    "hint:",
    "tip:",
    "; send ",
    "send the event",
    "write ",
    "the rules are",
    "did you mean",
    "a rule is",
];

/// A folder of the corpus: `mistake.toml`, and the files that the command works on.
struct Case {
    name: String,
    group: String,
    title: String,
    /// As it is typed into a shell.
    command: String,
    remedy: String,
    /// Whether the message is on stdout.
    on_stdout: bool,
    /// Paths and texts of the other files.
    files: BTreeMap<PathBuf, Vec<u8>>,
}

/// What a command printed, and how it ended.
struct Message {
    text: String,
    code: i32,
}

impl Case {
    fn read(folder: &Path) -> Self {
        let text = fs::read_to_string(folder.join("mistake.toml")).unwrap();
        let document = Document::parse(&text, "the case", FaultCodes::SCENARIO);
        let keys = document.root();
        let text_of = |key: &str| keys.required_string(key, "add it").unwrap_or_default();
        let case = Self {
            name: folder.file_name().unwrap().to_str().unwrap().to_owned(),
            group: text_of("group"),
            title: text_of("title"),
            command: text_of("command"),
            remedy: text_of("remedy"),
            on_stdout: keys.boolean("stdout").unwrap_or_default(),
            files: files(folder, Path::new("")),
        };
        keys.finish();
        let found = document.into_diagnostics();
        assert!(found.is_empty(), "{}: {found:?}", case.name);
        case
    }

    fn run(&self) -> Message {
        let folder = tempfile::tempdir().unwrap();
        for (path, bytes) in &self.files {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        let program = Path::new(env!("CARGO_BIN_EXE_reflexarc")).parent().unwrap();
        let path = std::env::var("PATH").unwrap_or_default();
        let output = Command::new("sh")
            .args(["-c", &self.command])
            .current_dir(folder.path())
            .env("PATH", format!("{}:{path}", program.display()))
            .env_remove("NO_COLOR")
            .env_remove("CLICOLOR_FORCE")
            .env_remove("DINGTALK_TOKEN")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let bytes = if self.on_stdout {
            output.stdout
        } else {
            output.stderr
        };
        Message {
            text: String::from_utf8(bytes).unwrap(),
            code: output.status.code().unwrap(),
        }
    }

    /// The case as a section of the page.
    fn section(&self, message: &Message) -> String {
        let mut section = format!("### {}\n\n", self.title);
        // Messages show the lines that they are about.
        let has_line = message.text.contains(" | ");
        if !has_line || self.command != "reflexarc check rules" {
            section += &format!("```text\n$ {}\n```\n\n", self.command);
        }
        section += &format!("```text\n{}\n```\n\n", message.text.trim_end());
        section.push_str(&self.remedy);
        section.push('\n');
        section
    }
}

/// The files of a case below a folder, without its description.
fn files(folder: &Path, below: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder.join(below)).unwrap() {
        let path = below.join(entry.unwrap().file_name());
        let whole = folder.join(&path);
        if whole.is_dir() {
            found.extend(files(folder, &path));
        } else if path != Path::new("mistake.toml") {
            found.insert(path, fs::read(whole).unwrap());
        }
    }
    found
}

/// All cases, by name, with their messages.
fn messages() -> Vec<(Case, Message)> {
    let folder = root().join("tests/corpus/mistakes");
    let mut folders: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    let cases: Vec<Case> = folders.iter().map(|folder| Case::read(folder)).collect();
    // Most of the time of a command is the start of its process.
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let part = cases.len().div_ceil(threads);
    let messages: Vec<Message> = std::thread::scope(|scope| {
        let parts = cases
            .chunks(part)
            .map(|cases| scope.spawn(move || cases.iter().map(Case::run).collect::<Vec<_>>()));
        let parts: Vec<_> = parts.collect();
        parts
            .into_iter()
            .flat_map(|part| part.join().unwrap())
            .collect()
    });
    cases.into_iter().zip(messages).collect()
}

/// The page of all cases.
fn page(messages: &[(Case, Message)]) -> String {
    let mut page = String::from(
        "# Usual mistakes\n\nWhat is often written by mistake, what `reflexarc` says of it, and what \
         to write. Where a message\nhas `help: write this`, `reflexarc check rules --fix` writes it. \
         `reflexarc help CODE` explains a code\nsuch as RA0201.\n",
    );
    let mut groups: BTreeMap<&str, String> = BTreeMap::new();
    for (case, message) in messages {
        let group = groups.entry(&case.group).or_default();
        *group += &format!("\n{}", case.section(message));
    }
    for (group, sections) in groups {
        page += &format!("\n## {group}\n{sections}");
    }
    page
}

#[test]
fn each_mistake_has_its_message_and_is_on_the_page() {
    let messages = messages();
    assert!(messages.len() > 40, "{}", messages.len());
    let is_helpful = |message: &Message| HELPS.iter().any(|word| message.text.contains(word));
    // What a command line is about is not always in need of help.
    let of_files = messages
        .iter()
        .filter(|(case, _)| case.group != "Command lines");
    for (case, message) in of_files {
        assert!(is_helpful(message), "{}: {}", case.name, message.text);
    }
    insta::with_settings!({ prepend_module_to_snapshot => false, snapshot_path => "snapshots/mistakes" }, {
        for (case, message) in &messages {
            let text = format!("{}\nexit code {}", message.text, message.code);
            insta::assert_snapshot!(case.name.as_str(), text, &case.command);
        }
    });
    let path = root().join("docs/mistakes.md");
    let page = page(&messages);
    if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
        fs::write(&path, &page).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page,
        "docs/mistakes.md is not up to date: run this test with {UPDATE}"
    );
}
