//! What operators do, and the mistakes they make.

use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use super::seconds;
use crate::fault::{Fault, Part, Sign, end_with, over};
use crate::random::Random;
use crate::sender::send_poison;
use crate::world::{TARGETS, World};

/// Longest time for an answer to an operator.
const ANSWER: Duration = Duration::from_secs(3);

/// A change that is taken.
#[expect(clippy::unnecessary_wraps, reason = "as the other kinds")]
pub(super) fn reload(_: &World, random: &mut Random) -> Option<Fault> {
    let number = random.below(1_000);
    Some(Fault {
        name: "reload".to_owned(),
        part: Part::Files,
        lasts: seconds(random, 1, 2),
        expected_sign: None,
        start: Box::new(move |world| {
            let rule = format!("when = 'id == \"{number}\"'\nthen = 'skip(\"never\");'\n");
            world.write("rules/further.toml", &rule);
            world.service.signal("HUP");
            over()
        }),
    })
}

/// Files that are refused: a broken rule, an emptied folder, a broken configuration, a FIFO.
#[expect(clippy::unnecessary_wraps, reason = "as the other kinds")]
pub(super) fn broken_files(_: &World, random: &mut Random) -> Option<Fault> {
    let kind = *random.choose(&["rule", "emptied", "configuration", "fifo"]);
    Some(Fault {
        name: format!("broken files: {kind}"),
        part: Part::Files,
        lasts: seconds(random, 4, 10),
        expected_sign: Sign::level("reload_refused", 8),
        start: Box::new(move |world| {
            match kind {
                "rule" => world.write("rules/broken.toml", "when = 'a =='\nthen = ''\n"),
                "emptied" => {
                    for file in std::fs::read_dir(world.path("rules")).unwrap() {
                        std::fs::remove_file(file.unwrap().path()).unwrap();
                    }
                }
                "configuration" => world.write("reflexarc.toml", "[http\n"),
                _ => {
                    let path = world.path("rules/fifo.toml");
                    let made = std::process::Command::new("mkfifo").arg(path).status();
                    assert!(made.unwrap().success());
                }
            }
            world.service.hold_files(true);
            drop(world.operator().call("POST", "/reload", "", ANSWER));
            end_with(|world| {
                for name in ["broken", "fifo"] {
                    drop(std::fs::remove_file(
                        world.path(&format!("rules/{name}.toml")),
                    ));
                }
                world.write_config();
                world.write_rules();
                drop(world.operator().call("POST", "/reload", "", ANSWER));
                world.service.hold_files(false);
            })
        }),
    })
}

/// An operator pauses a target and resumes it.
#[expect(clippy::unnecessary_wraps, reason = "as the other kinds")]
pub(super) fn pause(_: &World, random: &mut Random) -> Option<Fault> {
    let target = *random.choose(&TARGETS);
    Some(Fault {
        name: format!("{target} paused"),
        part: Part::Operator(target),
        lasts: seconds(random, 3, 10),
        expected_sign: Sign::level_of("target_paused", target, 5),
        start: Box::new(move |world| {
            let change = move |world: &World, action: &str| {
                let path = format!("/targets/{target}/{action}");
                let response = world.operator().call("POST", &path, "", ANSWER);
                response.is_some_and(|response| response.status == 200)
            };
            // The service may be down, or frozen, and a pause that was answered with an error may
            // be in effect: with a store that cannot be written it lasts until the service ends.
            // Left paused, the target would show no sign of what is wrong with it.
            if !change(world, "pause") {
                change(world, "resume");
                return None;
            }
            Some(Box::new(move |world| change(world, "resume")))
        }),
    })
}

/// A backup under load. Whether it can be made depends on the other faults; what it makes is whole.
#[expect(clippy::unnecessary_wraps, reason = "as the other kinds")]
pub(super) fn backup(_: &World, random: &mut Random) -> Option<Fault> {
    let number = random.next();
    Some(Fault {
        name: "backup".to_owned(),
        part: Part::Backup,
        lasts: seconds(random, 1, 3),
        expected_sign: None,
        start: Box::new(move |world| {
            let name = format!("backup-{number}.db");
            let backup = world.service.spawn_command(&["backup", &name]);
            end_with(move |world| {
                let path = world.path(&name);
                if wait_or_kill(backup).code() == Some(0) {
                    check_backup(world, &path);
                } else if path.exists() {
                    world.fail("a backup that failed left a file");
                }
                drop(std::fs::remove_file(path));
            })
        }),
    })
}

/// A service that is frozen in a commit keeps a backup waiting.
fn wait_or_kill(mut backup: Child) -> ExitStatus {
    let begun = Instant::now();
    while begun.elapsed() < ANSWER {
        if let Some(status) = backup.try_wait().unwrap() {
            return status;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    backup.kill().unwrap();
    backup.wait().unwrap()
}

fn check_backup(world: &World, path: &std::path::Path) {
    let connection = rusqlite::Connection::open(path).unwrap();
    let check = connection.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0));
    if check.as_deref() != Ok("ok") {
        world.fail(format!("a backup is damaged: {check:?}"));
    }
}

/// A rule fails for the events of this time.
#[expect(clippy::unnecessary_wraps, reason = "as the other kinds")]
pub(super) fn poison(_: &World, random: &mut Random) -> Option<Fault> {
    let number = random.next();
    Some(Fault {
        name: "failing rule".to_owned(),
        part: Part::Reactions,
        lasts: seconds(random, 1, 3),
        expected_sign: Sign::occurrence("reaction_failed", 3),
        // The event may be refused by a service that is down or full at this moment.
        start: Box::new(move |world| send_poison(world, number).then(over).flatten()),
    })
}
