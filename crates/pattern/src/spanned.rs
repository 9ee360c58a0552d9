//! The tree with the place of everything in the text, as the notations are read into it.

use reflexarc_diagnostic::Span;

use crate::{Alternative, Field, Node, Path, Predicate};

/// A [`Node`] with places.
#[derive(Debug, Clone)]
pub(crate) struct SpannedNode {
    pub(crate) span: Span,
    pub(crate) kind: Kind,
}

/// What a [`SpannedNode`] is, as [`Node`].
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    All(Vec<SpannedNode>),
    Any(Vec<SpannedNode>),
    Not(Box<SpannedNode>),
    Field(SpannedField),
}

/// A [`Field`] with places; `key` is where its path is written.
#[derive(Debug, Clone)]
pub(crate) struct SpannedField {
    pub(crate) path: Path,
    pub(crate) key: Span,
    pub(crate) alternatives: Vec<SpannedAlternative>,
}

/// An [`Alternative`] with places.
#[derive(Debug, Clone)]
pub(crate) struct SpannedAlternative {
    pub(crate) span: Span,
    pub(crate) predicates: Vec<SpannedPredicate>,
}

/// A [`Predicate`] with its place.
#[derive(Debug, Clone)]
pub(crate) struct SpannedPredicate {
    pub(crate) span: Span,
    pub(crate) predicate: Predicate,
}

impl SpannedNode {
    /// All of them: flattened, and the one itself where there is only one.
    pub(crate) fn all(span: Span, parts: Vec<SpannedNode>) -> Self {
        Self::joined(span, parts, Kind::All, |kind| match kind {
            Kind::All(inner) => Ok(inner),
            other => Err(other),
        })
    }

    /// Any of them: flattened, and the one itself where there is only one.
    pub(crate) fn any(span: Span, parts: Vec<SpannedNode>) -> Self {
        Self::joined(span, parts, Kind::Any, |kind| match kind {
            Kind::Any(inner) => Ok(inner),
            other => Err(other),
        })
    }

    /// Its opposite.
    pub(crate) fn not(span: Span, inner: SpannedNode) -> Self {
        Self {
            span,
            kind: Kind::Not(Box::new(inner)),
        }
    }

    /// One field.
    pub(crate) fn field(span: Span, field: SpannedField) -> Self {
        Self {
            span,
            kind: Kind::Field(field),
        }
    }

    /// The same tree with every place set to `span`, for a tree that no text was written for.
    pub(crate) fn with_span(node: &Node, span: &Span) -> Self {
        let place = |nodes: &[Node]| {
            nodes
                .iter()
                .map(|node| Self::with_span(node, span))
                .collect()
        };
        let kind = match node {
            Node::All(parts) => Kind::All(place(parts)),
            Node::Any(parts) => Kind::Any(place(parts)),
            Node::Not(inner) => Kind::Not(Box::new(Self::with_span(inner, span))),
            Node::Field(field) => Kind::Field(SpannedField {
                path: field.path.clone(),
                key: span.clone(),
                alternatives: field
                    .alternatives
                    .iter()
                    .map(|Alternative(predicates)| SpannedAlternative {
                        span: span.clone(),
                        predicates: predicates
                            .iter()
                            .map(|predicate| SpannedPredicate {
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
                                .map(|spanned| spanned.predicate.clone())
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
    pub(crate) fn fields(&self) -> Vec<&SpannedField> {
        let mut found = Vec::new();
        self.collect_fields(&mut found);
        found
    }

    fn collect_fields<'t>(&'t self, found: &mut Vec<&'t SpannedField>) {
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
        parts: Vec<SpannedNode>,
        join: fn(Vec<SpannedNode>) -> Kind,
        open: fn(Kind) -> Result<Vec<SpannedNode>, Kind>,
    ) -> Self {
        let mut flat = Vec::with_capacity(parts.len());
        for part in parts {
            match open(part.kind) {
                Ok(inner) => flat.extend(inner),
                Err(kind) => flat.push(SpannedNode {
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
