//! Queries that never wait for the writer.

use std::sync::PoisonError;

use jiff::Timestamp;
use reflexarc_delivery::DeliveryId;
use rusqlite::Connection;

use super::{
    Archived, Attempt, DeliveryRecord, DeliveryStatus, Selection, Store, StoreError, VerifyReport,
    archive, micros, outbox, retention, schema,
};

/// Events in memory at one time while the archive is walked.
// Large enough that the cost of a query is spread over many events, small enough that `archive
// export` of millions of events needs little memory.
const PAGE: usize = 256;

impl Store {
    /// When the next pending delivery of `target` is due.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn next_due(&self, target: &str) -> Result<Option<Timestamp>, StoreError> {
        self.read(|connection| outbox::next_due(connection, target))
    }

    /// Deliveries of one status, the soonest due or the longest finished first.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn deliveries(
        &self,
        status: DeliveryStatus,
        target: Option<&str>,
        limit: usize,
    ) -> Result<Vec<DeliveryRecord>, StoreError> {
        self.read(|connection| outbox::list(connection, status, target, limit))
    }

    /// The newest dead letters, the newest first.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn newest_dead_letters(&self, limit: usize) -> Result<Vec<DeliveryRecord>, StoreError> {
        self.read(|connection| outbox::newest_dead_letters(connection, limit))
    }

    /// For each target with dead letters: how many.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn dead_letter_counts(&self) -> Result<Vec<(String, u64)>, StoreError> {
        self.read(outbox::dead_letter_counts)
    }

    /// One delivery with its attempts.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn delivery(
        &self,
        id: DeliveryId,
    ) -> Result<Option<(DeliveryRecord, Vec<Attempt>)>, StoreError> {
        self.read(|connection| {
            outbox::get(connection, id)?
                .map(|record| Ok((record, outbox::attempts(connection, id)?)))
                .transpose()
        })
    }

    /// The deliveries of the event at an archive position, each with its attempts.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn deliveries_of(
        &self,
        seq: i64,
    ) -> Result<Vec<(DeliveryRecord, Vec<Attempt>)>, StoreError> {
        self.read(|connection| {
            outbox::of_event(connection, seq)?
                .into_iter()
                .map(|record| {
                    let attempts = outbox::attempts(connection, record.delivery.id)?;
                    Ok((record, attempts))
                })
                .collect()
        })
    }

    /// Number of pending deliveries without an attempt in their current series.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn unattempted(&self) -> Result<i64, StoreError> {
        self.read(|connection| {
            let sql = "SELECT count(*) FROM delivery WHERE status = 0 AND attempt = 1";
            Ok(connection
                .prepare_cached(sql)?
                .query_row([], |row| row.get(0))?)
        })
    }

    /// When calls to `target` were started, after `since`.
    pub(crate) fn call_times(
        &self,
        target: &str,
        since: Timestamp,
    ) -> Result<Vec<Timestamp>, StoreError> {
        self.read(|connection| outbox::call_times(connection, target, since))
    }

    /// For each target with pending deliveries: how many, and when the oldest was created.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn queue_depths(&self) -> Result<Vec<(String, u64, Timestamp)>, StoreError> {
        self.read(outbox::queue_depths)
    }

    /// Calls `visit` for each selected event in order of acceptance, until it returns `false`. Only
    /// one page of events is in memory at a time.
    ///
    /// # Errors
    /// If the store cannot be read, or an event in it is damaged.
    pub fn walk(
        &self,
        selection: &Selection,
        mut visit: impl FnMut(Archived) -> bool,
    ) -> Result<(), StoreError> {
        self.walk_results(selection, |event| match event {
            Ok(event) => Ok(visit(event)),
            Err((seq, reason)) => Err(StoreError::Failed(format!(
                "event {seq} of the archive is damaged: {reason}"
            ))),
        })
    }

    /// The archived events with this id. There is more than one if several sources use it, or if it
    /// came again after the duplicate window.
    ///
    /// # Errors
    /// If the store cannot be read, or an event in it is damaged.
    pub fn find(&self, id: &str) -> Result<Vec<Archived>, StoreError> {
        let mut found = Vec::new();
        let selection = Selection {
            id: Some(id.to_owned()),
            ..Selection::default()
        };
        self.walk(&selection, |event| {
            found.push(event);
            // A bound, as ids of untrusted senders need not be unique.
            found.len() < PAGE
        })?;
        Ok(found)
    }

    /// Reads every archived event back: decompression with checksum, size, JSON.
    ///
    /// # Errors
    /// If the store cannot be read at all.
    pub fn verify_archive(&self) -> Result<VerifyReport, StoreError> {
        // First the structure of the file, as a page that cannot be read would end the walk early
        // and hide the damage behind it.
        schema::examine(&self.path, true)?;
        let mut report = VerifyReport::default();
        self.walk_results(&Selection::default(), |event| {
            match event {
                Ok(event) => {
                    report.events += 1;
                    report.bytes += event.event.bytes().len() as u64;
                }
                Err(damaged) => report.damaged.push(damaged),
            }
            Ok(true)
        })?;
        Ok(report)
    }

    /// Number of bytes of the file that are in use.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn used_bytes(&self) -> Result<u64, StoreError> {
        self.read(retention::used_bytes)
    }

    /// Every unexpired state entry: rule, key, value as JSON text.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn state(&self, now: Timestamp) -> Result<Vec<(String, String, String)>, StoreError> {
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

    /// A read-only connection for a caller that keeps it.
    pub(crate) fn reader(&self) -> Result<Connection, StoreError> {
        schema::open_reader(&self.path)
    }

    fn walk_results(
        &self,
        selection: &Selection,
        mut visit: impl FnMut(archive::ReadResult) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        // Each page is a read transaction of its own. One over the whole walk would keep SQLite
        // from checkpointing, and the write-ahead log would grow for as long as it lasts.
        // `seq` starts at 1.
        let mut after = 0;
        loop {
            let page = self.read(|connection| archive::page(connection, selection, after, PAGE))?;
            let last = page.len() < PAGE;
            for event in page {
                after = match &event {
                    Ok(event) => event.seq,
                    Err((seq, _)) => *seq,
                };
                if !visit(event)? {
                    return Ok(());
                }
            }
            if last {
                return Ok(());
            }
        }
    }

    /// Runs a query on a pooled connection.
    fn read<T>(
        &self,
        query: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let pool = || self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        let spare = pool().pop();
        let connection = spare.map_or_else(|| self.reader(), Ok)?;
        // A connection whose query failed is dropped, not returned: if the failure has to do with
        // the connection, the next caller gets a new one.
        let result = query(&connection)?;
        pool().push(connection);
        Ok(result)
    }
}
