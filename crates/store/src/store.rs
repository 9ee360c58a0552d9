//! What every backend promises.

use std::any::Any;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use reflexarc::Evaluation;
use reflexarc_delivery::{ChangeLimit, Decision, Delivery, DeliveryId, EventRef};
use reflexarc_event::NativeEvent;
use reflexarc_reaction::OwnCode;

use crate::{
    Accepted, Acknowledged, Acknowledgement, ActiveWithholding, Archived, Attempt, AttemptOutcome,
    AuditEntry, AuditFilter, AuditOutcome, Beat, BulkChange, BulkStep, ChangeReservation,
    ChangeStop, ClaimLimit, Claimed, ClosedBy, DamagedEvent, DeadLetterObserver, DeadLetterReport,
    DeliveryFilter, DeliveryPage, DeliveryRecord, DeliveryStatus, DueCursor, DuePage, EndedAttempt,
    EntryPage, EvaluateInTransaction, EventDeliveries, EventFilter, EventPage, Incident,
    IncidentFilter, Incoming, MatchCount, MatchCursor, MatchFilter, MatchPage, NewAuditEntry,
    NewNode, NewSilence, Node, NodeSetup, Note, NoteObserver, PageCursor, PageLimits, Pruned,
    QueueDepth, ReleaseStep, ReplayAccepted, Reply, ReplySender, Retention, RuleUse,
    SelectedChange, Selection, Settled, Silence, SilenceEnd, StateReader, StoreCheck, StoreError,
    TargetPause, TimeWork, Timeline, VerifyReport, WithdrawnCallObserver, WithheldPeriod,
    Withholding,
};

/// The exclusive lock of the one process that delivers from a store. It is released when this is
/// dropped or the process dies.
pub struct StoreLock {
    _held: Box<dyn Any + Send + Sync>,
}

/// A durable store. Share it in an `Arc`; dropping the last one finishes what was submitted.
///
/// What is reported as done is on disk. Methods that return a [`Reply`] do not block; all others
/// may, and must not be called from async code. All times are arguments: a store has no clock.
// Object-safe on purpose: one service binary serves every backend. A call through the table costs
// nanoseconds, once for a batch, a claim or a query and never for a row.
pub trait Store: Send + Sync {
    /// Stores an evaluated event with its state changes and deliveries in one transaction, and
    /// waits for the commit. Accepting a duplicate does nothing.
    ///
    /// # Errors
    /// If nothing was stored.
    fn accept(
        &self,
        incoming: Incoming,
        evaluation: Evaluation,
        now: Timestamp,
    ) -> Result<Accepted, StoreError>;

    /// As [`Store::accept`] for a batch that is stored as a whole or not at all. Each event is
    /// evaluated inside the transaction, after the events before it; duplicates are not evaluated.
    /// `permit` is dropped when the transaction has ended.
    fn accept_together(
        &self,
        events: Vec<(Incoming, EvaluateInTransaction)>,
        now: Timestamp,
        permit: Box<dyn Any + Send>,
        reply: ReplySender<Vec<Accepted>>,
    );

    /// Lets `timeline` apply what is due before the events of each transaction, in place of an
    /// earlier timeline: once for each call of [`Store::accept`] and [`Store::accept_together`].
    /// The store keeps it, so it must not keep the store.
    fn set_timeline(&self, timeline: Arc<dyn Timeline>);

    /// Lets `withholding` decide which deliveries claims keep back, in place of an earlier one:
    /// without one, claims keep nothing back. The store keeps it, so it must not keep the store.
    fn set_withholding(&self, withholding: Arc<dyn Withholding>);

    /// Runs `work` in a transaction that no later job shares: what it returns runs after the
    /// commit, before the reply and before any job that was submitted later begins.
    fn submit_time(&self, work: TimeWork) -> Reply<()>;

    /// The earliest deadline of a match, or a time before it: then nothing is due at that time.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn next_deadline(&self) -> Result<Option<Timestamp>, StoreError>;

    /// For each rule with matches: how many.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn match_counts(&self) -> Result<Vec<MatchCount>, StoreError>;

    /// Matches that wait and have not expired by `now`, by rule and key, after a place of the list;
    /// with [`MatchFilter::kept`] also those that do not wait.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn pending_page(
        &self,
        filter: &MatchFilter,
        after: Option<&MatchCursor>,
        limits: PageLimits,
        now: Timestamp,
    ) -> Result<MatchPage, StoreError>;

    /// As [`Store::pending_page`], by deadline: the soonest first, and those without a deadline last.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn pending_by_deadline(
        &self,
        filter: &MatchFilter,
        after: Option<&DueCursor>,
        limits: PageLimits,
        now: Timestamp,
    ) -> Result<DuePage, StoreError>;

    /// Source and id of the event at an archive position, if it is there.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn event_name(&self, position: u64) -> Result<Option<EventRef>, StoreError>;

    /// Removes the match of `rule` at `key`, which is JSON, and records that in an entry of the
    /// kind [`EntryKind::Closed`](crate::EntryKind::Closed). Returns whether there was one.
    ///
    /// # Errors
    /// If the store fails.
    fn close_match(
        &self,
        rule: &str,
        key: &str,
        closed: &ClosedBy,
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Incidents with a lower number than `before`, the newest first, at most `limit`.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn incidents(
        &self,
        filter: &IncidentFilter,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Incident>, StoreError>;

    /// The incident with this number.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn incident(&self, id: i64) -> Result<Option<Incident>, StoreError>;

    /// The deliveries of an incident in the order of their events, at most `limit`.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn incident_deliveries(&self, id: i64, limit: usize)
    -> Result<Vec<DeliveryRecord>, StoreError>;

    /// The number of open incidents of each rule that has any, by name.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn incident_counts(&self) -> Result<Vec<(String, u64)>, StoreError>;

    /// Acknowledges an open incident: what is delayed of it and not being sent is cancelled, and
    /// the targets that know acknowledgements get a delivery. One that has ended, or was
    /// acknowledged before, is left as it is. `None` if there is no incident of this number.
    ///
    /// # Errors
    /// If nothing was stored.
    fn acknowledge_incident(
        &self,
        id: i64,
        acknowledgement: &Acknowledgement,
        now: Timestamp,
    ) -> Result<Option<Acknowledged>, StoreError>;

    /// Ends an open incident by removing its match, as [`Store::close_match`] does. Returns whether
    /// it was open.
    ///
    /// # Errors
    /// If nothing was stored.
    fn close_incident(
        &self,
        id: i64,
        closed: &ClosedBy,
        now: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Puts the actions of a replayed event into the outbox, under the replay's name. A delivery
    /// that a replay of this name has put there before is counted and left alone; calls are counted
    /// and left out.
    ///
    /// # Errors
    /// If nothing was stored.
    fn accept_replay(
        &self,
        archived: &Archived,
        incoming: Incoming,
        evaluation: Evaluation,
        replay: String,
        now: Timestamp,
    ) -> Result<ReplayAccepted, StoreError>;

    /// A view of the committed state for a caller that keeps it, such as an evaluation worker.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn state_reader(&self) -> Result<Box<dyn StateReader>, StoreError>;

    /// Every unexpired state entry: rule, key, value as JSON text.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn state(&self, now: Timestamp) -> Result<Vec<(String, String, String)>, StoreError>;

    /// Makes this process the one that delivers from the store, or in one that is shared, one of those
    /// that do. Other processes may still read it and cancel, redrive and drop deliveries.
    ///
    /// # Errors
    /// If another process holds the lock.
    fn lock_exclusive(&self) -> Result<StoreLock, StoreError>;

    /// Whether several processes may deliver from the store at one time.
    fn is_shared(&self) -> bool;

    /// Makes this process a node of a store that is shared, under a new number, until the
    /// [`StoreLock`] is dropped. In one that is not there is nothing to do.
    ///
    /// # Errors
    /// If the store fails.
    fn join(&self, node: &NewNode) -> Result<(), StoreError>;

    /// Tells the other nodes that this one works, and what it runs. `None` if the store is not
    /// shared. Takes some seconds at most.
    ///
    /// # Errors
    /// If the store fails.
    fn beat(&self, setup: &NodeSetup) -> Result<Option<Beat>, StoreError>;

    /// The nodes, those included that were lost within an hour; none if the store is not shared.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn nodes(&self) -> Result<Vec<Node>, StoreError>;

    /// Declares a node lost, unless it has beaten since `node` was read: it claims nothing more, and
    /// [`Store::release_claims`] releases what it has claimed. Returns whether it was live until
    /// then.
    ///
    /// # Errors
    /// If the store fails.
    fn declare_lost(&self, node: &Node) -> Result<bool, StoreError>;

    /// Tells the nodes something, if the store is shared. Does not wait.
    fn notify(&self, note: Note);

    /// Calls `observer` with the notes of all nodes, this one included, in place of an earlier
    /// observer. It must not block.
    fn observe_notes(&self, observer: NoteObserver);

    /// Claims deliveries of `target` within `limit`: they are not claimed again before `now +
    /// lease`.
    ///
    /// First those that are due and wait for no other of their order key, the soonest due first;
    /// before them, if `limit` says so, those that have failed.
    /// Where the limit leaves room, each takes along those that follow it in the order of its key,
    /// as far as they are not claimed and their retries are due. Runs are returned in the order of
    /// their events. What the [`Withholding`] keeps back is not claimed and leaves the outbox, at
    /// most some 1,000 deliveries at once.
    ///
    /// # Order
    ///
    /// The order key of a delivery is its rule with the key of its event or match, where the rule
    /// has `by`, else its event's resource. The deliveries of one target and key,
    /// in the order of their events in the archive and of the actions in an evaluation, wait each
    /// for the one before, until that has ended (delivered, dead letter, cancelled), or for
    /// `order_wait` after the start of its first attempt that failed. Without an order are
    /// deliveries of events without either, of replays, redriven ones, and those to a target
    /// whose `order_wait` is zero.
    fn submit_claim(
        &self,
        target: &str,
        now: Timestamp,
        lease: SignedDuration,
        limit: ClaimLimit,
    ) -> Reply<Claimed>;

    /// As [`Store::submit_claim`], waiting for the commit: the deliveries of all runs.
    ///
    /// # Errors
    /// If nothing was claimed.
    fn claim(
        &self,
        target: &str,
        now: Timestamp,
        lease: SignedDuration,
        limit: usize,
    ) -> Result<Vec<Delivery>, StoreError> {
        let limit = ClaimLimit {
            deliveries: limit,
            run: limit,
            bytes: usize::MAX,
            retries_first: false,
            sends_alone: false,
        };
        let claimed = self.submit_claim(target, now, lease, limit).wait()?;
        Ok(claimed.runs.into_iter().flatten().collect())
    }

    /// Records an attempt and applies the decision. If nothing was stored, the delivery is due
    /// again when its claim expires.
    fn submit_settle(
        &self,
        delivery: Delivery,
        attempt: AttemptOutcome,
        decision: Decision,
        now: Timestamp,
    ) -> Reply<Settled>;

    /// As [`Store::submit_settle`] for attempts that ended together: all of them are settled, or
    /// none. The replies are in their order.
    fn submit_settle_together(
        &self,
        attempts: Arc<Vec<EndedAttempt>>,
        now: Timestamp,
    ) -> Reply<Vec<Settled>>;

    /// As [`Store::submit_settle`], waiting for the commit.
    ///
    /// # Errors
    /// If nothing was stored.
    fn settle(
        &self,
        delivery: Delivery,
        attempt: AttemptOutcome,
        decision: Decision,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let settled = self.submit_settle(delivery, attempt, decision, now);
        settled.wait().map(drop)
    }

    /// Releases the claims of processes that are gone, in small steps: of all earlier ones, or in a
    /// store that is shared, of nodes that have left or were declared lost. Only for the process that
    /// holds the [`StoreLock`]; if the store is not shared, before it claims. Returns how many there
    /// were.
    ///
    /// # Errors
    /// If the store fails.
    fn release_claims(&self, now: Timestamp) -> Result<usize, StoreError>;

    /// As [`Store::release_claims`] for one target, whose queue has ended.
    fn submit_release_claims(&self, target: &str, now: Timestamp) -> Reply<usize>;

    /// Releases the claims of these deliveries, as far as they are claimed and pending. Returns how
    /// many there were.
    fn submit_release(&self, ids: Vec<DeliveryId>, now: Timestamp) -> Reply<usize>;

    /// Releases the claims of these deliveries of a target, as far as they are claimed and pending;
    /// they are due again at `until`, and without an order from now on. Returns how many there
    /// were.
    fn submit_hold(
        &self,
        target: &str,
        ids: Vec<DeliveryId>,
        until: Timestamp,
        now: Timestamp,
    ) -> Reply<usize>;

    /// Records which digest these deliveries are members of, before it is sent: also after a crash
    /// they are sent as the same one.
    fn submit_digest(&self, ids: Vec<DeliveryId>, digest: Option<DeliveryId>) -> Reply<()>;

    /// Sets how long a failing delivery of this target holds up the next one of its order key: a
    /// minute until this is called. Zero switches the order off, also of what is pending; a longer
    /// time also changes how long what is pending waits for deliveries that have failed. Returns
    /// whether there is more to do: then call it again.
    // In several transactions, because the queue of a target that is down may be long, and
    // accepting events waits for each of them.
    fn submit_order_wait(&self, target: &str, wait: SignedDuration, now: Timestamp) -> Reply<bool>;

    /// Records that a call of a rate-limited target is about to begin, and forgets those that ended
    /// before `since`. Fails with [`StoreError::TakenOver`] if another node sends to the target.
    fn submit_call(&self, target: &str, began: Timestamp, since: Timestamp) -> Reply<()>;

    /// Records when a call ended.
    fn submit_call_end(&self, target: &str, began: Timestamp, ended: Timestamp) -> Reply<()>;

    /// When the calls of a target ended that did not end before `since`, earliest first. Those
    /// without an end are of a process that was killed, and have ended at `now` at the latest. Only
    /// for the queue of the target, before its first call.
    fn submit_recent_calls(
        &self,
        target: &str,
        since: Timestamp,
        now: Timestamp,
    ) -> Reply<Vec<Timestamp>>;

    /// Lets calls of `target` expire that were due before `due_before`, at most 1,000 at once: they
    /// are withdrawn with [`OwnCode::Expired`]. Those that are being sent are left alone; whether
    /// the target is paused or fails does not matter. Returns how many expired.
    fn submit_expire_calls(
        &self,
        target: &str,
        due_before: Timestamp,
        now: Timestamp,
    ) -> Reply<usize>;

    /// Withdraws the calls of all rules but these with [`OwnCode::RuleGone`], also those that are
    /// delayed. One that is being sent is withdrawn if its attempt ends without an answer. Returns
    /// how many there were.
    fn submit_withdraw_calls_of_other_rules(
        &self,
        live: Vec<String>,
        now: Timestamp,
    ) -> Reply<usize>;

    /// Withdraws a call with this code and reason, as [`Store::cancel`] does. Returns whether it
    /// was waiting for an answer, and had not been withdrawn before.
    fn submit_withdraw_call(
        &self,
        id: DeliveryId,
        code: OwnCode,
        reason: String,
        now: Timestamp,
    ) -> Reply<bool>;

    /// Records that a call of `target` that changes something is about to be sent. `limit` is that
    /// of the target.
    ///
    /// # Count
    ///
    /// A call counts once, when it is reserved first, for a minute and for a day. The first one
    /// that would be too many stops the target: no call gets a reservation until
    /// [`Store::set_pause`] resumes it. Then the changes before that count no more.
    ///
    /// Times move with the clock ([`TimeTransaction::shift_times`](crate::TimeTransaction)). Those
    /// that lie in the future nevertheless count as of now, so that a clock that was set back never
    /// allows more. One that was set forwards while no process ran looks like time that has passed.
    ///
    /// # Unknown outcomes
    ///
    /// A reservation is open until the call is answered or settled with [`Decision::RetryAt`],
    /// unless the outcome of that attempt is `unknown`. While it is open, the call may have been
    /// executed: another reservation is [`ChangeReservation::SentBefore`], and if the call is
    /// withdrawn, its code is [`OwnCode::OutcomeUnknown`].
    fn submit_reserve_change(
        &self,
        target: &str,
        id: DeliveryId,
        limit: ChangeLimit,
        now: Timestamp,
    ) -> Reply<ChangeReservation>;

    /// The targets that have made as many changes as they may and make no more until they are
    /// resumed, by name.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn change_stops(&self) -> Result<Vec<(String, ChangeStop)>, StoreError>;

    /// Whether there are withdrawn calls whose answers are to be processed. Another process may
    /// have withdrawn them.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn has_withdrawn_calls(&self) -> Result<bool, StoreError>;

    /// Calls `observer` after each commit of this process that withdraws a call, before the replies
    /// and in place of an earlier observer. It may also be called when there is none.
    fn observe_withdrawn_calls(&self, observer: WithdrawnCallObserver);

    /// Moves the pending deliveries of a target that does not exist to the dead letters; calls are
    /// withdrawn with [`OwnCode::Undelivered`] instead. Returns a report if there were dead
    /// letters.
    fn submit_dead_letter_target(
        &self,
        target: &str,
        reason: String,
        now: Timestamp,
    ) -> Reply<Option<DeadLetterReport>>;

    /// As [`Store::submit_dead_letter_target`], waiting for the commit. Returns how many dead
    /// letters there were.
    ///
    /// # Errors
    /// If the store fails.
    fn dead_letter_target(
        &self,
        target: &str,
        reason: String,
        now: Timestamp,
    ) -> Result<u64, StoreError> {
        let report = self.submit_dead_letter_target(target, reason, now).wait()?;
        Ok(report.map_or(0, |report| report.count))
    }

    /// Calls `observer` with every delivery that becomes a dead letter from now on, after the
    /// commit and in place of an earlier observer.
    fn observe_dead_letters(&self, observer: DeadLetterObserver);

    /// Cancels a pending or withheld delivery; a call is withdrawn with [`OwnCode::Cancelled`]. Returns whether
    /// it was one.
    ///
    /// A call that is being sent stays pending until its attempt has ended: with an answer, that is
    /// its answer; without one, it is withdrawn.
    ///
    /// # Errors
    /// If the store fails.
    fn cancel(&self, id: DeliveryId, now: Timestamp) -> Result<bool, StoreError>;

    /// Puts a dead letter back into the outbox with a new series of attempts and without an order.
    /// Returns whether it was a dead letter. Calls are not redriven.
    ///
    /// # Errors
    /// If the store fails.
    fn redrive(&self, id: DeliveryId, now: Timestamp) -> Result<bool, StoreError>;

    /// Drops a dead letter. Returns whether it was one.
    ///
    /// # Errors
    /// If the store fails.
    fn drop_dead_letter(&self, id: DeliveryId, now: Timestamp) -> Result<bool, StoreError>;

    /// Changes the next deliveries that `filter` selects, at most `step` and at most 1,000, in one
    /// transaction that other jobs may share: others wait for one step. Repeated with
    /// [`BulkStep::next`] until that is `None`, it changes all that were selected when it began,
    /// the longest dead first; what becomes a dead letter again meanwhile comes later, unless
    /// [`DeliveryFilter::finished_until`] excludes it. A change of dead letters changes nothing of
    /// another status, and [`BulkChange::Cancel`] only what is pending or withheld.
    fn submit_matching(
        &self,
        change: BulkChange,
        filter: &DeliveryFilter,
        after: Option<PageCursor>,
        step: usize,
        now: Timestamp,
    ) -> Reply<BulkStep>;

    /// As [`Store::submit_matching`], waiting for the commit, and on a full disk too.
    ///
    /// # Errors
    /// If nothing was changed.
    fn change_matching(
        &self,
        change: BulkChange,
        filter: &DeliveryFilter,
        after: Option<PageCursor>,
        step: usize,
        now: Timestamp,
    ) -> Result<BulkStep, StoreError>;

    /// Changes these deliveries, each as if it was changed alone, in transactions of at most 1,000.
    ///
    /// # Errors
    /// If the store fails. What the transactions before have changed stays changed.
    fn change_selected(
        &self,
        change: BulkChange,
        ids: &[DeliveryId],
        now: Timestamp,
    ) -> Result<SelectedChange, StoreError>;

    /// Records what an operator does. Returns the number of the entry.
    ///
    /// # Errors
    /// If nothing was stored.
    fn append_audit(&self, entry: NewAuditEntry) -> Result<i64, StoreError>;

    /// Records how an operation ended that was recorded as [`AuditOutcome::Begun`]. Returns whether
    /// its entry is still there.
    ///
    /// # Errors
    /// If nothing was stored.
    fn finish_audit(
        &self,
        id: i64,
        outcome: AuditOutcome,
        count: u64,
        message: &str,
        at: Timestamp,
    ) -> Result<bool, StoreError>;

    /// What operators have done: entries with a lower number than `before`, the newest first, at
    /// most `limit`.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn audit_page(
        &self,
        filter: &AuditFilter,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, StoreError>;

    /// Adds a silence; `None` if there are `most` that are not over.
    ///
    /// # Errors
    /// If the store fails.
    fn add_silence(
        &self,
        silence: NewSilence,
        most: usize,
        now: Timestamp,
    ) -> Result<Option<Silence>, StoreError>;

    /// The silence with this number.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn silence(&self, id: i64) -> Result<Option<Silence>, StoreError>;

    /// The silences that are not over, by number; or those that are over and not removed by
    /// retention, the newest first.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn silences(
        &self,
        are_over: bool,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Silence>, StoreError>;

    /// Ends a silence; `None` if it is over already or does not exist. What it withholds is
    /// released or ended by [`Store::submit_release_withheld`].
    ///
    /// # Errors
    /// If the store fails.
    fn end_silence(&self, id: i64, end: SilenceEnd) -> Result<Option<Silence>, StoreError>;

    /// What may withhold deliveries at this time.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn active_withholding(&self, now: Timestamp) -> Result<ActiveWithholding, StoreError>;

    /// Releases deliveries that nothing withholds any more, at most 1,000: they are pending at
    /// their former place in their order, with a new series of attempts, and the next claim asks
    /// about them again. What a silence withholds that was ended with `drops` is ended instead.
    fn submit_release_withheld(&self, now: Timestamp) -> Reply<ReleaseStep>;

    /// When [`Store::submit_release_withheld`] has something to do next.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn next_release(&self) -> Result<Option<Timestamp>, StoreError>;

    /// For each target with withheld deliveries: how many. By name.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn withheld_counts(&self) -> Result<Vec<(String, u64)>, StoreError>;

    /// The last times in which a delivery was withheld, at most `limit`, the earliest first.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn withheld_periods(
        &self,
        id: DeliveryId,
        limit: usize,
    ) -> Result<Vec<WithheldPeriod>, StoreError>;

    /// The event of a delivery as a [`Withholding`] gets it.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn candidate_event(&self, record: &DeliveryRecord) -> Result<Option<NativeEvent>, StoreError>;

    /// Deliveries of every status, those of the newest events first, before `before`. What cannot
    /// be read is left out.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn newest_deliveries(
        &self,
        before: Option<DeliveryId>,
        limit: usize,
    ) -> Result<Vec<DeliveryRecord>, StoreError>;

    /// When the next delivery of `target` is due that waits for no other: a claim, a retry, or the
    /// end of a claim.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn next_due(&self, target: &str) -> Result<Option<Timestamp>, StoreError>;

    /// Deliveries of one status, of one target if it is given: pending ones the soonest due first,
    /// others the longest finished first.
    ///
    /// # Errors
    /// If the store, or one of the deliveries, cannot be read.
    fn deliveries(
        &self,
        status: DeliveryStatus,
        target: Option<&str>,
        limit: usize,
    ) -> Result<Vec<DeliveryRecord>, StoreError> {
        let (mut found, mut after) = (Vec::new(), None);
        while found.len() < limit {
            let rows = PageLimits::LIST.rows.min(limit - found.len());
            let limits = PageLimits {
                rows,
                ..PageLimits::LIST
            };
            let page = self.delivery_page(status, target, after, limits)?;
            if let Some(damaged) = page.damaged.first() {
                return Err(StoreError::Failed(damaged.to_string()));
            }
            found.extend(page.deliveries);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        Ok(found)
    }

    /// The next page of such a list; from the beginning without a cursor. What cannot be read is
    /// listed as such, and what can be read is not left out because of it.
    ///
    /// # Errors
    /// If the store cannot be read at all.
    fn delivery_page(
        &self,
        status: DeliveryStatus,
        target: Option<&str>,
        after: Option<PageCursor>,
        limits: PageLimits,
    ) -> Result<DeliveryPage, StoreError>;

    /// The deliveries that a filter selects: as [`Store::delivery_page`], or in the opposite order.
    /// A page of dead letters looks at 100,000 of them at most, so it may have fewer than its
    /// limits allow, or none, although others follow.
    ///
    /// # Errors
    /// If the store cannot be read at all.
    fn filtered_page(
        &self,
        filter: &DeliveryFilter,
        newest_first: bool,
        after: Option<PageCursor>,
        limits: PageLimits,
    ) -> Result<DeliveryPage, StoreError>;

    /// How many deliveries a filter selects; `at_most` if there are as many or more.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn count_deliveries(&self, filter: &DeliveryFilter, at_most: u64) -> Result<u64, StoreError>;

    /// One delivery with its attempts.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn delivery(
        &self,
        id: DeliveryId,
    ) -> Result<Option<(DeliveryRecord, Vec<Attempt>)>, StoreError>;

    /// The deliveries of the event at an archive position, as far as the limits allow.
    ///
    /// # Errors
    /// If the store cannot be read at all.
    fn deliveries_of(&self, seq: i64, limits: PageLimits) -> Result<EventDeliveries, StoreError>;

    /// The newest dead letters, the newest first.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn newest_dead_letters(&self, limit: usize) -> Result<Vec<DeliveryRecord>, StoreError>;

    /// For each target with dead letters: how many.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn dead_letter_counts(&self) -> Result<Vec<(String, u64)>, StoreError>;

    /// For each target with pending deliveries: how many wait at this time, how many are delayed,
    /// and how old the oldest is. By name.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn queue_depths(&self, now: Timestamp) -> Result<Vec<QueueDepth>, StoreError>;

    /// When the newest event was accepted.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn newest_event(&self) -> Result<Option<Timestamp>, StoreError>;

    /// The rules that have pending deliveries, state entries or matches, by name.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn rules_in_use(&self) -> Result<Vec<RuleUse>, StoreError>;

    /// Removes all state entries of `rule`, in small steps, and closes its matches. Returns how
    /// many there were.
    ///
    /// # Errors
    /// If the store fails; some of the entries may be removed then.
    fn forget_rule(&self, rule: &str) -> Result<u64, StoreError>;

    /// For each target with deliveries that may be attempted now and have not been in their current
    /// series: how many. Those that are claimed or held are among them.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn unattempted(&self, now: Timestamp) -> Result<Vec<(String, u64)>, StoreError>;

    /// Records that an operator has paused a target, or that it is not paused any more. The store
    /// only keeps it. Without a pause, a target that was stopped because of its changes makes
    /// changes again, see [`Store::submit_reserve_change`].
    ///
    /// # Errors
    /// If the store fails.
    fn set_pause(&self, target: &str, pause: Option<TargetPause>) -> Result<(), StoreError>;

    /// The paused targets, by name.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn paused_targets(&self) -> Result<Vec<(String, TargetPause)>, StoreError>;

    /// Calls `visit` for each selected event in order of acceptance, until it returns `false`. What
    /// cannot be read back is visited as [`DamagedEvent`] and does not end the walk. Only one page
    /// of events is in memory at a time, and the store goes on as if nothing was read.
    ///
    /// # Errors
    /// If the store cannot be read at all.
    fn walk(
        &self,
        selection: &Selection,
        visit: &mut dyn FnMut(Result<Archived, DamagedEvent>) -> bool,
    ) -> Result<(), StoreError>;

    /// The next page of the archived events with this id, after an archive position; from the
    /// beginning with 0. There is more than one if senders use it more than once, or if a copy came
    /// after the duplicate window.
    ///
    /// # Errors
    /// If the store cannot be read at all.
    fn find_page(&self, id: &str, after: i64, limits: PageLimits) -> Result<EventPage, StoreError>;

    /// The first archived events with this id, at most 256 and 16 MiB.
    ///
    /// # Errors
    /// If the store cannot be read, or one of the events is damaged.
    fn find(&self, id: &str) -> Result<Vec<Archived>, StoreError> {
        let page = self.find_page(id, 0, PageLimits::WALK)?;
        let failed = |damaged: DamagedEvent| StoreError::Failed(damaged.to_string());
        let events = page.events.into_iter();
        events.map(|event| event.map_err(failed)).collect()
    }

    /// Entries of the archive before a position, the newest first, or with
    /// [`EventFilter::from`] or [`EventFilter::until`] the latest first. A page looks at so many
    /// entries that it takes some milliseconds, and says where it has ended.
    ///
    /// # Errors
    /// If the store cannot be read at all.
    fn entry_page(
        &self,
        filter: &EventFilter,
        before: Option<i64>,
        limits: PageLimits,
    ) -> Result<EntryPage, StoreError>;

    /// The entry at an archive position, if it is there.
    ///
    /// # Errors
    /// If the store cannot be read at all.
    fn entry(&self, seq: i64) -> Result<Option<Result<Archived, DamagedEvent>>, StoreError>;

    /// Reads every archived event back: decompression with checksum, size, JSON.
    ///
    /// # Errors
    /// If the store cannot be read at all.
    fn verify_archive(&self) -> Result<VerifyReport, StoreError>;

    /// Reads the next part of the whole store, some hundred rows, and adds to `check` what is
    /// damaged. To be called until [`StoreCheck::is_done`]: damage is found here, in the
    /// background, and not when an event or a delivery is needed.
    ///
    /// ```
    /// use reflexarc_store::{SqliteStore, Store, StoreCheck, StoreOptions};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("reflexarc.db");
    /// let store = SqliteStore::open(&path, &StoreOptions::default())?;
    /// let mut check = StoreCheck::default();
    /// while !check.is_done {
    ///     store.check(&mut check)?;
    /// }
    /// assert_eq!(check.damaged, 0);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the store cannot be read at all; the next call tries the same part again.
    fn check(&self, check: &mut StoreCheck) -> Result<(), StoreError>;

    /// Drops dead letters that are older than the retention allows, and removes events that are
    /// older than it allows, or that make the store larger than it allows. In small steps: others
    /// wait for one of them at most.
    ///
    /// ```
    /// use jiff::{SignedDuration, Timestamp};
    /// use reflexarc::Evaluation;
    /// use reflexarc_event::Event;
    /// use reflexarc_store::{Incoming, Retention, SqliteStore, Store, StoreOptions};
    ///
    /// # let folder = tempfile::tempdir()?;
    /// # let path = folder.path().join("reflexarc.db");
    /// let store = SqliteStore::open(&path, &StoreOptions::default())?;
    /// let incoming = Incoming::new(Event::from_json(r#"{"id": "1"}"#)?)?;
    /// let accepted_at = Timestamp::UNIX_EPOCH;
    /// store.accept(incoming, Evaluation::default(), accepted_at)?;
    ///
    /// let retention = Retention {
    ///     age: SignedDuration::from_hours(24),
    ///     ..Retention::default()
    /// };
    /// let young = store.prune(&retention, accepted_at + SignedDuration::from_hours(1))?;
    /// assert_eq!(young.events, 0);
    /// let old = store.prune(&retention, accepted_at + SignedDuration::from_hours(25))?;
    /// assert_eq!(old.events, 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// If the store fails.
    fn prune(&self, retention: &Retention, now: Timestamp) -> Result<Pruned, StoreError>;

    /// Writes and syncs without changing anything, as an accepted event would be: an error means
    /// that no event can be accepted now.
    fn submit_probe(&self) -> Reply<()>;

    /// Number of bytes that are in use.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn used_bytes(&self) -> Result<u64, StoreError>;

    /// Number of bytes of what was committed and is kept beside the store, because a reader still
    /// needs the store as it was before. It grows for as long as such a reader does not end.
    ///
    /// # Errors
    /// If the store is gone.
    fn log_bytes(&self) -> Result<u64, StoreError>;
}

impl StoreLock {
    /// A lock that dropping `held` releases.
    pub(crate) fn new(held: impl Any + Send + Sync) -> Self {
        Self {
            _held: Box::new(held),
        }
    }
}
