//! Publishing the events of a batch once they are committed.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use super::LiveBroadcast;
use super::entry::{EventEntry, LiveEntry};
use super::reactions::Reactions;
use crate::store::{Accepted, EvaluateInTransaction, Incoming, ReplySender};

/// The events of a batch, with what evaluates each.
type Events = Vec<(Incoming, EvaluateInTransaction)>;

/// An event and what its evaluation leads to, noted in its transaction.
struct Noted {
    incoming: Incoming,
    /// `None` for a copy, which is not evaluated.
    reactions: Mutex<Option<Reactions>>,
}

/// Has the events of a batch published when it is committed, if anyone listens.
pub(crate) fn observe(
    live: &LiveBroadcast,
    events: Events,
    now: Timestamp,
    reply: ReplySender<Vec<Accepted>>,
) -> (Events, ReplySender<Vec<Accepted>>) {
    if !live.is_active() {
        return (events, reply);
    }
    let mut noted = Vec::with_capacity(events.len());
    let events = events.into_iter().map(|(incoming, evaluate)| {
        // The event itself is shared, not copied.
        let note = Arc::new(Noted {
            incoming: incoming.clone(),
            reactions: Mutex::default(),
        });
        noted.push(note.clone());
        let evaluate: EvaluateInTransaction = Box::new(move |state, incoming, now| {
            let evaluation = evaluate(state, incoming, now)?;
            let mut reactions = note
                .reactions
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            *reactions = Some(Reactions::of(&evaluation));
            drop(reactions);
            Ok(evaluation)
        });
        (incoming, evaluate)
    });
    let events = events.collect();
    let live = live.clone();
    let reply = reply.observed(move |accepted: &Vec<Accepted>| {
        let entries = noted.iter().zip(accepted).map(|(noted, accepted)| {
            let mut reactions = noted
                .reactions
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            LiveEntry::event(EventEntry {
                at: now,
                accepted: accepted.clone(),
                name: noted.incoming.name.clone(),
                native: noted.incoming.native.clone(),
                reactions: reactions.take().unwrap_or_default(),
            })
        });
        live.publish(entries);
    });
    (events, reply)
}
