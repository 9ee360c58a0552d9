//! A running service in a folder of its own.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reflexarc_event::Json;

use crate::{Outcome, reflexarc_in};

/// A folder with a configuration and rules.
pub(crate) struct Place {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) port: u16,
}

/// The process; killed when it is dropped.
pub(crate) struct Serving {
    pub(crate) child: Child,
    pub(crate) door: Door,
    log: PathBuf,
}

/// Where the process listens.
#[derive(Clone, Copy)]
pub(crate) struct Door {
    port: u16,
}

/// An event about the interface `eni`: a failed attach.
pub(crate) fn event(id: &str, eni: &str) -> String {
    format!(
        r#"{{"id":"{id}","product":"ECS","resourceId":"acs:ecs:cn-hangzhou:1:eni/{eni}","level":"WARN","name":"NetworkInterface:NetworkInterfaceOperateCompleted","userId":"1","eventTime":"20190409T121826.922+0800","regionId":"cn-hangzhou","content":{{"eniId":"{eni}","operation":"AttachNetworkInterface","eniStatus":"Available","result":"failed","requestId":"R"}}}}"#
    )
}

impl Place {
    /// With this rule and these targets (TOML).
    pub(crate) fn new(then: &str, targets: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        std::fs::create_dir(folder.path().join("rules")).unwrap();
        let place = Self { folder, port };
        place.rule(then);
        let config = format!(
            "log = \"info\"\npatience = \"10s\"\n[http]\nlisten = \"127.0.0.1:{port}\"\n{targets}"
        );
        place.write("reflexarc.toml", &config);
        place
    }

    /// Replaces the one rule.
    pub(crate) fn rule(&self, then: &str) {
        self.write(
            "rules/failed.toml",
            &format!("when = 'content.result == \"failed\"'\nthen = '''\n{then}\n'''\n"),
        );
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// Runs a command there.
    pub(crate) fn run(&self, args: &[&str]) -> Outcome {
        reflexarc_in(self.folder.path(), args, b"")
    }

    /// Runs a command there with this on its standard input.
    pub(crate) fn feed(&self, args: &[&str], stdin: &str) -> Outcome {
        reflexarc_in(self.folder.path(), args, stdin.as_bytes())
    }

    /// The service's address.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Starts the service and waits until it answers.
    pub(crate) fn serve(&self) -> Serving {
        self.serve_as(&[env!("CARGO_BIN_EXE_reflexarc"), "serve"])
    }

    /// The same, started in another way.
    pub(crate) fn serve_as(&self, argv: &[&str]) -> Serving {
        let log = self.path("serve.log");
        let errors = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .unwrap();
        let mut command = Command::new(argv[0]);
        command
            .args(&argv[1..])
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors);
        command
            .env("HOOK_SECRET", "canary-hook-secret")
            .env("HOOK_TOKEN", "canary-hook-token");
        let mut serving = Serving {
            child: command.spawn().unwrap(),
            door: Door { port: self.port },
            log,
        };
        let begun = Instant::now();
        while serving
            .call("GET", "/healthz", "")
            .is_none_or(|(status, _)| status != 200)
        {
            if let Some(status) = serving.child.try_wait().unwrap() {
                panic!("it ended with {status}: {}", serving.log());
            }
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "it never answered: {}",
                serving.log()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        serving
    }

    /// The documents in a file of lines; a line that a crash cut short is left out.
    pub(crate) fn lines(&self, name: &str) -> Vec<Json> {
        let text = std::fs::read_to_string(self.path(name)).unwrap_or_default();
        text.lines()
            .filter_map(|line| Json::parse(line).ok())
            .collect()
    }
}

impl Door {
    /// Status and body of an answer; `None` when none came.
    pub(crate) fn call(self, method: &str, path: &str, body: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .ok()?;
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/x-ndjson\r\ncontent-length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).ok()?;
        stream.write_all(body.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let status = answer.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
        Some((status, answer.split_once("\r\n\r\n")?.1.to_owned()))
    }
}

impl Serving {
    /// As [`Door::call`].
    pub(crate) fn call(&self, method: &str, path: &str, body: &str) -> Option<(u16, String)> {
        self.door.call(method, path, body)
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Ends it as a supervisor does and gives its exit code.
    pub(crate) fn terminate(mut self) -> i32 {
        let id = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &id])
                .status()
                .unwrap()
                .success()
        );
        self.child.wait().unwrap().code().unwrap_or(-1)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Asks again and again, for as long as a slow machine may need.
pub(crate) fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Whether a file exists and is not empty.
pub(crate) fn filled(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|file| file.len() > 0)
}
