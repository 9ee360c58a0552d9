//! Events, evaluations and stores for the tests.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use reflexarc::{Evaluation, RuleEffects};
use reflexarc_delivery::{DeadLetterCause, Decision};
use reflexarc_event::{Event, Json};
use reflexarc_reaction::{Action, StateChange};
use reflexarc_store::{
    AttemptOutcome, Incoming, PageLimits, SqliteStore, StoreError, StoreOptions,
};

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

/// A failed attach of `eni` as ECS sends it.
pub(crate) fn event_text(id: &str, eni: &str) -> String {
    let content = format!(
        concat!(
            r#"{{"eniId":"{eni}","operation":"AttachNetworkInterface","eniStatus":"Available","#,
            r#""result":"failed","requestId":"59701492-A8F2-3375-B0B9-D90000000027"}}"#,
        ),
        eni = eni
    );
    format!(
        concat!(
            r#"{{"id":"{id}","product":"ECS","#,
            r#""resourceId":"acs:ecs:cn-hangzhou:1690700000000030:eni/{eni}","level":"WARN","#,
            r#""name":"NetworkInterface:NetworkInterfaceOperateCompleted","#,
            r#""userId":"1690700000000030","eventTime":"20190409T121826.922+0800","#,
            r#""regionId":"cn-hangzhou","content":{content}}}"#,
        ),
        id = id,
        eni = eni,
        content = content
    )
}

pub(crate) fn incoming(id: &str) -> Incoming {
    Incoming::new(Event::from_json(event_text(id, "eni-1")).unwrap()).unwrap()
}

/// As [`incoming`], of this interface; of no resource if it is empty.
pub(crate) fn incoming_of(id: &str, eni: &str) -> Incoming {
    let mut text = event_text(id, eni);
    if eni.is_empty() {
        text = text.replace("resourceId", "withoutResource");
    }
    Incoming::new(Event::from_json(text).unwrap()).unwrap()
}

pub(crate) fn send(target: &str, payload: i64) -> Action {
    Action::send(target, payload)
}

/// A call of an operation with one parameter.
pub(crate) fn call(target: &str, operation: &str) -> Action {
    let parameters = Json::object([("NetworkInterfaceId", "eni-1".into())]);
    Action::call(target, operation, parameters)
}

/// The evaluation of one rule named `rule`.
pub(crate) fn evaluation(
    rule: &str,
    actions: Vec<Action>,
    changes: Vec<StateChange>,
) -> Evaluation {
    let mut effects = RuleEffects::new(rule);
    effects.actions = actions;
    effects.changes = changes;
    effects.log = vec!["a line".into()];
    let mut evaluation = Evaluation::default();
    evaluation.rules.push(effects);
    evaluation
}

/// How the tests' stores are opened.
pub(crate) const OPTIONS: StoreOptions = StoreOptions {
    duplicate_window: SignedDuration::from_hours(24),
    max_bytes: None,
};

pub(crate) fn open(folder: &Path) -> SqliteStore {
    try_open(folder, None).unwrap()
}

pub(crate) fn try_open(folder: &Path, max_bytes: Option<u64>) -> Result<SqliteStore, StoreError> {
    let options = StoreOptions {
        max_bytes,
        ..OPTIONS
    };
    SqliteStore::open(&folder.join("store.db"), &options)
}

/// A page of all that a test may have stored.
pub(crate) const ALL: PageLimits = PageLimits {
    rows: 10_000,
    bytes: usize::MAX,
};

/// How long the tests claim deliveries.
pub(crate) const LEASE: SignedDuration = SignedDuration::from_secs(60);

/// An attempt of 5 ms.
pub(crate) fn attempt(outcome: &'static str) -> AttemptOutcome {
    AttemptOutcome {
        started: at(1),
        took: SignedDuration::from_millis(5),
        outcome,
        answer: "the response".into(),
        delivered_parts: Vec::new(),
    }
}

/// The decision that a receiver has refused.
pub(crate) fn dead_letter(reason: &str) -> Decision {
    Decision::DeadLetter {
        cause: DeadLetterCause::Refused,
        reason: reason.into(),
    }
}
