//! A jump of the wall clock: nothing ends because of it, not even over a restart, until it is
//! confirmed.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use reflexarc_event::Json;

use crate::http::Client;
use crate::service::Service;
use crate::world::{Control, OPERATOR_TOKEN, SENDER_TOKEN, link_program};

/// `once` for an hour, an entry that ends after two, and what the script finds of the entry.
const RULE: &str = r#"when = 'content.result == "failed"'
then = '''
let seen = get("seen");
set("seen", 1, "2h");
send("out", #{ id: event.id, seen: seen });
'''
"#;
const ONCE: &str = r#"when = 'content.result == "failed"'
once = { within = "1h", key = "content.eniId" }
then = 'send("out", #{ once: event.id });'
"#;

/// A service whose wall clock can be set.
pub(crate) struct Clocked {
    folder: tempfile::TempDir,
    pub(crate) service: Service,
    pub(crate) control: Control,
    pub(crate) client: Client,
}

impl Clocked {
    /// A service with these rules, whose token for senders is valid for so many seconds. `None`
    /// where its clock cannot be moved.
    pub(crate) fn start(rules: &[(&str, &str)], valid: u64) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let control = Control::create(folder.path())?;
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        std::fs::create_dir(folder.path().join("rules")).unwrap();
        link_program(&folder.path().join("reflexarc"));
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text);
        for (name, text) in rules {
            write(&format!("rules/{name}.toml"), text).unwrap();
        }
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap()
            .as_secs();
        let expires = jiff_text(now + valid);
        let config = format!(
            "log = \"warn\"\n[http]\nlisten = \"127.0.0.1:{port}\"\n\
             [[http.tokens]]\nname = \"sender\"\nroles = [\"ingest\"]\n\
             token = {{ env = \"SENDER_TOKEN\" }}\nexpires = {expires}\n\
             [[http.tokens]]\nname = \"operator\"\nroles = [\"read\", \"operate\"]\n\
             token = {{ env = \"OPERATOR_TOKEN\" }}\n\
             [targets.out]\ntype = \"file\"\npath = \"out.ndjson\"\n"
        );
        write("reflexarc.toml", &config).unwrap();
        let clocked = Self {
            service: Service::new(folder.path(), port, None, true),
            folder,
            control,
            client: Client {
                port,
                token: SENDER_TOKEN,
            },
        };
        clocked.restart();
        Some(clocked)
    }

    /// Starts the service and waits until it answers.
    fn restart(&self) {
        self.service.start();
        let begun = Instant::now();
        while self.service.life().ready.is_none() {
            self.service.look();
            assert!(begun.elapsed() < Duration::from_secs(60));
        }
    }

    fn post(&self, id: &str) -> (u16, String) {
        let event = crate::sender::event(id, 0, "failed");
        let limit = Duration::from_secs(20);
        let response = self.client.call("POST", "/events", &event, limit).unwrap();
        (response.status, response.body)
    }

    /// Waits until the file has as many lines.
    fn delivered(&self, count: usize) -> Vec<Json> {
        let begun = Instant::now();
        loop {
            let lines = self.lines();
            if lines.len() >= count {
                return lines;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "{lines:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The lines of the file.
    pub(crate) fn lines(&self) -> Vec<Json> {
        let text = std::fs::read_to_string(self.folder.path().join("out.ndjson"));
        let text = text.unwrap_or_default();
        let lines = text.lines().filter_map(|line| Json::parse(line).ok());
        lines.collect()
    }

    pub(crate) fn problems(&self) -> String {
        let operator = Client {
            token: OPERATOR_TOKEN,
            ..self.client
        };
        let limit = Duration::from_secs(20);
        operator.call("GET", "/status", "", limit).unwrap().body
    }
}

/// A time as TOML has it.
fn jiff_text(second: u64) -> String {
    let output = std::process::Command::new("date")
        .args(["-u", "+%Y-%m-%dT%H:%M:%SZ", "-d", &format!("@{second}")])
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_jump_ends_no_window_and_no_token() {
    let Some(clocked) = Clocked::start(&[("seen", RULE), ("once", ONCE)], 7_200) else {
        eprintln!("left out: no C compiler, or not Linux");
        return;
    };
    assert_eq!(clocked.post("eni-1").0, 200);
    assert_eq!(clocked.delivered(2).len(), 2);
    // Ahead, back, and over a restart.
    for (offset, restarts) in [(90_000, false), (-10_800, false), (90_000, true)] {
        clocked.control.set_clock_offset(offset);
        if restarts {
            clocked.service.signal("TERM");
            while clocked.service.life().ready.is_some() {
                clocked.service.look();
            }
            clocked.restart();
        }
        // Still a duplicate, and still sent by a valid token.
        let (status, body) = clocked.post("eni-1");
        assert_eq!(
            (status, body.contains("\"duplicates\":1")),
            (200, true),
            "{body}"
        );
        assert!(clocked.problems().contains("clock_jump") || !restarts);
    }
    // Within the windows of `once` and of the entry.
    let event = crate::sender::event("eni-1", 1, "failed");
    let limit = Duration::from_secs(20);
    let response = clocked
        .client
        .call("POST", "/events", &event, limit)
        .unwrap();
    assert_eq!(response.status, 200);
    let lines = clocked.delivered(3);
    let sent = lines.last().unwrap().get("send").unwrap().to_string();
    assert_eq!(
        (lines.len(), sent.contains("\"seen\":1")),
        (3, true),
        "{sent}"
    );
    // Confirmed: now all of that is over.
    let confirmed = clocked.service.run(&["clock", "confirm"]);
    assert_eq!(confirmed.status.code(), Some(0), "{confirmed:?}");
    assert_eq!(clocked.post("eni-2").0, 401);
}
