//! Calls that cannot be read: each comes to an end that is seen.

use std::sync::{Arc, Mutex};

use reflexarc_delivery::{DeadLetterCause, DeliveryId};
use reflexarc_event::{Event, Json};
use reflexarc_reaction::{CallAnswer, OwnCode};
use reflexarc_store::{
    DeadLetterReport, DeliveryStatus, EntryKind, Incoming, NewEntry, SqliteStore, Store,
    StoreCheck, TimeTransaction,
};

use crate::samples::{LEASE, at, call, evaluation, incoming, open, send};

/// A store with one call, and what is reported of it.
struct Case {
    store: SqliteStore,
    id: DeliveryId,
    reports: Arc<Mutex<Vec<DeadLetterReport>>>,
    _folder: tempfile::TempDir,
}

impl Case {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = open(folder.path());
        let calling = evaluation("r", vec![call("t", "Delete")], vec![]);
        let accepted = store.accept(incoming("1"), calling, at(0)).unwrap();
        let reports = Arc::new(Mutex::new(Vec::new()));
        let observed = reports.clone();
        store.observe_dead_letters(Arc::new(move |report| {
            observed.lock().unwrap().push(report.clone());
        }));
        Self {
            store,
            id: accepted.deliveries[0],
            reports,
            _folder: folder,
        }
    }

    /// Changes the file behind the store's back.
    fn damage(&self, sql: &str) {
        let direct = rusqlite::Connection::open(self.store.path()).unwrap();
        assert_eq!(direct.execute(sql, ()).unwrap(), 1, "{sql}");
    }

    /// Settles the call with an answer; whether it got it.
    fn answer(&self) -> bool {
        let (sender, receiver) = std::sync::mpsc::channel();
        let id = self.id;
        let work = Box::new(move |transaction: &mut dyn TimeTransaction| {
            let refused = CallAnswer::refused(404, "NotFound", "no such interface", Json::Null);
            let settled = transaction.settle_call(id, None, &refused, at(1))?;
            sender.send(settled.is_some()).unwrap();
            Ok(None)
        });
        self.store.submit_time(work).wait().unwrap();
        receiver.recv().unwrap()
    }

    /// What a whole check finds.
    fn check(&self) -> Vec<String> {
        let mut check = StoreCheck::default();
        while !check.is_done {
            self.store.check(&mut check).unwrap();
        }
        let damage = check.damage.iter();
        damage.map(|one| format!("{one:?}")).collect()
    }

    /// It is a dead letter that was reported once for this reason, and nothing is left of the call.
    fn is_dead(&self, reason: &str) {
        let reports = self.reports.lock().unwrap();
        let [report] = &reports[..] else {
            panic!("{reports:?}")
        };
        assert_eq!(report.cause, DeadLetterCause::Unreadable);
        assert!(report.reason.starts_with(reason), "{}", report.reason);
        let letter = &report.letters[0];
        assert_eq!((letter.id, letter.rule.as_str()), (self.id, "r"));
        let counts = self.store.dead_letter_counts().unwrap();
        assert_eq!(counts, [("t".to_owned(), 1)]);
        assert_eq!(self.check(), [""; 0]);
        assert!(!self.answer(), "again");
        assert_eq!(reports.len(), 1);
    }
}

#[test]
fn an_unreadable_call_becomes_a_dead_letter() {
    let case = Case::new();
    case.damage("UPDATE delivery SET action = '{}'");
    assert_eq!(case.store.claim("t", at(0), LEASE, 9).unwrap(), []);
    case.is_dead("its action is invalid");
}

#[test]
fn an_answer_without_its_event_is_a_dead_letter() {
    let case = Case::new();
    case.damage("UPDATE waiting_call SET event = x'00'");
    let found = case.check();
    assert!(
        found.len() == 1 && found[0].contains("waiting_call"),
        "{found:?}"
    );
    assert!(!case.answer());
    case.is_dead("its answer cannot be processed: its event is damaged: ");
    let (record, _) = case.store.delivery(case.id).unwrap().unwrap();
    assert_eq!(record.status, DeliveryStatus::Dead);
    // What the API answered is not lost.
    let reason = record.reason.unwrap();
    assert!(
        reason.ends_with("; it was NotFound: no such interface"),
        "{reason}"
    );
    assert_eq!(case.store.redrive(case.id, at(2)), Ok(false), "it was made");
    assert_eq!(case.store.drop_dead_letter(case.id, at(2)), Ok(true));
}

#[test]
fn a_call_whose_row_is_missing_is_a_dead_letter() {
    for sql in [
        "DELETE FROM waiting_call",
        "UPDATE waiting_call SET hop = 'x'",
    ] {
        let case = Case::new();
        case.damage(sql);
        assert!(!case.answer());
        case.is_dead("its answer cannot be processed: ");
    }
}

#[test]
fn a_withdrawn_call_without_its_delivery_blocks_no_others() {
    let case = Case::new();
    assert_eq!(case.store.cancel(case.id, at(0)), Ok(true));
    case.damage("DELETE FROM delivery");
    assert_eq!(case.check().len(), 1);
    assert!(!case.answer());
    assert_eq!(case.reports.lock().unwrap().len(), 1);
    assert_eq!(case.store.has_withdrawn_calls(), Ok(false));
    assert_eq!(case.check(), [""; 0]);
}

#[test]
fn an_unknown_code_is_answered() {
    let case = Case::new();
    assert_eq!(case.store.cancel(case.id, at(0)), Ok(true));
    case.damage("UPDATE waiting_call SET code = 'New'");
    let work = Box::new(|transaction: &mut dyn TimeTransaction| {
        let calls = transaction.withdrawn_calls(9)?;
        assert_eq!(calls[0].code, OwnCode::OutcomeUnknown);
        assert_eq!(
            calls[0].reason,
            "unknown code New: cancelled by an operator"
        );
        Ok(None)
    });
    case.store.submit_time(work).wait().unwrap();
}

/// Only calls have answers.
#[test]
fn a_message_has_no_answer() {
    let case = Case::new();
    let message = evaluation("r", vec![send("t", 1)], vec![]);
    let accepted = case.store.accept(incoming("2"), message, at(0)).unwrap();
    let case = Case {
        id: accepted.deliveries[0],
        ..case
    };
    assert!(!case.answer());
    let (record, _) = case.store.delivery(case.id).unwrap().unwrap();
    assert_eq!(record.status, DeliveryStatus::Pending);
}

/// An entry has the event, the call and the answer, each as large and as deep as it may be.
#[test]
fn large_answers_and_events_are_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path());
    let deep = format!("{}{}", "[".repeat(127), "]".repeat(127));
    let text = format!(
        r#"{{"id":"1","long":"{}","deep":{deep}}}"#,
        "x".repeat((1 << 20) - 500)
    );
    let event = Incoming::new(Event::from_json(text.clone()).unwrap()).unwrap();
    let about = event.clone();
    let calling = evaluation("r", vec![call("t", "Describe")], vec![]);
    let id = store.accept(event, calling, at(0)).unwrap().deliveries[0];
    let work = Box::new(move |transaction: &mut dyn TimeTransaction| {
        let answer = CallAnswer::ok(200, Json::from("y".repeat(1 << 20)));
        let settled = transaction.settle_call(id, None, &answer, at(1))?.unwrap();
        let event = settled.event.unwrap();
        assert_eq!(event.bytes(), text.as_bytes());
        let detail = Json::object([
            ("event", event.tree().clone()),
            ("answer", settled.answer.to_json()),
        ]);
        let entry = NewEntry {
            kind: EntryKind::Answer,
            at: at(1),
            identity: about.identity,
            event: about.name,
            resource: String::new(),
            detail,
        };
        transaction.add(entry, &evaluation("r", vec![], vec![]), at(1))?;
        Ok(None)
    });
    store.submit_time(work).wait().unwrap();
    let found = store.find("1").unwrap();
    assert_eq!((found.len(), found[1].entry), (2, EntryKind::Answer));
    assert!(found[1].event.bytes().len() > (2 << 20) - 500);
    assert_eq!(store.verify_archive().unwrap().damaged, []);
}
