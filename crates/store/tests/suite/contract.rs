//! The contract of [`Store`]: what every backend promises, run on each of them.
//!
//! A promise is a function over a [`Backend`] in one of the files of this module, listed in
//! `every_promise!`; a backend adds itself at the end of this file.

mod accepting;
mod archive;
mod audit;
mod calls;
mod changes;
mod copied;
mod copies;
mod delays;
mod entries;
mod filters;
mod incidents;
mod losses;
mod matches;
mod naive_calls;
mod naive_delays;
mod naive_queue;
mod naive_silences;
mod order;
mod outbox;
mod silences;
mod state;
mod targets;
pub(super) mod timeline;

use reflexarc_store::Store;

use self::copied::Copied;
use crate::samples::open;
#[cfg(feature = "cluster")]
use crate::server::Schema;

/// A place for one store. Opening it again, after the store was dropped, finds what was stored.
trait Backend {
    fn open(&self) -> Box<dyn Store>;

    /// How many random cases are tried where `usual` are enough for a file.
    fn cases(&self, usual: u32) -> u32 {
        cases_or(usual)
    }
}

/// The number of `REFLEXARC_STORE_CASES`, or else the usual one.
fn cases_or(usual: u32) -> u32 {
    let own = std::env::var("REFLEXARC_STORE_CASES");
    own.map_or(usual, |cases| cases.parse().unwrap())
}

/// A SQLite file in a folder of its own.
struct Sqlite(tempfile::TempDir);

impl Backend for Sqlite {
    fn open(&self) -> Box<dyn Store> {
        Box::new(open(self.0.path()))
    }
}

/// A schema of a PostgreSQL server.
#[cfg(feature = "cluster")]
struct Postgres(Schema);

#[cfg(feature = "cluster")]
impl Backend for Postgres {
    /// Fewer: each statement is a message to the server and back.
    fn cases(&self, usual: u32) -> u32 {
        cases_or(usual.div_ceil(8))
    }

    fn open(&self) -> Box<dyn Store> {
        Box::new(self.0.connect().unwrap())
    }
}

/// One test for each promise, on a new backend.
macro_rules! tests_of {
    ($name:ident, $backend:expr, $($file:ident: [$($promise:ident,)*])*) => {
        mod $name {
            use super::*;

            $($(
                #[test]
                fn $promise() {
                    if let Some(backend) = $backend {
                        $file::$promise(&backend);
                    }
                }
            )*)*
        }
    };
}

/// Runs every promise on a backend: one list for all, so that none leaves one out.
macro_rules! every_promise {
    ($name:ident, $backend:expr) => {
        tests_of! {
            $name, $backend,
            accepting: [
                accepting_stores_event_state_and_deliveries,
                a_duplicate_does_nothing_and_after_the_window_is_new,
                copies_agree_in_source_id_name_resource_and_time,
            ]
            outbox: [
                a_claim_lasts_for_its_lease_or_until_a_restart,
                claims_are_bounded_in_bytes,
                attempts_that_end_together_are_settled_as_if_alone,
                a_retry_keeps_its_due_time_over_a_restart,
                a_release_by_a_time_read_before_hastens_no_retry,
                a_retry_is_due_after_the_clock_was_set_back,
                a_delivery_ends_delivered_dead_or_cancelled,
                a_redriven_delivery_starts_again_and_can_be_dropped,
                rules_in_use_have_state_or_pending_deliveries,
                every_dead_letter_is_reported_once,
                pages_have_every_delivery_once_and_are_bounded,
            ]
            filters: [
                lists_by_filters_are_those_of_the_naive_list,
                changes_of_many_are_those_of_each,
                changes_of_selected_are_those_of_each,
                a_change_of_many_ends_although_some_stay,
                what_fails_again_is_not_redriven_twice,
            ]
            entries: [
                entries_by_filters_are_those_of_the_naive_list,
            ]
            audit: [
                records_of_operators_are_those_of_the_naive_list,
                an_operation_has_begun_until_it_ends,
                texts_of_records_are_bounded,
                records_are_kept_as_long_as_dead_letters,
            ]
            order: [
                each_delivery_of_a_key_waits_for_the_one_before,
                a_key_by_rule_is_ordered_whatever_the_resource,
                a_run_is_released_in_its_order,
                a_failing_delivery_holds_up_for_order_wait,
                what_ends_without_delivery_lets_the_next_one_go,
                order_wait_is_changed_while_deliveries_wait,
                replayed_and_redriven_deliveries_have_no_order,
                retries_come_first_where_a_claim_says_so,
                held_deliveries_give_up_their_order_and_come_back,
            ]
            delays: [
                a_delayed_delivery_is_due_later_without_an_order,
                a_delayed_delivery_is_not_late_before_it_is_due,
                a_name_belongs_to_rule_and_key,
                a_later_action_replaces_one_of_its_name,
                what_is_being_sent_is_not_stopped_but_recorded,
                a_retry_is_cancelled_and_lets_the_next_one_go,
                a_delay_is_not_shorter_where_the_clock_was_set_back,
                delays_are_shifted_when_the_clock_is_set,
                a_replay_delays_from_its_time_and_names_its_own,
                a_redriven_delivery_is_due_at_once_and_keeps_its_name,
                events_of_delayed_deliveries_are_kept,
            ]
            naive_calls: [
                answers_are_those_of_the_naive_calls,
            ]
            naive_delays: [
                delays_are_those_of_the_naive_outbox,
            ]
            naive_queue: [
                the_order_is_that_of_the_naive_queue,
            ]
            naive_silences: [
                silences_are_those_of_the_naive_outbox,
            ]
            silences: [
                a_silence_withholds_until_it_is_over,
                a_silence_is_ended_by_hand,
                a_dropping_silence_ends_deliveries,
                withheld_deliveries_keep_their_place,
                calls_are_never_withheld,
                withheld_deliveries_are_cancelled,
                withholding_goes_in_steps,
                silences_are_bounded_and_forgotten,
                what_fires_in_time_is_compared_by_its_event,
            ]
            targets: [
                attempts_after_the_tenth_are_folded,
                digests_are_kept_with_deliveries_and_attempts,
                recent_calls_are_kept_over_a_kill,
                pauses_are_kept,
            ]
            state: [
                room_for_entries_equals_the_naive_count,
                reads_are_current_until_their_results_change,
                overwriting_an_entry_depends_on_its_existence,
                records_have_the_state_before_and_after,
            ]
            archive: [
                pruning_removes_old_events_without_open_deliveries,
                pruning_goes_beyond_events_that_are_kept,
                pruning_by_size_removes_the_oldest_events,
                old_dead_letters_are_dropped,
                an_event_with_many_deliveries_is_removed_whole,
                pages_of_one_id_are_bounded_in_rows_and_bytes,
                deliveries_of_an_event_are_bounded,
                the_newest_event_is_the_last_accepted,
                the_archive_is_walked_in_order_across_pages,
            ]
            calls: [
                a_call_has_exactly_one_answer,
                a_call_keeps_the_event_that_its_rule_saw,
                the_next_of_a_key_goes_when_a_call_has_ended,
                a_waiting_call_is_withdrawn_and_never_cancelled,
                a_call_that_is_being_sent_is_withdrawn_without_an_answer,
                calls_expire_by_when_they_were_due,
                waiting_calls_move_with_the_clock,
                calls_of_rules_that_are_gone_are_withdrawn,
                calls_of_an_unknown_target_are_answered,
                withdrawn_calls_are_observed,
                calls_are_not_replayed_or_redriven,
                events_of_waiting_calls_are_kept,
                a_call_that_was_sent_as_a_message_is_answered,
            ]
            changes: [
                a_change_counts_once_and_is_closed_by_a_retry,
                a_target_stops_at_its_limit_until_it_is_resumed,
                a_change_that_may_have_been_sent_is_not_denied,
                what_was_cancelled_before_it_was_sent_is_not_sent,
                the_clock_does_not_open_the_limit,
            ]
            copies: [
                copies_are_those_of_the_naive_list,
                one_id_for_all_events_is_no_obstacle,
                a_copy_of_a_removed_event_is_recognised,
            ]
            incidents: [
                incidents_are_those_of_the_naive_store,
                ended_incidents_are_removed_with_the_archive,
            ]
            matches: [
                matches_equal_those_in_memory,
                reads_of_matches_are_never_current,
                closing_a_match_is_recorded,
                a_closed_window_is_removed_in_steps,
            ]
            timeline: [
                deadlines_come_before_events,
                a_failing_timeline_stores_nothing,
                retention_keeps_what_matches_refer_to,
                a_stale_position_is_refused,
                work_in_time_ends_before_later_jobs,
                matches_with_one_deadline_come_by_rule_and_key,
                the_clock_is_the_latest_time_since_it_was_set,
            ]
            losses: [
                every_action_of_every_accepted_event_ends,
                positions_that_come_again_give_other_ids,
                a_replay_repeated_under_its_name_adds_nothing,
            ]
        }
    };
}

every_promise!(sqlite, Some(Sqlite(tempfile::tempdir().unwrap())));
#[cfg(feature = "cluster")]
every_promise!(postgres, Schema::new().map(Postgres));
every_promise!(copies_of_it, Some(Copied::new()));
