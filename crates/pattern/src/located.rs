//! The tree with the place of everything in the text, as the notations are read into it.

use reflexarc_diagnostic::Span;

use crate::{Alternative, Field, Node, Path, Predicate};

/// A [`Node`] with places.
#[derive(Debug, Clone)]
pub(crate) struct Located {
    pub(crate) span: Span,
    pub(crate) kind: Kind,
}

/// What a [`Located`] is, as [`Node`].
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    All(Vec<Located>),
    Any(Vec<Located>),
    Not(Box<Located>),
    Field(LocatedField),
}

/// A [`Field`] with places; `key` is where its path is written.
#[derive(Debug, Clone)]
pub(crate) struct LocatedField {
    pub(crate) path: Path,
    pub(crate) key: Span,
    pub(crate) alternatives: Vec<LocatedAlternative>,
}

/// An [`Alternative`] with places.
#[derive(Debug, Clone)]
pub(crate) struct LocatedAlternative {
    pub(crate) span: Span,
    pub(crate) predicates: Vec<LocatedPredicate>,
}

/// A [`Predicate`] with its place.
#[derive(Debug, Clone)]
pub(crate) struct LocatedPredicate {
    pub(crate) span: Span,
    pub(crate) predicate: Predicate,
}

impl Located {
    /// All of them: flattened, and the one itself where there is only one.
    pub(crate) fn all(span: Span, parts: Vec<Located>) -> Self {
        Self::joined(span, parts, Kind::All, |kind| match kind {
            Kind::All(inner) => Ok(inner),
            other => Err(other),
        })
    }

    /// Any of them: flattened, and the one itself where there is only one.
    pub(crate) fn any(span: Span, parts: Vec<Located>) -> Self {
        Self::joined(span, parts, Kind::Any, |kind| match kind {
            Kind::Any(inner) => Ok(inner),
            other => Err(other),
        })
    }

    /// Its opposite.
    pub(crate) fn not(span: Span, inner: Located) -> Self {
        Self {
            span,
            kind: Kind::Not(Box::new(inner)),
        }
    }

    /// One field.
    pub(crate) fn field(span: Span, field: LocatedField) -> Self {
        Self {
            span,
            kind: Kind::Field(field),
        }
    }

    /// The same tree with every place set to `span`, for a tree that no text was written for.
    pub(crate) fn unwritten(node: &Node, span: &Span) -> Self {
        let place = |nodes: &[Node]| {
            nodes
                .iter()
                .map(|node| Self::unwritten(node, span))
                .collect()
        };
        let kind = match node {
            Node::All(parts) => Kind::All(place(parts)),
            Node::Any(parts) => Kind::Any(place(parts)),
            Node::Not(inner) => Kind::Not(Box::new(Self::unwritten(inner, span))),
            Node::Field(field) => Kind::Field(LocatedField {
                path: field.path.clone(),
                key: span.clone(),
                alternatives: field
                    .alternatives
                    .iter()
                    .map(|Alternative(predicates)| LocatedAlternative {
                        span: span.clone(),
                        predicates: predicates
                            .iter()
                            .map(|predicate| LocatedPredicate {
                                span: span.clone(),
                                predicate: predicate.clone(),
                            })
                            .collect(),
                    })
                    .collect(),
            }),
        };
        Self {
            span: span.clone(),
            kind,
        }
    }

    /// The tree without places.
    pub(crate) fn to_node(&self) -> Node {
        match &self.kind {
            Kind::All(parts) => Node::All(parts.iter().map(Self::to_node).collect()),
            Kind::Any(parts) => Node::Any(parts.iter().map(Self::to_node).collect()),
            Kind::Not(inner) => Node::Not(Box::new(inner.to_node())),
            Kind::Field(field) => Node::Field(Field {
                path: field.path.clone(),
                alternatives: field
                    .alternatives
                    .iter()
                    .map(|alternative| {
                        Alternative(
                            alternative
                                .predicates
                                .iter()
                                .map(|placed| placed.predicate.clone())
                                .collect(),
                        )
                    })
                    .collect(),
            }),
        }
    }

    /// How deep its JSON notation nests at most, so that a tree read from one notation can be written in the other.
    pub(crate) fn depth(&self) -> usize {
        /// The object, the list, an operator in it, its list, an operator in that, and its list.
        const LEAF: usize = 6;
        match &self.kind {
            Kind::All(parts) | Kind::Any(parts) => {
                2 + parts.iter().map(Self::depth).max().unwrap_or(0)
            }
            Kind::Not(inner) => 1 + inner.depth(),
            Kind::Field(field) => LEAF + crate::print::json::nesting(&field.path),
        }
    }

    /// Every field in it, in the order of the text.
    pub(crate) fn fields(&self) -> Vec<&LocatedField> {
        let mut found = Vec::new();
        self.collect_fields(&mut found);
        found
    }

    fn collect_fields<'t>(&'t self, found: &mut Vec<&'t LocatedField>) {
        match &self.kind {
            Kind::All(parts) | Kind::Any(parts) => {
                parts.iter().for_each(|part| part.collect_fields(found))
            }
            Kind::Not(inner) => inner.collect_fields(found),
            Kind::Field(field) => found.push(field),
        }
    }

    fn joined(
        span: Span,
        parts: Vec<Located>,
        join: fn(Vec<Located>) -> Kind,
        open: fn(Kind) -> Result<Vec<Located>, Kind>,
    ) -> Self {
        let mut flat = Vec::with_capacity(parts.len());
        for part in parts {
            match open(part.kind) {
                Ok(inner) => flat.extend(inner),
                Err(kind) => flat.push(Located {
                    span: part.span,
                    kind,
                }),
            }
        }
        match flat.pop() {
            Some(only) if flat.is_empty() => only,
            Some(last) => {
                flat.push(last);
                Self {
                    span,
                    kind: join(flat),
                }
            }
            None => Self {
                span,
                kind: join(flat),
            },
        }
    }
}
