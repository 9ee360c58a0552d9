//! Filters of rules in the language of another service.

mod conjunction;
mod negation;
mod split;

use reflexarc_diagnostic::{Code, Diagnostic, Severity};
use reflexarc_event::{FieldShape, field_shape};
use reflexarc_pattern::{Dialect, Node, Path, Pattern};

use crate::Rule;
use crate::cloudevent_form::{spanned_to_cloudevents, to_cloudevents};
use split::{Splitter, Unsplittable};

/// The filters of a service that together select the events that a rule needs.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PortableFilter {
    /// The filters: for Alibaba Cloud, of CloudEvents.
    pub patterns: Vec<Pattern>,
    /// The same in the JSON of the service.
    pub texts: Vec<String>,
    /// Whether it is proven that no event matches two of them.
    pub is_disjoint: bool,
    /// Warnings: where the service would give another result. Spans are bytes of the rule's file.
    pub warnings: Vec<Diagnostic>,
}

impl Rule {
    /// The filter of the events that the rule needs, as one filter of the service of a dialect. For
    /// Alibaba Cloud EventBridge it is a filter of the CloudEvents that the service delivers, see
    /// [`cloudevent_form`](crate::cloudevent_form). Of a rule with a time window, the events of all
    /// its filters are selected.
    ///
    /// # Errors
    /// What the service does not support; spans are bytes of the rule's file.
    ///
    /// ```
    /// use reflexarc::{Dialect, RuleSet};
    ///
    /// let text = r#"when = 'product == "ECS" and content.result == "failed"'
    /// notify = ["team"]"#;
    /// let rules = RuleSet::compile([("failed.toml", text)])?;
    /// let rule = rules.get("failed").ok_or("no such rule")?;
    /// let exported = rule.export(Dialect::Alibaba).map_err(|found| found[0].message.clone())?;
    /// assert_eq!(
    ///     exported.texts,
    ///     [r#"{"source": ["acs.ecs"], "data": {"result": ["failed"]}}"#]
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn export(&self, dialect: Dialect) -> Result<PortableFilter, Vec<Diagnostic>> {
        let mut found = self.check(dialect);
        if found.iter().any(is_error) {
            return Err(found);
        }
        let exported = match self.pattern_for(dialect) {
            Some(pattern) => pattern.export(dialect).map(|text| (pattern, text)),
            // Reported by `check`.
            None => return Err(found),
        };
        match exported {
            Ok((pattern, text)) => Ok(PortableFilter {
                patterns: vec![pattern],
                texts: vec![text],
                is_disjoint: true,
                warnings: found,
            }),
            Err(error) => {
                // Each filter is valid there, only not all of them as one.
                let reason = error.diagnostics().iter().find(|found| is_error(found));
                let reason = reason.map_or("", |found| found.message.as_str());
                let message = format!("the filters of this rule cannot be one filter: {reason}");
                found.push(self.not_portable(message));
                Err(found)
            }
        }
    }

    /// As [`Rule::export`], as several filters where the service cannot have it as one: at most
    /// `max_parts`.
    ///
    /// # Errors
    /// What the service does not support in any filter, or that there would be too many.
    ///
    /// ```
    /// use reflexarc::{Dialect, RuleSet};
    ///
    /// let text = r#"when = 'content.result == "failed" or content.eniStatus == "CreateFailed"'
    /// notify = ["team"]"#;
    /// let rules = RuleSet::compile([("failed.toml", text)])?;
    /// let rule = rules.get("failed").ok_or("no such rule")?;
    /// let exported = rule.export_split(Dialect::Alibaba, 20);
    /// let exported = exported.map_err(|found| found[0].message.clone())?;
    /// assert_eq!((exported.texts.len(), exported.is_disjoint), (2, true));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn export_split(
        &self,
        dialect: Dialect,
        max_parts: usize,
    ) -> Result<PortableFilter, Vec<Diagnostic>> {
        let checked = match self.export(dialect) {
            Ok(exported) => return Ok(exported),
            Err(found) => found,
        };
        let Some(pattern) = self.pattern_for(dialect) else {
            return Err(checked);
        };
        let holds_one_value = |path: &Path| holds_one_value(path, dialect);
        let splitter = Splitter {
            max_parts,
            max_alternatives: match dialect {
                // As documented.
                Dialect::Alibaba => 5,
                _ => usize::MAX,
            },
            holds_one_value: &holds_one_value,
        };
        let parts = match splitter.split(pattern.node()) {
            Ok(parts) => parts,
            Err(Unsplittable::TooMany) => {
                let title = dialect_title(dialect);
                let message = format!(
                    "{title} would need more than {max_parts} rules for this filter; \
                     write several rules"
                );
                return Err(vec![self.not_portable(message)]);
            }
            Err(Unsplittable::MatchesNothing) => {
                let message = "no event matches this filter".to_owned();
                return Err(vec![self.not_portable(message)]);
            }
        };
        let (patterns, is_disjoint) = (parts.patterns, parts.is_disjoint);
        let mut errors: Vec<Diagnostic> = Vec::new();
        let mut texts = Vec::new();
        for pattern in &patterns {
            match pattern.export(dialect) {
                Ok(text) => texts.push(text),
                Err(error) => errors.extend(error.into_diagnostics().into_iter().filter(is_error)),
            }
        }
        if errors.is_empty() {
            let mut warnings = checked;
            warnings.retain(|found| !is_error(found));
            return Ok(PortableFilter {
                patterns,
                texts,
                is_disjoint,
                warnings,
            });
        }
        Err(self.located(errors, &checked))
    }

    /// The filter of the events that the rule needs, in the form of the events of a service; `None`
    /// if that has nothing for one of its conditions.
    fn pattern_for(&self, dialect: Dialect) -> Option<Pattern> {
        let needed = self.needed_events();
        match dialect {
            Dialect::Alibaba => to_cloudevents(needed.node()).ok().map(Pattern::from_node),
            _ => Some(needed),
        }
    }

    /// What the service does not support in any of the parts: as far as possible as it was found in
    /// the whole filter, where it has a span.
    fn located(&self, errors: Vec<Diagnostic>, checked: &[Diagnostic]) -> Vec<Diagnostic> {
        let mut located: Vec<Diagnostic> = Vec::new();
        for error in errors {
            let same = |found: &&Diagnostic| found.message == error.message;
            let mut same: Vec<Diagnostic> = checked.iter().filter(same).cloned().collect();
            if same.is_empty() {
                let help = error.help.clone();
                let mut found = self.not_portable(error.message);
                found.help = help;
                same.push(found);
            }
            for found in same {
                if !located.contains(&found) {
                    located.push(found);
                }
            }
        }
        located
    }

    fn not_portable(&self, message: String) -> Diagnostic {
        let span = self.filter_span(&(0..self.pattern().source().len()));
        Diagnostic::error(Code::NOT_PORTABLE, span, message)
    }
}

/// What a service does not support of a filter of native events, and where it would match others.
pub(crate) fn check_pattern(pattern: &Pattern, dialect: Dialect) -> Vec<Diagnostic> {
    if dialect != Dialect::Alibaba {
        return pattern.check(dialect);
    }
    let Some(spanned) = pattern.spanned() else {
        return Vec::new();
    };
    let mut unmapped = Vec::new();
    let tree = spanned_to_cloudevents(spanned.tree(), &mut unmapped);
    let mut found: Vec<Diagnostic> = tree
        .map(|tree| reflexarc_pattern::SpannedPattern::check_converted(&tree, dialect))
        .unwrap_or_default();
    found.extend(unmapped.into_iter().map(|(span, unmapped)| {
        let title = dialect_title(dialect);
        let message = format!("{title} has nothing to compare with `{}`", unmapped.path);
        Diagnostic::error(Code::NOT_PORTABLE, span, message).with_help(unmapped.reason)
    }));
    found.sort_by_key(|found| found.span.start);
    found
}

fn is_error(found: &Diagnostic) -> bool {
    found.severity == Severity::Error
}

fn dialect_title(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Aws => "AWS EventBridge",
        _ => "Alibaba Cloud EventBridge",
    }
}

/// Whether events are documented to have at most one value at a path of a filter for a service.
fn holds_one_value(path: &Path, dialect: Dialect) -> bool {
    let path = path.as_str();
    let native = match dialect {
        Dialect::Alibaba => match path {
            "type" | "source" | "subject" | "time" => return true,
            _ if path.starts_with("aliyun") => return true,
            _ => match path.strip_prefix("data.") {
                Some(rest) => format!("content.{rest}"),
                None => path.to_owned(),
            },
        },
        _ => path.to_owned(),
    };
    field_shape(&native) == Some(FieldShape::One)
}

/// The conditions that a node consists of, if it is a conjunction.
fn conjuncts(node: Node) -> Vec<Node> {
    match node {
        Node::All(parts) => parts,
        other => vec![other],
    }
}
