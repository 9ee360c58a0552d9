//! The sources of a rule set: they decide whether two sets are equal, and are what is pickled.
//!
//! Compiled rules are not pickled: compiling them again is fast, and their form is private.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyTuple};
use reflexarc::RuleSet;
use reflexarc_pattern::Pattern;

use crate::pattern::{PyPattern, read_dialect};

/// The sources of a rule set.
#[derive(Clone)]
pub(crate) enum RuleSetSource {
    /// Patterns with their ids.
    Patterns(Vec<(String, Pattern)>),
    /// Rule files and lookup tables, each with name and text.
    Files {
        rules: Vec<(String, String)>,
        tables: Vec<(String, String)>,
    },
}

/// A rule in a pickle: name, text, and the dialect of a pattern; or a table, with [`TABLE`] in
/// place of a dialect.
pub(crate) type Row = (String, String, String);

/// What marks a table among the files of a pickle.
const TABLE: &str = "table";

/// An event file in a pickle: the rule file, the name of the event file in it, and its bytes.
pub(crate) type EventRow = (String, String, Vec<u8>);

impl RuleSetSource {
    /// The arguments of `_rebuild`: kind of source, rows, and the event files of the rules'
    /// tests.
    pub(crate) fn pickled<'py>(
        &self,
        py: Python<'py>,
        rules: &RuleSet,
    ) -> PyResult<Bound<'py, PyTuple>> {
        let (kind, rows): (_, Vec<Row>) = match self {
            Self::Files {
                rules: files,
                tables,
            } => {
                let row = |(name, text): &(String, String), mark: &str| {
                    (name.clone(), text.clone(), mark.to_owned())
                };
                let files = files.iter().map(|file| row(file, ""));
                let tables = tables.iter().map(|file| row(file, TABLE));
                ("files", files.chain(tables).collect())
            }
            Self::Patterns(patterns) => {
                let row = |(id, pattern): &(String, Pattern)| {
                    (
                        id.clone(),
                        pattern.source().to_owned(),
                        pattern.dialect().to_string(),
                    )
                };
                ("patterns", patterns.iter().map(row).collect())
            }
        };
        let events = rules.event_files().into_iter();
        let events = events.map(|((file, name), bytes)| (file, name, PyBytes::new(py, &bytes)));
        let events = PyList::new(py, events.collect::<Vec<_>>())?;
        PyTuple::new(
            py,
            [
                kind.into_pyobject(py)?.into_any(),
                PyList::new(py, rows)?.into_any(),
                events.into_any(),
            ],
        )
    }

    /// The sources from a pickle.
    pub(crate) fn unpickled(py: Python<'_>, kind: &str, rows: Vec<Row>) -> PyResult<Self> {
        if kind == "files" {
            let (tables, rules): (Vec<Row>, Vec<Row>) =
                rows.into_iter().partition(|(.., mark)| mark == TABLE);
            let files = |rows: Vec<Row>| {
                let rows = rows.into_iter();
                rows.map(|(name, text, _)| (name, text)).collect()
            };
            return Ok(Self::Files {
                rules: files(rules),
                tables: files(tables),
            });
        }
        let pattern = |(id, source, dialect): Row| {
            let pattern = PyPattern::parse_text(py, &source, read_dialect(&dialect)?, &id)?;
            Ok((id, pattern))
        };
        Ok(Self::Patterns(
            rows.into_iter().map(pattern).collect::<PyResult<_>>()?,
        ))
    }
}

impl PartialEq for RuleSetSource {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Files { rules, tables },
                Self::Files {
                    rules: other_rules,
                    tables: other_tables,
                },
            ) => rules == other_rules && tables == other_tables,
            (Self::Patterns(one), Self::Patterns(other)) => {
                let same =
                    |((id, one), (other_id, other)): (&(String, Pattern), &(String, Pattern))| {
                        id == other_id && one.node() == other.node()
                    };
                one.len() == other.len() && one.iter().zip(other).all(same)
            }
            _ => false,
        }
    }
}
