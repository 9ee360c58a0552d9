//! Deliveries of a service that is killed: their order per resource, and the pace of a robot.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reflexarc_event::Json;

use crate::service_process::{Workspace, event, eventually};

/// Calls with their times, from an HTTP receiver.
type Calls = Arc<Mutex<Vec<(Instant, Json)>>>;

/// Starts a receiver that answers each call with `answer`, status and body.
fn receiver(
    answer: impl Fn(usize, &Json) -> (u16, &'static str) + Send + Sync + 'static,
) -> (u16, Calls) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (calls, answer) = (Calls::default(), Arc::new(answer));
    let record = calls.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (record, answer) = (record.clone(), answer.clone());
            std::thread::spawn(move || respond(stream.unwrap(), &record, &*answer));
        }
    });
    (port, calls)
}

/// One request; `None` if the connection breaks off, as it does when the service is killed.
fn respond(
    stream: TcpStream,
    record: &Calls,
    answer: &dyn Fn(usize, &Json) -> (u16, &'static str),
) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let line = line.trim().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = Json::parse(std::str::from_utf8(&body).ok()?).ok()?;
    let (status, text) = {
        let mut calls = record.lock().unwrap();
        calls.push((Instant::now(), body.clone()));
        answer(calls.len(), &body)
    };
    // As long as real receivers take, so that kills come during calls.
    std::thread::sleep(Duration::from_millis(5));
    let head = format!(
        "HTTP/1.1 {status} OK\r\ncontent-type: application/json\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n{text}",
        text.len()
    );
    reader.get_mut().write_all(head.as_bytes()).ok()
}

/// Times in milliseconds that look random and are the same in every run.
fn delays(count: usize, most: u64) -> Vec<Duration> {
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let mut next = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        Duration::from_millis(random % most)
    };
    (0..count).map(|_| next()).collect()
}

#[test]
fn after_kills_first_copies_of_a_resource_are_in_order() {
    const RESOURCES: usize = 3;
    const EVENTS: usize = 120;
    // Every seventh call fails.
    let (port, calls) = receiver(|count, _| {
        let status = if count.is_multiple_of(7) { 500 } else { 200 };
        (status, "{}")
    });
    let target = format!(
        "[targets.out]\ntype = \"webhook\"\nurl = \"http://127.0.0.1:{port}/\"\n\
         allow = [\"127.0.0.0/8\"]\nretry = [\"100ms\", \"100ms\", \"100ms\", \"100ms\", \"1s\"]\n"
    );
    let then = "let n = add(event.content.eniId, 1);\n\
                send(\"out\", #{ eni: event.content.eniId, n: n });";
    let workspace = Workspace::new(then, &target);
    let lines: Vec<String> = (0..EVENTS)
        .map(|number| event(&number.to_string(), &format!("eni-{}", number % RESOURCES)))
        .collect();
    let service = workspace.serve();
    let posted = service.call("POST", "/events", &lines.join("\n")).unwrap();
    assert_eq!(posted.0, 200);
    drop(service);
    let rounds = std::env::var("REFLEXARC_CRASH_ROUNDS").map_or(8, |text| text.parse().unwrap());
    for delay in delays(rounds, 150) {
        let service = workspace.serve();
        std::thread::sleep(delay);
        drop(service);
    }
    let service = workspace.serve();
    eventually("the outbox is empty", || {
        (workspace.run(&["outbox", "list"]).code == 1).then_some(())
    });
    assert_eq!(service.terminate(), 0);
    let mut seen: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for (place, (_, body)) in calls.lock().unwrap().iter().enumerate() {
        let data = body.get("data").unwrap();
        let number = data.get("n").unwrap().as_i64().unwrap();
        let eni = data.get("eni").unwrap().as_str().unwrap().to_owned();
        let numbers = seen.entry(eni).or_default();
        // A call that failed has arrived, but a receiver has nothing from it.
        if !(place + 1).is_multiple_of(7) && !numbers.contains(&number) {
            numbers.push(number);
        }
    }
    let expected: Vec<i64> = (1..=i64::try_from(EVENTS / RESOURCES).unwrap()).collect();
    for (eni, numbers) in seen {
        assert_eq!(numbers, expected, "{eni}");
    }
}

#[test]
fn a_killed_service_keeps_the_pace_of_a_robot() {
    // Six calls as soon as there is something to send, and two of digests 7.5 s apart.
    const LIMIT: usize = 8;
    let (port, calls) = receiver(|_, _| (200, "{\"errcode\":0,\"errmsg\":\"ok\"}"));
    let target = format!(
        "[targets.out]\ntype = \"dingtalk\"\nendpoint = \"http://127.0.0.1:{port}/robot/send\"\n\
         token = {{ env = \"HOOK_TOKEN\" }}\ncalls_per_minute = {LIMIT}\n"
    );
    let workspace = Workspace::new("notify(\"out\", event.content.eniId);", &target);
    let arrived = || calls.lock().unwrap().len();
    for (round, delay) in delays(16, 120).into_iter().enumerate() {
        let service = workspace.serve();
        let lines = [0, 1].map(|number| {
            let number = 2 * round + number;
            event(&number.to_string(), &format!("eni-{number}"))
        });
        let posted = service.call("POST", "/events", &lines.join("\n")).unwrap();
        assert_eq!(posted.0, 200);
        // First killed during a call or soon after it, then at any time: before a call, too.
        if arrived() < 4 {
            let before = arrived();
            eventually("another call", || (arrived() > before).then_some(()));
            std::thread::sleep(delay / 10);
        } else {
            std::thread::sleep(delay);
        }
        drop(service);
    }
    let times: Vec<Instant> = calls.lock().unwrap().iter().map(|(at, _)| *at).collect();
    // On a slow machine the rounds may take longer than a minute.
    for window in times.windows(LIMIT + 1) {
        // A call that was interrupted counts from the next start, and may be noted here after that.
        let took = window[LIMIT] - window[0] + Duration::from_secs(1);
        assert!(took >= Duration::from_secs(60), "{took:?}: {times:?}");
    }
}
