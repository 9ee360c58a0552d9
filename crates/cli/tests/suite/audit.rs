//! Selecting deliveries, changing all of them, and the records of that.

use reflexarc_event::Json;

use crate::operating::echoing_receiver;
use crate::service_process::{Workspace, event, eventually};

const THEN: &str = r#"send("out", #{ eni: event.content.eniId });"#;
const LONG_AGO: &str = "2000-01-01T00:00:00Z";
const FAR: &str = "2099-01-01T00:00:00Z";

/// The elements that a command prints as JSON; none if it finds nothing.
fn elements(workspace: &Workspace, args: &[&str]) -> Vec<Json> {
    let args = [args, &["--format", "json"]].concat();
    let run = workspace.run(&args);
    let found = Json::parse(&run.stdout).unwrap();
    let found = found.elements().to_vec();
    let code = i32::from(found.is_empty());
    assert_eq!(run.code, code, "{args:?}: {}", run.stderr);
    found
}

fn text<'a>(entry: &'a Json, name: &str) -> &'a str {
    entry.get(name).and_then(Json::as_str).unwrap()
}

fn count(entry: &Json) -> String {
    entry.get("count").unwrap().to_string()
}

#[test]
fn dead_letters_are_selected_changed_and_recorded() {
    let port = echoing_receiver();
    let targets = format!(
        "[targets.out]\ntype = \"webhook\"\nurl = \"http://127.0.0.1:{port}/\"\n\
         allow = [\"127.0.0.0/8\"]\n"
    );
    let workspace = Workspace::new(THEN, &targets);
    let service = workspace.serve();
    for id in ["e1", "e2", "e3"] {
        let sent = service.call("POST", "/events", &event(id, "eni-1"));
        assert_eq!(sent.unwrap().0, 200);
    }
    let dead = eventually("three dead letters", || {
        let list = workspace.run(&["dlq", "list", "--format", "json"]);
        let found = Json::parse(&list.stdout).ok()?.elements().to_vec();
        (found.len() == 3).then_some(found)
    });
    assert_eq!(service.terminate(), 0);
    let rule = text(&dead[0], "rule");
    for (options, number) in [
        (&["--rule", rule][..], 3),
        (&["--rule", "none"], 0),
        (&["--event", "e1"], 1),
        (&["--event", "e"], 0),
        (&["--reason", "CONTENT-LENGTH"], 3),
        (&["--reason", "zebra"], 0),
        (&["--since", LONG_AGO, "--until", FAR], 3),
        (&["--since", FAR], 0),
        (&["--until", LONG_AGO], 0),
        (&["--target", "out", "--rule", rule, "--event", "e2"], 1),
        (&["--target", "none", "--event", "e2"], 0),
    ] {
        let found = elements(&workspace, &[&["dlq", "list"], options].concat());
        assert_eq!(found.len(), number, "{options:?}");
    }
    let none = workspace.run(&["dlq", "list", "--rule", "none"]);
    assert_eq!(none.stderr, "no dead letters that the options select\n");

    for (args, code, printed) in [
        (
            &["dlq", "drop", "--all", "--event", "e1"][..],
            0,
            "1 dropped\n",
        ),
        (
            &["dlq", "redrive", "--all", "--until", LONG_AGO],
            1,
            "0 moved back to the outbox\n",
        ),
        (&["dlq", "drop", "--all", "--until", FAR], 0, "2 dropped\n"),
        (&["dlq", "drop", text(&dead[0], "id")], 1, "0 dropped\n"),
    ] {
        let run = workspace.run(args);
        assert_eq!((run.code, run.stdout.as_str()), (code, printed), "{args:?}");
    }

    let entries = elements(&workspace, &["audit"]);
    let rows: Vec<_> = entries
        .iter()
        .map(|entry| {
            assert_eq!(text(entry, "via"), "command");
            assert!(!text(entry, "finished").is_empty());
            let [operation, outcome] = ["operation", "outcome"].map(|name| text(entry, name));
            format!("{operation} {outcome} {}", count(entry))
        })
        .collect();
    let expected = [
        "drop refused 0",
        "drop_matching done 2",
        "redrive_matching done 0",
        "drop_matching done 1",
    ];
    assert_eq!(rows, expected);
    // What was selected is bounded by the time of the command, and by an earlier option.
    let at = text(&entries[3], "at");
    let command = text(&entries[3], "command");
    let expected = format!("reflexarc dlq drop --all --event e1 --until {at}");
    assert_eq!(command, expected);
    assert!(text(&entries[2], "command").ends_with(&format!("--until {LONG_AGO}")));
    let until = format!("--until {}", text(&entries[1], "at"));
    assert!(text(&entries[1], "command").ends_with(&until));

    records_are_found(&workspace, &entries);
}

/// The filters of `audit`, on the records of two bulk drops, a bulk redrive and a refused drop.
fn records_are_found(workspace: &Workspace, entries: &[Json]) {
    let by = text(&entries[0], "by");
    for (options, number) in [
        (&["--by", by][..], 4),
        (&["--by", "unknown"], 0),
        (&["--operation", "drop_matching"], 2),
        (&["--operation", "reload"], 0),
        (&["--from", LONG_AGO, "--until", FAR], 4),
        (&["--from", FAR], 0),
        (&["--until", LONG_AGO], 0),
        (&["--from", text(&entries[1], "at")], 2),
        (&["--until", text(&entries[1], "at")], 2),
        (&["--limit", "3"], 3),
        (&["--by", by, "--operation", "drop", "--limit", "1"], 1),
    ] {
        let found = elements(workspace, &[&["audit"], options].concat());
        assert_eq!(found.len(), number, "{options:?}");
    }
    let listed = workspace.run(&["audit", "--operation", "drop_matching"]);
    let lines: Vec<_> = listed.stdout.lines().collect();
    assert_eq!((listed.code, lines.len()), (0, 3), "{}", listed.stdout);
    let titles: Vec<_> = lines[0].split_whitespace().collect();
    let expected = "TIME BY VIA OPERATION SUBJECT OUTCOME COUNT MESSAGE";
    assert_eq!(titles.join(" "), expected);
    assert!(lines[2].contains("event e1, until "), "{}", lines[2]);
    let none = workspace.run(&["audit", "--by", "unknown"]);
    assert_eq!((none.code, none.stdout.as_str()), (1, ""));
    assert_eq!(none.stderr, "no operator has done anything\n");
    assert_eq!(workspace.run(&["audit", "--operation", "none"]).code, 2);
}

#[test]
fn all_of_an_outbox_are_cancelled_in_steps_with_one_record() {
    let out = "[targets.out]\ntype = \"file\"\npath = \"out.ndjson\"\n";
    let workspace = Workspace::new(THEN, out);
    let service = workspace.serve();
    let paused = service.call("POST", "/targets/out/pause", "").unwrap();
    assert_eq!(paused.0, 200, "{}", paused.1);
    let events: Vec<_> = (0..1_100)
        .map(|number| event(&format!("e{number}"), "eni-1"))
        .collect();
    let args = ["send", "--url", &workspace.url(), "-"];
    let sent = workspace.run_with_stdin(&args, &events.join("\n"));
    assert_eq!(sent.code, 0, "{}", sent.stderr);
    for (options, number) in [
        (&["--event", "e7"][..], 1),
        (&["--event", "none"], 0),
        (&["--rule", "none"], 0),
        (&["--since", FAR], 0),
        (&["--until", LONG_AGO], 0),
        (&["--since", LONG_AGO, "--until", FAR], 1_000),
    ] {
        let found = elements(&workspace, &[&["outbox", "list"], options].concat());
        assert_eq!(found.len(), number, "{options:?}");
    }
    let one = workspace.run(&["outbox", "cancel", "--all", "--event", "e7"]);
    assert_eq!((one.code, one.stdout.as_str()), (0, "1 cancelled\n"));
    let all = workspace.run(&["outbox", "cancel", "--all"]);
    assert_eq!((all.code, all.stdout.as_str()), (0, "1099 cancelled\n"));
    let entries = elements(&workspace, &["audit", "--operation", "cancel_matching"]);
    let counts: Vec<_> = entries.iter().map(count).collect();
    assert_eq!(counts, ["1099", "1"]);
    assert_eq!(service.terminate(), 0);
}

#[test]
fn deliveries_that_cannot_be_changed_do_not_keep_the_others() {
    let out = "[targets.out]\ntype = \"file\"\npath = \"out.ndjson\"\n";
    let workspace = Workspace::new(THEN, out);
    let service = workspace.serve();
    assert_eq!(
        service.call("POST", "/targets/out/pause", "").unwrap().0,
        200
    );
    for id in ["e1", "e2", "e3", "e4", "e5"] {
        // Of resources of their own, so that none waits for the one before.
        let sent = service.call("POST", "/events", &event(id, id));
        assert_eq!(sent.unwrap().0, 200);
    }
    assert_eq!(service.terminate(), 0);
    let direct = rusqlite::Connection::open(workspace.path("reflexarc.db")).unwrap();
    let fail_for = |events: &str, how: &str| {
        let sql = format!(
            "DROP TRIGGER IF EXISTS damage; CREATE TRIGGER damage BEFORE UPDATE ON delivery
             WHEN OLD.event IN ({events}) BEGIN SELECT raise({how}); END"
        );
        direct.execute_batch(&sql).unwrap();
    };
    let cancel = || workspace.run(&["outbox", "cancel", "--all"]);

    // The first step fails as a whole; then each delivery alone.
    fail_for("'e3', 'e4'", "ABORT, 'no change'");
    let run = cancel();
    assert_eq!((run.code, run.stdout.as_str()), (4, "3 cancelled\n"));
    let lines: Vec<_> = run.stderr.lines().collect();
    assert_eq!(lines.len(), 3, "{}", run.stderr);
    let first = "the store failed: no change; trying one delivery after another";
    assert!(lines[0].ends_with(first), "{}", run.stderr);
    for line in &lines[1..] {
        assert!(line.contains("cannot change delivery "), "{line}");
        assert!(line.ends_with(": the store failed: no change"), "{line}");
    }
    // What is left as it is fails nothing, and is reported too.
    fail_for("'e3'", "IGNORE");
    let run = cancel();
    assert_eq!((run.code, run.stdout.as_str()), (1, "1 cancelled\n"));
    let reason = "1 left unchanged: each was cancelled before, and its call is still being sent";
    assert!(run.stderr.contains(reason), "{}", run.stderr);
    let pending = elements(&workspace, &["outbox", "list"]);
    let [left] = pending.as_slice() else {
        panic!("{pending:?}")
    };
    let id = text(left, "id");
    let run = workspace.run(&["outbox", "cancel", id]);
    assert_eq!(run.code, 1);
    let reason = format!("delivery {id} was cancelled before, and its call is still being sent");
    assert!(run.stderr.contains(&reason), "{}", run.stderr);
    direct.execute_batch("DROP TRIGGER damage").unwrap();
    assert_eq!(cancel().stdout, "1 cancelled\n");
    let run = workspace.run(&["outbox", "cancel", id]);
    let reason = format!("delivery {id} is cancelled, not pending");
    assert!(run.stderr.contains(&reason), "{}", run.stderr);

    let entries = elements(&workspace, &["audit", "--operation", "cancel_matching"]);
    let rows: Vec<_> = entries
        .iter()
        .map(|entry| {
            [
                text(entry, "outcome"),
                &count(entry),
                text(entry, "message"),
            ]
            .join(" ")
        })
        .collect();
    let expected = [
        "done 1 ",
        "done 1 1 left unchanged",
        "failed 3 2 could not be changed",
    ];
    assert_eq!(rows, expected);
}
