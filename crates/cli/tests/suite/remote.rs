//! `send` and `reload` beside the configuration of the service that they call.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::process::Command;

use crate::service_process::{Workspace, event};

const THEN: &str = r#"send("out", 1);"#;
const OUT: &str = "[targets.out]\ntype = \"file\"\npath = \"out.ndjson\"\n";

/// A token for each role that the commands need, and one whose secret is not set.
const TOKENS: &str = r#"
[[http.tokens]]
name = "elsewhere"
token = { file = "elsewhere.secret" }
roles = ["ingest", "operate"]
[[http.tokens]]
name = "cloud"
token = { file = "cloud.secret" }
roles = ["ingest"]
[[http.tokens]]
name = "old"
token = { file = "old.secret" }
roles = ["operate"]
expires = 2020-01-01T00:00:00Z
[[http.tokens]]
name = "operators"
token = { file = "operators.secret" }
roles = ["read", "operate"]
"#;

/// A workspace with tokens that listens on all addresses.
fn workspace_with_tokens() -> Workspace {
    let workspace = Workspace::new(THEN, "");
    let (port, config) = (workspace.port, "shutdown_timeout = \"10s\"\n[http]\n");
    let config = format!("{config}listen = \"0.0.0.0:{port}\"\n{TOKENS}{OUT}");
    workspace.write("reflexarc.toml", &config);
    for name in ["elsewhere", "cloud", "old", "operators"] {
        workspace.write(&format!("{name}.secret"), &format!("secret-of-{name}\n"));
    }
    workspace
}

/// Accepts one request, answers 401, and returns its head.
fn one_request(listener: &TcpListener) -> String {
    let (stream, _) = listener.accept().unwrap();
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while reader.read_line(&mut head).unwrap() > 2 {}
    let response = "HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    reader.get_mut().write_all(response.as_bytes()).unwrap();
    head
}

#[test]
fn the_clock_is_confirmed_after_a_jump() {
    let workspace = workspace_with_tokens();
    let service = workspace.serve();
    assert_eq!(
        workspace
            .run_with_stdin(&["send"], &event("e1", "eni-1"))
            .code,
        0
    );
    let confirmed = workspace.run(&["clock", "confirm"]);
    let nothing = "no jump of the clock was suspected\n";
    assert_eq!((confirmed.code, confirmed.stdout.as_str()), (1, nothing));
    assert_eq!(service.terminate(), 0);
    // As if all of it had happened three hours ago, in another boot.
    std::fs::remove_file(workspace.path("reflexarc.db.clock")).unwrap();
    let store = rusqlite::Connection::open(workspace.path("reflexarc.db")).unwrap();
    let hours = "UPDATE archive SET received = received - 3 * 3600 * 1000000";
    assert_eq!(store.execute(hours, []).unwrap(), 1);
    drop(store);
    let service = workspace.serve();
    let confirmed = workspace.run(&["clock", "accept"]);
    assert_eq!(confirmed.code, 0, "{}", confirmed.stderr);
    let expected = "confirmed: the clock went forward by 3h";
    assert!(
        confirmed.stdout.starts_with(expected),
        "{}",
        confirmed.stdout
    );
    assert_eq!(workspace.run(&["clock", "confirm"]).code, 1);
    assert_eq!(service.terminate(), 0);
}

#[test]
fn send_and_reload_read_the_configuration_beside_them() {
    let workspace = workspace_with_tokens();
    let service = workspace.serve();
    std::fs::remove_file(workspace.path("elsewhere.secret")).unwrap();
    let sent = workspace.run_with_stdin(&["send"], &event("e1", "eni-1"));
    assert_eq!(
        (sent.code, sent.stdout.as_str()),
        (0, "1 accepted, 0 duplicates, 0 unreadable\n"),
        "{}",
        sent.stderr
    );
    workspace.write("elsewhere.secret", "secret-of-elsewhere\n");
    let reloaded = workspace.run(&["reload"]);
    assert_eq!(
        reloaded.stdout, "reloaded: 1 rule, 1 target\n",
        "{}",
        reloaded.stderr
    );
    // A configuration that the service refuses must not keep the command from asking it.
    let config = std::fs::read_to_string(workspace.path("reflexarc.toml")).unwrap();
    workspace.write("reflexarc.toml", &format!("lgo = \"info\"\n{config}"));
    let refused = workspace.run(&["reload"]);
    assert_eq!(refused.code, 3, "{}", refused.stderr);
    assert!(refused.stderr.contains("`lgo`"), "{}", refused.stderr);
    assert_eq!(service.terminate(), 0);
}

#[test]
fn config_names_another_configuration() {
    let workspace = workspace_with_tokens();
    let service = workspace.serve();
    let elsewhere = tempfile::tempdir().unwrap();
    let path = workspace.path("reflexarc.toml");
    let args = ["reload", "--config", path.to_str().unwrap()];
    let reloaded = crate::reflexarc_in(elsewhere.path(), &args, b"");
    assert_eq!(reloaded.code, 0, "{}", reloaded.stderr);
    let missing = workspace.run(&["reload", "--config", "nowhere.toml"]);
    assert_eq!(missing.code, 3);
    assert!(
        missing.stderr.contains("nowhere.toml"),
        "{}",
        missing.stderr
    );
    assert_eq!(service.terminate(), 0);
}

#[test]
fn an_invalid_address_is_drawn() {
    let workspace = Workspace::new(THEN, "");
    workspace.write("reflexarc.toml", "[http]\nlisten = \"here\"\n");
    let reload = workspace.run(&["reload"]);
    assert_eq!(reload.code, 3);
    assert!(
        reload.stderr.contains("reflexarc.toml:2:10"),
        "{}",
        reload.stderr
    );
    workspace.write("reflexarc.toml", "[http\n");
    assert_eq!(workspace.run(&["reload"]).code, 3);
}

/// A token must not reach a machine that its configuration does not name.
#[test]
fn tokens_are_not_sent_to_another_address() {
    let workspace = workspace_with_tokens();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::scope(|threads| {
        let head = |args: &[&str]| {
            let request = threads.spawn(|| one_request(&listener).to_ascii_lowercase());
            let outcome = workspace.run(args);
            assert_eq!(outcome.code, 5, "{}", outcome.stderr);
            request.join().unwrap()
        };
        let other = head(&["reload", "--url", &url]);
        assert!(!other.contains("authorization"), "{other}");
        let both = head(&["reload", "--url", &url, "--config", "reflexarc.toml"]);
        assert!(both.contains("bearer secret-of-elsewhere"), "{both}");
        let config = ["reload", "--url", &url, "--config", "reflexarc.toml"];
        let named = head(&[&config[..], &["--token-env", "REFLEXARC_TEST_UNSET"]].concat());
        assert!(!named.contains("authorization"), "{named}");
        let named = head(&["reload", "--url", &url, "--token-env", "PATH"]);
        assert!(named.contains("authorization: bearer /"), "{named}");
    });
}

#[test]
fn the_certificate_of_the_configuration_is_trusted() {
    let workspace = Workspace::new(THEN, "");
    // A certificate of the machine's own, as operators make it for tests.
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
        ])
        .args(["-nodes", "-days", "2", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-keyout", "key.pem", "-out", "certificate.pem"])
        .current_dir(workspace.folder.path())
        .output();
    assert!(made.unwrap().status.success());
    let port = workspace.port;
    let config = format!(
        "[http]\nlisten = \"127.0.0.1:{port}\"\n\
         [http.tls]\ncertificate = \"certificate.pem\"\nkey = \"key.pem\"\n{OUT}"
    );
    workspace.write("reflexarc.toml", &config);
    let mut service = Command::new(env!("CARGO_BIN_EXE_reflexarc"))
        .arg("serve")
        .current_dir(workspace.folder.path())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    // The command tries again until the service listens.
    let reloaded = workspace.run(&["reload"]);
    service.kill().unwrap();
    service.wait().unwrap();
    assert_eq!(reloaded.code, 0, "{}", reloaded.stderr);
}

/// The ids in the answer alone are far longer than a message for people may be.
#[test]
fn large_batches_are_counted_exactly() {
    let workspace = Workspace::new(THEN, OUT);
    let service = workspace.serve();
    let long = "x".repeat(100);
    let events: Vec<String> = (0..1_500)
        .map(|number| event(&format!("{long}-{number}"), "eni-1"))
        .collect();
    let events = events.join("\n");
    for expected in [
        "1500 accepted, 0 duplicates, 0 unreadable\n",
        "0 accepted, 1500 duplicates, 0 unreadable\n",
    ] {
        let sent = workspace.run_with_stdin(&["send", "--batch", "1500"], &events);
        assert_eq!(
            (sent.code, sent.stdout.as_str()),
            (0, expected),
            "{}",
            sent.stderr
        );
    }
    assert_eq!(service.terminate(), 0);
}

/// Answers `POST` requests with these heads and bodies, one after another.
fn answering(responses: Vec<String>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for response in responses {
            let (stream, _) = listener.accept().unwrap();
            let mut reader = BufReader::new(stream);
            let (mut line, mut length) = (String::new(), 0);
            while reader.read_line(&mut line).unwrap() > 2 {
                if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                line.clear();
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            reader.get_mut().write_all(response.as_bytes()).unwrap();
        }
    });
    port
}

fn response(status: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}")
}

/// An answer that cannot be read is a failure; nothing is counted in its place.
#[test]
fn answers_that_cannot_be_read_are_failures() {
    let cut = "HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n{\"accepted\": 1".to_owned();
    let invalid_utf8 = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nÄ".replace('Ä', "\u{e4}");
    let cases = [
        (cut, "its answer cannot be read: it broke off"),
        (response("200 OK", "<html>"), "it is not JSON"),
        (response("200 OK", ""), "it is not JSON"),
        (response("200 OK", "{}"), "missing `accepted`"),
        (response("200 OK", "[]"), "missing `accepted`"),
        (
            response("200 OK", r#"{"accepted": -1, "duplicates": 0}"#),
            "`accepted` is -1, expected a number",
        ),
        (
            response("200 OK", r#"{"accepted": 1}"#),
            "missing `duplicates`",
        ),
        (invalid_utf8, "it is not JSON"),
        (response("204 No Content", ""), "answered 204"),
        (
            response(
                "400 Bad Request",
                "{\"error\": \"no\", \"faults\": [{\"element\": 3, \"line\": 4, \
                 \"code\": \"RA0005\", \"message\": \"m\", \"help\": \"h\"}]}",
            ),
            "answered 400: no\nelement 3, line 4: RA0005: m; h",
        ),
        (
            response("413 Too Large", "<html>big</html>"),
            "answered 413: <html>big</html>",
        ),
        (
            response("403 No", r#"{"error": {"code": 7}}"#),
            r#"answered 403: {"code":7}"#,
        ),
    ];
    let workspace = Workspace::new(THEN, OUT);
    for (answer, expected) in cases {
        let port = answering(vec![answer.clone()]);
        let url = format!("http://127.0.0.1:{port}");
        let sent = workspace.run_with_stdin(&["send", "--url", &url], &event("e1", "eni-1"));
        assert_eq!((sent.code, sent.stdout.as_str()), (5, ""), "{answer}");
        assert!(sent.stderr.contains(expected), "{answer}: {}", sent.stderr);
        assert!(
            sent.stderr.contains("stopped after 0 accepted"),
            "{}",
            sent.stderr
        );
    }
    let port = answering(vec![response("200 OK", r#"{"rules": 1, "targets": 2}"#)]);
    let url = format!("http://127.0.0.1:{port}");
    let reloaded = workspace.run(&["reload", "--url", &url]);
    assert_eq!(reloaded.code, 5);
    assert!(
        reloaded.stderr.contains("missing `restart`"),
        "{}",
        reloaded.stderr
    );
}

#[test]
fn a_busy_service_is_called_again() {
    let busy = "HTTP/1.1 503 Busy\r\ncontent-length: 9\r\n\r\n{".to_owned();
    let ok = response("200 OK", r#"{"accepted": 1, "duplicates": 0}"#);
    let port = answering(vec![busy, ok]);
    let workspace = Workspace::new(THEN, OUT);
    let url = format!("http://127.0.0.1:{port}");
    let sent = workspace.run_with_stdin(&["send", "--url", &url], &event("e1", "eni-1"));
    assert_eq!(
        sent.stdout, "1 accepted, 0 duplicates, 0 unreadable\n",
        "{}",
        sent.stderr
    );
}
