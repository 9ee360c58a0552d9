//! The patterns of the active silences, compiled once.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use reflexarc::RuleSet;
use reflexarc_pattern::{Dialect, Matcher, Pattern, PatternError, Scratch};

use super::document::document;
use super::inhibitions::Inhibitions;
use crate::store::{
    ActiveSilence, ActiveWithholding, Candidate, WithheldBy, Withholding, WithholdingDecision,
};

/// Decides by the patterns of silences which deliveries are withheld.
pub(crate) struct SilencePatterns {
    rules: Arc<ArcSwap<RuleSet>>,
    compiled: Mutex<Compiled>,
    inhibitions: Inhibitions,
}

/// The patterns of some silences.
#[derive(Default)]
struct Compiled {
    /// The silences, by number. A number always has the same pattern.
    ids: Vec<i64>,
    /// The silences of the patterns of the matcher.
    of_patterns: Vec<i64>,
    /// `None` if they are too large together; then each is compared alone.
    matcher: Option<Matcher>,
    patterns: Vec<Pattern>,
    scratch: Scratch,
    matching: Vec<u32>,
}

/// Parses the pattern of a silence.
///
/// # Errors
/// If it is no pattern of the filter language.
pub(crate) fn parse_pattern(text: &str) -> Result<Pattern, PatternError> {
    Pattern::parse(text, Dialect::Reflexarc)
}

impl SilencePatterns {
    /// For silences of deliveries of these rules.
    pub(crate) fn new(rules: Arc<ArcSwap<RuleSet>>) -> Self {
        Self {
            rules,
            compiled: Mutex::default(),
            inhibitions: Inhibitions::default(),
        }
    }
}

impl Withholding for SilencePatterns {
    fn decide(
        &self,
        active: &ActiveWithholding,
        candidate: &Candidate<'_>,
        now: Timestamp,
    ) -> WithholdingDecision {
        let silenced = self.decide_by_silences(active, candidate);
        if silenced != WithholdingDecision::Deliver {
            return silenced;
        }
        self.inhibitions
            .decide(&self.rules.load(), active, candidate, now)
    }

    fn inhibiting_rules(&self) -> Vec<String> {
        let rules = self.rules.load();
        let inhibiting = rules.rules().filter(|rule| rule.inhibits().is_some());
        inhibiting.map(|rule| rule.name().to_owned()).collect()
    }
}

impl SilencePatterns {
    fn decide_by_silences(
        &self,
        active: &ActiveWithholding,
        candidate: &Candidate<'_>,
    ) -> WithholdingDecision {
        if active.silences.is_empty() {
            return WithholdingDecision::Deliver;
        }
        // What cannot be compared is sent: an alert too many is better than none.
        let rules = self.rules.load();
        let Some(document) = document(&rules, candidate.delivery, candidate.event) else {
            return WithholdingDecision::Deliver;
        };
        let compiled = self.compiled.lock();
        let mut compiled = compiled.unwrap_or_else(PoisonError::into_inner);
        compiled.update(&active.silences);
        let matching = compiled.matching(&document);
        let silences = active.silences.iter();
        let matching = silences.filter(|silence| matching.contains(&silence.id));
        // Of several, the one that ends last; of those, the one that was added first.
        let last = matching.max_by_key(|silence| (silence.until, -silence.id));
        last.map_or(WithholdingDecision::Deliver, |silence| {
            let by = WithheldBy::Silence(silence.id);
            if silence.drops {
                WithholdingDecision::Drop { by }
            } else {
                let until = silence.until;
                WithholdingDecision::Withhold { by, until }
            }
        })
    }
}

/// The pattern of a silence with its number.
fn parsed(silence: &ActiveSilence) -> Option<(i64, Pattern)> {
    match parse_pattern(&silence.pattern) {
        Ok(pattern) => Some((silence.id, pattern)),
        Err(error) => {
            // One that a later version has written.
            let (silence, error) = (silence.id, error.to_string());
            tracing::warn!(
                silence,
                error,
                "a silence withholds nothing: its pattern cannot be read; add it again"
            );
            None
        }
    }
}

impl Compiled {
    /// Compiles the patterns of these silences, unless they are those that are compiled.
    fn update(&mut self, silences: &[ActiveSilence]) {
        let ids = || silences.iter().map(|silence| silence.id);
        if ids().eq(self.ids.iter().copied()) {
            return;
        }
        self.ids = ids().collect();
        (self.of_patterns, self.patterns) = silences.iter().filter_map(parsed).unzip();
        self.matcher = Matcher::build(self.patterns.iter().map(Pattern::node)).ok();
    }

    /// The silences whose patterns match.
    fn matching(&mut self, document: &reflexarc_event::Event) -> Vec<i64> {
        let Some(matcher) = &self.matcher else {
            let all = self.of_patterns.iter().zip(&self.patterns);
            let matching = all.filter(|(_, pattern)| pattern.matches(document));
            return matching.map(|(id, _)| *id).collect();
        };
        self.matching.clear();
        matcher.matching(document, &mut self.scratch, &mut self.matching);
        let matching = self.matching.iter();
        matching
            .filter_map(|index| self.of_patterns.get(*index as usize).copied())
            .collect()
    }
}
