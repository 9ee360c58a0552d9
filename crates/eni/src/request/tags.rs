//! What requests say about tags.

/// A kind of resources that can have tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum TaggedKind {
    /// Interfaces.
    Interface,
    /// Instances.
    Instance,
    /// Security groups.
    SecurityGroup,
}

/// Resources of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaggedResources {
    /// The kind.
    pub kind: TaggedKind,
    /// Their ids.
    pub ids: Vec<String>,
}

/// Whose tags to list: those of the resources that meet every criterion that is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListTags {
    /// The kind of the resources, and their ids; all of the caller's when there are none.
    pub resources: TaggedResources,
    /// Tags, of which a resource must have all; without a value, any value matches.
    pub tags: Vec<(String, Option<String>)>,
    /// The token of the page; absent for the first one.
    pub token: Option<String>,
}

impl TaggedKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Interface, Self::Instance, Self::SecurityGroup];

    /// The name that the API uses.
    pub fn name(self) -> &'static str {
        match self {
            Self::Interface => "eni",
            Self::Instance => "instance",
            Self::SecurityGroup => "securitygroup",
        }
    }
}
