//! What a conjunction is about: ECS events, other events, or unclear.

use reflexarc_pattern::Predicate;
use reflexarc_pattern::spanned::{Kind, SpannedField, SpannedNode};

use super::paths::{self, Lookup};
use super::{Comparisons, names, values};

// Example. `product == "Shop" and level == "warn"` is about the events of a shop, whose levels may
// be in small letters. `kind == "heartbeat" or level == "warn"` says nothing about the events of
// its second branch. `order.total > 5 and level == "warn"` is about other events, unless something
// in the conjunction belongs to ECS events only, such as `content.eniId`.

/// What the conditions that hold together say about the events that they match.
#[derive(Debug, Clone, Default)]
pub(super) struct Subject {
    /// The name or product is that of other events.
    is_custom: bool,
    /// A path is not that of an ECS event, nor nearly.
    has_foreign_path: bool,
    /// A path or value occurs in ECS events only.
    is_ecs: bool,
    /// The names that the event may have, without statuses; empty if any.
    names: Vec<&'static str>,
}

impl Subject {
    /// What a node says if it holds.
    pub(super) fn of(node: &SpannedNode, comparisons: &Comparisons) -> Self {
        match &node.kind {
            Kind::All(parts) => parts
                .iter()
                .map(|part| Self::of(part, comparisons))
                .fold(Self::default(), Self::and),
            Kind::Any(parts) => {
                let mut branches = parts.iter().map(|part| Self::of(part, comparisons));
                let first = branches.next().unwrap_or_default();
                branches.fold(first, Self::or)
            }
            // What is excluded says nothing about what is left.
            Kind::Not(_) => Self::default(),
            Kind::Field(field) => Self::of_field(field, comparisons),
        }
    }

    /// Both hold.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.is_custom |= other.is_custom;
        self.has_foreign_path |= other.has_foreign_path;
        self.is_ecs |= other.is_ecs;
        if self.names.is_empty() {
            self.names = other.names;
        }
        self
    }

    /// Whether the conditions are about other events than those of ECS.
    pub(super) fn is_other(&self) -> bool {
        self.is_custom || self.has_foreign_path && !self.is_ecs
    }

    /// Whether they are certainly about ECS events.
    pub(super) fn is_ecs(&self) -> bool {
        self.is_ecs
    }

    /// The names that the event may have; empty if any.
    pub(super) fn names(&self) -> &[&'static str] {
        &self.names
    }

    /// One of them holds.
    fn or(mut self, other: Self) -> Self {
        self.is_custom &= other.is_custom;
        self.has_foreign_path &= other.has_foreign_path;
        self.is_ecs |= other.is_ecs;
        if self.names.is_empty() || other.names.is_empty() {
            self.names = Vec::new();
        } else {
            self.names.extend(other.names);
        }
        self
    }

    fn of_field(field: &SpannedField, comparisons: &Comparisons) -> Self {
        let mut subject = Self::default();
        let path = match paths::lookup(field.path.as_str(), comparisons) {
            Lookup::Known => field.path.as_str(),
            Lookup::Misspelt(meant) => meant.path,
            Lookup::Below(parent) => {
                subject.has_foreign_path = !paths::is_specific(parent);
                return subject;
            }
            Lookup::Unknown => {
                subject.has_foreign_path = !paths::is_root_of_others(field.path.as_str());
                return subject;
            }
        };
        subject.is_ecs = paths::is_specific(path);
        // Only values that are required: `name != "x"` is true of any other event.
        let required: Vec<&Predicate> = field
            .predicates()
            .map(|spanned| &spanned.predicate)
            .filter(|one| !matches!(one, Predicate::AnythingBut(_)))
            .collect();
        let is_of_ecs = |one: &&Predicate| values::may_match(one, path, comparisons);
        match path {
            "name" | "product" if !required.is_empty() => {
                subject.is_ecs |= required.iter().any(is_of_ecs);
                let is_text = |one: &&Predicate| values::text(one).is_some();
                subject.is_custom = !subject.is_ecs && required.iter().all(is_text);
                if path == "name" {
                    subject.names = names::required(&required).unwrap_or_default();
                }
            }
            "content.operation" | "content.eniStatus" => {
                subject.is_ecs |= required.iter().any(is_of_ecs);
            }
            _ => {}
        }
        subject
    }
}
