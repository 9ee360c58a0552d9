//! Crashes while silences begin and end: nothing is sent while it is silenced, and nothing is lost.

use std::collections::BTreeSet;
use std::time::Duration;

use reflexarc_event::Json;

use crate::service_process::{ServiceProcess, Workspace, event, eventually};

const OUT: &str = "[targets.out]\ntype = \"file\"\npath = \"out.ndjson\"\n";
/// Both rules match every event; silences are of the first one.
const QUIET: &str = "when = 'id exists'\nthen = 'send(\"out\", #{ quiet: event.id });'\n";
const LOUD: &str = "when = 'id exists'\nthen = 'send(\"out\", #{ loud: event.id });'\n";
/// Number of events in one request.
const BATCH: usize = 20;

/// A run of rounds.
struct Rounds {
    workspace: Workspace,
    service: ServiceProcess,
    /// Events that were accepted.
    posted: usize,
    random: u64,
}

impl Rounds {
    fn new() -> Self {
        let workspace = Workspace::new(r#"log("seen");"#, OUT);
        workspace.write("rules/quiet.toml", QUIET);
        workspace.write("rules/loud.toml", LOUD);
        let service = workspace.serve();
        Self {
            workspace,
            service,
            posted: 0,
            random: 0x9E37_79B9_7F4A_7C15,
        }
    }

    fn post(&mut self) {
        let numbers = self.posted..self.posted + BATCH;
        let lines = numbers.map(|number| event(&format!("e{number}"), &format!("eni-{number}")));
        let body = lines.collect::<Vec<_>>().join("\n");
        let (status, answer) = self.service.call("POST", "/events", &body).unwrap();
        assert_eq!(status, 200, "{answer}");
        self.posted += BATCH;
    }

    /// Rests for at most so many milliseconds.
    fn rest(&mut self, most: u64) {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        std::thread::sleep(Duration::from_millis(self.random % most));
    }

    fn kill(&mut self) {
        self.service.child.kill().unwrap();
        self.service.child.wait().unwrap();
        self.service = self.workspace.serve();
    }

    /// Adds a silence of the quiet rule. Returns its number.
    fn add(&self) -> i64 {
        let body = r#"{"pattern": "rule == \"quiet\"", "for": "1h", "owner": "alice",
                       "reason": "crashes", "confirm": true}"#;
        let (status, answer) = self.service.call("POST", "/silences", body).unwrap();
        assert_eq!(status, 201, "{answer}");
        let answer = Json::parse(answer).unwrap();
        answer.get("id").and_then(Json::as_i64).unwrap()
    }

    /// The ids of the events that have arrived from a rule.
    fn arrived(&self, rule: &str) -> BTreeSet<String> {
        let lines = self.workspace.lines("out.ndjson");
        let ids = lines.iter().filter_map(|line| line.get("send")?.get(rule));
        ids.filter_map(Json::as_str).map(str::to_owned).collect()
    }

    /// Deliveries that silences have ended.
    fn dropped(&self) -> usize {
        let listed = self
            .workspace
            .run(&["silence", "list", "--expired", "--format", "json"]);
        let listed = Json::parse(listed.stdout).unwrap();
        let counts = listed.elements().iter().map(|silence| {
            let count = silence.get("dropped").and_then(Json::as_i64).unwrap();
            usize::try_from(count).unwrap()
        });
        counts.sum()
    }

    /// A silence begins, lasts over a kill and ends, shortly before another kill.
    fn run(&mut self, round: usize) {
        self.post();
        self.rest(50);
        let silence = self.add();
        // What was being sent when it began.
        eventually("everything is sent or withheld", || {
            let pending = self.workspace.run(&["outbox", "list", "--rule", "quiet"]);
            (pending.code == 1).then_some(())
        });
        let before = self.arrived("quiet");
        self.post();
        self.rest(200);
        self.kill();
        self.post();
        self.rest(200);
        assert_eq!(self.arrived("quiet"), before, "sent while it was silenced");
        let id = silence.to_string();
        match round % 3 {
            // By the command, beside the running service; the other two through it.
            0 => {
                let ended = self.workspace.run(&["silence", "end", &id]);
                assert_eq!(ended.code, 0, "{}", ended.stderr);
            }
            1 => self.end(&format!("/silences/{id}/end")),
            _ => self.end(&format!("/silences/{id}/end?drop=true")),
        }
        self.rest(100);
        self.kill();
    }

    fn end(&self, path: &str) {
        let (status, answer) = self.service.call("POST", path, "").unwrap();
        assert_eq!(status, 200, "{answer}");
    }
}

#[test]
fn after_kills_nothing_is_lost_or_sent_while_silenced() {
    let count = std::env::var("REFLEXARC_CRASH_ROUNDS").map_or(6, |rounds| rounds.parse().unwrap());
    let mut rounds = Rounds::new();
    for round in 0..count {
        rounds.run(round);
    }
    let all = rounds.posted;
    eventually("everything was sent or dropped", || {
        let (quiet, loud) = (rounds.arrived("quiet"), rounds.arrived("loud"));
        (loud.len() == all && quiet.len() + rounds.dropped() == all).then_some(())
    });
    let list = |args: &[&str]| rounds.workspace.run(args).code;
    assert_eq!(list(&["outbox", "list"]), 1);
    assert_eq!(list(&["outbox", "list", "--withheld"]), 1);
    assert_eq!(list(&["dlq", "list"]), 1);
    assert!(rounds.dropped() > 0 || count < 3);
    let checked = rounds.workspace.run(&["archive", "verify"]);
    assert_eq!(checked.code, 0, "{}", checked.stderr);
    assert_eq!(rounds.service.terminate(), 0);
}
