//! Whether every fault is seen in `/status` while it lasts, and no longer.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use reflexarc_event::Json;

use crate::fault::{Fault, Part, Sign};
use crate::service::Life;
use crate::world::World;

/// Time between two looks at `/status`.
const INTERVAL: Duration = Duration::from_millis(250);
/// `/status` must answer within this time whatever clients do.
const ANSWER: Duration = Duration::from_secs(15);
/// A sign must be gone so long after its fault. Levels that are read from the store are looked at
/// every ten seconds.
const OVER: Duration = Duration::from_secs(25);

/// The faults of a run.
#[derive(Default)]
pub(crate) struct Watch {
    records: Mutex<Vec<Record>>,
    /// The last answer of `/status`, with the generation of the service.
    last: Mutex<Option<(u64, Json)>>,
}

/// One fault, from its start on.
#[derive(Debug, Clone)]
pub(crate) struct Record {
    pub(crate) name: String,
    part: Part,
    pub(crate) sign: Option<Sign>,
    pub(crate) began: f64,
    pub(crate) ended: Option<f64>,
    /// How long it took until the sign was seen.
    pub(crate) seen_after: Option<Duration>,
    pub(crate) is_over: bool,
    start: Instant,
    end: Option<Instant>,
    /// The count of the sign at the start.
    before: u64,
    generation: u64,
}

impl Watch {
    /// Records the start of a fault; returns its number.
    pub(crate) fn begin(&self, world: &World, fault: &Fault) -> usize {
        let sign = fault.expected_sign.clone();
        let last = self.last.lock().unwrap();
        let (generation, before) = match &*last {
            Some((generation, status)) => {
                let before = sign.as_ref().map_or(0, |sign| sign.count_in(status));
                (*generation, before)
            }
            None => (0, 0),
        };
        drop(last);
        let mut records = self.records.lock().unwrap();
        records.push(Record {
            name: fault.name.clone(),
            part: fault.part,
            sign,
            began: world.seconds(),
            ended: None,
            seen_after: None,
            is_over: false,
            start: Instant::now(),
            end: None,
            before,
            generation,
        });
        records.len() - 1
    }

    /// Forgets a fault that could not be made.
    pub(crate) fn cancel(&self, number: usize) {
        let record = &mut self.records.lock().unwrap()[number];
        record.name += " (not made)";
        record.sign = None;
        record.end = Some(Instant::now());
    }

    /// Records the end of a fault.
    pub(crate) fn end(&self, world: &World, number: usize) {
        let record = &mut self.records.lock().unwrap()[number];
        record.ended = Some(world.seconds());
        record.end = Some(Instant::now());
    }

    pub(crate) fn records(&self) -> Vec<Record> {
        self.records.lock().unwrap().clone()
    }

    /// Looks at `/status` until the run ends.
    pub(crate) fn run(&self, world: &World) {
        let mut silent_since = None;
        while !world.is_stopping() {
            let life = world.service.life();
            let answer = world.operator().call("GET", "/status", "", ANSWER);
            let status = answer
                .filter(|answer| answer.status == 200)
                .and_then(|answer| Json::parse(answer.body).ok());
            // Frozen while it was asked, it answers when it goes on, and has seen nothing meanwhile.
            let is_same = world.service.life() == life;
            match (status, life.ready.filter(|_| is_same)) {
                (Some(status), Some(ready)) => {
                    silent_since = None;
                    self.judge(world, life, ready, &status);
                    *self.last.lock().unwrap() = Some((life.generation, status));
                }
                // It was ended or frozen, or is starting.
                (_, None) => silent_since = None,
                (None, Some(_)) => {
                    let since: &mut Instant = silent_since.get_or_insert_with(Instant::now);
                    if since.elapsed() > ANSWER {
                        world.fail("/status does not answer");
                    }
                }
            }
            std::thread::sleep(INTERVAL);
        }
    }

    /// Whether a sign of this run is still there that should not be.
    pub(crate) fn unfinished(&self) -> Vec<String> {
        let records = self.records();
        let open = records.iter().filter(|record| {
            let ends = record.sign.as_ref().is_some_and(Sign::ends);
            ends && record.seen_after.is_some() && !record.is_over
        });
        open.map(|record| record.name.clone()).collect()
    }

    fn judge(&self, world: &World, life: Life, ready: Instant, status: &Json) {
        let mut records = self.records.lock().unwrap();
        // Since when nothing keeps a sign: neither a fault that has it too, nor one without which
        // the service could not recover from another.
        let (now, all) = (Instant::now(), records.clone());
        let quiet_since = |sign: &Sign| {
            let keeping = all.iter().filter(|record| {
                let is_general = matches!(record.part, Part::Store | Part::Process | Part::Clock);
                let has_sign = |own: &Sign| own.is == sign.is;
                is_general || record.sign.as_ref().is_some_and(has_sign)
            });
            keeping.map(|record| record.end.unwrap_or(now)).max()
        };
        for record in records.iter_mut() {
            let Some(sign) = &record.sign else { continue };
            if record.generation != life.generation {
                // A new process begins with an empty list.
                (record.generation, record.before) = (life.generation, 0);
            }
            let is_there = sign.is_in(status, record.before);
            match record.end {
                None if record.seen_after.is_some() => {}
                None if is_there => record.seen_after = Some(record.start.elapsed()),
                None => {
                    let visible = record.start.max(ready).elapsed();
                    if visible > sign.within {
                        let name = &record.name;
                        world.fail(format!("no sign of `{name}` after {visible:.1?}: {sign:?}"));
                        record.seen_after = Some(Duration::MAX);
                    }
                }
                Some(_) if record.is_over || !sign.ends() => {}
                Some(end) => {
                    record.is_over = !is_there;
                    let quiet = quiet_since(sign).unwrap_or(end).max(ready).elapsed();
                    if is_there && quiet > OVER {
                        let name = &record.name;
                        world.fail(format!("`{name}` is over, its sign is not: {sign:?}"));
                        record.is_over = true;
                    }
                }
            }
        }
    }
}
