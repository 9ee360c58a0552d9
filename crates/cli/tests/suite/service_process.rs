//! A service process with its own folder of configuration, rules and store.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reflexarc_event::Json;

use crate::{Outcome, reflexarc_in};

/// A temporary folder with a configuration and rules.
pub(crate) struct Workspace {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) port: u16,
}

/// A running service; killed when it is dropped.
pub(crate) struct ServiceProcess {
    pub(crate) child: Child,
    pub(crate) client: HttpClient,
    log: PathBuf,
}

/// A minimal HTTP client of the service.
#[derive(Clone, Copy)]
pub(crate) struct HttpClient {
    port: u16,
}

/// A failed attach of the interface `eni`.
pub(crate) fn event(id: &str, eni: &str) -> String {
    format!(
        concat!(
            r#"{{"id":"{id}","product":"ECS","resourceId":"acs:ecs:cn-hangzhou:1:eni/{eni}","#,
            r#""level":"WARN","name":"NetworkInterface:NetworkInterfaceOperateCompleted","#,
            r#""userId":"1","eventTime":"20190409T121826.922+0800","regionId":"cn-hangzhou","#,
            r#""content":{{"eniId":"{eni}","operation":"AttachNetworkInterface","#,
            r#""eniStatus":"Available","result":"failed","requestId":"R"}}}}"#
        ),
        id = id,
        eni = eni
    )
}

impl Workspace {
    /// A workspace with one rule, given as its script, and targets, given as TOML.
    pub(crate) fn new(then: &str, targets: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        std::fs::create_dir(folder.path().join("rules")).unwrap();
        let workspace = Self { folder, port };
        workspace.rule(then);
        let config = format!(
            "log = \"info\"\nshutdown_timeout = \"10s\"\n[http]\n\
             listen = \"127.0.0.1:{port}\"\n{targets}"
        );
        workspace.write("reflexarc.toml", &config);
        workspace
    }

    /// Replaces the script of the rule.
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

    /// Runs a command in the folder.
    pub(crate) fn run(&self, args: &[&str]) -> Outcome {
        reflexarc_in(self.folder.path(), args, b"")
    }

    /// Runs a command in the folder with this standard input.
    pub(crate) fn run_with_stdin(&self, args: &[&str], stdin: &str) -> Outcome {
        reflexarc_in(self.folder.path(), args, stdin.as_bytes())
    }

    /// The URL of the service.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Starts the service and waits until it responds.
    pub(crate) fn serve(&self) -> ServiceProcess {
        self.serve_as(&[env!("CARGO_BIN_EXE_reflexarc"), "serve"])
    }

    /// Starts the service with this command line.
    pub(crate) fn serve_as(&self, argv: &[&str]) -> ServiceProcess {
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
        let mut service = ServiceProcess {
            child: command.spawn().unwrap(),
            client: HttpClient { port: self.port },
            log,
        };
        let begun = Instant::now();
        while service
            .call("GET", "/healthz", "")
            .is_none_or(|(status, _)| status != 200)
        {
            if let Some(status) = service.child.try_wait().unwrap() {
                panic!("it ended with {status}: {}", service.log());
            }
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "no response: {}",
                service.log()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        service
    }

    /// The documents of an NDJSON file; a line that a crash truncated is left out.
    pub(crate) fn lines(&self, name: &str) -> Vec<Json> {
        let text = std::fs::read_to_string(self.path(name)).unwrap_or_default();
        text.lines()
            .filter_map(|line| Json::parse(line).ok())
            .collect()
    }
}

impl HttpClient {
    /// Status and body of the response; `None` if there was none.
    pub(crate) fn call(self, method: &str, path: &str, body: &str) -> Option<(u16, String)> {
        let (head, body) = self.exchange(method, path, body)?;
        let status = head.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
        Some((status, body))
    }

    /// The address of the next page of a list, if there is one, and this page.
    pub(crate) fn call_with_link(self, path: &str) -> Option<(Option<String>, String)> {
        let (head, body) = self.exchange("GET", path, "")?;
        let link = head.lines().find_map(|line| line.strip_prefix("link: <"));
        let next = link.and_then(|link| link.split('>').next());
        Some((next.map(str::to_owned), body))
    }

    /// Head and body of the response.
    fn exchange(self, method: &str, path: &str, body: &str) -> Option<(String, String)> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .ok()?;
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
             content-type: application/x-ndjson\r\ncontent-length: {length}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).ok()?;
        stream.write_all(body.as_bytes()).ok()?;
        let mut response = String::new();
        stream.read_to_string(&mut response).ok()?;
        let (head, body) = response.split_once("\r\n\r\n")?;
        Some((head.to_owned(), body.to_owned()))
    }
}

impl ServiceProcess {
    /// See [`HttpClient::call`].
    pub(crate) fn call(&self, method: &str, path: &str, body: &str) -> Option<(u16, String)> {
        self.client.call(method, path, body)
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Sends SIGTERM, as a supervisor does, and returns the exit code.
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

impl Drop for ServiceProcess {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Polls until there is a result, for as long as a slow machine may need.
pub(crate) fn eventually<T>(expected: &str, mut poll: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(result) = poll() {
            return result;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "never: {expected}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// How long a service lives in a round of crashes; longer in each further so many rounds.
pub(crate) fn lives(random: u64, round: usize, rounds: usize) -> Duration {
    let more = u32::try_from((round - 1) / rounds.max(1)).unwrap();
    Duration::from_millis(random % 300) * (1 + more)
}

/// Whether a file exists and is not empty.
pub(crate) fn is_not_empty(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|file| file.len() > 0)
}
