//! Reading `count`, `followed_by`, `not_followed_by`, `absent_for` and `batch`.

use reflexarc_diagnostic::toml::{DeValue, TableReader};
use reflexarc_diagnostic::{Code, Diagnostic};

use super::durations::{MAX_SPAN, duration, required};
use super::{StepKeys, WindowKind, read_by};
use crate::event_key::EventKey;
use crate::rule_file::RuleReader;
use crate::window::{Absence, Batch, Count, Micros, Roles, Sequence, Shape, Silence, Span};

/// A window with the filters and paths that its table has.
pub(super) struct ShapeKeys {
    pub(super) kind: WindowKind,
    /// `None` after a fault, which was reported.
    pub(super) shape: Option<Shape>,
    pub(super) steps: Vec<StepKeys>,
    pub(super) distinct: Option<EventKey>,
}

/// The highest `at_least` of `count`: so many times are kept for each key.
const MAX_AT_LEAST: u64 = 10_000;
/// The highest `max` of `batch`, and the one of a rule that does not set it.
const MAX_BATCH: u64 = 10_000;
const DEFAULT_BATCH: u64 = 1_000;

/// Reads the window that the rule has under the key of `kind`.
pub(super) fn read(reader: &RuleReader<'_>, kind: WindowKind) -> ShapeKeys {
    let root = reader.root;
    let mut keys = ShapeKeys {
        kind,
        shape: None,
        steps: Vec::new(),
        distinct: None,
    };
    match kind {
        WindowKind::Count => {
            if let Some(table) = root.table("count") {
                keys.distinct = read_distinct(reader, &table);
                keys.shape = read_count(&table).map(Shape::Count);
                report_quiet(reader, &table);
                reader.misplaced.allow(&table);
                table.finish();
            }
        }
        WindowKind::FollowedBy => {
            let mut spans = Vec::new();
            for table in step_tables(root) {
                let help = "for example within = \"2m\"";
                spans.push(required(&table, "within", help));
                keys.steps.push(read_step(reader, &table));
                reader.misplaced.allow(&table);
                table.finish();
            }
            let within: Option<Vec<Micros>> = spans.into_iter().collect();
            let within = within.filter(|within| (1..=Roles::MAX_STEPS).contains(&within.len()));
            keys.shape = within.map(|within| Shape::Sequence(Sequence { within }));
        }
        WindowKind::NotFollowedBy => {
            if let Some(table) = root.table("not_followed_by") {
                let within = required(&table, "within", "for example within = \"30m\"");
                let restart = table.boolean("restart").unwrap_or_default();
                keys.shape = within.map(|within| Shape::Absence(Absence { within, restart }));
                keys.steps.push(read_step(reader, &table));
                reader.misplaced.allow(&table);
                table.finish();
            }
        }
        WindowKind::AbsentFor => {
            let silence = duration(root, "absent_for", MAX_SPAN);
            keys.shape = silence.map(|duration| Shape::Silence(Silence { duration }));
        }
        WindowKind::Batch => {
            if let Some(table) = root.table("batch") {
                keys.shape = read_batch(&table).map(Shape::Batch);
                reader.misplaced.allow(&table);
                table.finish();
            }
        }
    }
    keys
}

fn read_count(table: &TableReader<'_>) -> Option<Count> {
    if !table.has("at_least") {
        table.missing("at_least", "for example at_least = 6");
    }
    let at_least = table.integer("at_least", 1..=MAX_AT_LEAST);
    let within = duration(table, "within", MAX_SPAN);
    let every = duration(table, "every", MAX_SPAN);
    let quiet = duration(table, "quiet", MAX_SPAN);
    match (table.has("within"), table.has("every")) {
        (true, true) => {
            table.fault(
                "every",
                Code::RULE_CONFLICT,
                "`count` has `within` or `every`, not both",
                "remove `every` to count in any time as long as `within`, or `within` to count \
                 from one hour or day to the next",
            );
            return None;
        }
        (false, false) => {
            let help = "write within = \"10m\" for any ten minutes, or every = \"1h\" for each \
                        full hour";
            table.missing_one_of(&["within", "every"], help);
            return None;
        }
        _ => {}
    }
    Some(Count {
        at_least: at_least?,
        span: within.map(Span::Within).or(every.map(Span::Every))?,
        quiet,
    })
}

/// `distinct` of `count`: one path.
fn read_distinct(reader: &RuleReader<'_>, table: &TableReader<'_>) -> Option<EventKey> {
    // An array of no paths would make all events one value.
    table.nonempty_strings("distinct")?;
    read_by(table, "distinct", reader.lookups, reader.limits)
}

/// `quiet` and one of `resolved` and `inhibits` need each other.
fn report_quiet(reader: &RuleReader<'_>, count: &TableReader<'_>) {
    let ends: Vec<&str> = ["resolved", "inhibits"]
        .into_iter()
        .filter(|key| reader.has(key))
        .collect();
    if count.has("quiet") && ends.is_empty() {
        let warning = Diagnostic::warning(
            Code::KEY_WITHOUT_EFFECT,
            count.span_of("quiet"),
            "`quiet` has no effect without `resolved`",
        );
        let help = "add what happens after that time: resolved = '…', or remove `quiet`";
        count.report(warning.with_help(help));
    }
    if !count.has("quiet")
        && let [key, ..] = ends[..]
    {
        reader.root.fault(
            key,
            Code::RULE_CONFLICT,
            format!("`{key}` of a rule with `count` needs `quiet`"),
            "say after how long without an event it is resolved: \
             count = { …, quiet = \"30m\" }",
        );
    }
}

/// The tables of `followed_by`: one, or one for each step.
fn step_tables<'a>(root: &TableReader<'a>) -> Vec<TableReader<'a>> {
    if root.is_recording() {
        return root.table_or_tables("followed_by");
    }
    let Some(value) = root.lookup("followed_by") else {
        return Vec::new();
    };
    let tables = match value.get_ref() {
        DeValue::Table(_) => return root.table("followed_by").into_iter().collect(),
        DeValue::Array(elements) if elements.is_empty() => {
            let help = "add a step: followed_by = { when = '…', within = \"2m\" }";
            root.fault(
                "followed_by",
                Code::RULE_VALUE,
                "`followed_by` is empty",
                help,
            );
            Vec::new()
        }
        DeValue::Array(_) => root.tables("followed_by"),
        _ => {
            let message = "`followed_by`: expected a table, or an array of tables";
            let help = "write followed_by = { when = '…', within = \"2m\" }";
            root.fault("followed_by", Code::RULE_TYPE, message, help);
            Vec::new()
        }
    };
    let max = Roles::MAX_STEPS;
    if tables.len() > max {
        let message = format!(
            "`followed_by` has {} steps, more than the {max} allowed",
            tables.len()
        );
        root.fault(
            "followed_by",
            Code::RULE_LIMIT,
            message,
            "remove some of them",
        );
    }
    tables
}

fn read_step(reader: &RuleReader<'_>, table: &TableReader<'_>) -> StepKeys {
    if !table.has("when") {
        let help = "add the filter of the event that is waited for: when = '…'";
        table.missing("when", help);
    }
    StepKeys {
        when: table.embedded("when"),
        by: read_step_by(reader, table),
    }
}

/// `by` of a step: where its events have the values that the rule's `by` names in others.
fn read_step_by(reader: &RuleReader<'_>, table: &TableReader<'_>) -> Option<EventKey> {
    let own = read_by(table, "by", reader.lookups, reader.limits)?;
    let Some(by) = reader.by else {
        // A `by` that could not be read was reported.
        if !reader.has("by") {
            table.fault(
                "by",
                Code::RULE_CONFLICT,
                "`by` of a step needs `by` of the rule",
                "add to the top of the rule which value of the events that `when` matches is \
                 compared, for example by = \"content.eniId\"",
            );
        }
        return None;
    };
    let (count, expected) = (own.paths().len(), by.paths().len());
    if count != expected {
        // The values are compared one by one, so keys of other lengths are never equal.
        table.fault(
            "by",
            Code::RULE_VALUE,
            format!("`by` of the step has {count} paths, that of the rule {expected}"),
            "name a path for each path of the rule's `by`, in the same order",
        );
        return None;
    }
    Some(own)
}

fn read_batch(table: &TableReader<'_>) -> Option<Batch> {
    let within = required(table, "within", "for example within = \"5m\"");
    let idle = duration(table, "idle", MAX_SPAN);
    let max = table.integer("max", 1..=MAX_BATCH).unwrap_or(DEFAULT_BATCH);
    if within
        .zip(idle)
        .is_some_and(|(within, idle)| idle >= within)
    {
        let warning = Diagnostic::warning(
            Code::KEY_WITHOUT_EFFECT,
            table.span_of("idle"),
            "`idle` is as long as `within`, by which the batch ends anyway",
        );
        table.report(warning.with_help("write a shorter time, or remove `idle`"));
    }
    Some(Batch {
        within: within?,
        idle,
        max,
    })
}
