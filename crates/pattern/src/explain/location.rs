//! Where a value stands in an event.

use std::fmt;

use crate::Path;
use crate::field_values::{self, Pointer};
use crate::print::expression;

/// The way from the top of an event to one value.
///
/// `Display` writes it like a path, with array elements from 0: `content.items[1].id`. Where an object holds a key more
/// than once, the second value is at `key#2`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Location(pub Vec<Step>);

/// One step of a location.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Into a member of an object.
    Member {
        /// Its key.
        key: String,
        /// How many members parent it have the same key.
        occurrence: usize,
    },
    /// Into an element of an array, counted from 0.
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
