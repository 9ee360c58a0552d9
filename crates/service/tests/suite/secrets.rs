//! Secrets that are where they should not be, and URLs that hold some.

use std::path::Path;

use reflexarc_service::Config;
use reflexarc_service::config::Secrets;

use crate::receiver::{Receiver, Reply, eventually};
use crate::reloading::start;
use crate::samples::event_text;

const VALID: &str = "[targets.out]\ntype = \"file\"\npath = \"out.ndjson\"\n\
    [[http.tokens]]\nname = \"ops\"\nroles = [\"read\", \"operate\"]\ntoken = { file = \"ops\" }\n";

#[tokio::test]
async fn refused_reloads_do_not_echo_secrets() {
    let serving = start(VALID, &[("ops", b"operator")]).await;
    for broken in [
        "[[http.tokens]]\nname = \"a\"\nroles = [\"read\"]\ntoken = \"s3cret-1\"\n",
        "[[http.tokens]]\nname = \"a\"\nroles = [\"read\"]\ntokn = \"s3cret-1\"\n",
        "[[http.tokens]]\nname = \"a\"\nroles = [\"read\"]\ntoken = \"s3cret-1\n",
        "[[http.tokens]]\nname = \"a\"\nroles = [\"read\"]\ntoken = s3cret-1\n",
        "[store]\ntoken = \"s3cret-1\"\n",
        "[targets.hook]\ntype = \"webhook\"\nurl = \"htps://u:s3cret-1@example.com/\"\n",
        "[targets.hook]\ntype = \"webhook\"\nurl = \"example.com/x?key=s3cret-1\"\n",
        "[targets.hook]\ntype = \"webhook\"\nurl = \"https://127.0.0.1/s3cret-1\"\n",
        "[targets.hook]\ntype = \"webhook\"\nurl = \"https://example.com/s3cret-1\"\nx = 1\n",
        "[targets.hook]\ntype = \"webhook\"\nurl = { value = \"s3cret-1\" }\n",
        "[targets.mail]\ntype = \"email\"\npassword = \"s3cret-1\"\n",
        "[telemetry]\nendpoint = \"ftp://example.com/s3cret-1\"\n",
        "[telemetry]\nendpoint = \"http://x\"\n\
         headers = { a = \"s3cret-1\", \"b c\" = \"s3cret-1\" }\n",
    ] {
        let text = format!("{VALID}{broken}");
        std::fs::write(serving.path("reflexarc.toml"), text).unwrap();
        let (status, answer) = serving
            .post_to("/reload", &[("authorization", "Bearer operator")], "")
            .await;
        let answer = answer.to_string();
        assert_eq!(status, 422, "{broken}{answer}");
        assert!(!answer.contains("s3cret"), "{broken}{answer}");
        let status = serving.get("/status", Some("operator")).await.1.to_string();
        assert!(!status.contains("s3cret"), "{broken}{status}");
    }
    serving.stop().await;
}

#[tokio::test]
async fn a_webhook_url_by_reference_is_called_and_redacted() {
    let echo = |call: &crate::receiver::Call, _: &[crate::receiver::Call]| {
        let mut reply = Reply::status(400);
        reply.body = format!("no such hook: {}", call.uri);
        Some(reply)
    };
    let receiver = Receiver::with([], echo).await;
    let url = format!("{}/T0123/Xq3v9Lk2mN8pR4sT6uW?sig=abcdefghij", receiver.url);
    let config = "[targets.out]\ntype = \"webhook\"\nurl = { file = \"url\" }\n\
                  allow = [\"127.0.0.0/8\"]\n";
    let serving = start(config, &[("url", url.as_bytes())]).await;
    let event = event_text("1", "eni-1");
    assert_eq!(serving.post("application/json", event).await.0, 200);
    let call = receiver.wait(1).await.remove(0);
    assert!(call.uri.path().ends_with("/T0123/Xq3v9Lk2mN8pR4sT6uW"));
    let letters = || async { serving.get("/dlq", None).await.1 };
    let mut found = letters().await;
    while found.elements().is_empty() {
        tokio::task::yield_now().await;
        found = letters().await;
    }
    let text = found.to_string();
    assert!(text.contains("no such hook"), "{text}");
    assert!(
        !text.contains("Xq3v9") && !text.contains("abcdefghij"),
        "{text}"
    );
    eventually(|| (!receiver.calls().is_empty()).then_some(())).await;
    serving.stop().await;
}

#[test]
fn urls_by_reference_are_valid_or_an_error_without_them() {
    let text = "[targets.out]\ntype = \"webhook\"\nurl = { env = \"HOOK\" }\n";
    let read = |value: &str| {
        let environment = |_: &str| Some(value.to_owned());
        Config::read(text, Path::new(""), Secrets::Resolve(&environment))
    };
    let config = read("https://u:pass-word@example.com/aaaaaaaa/bbbb\n")
        .ok()
        .unwrap();
    let redacted = config
        .redactor
        .redact("pass-word aaaaaaaa/bbbb example.com");
    assert_eq!(redacted, "[redacted] [redacted] example.com");
    for invalid in ["example.net/secret-hook", "ftp://example.com/hook-hook"] {
        let error = read(invalid).err().unwrap().to_string();
        assert!(error.contains("the secret `url` is not a URL"), "{error}");
        assert!(!error.contains(invalid), "{error}");
    }
    for secrets in [Secrets::Skip, Secrets::Blank] {
        assert!(Config::read(text, Path::new(""), secrets).is_ok());
    }
}
