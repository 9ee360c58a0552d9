//! `inhibits`: which deliveries of other rules are withheld while a rule has an open incident.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use reflexarc_diagnostic::toml::{EmbeddedText, TableReader};
use reflexarc_diagnostic::{Code, Diagnostic, FileDiagnostics, Span};
use reflexarc_event::{Event, Json};

use crate::RuleSet;
use crate::event_key::EventKey;
use crate::rule::Rule;
use crate::rule_file::RuleReader;
use crate::window_keys::read_by;

/// Which rules are inhibited while the rule that has this has an open incident.
///
/// ```
/// use reflexarc::RuleSet;
///
/// let rules = RuleSet::compile([("zone-down.toml", r#"
///     when = 'name == "Instance:ZoneFailure"'
///     by = "content.zoneId"
///     not_followed_by = { when = 'name == "Instance:ZoneRecovered"', within = "1m" }
///     inhibits = { labels = { tier = "eni" }, by = "content.zoneId", max_age = "2h" }
///     notify = ["network-team"]
/// "#)])?;
/// let inhibition = rules.get("zone-down").and_then(|rule| rule.inhibits()).ok_or("none")?;
/// let labels = [("tier".to_owned(), "eni".to_owned())].into();
/// assert!(inhibition.inhibits("stuck", &labels));
/// assert!(!inhibition.inhibits("stuck", &Default::default()));
/// // A rule never inhibits itself.
/// assert!(!inhibition.inhibits("zone-down", &labels));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inhibition {
    /// The rule that has it.
    rule: String,
    labels: BTreeMap<String, String>,
    rules: Vec<EmbeddedText>,
    by: EventKey,
    max_age: SignedDuration,
    labels_span: Span,
}

/// `max_age` of a rule that does not set it.
const MAX_AGE: SignedDuration = SignedDuration::from_hours(24);
/// The longest `max_age`: a match is forgotten after 30 days.
const MOST_AGE: SignedDuration = SignedDuration::from_hours(30 * 24);

impl Inhibition {
    /// Whether deliveries of a rule with this name and these labels are withheld: it is among
    /// `rules`, or has all of `labels`.
    pub fn inhibits(&self, rule: &str, labels: &BTreeMap<String, String>) -> bool {
        rule != self.rule
            && (self.rules.iter().any(|named| named.text() == rule) || self.has_labels(labels))
    }

    /// The values of the event at the paths of `by`, which the event of the incident and the one
    /// of the delivery have in common. `None` if one is missing: then nothing is inhibited. An
    /// empty array without `by`.
    pub fn key_of(&self, event: &Event) -> Option<Json> {
        self.by.of(event).ok()
    }

    /// Whether it has `by`; without it, the events need have nothing in common.
    pub fn has_by(&self) -> bool {
        !self.by.paths().is_empty()
    }

    /// For how long a delivery is withheld at most.
    pub fn max_age(&self) -> SignedDuration {
        self.max_age
    }

    fn has_labels(&self, labels: &BTreeMap<String, String>) -> bool {
        let has = |(name, value)| labels.get(name) == Some(value);
        !self.labels.is_empty() && self.labels.iter().all(has)
    }

    /// Reads `inhibits` of the rule with this name. `None` without it, or after a fault, which was
    /// reported.
    pub(crate) fn read(reader: &RuleReader<'_>) -> Option<Self> {
        let table = reader.root.table("inhibits")?;
        let (labels, labels_span) = match table.table("labels") {
            Some(labels) => (read_labels(&labels), table.span_of("labels")),
            None => (BTreeMap::new(), Span::default()),
        };
        let rules = table.strings("rules").unwrap_or_default();
        let by = read_by(&table, "by", reader.lookups, reader.limits);
        let max_age = table.duration("max_age");
        if labels.is_empty() && rules.is_empty() {
            table.missing_one_of(
                &["rules", "labels"],
                "say what is inhibited: rules = [\"stuck\"], or labels = { tier = \"eni\" }",
            );
        }
        if by
            .as_ref()
            .is_some_and(|by| by.row_paths().next().is_some())
        {
            table.fault(
                "by",
                Code::RULE_VALUE,
                "`by` of `inhibits` reads a lookup",
                "name a field of the event: other rules do not have the lookup",
            );
        }
        if max_age.is_some_and(|age| age <= SignedDuration::ZERO || age > MOST_AGE) {
            table.fault(
                "max_age",
                Code::RULE_VALUE,
                "`max_age` of `inhibits` must be longer than 0 s and at most 30 days",
                "for example max_age = \"4h\"",
            );
        }
        reader.misplaced.allow(&table);
        table.finish();
        Some(Self {
            rule: String::new(),
            labels,
            rules,
            by: by.unwrap_or_default(),
            max_age: max_age.unwrap_or(MAX_AGE),
            labels_span,
        })
    }

    /// As that of the rule with this name.
    pub(crate) fn of_rule(self, rule: &str) -> Self {
        Self {
            rule: rule.to_owned(),
            ..self
        }
    }
}

/// Warnings about what is inhibited and does not exist among the rules.
pub(crate) fn warnings(rules: &RuleSet) -> Vec<FileDiagnostics> {
    let mut files = Vec::new();
    for rule in rules.rules() {
        let Some(inhibition) = rule.inhibits() else {
            continue;
        };
        let mut diagnostics = Vec::new();
        let mut add = |span: Span, message: String, help: &str| {
            let warning = Diagnostic::warning(Code::INHIBITS_NOTHING, span, message);
            diagnostics.push(warning.with_help(help));
        };
        for named in &inhibition.rules {
            let help = "correct the name: it is that of the rule's file, without `.toml`";
            if named.text() == rule.name() {
                let message = "a rule does not inhibit itself".to_owned();
                add(named.span(), message, "remove the name");
            } else if rules.get(named.text()).is_none() {
                add(
                    named.span(),
                    format!("unknown rule `{}`", named.text()),
                    help,
                );
            }
        }
        let has_labels =
            |other: &Rule| other.name() != rule.name() && inhibition.has_labels(other.labels());
        if !inhibition.labels.is_empty() && !rules.rules().any(has_labels) {
            let message = "no other rule has these labels".to_owned();
            let help = "correct them, or add them to the rules that are meant";
            add(inhibition.labels_span.clone(), message, help);
        }
        rule.allowed.remove_from(&mut diagnostics);
        if !diagnostics.is_empty() {
            files.push(FileDiagnostics {
                name: rule.file().to_owned(),
                text: rule.text().to_owned(),
                diagnostics,
            });
        }
    }
    files
}

fn read_labels(table: &TableReader<'_>) -> BTreeMap<String, String> {
    let label = |(name, _): (String, Span)| table.string(&name).map(|value| (name, value));
    table.names().into_iter().filter_map(label).collect()
}
