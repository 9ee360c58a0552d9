//! Columns of events in and out, through the Arrow PyCapsule interface, without a copy.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, StructArray};
use arrow_schema::{ArrowError, DataType, Field, FieldRef};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyCapsule;
use pyo3_arrow::ffi::{ArrayIterator, to_schema_pycapsule, to_stream_pycapsule};
use pyo3_arrow::{PyArray, PyChunkedArray};

/// A column that other Arrow libraries take.
///
/// It has `__arrow_c_stream__`, as much as `pyarrow.chunked_array` and `polars.Series` need.
#[pyclass(name = "_ArrowColumn", module = "reflexarc", frozen)]
pub(crate) struct PyArrowColumn {
    chunks: Vec<ArrayRef>,
    field: FieldRef,
}

/// The chunks of a column. All have the same type.
pub(crate) struct Column {
    pub(crate) kind: DataType,
    pub(crate) chunks: Vec<ArrayRef>,
}

impl Column {
    /// Reads a value with `__arrow_c_stream__` or `__arrow_c_array__`.
    ///
    /// The rows of a table are events, with its columns as members; a table of one column is that
    /// column.
    ///
    /// # Errors
    /// If it has neither of these, or they fail.
    pub(crate) fn read(column: &Bound<'_, PyAny>, is_table: bool) -> PyResult<Self> {
        let py = column.py();
        let (chunks, kind) = if column.hasattr(intern!(py, "__arrow_c_stream__"))? {
            let (chunks, field) = column.extract::<PyChunkedArray>()?.into_inner();
            (chunks, field.data_type().clone())
        } else if column.hasattr(intern!(py, "__arrow_c_array__"))? {
            let (array, field) = column.extract::<PyArray>()?.into_inner();
            (vec![array], field.data_type().clone())
        } else {
            let found = column.get_type().name()?;
            return Err(PyTypeError::new_err(format!(
                "expected an Arrow column, found {found}"
            )));
        };
        let column = Self { kind, chunks };
        let column = if is_table { column.of_table() } else { column };
        column.decoded().map_err(|error| arrow_error(&error))
    }

    /// The only column of a table; the rows of one with several columns.
    fn of_table(self) -> Self {
        let DataType::Struct(fields) = &self.kind else {
            return self;
        };
        let [field] = &**fields else {
            return self;
        };
        let kind = field.data_type().clone();
        let tables = self.chunks.iter();
        let columns = tables.filter_map(|table| table.as_any().downcast_ref::<StructArray>());
        let chunks = columns.map(|table| Arc::clone(table.column(0))).collect();
        Self { kind, chunks }
    }

    /// The values of a dictionary in place of its keys.
    fn decoded(self) -> Result<Self, ArrowError> {
        let DataType::Dictionary(_, kind) = self.kind else {
            return Ok(self);
        };
        let chunks = self.chunks.iter();
        let chunks = chunks.map(|chunk| arrow_cast::cast(chunk, &kind));
        Ok(Self {
            chunks: chunks.collect::<Result<_, _>>()?,
            kind: *kind,
        })
    }
}

impl PyArrowColumn {
    pub(crate) fn new(kind: DataType, chunks: Vec<ArrayRef>) -> Self {
        let field = Arc::new(Field::new("", kind, true));
        Self { chunks, field }
    }
}

#[pymethods]
impl PyArrowColumn {
    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        to_schema_pycapsule(py, &*self.field).map_err(PyErr::from)
    }

    #[pyo3(signature = (requested_schema = None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyCapsule>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        let chunks: Vec<_> = self.chunks.iter().cloned().map(Ok).collect();
        let reader = ArrayIterator::new(chunks, Arc::clone(&self.field));
        to_stream_pycapsule(py, Box::new(reader), requested_schema).map_err(PyErr::from)
    }
}

/// An error of the Arrow library.
pub(crate) fn arrow_error(error: &ArrowError) -> PyErr {
    PyValueError::new_err(error.to_string())
}
