//! `send` and `reload` beside the configuration of the service that they call.

use std::io::{BufRead as _, BufReader, Write as _};
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
