//! Entries of the archive for people, the newest first.
//!
//! A filter may select one entry of a million, so a page ends when it has looked at so many: it says
//! until when it has searched. The entries are looked at by what a filter has:
//!
//! | filter | entries are looked at | by |
//! |---|---|---|
//! | `id` | those about this id, the last position first | `archive_by_id` |
//! | `from`, `until` | those of this time, the latest first | `archive_by_time` |
//! | else | all, the last position first | position |
//!
//! If one of these indexes is damaged, all entries are looked at by their positions.

use jiff::Timestamp;
use reflexarc_delivery::EventRef;
use reflexarc_event::Json;

use super::archived_event::EVALUATION_DEPTH;
use super::compression::unpack;
use super::damage::{is_local, is_of_row, out_of_order};
use super::{instant, micros};
use crate::database;
use crate::database::{Connection, Optional, Row, Value, ValueRef, params_from_iter};
use crate::{
    DamagedEvent, DeliveryStatus, EntryKind, EntryPage, EntrySummary, EventFilter,
    MAX_COUNTED_DELIVERIES, MAX_SUMMARY_EVALUATION, PageLimits, StoreError,
};

/// Entries that one page looks at.
// Reading one takes about a microsecond.
const LOOK: usize = 16_384;
/// Evaluations that one page searches for a rule.
// Unpacking one takes about five microseconds.
const LOOK_EVALUATIONS: usize = 2_048;
/// A page ends with the evaluation that makes those that were unpacked this large, in bytes.
const LOOK_BYTES: usize = 8 << 20;
/// Positions that are tried one by one behind a place that cannot be read, see `archive.rs`.
const PROBES: u32 = 64;

/// An evaluation that is larger than this, in bytes, is not searched for a rule: it is reported.
const MAX_SEARCHED_EVALUATION: usize = 16 << 20;

pub(super) const COLUMNS: &str =
    "seq, source, id, kind, resource, received, size, entry, evaluation";

/// What the entries are looked at by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Id,
    Time,
    Position,
}

/// The next selected entries.
pub(super) fn page(
    connection: &Connection,
    filter: &EventFilter,
    before: Option<i64>,
    limits: PageLimits,
) -> Result<EntryPage, StoreError> {
    let order = if filter.id.is_some() {
        Order::Id
    } else if filter.from.is_some() || filter.until.is_some() {
        Order::Time
    } else {
        Order::Position
    };
    let mut search = Search::new(filter, limits);
    let is_over = match search.run(connection, order, before) {
        Err(error) if is_local(&error) => {
            if order != Order::Position {
                tracing::warn!(%error, "an index of events is damaged; reading all by position");
                search = Search::new(filter, limits);
            }
            search.run_around_damage(connection, before)?
        }
        result => result?,
    };
    let Search { mut page, last, .. } = search;
    if !is_over && let Some((seq, received)) = last {
        (page.next, page.searched_until) = (Some(seq), Some(received));
    }
    for entry in &mut page.entries {
        entry.deliveries = deliveries(connection, entry.seq)?;
    }
    Ok(page)
}

/// A page that is being filled.
struct Search<'a> {
    filter: &'a EventFilter,
    limits: PageLimits,
    /// Of the name of the rule, as it is in an evaluation.
    rule: Option<String>,
    page: EntryPage,
    /// The size of what is in it.
    bytes: usize,
    /// How many entries were looked at.
    looked_at: usize,
    /// How many evaluations were unpacked, and their size.
    unpacked: (usize, usize),
    /// The last entry that was looked at.
    last: Option<(i64, Timestamp)>,
}

/// How an entry compares to a filter.
enum Selected {
    No,
    /// With its evaluation, if that was read.
    Yes(Option<Evaluated>),
    Damaged(String),
}

/// What a summary says of an evaluation.
#[derive(Default)]
struct Evaluated {
    rules: Vec<String>,
    failures: u64,
}

impl<'a> Search<'a> {
    fn new(filter: &'a EventFilter, limits: PageLimits) -> Self {
        let rule = filter.rule.as_ref();
        Self {
            filter,
            limits,
            rule: rule.map(|rule| Json::from(rule.as_str()).to_string()),
            page: EntryPage::default(),
            bytes: 0,
            looked_at: 0,
            unpacked: (0, 0),
            last: None,
        }
    }

    /// Looks at entries until the page is full or enough were looked at. Returns whether there are
    /// no others.
    fn run(
        &mut self,
        connection: &Connection,
        order: Order,
        before: Option<i64>,
    ) -> database::Result<bool> {
        let Some((sql, parameters)) = query(connection, self.filter, order, before)? else {
            return Ok(true);
        };
        let mut statement = connection.prepare_cached(&sql)?;
        let mut rows = statement.query(params_from_iter(parameters))?;
        while let Some(row) = rows.next()? {
            let seq: i64 = row.get(0)?;
            // As in a walk over the archive: no circle through the rows of a damaged page.
            let is_ordered = self.last.is_none_or(|(last, _)| seq < last);
            if order != Order::Time && !is_ordered {
                return Err(out_of_order());
            }
            if self.is_full() {
                return Ok(false);
            }
            self.look_at(seq, &row);
        }
        Ok(true)
    }

    /// As [`Search::run`] by position, around what cannot be read.
    fn run_around_damage(
        &mut self,
        connection: &Connection,
        before: Option<i64>,
    ) -> Result<bool, StoreError> {
        let mut before = self.last.map(|(seq, _)| seq).or(before);
        loop {
            match self.run(connection, Order::Position, before) {
                Ok(is_over) => return Ok(is_over),
                Err(error) if is_local(&error) => {
                    let last = self.last.map(|(seq, _)| seq).or(before);
                    let damaged = skip_down(connection, last, &error)?;
                    let (first, time) = (damaged.seq, self.last.map(|(_, time)| time));
                    self.page.damaged.push(damaged);
                    if first == i64::MIN {
                        return Ok(true);
                    }
                    before = Some(first);
                    self.last = Some((first, time.unwrap_or(Timestamp::MAX)));
                    self.looked_at += 1;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn is_full(&self) -> bool {
        let (evaluations, bytes) = self.unpacked;
        self.page.entries.len() + self.page.damaged.len() >= self.limits.rows
            || self.bytes > self.limits.bytes
            || self.looked_at >= LOOK
            || evaluations >= LOOK_EVALUATIONS
            || bytes >= LOOK_BYTES
    }

    /// Adds an entry to the page if it is selected.
    fn look_at(&mut self, seq: i64, row: &Row<'_>) {
        let received = row.get(5).map_or(Timestamp::MIN, instant);
        self.last = Some((seq, received));
        self.looked_at += 1;
        let evaluated = match self.selected(row) {
            Selected::No => return,
            Selected::Yes(evaluated) => evaluated,
            Selected::Damaged(reason) => {
                self.page.damaged.push(DamagedEvent::one(seq, reason));
                return;
            }
        };
        // Only for entries of the page.
        let evaluated = evaluated.map_or_else(|| self.evaluated(row), |read| Ok(Some(read)));
        match evaluated.and_then(|evaluated| summary(row, seq, received, evaluated)) {
            Ok(entry) => {
                let rules = entry.rules.iter().flatten();
                self.bytes += entry.event.source.len()
                    + entry.event.id.len()
                    + entry.name.len()
                    + entry.resource.len()
                    + rules.map(String::len).sum::<usize>();
                self.page.entries.push(entry);
            }
            Err(reason) => self.page.damaged.push(DamagedEvent::one(seq, reason)),
        }
    }

    fn selected(&mut self, row: &Row<'_>) -> Selected {
        let filter = self.filter;
        // A column that cannot be read may be of an entry that is looked for.
        let text = |index: usize, wanted: &Option<String>| {
            wanted.as_ref().is_none_or(|wanted| {
                let value = row.get_ref(index).map(ValueRef::as_bytes);
                !matches!(value, Ok(Some(value)) if value != wanted.as_bytes())
            })
        };
        let kind = |wanted: EntryKind| !row.get(7).is_ok_and(|entry: i64| entry != wanted.number());
        let received = row.get::<_, i64>(5);
        let is_in_time = received.is_err()
            || received.is_ok_and(|received| {
                filter.from.is_none_or(|from| received >= micros(from))
                    && filter.until.is_none_or(|until| received < micros(until))
            });
        if !(text(1, &filter.source)
            && text(2, &filter.id)
            && text(3, &filter.name)
            && filter.kind.is_none_or(kind)
            && is_in_time)
        {
            return Selected::No;
        }
        let Some(rule) = self.rule.clone() else {
            return Selected::Yes(None);
        };
        match self.evaluation(row, MAX_SEARCHED_EVALUATION) {
            Ok(None) => Selected::No,
            // Most evaluations are of other rules, and need not be parsed.
            Ok(Some(text)) if !contains(&text, rule.as_bytes()) => Selected::No,
            Ok(Some(text)) => match read_evaluation(text) {
                Ok(evaluated)
                    if filter
                        .rule
                        .iter()
                        .any(|rule| !evaluated.rules.contains(rule)) =>
                {
                    Selected::No
                }
                Ok(evaluated) => Selected::Yes(Some(evaluated)),
                Err(reason) => Selected::Damaged(reason),
            },
            Err(reason) => Selected::Damaged(reason),
        }
    }

    /// The evaluation of an entry of the page; `None` if it is too large for a summary.
    fn evaluated(&mut self, row: &Row<'_>) -> Result<Option<Evaluated>, String> {
        match self.evaluation(row, MAX_SUMMARY_EVALUATION) {
            Ok(Some(text)) => read_evaluation(text).map(Some),
            Ok(None) => Ok(Some(Evaluated::default())),
            // Too large or damaged; what opens the entry says which.
            Err(_) => Ok(None),
        }
    }

    /// The text of the evaluation, if there is one.
    fn evaluation(&mut self, row: &Row<'_>, limit: usize) -> Result<Option<Vec<u8>>, String> {
        let packed = row.get_ref(8).map_err(|error| error.to_string())?;
        let packed = packed.as_blob_or_null().map_err(str::to_owned)?;
        let Some(packed) = packed else {
            return Ok(None);
        };
        let text = unpack(packed, limit);
        self.unpacked.0 += 1;
        self.unpacked.1 += text.as_ref().map_or(limit, Vec::len);
        text.map(Some)
    }
}

/// The query for the entries in an order; `None` if there is none.
fn query(
    connection: &Connection,
    filter: &EventFilter,
    order: Order,
    before: Option<i64>,
) -> database::Result<Option<(String, Vec<Value>)>> {
    let text = match order {
        Order::Id => BY_ID,
        Order::Position => BY_POSITION,
        Order::Time => BY_TIME,
    };
    let sql = text.replace("$COLUMNS", COLUMNS);
    let before = before.unwrap_or(i64::MAX);
    let parameters = match order {
        Order::Id => {
            let id = filter.id.clone().unwrap_or_default();
            vec![Value::Integer(before), Value::Text(id)]
        }
        Order::Position => vec![Value::Integer(before)],
        Order::Time => {
            let until = filter.until.map_or(i64::MAX, micros);
            // The page before ended with this entry, or with one that has been removed since; then
            // with the one before that.
            let place = connection
                .prepare_cached(PLACE)?
                .query_row([before], |row| Ok((row.get(0)?, row.get(1)?)))
                .optional()?;
            let (time, seq) = match place {
                _ if before == i64::MAX => (until, i64::MIN),
                Some((time, seq)) if seq == before => (time, seq),
                // It is one of those that are to be listed.
                Some((time, seq)) => (time, i64::saturating_add(seq, 1)),
                None => return Ok(None),
            };
            let (time, seq) = (time, seq).min((until, i64::MIN));
            let from = filter.from.map_or(i64::MIN, micros);
            [time, seq, from].map(Value::Integer).into()
        }
    };
    Ok(Some((sql, parameters)))
}

/// The entries about an id.
pub(super) const BY_ID: &str = "SELECT $COLUMNS FROM archive INDEXED BY archive_by_id
    WHERE id = ?2 AND seq < ?1 ORDER BY seq DESC";
/// The entries before a position.
pub(super) const BY_POSITION: &str = "SELECT $COLUMNS FROM archive NOT INDEXED
    WHERE seq < ?1 ORDER BY seq DESC";
/// The entries of a time, before one of them.
pub(super) const BY_TIME: &str = "SELECT $COLUMNS FROM archive INDEXED BY archive_by_time
    WHERE (received, seq) < (?1, ?2) AND received >= ?3 ORDER BY received DESC, seq DESC";
/// When the entry at a position was accepted, or the one before it.
pub(super) const PLACE: &str = "SELECT received, seq FROM archive
    WHERE seq <= ?1 ORDER BY seq DESC LIMIT 1";

fn summary(
    row: &Row<'_>,
    seq: i64,
    received: Timestamp,
    evaluated: Option<Evaluated>,
) -> Result<EntrySummary, String> {
    let text = |index| {
        row.get(index)
            .map_err(|error: database::Error| error.to_string())
    };
    let number = |index| {
        row.get(index)
            .map_err(|error: database::Error| error.to_string())
    };
    let kind = EntryKind::from_number(number(7)?);
    let size: i64 = number(6)?;
    let failures = evaluated.as_ref().map_or(0, |evaluated| evaluated.failures);
    Ok(EntrySummary {
        seq,
        kind: kind.ok_or("its kind is unknown to this version")?,
        event: EventRef {
            source: text(1)?,
            id: text(2)?,
        },
        name: text(3)?,
        resource: text(4)?,
        received,
        size: size.unsigned_abs(),
        rules: evaluated.map(|evaluated| evaluated.rules),
        failures,
        deliveries: Vec::new(),
    })
}

/// The rules of an evaluation, each once, and how many have failed.
fn read_evaluation(text: Vec<u8>) -> Result<Evaluated, String> {
    let json = Json::parse_within(text, EVALUATION_DEPTH).map_err(|error| error.to_string())?;
    let list = |name| json.get(name).map_or(&[][..], Json::elements);
    let mut evaluated = Evaluated {
        rules: Vec::new(),
        failures: list("failures").len() as u64,
    };
    for effects in list("rules").iter().chain(list("failures")) {
        let rule = effects.get("rule").and_then(Json::as_str);
        if let Some(rule) = rule
            && !evaluated.rules.iter().any(|known| known == rule)
        {
            evaluated.rules.push(rule.to_owned());
        }
    }
    Ok(evaluated)
}

/// The numbers of the deliveries of an entry by status.
fn deliveries(connection: &Connection, seq: i64) -> Result<Vec<(DeliveryStatus, u64)>, StoreError> {
    let sql = "SELECT status, count(*) FROM
                   (SELECT status FROM delivery INDEXED BY delivery_by_event
                    WHERE seq = ?1 LIMIT ?2)
               GROUP BY status ORDER BY status";
    let mut statement = connection.prepare_cached(sql)?;
    let limit = i64::try_from(MAX_COUNTED_DELIVERIES).unwrap_or(i64::MAX);
    let counts = statement.query_map((seq, limit), |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
    })?;
    let counts = match counts.collect::<Result<Vec<_>, _>>() {
        Ok(counts) => counts,
        // The list of deliveries says what of them is damaged.
        Err(error) if is_local(&error) || is_of_row(&error) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let known = |(number, count): (i64, i64)| {
        let mut statuses = DeliveryStatus::ALL.into_iter();
        let status = statuses.find(|status| status.number() == number)?;
        Some((status, count.unsigned_abs()))
    };
    Ok(counts.into_iter().filter_map(known).collect())
}

/// The positions before `before` that cannot be read: as `skip` of `archive.rs`, downwards. The
/// first one is `i64::MIN` if none before it can be read.
fn skip_down(
    connection: &Connection,
    before: Option<i64>,
    error: &database::Error,
) -> Result<DamagedEvent, StoreError> {
    let mut statement = connection.prepare_cached(PLACE)?;
    let last = before.unwrap_or(i64::MAX).saturating_sub(1);
    let (mut at, mut stride, mut probes) = (last, 1_i64, 0_u32);
    let first = loop {
        probes += 1;
        if probes.is_multiple_of(PROBES) {
            stride = stride.saturating_mul(2);
        }
        at = at.saturating_sub(stride);
        // Positions start at 1.
        if at < 1 {
            break i64::MIN;
        }
        match statement
            .query_row([at], |row| row.get::<_, i64>(1))
            .optional()
        {
            Ok(None) => break i64::MIN,
            Ok(Some(seq)) if seq <= at => break seq.saturating_add(1),
            Ok(Some(_)) => {}
            Err(error) if is_local(&error) => {}
            Err(error) => return Err(error.into()),
        }
    };
    Ok(DamagedEvent {
        seq: first,
        last,
        reason: error.to_string(),
    })
}

/// Whether a text has another one within it.
fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
