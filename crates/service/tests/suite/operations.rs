//! Operations of operators as fields and command lines.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use reflexarc_delivery::DeliveryId;
use reflexarc_service::operate::{Operation, OperationLimits, SilenceRequest, SilenceSpan};
use reflexarc_service::store::{AuditLimits, DeliveryFilter, DeliveryStatus};

fn fields(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let pairs = pairs.iter();
    pairs
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn read(pairs: &[(&str, &str)]) -> Result<Operation, String> {
    Operation::from_fields(&fields(pairs)).map_err(|error| error.to_string())
}

const ID: &str = "8b2a0000000000000000000000000001";
const OTHER: &str = "8b2a0000000000000000000000000002";

/// Name and value of each field, the command line and the subject.
type Row<'a> = (&'a [(&'a str, &'a str)], &'a str, &'a str);

#[test]
#[expect(clippy::too_many_lines, reason = "a row for each operation")]
fn fields_are_operations_with_commands_and_subjects() {
    let table: &[Row<'_>] = &[
        (
            &[("operation", "redrive"), ("id", ID)],
            "reflexarc dlq redrive 8b2a0000000000000000000000000001",
            "delivery 8b2a0000000000000000000000000001",
        ),
        (
            &[("operation", "drop"), ("id", ID)],
            "reflexarc dlq drop 8b2a0000000000000000000000000001",
            "delivery 8b2a0000000000000000000000000001",
        ),
        (
            &[("operation", "cancel"), ("id", ID)],
            "reflexarc outbox cancel 8b2a0000000000000000000000000001",
            "delivery 8b2a0000000000000000000000000001",
        ),
        (
            &[("operation", "redrive_selected"), ("id", ID), ("id", OTHER)],
            "reflexarc dlq redrive 8b2a0000000000000000000000000001 \
             8b2a0000000000000000000000000002",
            "2 deliveries",
        ),
        (
            &[("operation", "drop_selected"), ("id", ID), ("id", ID)],
            "reflexarc dlq drop 8b2a0000000000000000000000000001",
            "delivery 8b2a0000000000000000000000000001",
        ),
        (
            &[("operation", "cancel_selected"), ("id", ID), ("id", "")],
            "reflexarc outbox cancel 8b2a0000000000000000000000000001",
            "delivery 8b2a0000000000000000000000000001",
        ),
        (
            &[
                ("operation", "redrive_matching"),
                ("target", "network-team"),
                ("rule", "lost"),
            ],
            "reflexarc dlq redrive --all --target network-team --rule lost",
            "target network-team, rule lost",
        ),
        (
            &[("operation", "drop_matching"), ("reason", "no such user")],
            "reflexarc dlq drop --all --reason 'no such user'",
            "reason with no such user",
        ),
        (
            &[
                ("operation", "cancel_matching"),
                ("status", "withheld"),
                ("since", "2026-11-27T06:00:00Z"),
            ],
            "reflexarc outbox cancel --all --withheld --since 2026-11-27T06:00:00Z",
            "withheld, since 2026-11-27T06:00:00Z",
        ),
        (
            &[("operation", "drop_matching"), ("target", "")],
            "reflexarc dlq drop --all",
            "all",
        ),
        (
            &[
                ("operation", "redrive_matching"),
                ("until", "2026-11-27T06:00:00Z"),
            ],
            "reflexarc dlq redrive --all --until 2026-11-27T06:00:00Z",
            "all, until 2026-11-27T06:00:00Z",
        ),
        (
            &[
                ("operation", "pause_target"),
                ("target", "out"),
                ("reason", "it's new"),
            ],
            r"reflexarc target pause out --reason 'it'\''s new'",
            "target out",
        ),
        (
            &[("operation", "resume_target"), ("target", "-out")],
            "reflexarc target resume -- -out",
            "target -out",
        ),
        (
            &[("operation", "test_target"), ("target", "out")],
            "reflexarc target test out",
            "target out",
        ),
        (
            &[
                ("operation", "add_silence"),
                ("pattern", r#"rule == "stuck""#),
                ("for", "90m"),
                ("reason", "change"),
                ("drop", "on"),
                ("confirm", "true"),
            ],
            r#"reflexarc silence add 'rule == "stuck"' --for 1h30m --reason change --drop --yes"#,
            r#"deliveries with rule == "stuck""#,
        ),
        (
            &[("operation", "end_silence"), ("id", "4"), ("drop", "true")],
            "reflexarc silence end 4 --drop",
            "silence 4",
        ),
        (
            &[
                ("operation", "acknowledge_incident"),
                ("id", "7"),
                ("note", "on it"),
            ],
            "reflexarc incident ack 7 --note 'on it'",
            "incident 7",
        ),
        (
            &[("operation", "close_incident"), ("id", "7")],
            "reflexarc incident close 7",
            "incident 7",
        ),
        (
            &[
                ("operation", "close_pending"),
                ("rule", "stuck"),
                ("key", ""),
            ],
            "reflexarc pending close stuck ''",
            "rule stuck, key ",
        ),
        (
            &[("operation", "forget_state"), ("rule", "old")],
            "reflexarc state drop old",
            "rule old",
        ),
        (
            &[("operation", "reload"), ("force", "true")],
            "reflexarc reload --force",
            "rules and configuration",
        ),
        (
            &[("operation", "accept_clock")],
            "reflexarc clock accept",
            "the clock",
        ),
    ];
    for (pairs, command, subject) in table {
        let operation = read(pairs).unwrap_or_else(|error| panic!("{pairs:?}: {error}"));
        assert_eq!(operation.command(), *command);
        assert_eq!(operation.subject(), *subject);
        assert_eq!(operation.name(), pairs[0].1);
    }
    for name in Operation::NAMES {
        let is_tested = table.iter().any(|(pairs, ..)| pairs[0].1 == name);
        assert!(is_tested, "{name}");
    }
}

#[test]
fn invalid_fields_are_refused_with_the_reason() {
    let long = "x".repeat(OperationLimits::LIMITS.text + 1);
    let long_reason = "x".repeat(OperationLimits::LIMITS.reason + 1);
    let long_note = "x".repeat(OperationLimits::LIMITS.note + 1);
    let table: &[(&[(&str, &str)], &str)] = &[
        (&[], "missing `operation`"),
        (
            &[("operation", "redrive_maching")],
            "unknown operation `redrive_maching`; did you mean `redrive_matching`?",
        ),
        // A misspelt condition must not select all.
        (
            &[("operation", "drop_matching"), ("traget", "out")],
            "unknown field `traget` of the operation drop_matching",
        ),
        (
            &[
                ("operation", "drop_matching"),
                ("target", "a"),
                ("target", "b"),
            ],
            "`target` is given twice",
        ),
        (&[("operation", "redrive")], "missing `id`"),
        (
            &[("operation", "redrive"), ("id", ID), ("id", OTHER)],
            "`id` is given twice",
        ),
        (
            &[("operation", "drop_selected"), ("id", "")],
            "no delivery is selected; select at least one",
        ),
        // What is selected is not also a filter.
        (
            &[("operation", "drop_selected"), ("id", ID), ("rule", "lost")],
            "unknown field `rule` of the operation drop_selected",
        ),
        (
            &[("operation", "drop_matching"), ("id", ID)],
            "unknown field `id` of the operation drop_matching",
        ),
        (
            &[("operation", "end_silence"), ("id", "x")],
            "invalid `id`: expected a number, found `x`",
        ),
        (
            &[("operation", "reload"), ("force", "yes")],
            "invalid `force`: expected true or false, found `yes`",
        ),
        (
            &[("operation", "redrive_matching"), ("since", "today")],
            "invalid `since`: expected a timestamp, found `today`",
        ),
        (
            &[("operation", "cancel_matching"), ("status", "dead")],
            "invalid `status`: expected pending or withheld, found `dead`",
        ),
        (
            &[("operation", "pause_target"), ("target", "a\0b")],
            "invalid `target`: it has a NUL",
        ),
        (
            &[("operation", "pause_target"), ("target", &long)],
            "`target` is longer than 8192 bytes",
        ),
        (
            &[
                ("operation", "pause_target"),
                ("target", "out"),
                ("reason", &long_reason),
            ],
            "`reason` is longer than 500 bytes",
        ),
        (
            &[
                ("operation", "acknowledge_incident"),
                ("id", "1"),
                ("note", &long_note),
            ],
            "`note` is longer than 1024 bytes",
        ),
        (
            &[
                ("operation", "add_silence"),
                ("pattern", "rule == \"a\""),
                ("reason", "x"),
            ],
            "expected `until` or `for`",
        ),
    ];
    for (pairs, message) in table {
        assert_eq!(read(pairs), Err((*message).to_owned()));
    }
}

/// The record of the largest selection has all of it.
#[test]
fn selections_are_bounded_and_recorded_whole() {
    let most = OperationLimits::LIMITS.ids;
    let of = |count: usize| {
        let ids = (0..count).map(|number| ("id".to_owned(), format!("{number:032x}")));
        let mut fields = fields(&[("operation", "cancel_selected")]);
        fields.extend(ids);
        Operation::from_fields(&fields)
    };
    let largest = of(most).unwrap();
    assert_eq!(largest.selected().unwrap().1.len(), most);
    assert!(largest.command().len() <= AuditLimits::LIMITS.command);
    let error = of(most + 1).unwrap_err().to_string();
    let message = "101 deliveries are selected, more than 100; select fewer, or change all that \
                   match a filter";
    assert_eq!(error, message);
}

fn text() -> impl Strategy<Value = String> {
    "[^\0]{1,40}"
}

fn time() -> impl Strategy<Value = Timestamp> {
    (0..4_000_000_000_i64, 0..1_000_000_000_i32)
        .prop_map(|(second, nano)| Timestamp::new(second, nano).unwrap())
}

fn filter(status: DeliveryStatus) -> impl Strategy<Value = DeliveryFilter> {
    let texts = || proptest::option::of(text());
    let times = || proptest::option::of(time());
    ((texts(), texts(), texts(), texts()), (times(), times())).prop_map(
        move |((target, rule, event, reason), (since, until))| {
            let mut filter = DeliveryFilter::of(status);
            (filter.target, filter.rule, filter.event) = (target, rule, event);
            (filter.reason, filter.since, filter.finished_until) = (reason, since, until);
            filter
        },
    )
}

fn silence() -> impl Strategy<Value = SilenceRequest> {
    let end = prop_oneof![
        time().prop_map(SilenceSpan::Until),
        (1..10_000_000_000_000_000_i64)
            .prop_map(|nanos| SilenceSpan::For(SignedDuration::from_nanos(nanos))),
    ];
    let owner = proptest::option::of(text());
    (
        text(),
        proptest::option::of(time()),
        end,
        owner,
        text(),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(
            |(pattern, from, end, owner, reason, drops, confirm)| SilenceRequest {
                pattern,
                from,
                end,
                owner,
                reason,
                drops,
                confirm,
            },
        )
}

/// Any operation.
fn operation() -> impl Strategy<Value = Operation> {
    let id =
        || any::<u128>().prop_map(|number| format!("{number:032x}").parse::<DeliveryId>().unwrap());
    let ids = || {
        let ids = proptest::collection::btree_set(any::<u128>(), 1..5);
        let id = |number| format!("{number:032x}").parse::<DeliveryId>().unwrap();
        ids.prop_map(move |numbers| numbers.into_iter().map(id).collect::<Vec<_>>())
    };
    let reason = || proptest::option::of(text());
    prop_oneof![
        id().prop_map(|id| Operation::Redrive { id }),
        id().prop_map(|id| Operation::Drop { id }),
        id().prop_map(|id| Operation::Cancel { id }),
        ids().prop_map(|ids| Operation::RedriveSelected { ids }),
        ids().prop_map(|ids| Operation::DropSelected { ids }),
        ids().prop_map(|ids| Operation::CancelSelected { ids }),
        filter(DeliveryStatus::Dead).prop_map(|filter| Operation::RedriveMatching { filter }),
        filter(DeliveryStatus::Dead).prop_map(|filter| Operation::DropMatching { filter }),
        filter(DeliveryStatus::Pending).prop_map(|filter| Operation::CancelMatching { filter }),
        filter(DeliveryStatus::Withheld).prop_map(|filter| Operation::CancelMatching { filter }),
        (text(), reason()).prop_map(|(target, reason)| Operation::PauseTarget { target, reason }),
        text().prop_map(|target| Operation::ResumeTarget { target }),
        text().prop_map(|target| Operation::TestTarget { target }),
        silence().prop_map(Operation::AddSilence),
        (any::<i64>(), any::<bool>()).prop_map(|(id, drops)| Operation::EndSilence { id, drops }),
        (any::<i64>(), reason()).prop_map(|(id, note)| Operation::AcknowledgeIncident { id, note }),
        (any::<i64>(), reason()).prop_map(|(id, reason)| Operation::CloseIncident { id, reason }),
        (text(), "[^\0]{0,40}", reason())
            .prop_map(|(rule, key, reason)| { Operation::ClosePending { rule, key, reason } }),
        text().prop_map(|rule| Operation::ForgetState { rule }),
        any::<bool>().prop_map(|force| Operation::Reload { force }),
        Just(Operation::AcceptClock),
    ]
}

/// What is done is what the preview has counted, or less where the operator has set an earlier end.
#[test]
fn a_bound_is_the_earlier_of_two_times() {
    let [first, second] = ["2026-11-27T06:00:00Z", "2026-11-27T07:00:00Z"];
    let time = |text: &str| text.parse::<Timestamp>().unwrap();
    for operation in ["redrive_matching", "drop_matching", "cancel_matching"] {
        for (set, now, bound) in [
            ("", first, first),
            (first, second, first),
            (second, first, first),
        ] {
            let operation = read(&[("operation", operation), ("until", set)]).unwrap();
            let bounded = operation.bounded(time(now));
            assert_eq!(bounded.bulk().unwrap().1.finished_until, Some(time(bound)));
        }
    }
    let other = read(&[("operation", "accept_clock")]).unwrap();
    assert_eq!(other.clone().bounded(time(first)), other);
}

proptest! {
    #[test]
    fn fields_and_operations_agree(operation in operation()) {
        let fields = operation.fields().into_iter();
        let fields: Vec<_> = fields.map(|(name, value)| (name.to_owned(), value)).collect();
        prop_assert_eq!(Operation::from_fields(&fields), Ok(operation));
    }
}
