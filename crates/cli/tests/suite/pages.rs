//! The pages of `docs/` that a reader follows command by command: every command runs and prints
//! what the page shows.
//!
//! A page is one session in a folder that has `rules`, `examples` and `docs` of the repository. A
//! paragraph that ends with `` `NAME`: `` makes the block after it the file NAME: of the folder,
//! or, where the page has a link to it, of the repository, which must have the same text. The block
//! `text` after commands is their output; `…` in it is any text, and a line `…` any lines. A
//! command that ends with ` &` is the service, which runs until the page ends.

use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reflexarc::RuleSet;
use reflexarc_event::Json;
use reflexarc_service::Config;
use reflexarc_service::config::Secrets;

use crate::markdown::{CodeBlock, Document, documents};
use crate::root;

/// Pages whose commands need more than a test has: another machine, hours, a service in operation.
/// `documented.rs` checks their arguments; those of `quickstart.md` run in a test of their own.
const ONLY_PARSED: [&str; 10] = [
    "docs/cli.md",
    "docs/http.md",
    "docs/operating.md",
    "docs/performance.md",
    "docs/python.md",
    "docs/quickstart.md",
    "docs/configuration.md",
    "docs/diagnostics.md",
    "docs/mistakes.md",
    "docs/simulate.md",
];

/// The address in the pages, and where its number is replaced by one that is free.
const PORT: &str = "8321";

/// The folder of a page, and its service.
struct Session {
    page: String,
    folder: tempfile::TempDir,
    port: String,
    service: Option<Child>,
}

impl Session {
    fn new(page: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["rules", "examples", "docs"] {
            crate::readme::copy(&root().join(name), &folder.path().join(name));
        }
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        Self {
            page: page.to_owned(),
            folder,
            port: listener.local_addr().unwrap().port().to_string(),
            service: None,
        }
    }

    /// Writes a file of the page, or compares it with that of the repository.
    fn file(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        if name.starts_with("docs/") {
            let existing = std::fs::read_to_string(&path).unwrap_or_default();
            assert_eq!(existing, text, "{}: {name}", self.page);
            return;
        }
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text.replace(PORT, &self.port)).unwrap();
    }

    /// Runs a line, and returns what it prints, errors included.
    fn run(&mut self, line: &str) -> String {
        if let Some(service) = line.strip_suffix(" &") {
            self.start(service);
            return String::new();
        }
        let output = self.shell(&format!("exec 2>&1\n{line}")).output().unwrap();
        let printed = String::from_utf8(output.stdout).unwrap();
        let is_success = output.status.success();
        assert!(is_success, "{}: {line}\n{printed}", self.page);
        printed.replace(&self.port, PORT)
    }

    fn start(&mut self, line: &str) {
        let mut command = self.shell(&format!("exec {line}"));
        let log = std::fs::File::create(self.folder.path().join("service.log")).unwrap();
        let mut service = command.stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let address = format!("127.0.0.1:{}", self.port);
        let begun = Instant::now();
        while TcpStream::connect(&address).is_err() {
            let ended = service.try_wait().unwrap();
            let waits = ended.is_none() && begun.elapsed() < Duration::from_secs(60);
            assert!(waits, "{}: `{line}` does not listen: {ended:?}", self.page);
            std::thread::sleep(Duration::from_millis(10));
        }
        self.service = Some(service);
    }

    fn shell(&self, line: &str) -> Command {
        let program = Path::new(env!("CARGO_BIN_EXE_reflexarc")).parent().unwrap();
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new("sh");
        command
            .args(["-c", line])
            .current_dir(self.folder.path())
            .env("PATH", format!("{}:{path}", program.display()))
            .env("NO_COLOR", "1")
            .stdin(Stdio::null());
        command
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(service) = &mut self.service {
            let _ = service.kill();
            let _ = service.wait();
        }
    }
}

/// Whether `printed` is what a page shows, where `…` is any text and a line `…` any lines.
fn is_shown(shown: &[&str], printed: &[&str]) -> bool {
    match shown.split_first() {
        None => printed.is_empty(),
        Some((&"…", rest)) => {
            (0..=printed.len()).any(|skipped| is_shown(rest, &printed[skipped..]))
        }
        Some((line, rest)) => printed
            .split_first()
            .is_some_and(|(first, others)| is_line(line, first) && is_shown(rest, others)),
    }
}

fn is_line(shown: &str, printed: &str) -> bool {
    let mut parts = shown.trim_end().split('…');
    let Some(mut rest) = printed
        .trim_end()
        .strip_prefix(parts.next().unwrap_or_default())
    else {
        return false;
    };
    let mut is_exact = true;
    for part in parts {
        is_exact = part.is_empty();
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
        if !is_exact && rest.is_empty() {
            return true;
        }
    }
    // A line that ends with `…` may go on.
    rest.is_empty() || is_exact && shown.trim_end().ends_with('…')
}

/// The commands of a block; a line that ends with `\` goes on in the next one.
fn commands(block: &CodeBlock) -> Vec<String> {
    let joined = block.text.replace("\\\n", " ");
    joined
        .lines()
        .map(str::to_owned)
        .filter(|line| !line.trim().is_empty())
        .collect()
}

/// Runs a page; returns how many commands it has.
fn run(page: &str, document: &Document) -> usize {
    let mut session = Session::new(page);
    let mut printed = None;
    let mut count = 0;
    for block in &document.blocks {
        let language = block.info.split(' ').next().unwrap_or_default();
        match (language, &block.file) {
            (_, Some(file)) => session.file(file, &block.text),
            ("sh", None) => {
                let lines = commands(block);
                count += lines.len();
                let outputs = lines.iter().map(|line| session.run(line));
                printed = Some(outputs.collect::<String>());
                continue;
            }
            ("text", None) => {
                if let Some(printed) = &printed {
                    let shown: Vec<&str> = block.text.trim_end().lines().collect();
                    let lines: Vec<&str> = printed.trim_end().lines().collect();
                    let is_right = is_shown(&shown, &lines);
                    assert!(is_right, "{page} shows\n{}\nnot\n{printed}", block.text);
                }
            }
            _ => {}
        }
        printed = None;
    }
    count
}

#[test]
fn every_command_of_a_page_runs_and_prints_what_it_shows() {
    let pages = documents();
    let pages = pages.iter().filter(|(name, _)| name.starts_with("docs/"));
    let pages: Vec<_> = pages
        .filter(|(name, _)| !ONLY_PARSED.contains(&name.as_str()))
        .collect();
    let count = std::thread::scope(|scope| {
        let pages = pages.iter();
        let running = pages.map(|(name, path)| scope.spawn(|| run(name, &Document::read(path))));
        let running: Vec<_> = running.collect();
        running
            .into_iter()
            .map(|page| page.join().unwrap())
            .sum::<usize>()
    });
    assert!(count >= 30, "{count}");
}

#[test]
fn data_and_rules_in_documents_are_valid() {
    let mut count = 0;
    for (name, path) in documents() {
        for block in Document::read(&path).blocks {
            let mut words = block.info.split(' ');
            let language = words.next().unwrap_or_default();
            // Examples of mistakes, and values without the braces around them, say so.
            if words.next().is_some() {
                continue;
            }
            count += 1;
            let text = &block.text;
            match language {
                "json" => assert!(Json::parse(text).is_ok(), "{name}:\n{text}"),
                "ndjson" => {
                    let are_valid = text.lines().all(|line| Json::parse(line).is_ok());
                    assert!(are_valid, "{name}:\n{text}");
                }
                "toml" => check_toml(&name, text),
                _ => count -= 1,
            }
        }
    }
    assert!(count >= 40, "{count}");
}

/// Asserts that TOML is a valid rule if it has a filter, else a part of a valid configuration.
fn check_toml(document: &str, text: &str) {
    let is_rule = text.lines().any(|line| line.starts_with("when = "));
    if !is_rule {
        // A case of the corpus, whose reader is another test's.
        if text.starts_with("[[case]]") {
            return;
        }
        let error = Config::read(text, Path::new(""), Secrets::Skip).err();
        assert!(error.is_none(), "{document}:\n{text}\n{error:?}");
        return;
    }
    // The tables that rules name are beside the ready-made ones.
    if text.contains("lookup = ") {
        return;
    }
    let error = RuleSet::compile([("rule.toml", text)]).err();
    assert!(error.is_none(), "{document}:\n{text}\n{error:?}");
}

#[test]
fn shown_output_may_leave_out_parts() {
    let printed = ["a 1 b", "c", "d", "e"];
    for shown in [
        &["a 1 b", "c", "d", "e"][..],
        &["a … b", "…", "e"],
        &["…"],
        &["a…", "c", "…"],
    ] {
        assert!(is_shown(shown, &printed), "{shown:?}");
    }
    for shown in [&["a 1 b"][..], &["a … c", "…"], &["…", "d"], &["a 1", "…"]] {
        assert!(!is_shown(shown, &printed), "{shown:?}");
    }
}
