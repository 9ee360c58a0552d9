//! What can be asked of the store without waiting for the writer.

use jiff::Timestamp;
use rusqlite::Connection;

use super::{
    Archived, Attempt, Entry, Selection, Status, Store, StoreError, Verdict, archive, outbox,
    schema,
};
use reflexarc_delivery::DeliveryId;

/// Events read at a time when many are walked through.
const PAGE: usize = 256;

impl Store {
    /// When the next delivery of `target` is due.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn next_due(&self, target: &str) -> Result<Option<Timestamp>, StoreError> {
        self.read(|connection| outbox::next_due(connection, target))
    }

    /// Deliveries of one status, oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn deliveries(
        &self,
        status: Status,
        target: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Entry>, StoreError> {
        self.read(|connection| outbox::list(connection, status, target, limit))
    }

    /// One delivery with its attempts.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn delivery(&self, id: DeliveryId) -> Result<Option<(Entry, Vec<Attempt>)>, StoreError> {
        self.read(|connection| {
            outbox::get(connection, id)?
                .map(|entry| Ok((entry, outbox::attempts(connection, id)?)))
                .transpose()
        })
    }

    /// The deliveries of one archived event, each with its attempts.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn deliveries_of(&self, seq: i64) -> Result<Vec<(Entry, Vec<Attempt>)>, StoreError> {
        self.read(|connection| {
            let entries = outbox::of_event(connection, seq)?;
            entries
                .into_iter()
                .map(|entry| {
                    let attempts = outbox::attempts(connection, entry.delivery.id)?;
                    Ok((entry, attempts))
                })
                .collect()
        })
    }

    /// How many deliveries in the outbox have not been tried in their present series.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn untried(&self) -> Result<i64, StoreError> {
        self.read(|connection| {
            let sql = "SELECT count(*) FROM delivery WHERE status = 0 AND attempt = 1";
            Ok(connection
                .prepare_cached(sql)?
                .query_row([], |row| row.get(0))?)
        })
    }

    /// When calls to `target` began, from `since` on.
    pub(crate) fn calls(
        &self,
        target: &str,
        since: Timestamp,
    ) -> Result<Vec<Timestamp>, StoreError> {
        self.read(|connection| outbox::calls(connection, target, since))
    }

    /// For each target with pending deliveries: how many, and when the oldest was created.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn depths(&self) -> Result<Vec<(String, u64, Timestamp)>, StoreError> {
        self.read(outbox::depths)
    }

    /// Walks through the archive in order of acceptance, calling `visit` for each selected event until it says `false`.
    /// Only a page of events is in memory at a time.
    ///
    /// # Errors
    /// When the store cannot be read, or an event in it is damaged.
    pub fn walk(
        &self,
        wanted: &Selection,
        mut visit: impl FnMut(Archived) -> bool,
    ) -> Result<(), StoreError> {
        self.each(wanted, |event| match event {
            Ok(event) => Ok(visit(event)),
            Err((seq, fault)) => Err(StoreError::Failed(format!(
                "event {seq} of the archive is damaged: {fault}"
            ))),
        })
    }

    /// The archived events with this id: more than one when several sources use it, or it came again after the window.
    ///
    /// # Errors
    /// When the store cannot be read, or an event in it is damaged.
    pub fn find(&self, id: &str) -> Result<Vec<Archived>, StoreError> {
        let mut found = Vec::new();
        let wanted = Selection {
            id: Some(id.to_owned()),
            ..Selection::default()
        };
        self.walk(&wanted, |event| {
            found.push(event);
            found.len() < PAGE
        })?;
        Ok(found)
    }

    /// Reads every archived event back: decompression with checksum, size, JSON.
    ///
    /// # Errors
    /// When the store cannot be read at all.
    pub fn verify_archive(&self) -> Result<Verdict, StoreError> {
        schema::examine(&self.path, true)?;
        let mut verdict = Verdict::default();
        self.each(&Selection::default(), |event| {
            match event {
                Ok(event) => {
                    verdict.events += 1;
                    verdict.bytes += event.event.bytes().len() as u64;
                }
                Err(damaged) => verdict.damaged.push(damaged),
            }
            Ok(true)
        })?;
        Ok(verdict)
    }

    /// How many bytes of the file are in use.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn used_bytes(&self) -> Result<u64, StoreError> {
        self.read(archive::used_bytes)
    }

    /// Every unexpired entry of the rules' state: rule, key, JSON text.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn state(&self, now: Timestamp) -> Result<Vec<(String, String, String)>, StoreError> {
        self.read(|connection| {
            let sql = "SELECT rule, key, value FROM state WHERE expires IS NULL OR expires > ?1 ORDER BY rule, key";
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map([super::micros(now)], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// A connection that only reads, for somebody who keeps it.
    pub(crate) fn reader(&self) -> Result<Connection, StoreError> {
        schema::open_reader(&self.path)
    }

    fn each(
        &self,
        wanted: &Selection,
        mut visit: impl FnMut(archive::Read) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        let mut after = 0;
        loop {
            let page = self.read(|connection| archive::page(connection, wanted, after, PAGE))?;
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

    fn read<T>(
        &self,
        ask: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let spare = self
            .readers
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .pop();
        let connection = spare.map_or_else(|| self.reader(), Ok)?;
        let answer = ask(&connection)?;
        self.readers
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .push(connection);
        Ok(answer)
    }
}
