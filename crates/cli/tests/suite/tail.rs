//! `tail` as a process against a service as a process.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use reflexarc_event::Json;

use crate::service_process::{ServiceProcess, Workspace, event};

const LIMIT: Duration = Duration::from_secs(30);
const TARGET: &str = "[targets.out]\ntype = \"file\"\npath = \"out.ndjson\"\n";
const THEN: &str = "send(\"out\", #{ eni: event.content.eniId });";

/// A running `tail`, with what it prints.
struct Tail {
    child: Child,
    lines: Receiver<String>,
    messages: Receiver<String>,
}

impl Tail {
    fn start(workspace: &Workspace, args: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_reflexarc"))
            .arg("tail")
            .args(args)
            .current_dir(workspace.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = lines_of(child.stdout.take().unwrap());
        let messages = lines_of(child.stderr.take().unwrap());
        Self {
            child,
            lines,
            messages,
        }
    }

    fn line(&self) -> String {
        self.lines.recv_timeout(LIMIT).expect("a line in time")
    }

    fn message(&self) -> String {
        self.messages
            .recv_timeout(LIMIT)
            .expect("a message in time")
    }

    /// The ids of the next events.
    fn events(&self, count: usize) -> Vec<String> {
        let id = |line: String| {
            let entry = Json::parse(&line).unwrap();
            entry.get("id").unwrap().as_str().unwrap().to_owned()
        };
        (0..count).map(|_| id(self.line())).collect()
    }

    fn interrupt(mut self) -> i32 {
        let id = self.child.id().to_string();
        let killed = Command::new("kill").args(["-INT", &id]).status().unwrap();
        assert!(killed.success());
        self.child.wait().unwrap().code().unwrap()
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn lines_of(stream: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

fn post(service: &ServiceProcess, body: &str) {
    let (status, answer) = service.call("POST", "/events", body).unwrap();
    assert_eq!(status, 200, "{answer}");
}

/// Posts events until `tail` has seen one: when it is connected is not known.
fn wait_for(service: &ServiceProcess, tail: &Tail) {
    for number in 0.. {
        post(service, &event(&format!("first-{number}"), "eni-1"));
        if tail.lines.recv_timeout(Duration::from_millis(200)).is_ok() {
            while tail.lines.recv_timeout(Duration::from_millis(500)).is_ok() {}
            return;
        }
        assert!(number < 100, "tail prints nothing");
    }
}

#[test]
fn lines_for_people_show_what_happens() {
    let workspace = Workspace::new(THEN, TARGET);
    let service = workspace.serve();
    let tail = Tail::start(&workspace, &[]);
    wait_for(&service, &tail);
    post(&service, &event("hostile \\u001b[31m\\u0007", "eni-1"));
    let line = tail.line();
    assert!(line.contains(" event    "), "{line}");
    assert!(
        line.contains("hostile \\u{1b}[31m\\u{7} NetworkInterface"),
        "{line}"
    );
    assert_eq!(tail.line(), "    failed reacted: send to out");
    let line = tail.line();
    assert!(
        line.contains(" delivery ") && line.contains(" to out: delivered in "),
        "{line}"
    );
    assert!(!line.contains(char::is_control), "{line}");
    assert_eq!(tail.interrupt(), 0);
    assert_eq!(service.terminate(), 0);
}

#[test]
fn a_restart_is_survived_and_reported() {
    let workspace = Workspace::new(THEN, TARGET);
    let service = workspace.serve();
    let args = ["--format", "ndjson", "--kinds", "event", "--rule", "failed"];
    let tail = Tail::start(&workspace, &args);
    wait_for(&service, &tail);
    post(&service, &event("before", "eni-1"));
    assert_eq!(tail.events(1), ["before"]);
    // Killed, without a word to its clients.
    drop(service);
    assert!(tail.message().starts_with("connection lost: "));
    let service = workspace.serve();
    assert_eq!(tail.message(), "connected again");
    assert_eq!(
        tail.message(),
        "entries may have been left out: the service was restarted, or too much time has passed"
    );
    let left_out = Json::parse(tail.line()).unwrap();
    assert_eq!(left_out.get("kind").unwrap().as_str(), Some("left_out"));
    post(&service, &event("after", "eni-1"));
    assert_eq!(tail.events(1), ["after"]);
    // The end of a service is the same, and prompt.
    assert_eq!(service.terminate(), 0);
    assert!(tail.message().starts_with("connection lost: "));
    assert_eq!(tail.interrupt(), 0);
}

#[test]
fn wrong_filters_and_addresses_end_it_at_once() {
    let workspace = Workspace::new(THEN, TARGET);
    let service = workspace.serve();
    let unknown = workspace.run(&["tail", "--rule", "faild"]);
    assert_eq!(unknown.code, 5);
    let expected = "unknown rule `faild`; did you mean `failed`?";
    assert!(unknown.stderr.contains(expected), "{}", unknown.stderr);
    let invalid = workspace.run(&["tail", "--when", "id = 1"]);
    assert_eq!(invalid.code, 3, "{}", invalid.stderr);
    drop(service);
    let unreachable = workspace.run(&["tail"]);
    assert_eq!(unreachable.code, 5);
    assert!(
        unreachable.stderr.contains("cannot reach"),
        "{}",
        unreachable.stderr
    );
}

#[test]
fn a_closed_pipe_ends_it_cleanly() {
    let workspace = Workspace::new(THEN, TARGET);
    let service = workspace.serve();
    let mut tail = Tail::start(&workspace, &["--format", "ndjson"]);
    wait_for(&service, &tail);
    drop(tail.child.kill());
    drop(tail);
    let script = format!(
        "{} tail --kinds event --format ndjson | head -n 1; echo ${{PIPESTATUS[0]}}",
        env!("CARGO_BIN_EXE_reflexarc")
    );
    let mut piped = Command::new("bash")
        .args(["-c", &script])
        .current_dir(workspace.folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    for number in 0..300 {
        post(&service, &event(&format!("piped-{number}"), "eni-1"));
        if piped.try_wait().unwrap().is_some() {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let ended = piped.try_wait().unwrap();
    assert!(ended.is_some_and(|status| status.success()), "{ended:?}");
    let (mut text, mut errors) = (String::new(), String::new());
    piped
        .stdout
        .take()
        .unwrap()
        .read_to_string(&mut text)
        .unwrap();
    piped
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut errors)
        .unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        (lines.len(), lines[1], errors.as_str()),
        (2, "0", ""),
        "{text}"
    );
}

#[test]
fn log_lines_are_json_but_on_a_terminal() {
    let workspace = Workspace::new(THEN, TARGET);
    let service = workspace.serve();
    let log = service.log();
    assert!(log.lines().all(|line| Json::parse(line).is_ok()), "{log}");
    assert_eq!(service.terminate(), 0);
    std::fs::remove_file(workspace.path("serve.log")).unwrap();
    let command = [
        env!("CARGO_BIN_EXE_reflexarc"),
        "serve",
        "--log-format",
        "human",
    ];
    let service = workspace.serve_as(&command);
    let ready = service.log();
    let ready = ready.lines().find(|line| line.contains("ready")).unwrap();
    let expected = format!("Z  INFO ready address=127.0.0.1:{}", workspace.port);
    assert!(ready.ends_with(&expected), "{ready}");
    assert_eq!(service.terminate(), 0);
}
