//! The function `quote`: values as literals of expressions.

use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use reflexarc_event::Json;

use crate::convert::{self, Scalar, ValuePath};
use crate::error::{EventError, catch_panics};

/// A value as a literal of an expression: text in double quotes with escapes, a number with all
/// its digits, `true`, `false` or `null`. Other values become text as in an event.
///
/// A value that is put into the text of a pattern can change what the pattern means; its literal
/// cannot. `field` needs no quoting.
///
/// Raises:
///     TypeError: if it is not a single value.
///     ValueError: if it has no JSON form: NaN, infinity, a lone surrogate.
///
/// >>> name = 'x" or user exists or user == "'
/// >>> Pattern(f'user == "{name}"').matches({"user": "anybody"})
/// True
/// >>> Pattern(f"user == {quote(name)}").matches({"user": "anybody"})
/// False
#[pyfunction]
#[pyo3(signature = (value, /))]
pub(crate) fn quote(value: &Bound<'_, PyAny>) -> PyResult<String> {
    catch_panics(|| {
        let py = value.py();
        let scalar = convert::scalar(value, &ValuePath::Named("value")).map_err(|error| {
            if error.is_instance_of::<EventError>(py) {
                PyValueError::new_err(error.value(py).to_string())
            } else {
                error
            }
        })?;
        match scalar {
            Some(Scalar::Text(text)) => Ok(Json::from(text.as_str()).to_string()),
            Some(Scalar::Number(text)) => Ok(text),
            Some(Scalar::Integer(number)) => Ok(number.to_string()),
            Some(Scalar::Bool(truth)) => Ok(truth.to_string()),
            Some(Scalar::Null) => Ok("null".to_owned()),
            None => Err(PyTypeError::new_err(format!(
                "expected a single value such as a str or int, found {}",
                value.get_type().name()?
            ))),
        }
    })
}
