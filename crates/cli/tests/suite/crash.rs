//! Killed at any moment, the service loses nothing that it answered for.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::time::Duration;

use reflexarc_event::Json;

use crate::serving::{Door, Place, event, eventually};

const THEN: &str = r#"let n = add(event.content.eniId, 1); send("out", #{ event: event.id, eni: event.content.eniId, n: n });"#;
const OUT: &str = "[targets.out]\ntype = \"file\"\npath = \"out.ndjson\"\n";
/// Interfaces that the events are about.
const INTERFACES: usize = 3;
/// Events in one request.
const BATCH: usize = 4;

/// Posts numbered events until the service dies; gives the first number that was not answered for.
fn post_until_dead(door: Door, mut next: usize) -> usize {
    loop {
        let lines: Vec<String> = (next..next + BATCH)
            .map(|number| event(&number.to_string(), &format!("eni-{}", number % INTERFACES)))
            .collect();
        match door.call("POST", "/events", &lines.join("\n")) {
            Some((200, _)) => next += BATCH,
            Some((status, answer)) => panic!("{status}: {answer}"),
            None => return next,
        }
    }
}

#[test]
fn killed_at_random_points_it_keeps_every_event_once_and_delivers_each_at_least_once_under_one_id()
{
    let rounds =
        std::env::var("REFLEXARC_CRASH_ROUNDS").map_or(25, |rounds| rounds.parse().unwrap());
    let place = Place::new(THEN, OUT);
    let mut next = 0;
    let mut random = 0x2545_F491_4F6C_DD1D_u64;
    for _ in 0..rounds {
        let mut serving = place.serve();
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let moment = Duration::from_millis(random % 250);
        let door = serving.door;
        let posting = std::thread::spawn(move || post_until_dead(door, next));
        std::thread::sleep(moment);
        serving.child.kill().unwrap();
        serving.child.wait().unwrap();
        next = posting.join().unwrap();
    }
    // What was not answered for is sent again, as any client does.
    let serving = place.serve();
    let last: Vec<String> = (next..next + BATCH)
        .map(|number| event(&number.to_string(), &format!("eni-{}", number % INTERFACES)))
        .collect();
    assert_eq!(
        serving.call("POST", "/events", &last.join("\n")).unwrap().0,
        200
    );
    next += BATCH;
    eventually("the outbox is empty", || {
        (place.run(&["outbox", "list"]).code == 1).then_some(())
    });
    assert_eq!(serving.terminate(), 0);

    let verified = place.run(&["archive", "verify"]);
    assert_eq!(
        (verified.code, verified.stdout.split(' ').next()),
        (0, Some(next.to_string().as_str())),
        "{}",
        verified.stdout
    );
    let exported = place.run(&["archive", "export"]).stdout;
    let archived: Vec<Json> = exported
        .lines()
        .map(|line| Json::parse(line).unwrap())
        .collect();
    let ids: BTreeSet<usize> = archived
        .iter()
        .map(|event| event.get("id").unwrap().as_str().unwrap().parse().unwrap())
        .collect();
    assert_eq!(ids, (0..next).collect());

    let mut deliveries: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
    let mut counts: BTreeMap<String, BTreeSet<i64>> = BTreeMap::new();
    for line in place.lines("out.ndjson") {
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
    // Every delivery arrived, and all copies of one are the same under the same id.
    assert_eq!(
        deliveries.keys().copied().collect::<BTreeSet<_>>(),
        (0..next).collect()
    );
    assert!(
        deliveries.values().all(|copies| copies.len() == 1),
        "{deliveries:?}"
    );
    // What the rule remembers is what a run without crashes leaves: each event counted once, in order.
    for (eni, seen) in counts {
        let total = (0..next)
            .filter(|number| eni == format!("eni-{}", number % INTERFACES))
            .count();
        assert_eq!(seen, (1..=i64::try_from(total).unwrap()).collect(), "{eni}");
    }
}

#[test]
fn on_a_full_disk_it_refuses_clearly_keeps_what_it_has_and_lives() {
    let place = Place::new(THEN, OUT);
    place.write(
        "reflexarc.toml",
        &format!(
            "{}\n[store]\npath = \"small/reflexarc.db\"\n",
            std::fs::read_to_string(place.path("reflexarc.toml")).unwrap()
        ),
    );
    std::fs::create_dir(place.path("small")).unwrap();
    let sandboxed = Command::new("unshare")
        .args(["-rm", "true"])
        .status()
        .is_ok_and(|status| status.success());
    let serving = if sandboxed {
        // The mount lives and dies with the process.
        let script = format!(
            "mount -t tmpfs -o size=1m none small && exec {} serve",
            env!("CARGO_BIN_EXE_reflexarc")
        );
        place.serve_as(&["unshare", "-rm", "sh", "-c", &script])
    } else {
        // Where no small disk can be mounted, the store's own bound is met in the same way.
        let config = std::fs::read_to_string(place.path("reflexarc.toml")).unwrap();
        place.write(
            "reflexarc.toml",
            &format!("{config}max_bytes = 1_048_576\n"),
        );
        place.serve()
    };
    let mut stored = 0;
    let refusal = loop {
        let number = stored.to_string();
        match serving
            .call("POST", "/events", &event(&number, "eni-1"))
            .unwrap()
        {
            (200, _) => stored += 1,
            refusal => break refusal,
        }
        assert!(stored < 5_000, "the disk never was full");
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
            serving
                .call("GET", &format!("/trace/{number}"), "")
                .unwrap()
                .0,
            200
        );
    }
    assert_eq!(serving.call("GET", "/healthz", "").unwrap().0, 200);
}

#[test]
fn a_store_that_cannot_be_written_or_is_damaged_or_in_use_is_said_so_at_the_start() {
    let place = Place::new(THEN, OUT);
    let serving = place.serve();
    assert_eq!(
        serving
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
    let config = std::fs::read_to_string(place.path("reflexarc.toml")).unwrap();
    place.write(
        "other.toml",
        &config.replace(&place.port.to_string(), &other_port.to_string()),
    );
    let second = place.run(&["serve", "--config", "other.toml"]);
    assert_eq!(second.code, 5);
    assert!(
        second
            .stderr
            .contains("in use by another process that delivers out of it"),
        "{}",
        second.stderr
    );
    assert_eq!(serving.terminate(), 0);

    let store = place.path("reflexarc.db");
    let mut bytes = std::fs::read(&store).unwrap();
    let last_page = bytes.len() - 4_096;
    bytes[last_page..].fill(0xA5);
    std::fs::write(&store, &bytes).unwrap();
    let damaged = place.run(&["serve"]);
    assert_eq!(damaged.code, 5);
    assert!(
        damaged.stderr.contains("is damaged and was left as it is"),
        "{}",
        damaged.stderr
    );
    assert!(std::fs::read(&store).unwrap() == bytes);

    place.write(
        "reflexarc.toml",
        &format!("{config}[store]\npath = \"/proc/reflexarc.db\"\n"),
    );
    let unwritable = place.run(&["serve"]);
    assert_eq!(unwritable.code, 5);
    assert!(
        unwritable
            .stderr
            .contains("cannot write the store /proc/reflexarc.db"),
        "{}",
        unwritable.stderr
    );
}

/// Where the tests run as root, who may write everything, the program runs as somebody else.
fn as_a_stranger(command: &mut Command) -> &mut Command {
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
fn a_store_that_may_only_be_read_is_named_and_left_as_it_is() {
    let place = Place::new(THEN, OUT);
    let serving = place.serve();
    assert_eq!(
        serving
            .call("POST", "/events", &event("1", "eni-1"))
            .unwrap()
            .0,
        200
    );
    assert_eq!(serving.terminate(), 0);
    let mode = |name: &str, mode| {
        std::fs::set_permissions(place.path(name), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    // Somebody else cannot look into the folder where it was built.
    std::fs::copy(env!("CARGO_BIN_EXE_reflexarc"), place.path("reflexarc")).unwrap();
    let store = place.path("reflexarc.db");
    let before = std::fs::read(&store).unwrap();
    let refused = |why: &str| {
        let mut command = Command::new(place.path("reflexarc"));
        let output = as_a_stranger(command.arg("serve").current_dir(place.folder.path()))
            .output()
            .unwrap();
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(5), "{why}: {words}");
        assert!(
            words.contains("cannot write the store") && words.contains("reflexarc.db"),
            "{why}: {words}"
        );
        assert!(
            words.contains("whether the file system is read-only"),
            "{why}: {words}"
        );
        assert!(std::fs::read(&store).unwrap() == before, "{why}");
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
