//! Silences, for operators: checking a new one, and what it matches now.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use reflexarc::RuleSet;
use reflexarc_delivery::DeliveryId;
use reflexarc_event::{Event, Json};
use reflexarc_pattern::Pattern;
use reflexarc_pattern::explain::{Part, Test, explain};

use crate::silences::{document, parse_pattern};
use crate::store::{
    DeliveryRecord, DeliveryStatus, NewSilence, PageCursor, PageLimits, Silence, SilenceEnd, Store,
    StoreError, WithheldBy, WithheldPeriod,
};

/// Bounds of silences.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SilenceLimits {
    /// Silences that are not over; 1,000.
    pub active: usize,
    /// Bytes of a pattern; 4,096.
    pub pattern_bytes: usize,
    /// Bytes of the owner and of the reason; 500 each.
    pub text_bytes: usize,
    /// From the beginning to the end of a silence; 366 days.
    pub span: SignedDuration,
    /// Deliveries that a preview compares; 10,000.
    pub compared: usize,
    /// Deliveries that a preview explains to find the nearest; 200.
    pub explained: usize,
}

impl SilenceLimits {
    /// The defaults.
    pub const DEFAULT: Self = Self {
        active: 1_000,
        pattern_bytes: 4_096,
        text_bytes: 500,
        span: SignedDuration::from_hours(366 * 24),
        compared: 10_000,
        explained: 200,
    };
}

impl Default for SilenceLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What a pattern matches now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SilencePreview {
    /// Pending deliveries.
    pub pending: u64,
    /// Deliveries that other silences or inhibitions withhold.
    pub withheld: u64,
    /// Other deliveries that were created in the last 24 hours.
    pub recent: u64,
    /// How many deliveries were compared.
    pub compared: u64,
    /// Whether these were all that there are of the three kinds.
    pub is_complete: bool,
    /// The first of them, each as `{"delivery", "status", "rule", "target", "event", "created"}`.
    pub examples: Vec<Json>,
    /// If nothing matches: the delivery that fails the fewest conditions, as in `examples`, and
    /// the explanation.
    pub nearest: Option<(Json, String)>,
}

/// Examples of a preview.
const EXAMPLES: usize = 5;
/// Deliveries in memory at one time.
const PAGE: usize = 200;
/// How far a preview looks back.
const RECENT: SignedDuration = SignedDuration::from_hours(24);

impl SilencePreview {
    /// Whether the pattern matches no delivery.
    pub fn is_empty(&self) -> bool {
        self.pending + self.withheld + self.recent == 0
    }

    /// `{"pending", "withheld", "recent", "compared", "complete", "examples", "nearest"}`.
    pub fn to_json(&self) -> Json {
        let nearest = self.nearest.as_ref().map(|(delivery, text)| {
            Json::object([
                ("delivery", delivery.clone()),
                ("explanation", text.as_str().into()),
            ])
        });
        Json::object([
            ("pending", Json::count(self.pending)),
            ("withheld", Json::count(self.withheld)),
            ("recent", Json::count(self.recent)),
            ("compared", Json::count(self.compared)),
            ("complete", self.is_complete.into()),
            ("examples", Json::Array(self.examples.clone())),
            ("nearest", nearest.unwrap_or(Json::Null)),
        ])
    }
}

/// Checks a silence before it is added.
///
/// # Errors
/// What is wrong with it, and how to fix it.
pub fn check_silence(
    silence: &NewSilence,
    now: Timestamp,
    limits: &SilenceLimits,
) -> Result<(), String> {
    let NewSilence {
        pattern,
        from,
        until,
        owner,
        reason,
        ..
    } = silence;
    check_pattern(pattern, limits)?;
    for (name, text) in [("owner", owner), ("reason", reason)] {
        if text.trim().is_empty() {
            return Err(format!(
                "missing `{name}`: those who miss an alert will look for it"
            ));
        }
        if text.len() > limits.text_bytes {
            return Err(format!(
                "`{name}` is longer than {} bytes",
                limits.text_bytes
            ));
        }
    }
    if until <= from {
        return Err(format!("`until` ({until}) is not after `from` ({from})"));
    }
    if *until <= now {
        return Err(format!("`until` ({until}) has passed"));
    }
    if until.duration_since(*from) > limits.span {
        let days = limits.span.as_hours() / 24;
        return Err(format!(
            "a silence lasts {days} days at most; disable the rule if it is not needed any more"
        ));
    }
    Ok(())
}

/// Parses the pattern of a silence.
fn check_pattern(pattern: &str, limits: &SilenceLimits) -> Result<Pattern, String> {
    if pattern.trim().is_empty() {
        return Err("missing `pattern`, such as `rule == \"stuck\"`".to_owned());
    }
    if pattern.len() > limits.pattern_bytes {
        let most = limits.pattern_bytes;
        return Err(format!("`pattern` is longer than {most} bytes"));
    }
    parse_pattern(pattern).map_err(|error| format!("invalid `pattern`: {error}"))
}

/// What a pattern matches now: pending and withheld deliveries, and those of the last 24 hours, as
/// far as `limits` let it look. Calls, which silences never withhold, are left out.
///
/// # Errors
/// If the store cannot be read; the inner one if the pattern is invalid.
pub fn preview_silence(
    store: &dyn Store,
    rules: &RuleSet,
    pattern: &str,
    now: Timestamp,
    limits: &SilenceLimits,
) -> Result<Result<SilencePreview, String>, StoreError> {
    let pattern = match check_pattern(pattern, limits) {
        Ok(pattern) => pattern,
        Err(message) => return Ok(Err(message)),
    };
    let mut scan = Scan {
        store,
        rules,
        pattern: &pattern,
        since: now.saturating_sub(RECENT).unwrap_or(Timestamp::MIN),
        limits,
        preview: SilencePreview::default(),
        fewest: usize::MAX,
        explained: 0,
        seen: BTreeSet::new(),
    };
    scan.preview.is_complete = scan.run()?;
    let mut preview = scan.preview;
    if !preview.is_empty() {
        preview.nearest = None;
    }
    Ok(Ok(preview))
}

/// A look at the deliveries of a store.
struct Scan<'a> {
    store: &'a dyn Store,
    rules: &'a RuleSet,
    pattern: &'a Pattern,
    /// Other deliveries than pending and withheld ones count from here on.
    since: Timestamp,
    limits: &'a SilenceLimits,
    preview: SilencePreview,
    /// Conditions that the nearest delivery fails.
    fewest: usize,
    explained: usize,
    seen: BTreeSet<DeliveryId>,
}

impl Scan<'_> {
    /// Returns whether it has seen all.
    fn run(&mut self) -> Result<bool, StoreError> {
        // What waits, which may be older.
        for status in [DeliveryStatus::Pending, DeliveryStatus::Withheld] {
            let mut after: Option<PageCursor> = None;
            loop {
                let limits = PageLimits {
                    rows: PAGE,
                    bytes: 1 << 20,
                };
                let page = self.store.delivery_page(status, None, after, limits)?;
                for record in &page.deliveries {
                    if self.is_full() {
                        return Ok(false);
                    }
                    self.compare(record)?;
                }
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        let mut before = None;
        loop {
            let records = self.store.newest_deliveries(before, PAGE)?;
            let Some(last) = records.last() else {
                return Ok(true);
            };
            before = Some(last.delivery.id);
            // Not beyond the first page without a recent one: those of replays of old events.
            if records
                .iter()
                .all(|record| record.delivery.created < self.since)
            {
                return Ok(true);
            }
            for record in &records {
                if self.is_full() {
                    return Ok(false);
                }
                if record.delivery.created >= self.since {
                    self.compare(record)?;
                }
            }
        }
    }

    fn is_full(&self) -> bool {
        self.seen.len() >= self.limits.compared
    }

    fn compare(&mut self, record: &DeliveryRecord) -> Result<(), StoreError> {
        let delivery = &record.delivery;
        if delivery.action.is_call() || !self.seen.insert(delivery.id) {
            return Ok(());
        }
        self.preview.compared += 1;
        let event = self.store.candidate_event(record)?;
        let Some(document) = document(self.rules, delivery, event.as_ref()) else {
            return Ok(());
        };
        if !self.pattern.matches(&document) {
            self.explain(record, &document);
            return Ok(());
        }
        match record.status {
            DeliveryStatus::Pending => self.preview.pending += 1,
            DeliveryStatus::Withheld => self.preview.withheld += 1,
            _ => self.preview.recent += 1,
        }
        if self.preview.examples.len() < EXAMPLES {
            self.preview.examples.push(example(record));
        }
        Ok(())
    }

    fn explain(&mut self, record: &DeliveryRecord, document: &Event) {
        if self.explained >= self.limits.explained {
            return;
        }
        self.explained += 1;
        let explanation = explain(self.pattern.node(), document.tree());
        let failed = failed_conditions(&explanation.root);
        if failed < self.fewest {
            self.fewest = failed;
            let text = explanation.render(false).trim_end().to_owned();
            self.preview.nearest = Some((example(record), text));
        }
    }
}

/// How many conditions keep a part from matching.
fn failed_conditions(part: &Part) -> usize {
    if part.matched {
        return 0;
    }
    match &part.test {
        Test::All { parts, .. } => parts.iter().map(failed_conditions).sum(),
        // One branch is enough.
        Test::Any { parts } => parts.iter().map(failed_conditions).min().unwrap_or(1),
        Test::Not { .. } | Test::Field(_) => 1,
    }
}

fn example(record: &DeliveryRecord) -> Json {
    let delivery = &record.delivery;
    Json::object([
        ("delivery", delivery.id.to_string().into()),
        ("status", record.status.as_str().into()),
        ("rule", delivery.rule.as_str().into()),
        ("target", delivery.target.as_str().into()),
        ("event", delivery.event.id.as_str().into()),
        ("created", delivery.created.to_string().into()),
    ])
}

/// `{"id", "status", "pattern", "from", "until", "owner", "reason", "drop", "created", "withheld",
/// "dropped", "open"}`, and `ended`, `ended_by` and `ended_drop` of one that was ended before.
///
/// `status` is `scheduled`, `active`, `expired` or `ended`.
pub fn silence_to_json(silence: &Silence, now: Timestamp) -> Json {
    let settings = &silence.settings;
    let status = if silence.ended.is_some() {
        "ended"
    } else if settings.until <= now {
        "expired"
    } else if settings.from > now {
        "scheduled"
    } else {
        "active"
    };
    let mut json = Json::object([
        ("id", silence.id.into()),
        ("status", status.into()),
        ("pattern", settings.pattern.as_str().into()),
        ("from", settings.from.to_string().into()),
        ("until", settings.until.to_string().into()),
        ("owner", settings.owner.as_str().into()),
        ("reason", settings.reason.as_str().into()),
        ("drop", settings.drops.into()),
        ("created", silence.created.to_string().into()),
        ("withheld", Json::count(silence.withheld)),
        ("dropped", Json::count(silence.dropped)),
        ("open", Json::count(silence.open)),
    ]);
    if let (Json::Object(members), Some(SilenceEnd { at, by, drops })) = (&mut json, &silence.ended)
    {
        members.push(("ended".to_owned(), at.to_string().into()));
        members.push(("ended_by".to_owned(), by.as_str().into()));
        members.push(("ended_drop".to_owned(), (*drops).into()));
    }
    json
}

/// The times in which a delivery was withheld, each as `{"by", "since", "until", "ended"}` with a
/// sentence in `by`.
pub(super) fn withheld_to_json(
    store: &dyn Store,
    periods: &[WithheldPeriod],
) -> Result<Json, StoreError> {
    let mut list = Vec::new();
    for period in periods {
        let by = match period.by {
            WithheldBy::Silence(id) => match store.silence(id)? {
                Some(silence) => {
                    let NewSilence { owner, reason, .. } = &silence.settings;
                    format!("silence {id} ({owner}: {reason})")
                }
                None => format!("silence {id}"),
            },
            WithheldBy::Incident(id) => match store.incident(id)? {
                Some(incident) => format!("incident {id} of rule {}", incident.rule),
                None => format!("incident {id}"),
            },
            _ => "unknown".to_owned(),
        };
        let ended = period.ended.map(|at| at.to_string());
        list.push(Json::object([
            ("by", by.into()),
            ("since", period.since.to_string().into()),
            ("until", period.until.to_string().into()),
            ("ended", Json::optional(ended.as_deref())),
        ]));
    }
    Ok(Json::Array(list))
}
