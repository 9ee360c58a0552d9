//! Locations of values in an event.

use std::fmt;

use crate::Path;
use crate::field_values::{self, Pointer};
use crate::print::expression;

/// The location of a value: the steps from the root of the event.
///
/// `Display` writes it like a path, with array indices from 0: `content.items[1].id`. If an object
/// has a key more than once, its second value is at `key#2`.
///
/// ```
/// use reflexarc_pattern::explain::{Location, Step};
///
/// let key = |key: &str| Step::Member { key: key.to_owned(), occurrence: 0 };
/// let location = Location(vec![key("items"), Step::Element(1), key("id")]);
/// assert_eq!(location.to_string(), "items[1].id");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Location(pub Vec<Step>);

/// One step of a location.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// To a member of an object.
    Member {
        /// The key.
        key: String,
        /// How many earlier members of the object have the same key.
        occurrence: usize,
    },
    /// To the element with this index.
    Element(usize),
}

impl Location {
    pub(crate) fn of(pointer: &Pointer) -> Self {
        let mut steps = Vec::new();
        let mut last = pointer;
        while let Some(step) = last {
            last = match step.as_ref() {
                field_values::PointerStep::Member {
                    parent,
                    members,
                    index,
                } => {
                    let key = &members[*index].0;
                    let occurrence = members[..*index]
                        .iter()
                        .filter(|(other, _)| other == key)
                        .count();
                    steps.push(Step::Member {
                        key: key.clone(),
                        occurrence,
                    });
                    parent
                }
                field_values::PointerStep::Element { parent, index } => {
                    steps.push(Step::Element(*index));
                    parent
                }
            };
        }
        steps.reverse();
        Self(steps)
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.0.iter().enumerate() {
            match step {
                Step::Member { key, occurrence } => {
                    f.write_str(if i > 0 { "." } else { "" })?;
                    f.write_str(&expression::path(&Path::from_keys([key])))?;
                    if *occurrence > 0 {
                        write!(f, "#{}", occurrence + 1)?;
                    }
                }
                Step::Element(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}
