use super::*;

type Queue = Arc<Admission<(&'static str, AdmissionPermit)>>;

fn admission(events: usize, bytes: usize) -> Queue {
    let limits = Limits {
        queue_events: events,
        queue_bytes: bytes,
        batch_events: events / 2,
        body_bytes: bytes / 2,
        ..Limits::DEFAULT
    };
    Arc::new(Admission::new(&limits, 2))
}

fn token(name: &str) -> Source {
    Source::Token(name.into())
}

/// A request of `source` with this many events.
fn request(queue: &Queue, source: &str, events: usize) -> Result<AdmissionPermit, Overloaded> {
    let mut permit = queue.admit(token(source), 0)?;
    queue.reserve(&mut permit, events, events)?;
    Ok(permit)
}

/// As many requests as are admitted.
fn flood(queue: &Queue, source: &str, events: usize) -> Vec<AdmissionPermit> {
    std::iter::from_fn(|| request(queue, source, events).ok()).collect()
}

#[test]
fn a_flood_leaves_space_for_every_other_source() {
    let queue = admission(1_000, 1_000);
    let first = flood(&queue, "first", 10);
    assert_eq!(first.len(), 50, "half of the queue");
    assert_eq!(request(&queue, "first", 10).err(), Some(Overloaded::Source));
    let second = flood(&queue, "second", 10);
    assert_eq!(second.len(), 25, "half of what is left");
    assert_eq!(flood(&queue, "third", 10).len(), 12);
    drop(first);
    assert!(
        flood(&queue, "third", 10).len() > 30,
        "what is given back can be used"
    );
    drop(second);
    assert!(queue.lock().sources.is_empty());
    assert_eq!(queue.lock().held, Share::default());
}

#[test]
fn one_request_may_use_all_that_is_free() {
    let queue = admission(1_000, 1_000);
    let mut permit = queue.admit(token("a"), 500).unwrap();
    for _ in 0..10 {
        queue.reserve(&mut permit, 0, 90).unwrap();
    }
    assert_eq!(permit.bytes(), 900);
    let full = queue.reserve(&mut permit, 0, 101);
    assert_eq!(full, Err(Overloaded::All));
    assert_eq!(queue.admit(token("b"), 101).err(), Some(Overloaded::All));
    assert!(queue.admit(token("b"), 100).is_ok());
}

#[test]
fn large_requests_leave_space_for_small_ones() {
    let queue = admission(10_000, 100 << 20);
    let large: Vec<_> = (0..100)
        .map_while(|n| request(&queue, &n.to_string(), 1_000).ok())
        .collect();
    assert_eq!(
        large.len(),
        8,
        "each has 900 beyond the first 100, together 7,500 at most"
    );
    assert!(request(&queue, "small", 100).is_ok());
    assert!(request(&queue, "large", 500).is_err());
}

#[test]
fn batches_beyond_the_window_wait_for_their_turn() {
    let queue = admission(100_000, 1 << 20);
    let enqueue = |source: &'static str, events| {
        let permit = request(&queue, source, events).unwrap();
        queue.enqueue(permit, |permit| (source, permit))
    };
    let first = enqueue("flood", 400).unwrap();
    let second = enqueue("flood", 400).unwrap();
    assert_eq!(enqueue("little", 200).unwrap().0, "little", "it fits");
    assert!(enqueue("flood", 400).is_none());
    assert!(enqueue("flood", 400).is_none());
    // It comes last and goes first.
    assert!(enqueue("other", 1).is_none());
    let waiting = {
        let queue = queue.clone();
        std::thread::spawn(move || {
            let next = || queue.next().map(|(source, _)| source);
            std::iter::from_fn(next).collect::<Vec<_>>()
        })
    };
    drop((first, second));
    queue.close();
    assert_eq!(waiting.join().unwrap(), ["other", "flood", "flood"]);
    assert_eq!(queue.lock().in_flight, InFlight::default());
}

/// One is evaluated while the other is synced.
#[test]
fn two_batches_beyond_the_window_are_in_flight() {
    let queue = admission(100_000, 1 << 20);
    let enqueue = |source: &'static str, events| {
        let permit = request(&queue, source, events).unwrap();
        queue.enqueue(permit, |permit| (source, permit))
    };
    let (first, second) = (enqueue("large", 10_000), enqueue("large", 10_000));
    assert!(first.is_some() && second.is_some());
    assert!(enqueue("small", 1).is_none());
    drop(first);
    assert_eq!(queue.next().unwrap().0, "small");
}
