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

/// A service with this configuration file and these other files in its folder.
async fn start(config: &str, files: &[(&str, &[u8])]) -> Serving {
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
    let store = Arc::new(SqliteStore::open(&config.store_path, &OPTIONS).unwrap());
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
    // A valid configuration with invalid rules is refused too.
    serving.write("reflexarc.toml", OUT.replace("out.ndjson", "other.ndjson"));
    serving.write("rules/broken.toml", "when = 'x ='\n");
    let (status, answer) = serving.reload().await;
    assert!(status == 422 && answer.contains("broken.toml"), "{answer}");
    serving
        .post("application/json", event_text("1", "eni-1"))
        .await;
    eventually(|| (serving.lines().len() == 1).then_some(())).await;
    assert!(!serving.path("other.ndjson").exists());
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
