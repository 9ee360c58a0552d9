//! Accepting events, and claiming and settling their deliveries, repeated: to count instructions,
//! which are the same on a busy machine.
//!
//! ```text
//! cargo bench -p reflexarc-store --bench instructions --no-run
//! valgrind --tool=callgrind --callgrind-out-file=/dev/null PROGRAM CASE COUNT [BATCH]
//! ```
//!
//! The cases: `read`, from the bytes of an event to what is accepted, which all others begin with;
//! `plain`, no rule matched; `state`, a state entry is set; `states`, ten are, each of which the event
//! before has set too; `send`, as `state`, and a document is sent;
//! `copy`, a second copy of each event comes; `deliver`, as `send`, and the document is delivered;
//! `call`, an operation is called; `answer`, and the call is answered; `withdraw`, and it is
//! withdrawn instead, because its target is gone.
//! The difference of two counts, divided by that of the numbers, is one event.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a bench"
)]

#[path = "../tests/support/samples.rs"]
#[expect(dead_code, reason = "the tests use all of it")]
mod samples;

use std::hint::black_box;

use reflexarc::Evaluation;
use reflexarc_delivery::Decision;
use reflexarc_event::{Event, Json};
use reflexarc_reaction::{CallAnswer, StateChange};
use reflexarc_store::{
    EvaluateInTransaction, Incoming, Reply, SqliteStore, Store, TimeTransaction,
};

use self::samples::{LEASE, at, attempt, call, evaluation, event_text, open, send};

/// Resources that events are about.
const RESOURCES: usize = 5_000;

fn main() {
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let case = args.next().unwrap_or_default();
    let mut number = |otherwise| args.next().map_or(otherwise, |text| text.parse().unwrap());
    let (count, batch) = (number(0), number(500));
    // `cargo bench` and `cargo test --benches` run this without a case.
    if count == 0 {
        return;
    }
    let known = [
        "read", "plain", "state", "states", "send", "copy", "deliver", "call", "answer", "withdraw",
    ];
    assert!(known.contains(&case.as_str()), "expected one of {known:?}");
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    for first in (0..count).step_by(batch) {
        let events = || (first..count.min(first + batch)).map(|number| prepare(&case, number));
        if case == "read" {
            events().for_each(|event| drop(black_box(event)));
            continue;
        }
        accept(&store, events().collect());
        if case == "copy" {
            accept(&store, events().collect());
        }
        if case == "deliver" {
            deliver(&store);
        }
        if case == "answer" {
            answer(&store);
        }
        if case == "withdraw" {
            store
                .dead_letter_target("t", "it is gone".into(), at(0))
                .unwrap();
        }
    }
}

/// An event with what its evaluation gave.
fn prepare(case: &str, number: usize) -> (Incoming, EvaluateInTransaction) {
    let eni = format!("eni-{}", number.wrapping_mul(2_654_435_761) % RESOURCES);
    let text = event_text(&format!("2256A988-0B26-4E2B-820A-{number:012X}"), &eni);
    let incoming = Incoming::new(Event::from_json(text).unwrap()).unwrap();
    let set = |key: String| StateChange::Set {
        key,
        value: Json::count(number),
        expires: None,
    };
    let entry = set(eni);
    let result = match case {
        "state" => evaluation("failed-attach", vec![], vec![entry]),
        "states" => {
            let entries = (0..10).map(|number| set(format!("entry-{number}")));
            evaluation("failed-attach", vec![], entries.collect())
        }
        "send" | "deliver" => evaluation("failed-attach", vec![send("t", 1)], vec![entry]),
        "call" | "answer" | "withdraw" => {
            evaluation("failed-attach", vec![call("t", "Detach")], vec![entry])
        }
        _ => Evaluation::default(),
    };
    (incoming, Box::new(move |_, _, _| Ok(result)))
}

fn accept(store: &SqliteStore, events: Vec<(Incoming, EvaluateInTransaction)>) {
    let (reply, accepted) = Reply::channel();
    store.accept_together(events, at(0), Box::new(()), reply);
    accepted.wait().unwrap();
}

/// Claims and delivers all that is due.
fn deliver(store: &SqliteStore) {
    loop {
        let claimed = store.claim("t", at(0), LEASE, 256).unwrap();
        if claimed.is_empty() {
            return;
        }
        let settle = |delivery| {
            store.submit_settle(delivery, attempt("delivered"), Decision::Delivered, at(0))
        };
        let replies: Vec<_> = claimed.into_iter().map(settle).collect();
        for reply in replies {
            reply.wait().unwrap();
        }
    }
}

/// Claims all calls that are due and settles each with an answer, without the entry of the archive.
fn answer(store: &SqliteStore) {
    loop {
        let claimed = store.claim("t", at(0), LEASE, 256).unwrap();
        if claimed.is_empty() {
            return;
        }
        let work = Box::new(move |transaction: &mut dyn TimeTransaction| {
            let answer = CallAnswer::ok(200, Json::Null);
            for call in claimed {
                let attempt = attempt("answered");
                transaction.settle_call(call.id, Some(&attempt), &answer, at(0))?;
            }
            Ok(None)
        });
        store.submit_time(work).wait().unwrap();
    }
}
