//! Targets that take calls, as the commands of operators show and test them.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};

use crate::service_process::Workspace;

const THEN: &str = "call(\"ecs\", \"DescribeNetworkInterfaces\", #{});
call(\"ecs\", \"DeleteNetworkInterface\", #{ NetworkInterfaceId: event.content.eniId });";
const KEY: &str = "credentials = { access_key_id = { file = \"id\" }, \
                   access_key_secret = { file = \"secret\" } }\n";

/// A server that answers every request like this, and the heads of the requests.
fn server(status: u16, body: &'static str) -> (String, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, heads) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut bytes = [0; 8192];
            let length = stream.read(&mut bytes).unwrap();
            let answer = format!(
                "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n\
                 content-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).unwrap();
            drop(sender.send(String::from_utf8_lossy(&bytes[..length]).into_owned()));
        }
    });
    (url, heads)
}

fn workspace(targets: &str) -> Workspace {
    let workspace = Workspace::new(THEN, targets);
    workspace.write("id", "LTAI-id");
    workspace.write("secret", "canary-secret");
    workspace
}

fn ecs(keys: &str) -> String {
    format!("[targets.ecs]\ntype = \"alibaba\"\n{KEY}{keys}\n")
}

#[test]
fn allowed_calls_are_listed() {
    let workspace = workspace(&format!(
        "{}[targets.cmdb]\ntype = \"http\"\nurl = \"https://cmdb.example.com/canary-path-0123\"\n",
        ecs("region = \"cn-beijing\"\nallow = [\"Describe*\", \"DeleteNetworkInterface\"]")
    ));
    let list = workspace.run(&["target", "list"]);
    assert_eq!(list.code, 0, "{}", list.stderr);
    let rows: Vec<Vec<&str>> = list
        .stdout
        .lines()
        .map(|line| {
            line.split("  ")
                .map(str::trim)
                .filter(|cell| !cell.is_empty())
                .collect()
        })
        .collect();
    assert_eq!(
        rows,
        [
            vec!["TARGET", "TYPE", "ENDPOINT"],
            vec!["cmdb", "http", "cmdb.example.com"],
            vec!["ecs", "alibaba", "ecs.cn-beijing.aliyuncs.com"],
            vec![],
            vec!["TARGET", "ALLOWED CALLS", "CHANGES", "EXPIRES"],
            vec!["cmdb", "GET *", "at most 10 a minute, 100 a day", "15m"],
            vec!["ecs", "Describe*, DeleteNetworkInterface", "dry run", "15m"],
        ]
    );
    let json = workspace.run(&["target", "list", "--json"]).stdout;
    let calls = r#""calls":{"allow":["Describe*","DeleteNetworkInterface"],"dry_run":true,"#;
    assert!(json.contains(calls) && !json.contains("canary"), "{json}");
}

#[test]
fn config_check_shows_how_calls_are_treated() {
    for (keys, treated) in [
        ("region = \"cn-beijing\"", "not allowed"),
        ("region = \"cn-beijing\"\nallow = \"*\"", "dry run"),
        (
            "endpoint = \"http://127.0.0.1:1\"\nallow = \"*\"",
            "change, at most 10 a minute and 100 a day",
        ),
    ] {
        let checked = workspace(&ecs(keys)).run(&["config", "check"]);
        assert_eq!(checked.code, 0, "{}", checked.stderr);
        let line = format!(
            "calls: ecs DeleteNetworkInterface (failed): {treated}\n\
             calls: ecs DescribeNetworkInterfaces (failed): read\n"
        );
        assert!(checked.stdout.ends_with(&line), "{}", checked.stdout);
        let is_warned = checked.stderr.contains("RA0610");
        assert_eq!(is_warned, treated == "not allowed", "{}", checked.stderr);
    }
    let help = "allow = [\"Describe*\", \"ListTagResources\", \"DeleteNetworkInterface\"]";
    let checked = workspace(&ecs("region = \"cn-beijing\"")).run(&["config", "check"]);
    assert!(checked.stderr.contains(help), "{}", checked.stderr);
}

#[test]
fn rules_that_do_not_fit_their_targets_are_errors() {
    let file = "[targets.ecs]\ntype = \"file\"\npath = \"out.ndjson\"\n";
    for (targets, then, message) in [
        (
            file.to_owned(),
            THEN,
            "`ecs` is of type file, which takes no calls",
        ),
        (
            ecs("region = \"cn-beijing\""),
            "notify(\"ecs\", \"x\");",
            "`ecs` is of type alibaba, which takes calls only",
        ),
    ] {
        let workspace = workspace(&targets);
        workspace.rule(then);
        for args in [&["config", "check"][..], &["serve"]] {
            let outcome = workspace.run(args);
            let text = format!("{}{}", outcome.stdout, outcome.stderr);
            assert_eq!(outcome.code, 3, "{text}");
            assert!(text.contains("RA0609") && text.contains(message), "{text}");
        }
    }
}

#[test]
fn target_test_calls_an_operation_that_changes_nothing() {
    let (url, heads) = server(200, r#"{"TotalCount":0}"#);
    let workspace_of = |keys: &str| workspace(&ecs(&format!("endpoint = \"{url}\"\n{keys}")));
    let tested = workspace_of("").run(&["target", "test", "ecs"]);
    assert_eq!(
        (tested.code, tested.stdout.as_str()),
        (
            0,
            "answered: DescribeNetworkInterfaces: HTTP 200 {\"TotalCount\":0}\n"
        ),
        "{}",
        tested.stderr
    );
    let head = heads.recv().unwrap();
    assert!(
        head.contains("x-acs-action: DescribeNetworkInterfaces\r\n"),
        "{head}"
    );

    let none = workspace_of("allow = \"DeleteNetworkInterface\"").run(&["target", "test", "ecs"]);
    assert_eq!(none.code, 5);
    assert!(
        none.stderr.contains("allows no operation to test it with"),
        "{}",
        none.stderr
    );
    assert!(heads.try_recv().is_err());

    let http = workspace(&format!(
        "[targets.cmdb]\ntype = \"http\"\nurl = \"{url}/v1\"\nnetworks = \"127.0.0.0/8\"\n\
         bearer = {{ file = \"secret\" }}\n"
    ));
    let tested = http.run(&["target", "test", "cmdb"]);
    assert_eq!(
        tested.stdout,
        "answered: GET /: HTTP 200 {\"TotalCount\":0}\n"
    );
    let head = heads.recv().unwrap();
    assert!(head.starts_with("GET /v1/ HTTP/1.1\r\n"), "{head}");
    assert!(
        head.contains("authorization: Bearer canary-secret\r\n"),
        "{head}"
    );
}

#[test]
fn a_failed_test_of_calls_names_the_reason_and_no_secret() {
    let body = r#"{"Code":"SignatureDoesNotMatch","Message":"signed with canary-secret"}"#;
    let (url, _heads) = server(400, body);
    let workspace = workspace(&ecs(&format!("endpoint = \"{url}\"")));
    let tested = workspace.run(&["target", "test", "ecs"]);
    assert_eq!(
        (tested.code, tested.stderr.as_str()),
        (
            5,
            "error: DescribeNetworkInterfaces: SignatureDoesNotMatch: signed with [redacted]\n"
        )
    );
}

#[test]
fn a_reload_refuses_rules_that_do_not_fit_their_targets() {
    let file = "[targets.out]\ntype = \"file\"\npath = \"out.ndjson\"\n";
    let workspace = workspace(&format!(
        "{}{file}",
        ecs("endpoint = \"http://127.0.0.1:1\"")
    ));
    let service = workspace.serve();
    for (then, code) in [
        ("notify(\"ecs\", \"x\");", 3),
        ("call(\"out\", \"DescribeInstances\", #{});", 3),
        ("call(\"ecs\", \"DescribeInstances\", #{});", 0),
    ] {
        workspace.rule(then);
        let reloaded = workspace.run(&["reload"]);
        assert_eq!(
            reloaded.code, code,
            "{}{}",
            reloaded.stdout, reloaded.stderr
        );
        let text = format!("{}{}", reloaded.stdout, reloaded.stderr);
        assert_eq!(text.contains("RA0609"), code != 0, "{text}");
    }
    assert_eq!(service.terminate(), 0);
}
