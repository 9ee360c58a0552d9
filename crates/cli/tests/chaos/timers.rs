//! Deadlines and delayed actions while the wall clock is set and the process is suspended.

use std::time::{Duration, Instant};

use reflexarc_event::Json;

use crate::clock::Clocked;

/// Fires four seconds after an event that no other one follows.
const WAITS: &str = r#"
when = 'op == "open"'
by = "key"
not_followed_by = { when = 'op == "close"', within = "4s" }
grace = "0s"
settle = "2s"
then = 'send("out", #{ fired: key })'
"#;
/// The same, an hour later.
const WAITS_LONG: &str = r#"
when = 'op == "long"'
by = "key"
not_followed_by = { when = 'op == "close"', within = "1h" }
then = 'send("out", #{ fired: key })'
"#;
const DELAYS: &str = r#"
when = 'op in ["open", "long"]'
by = "key"
then = '''
let after = if event.op == "open" { "4s" } else { "1h" };
send("out", #{ delayed: event.key }, #{ after: after, key: "later" });
'''
"#;

/// As long as deadlines that are four seconds away may take on a slow machine.
const LATEST: Duration = Duration::from_secs(60);

impl Clocked {
    fn send(&self, op: &str, key: &str) {
        let event = format!(r#"{{"id":"{op}-{key}","op":"{op}","key":"{key}"}}"#);
        let response = self.client.call("POST", "/events", &event, LATEST).unwrap();
        assert_eq!(response.status, 200, "{}", response.body);
    }

    /// The keys of the lines with this member.
    fn keys(&self, member: &str) -> Vec<String> {
        let lines = self.lines();
        let sent = lines
            .iter()
            .filter_map(|line| line.get("send")?.get(member));
        let keys = sent.filter_map(Json::as_str);
        keys.map(str::to_owned).collect()
    }

    /// Opens a key, sets the clock and closes another one; both deadlines are those of the time
    /// that passes.
    fn check_jump(&self, offset: i64) {
        let (key, closed) = (format!("jump{offset}"), format!("closed{offset}"));
        let begun = Instant::now();
        self.send("open", &key);
        self.send("open", &closed);
        self.control.set_clock_offset(offset);
        let status = Json::parse(&*self.problems()).unwrap();
        let suspected = status
            .get("clock")
            .and_then(|clock| clock.get("suspected_jump"));
        assert!(
            suspected.is_some_and(|jump| *jump != Json::Null),
            "{status}"
        );
        self.send("close", &closed);
        // Unless the machine was too slow for it.
        let is_closed = begun.elapsed() < Duration::from_millis(3_500);
        let is_sent = |member: &str, key: &String| self.keys(member).contains(key);
        while !is_sent("fired", &key)
            || [&key, &closed].map(|key| is_sent("delayed", key)) != [true; 2]
        {
            assert!(begun.elapsed() < LATEST, "{offset}: {:?}", self.lines());
            std::thread::sleep(Duration::from_millis(20));
            let is_early = begun.elapsed() < Duration::from_millis(3_900);
            assert!(!is_early || self.lines_of(&key) == 0, "{offset} is early");
        }
        let traced = self.service.run(&["trace", &format!("close-{closed}")]);
        let traced = String::from_utf8_lossy(&traced.stdout);
        let has_fired = self.keys("fired").contains(&closed);
        assert!(!(is_closed && has_fired), "{offset}: {traced}");
    }

    fn lines_of(&self, key: &str) -> usize {
        let all = [self.keys("fired"), self.keys("delayed")].concat();
        all.iter().filter(|found| *found == key).count()
    }

    /// When the delayed action of a key is due, in seconds.
    fn due(&self, key: &str) -> i64 {
        let listed = self.service.run(&["outbox", "list", "--format", "json"]);
        let listed = String::from_utf8(listed.stdout).unwrap();
        let rows = Json::parse(&*listed).unwrap();
        let mut rows = rows.elements().iter();
        let row = rows.find(|row| row.to_string().contains(key));
        let row = row.unwrap_or_else(|| panic!("{key} is not pending: {listed}"));
        let due = row.get("due").and_then(Json::as_str).unwrap().to_owned();
        due.parse::<jiff::Timestamp>().unwrap().as_second()
    }
}

#[test]
fn deadlines_are_those_of_the_time_that_passes() {
    let rules = [("waits", WAITS), ("long", WAITS_LONG), ("delays", DELAYS)];
    let Some(clocked) = Clocked::start(&rules, 100 * 86_400) else {
        eprintln!("left out: no C compiler, or not Linux");
        return;
    };
    for offset in [-10_800, 90_000, 31 * 86_400] {
        clocked.check_jump(offset);
    }
    // A jump that is accepted moves what waits by as much, and what comes is by the new clock.
    for (offset, before) in [(90_000, 0), (90_000 - 10_800, 90_000)] {
        clocked.control.set_clock_offset(before);
        clocked.send("long", &format!("long{offset}"));
        let due = clocked.due(&format!("long{offset}"));
        clocked.control.set_clock_offset(offset);
        let confirmed = clocked.service.run(&["clock", "confirm"]);
        assert_eq!(confirmed.status.code(), Some(0), "{confirmed:?}");
        let begun = Instant::now();
        clocked.send("open", &format!("after{offset}"));
        let moved = clocked.due(&format!("long{offset}")) - due;
        assert!(
            (moved - (offset - before)).abs() < 30,
            "{moved} of {offset}"
        );
        let key = format!("after{offset}");
        while clocked.lines_of(&key) < 2 {
            assert!(begun.elapsed() < LATEST, "{:?}", clocked.lines());
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(
            begun.elapsed() > Duration::from_millis(3_500),
            "{key} is early"
        );
    }
    let long = clocked
        .keys("fired")
        .into_iter()
        .filter(|key| key.starts_with("long"));
    assert_eq!(long.count(), 0);
}

#[test]
fn what_passes_in_a_suspended_process_waits_once_more() {
    let rules = [("waits", WAITS), ("delays", DELAYS)];
    let Some(clocked) = Clocked::start(&rules, 100 * 86_400) else {
        eprintln!("left out: no C compiler, or not Linux");
        return;
    };
    clocked.send("open", "a");
    clocked.send("open", "b");
    clocked.service.signal("STOP");
    // Longer than the 15 seconds after which deadlines count as missed; an hour is no different.
    std::thread::sleep(Duration::from_secs(20));
    clocked.service.signal("CONT");
    // What comes now is before the deadlines that were moved, for `settle`.
    clocked.send("close", "b");
    let begun = Instant::now();
    while clocked.keys("fired").is_empty() || clocked.keys("delayed").len() < 2 {
        assert!(begun.elapsed() < LATEST, "{:?}", clocked.lines());
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(clocked.keys("fired"), ["a"]);
    assert_eq!(clocked.lines().len(), 3);
}
