//! The operations of the store, each a job of the writer or a query that never waits for it.

use std::any::Any;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError};

use jiff::{SignedDuration, Timestamp};
use reflexarc::Evaluation;
use reflexarc_delivery::{ArchivePosition, ChangeLimit, Decision, Delivery, DeliveryId, EventRef};
use reflexarc_event::NativeEvent;
use reflexarc_reaction::OwnCode;

use super::archive::Walk;
use super::calls::Withdrawal;
use super::copies::Arrival;
use super::state::DatabaseStateReader;
use super::timeline::{Afterwards, OpenTransaction, advance};
use super::writer::{SharedConnection, lock};
use super::{
    DatabaseStore, accept, archive, archived_event, attempts, audit, bulk, calls, changes, check,
    claim, copies, deadlines, digests, due_list, entries, filtered, incident_messages, incidents,
    listing, match_list, micros, order, outbox, pages, silences, targets, withheld,
};
use crate::database::Connection;
use crate::engine::Engine;
use crate::nodes::Cluster;
use crate::{
    Accepted, Acknowledged, Acknowledgement, ActiveWithholding, Archived, Attempt, AttemptOutcome,
    AuditEntry, AuditFilter, AuditOutcome, Beat, BulkChange, BulkStep, ChangeReservation,
    ChangeStop, ClaimLimit, Claimed, ClosedBy, DamagedEvent, DeadLetterObserver, DeadLetterReport,
    DeliveryFilter, DeliveryPage, DeliveryRecord, DeliveryStatus, DueCursor, DuePage, EndedAttempt,
    EntryKind, EntryPage, EvaluateInTransaction, EventDeliveries, EventFilter, EventPage, Incident,
    IncidentFilter, Incoming, MatchCount, MatchCursor, MatchFilter, MatchPage, NewAuditEntry,
    NewNode, NewSilence, Node, NodeSetup, Note, NoteObserver, PageCursor, PageLimits, Pruned,
    QueueDepth, ReleaseStep, ReplayAccepted, Reply, ReplySender, Retention, RuleUse,
    SelectedChange, Selection, Settled, Silence, SilenceEnd, StateReader, Store, StoreCheck,
    StoreError, StoreLock, TargetPause, TimeWork, Timeline, VerifyReport, WithdrawnCallObserver,
    WithheldPeriod, Withholding,
};

impl<E: Engine> Store for DatabaseStore<E> {
    fn accept(
        &self,
        incoming: Incoming,
        evaluation: Evaluation,
        now: Timestamp,
    ) -> Result<Accepted, StoreError> {
        let (window, clock) = (self.duplicate_window, self.clock.clone());
        let (timeline, afterwards) = (self.timeline.clone(), Afterwards::default());
        let dead_letters = self.dead_letters.clone();
        let (entry_clock, run_after) = (self.entry_clock.clone(), afterwards.clone());
        let job = move |connection: &SharedConnection| {
            let transaction = &mut OpenTransaction {
                connection,
                clock: &entry_clock,
                afterwards: &afterwards,
                dead_letters: &dead_letters,
            };
            let now = advance(&timeline, transaction, now, &afterwards)?;
            clock.record(now);
            let connection = &lock(connection);
            match copies::find(connection, &incoming, now, window)? {
                Arrival::Copy(seq) => Ok(Accepted::duplicate_of(seq)),
                Arrival::New { is_known_id } => {
                    entry_clock.record(now);
                    accept::insert(connection, &incoming, &evaluation, is_known_id, now)
                }
            }
        };
        let (reply, accepted) = Reply::channel();
        self.writer
            .submit_to(reply, 1, job, move |_| run_after.run());
        accepted.wait()
    }

    fn accept_together(
        &self,
        events: Vec<(Incoming, EvaluateInTransaction)>,
        now: Timestamp,
        permit: Box<dyn Any + Send>,
        reply: ReplySender<Vec<Accepted>>,
    ) {
        let (window, clock) = (self.duplicate_window, self.clock.clone());
        let count = self.accepted.clone();
        // A batch weighs as much as its events, so that the writer does not add 2,000 batches of
        // 10,000 events to one transaction.
        let weight = events.len();
        let (timeline, afterwards) = (self.timeline.clone(), Afterwards::default());
        let dead_letters = self.dead_letters.clone();
        let (entry_clock, run_after) = (self.entry_clock.clone(), afterwards.clone());
        let job = move |connection: &SharedConnection| {
            // Moved into the job: the queue space is free again only when the events are committed,
            // or when the writer is gone and drops the job. Freeing it earlier would unbound what
            // waits in the writer's channel.
            let _permit = permit;
            count.fetch_add(weight, Ordering::Relaxed);
            let mut transaction = OpenTransaction {
                connection,
                clock: &entry_clock,
                afterwards: &afterwards,
                dead_letters: &dead_letters,
            };
            let now = advance(&timeline, &mut transaction, now, &afterwards)?;
            clock.record(now);
            let mut accepted = Vec::with_capacity(weight);
            let known = known_arrivals(&lock(connection), &events, now, window)?;
            for (place, (incoming, evaluate)) in events.into_iter().enumerate() {
                // The connection is locked anew for each step, because `evaluate` locks it too.
                let arrival = match known.get(place) {
                    Some(Some(arrival)) => *arrival,
                    _ => copies::find(&lock(connection), &incoming, now, window)?,
                };
                accepted.push(match arrival {
                    Arrival::Copy(seq) => Accepted::duplicate_of(seq),
                    Arrival::New { is_known_id } => {
                        let evaluation = evaluate(&transaction, &incoming, now)?;
                        entry_clock.record(now);
                        let connection = &lock(connection);
                        accept::insert(connection, &incoming, &evaluation, is_known_id, now)?
                    }
                });
            }
            Ok(accepted)
        };
        self.writer
            .submit_to(reply, weight, job, move |_| run_after.run());
    }

    fn set_timeline(&self, timeline: Arc<dyn Timeline>) {
        let mut current = self.timeline.lock().unwrap_or_else(PoisonError::into_inner);
        *current = Some(timeline);
    }

    fn set_withholding(&self, withholding: Arc<dyn Withholding>) {
        let current = self.withholding.write();
        *current.unwrap_or_else(PoisonError::into_inner) = Some(withholding);
    }

    fn submit_time(&self, work: TimeWork) -> Reply<()> {
        let afterwards = Afterwards::default();
        let dead_letters = self.dead_letters.clone();
        let (entry_clock, run_after) = (self.entry_clock.clone(), afterwards.clone());
        let job = move |connection: &SharedConnection| {
            let mut transaction = OpenTransaction {
                connection,
                clock: &entry_clock,
                afterwards: &afterwards,
                dead_letters: &dead_letters,
            };
            afterwards.add(work(&mut transaction)?);
            Ok(())
        };
        let (reply, done) = Reply::channel();
        self.writer
            .submit_last(reply, job, move |()| run_after.run());
        done
    }

    fn next_deadline(&self) -> Result<Option<Timestamp>, StoreError> {
        self.read(deadlines::next)
    }

    fn match_counts(&self) -> Result<Vec<MatchCount>, StoreError> {
        self.read(match_list::counts)
    }

    fn pending_page(
        &self,
        filter: &MatchFilter,
        after: Option<&MatchCursor>,
        limits: PageLimits,
        now: Timestamp,
    ) -> Result<MatchPage, StoreError> {
        self.read(|connection| match_list::page(connection, filter, after, limits, now))
    }

    fn pending_by_deadline(
        &self,
        filter: &MatchFilter,
        after: Option<&DueCursor>,
        limits: PageLimits,
        now: Timestamp,
    ) -> Result<DuePage, StoreError> {
        self.read(|connection| due_list::page(connection, filter, after, limits, now))
    }

    fn event_name(&self, position: u64) -> Result<Option<EventRef>, StoreError> {
        self.read(|connection| {
            let found = match_list::event_at(connection, position)?;
            Ok(found.map(|(event, _)| event))
        })
    }

    fn close_match(
        &self,
        rule: &str,
        key: &str,
        closed: &ClosedBy,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let (rule, key, closed) = (rule.to_owned(), key.to_owned(), closed.clone());
        let job = move |connection: &_| match_list::close(connection, &rule, &key, &closed, now);
        self.writer.submit(job).wait()
    }

    fn incidents(
        &self,
        filter: &IncidentFilter,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<Incident>, StoreError> {
        self.read(|connection| incidents::list(connection, filter, before, limit))
    }

    fn incident(&self, id: i64) -> Result<Option<Incident>, StoreError> {
        self.read(|connection| incidents::find(connection, id))
    }

    fn incident_deliveries(
        &self,
        id: i64,
        limit: usize,
    ) -> Result<Vec<DeliveryRecord>, StoreError> {
        self.read(|connection| incident_messages::list(connection, id, limit))
    }

    fn incident_counts(&self) -> Result<Vec<(String, u64)>, StoreError> {
        self.read(incidents::counts)
    }

    fn acknowledge_incident(
        &self,
        id: i64,
        acknowledgement: &Acknowledgement,
        now: Timestamp,
    ) -> Result<Option<Acknowledged>, StoreError> {
        let given = acknowledgement.clone();
        let job = move |connection: &_| incident_messages::acknowledge(connection, id, &given, now);
        self.writer.submit(job).wait()
    }

    fn close_incident(
        &self,
        id: i64,
        closed: &ClosedBy,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let closed = closed.clone();
        let job = move |connection: &_| match_list::close_incident(connection, id, &closed, now);
        self.writer.submit(job).wait()
    }

    fn accept_replay(
        &self,
        archived: &Archived,
        incoming: Incoming,
        evaluation: Evaluation,
        replay: String,
        now: Timestamp,
    ) -> Result<ReplayAccepted, StoreError> {
        let position = ArchivePosition {
            seq: archived.seq,
            received: archived.received,
        };
        let accepted = self.writer.submit(move |connection| {
            accept::enqueue_replay(connection, position, &incoming, &evaluation, &replay, now)
        });
        accepted.wait()
    }

    fn state_reader(&self) -> Result<Box<dyn StateReader>, StoreError> {
        let connection = self.engine.open_reader()?;
        Ok(Box::new(DatabaseStateReader::new(
            connection,
            self.engine.clone(),
        )))
    }

    fn state(&self, now: Timestamp) -> Result<Vec<(String, String, String)>, StoreError> {
        self.read(|connection| {
            let sql = "SELECT rule, key, value FROM state
                       WHERE expires IS NULL OR expires > ?1 ORDER BY rule, key";
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map([micros(now)], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    fn lock_exclusive(&self) -> Result<StoreLock, StoreError> {
        self.engine.lock()
    }

    fn is_shared(&self) -> bool {
        E::IS_SHARED
    }

    fn join(&self, node: &NewNode) -> Result<(), StoreError> {
        let joined = self.engine.cluster().map(|cluster| cluster.join(node));
        joined.transpose().map(drop)
    }

    fn beat(&self, setup: &NodeSetup) -> Result<Option<Beat>, StoreError> {
        let beat = self.engine.cluster().map(|cluster| cluster.beat(setup));
        beat.transpose()
    }

    fn nodes(&self) -> Result<Vec<Node>, StoreError> {
        let cluster = self.engine.cluster();
        cluster.map_or_else(|| Ok(Vec::new()), Cluster::list)
    }

    fn declare_lost(&self, node: &Node) -> Result<bool, StoreError> {
        let cluster = self.engine.cluster();
        cluster.map_or(Ok(false), |cluster| cluster.declare_lost(node))
    }

    fn notify(&self, note: Note) {
        if let Some(cluster) = self.engine.cluster() {
            cluster.notify(note);
        }
    }

    fn observe_notes(&self, observer: NoteObserver) {
        if let Some(cluster) = self.engine.cluster() {
            cluster.observe(observer);
        }
    }

    fn submit_claim(
        &self,
        target: &str,
        now: Timestamp,
        lease: SignedDuration,
        limit: ClaimLimit,
    ) -> Reply<Claimed> {
        let (target, observed) = (target.to_owned(), self.dead_letters.clone());
        let (clock, committed) = (self.clock.clone(), self.clock.clone());
        let withholding = self.withholding.read();
        let withholding = withholding.unwrap_or_else(PoisonError::into_inner).clone();
        let was_set_back = Arc::new(AtomicBool::new(false));
        let released = was_set_back.clone();
        self.writer.submit_observed(
            move |connection| {
                if clock.was_set_back(now) {
                    outbox::release_future(connection, now, now)?;
                    was_set_back.store(true, Ordering::Relaxed);
                }
                claim::claim(
                    connection,
                    &target,
                    now,
                    lease,
                    limit,
                    withholding.as_deref(),
                )
            },
            move |claimed| {
                // Only after the commit: if that fails, the next claim looks again.
                if released.load(Ordering::Relaxed) {
                    committed.reset(now);
                }
                committed.record(now);
                observed.report(&claimed.unreadable);
            },
        )
    }

    fn submit_settle(
        &self,
        delivery: Delivery,
        attempt: AttemptOutcome,
        decision: Decision,
        now: Timestamp,
    ) -> Reply<Settled> {
        let (observed, clock) = (self.dead_letters.clone(), self.clock.clone());
        self.writer.submit_observed(
            move |connection| {
                clock.record(now);
                outbox::settle(connection, &delivery, &attempt, &decision, now)
            },
            move |settled| observed.report(&settled.dead_letter),
        )
    }

    fn submit_settle_together(
        &self,
        attempts: Arc<Vec<EndedAttempt>>,
        now: Timestamp,
    ) -> Reply<Vec<Settled>> {
        let (observed, clock) = (self.dead_letters.clone(), self.clock.clone());
        let (reply, receiver) = Reply::channel();
        let weight = attempts.len();
        let job = move |connection: &SharedConnection| {
            let connection = &lock(connection);
            clock.record(now);
            let settle = |ended: &EndedAttempt| {
                let (delivery, decision) = (&ended.delivery, &ended.decision);
                outbox::settle(connection, delivery, &ended.outcome, decision, now)
            };
            attempts.iter().map(settle).collect()
        };
        let observe = move |settled: &Vec<Settled>| {
            for one in settled {
                observed.report(&one.dead_letter);
            }
        };
        self.writer.submit_to(reply, weight, job, observe);
        receiver
    }

    fn release_claims(&self, now: Timestamp) -> Result<usize, StoreError> {
        self.release_claims_in_steps(now)
    }

    fn submit_release_claims(&self, target: &str, now: Timestamp) -> Reply<usize> {
        let target = target.to_owned();
        self.writer
            .submit(move |connection| outbox::release(connection, &target, now))
    }

    fn submit_release(&self, ids: Vec<DeliveryId>, now: Timestamp) -> Reply<usize> {
        self.writer
            .submit(move |connection| outbox::release_own(connection, &ids, now))
    }

    fn submit_hold(
        &self,
        target: &str,
        ids: Vec<DeliveryId>,
        until: Timestamp,
        now: Timestamp,
    ) -> Reply<usize> {
        let target = target.to_owned();
        self.writer
            .submit(move |connection| digests::hold(connection, &target, &ids, until, now))
    }

    fn submit_digest(&self, ids: Vec<DeliveryId>, digest: Option<DeliveryId>) -> Reply<()> {
        self.writer
            .submit(move |connection| digests::set_digest(connection, &ids, digest))
    }

    fn submit_order_wait(&self, target: &str, wait: SignedDuration, now: Timestamp) -> Reply<bool> {
        let target = target.to_owned();
        self.writer
            .submit(move |connection| order::set_wait(connection, &target, wait, now))
    }

    fn submit_call(&self, target: &str, began: Timestamp, since: Timestamp) -> Reply<()> {
        let target = target.to_owned();
        self.writer
            .submit(move |connection| attempts::begin_call(connection, &target, began, since))
    }

    fn submit_call_end(&self, target: &str, began: Timestamp, ended: Timestamp) -> Reply<()> {
        let target = target.to_owned();
        self.writer
            .submit(move |connection| attempts::end_call(connection, &target, began, ended))
    }

    fn submit_recent_calls(
        &self,
        target: &str,
        since: Timestamp,
        now: Timestamp,
    ) -> Reply<Vec<Timestamp>> {
        let target = target.to_owned();
        self.writer
            .submit(move |connection| attempts::recent_calls(connection, &target, since, now))
    }

    fn submit_expire_calls(
        &self,
        target: &str,
        due_before: Timestamp,
        now: Timestamp,
    ) -> Reply<usize> {
        let target = target.to_owned();
        self.writer
            .submit(move |connection| calls::expire(connection, &target, due_before, now))
    }

    fn submit_withdraw_calls_of_other_rules(
        &self,
        live: Vec<String>,
        now: Timestamp,
    ) -> Reply<usize> {
        self.writer
            .submit(move |connection| calls::withdraw_of_other_rules(connection, &live, now))
    }

    fn submit_withdraw_call(
        &self,
        id: DeliveryId,
        code: OwnCode,
        reason: String,
        now: Timestamp,
    ) -> Reply<bool> {
        self.writer.submit(move |connection| {
            let withdrawal = calls::withdraw(connection, id, code, &reason, now)?;
            Ok(withdrawal.is_some_and(Withdrawal::is_new))
        })
    }

    fn submit_reserve_change(
        &self,
        target: &str,
        id: DeliveryId,
        limit: ChangeLimit,
        now: Timestamp,
    ) -> Reply<ChangeReservation> {
        let target = target.to_owned();
        self.writer
            .submit(move |connection| changes::reserve(connection, &target, id, limit, now))
    }

    fn change_stops(&self) -> Result<Vec<(String, ChangeStop)>, StoreError> {
        self.read(changes::stops)
    }

    fn has_withdrawn_calls(&self) -> Result<bool, StoreError> {
        self.read(calls::has_withdrawn)
    }

    fn observe_withdrawn_calls(&self, observer: WithdrawnCallObserver) {
        self.withdrawn_calls.set(observer);
    }

    fn submit_dead_letter_target(
        &self,
        target: &str,
        reason: String,
        now: Timestamp,
    ) -> Reply<Option<DeadLetterReport>> {
        let (target, observed) = (target.to_owned(), self.dead_letters.clone());
        self.writer.submit_observed(
            move |connection| outbox::dead_letter_target(connection, &target, &reason, now),
            move |report| observed.report(report),
        )
    }

    fn observe_dead_letters(&self, observer: DeadLetterObserver) {
        self.dead_letters.set(observer);
    }

    fn cancel(&self, id: DeliveryId, now: Timestamp) -> Result<bool, StoreError> {
        self.change(move |connection| bulk::cancel(connection, id, now))
    }

    fn redrive(&self, id: DeliveryId, now: Timestamp) -> Result<bool, StoreError> {
        self.change(move |connection| bulk::redrive(connection, id, now))
    }

    fn drop_dead_letter(&self, id: DeliveryId, now: Timestamp) -> Result<bool, StoreError> {
        self.change(move |connection| bulk::drop_dead_letter(connection, id, now))
    }

    fn submit_matching(
        &self,
        change: BulkChange,
        filter: &DeliveryFilter,
        after: Option<PageCursor>,
        step: usize,
        now: Timestamp,
    ) -> Reply<BulkStep> {
        let filter = filter.clone();
        let (reply, done) = Reply::channel();
        let job = move |connection: &SharedConnection| {
            bulk::step(&lock(connection), change, &filter, after, step, now)
        };
        // As heavy as what it changes, so that the transaction does not become longer than that of
        // accepted events.
        self.writer.submit_to(reply, step, job, |_| {});
        done
    }

    fn change_matching(
        &self,
        change: BulkChange,
        filter: &DeliveryFilter,
        after: Option<PageCursor>,
        step: usize,
        now: Timestamp,
    ) -> Result<BulkStep, StoreError> {
        let submit = || {
            self.submit_matching(change, filter, after, step, now)
                .wait()
        };
        self.free_space(submit)
    }

    fn change_selected(
        &self,
        change: BulkChange,
        ids: &[DeliveryId],
        now: Timestamp,
    ) -> Result<SelectedChange, StoreError> {
        let mut done = SelectedChange::default();
        for ids in ids.chunks(bulk::MAX_STEP) {
            let step = self.free_space(|| {
                let ids = ids.to_vec();
                let weight = ids.len();
                let (reply, done) = Reply::channel();
                let job = move |connection: &SharedConnection| {
                    bulk::selected(&lock(connection), change, &ids, now)
                };
                self.writer.submit_to(reply, weight, job, |_| {});
                done.wait()
            })?;
            done.changed += step.changed;
            done.unchanged += step.unchanged;
            done.missing += step.missing;
        }
        Ok(done)
    }

    fn append_audit(&self, entry: NewAuditEntry) -> Result<i64, StoreError> {
        // On a full disk too: what frees space is recorded.
        self.free_space(|| {
            let entry = entry.clone();
            let job = move |connection: &_| audit::append(connection, &entry);
            self.writer.submit(job).wait()
        })
    }

    fn finish_audit(
        &self,
        id: i64,
        outcome: AuditOutcome,
        count: u64,
        message: &str,
        at: Timestamp,
    ) -> Result<bool, StoreError> {
        self.free_space(|| {
            let message = message.to_owned();
            let job =
                move |connection: &_| audit::finish(connection, id, outcome, count, &message, at);
            self.writer.submit(job).wait()
        })
    }

    fn audit_page(
        &self,
        filter: &AuditFilter,
        before: Option<i64>,
        limit: usize,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        self.read(|connection| audit::page(connection, filter, before, limit))
    }

    fn add_silence(
        &self,
        silence: NewSilence,
        most: usize,
        now: Timestamp,
    ) -> Result<Option<Silence>, StoreError> {
        let job = move |connection: &_| silences::add(connection, &silence, most, now);
        let added = self.writer.submit(job).wait()?;
        self.notify(Note::Changed);
        Ok(added)
    }

    fn silence(&self, id: i64) -> Result<Option<Silence>, StoreError> {
        self.read(|connection| silences::get(connection, id))
    }

    fn silences(
        &self,
        are_over: bool,
        now: Timestamp,
        limit: usize,
    ) -> Result<Vec<Silence>, StoreError> {
        self.read(|connection| silences::list(connection, are_over, now, limit))
    }

    fn end_silence(&self, id: i64, end: SilenceEnd) -> Result<Option<Silence>, StoreError> {
        // On a full disk too: what it withholds is sent then.
        let ended = self.free_space(|| {
            let end = end.clone();
            let job = move |connection: &_| silences::end(connection, id, &end);
            self.writer.submit(job).wait()
        })?;
        self.notify(Note::Changed);
        Ok(ended)
    }

    fn active_withholding(&self, now: Timestamp) -> Result<ActiveWithholding, StoreError> {
        let withholding = self.withholding.read();
        let withholding = withholding.unwrap_or_else(PoisonError::into_inner).clone();
        self.read(|connection| withheld::active(connection, withholding.as_deref(), now))
    }

    fn submit_release_withheld(&self, now: Timestamp) -> Reply<ReleaseStep> {
        self.writer
            .submit(move |connection| withheld::release(connection, now))
    }

    fn next_release(&self) -> Result<Option<Timestamp>, StoreError> {
        self.read(withheld::next_release)
    }

    fn withheld_counts(&self) -> Result<Vec<(String, u64)>, StoreError> {
        self.read(withheld::counts)
    }

    fn withheld_periods(
        &self,
        id: DeliveryId,
        limit: usize,
    ) -> Result<Vec<WithheldPeriod>, StoreError> {
        self.read(|connection| withheld::periods(connection, id, limit))
    }

    fn candidate_event(&self, record: &DeliveryRecord) -> Result<Option<NativeEvent>, StoreError> {
        self.read(|connection| withheld::event_of(connection, record.seq, &record.delivery))
    }

    fn newest_deliveries(
        &self,
        before: Option<DeliveryId>,
        limit: usize,
    ) -> Result<Vec<DeliveryRecord>, StoreError> {
        self.read(|connection| listing::newest(connection, before, limit))
    }

    fn next_due(&self, target: &str) -> Result<Option<Timestamp>, StoreError> {
        self.read(|connection| listing::next_due(connection, target))
    }

    fn delivery_page(
        &self,
        status: DeliveryStatus,
        target: Option<&str>,
        after: Option<PageCursor>,
        limits: PageLimits,
    ) -> Result<DeliveryPage, StoreError> {
        let mut filter = DeliveryFilter::of(status);
        filter.target = target.map(str::to_owned);
        self.filtered_page(&filter, false, after, limits)
    }

    fn filtered_page(
        &self,
        filter: &DeliveryFilter,
        newest_first: bool,
        after: Option<PageCursor>,
        limits: PageLimits,
    ) -> Result<DeliveryPage, StoreError> {
        self.read(|connection| pages::page(connection, filter, newest_first, after, limits))
    }

    fn count_deliveries(&self, filter: &DeliveryFilter, at_most: u64) -> Result<u64, StoreError> {
        self.read(|connection| filtered::count(connection, filter, at_most))
    }

    fn delivery(
        &self,
        id: DeliveryId,
    ) -> Result<Option<(DeliveryRecord, Vec<Attempt>)>, StoreError> {
        self.read(|connection| {
            let record = match pages::get(connection, id)? {
                Some(Ok(record)) => record,
                Some(Err(damaged)) => return Err(StoreError::Failed(damaged.to_string())),
                None => return Ok(None),
            };
            Ok(Some((record, attempts::of_delivery(connection, id)?)))
        })
    }

    fn deliveries_of(&self, seq: i64, limits: PageLimits) -> Result<EventDeliveries, StoreError> {
        self.read(|connection| pages::of_event(connection, seq, limits))
    }

    fn newest_dead_letters(&self, limit: usize) -> Result<Vec<DeliveryRecord>, StoreError> {
        self.read(|connection| listing::newest_dead_letters(connection, limit))
    }

    fn dead_letter_counts(&self) -> Result<Vec<(String, u64)>, StoreError> {
        self.read(listing::dead_letter_counts)
    }

    fn queue_depths(&self, now: Timestamp) -> Result<Vec<QueueDepth>, StoreError> {
        self.read(|connection| listing::queue_depths(connection, now))
    }

    fn newest_event(&self) -> Result<Option<Timestamp>, StoreError> {
        self.read(archive::newest)
    }

    fn rules_in_use(&self) -> Result<Vec<RuleUse>, StoreError> {
        self.read(listing::rules_in_use)
    }

    fn forget_rule(&self, rule: &str) -> Result<u64, StoreError> {
        self.forget_rule_in_steps(rule)
    }

    fn unattempted(&self, now: Timestamp) -> Result<Vec<(String, u64)>, StoreError> {
        self.read(|connection| listing::unattempted(connection, now))
    }

    fn set_pause(&self, target: &str, pause: Option<TargetPause>) -> Result<(), StoreError> {
        // On a full disk too: what it keeps from growing may be the cause.
        self.free_space(|| {
            let (target, pause) = (target.to_owned(), pause.clone());
            let job = move |connection: &_| targets::set_pause(connection, &target, pause.as_ref());
            self.writer.submit(job).wait()
        })?;
        self.notify(Note::Changed);
        Ok(())
    }

    fn paused_targets(&self) -> Result<Vec<(String, TargetPause)>, StoreError> {
        self.read(targets::paused)
    }

    fn walk(
        &self,
        selection: &Selection,
        visit: &mut dyn FnMut(Result<Archived, DamagedEvent>) -> bool,
    ) -> Result<(), StoreError> {
        // Each query is a read transaction of its own. One over the whole walk would keep SQLite
        // from checkpointing, and the write-ahead log would grow for as long as it lasts.
        // Positions start at 1.
        let mut walk = self.read(|connection| Walk::new(connection, selection, 0))?;
        loop {
            let page = self.read(|connection| walk.page(connection, PageLimits::WALK))?;
            for event in page.events {
                if !visit(event) {
                    return Ok(());
                }
            }
            if page.next.is_none() {
                return Ok(());
            }
        }
    }

    fn find_page(&self, id: &str, after: i64, limits: PageLimits) -> Result<EventPage, StoreError> {
        let selection = Selection {
            id: Some(id.to_owned()),
            ..Selection::default()
        };
        self.read(|connection| Walk::new(connection, &selection, after)?.page(connection, limits))
    }

    fn entry_page(
        &self,
        filter: &EventFilter,
        before: Option<i64>,
        limits: PageLimits,
    ) -> Result<EntryPage, StoreError> {
        self.read(|connection| entries::page(connection, filter, before, limits))
    }

    fn entry(&self, seq: i64) -> Result<Option<Result<Archived, DamagedEvent>>, StoreError> {
        self.read(|connection| {
            let found = archived_event::read_event(connection, seq)?;
            Ok(found.map(|(entry, _)| entry))
        })
    }

    fn check(&self, check: &mut StoreCheck) -> Result<(), StoreError> {
        self.read(|connection| check::step(connection, &*self.engine, check))
    }

    fn verify_archive(&self) -> Result<VerifyReport, StoreError> {
        let mut report = VerifyReport::default();
        // Also of what the walk does not read.
        match self.engine.check_structure() {
            Err(StoreError::Corrupt { reason, .. }) => report.structure = Some(reason),
            result => result?,
        }
        self.walk(&Selection::default(), &mut |event| {
            match event {
                Ok(event) => {
                    let is_event = event.entry == EntryKind::Event;
                    report.events += u64::from(is_event);
                    report.others += u64::from(!is_event);
                    report.bytes += event.event.bytes().len() as u64;
                }
                Err(damaged) => report.damaged.push(damaged),
            }
            true
        })?;
        Ok(report)
    }

    fn prune(&self, retention: &Retention, now: Timestamp) -> Result<Pruned, StoreError> {
        self.free_space(|| self.prune_in_steps(retention, now))?;
        self.engine.keep_reserve();
        Ok(self.take_pruned())
    }

    fn submit_probe(&self) -> Reply<()> {
        let engine = self.engine.clone();
        self.writer
            .submit(move |connection| engine.probe(connection))
    }

    fn used_bytes(&self) -> Result<u64, StoreError> {
        self.read(|connection| self.engine.used_bytes(connection))
    }

    fn log_bytes(&self) -> Result<u64, StoreError> {
        self.engine.log_bytes()
    }
}

impl<E: Engine> DatabaseStore<E> {
    /// Runs what an operator does with one delivery, on a full disk too: dropping dead letters is
    /// how it gets space.
    fn change(
        &self,
        job: impl Fn(&Connection) -> Result<bool, StoreError> + Clone + Send + 'static,
    ) -> Result<bool, StoreError> {
        self.free_space(|| self.writer.submit(job.clone()).wait())
    }
}

/// What events are that arrive together, as far as that can be known before the first one is stored.
/// Nothing of a file, which answers at once.
fn known_arrivals(
    connection: &Connection,
    events: &[(Incoming, EvaluateInTransaction)],
    now: Timestamp,
    window: i64,
) -> Result<Vec<Option<Arrival>>, StoreError> {
    if events.len() < 2 || !connection.is_shared() {
        return Ok(Vec::new());
    }
    let events: Vec<_> = events.iter().map(|(incoming, _)| incoming).collect();
    copies::find_together(connection, &events, now, window)
}
