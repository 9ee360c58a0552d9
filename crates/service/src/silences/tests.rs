use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use jiff::{SignedDuration, Timestamp};
use reflexarc::{Evaluation, RuleEffects, RuleSet};
use reflexarc_event::Event;
use reflexarc_reaction::Action;
use reflexarc_store::{
    DeliveryStatus, Incoming, NewSilence, SqliteStore, Store, StoreOptions, WithheldBy,
};

use super::SilencePatterns;
use crate::operate::{SilenceLimits, preview_silence};

const LEASE: SignedDuration = SignedDuration::from_secs(60);

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn rules() -> RuleSet {
    let stuck = "when = 'id exists'\nthen = ''\n[labels]\nteam = \"net\"\n";
    RuleSet::compile([("stuck.toml", stuck)]).unwrap()
}

/// A store whose claims ask the patterns of silences.
fn open(folder: &tempfile::TempDir) -> SqliteStore {
    let path = folder.path().join("store.db");
    let store = SqliteStore::open(&path, &StoreOptions::default()).unwrap();
    let rules = Arc::new(ArcSwap::from_pointee(rules()));
    store.set_withholding(Arc::new(SilencePatterns::new(rules)));
    store
}

fn accept(store: &dyn Store, id: usize, rule: &str, eni: &str) {
    let text = format!(
        concat!(
            r#"{{"id":"{id}","product":"ECS","level":"WARN","userId":"1690700000000030","#,
            r#""name":"NetworkInterface:NetworkInterfaceOperateCompleted","#,
            r#""resourceId":"acs:ecs:cn-hangzhou:1690700000000030:eni/{eni}","#,
            r#""eventTime":"20190409T121826.922+0800","regionId":"cn-hangzhou","#,
            r#""content":{{"eniId":"{eni}","operation":"AttachNetworkInterface","#,
            r#""eniStatus":"Available","result":"failed","requestId":"5970"}}}}"#
        ),
        id = id,
        eni = eni
    );
    let mut effects = RuleEffects::new(rule);
    effects.actions = vec![Action::send("t", 1)];
    effects.key = Some(eni.into());
    let mut evaluation = Evaluation::default();
    evaluation.rules.push(effects);
    let incoming = Incoming::new(Event::from_json(text).unwrap()).unwrap();
    store.accept(incoming, evaluation, at(0)).unwrap();
}

fn add(store: &dyn Store, pattern: &str, until: i64, drops: bool) -> i64 {
    let silence = NewSilence {
        pattern: pattern.to_owned(),
        from: at(0),
        until: at(until),
        owner: "alice".into(),
        reason: "deploy".into(),
        drops,
    };
    store
        .add_silence(silence, 1_000, at(0))
        .unwrap()
        .unwrap()
        .id
}

#[test]
fn patterns_select_by_every_field_of_a_delivery() {
    for pattern in [
        "rule == \"stuck\"",
        "labels.team == \"net\"",
        "target == \"t\"",
        "key == \"eni-1\"",
        "level == \"WARN\"",
        "event.content.eniId == \"eni-1\" and event.regionId starts with \"cn-\"",
        r#"{"event": {"content": {"result": ["failed"]}}, "rule": ["stuck"]}"#,
    ] {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder);
        add(&store, pattern, 100, false);
        accept(&store, 1, "stuck", "eni-1");
        assert_eq!(store.claim("t", at(1), LEASE, 9).unwrap(), [], "{pattern}");
        store.submit_release_withheld(at(100)).wait().unwrap();
        assert_eq!(store.claim("t", at(100), LEASE, 9).unwrap().len(), 1);
    }
    for pattern in [
        "rule == \"other\"",
        "labels.team == \"db\"",
        "key is missing",
    ] {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder);
        add(&store, pattern, 100, false);
        accept(&store, 1, "stuck", "eni-1");
        assert_eq!(
            store.claim("t", at(1), LEASE, 9).unwrap().len(),
            1,
            "{pattern}"
        );
    }
}

#[test]
fn the_silence_that_ends_last_counts() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    add(&store, "rule == \"stuck\"", 100, true);
    let last = add(&store, "rule exists", 200, false);
    // A later version may have patterns that this one does not understand.
    add(&store, "rule resembles \"stuck\"", 300, true);
    accept(&store, 1, "stuck", "eni-1");
    assert_eq!(store.claim("t", at(1), LEASE, 9).unwrap(), []);
    let withheld = store.deliveries(DeliveryStatus::Withheld, None, 9).unwrap();
    let periods = store.withheld_periods(withheld[0].delivery.id, 9).unwrap();
    assert_eq!(periods[0].by, WithheldBy::Silence(last));
}

#[test]
fn a_preview_is_bounded_and_explains_the_nearest() {
    let folder = tempfile::tempdir().unwrap();
    let store = open(&folder);
    for number in 0..6 {
        accept(&store, number, "stuck", &format!("eni-{number}"));
    }
    let rules = rules();
    let preview = |pattern: &str, limits: &SilenceLimits| {
        preview_silence(&store, &rules, pattern, at(9), limits).unwrap()
    };
    let limits = SilenceLimits::DEFAULT;
    let found = preview("rule == \"stuck\"", &limits).unwrap();
    assert_eq!(
        (found.pending, found.compared, found.is_complete),
        (6, 6, true)
    );
    assert_eq!(found.examples.len(), 5);
    assert_eq!(found.nearest, None);
    let missed = "rule == \"stuk\" and key == \"eni-4\"";
    let found = preview(missed, &limits).unwrap();
    let (nearest, text) = found.nearest.clone().unwrap();
    assert!(
        found.is_empty() && text.contains("rule is \"stuck\""),
        "{text}"
    );
    assert_eq!(nearest.get("event"), Some(&"4".into()));
    let few = SilenceLimits {
        compared: 3,
        explained: 2,
        ..SilenceLimits::DEFAULT
    };
    let found = preview(missed, &few).unwrap();
    assert_eq!((found.compared, found.is_complete), (3, false));
    let (nearest, _) = found.nearest.unwrap();
    assert_ne!(nearest.get("event"), Some(&"4".into()));
    assert!(preview("rule =", &limits).is_err());
    assert!(preview(&"x".repeat(4_097), &limits).is_err());
}

/// How long claims take with so many active silences, none of which matches; the time of
/// the claims alone, printed.
///
/// ```text
/// REFLEXARC_OUTBOX=20000 cargo test --release -p reflexarc-service --lib claim_speed -- --nocapture
/// ```
#[test]
fn claim_speed() {
    let count = std::env::var("REFLEXARC_OUTBOX").map_or(100, |count| count.parse().unwrap());
    for silences in [0, 1, 100, 0, 1, 100] {
        let folder = tempfile::tempdir().unwrap();
        let store = open(&folder);
        for number in 0..count {
            accept(&store, number, "stuck", &format!("eni-{number}"));
        }
        for number in 0..silences {
            let pattern = format!("event.content.eniId == \"eni-x{number}\" and level == \"WARN\"");
            add(&store, &pattern, 100, false);
        }
        let (mut left, begun) = (count, Instant::now());
        while left > 0 {
            let claimed = store.claim("t", at(1), LEASE, 256).unwrap();
            assert!(!claimed.is_empty());
            left -= claimed.len();
        }
        let each = begun.elapsed() / u32::try_from(count).unwrap();
        println!("{count} deliveries, {silences} silences: {each:?} to claim each");
        assert!(each < Duration::from_millis(100));
    }
}
