//! Crashes, full disks and damaged stores: nothing that the service acknowledged is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::Duration;

use reflexarc_event::Json;

use crate::service_process::{HttpClient, Workspace, event, eventually};

const THEN: &str = r#"
let n = add(event.content.eniId, 1);
send("out", #{ event: event.id, eni: event.content.eniId, n: n });
"#;
const OUT: &str = "[targets.out]\ntype = \"file\"\npath = \"out.ndjson\"\n";
/// Number of interfaces that the events are about.
const INTERFACES: usize = 3;
/// Number of events in one request.
const BATCH: usize = 4;

/// Posts numbered events until the service dies; returns the first number without a response.
fn post_until_dead(client: HttpClient, mut next: usize) -> usize {
    loop {
        let lines: Vec<String> = (next..next + BATCH)
            .map(|number| event(&number.to_string(), &format!("eni-{}", number % INTERFACES)))
            .collect();
        match client.call("POST", "/events", &lines.join("\n")) {
            Some((200, _)) => next += BATCH,
            Some((status, answer)) => panic!("{status}: {answer}"),
            None => return next,
        }
    }
}

#[test]
fn after_kills_every_event_is_stored_once_and_delivered() {
    let rounds =
        std::env::var("REFLEXARC_CRASH_ROUNDS").map_or(25, |rounds| rounds.parse().unwrap());
    let workspace = Workspace::new(THEN, OUT);
    let next = kill_while_posting(&workspace, rounds);
    finish(&workspace, next);
    let count = next + BATCH;
    assert_archived_once(&workspace, count);
    assert_delivered_in_order(&workspace, count);
}

/// Kills the service at random times while events are posted; the number of the first event
/// without a response.
fn kill_while_posting(workspace: &Workspace, rounds: usize) -> usize {
    let mut next = 0;
    let mut random = 0x2545_F491_4F6C_DD1D_u64;
    for _ in 0..rounds {
        let mut service = workspace.serve();
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let delay = Duration::from_millis(random % 250);
        let client = service.client;
        let posting = std::thread::spawn(move || post_until_dead(client, next));
        std::thread::sleep(delay);
        service.child.kill().unwrap();
        service.child.wait().unwrap();
        next = posting.join().unwrap();
    }
    next
}

/// Sends the events from `next` and waits until all deliveries are done.
fn finish(workspace: &Workspace, next: usize) {
    // Events without a response are sent again, as any client does.
    let service = workspace.serve();
    let last: Vec<String> = (next..next + BATCH)
        .map(|number| event(&number.to_string(), &format!("eni-{}", number % INTERFACES)))
        .collect();
    assert_eq!(
        service.call("POST", "/events", &last.join("\n")).unwrap().0,
        200
    );
    eventually("the outbox is empty", || {
        (workspace.run(&["outbox", "list"]).code == 1).then_some(())
    });
    assert_eq!(service.terminate(), 0);
}

/// The archive has the events 0 to `count`, each once.
fn assert_archived_once(workspace: &Workspace, count: usize) {
    let verified = workspace.run(&["archive", "verify"]);
    assert_eq!(
        (verified.code, verified.stdout.split(' ').next()),
        (0, Some(count.to_string().as_str())),
        "{}",
        verified.stdout
    );
    let exported = workspace.run(&["archive", "export"]).stdout;
    let archived: Vec<Json> = exported
        .lines()
        .map(|line| Json::parse(line).unwrap())
        .collect();
    let ids: BTreeSet<usize> = archived
        .iter()
        .map(|event| event.get("id").unwrap().as_str().unwrap().parse().unwrap())
        .collect();
    assert_eq!(ids, (0..count).collect());
}

/// All copies of a delivery are equal, and the rule's counters have counted each event once.
fn assert_delivered_in_order(workspace: &Workspace, count: usize) {
    let mut deliveries: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
    let mut counts: BTreeMap<String, BTreeSet<i64>> = BTreeMap::new();
    for line in workspace.lines("out.ndjson") {
        let sent = line.get("send").unwrap();
        let number = sent
            .get("event")
            .unwrap()
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        deliveries
            .entry(number)
            .or_default()
            .insert(format!("{} {sent}", line.get("id").unwrap()));
        let eni = sent.get("eni").unwrap().as_str().unwrap().to_owned();
        counts
            .entry(eni)
            .or_default()
            .insert(sent.get("n").unwrap().as_i64().unwrap());
    }
    // Every event was delivered, and all copies of a delivery have the same id and content.
    assert_eq!(
        deliveries.keys().copied().collect::<BTreeSet<_>>(),
        (0..count).collect()
    );
    assert!(
        deliveries.values().all(|copies| copies.len() == 1),
        "{deliveries:?}"
    );
    // The rule's state is that of a run without crashes: each event counted once, in order.
    for (eni, seen) in counts {
        let total = (0..count)
            .filter(|number| eni == format!("eni-{}", number % INTERFACES))
            .count();
        assert_eq!(seen, (1..=i64::try_from(total).unwrap()).collect(), "{eni}");
    }
}

#[test]
fn a_full_disk_refuses_events_and_keeps_stored_ones() {
    let workspace = Workspace::new(THEN, OUT);
    workspace.write(
        "reflexarc.toml",
        &format!(
            "{}\n[store]\npath = \"small/reflexarc.db\"\n",
            std::fs::read_to_string(workspace.path("reflexarc.toml")).unwrap()
        ),
    );
    std::fs::create_dir(workspace.path("small")).unwrap();
    let sandboxed = Command::new("unshare")
        .args(["-rm", "true"])
        .status()
        .is_ok_and(|status| status.success());
    let service = if sandboxed {
        // The mount exists only in the namespace of the process.
        let script = format!(
            "mount -t tmpfs -o size=1m none small && exec {} serve",
            env!("CARGO_BIN_EXE_reflexarc")
        );
        workspace.serve_as(&["unshare", "-rm", "sh", "-c", &script])
    } else {
        // Where no small disk can be mounted, the store's own limit has the same effect.
        let config = std::fs::read_to_string(workspace.path("reflexarc.toml")).unwrap();
        workspace.write(
            "reflexarc.toml",
            &format!("{config}max_bytes = 1_048_576\n"),
        );
        workspace.serve()
    };
    let mut stored = 0;
    let refusal = loop {
        let number = stored.to_string();
        match service
            .call("POST", "/events", &event(&number, "eni-1"))
            .unwrap()
        {
            (200, _) => stored += 1,
            refusal => break refusal,
        }
        assert!(stored < 5_000, "the disk did not fill up");
    };
    assert_eq!(refusal.0, 503, "{}", refusal.1);
    assert!(
        refusal.1.contains("is full; nothing was stored"),
        "{}",
        refusal.1
    );
    assert!(stored > 10);
    for number in [0, stored - 1] {
        assert_eq!(
            service
                .call("GET", &format!("/trace/{number}"), "")
                .unwrap()
                .0,
            200
        );
    }
    assert_eq!(service.call("GET", "/healthz", "").unwrap().0, 200);
}

#[test]
fn an_unusable_store_is_reported_at_start() {
    let workspace = Workspace::new(THEN, OUT);
    let service = workspace.serve();
    assert_eq!(
        service
            .call(
                "POST",
                "/events",
                &(0..300)
                    .map(|i| event(&i.to_string(), "eni-1") + "\n")
                    .collect::<String>()
            )
            .unwrap()
            .0,
        200
    );
    let other_port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let config = std::fs::read_to_string(workspace.path("reflexarc.toml")).unwrap();
    workspace.write(
        "other.toml",
        &config.replace(&workspace.port.to_string(), &other_port.to_string()),
    );
    let second = workspace.run(&["serve", "--config", "other.toml"]);
    assert_eq!(second.code, 5);
    assert!(
        second
            .stderr
            .contains("is in use: another process delivers from it"),
        "{}",
        second.stderr
    );
    assert_eq!(service.terminate(), 0);

    let store = workspace.path("reflexarc.db");
    let mut bytes = std::fs::read(&store).unwrap();
    // The schema. Damage of any other page is found in the background.
    bytes[100..4_096].fill(0xA5);
    std::fs::write(&store, &bytes).unwrap();
    let damaged = workspace.run(&["serve"]);
    assert_eq!(damaged.code, 5);
    assert!(
        damaged.stderr.contains("is damaged and was left as it is"),
        "{}",
        damaged.stderr
    );
    assert!(std::fs::read(&store).unwrap() == bytes);

    workspace.write(
        "reflexarc.toml",
        &format!("{config}[store]\npath = \"/proc/reflexarc.db\"\n"),
    );
    let unwritable = workspace.run(&["serve"]);
    assert_eq!(unwritable.code, 5);
    assert!(
        unwritable
            .stderr
            .contains("cannot write the store /proc/reflexarc.db"),
        "{}",
        unwritable.stderr
    );
}

/// Runs the command as an unprivileged user: root may write read-only files.
fn unprivileged(command: &mut Command) -> &mut Command {
    let root = Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|id| id.stdout == b"0\n");
    if root {
        command.uid(65_534).gid(65_534)
    } else {
        command
    }
}

#[test]
fn a_read_only_store_is_reported_and_left_unchanged() {
    let workspace = Workspace::new(THEN, OUT);
    let service = workspace.serve();
    assert_eq!(
        service
            .call("POST", "/events", &event("1", "eni-1"))
            .unwrap()
            .0,
        200
    );
    assert_eq!(service.terminate(), 0);
    let mode = |name: &str, mode| {
        std::fs::set_permissions(workspace.path(name), std::fs::Permissions::from_mode(mode))
            .unwrap();
    };
    // The unprivileged user has no access to the folder of the build.
    // Copied by another process: a test that starts a process at this moment would inherit the
    // descriptor for writing until its `exec`, and a program that is open for writing cannot run.
    let copied = Command::new("cp")
        .arg(env!("CARGO_BIN_EXE_reflexarc"))
        .arg(workspace.path("reflexarc"))
        .status();
    assert!(copied.unwrap().success());
    let store = workspace.path("reflexarc.db");
    let before = std::fs::read(&store).unwrap();
    let refused = |case: &str| {
        let mut command = Command::new(workspace.path("reflexarc"));
        let output = unprivileged(command.arg("serve").current_dir(workspace.folder.path()))
            .output()
            .unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(5), "{case}: {stderr}");
        assert!(
            stderr.contains("cannot write the store") && stderr.contains("reflexarc.db"),
            "{case}: {stderr}"
        );
        assert!(
            stderr.contains("whether the file system is read-only"),
            "{case}: {stderr}"
        );
        assert!(std::fs::read(&store).unwrap() == before, "{case}");
    };
    mode("reflexarc.db", 0o444);
    mode(".", 0o777);
    refused("the file");
    mode(".", 0o555);
    refused("the file and its folder");
    mode("reflexarc.db", 0o666);
    refused("the folder");
    mode(".", 0o755);
}
