//! What operators use: traces, replay, and a client of a running service.

mod answer_entry;
mod audit;
mod incidents;
mod jobs;
mod operation;
mod operations;
mod overview;
mod pending;
mod previews;
mod problem_checks;
mod remote;
mod replay;
mod replay_firings;
mod retention_progress;
mod rule_activity;
mod silences;
mod store_check;
mod target_state;
mod target_test;
mod trace;
mod try_event;
mod verify;
mod what_if;

pub(crate) use self::audit::end_interrupted;
pub use self::audit::{audit_to_json, record_command};
pub use self::incidents::{incident_to_json, incident_with_deliveries};
pub(crate) use self::jobs::Jobs;
pub use self::jobs::{JobLimits, JobStatus};
pub use self::operation::{
    InvalidOperation, Operation, OperationLimits, SilenceRequest, SilenceSpan,
};
pub use self::operations::{OperationError, OperationErrorKind, OperationPreview, Performed, Via};
pub(crate) use self::operations::{matches_pattern, query, show_delivery, show_incident};
pub use self::overview::{OpenProblem, TargetOverview};
pub use self::pending::{
    PendingFilter, PendingPage, SoonestPage, close_pending, damaged_match_to_json, keys_named,
    pending_match, pending_page, soonest_page,
};
pub(crate) use self::problem_checks::{
    ProblemSources, check_clock, check_regularly, paused_detail,
};
pub use self::remote::{LiveMessage, LiveStream, Remote, RemoteError, Sent};
pub use self::replay::{Replay, Replayed};
pub(crate) use self::retention_progress::RetentionProgress;
pub use self::rule_activity::RuleActivity;
pub use self::silences::{
    SilenceLimits, SilencePreview, check_silence, preview_silence, silence_to_json,
};
pub(crate) use self::store_check::check_store;
pub(crate) use self::target_state::target_state_to_json;
pub use self::target_test::test_target;
pub use self::trace::{
    damaged_delivery_to_json, damaged_event_to_json, delivery_to_json, entry_to_json, trace,
    with_withheld_periods,
};
pub use self::try_event::{Tried, TriedEvent, TryLimits, try_event};
pub use self::verify::{Difference, Verification, verify_archive};
pub use self::what_if::{
    Changed, ChangedEvent, Outcome, ReactionChanges, ReactionEffect, ReactionExample, WhatIf,
    WhatIfLimits, WhatIfStop, what_if,
};
