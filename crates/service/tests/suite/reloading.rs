//! Reloading rules and configuration while events keep coming.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use reflexarc::RuleSet;
use reflexarc_event::Json;
use reflexarc_service::config::Secrets;
use reflexarc_service::store::DeliveryStatus;
use reflexarc_service::{Config, SqliteStore};

use crate::receiver::{Receiver, Reply, eventually};
use crate::samples::{OPTIONS, event_text};
use crate::serving::{Parts, RULE, Serving};

const OUT: &str = "[targets.out]\ntype = \"file\"\npath = \"out.ndjson\"\n";

/// The same target, which takes calls.
const HTTP_API: &str = "[targets.out]\ntype = \"http\"\nurl = \"http://127.0.0.1:8323\"\n\
                        networks = [\"127.0.0.0/8\"]\n";

/// A service with this configuration file and these other files in its folder.
pub(crate) async fn start(config: &str, files: &[(&str, &[u8])]) -> Serving {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("rules")).unwrap();
    std::fs::write(folder.path().join("rules/failed.toml"), RULE).unwrap();
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    let path = folder.path().join("reflexarc.toml");
    std::fs::write(&path, config).unwrap();
    let config =
        Config::load(&path, Secrets::Resolve(&|_| None)).unwrap_or_else(|file| panic!("{file:?}"));
    let rules = RuleSet::load_all(&config.rule_paths).unwrap();
    let store = Arc::new(SqliteStore::open(&folder.path().join("reflexarc.db"), &OPTIONS).unwrap());
    let parts = Parts {
        config,
        rules,
        store,
    };
    Serving::run(folder, parts).await
}

impl Serving {
    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// Reloads; returns status and body.
    async fn reload(&self) -> (u16, String) {
        let (status, answer) = self.post_to("/reload", &[], "").await;
        (status, answer.to_string())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn targets_replaced_under_load_deliver_everything_once() {
    let first = Receiver::start([]).await;
    let second = Receiver::start([]).await;
    let target = |receiver: &Receiver| {
        format!(
            "[targets.out]\ntype = \"webhook\"\nurl = \"{}\"\nallow = [\"127.0.0.0/8\"]\n",
            receiver.url
        )
    };
    let serving = Arc::new(start(&target(&first), &[]).await);
    let posting = {
        let serving = serving.clone();
        tokio::spawn(async move {
            for number in 0..200 {
                let event = event_text(&number.to_string(), &format!("eni-{number}"));
                assert_eq!(serving.post("application/json", event).await.0, 200);
            }
        })
    };
    for round in 0..20 {
        serving.write(
            "reflexarc.toml",
            target(if round % 2 == 0 { &second } else { &first }),
        );
        assert_eq!(
            serving.reload().await,
            (200, r#"{"rules":1,"targets":1,"restart":[]}"#.to_owned())
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    posting.await.unwrap();
    eventually(|| {
        serving
            .store
            .deliveries(DeliveryStatus::Pending, None, 1)
            .unwrap()
            .is_empty()
            .then_some(())
    })
    .await;
    let mut copies: BTreeMap<String, usize> = BTreeMap::new();
    for call in first.calls().iter().chain(&second.calls()) {
        *copies
            .entry(call.headers["webhook-id"].to_str().unwrap().to_owned())
            .or_default() += 1;
    }
    assert_eq!((copies.len(), copies.values().max()), (200, Some(&1)));
    assert!(!first.calls().is_empty() && !second.calls().is_empty());
    assert!(
        serving
            .store
            .deliveries(DeliveryStatus::Dead, None, 1)
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn a_running_send_finishes_before_the_new_target_starts() {
    let slow = Reply {
        delay: Duration::from_millis(600),
        ..Reply::status(200)
    };
    let receiver = Receiver::start([slow]).await;
    let target = |more: &str| {
        let url = &receiver.url;
        format!(
            "[targets.out]\ntype = \"webhook\"\nurl = \"{url}\"\nconcurrency = 1\n\
             allow = [\"127.0.0.0/8\"]\n{more}"
        )
    };
    let serving = start(&target(""), &[]).await;
    for id in ["1", "2"] {
        serving
            .post("application/json", event_text(id, "eni-1"))
            .await;
    }
    receiver.wait(1).await;
    serving.write("reflexarc.toml", target("headers = { x-new = \"yes\" }\n"));
    assert_eq!(serving.reload().await.0, 200);
    let calls = receiver.wait(2).await;
    assert!(calls[1].at.duration_since(calls[0].at) >= Duration::from_millis(600));
    assert_eq!(
        calls
            .iter()
            .map(|call| call.headers.contains_key("x-new"))
            .collect::<Vec<_>>(),
        [false, true]
    );
    eventually(|| {
        serving
            .store
            .deliveries(DeliveryStatus::Pending, None, 1)
            .unwrap()
            .is_empty()
            .then_some(())
    })
    .await;
    assert_eq!(receiver.calls().len(), 2);
    serving.stop().await;
}

#[tokio::test]
async fn an_invalid_configuration_is_refused_with_its_location() {
    let serving = start(OUT, &[]).await;
    serving.write("reflexarc.toml", OUT.replace("path", "paht"));
    let (status, answer) = serving.reload().await;
    assert_eq!(status, 422);
    assert!(
        answer.contains("invalid rules or configuration; the previous ones stay in effect"),
        "{answer}"
    );
    assert!(
        answer.contains("reflexarc.toml:3:1") && answer.contains("did you mean `path`?"),
        "{answer}"
    );
    assert!(!serving.path("other.ndjson").exists());
    serving.stop().await;
}

/// Whether a token may read the outbox.
async fn reads(serving: &Serving, token: &str) -> bool {
    serving.get("/outbox", Some(token)).await.0 == 200
}

fn token_entry(name: &str) -> String {
    format!(
        "[[http.tokens]]\nname = \"{name}\"\ntoken = {{ file = \"{name}\" }}\n\
         roles = [\"read\", \"operate\"]\n"
    )
}

const TOKENS: [(&str, &[u8]); 3] = [("a", b"token-a"), ("b", b"token-b"), ("c", b"token-c")];
const AS_A: [(&str, &str); 1] = [("authorization", "Bearer token-a")];

#[tokio::test]
async fn revoked_tokens_are_revoked_whatever_else_is_invalid() {
    let (a, b, c) = (token_entry("a"), token_entry("b"), token_entry("c"));
    let archive = "[archive]\nkeep = \"1d\"\n";
    let broken_archive = "[archive]\nkeep = \"soon\"\n";
    let broken_tls = "[http.tls]\ncertificate = \"nowhere.pem\"\nkey = \"nowhere.key\"\n";
    let broken_bridge = "[http.eventbridge]\nregions = []\n";
    let broken_target = "[targets.more]\ntype = \"fiel\"\n";
    let broken_token = b.replace("operate", "oprate");
    let broken_budget = "[budgets]\nbytes = -1\n";
    let expected = format!("{OUT}{archive}{a}{c}");
    for (part, config, rule) in [
        ("rules", expected.clone(), "when = 'x ='\n"),
        ("archive", format!("{OUT}{broken_archive}{a}{c}"), RULE),
        ("http.tls", format!("{expected}{broken_tls}"), RULE),
        (
            "http.eventbridge",
            format!("{expected}{broken_bridge}"),
            RULE,
        ),
        ("targets", format!("{expected}{broken_target}"), RULE),
        ("budgets", format!("{expected}{broken_budget}"), RULE),
        (
            "restart settings",
            format!("log = \"a=b=c\"\n{expected}"),
            RULE,
        ),
        (
            "restart settings",
            format!("{expected}[store]\npath = 7\n"),
            RULE,
        ),
        // The entry of `b` is revoked by its removal, while that of `c` becomes invalid.
        (
            "http.tokens",
            format!("{OUT}{a}{}", c.replace("\"read\"", "\"raed\"")),
            RULE,
        ),
        (
            "http.tokens",
            format!("{OUT}{a}{}", c.replace("\"c\" }", "\"gone\" }")),
            RULE,
        ),
    ] {
        let serving = start(&format!("{OUT}{a}{b}{c}"), &TOKENS).await;
        assert!(reads(&serving, "token-b").await);
        serving.write("rules/broken.toml", rule);
        serving.write("reflexarc.toml", &config);
        let (status, answer) = serving.post_to("/reload", &AS_A, "").await;
        let text = answer.to_string();
        assert_eq!(status, 422, "{part}: {text}");
        let list = |key: &str| answer.get(key).unwrap().to_string();
        assert_eq!(list("refused"), format!("[\"{part}\"]"), "{text}");
        assert_eq!(list("confirm"), "null", "{text}");
        assert!(!list("taken").contains(part), "{text}");
        for (token, accepted) in [("token-a", true), ("token-b", false), ("token-c", true)] {
            assert_eq!(reads(&serving, token).await, accepted, "{part}: {token}");
        }
        serving.stop().await;
    }
    // An invalid entry keeps its own token, however its name is quoted elsewhere.
    let serving = start(&format!("{OUT}{a}{b}"), &TOKENS).await;
    serving.write("reflexarc.toml", format!("{OUT}{broken_token}"));
    assert_eq!(serving.post_to("/reload", &AS_A, "").await.0, 422);
    assert!(reads(&serving, "token-b").await && !reads(&serving, "token-a").await);
    serving.stop().await;
}

/// What cannot be attributed to a part may be a misspelling of it.
#[tokio::test]
async fn misspelt_sections_open_nothing() {
    let (a, b) = (token_entry("a"), token_entry("b"));
    for (config, refused) in [
        (
            format!("{OUT}{}", a.replace("[http.tokens]", "[http.token]")),
            "http.tokens",
        ),
        (
            format!("{OUT}{}", a.replace("[[http.tokens]]", "[[htpp.tokens]]")),
            "rules",
        ),
        (format!("{OUT}[http]\ntokens = 7\n"), "http.tokens"),
        (format!("http = 7\n{OUT}"), "http.tokens"),
        // The only entry is a new one, and invalid: `a` and `b` are revoked.
        (format!("{OUT}{}", token_entry("new")), "http.tokens"),
    ] {
        let serving = start(&format!("{OUT}{a}{b}"), &TOKENS).await;
        serving.write("reflexarc.toml", &config);
        let (status, answer) = serving.post_to("/reload", &AS_A, "").await;
        assert_eq!(status, 422, "{config}");
        assert!(
            answer.get("refused").unwrap().to_string().contains(refused),
            "{answer}"
        );
        assert_eq!(serving.get("/outbox", None).await.0, 401, "{config}");
        serving.stop().await;
    }
}

#[tokio::test]
async fn targets_and_rules_are_taken_together_or_as_they_fit() {
    let serving = start(OUT, &[]).await;
    let send = async |id: &str| {
        let event = event_text(id, "eni-1");
        assert_eq!(serving.post("application/json", event).await.0, 200);
    };
    let refused = async || {
        let (status, answer) = serving.post_to("/reload", &[], "").await;
        assert_eq!(status, 422, "{answer}");
        answer.get("refused").unwrap().to_string()
    };
    // A changed target is taken while a rule is broken: the rules in effect still fit.
    serving.write("reflexarc.toml", OUT.replace("out.ndjson", "other.ndjson"));
    serving.write("rules/broken.toml", "when = 'x ='\n");
    assert_eq!(refused().await, r#"["rules"]"#);
    send("1").await;
    eventually(|| serving.path("other.ndjson").exists().then_some(())).await;
    // A target is gone that the rules in effect need, and the new rules are broken.
    serving.write("reflexarc.toml", OUT.replace("targets.out", "targets.new"));
    assert_eq!(refused().await, r#"["targets","rules"]"#);
    // The rules are valid, but still name it: they go on with the old targets.
    std::fs::remove_file(serving.path("rules/broken.toml")).unwrap();
    serving.write("rules/more.toml", RULE);
    assert_eq!(refused().await, r#"["targets"]"#);
    let (_, status) = serving.get("/status", None).await;
    assert_eq!(status.get("rules").unwrap().to_string(), "2");
    assert_eq!(status.get("targets").unwrap().to_string(), r#"["out"]"#);
    // Both change together.
    for rule in ["rules/failed.toml", "rules/more.toml"] {
        serving.write(rule, RULE.replace("\"out\"", "\"new\""));
    }
    assert_eq!(serving.reload().await.0, 200);
    let (_, status) = serving.get("/status", None).await;
    assert_eq!(status.get("targets").unwrap().to_string(), r#"["new"]"#);
    serving.stop().await;
}

#[tokio::test]
async fn rules_that_go_away_need_a_confirmation() {
    let serving = start(OUT, &[]).await;
    let rules = async || {
        let (_, status) = serving.get("/status", None).await;
        status.get("rules").unwrap().to_string()
    };
    for name in ["a", "b", "c", "d"] {
        serving.write(&format!("rules/{name}.toml"), RULE);
    }
    assert_eq!(serving.reload().await.0, 200);
    for name in ["a", "b", "c"] {
        std::fs::remove_file(serving.path(&format!("rules/{name}.toml"))).unwrap();
    }
    let (status, answer) = serving.reload().await;
    assert_eq!(status, 422);
    assert!(
        answer.contains("2 rules in") && answer.contains("5 are in effect"),
        "{answer}"
    );
    assert!(answer.contains("removed: a, b, c"), "{answer}");
    assert!(
        answer.contains(r#""confirm":"reflexarc reload --force""#),
        "{answer}"
    );
    assert_eq!(rules().await, "5");
    let (_, status) = serving.get("/status", None).await;
    let refusal = status.get("refused_reload").unwrap();
    assert_eq!(
        refusal.get("confirm").unwrap().as_str(),
        Some("reflexarc reload --force")
    );
    assert_eq!(serving.post_to("/reload?force=yes", &[], "").await.0, 400);
    assert_eq!(serving.post_to("/reload?force=true", &[], "").await.0, 200);
    assert_eq!(rules().await, "2");
    // What was confirmed is the measure from now on. Half of them may go.
    std::fs::remove_file(serving.path("rules/d.toml")).unwrap();
    assert_eq!(serving.reload().await.0, 200);
    std::fs::remove_file(serving.path("rules/failed.toml")).unwrap();
    let (status, answer) = serving.reload().await;
    assert!(status == 422 && answer.contains("no rules in"), "{answer}");
    // A confirmation does not cover errors.
    serving.write("rules/x.toml", "when = 'x ='");
    assert_eq!(serving.post_to("/reload?force=true", &[], "").await.0, 422);
    assert_eq!(rules().await, "1");
    std::fs::remove_file(serving.path("rules/x.toml")).unwrap();
    assert_eq!(serving.post_to("/reload?force=true", &[], "").await.0, 200);
    assert_eq!(rules().await, "0");
    // No rules are the state now, which another reload need not confirm.
    assert_eq!(serving.reload().await.0, 200);
    let (_, metrics) = serving.get("/metrics", None).await;
    assert!(
        metrics
            .as_str()
            .unwrap()
            .contains("reflexarc_reload_refused 0")
    );
    serving.stop().await;
}

/// A disk that loses one file after the other.
#[tokio::test]
async fn rules_that_go_away_bit_by_bit_need_a_confirmation_too() {
    let serving = start(OUT, &[]).await;
    for name in ["a", "b", "c", "d", "e"] {
        serving.write(&format!("rules/{name}.toml"), RULE);
    }
    assert_eq!(serving.reload().await.0, 200);
    let remove = async |names: &[&str]| {
        for name in names {
            std::fs::remove_file(serving.path(&format!("rules/{name}.toml"))).unwrap();
        }
        serving.reload().await
    };
    // Of 6 rules.
    let (status, answer) = remove(&["a", "b"]).await;
    assert!(
        status == 200 && answer.contains(r#""removed":["a","b"]"#),
        "{answer}"
    );
    assert_eq!(remove(&["c"]).await.0, 200);
    let (status, answer) = remove(&["d"]).await;
    assert_eq!(status, 422);
    let expected = "6 were in effect within the last day; removed: d";
    assert!(
        answer.contains("2 rules in") && answer.contains(expected),
        "{answer}"
    );
    assert_eq!(serving.post_to("/reload?force=true", &[], "").await.0, 200);
    assert_eq!(remove(&["e"]).await.0, 200);
    serving.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_state_of_a_rule_that_is_gone_can_be_removed() {
    let serving = start(OUT, &[]).await;
    serving.write(
        "rules/counts.toml",
        "when = 'id exists'\nthen = 'add(event.id, 1)'",
    );
    assert_eq!(serving.reload().await.0, 200);
    for id in ["1", "2", "3"] {
        let body = crate::samples::event_text(id, "eni-1");
        assert_eq!(serving.post("application/json", body).await.0, 200);
    }
    let forget = async |name: &str| {
        let url = format!("{}/rules/{name}/state", serving.url);
        let response = serving.client.delete(url).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    let (status, answer) = forget("counts").await;
    assert!(
        status == 409 && answer.contains("the rule exists"),
        "{answer}"
    );
    std::fs::remove_file(serving.path("rules/counts.toml")).unwrap();
    assert_eq!(serving.reload().await.0, 200);
    let (status, answer) = forget("counts").await;
    assert_eq!((status, answer.trim()), (200, r#"{"entries":3}"#));
    assert_eq!(forget("counts").await.0, 404);
    assert_eq!(serving.store.state(jiff::Timestamp::now()).unwrap(), []);
    serving.stop().await;
}

#[tokio::test]
async fn special_files_are_refused_and_hang_nothing() {
    let token = token_entry("a");
    let serving = start(&format!("{OUT}{token}"), &TOKENS).await;
    let refused = async |message: &str| {
        let (status, answer) = serving.post_to("/reload", &AS_A, "").await;
        let text = answer.to_string();
        assert!(status == 422 && text.contains(message), "{message}: {text}");
    };
    let make_fifo = |name: &str| {
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mkfifoat(rustix::fs::CWD, serving.path(name), mode).unwrap();
    };
    make_fifo("rules/x.toml");
    refused("x.toml: expected a regular file, found a FIFO").await;
    std::fs::remove_file(serving.path("rules/x.toml")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", serving.path("rules/x.toml")).unwrap();
    refused("x.toml: expected a regular file, found a device").await;
    std::fs::remove_file(serving.path("rules/x.toml")).unwrap();
    std::fs::create_dir(serving.path("rules/x.toml")).unwrap();
    refused("x.toml: expected a file, found a folder").await;
    std::fs::remove_dir(serving.path("rules/x.toml")).unwrap();
    std::fs::File::create(serving.path("rules/x.toml"))
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    refused("more than the 1048576 allowed").await;
    std::fs::remove_file(serving.path("rules/x.toml")).unwrap();
    for name in ["a", "reflexarc.toml"] {
        let text = std::fs::read(serving.path(name)).unwrap();
        std::fs::remove_file(serving.path(name)).unwrap();
        make_fifo(name);
        refused("expected a regular file, found a FIFO").await;
        std::fs::remove_file(serving.path(name)).unwrap();
        std::fs::create_dir(serving.path(name)).unwrap();
        refused("expected a file, found a folder").await;
        std::fs::remove_dir(serving.path(name)).unwrap();
        serving.write(name, text);
    }
    assert_eq!(serving.post_to("/reload", &AS_A, "").await.0, 200);
    serving.stop().await;
}

#[tokio::test]
async fn deliveries_of_a_removed_target_become_dead_letters() {
    let serving = start(OUT, &[]).await;
    // A computed name is not known before the script runs.
    let computed = RULE.replace("send(\"out\"", "send(\"o\" + \"ut\"");
    serving.write("rules/failed.toml", &computed);
    serving.write(
        "reflexarc.toml",
        OUT.replace("targets.out", "targets.other"),
    );
    assert_eq!(serving.reload().await.0, 200);
    serving
        .post("application/json", event_text("1", "eni-1"))
        .await;
    let dead = eventually(|| {
        serving
            .store
            .deliveries(DeliveryStatus::Dead, None, 9)
            .unwrap()
            .pop()
    })
    .await;
    assert_eq!(
        dead.reason.as_deref(),
        Some("unknown target `out`; known targets: other")
    );
    let (_, status) = serving.get("/status", None).await;
    let letters = status.get("dead_letters").unwrap();
    assert_eq!(letters.get("count").unwrap().to_string(), "1");
    assert_eq!(letters.get("targets").unwrap().to_string(), r#"{"out":1}"#);
    let newest = &letters.get("newest").unwrap().elements()[0];
    let id = dead.delivery.id.to_string();
    for (key, value) in [
        ("delivery", id.as_str()),
        ("target", "out"),
        ("rule", "failed"),
        ("event", "1"),
        ("reason", "unknown target `out`; known targets: other"),
    ] {
        assert_eq!(newest.get(key).unwrap().as_str(), Some(value), "{newest}");
    }
    let (_, metrics) = serving.get("/metrics", None).await;
    let metrics = metrics.as_str().unwrap();
    let counted = r#"reflexarc_dead_letters_total{target="out",reason="unknown_target"} 1"#;
    assert!(metrics.contains(counted), "{metrics}");
    serving.write("reflexarc.toml", OUT);
    assert_eq!(serving.reload().await.0, 200);
    serving
        .post_to(&format!("/dlq/{}/redrive", dead.delivery.id), &[], "")
        .await;
    eventually(|| (serving.lines().len() == 1).then_some(())).await;
    serving.stop().await;
}

/// What a reload refuses, with the place and the reason; the old rules and targets go on.
#[tokio::test]
async fn refused_reloads_are_in_the_status() {
    let serving = start(OUT, &[]).await;
    let refused = async |file: &str, line: usize, message: &str| {
        assert_eq!(serving.reload().await.0, 422);
        let (_, status) = serving.get("/status", None).await;
        let refusal = status.get("refused_reload").unwrap();
        let error = &refusal.get("errors").unwrap().elements()[0];
        let text = |key: &str| error.get(key).unwrap().as_str().unwrap().to_owned();
        assert!(text("file").ends_with(file), "{error}");
        assert_eq!(error.get("line").unwrap().to_string(), line.to_string());
        assert!(text("message").contains(message), "{error}");
        assert!(refusal.get("at").is_some(), "{refusal}");
        assert_eq!(status.get("rules").unwrap().to_string(), "1");
        assert_eq!(status.get("targets").unwrap().to_string(), r#"["out"]"#);
    };
    serving.write("rules/failed.toml", RULE.replace("\"out\"", "\"uot\""));
    refused("failed.toml", 3, "unknown target `uot`").await;
    // The rules that name a target and the target itself go on together.
    serving.write("rules/failed.toml", RULE);
    serving.write("reflexarc.toml", HTTP_API);
    refused(
        "failed.toml",
        3,
        "`out` is of type http, which takes calls only",
    )
    .await;
    serving.write("reflexarc.toml", OUT);
    let calling = RULE.replace("send(\"out\", ", "call(\"out\", \"GET /\", ");
    serving.write("rules/failed.toml", calling);
    refused(
        "failed.toml",
        3,
        "`out` is of type file, which takes no calls",
    )
    .await;
    serving.write("rules/failed.toml", RULE);
    // The target of a rule is renamed, but the rule is not.
    serving.write("reflexarc.toml", OUT.replace("targets.out", "targets.new"));
    refused("failed.toml", 3, "unknown target `out`").await;
    serving.write("reflexarc.toml", OUT);
    serving.write("rules/broken.toml", "when = 'a =='\nnotify = ['out']\n");
    refused("broken.toml", 1, "expected").await;
    std::fs::remove_file(serving.path("rules/broken.toml")).unwrap();
    std::fs::remove_file(serving.path("rules/failed.toml")).unwrap();
    assert_eq!(serving.reload().await.0, 422, "there are no rules");
    serving.write("rules/failed.toml", RULE);
    assert_eq!(serving.reload().await.0, 200);
    let (_, status) = serving.get("/status", None).await;
    assert_eq!(status.get("refused_reload"), Some(&Json::Null));
    serving.stop().await;
}

#[tokio::test]
async fn a_changed_secret_file_replaces_a_token() {
    let config = format!(
        "{OUT}[[http.tokens]]\nname = \"all\"\ntoken = {{ file = \"token\" }}\n\
         roles = [\"ingest\", \"read\", \"operate\"]\n"
    );
    let serving = start(&config, &[("token", b"the-old-one\n")]).await;
    assert_eq!(serving.get("/outbox", Some("the-old-one")).await.0, 200);
    serving.write("token", "the-new-one\n");
    let begun = std::time::Instant::now();
    while serving.get("/outbox", Some("the-new-one")).await.0 != 200 {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "the token was never replaced"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(serving.get("/outbox", Some("the-old-one")).await.0, 401);
    serving.stop().await;
}

#[tokio::test]
async fn a_new_certificate_is_presented_to_the_next_client() {
    let fixture = |name: &str| {
        std::fs::read(format!(
            "{}/tests/fixtures/{name}",
            env!("CARGO_MANIFEST_DIR")
        ))
        .unwrap()
    };
    let config = format!("{OUT}[http.tls]\ncertificate = \"tls.pem\"\nkey = \"tls.key\"\n");
    let (old, old_key) = (fixture("eventbridge.pem"), fixture("eventbridge.key"));
    let serving = start(&config, &[("tls.pem", &old), ("tls.key", &old_key)]).await;
    let trusting = |pem: &[u8]| {
        let authority = reqwest::Certificate::from_pem(pem).unwrap();
        reqwest::Client::builder()
            .tls_certs_only([authority])
            .build()
            .unwrap()
    };
    let url = format!("{}/healthz", serving.url);
    let new = fixture("localhost.pem");
    assert!(
        trusting(&new).get(&url).send().await.is_err(),
        "another certificate is live"
    );
    serving.write("tls.pem", &new);
    serving.write("tls.key", fixture("localhost.key"));
    let begun = std::time::Instant::now();
    while trusting(&new).get(&url).send().await.is_err() {
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "the certificate was never replaced"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // A key that does not belong to the certificate is refused.
    serving.write("tls.key", &old_key);
    let answer = trusting(&new)
        .post(format!("{}/reload", serving.url))
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status().as_u16(), 422);
    assert!(trusting(&new).get(&url).send().await.is_ok());
    serving.stop().await;
}

#[tokio::test]
async fn settings_that_need_a_restart_are_listed() {
    let serving = start(OUT, &[]).await;
    let more = r#"
log = "debug"
shutdown_timeout = "9s"
telemetry = { endpoint = "http://localhost:4318" }
"#;
    let tables = r#"
[http]
listen = "127.0.0.1:9"
[store]
path = "elsewhere.db"
[limits]
connections = 7
"#;
    serving.write("reflexarc.toml", format!("{more}{tables}{OUT}"));
    let names = r#"["http.listen","store","limits","log","telemetry","shutdown_timeout"]"#;
    assert_eq!(
        serving.reload().await,
        (
            200,
            format!(r#"{{"rules":1,"targets":1,"restart":{names}}}"#)
        )
    );
    let (_, status) = serving.get("/status", None).await;
    assert_eq!(status.get("restart").map(Json::to_string).unwrap(), names);
    serving.write("reflexarc.toml", OUT);
    assert_eq!(
        serving.reload().await.1,
        r#"{"rules":1,"targets":1,"restart":[]}"#
    );
    serving.stop().await;
}

#[tokio::test]
async fn a_reload_cannot_remove_tokens_from_a_public_address() {
    let open = format!("{OUT}[http]\nlisten = \"0.0.0.0:9\"\n");
    let token =
        "[[http.tokens]]\nname = \"all\"\ntoken = { file = \"token\" }\nroles = [\"operate\"]\n";
    let serving = start(&format!("{open}{token}"), &[("token", b"the-token")]).await;
    // Valid at a start, but this service keeps listening on the public address.
    serving.write("reflexarc.toml", OUT);
    let (status, answer) = serving
        .post_to("/reload", &[("authorization", "Bearer the-token")], "")
        .await;
    assert_eq!(status, 422);
    assert!(
        answer
            .to_string()
            .contains("anyone who can reach 0.0.0.0:9 may do everything"),
        "{answer}"
    );
    assert_eq!(serving.reload().await.0, 401);
    serving.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn broken_mail_templates_do_not_replace_targets() {
    let config = format!(
        "{OUT}\n[targets.mail]\ntype = \"email\"\nhost = \"localhost\"\nfrom = \"a@example.com\"\n\
         to = [\"b@example.com\"]\ntext_template = \"mail.j2\"\n"
    );
    let serving = start(&config, &[("mail.j2", b"{{ text }}")]).await;
    for broken in ["{{ txt }}", "{{ text", "{{ text | upcase }}"] {
        serving.write("mail.j2", broken);
        let (status, answer) = serving.reload().await;
        assert_eq!(status, 422, "{answer}");
        assert!(answer.contains("template text: line 1"), "{answer}");
        let (_, status) = serving.get("/status", None).await;
        assert!(
            status.to_string().contains("template text: line 1"),
            "{status}"
        );
        let (accepted, _) = serving
            .post("application/json", event_text(broken, "eni-1"))
            .await;
        assert_eq!(accepted, 200);
    }
    serving.write("mail.j2", "{{ text }}!");
    assert_eq!(serving.reload().await.0, 200);
    let (_, status) = serving.get("/status", None).await;
    assert!(!status.to_string().contains("template text"), "{status}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_are_replaced_with_the_rules() {
    let rule = r#"when = 'content.eniId exists'
lookup = { owner = { table = "owners", key = "content.eniId" } }
then = 'notify("out", lookup.owner?.team ?? "none")'
"#;
    let serving = start(OUT, &[]).await;
    std::fs::create_dir(serving.path("rules/tables")).unwrap();
    serving.write("rules/tables/owners.csv", "eni,team\neni-1,red\n");
    serving.write("rules/failed.toml", rule);
    assert_eq!(serving.reload().await.0, 200);
    let teams = async |count: usize| {
        let text = || std::fs::read_to_string(serving.path("out.ndjson")).unwrap_or_default();
        eventually(|| (text().lines().count() == count).then_some(())).await;
        text().lines().last().unwrap_or_default().to_owned()
    };
    let send = async |id: &str| {
        let event = event_text(id, "eni-1");
        assert_eq!(serving.post("application/json", event).await.0, 200);
    };
    send("1").await;
    assert!(teams(1).await.contains("red"));
    // A broken table refuses the reload, and the rows in effect stay.
    serving.write(
        "rules/tables/owners.csv",
        "eni,team\neni-1,blue\neni-1,green\n",
    );
    let (status, body) = serving.reload().await;
    assert_eq!(status, 422, "{body}");
    assert!(
        body.contains("owners.csv") && body.contains("duplicate key"),
        "{body}"
    );
    send("2").await;
    assert!(teams(2).await.contains("red"));
    serving.write("rules/tables/owners.csv", "eni,team\neni-1,blue\n");
    assert_eq!(serving.reload().await.0, 200);
    send("3").await;
    assert!(teams(3).await.contains("blue"));
    // So does a table that is gone.
    std::fs::remove_file(serving.path("rules/tables/owners.csv")).unwrap();
    let (status, body) = serving.reload().await;
    assert!(
        status == 422 && body.contains("unknown table"),
        "{status} {body}"
    );
}
