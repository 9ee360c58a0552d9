//! The rows of a table, kept as text: a row is made when a lookup finds it.

use std::ops::Range;
use std::sync::Arc;

use reflexarc_diagnostic::Span;
use reflexarc_event::Json;

/// The rows of a table.
//
// A tree for each row would take about five times the memory of its text, and of 100,000 rows most
// are never looked up.
#[derive(Debug)]
pub(super) enum Rows {
    Csv(CsvRows),
    Objects(ObjectRows),
}

/// Rows of CSV: as many cells as there are columns, each a text.
#[derive(Debug, Default)]
pub(super) struct CsvRows {
    pub(super) width: usize,
    /// The cells of all rows one after the other, without quotes.
    pub(super) cells: String,
    /// Where each cell ends in `cells`.
    pub(super) ends: Vec<u32>,
    /// Where each row is in the file.
    pub(super) places: Vec<Place>,
}

/// Rows that are JSON objects, one on a line.
#[derive(Debug)]
pub(super) struct ObjectRows {
    pub(super) text: Arc<str>,
    /// Whether all values are texts, as in CSV.
    pub(super) are_texts: bool,
    pub(super) places: Vec<Place>,
}

/// Where a row is in its file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) start: u32,
    pub(super) end: u32,
}

impl Rows {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Csv(rows) => rows.places.len(),
            Self::Objects(rows) => rows.places.len(),
        }
    }

    /// Whether all values are texts.
    pub(super) fn are_texts(&self) -> bool {
        match self {
            Self::Csv(_) => true,
            Self::Objects(rows) => rows.are_texts,
        }
    }

    /// The place of a row in the file.
    pub(super) fn span(&self, number: usize) -> Span {
        let places = match self {
            Self::Csv(rows) => &rows.places,
            Self::Objects(rows) => &rows.places,
        };
        places.get(number).map_or(0..0, |place| place.range())
    }

    /// The row as an object; null if there is no row of this number.
    pub(super) fn row(&self, number: usize, columns: &[String]) -> Json {
        match self {
            Self::Csv(rows) => {
                let columns = columns.iter().enumerate();
                let cells = columns.map(|(column, name)| {
                    let cell = rows.cell(number, column).unwrap_or_default();
                    (name.clone(), Json::from(cell))
                });
                Json::Object(cells.collect())
            }
            Self::Objects(rows) => rows.object(number).unwrap_or(Json::Null),
        }
    }

    /// The value of a row in a column.
    pub(super) fn value(&self, number: usize, columns: &[String], column: &str) -> Option<Json> {
        match self {
            Self::Csv(rows) => {
                let column = columns.iter().position(|name| name == column)?;
                rows.cell(number, column).map(Json::from)
            }
            Self::Objects(rows) => rows.object(number)?.get(column).cloned(),
        }
    }
}

impl CsvRows {
    fn cell(&self, row: usize, column: usize) -> Option<&str> {
        let at = row * self.width + column;
        let start = match at.checked_sub(1) {
            Some(before) => *self.ends.get(before)? as usize,
            None => 0,
        };
        self.cells.get(start..*self.ends.get(at)? as usize)
    }
}

impl ObjectRows {
    fn object(&self, number: usize) -> Option<Json> {
        let line = self.text.get(self.places.get(number)?.range())?;
        // It was parsed when the table was read.
        Json::parse(line).ok()
    }
}

impl Place {
    /// `None` beyond 4 GiB, which no table within the limits has.
    pub(super) fn new(range: &Range<usize>) -> Option<Self> {
        Some(Self {
            start: range.start.try_into().ok()?,
            end: range.end.try_into().ok()?,
        })
    }

    fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}
