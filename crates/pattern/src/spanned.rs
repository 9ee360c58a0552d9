//! The spanned tree: a [`Node`] in which every part has the span it was parsed from.

// The parser builds this tree, diagnostics point into it, and `to_node` gives the tree without
// spans. It is a second tree and not a tree with optional spans, because trees of patterns are
// compared, hashed and printed by what they mean.

use reflexarc_diagnostic::Span;

use crate::{Alternative, Field, Node, Path, Predicate};

/// A [`Node`] with its span in the source of its pattern.
///
/// ```
/// use reflexarc_pattern::Pattern;
/// use reflexarc_pattern::spanned::Kind;
///
/// let pattern: Pattern = r#"level in ["WARN", "CRITICAL"]"#.parse()?;
/// let spanned = pattern.spanned().ok_or("a valid source")?;
/// let Kind::Field(field) = &spanned.tree().kind else { panic!("a field") };
/// let texts = field.predicates().map(|one| &pattern.source()[one.span.clone()]);
/// assert_eq!(texts.collect::<Vec<_>>(), [r#""WARN""#, r#""CRITICAL""#]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct SpannedNode {
    /// The bytes it was parsed from.
    pub span: Span,
    /// What it is.
    pub kind: Kind,
}

/// The variants of [`Node`].
#[derive(Debug, Clone)]
pub enum Kind {
    /// All of them hold.
    All(Vec<SpannedNode>),
    /// At least one holds.
    Any(Vec<SpannedNode>),
    /// It does not hold.
    Not(Box<SpannedNode>),
    /// A value of one field satisfies one of its alternatives.
    Field(SpannedField),
}

/// A [`Field`] with its spans.
#[derive(Debug, Clone)]
pub struct SpannedField {
    /// The path of the values.
    pub path: Path,
    /// The span of the path, or in JSON notation of its innermost key.
    pub key: Span,
    /// The accepted values.
    pub alternatives: Vec<SpannedAlternative>,
}

/// An [`Alternative`] with its span.
#[derive(Debug, Clone)]
pub struct SpannedAlternative {
    /// The bytes it was parsed from.
    pub span: Span,
    /// The predicates that one value must satisfy together.
    pub predicates: Vec<SpannedPredicate>,
}

/// A [`Predicate`] with its span.
#[derive(Debug, Clone)]
pub struct SpannedPredicate {
    /// The bytes it was parsed from: the operator with its operands, or one literal of a list.
    pub span: Span,
    /// The predicate.
    pub predicate: Predicate,
}

impl SpannedAlternative {
    /// The alternative without spans.
    pub(crate) fn to_alternative(&self) -> Alternative {
        let predicates = self.predicates.iter();
        Alternative(
            predicates
                .map(|spanned| spanned.predicate.clone())
                .collect(),
        )
    }
}

impl SpannedField {
    /// The predicates of all alternatives.
    pub fn predicates(&self) -> impl Iterator<Item = &SpannedPredicate> {
        self.alternatives
            .iter()
            .flat_map(|alternative| &alternative.predicates)
    }
}

impl SpannedNode {
    /// The conjunction of the parts. Conjunctions among them are flattened, and a single part is
    /// returned as it is.
    pub(crate) fn all(span: Span, parts: Vec<SpannedNode>) -> Self {
        Self::joined(span, parts, Kind::All, |kind| match kind {
            Kind::All(inner) => Ok(inner),
            other => Err(other),
        })
    }

    /// The disjunction of the parts, flattened likewise.
    pub(crate) fn any(span: Span, parts: Vec<SpannedNode>) -> Self {
        Self::joined(span, parts, Kind::Any, |kind| match kind {
            Kind::Any(inner) => Ok(inner),
            other => Err(other),
        })
    }

    /// The negation of a node.
    pub(crate) fn not(span: Span, inner: SpannedNode) -> Self {
        Self {
            span,
            kind: Kind::Not(Box::new(inner)),
        }
    }

    /// A field.
    pub(crate) fn field(span: Span, field: SpannedField) -> Self {
        Self {
            span,
            kind: Kind::Field(field),
        }
    }

    /// The node with the same span everywhere, for a node that was not parsed.
    pub fn with_span(node: &Node, span: &Span) -> Self {
        let spanned = |nodes: &[Node]| {
            nodes
                .iter()
                .map(|node| Self::with_span(node, span))
                .collect()
        };
        let kind = match node {
            Node::All(parts) => Kind::All(spanned(parts)),
            Node::Any(parts) => Kind::Any(spanned(parts)),
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

    /// The tree without spans.
    pub fn to_node(&self) -> Node {
        match &self.kind {
            Kind::All(parts) => Node::All(parts.iter().map(Self::to_node).collect()),
            Kind::Any(parts) => Node::Any(parts.iter().map(Self::to_node).collect()),
            Kind::Not(inner) => Node::Not(Box::new(inner.to_node())),
            Kind::Field(field) => Node::Field(Field {
                path: field.path.clone(),
                alternatives: field
                    .alternatives
                    .iter()
                    .map(SpannedAlternative::to_alternative)
                    .collect(),
            }),
        }
    }

    /// An upper bound of the nesting of the node in JSON notation.
    pub(crate) fn depth(&self) -> usize {
        // {"a": [{"anything-but": [{"numeric": ["=", 1]}]}]}, from the outermost object: object,
        // array, object, array, object, array.
        const LEAF: usize = 6;
        match &self.kind {
            // {"$or": [{…}]}: an array and an object.
            Kind::All(parts) | Kind::Any(parts) => {
                2 + parts.iter().map(Self::depth).max().unwrap_or(0)
            }
            Kind::Not(inner) => 1 + inner.depth(),
            Kind::Field(field) => LEAF + crate::print::json::nesting(&field.path),
        }
    }

    /// Every field of the tree, in text order.
    pub fn fields(&self) -> Vec<&SpannedField> {
        let mut fields = Vec::new();
        self.collect_fields(&mut fields);
        fields
    }

    fn collect_fields<'t>(&'t self, fields: &mut Vec<&'t SpannedField>) {
        match &self.kind {
            Kind::All(parts) | Kind::Any(parts) => {
                for part in parts {
                    part.collect_fields(fields);
                }
            }
            Kind::Not(inner) => inner.collect_fields(fields),
            Kind::Field(field) => fields.push(field),
        }
    }

    fn joined(
        span: Span,
        parts: Vec<SpannedNode>,
        join: fn(Vec<SpannedNode>) -> Kind,
        parts_of: fn(Kind) -> Result<Vec<SpannedNode>, Kind>,
    ) -> Self {
        // Flattening loses the spans of inner connectives, which no diagnostic points at: `(a and
        // b) and c` and `a and b and c` have the same tree, with the span of the outer one.
        let mut flat = Vec::with_capacity(parts.len());
        for part in parts {
            match parts_of(part.kind) {
                Ok(inner) => flat.extend(inner),
                Err(kind) => flat.push(SpannedNode {
                    span: part.span,
                    kind,
                }),
            }
        }
        match flat.pop() {
            Some(only) if flat.is_empty() => only,
            last => {
                flat.extend(last);
                Self {
                    span,
                    kind: join(flat),
                }
            }
        }
    }
}
