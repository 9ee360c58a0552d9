//! Inhibitions: the open incidents of rules with `inhibits` withhold deliveries of other rules.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use reflexarc::{Inhibition, RuleSet};
use reflexarc_event::Json;

use crate::store::{
    ActiveWithholding, Candidate, InhibitingIncident, WithheldBy, WithholdingDecision,
};

/// Decides by open incidents which deliveries are withheld.
#[derive(Default)]
pub(super) struct Inhibitions {
    /// The values of `by` in the opening event of each incident, with what they were read for: a
    /// reload may change it.
    keys: Mutex<BTreeMap<i64, (Inhibition, Option<Json>)>>,
}

/// Incidents whose values are kept; twice as many as a claim compares.
const MAX_KEYS: usize = 2_000;

impl Inhibitions {
    /// A delivery is withheld while an incident is open whose rule inhibits that of the delivery,
    /// and until `max_age` after the delivery was created at the latest.
    pub(super) fn decide(
        &self,
        rules: &RuleSet,
        active: &ActiveWithholding,
        candidate: &Candidate<'_>,
        now: Timestamp,
    ) -> WithholdingDecision {
        let delivery = candidate.delivery;
        let labels = rules.get(&delivery.rule).map(reflexarc::Rule::labels);
        let none = BTreeMap::new();
        let labels = labels.unwrap_or(&none);
        let mut last: Option<(Timestamp, i64)> = None;
        for incident in &active.incidents {
            let inhibition = rules.get(&incident.rule).and_then(|rule| rule.inhibits());
            let Some(inhibition) = inhibition else {
                continue;
            };
            if !inhibition.inhibits(&delivery.rule, labels) {
                continue;
            }
            let age = inhibition.max_age();
            // Not `queued_at`, which the release renews: it would be withheld again without end.
            let delay = delivery.action.after().unwrap_or_default();
            let since = delivery.created.saturating_add(delay);
            let since = since.unwrap_or(Timestamp::MAX);
            let until = since.saturating_add(age).unwrap_or(Timestamp::MAX);
            let is_later = last.is_none_or(|(latest, _)| until > latest);
            if until > now && is_later && self.agrees(inhibition, incident, candidate) {
                last = Some((until, incident.id));
            }
        }
        last.map_or(WithholdingDecision::Deliver, |(until, id)| {
            let by = WithheldBy::Incident(id);
            WithholdingDecision::Withhold { by, until }
        })
    }

    /// Whether the values of `by` are those of the incident.
    fn agrees(
        &self,
        inhibition: &Inhibition,
        incident: &InhibitingIncident,
        candidate: &Candidate<'_>,
    ) -> bool {
        if !inhibition.has_by() {
            return true;
        }
        let own = candidate
            .event
            .and_then(|event| inhibition.key_of(event.event()));
        let Some(own) = own else {
            return false;
        };
        let keys = self.keys.lock();
        let mut keys = keys.unwrap_or_else(PoisonError::into_inner);
        if keys.len() >= MAX_KEYS && !keys.contains_key(&incident.id) {
            keys.clear();
        }
        let read = || {
            let event = (candidate.read_event)(incident.event?)?;
            inhibition.key_of(event.event())
        };
        let known = keys.get(&incident.id);
        let is_known = known.is_some_and(|(known, _)| known == inhibition);
        if !is_known {
            keys.insert(incident.id, (inhibition.clone(), read()));
        }
        let key = keys.get(&incident.id).and_then(|(_, key)| key.as_ref());
        key == Some(&own)
    }
}
