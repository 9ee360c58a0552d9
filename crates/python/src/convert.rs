//! Python values as JSON and back.
//!
//! | Python | JSON |
//! |---|---|
//! | `None`, `bool`, `str` | as they are |
//! | `int` of any size | its digits |
//! | `float` | the shortest decimal that reads back as it; NaN and infinities are errors |
//! | `decimal.Decimal` | its exact value; NaN and infinities are errors |
//! | `datetime`, `date`, `time` | the text of `isoformat()` |
//! | `enum.Enum` | its value |
//! | `list`, `tuple` | an array |
//! | `dict` and other mappings with text keys | an object; any other key is an error |

use std::fmt::Write as _;

use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyMapping, PyString, PyTuple, PyType};
use reflexarc_event::{Decimal, Json, Limits};

use crate::error::EventError;

/// What a Python scalar means.
pub(crate) enum Scalar {
    Null,
    Bool(bool),
    /// An `int` that is not larger than this.
    Whole(i64),
    Number(String),
    Text(String),
}

/// Where in a Python value we are, for messages; written only when something is wrong.
pub(crate) enum ValuePath<'a> {
    Root,
    Key(&'a ValuePath<'a>, &'a str),
    Index(&'a ValuePath<'a>, usize),
}

impl ValuePath<'_> {
    fn describe(&self, text: &mut String) {
        match self {
            ValuePath::Root => text.push_str("event"),
            ValuePath::Key(outer, key) => {
                outer.describe(text);
                let _ = write!(text, "[{key:?}]");
            }
            ValuePath::Index(outer, index) => {
                outer.describe(text);
                let _ = write!(text, "[{index}]");
            }
        }
    }

    pub(crate) fn fault(&self, what: impl std::fmt::Display) -> PyErr {
        let mut place = String::new();
        self.describe(&mut place);
        EventError::new_err(format!("{place}: {what}"))
    }
}

/// The whole value as JSON.
pub(crate) fn to_json(value: &Bound<'_, PyAny>, place: &ValuePath<'_>) -> PyResult<Json> {
    to_json_within(value, place, Limits::DEFAULT.depth)
}

fn to_json_within(value: &Bound<'_, PyAny>, place: &ValuePath<'_>, depth: usize) -> PyResult<Json> {
    if let Some(scalar) = scalar(value, place)? {
        return Ok(match scalar {
            Scalar::Null => Json::Null,
            Scalar::Bool(value) => Json::Bool(value),
            Scalar::Whole(value) => Json::from(value),
            Scalar::Number(text) => Json::Number(text.into()),
            Scalar::Text(text) => Json::String(text),
        });
    }
    let Some(left) = depth.checked_sub(1) else {
        return Err(place.fault(format!(
            "more than {} levels of arrays and objects",
            Limits::DEFAULT.depth
        )));
    };
    if let Ok(dict) = value.cast::<PyDict>() {
        let mut members = Vec::with_capacity(dict.len());
        for (key, value) in dict {
            let key = key_text(&key, place)?;
            let value = to_json_within(&value, &ValuePath::Key(place, &key), left)?;
            members.push((key, value));
        }
        return Ok(Json::Object(members));
    }
    if let Ok(list) = value.cast::<PyList>() {
        return elements(list.iter(), place, left);
    }
    if let Ok(tuple) = value.cast::<PyTuple>() {
        return elements(tuple.iter(), place, left);
    }
    if let Ok(mapping) = value.cast::<PyMapping>() {
        let mut members = Vec::new();
        for item in mapping.items()?.iter() {
            let (key, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) = item.extract()?;
            let key = key_text(&key, place)?;
            let value = to_json_within(&value, &ValuePath::Key(place, &key), left)?;
            members.push((key, value));
        }
        return Ok(Json::Object(members));
    }
    Err(unsupported(value, place))
}

fn elements<'py>(
    items: impl Iterator<Item = Bound<'py, PyAny>>,
    place: &ValuePath<'_>,
    left: usize,
) -> PyResult<Json> {
    items
        .enumerate()
        .map(|(index, item)| to_json_within(&item, &ValuePath::Index(place, index), left))
        .collect::<PyResult<Vec<_>>>()
        .map(Json::Array)
}

/// The value as a scalar; `None` for containers and for what has no meaning in JSON.
pub(crate) fn scalar(value: &Bound<'_, PyAny>, place: &ValuePath<'_>) -> PyResult<Option<Scalar>> {
    let py = value.py();
    if let Ok(text) = value.cast::<PyString>() {
        if is_enum(value)? {
            return member_value(value, place);
        }
        return text_of(text, place).map(|text| Some(Scalar::Text(text)));
    }
    if value.is_none() {
        return Ok(Some(Scalar::Null));
    }
    if let Ok(flag) = value.cast::<PyBool>() {
        return Ok(Some(Scalar::Bool(flag.is_true())));
    }
    if value.is_instance_of::<PyInt>() {
        if is_enum(value)? {
            return member_value(value, place);
        }
        if let Ok(number) = value.extract() {
            return Ok(Some(Scalar::Whole(number)));
        }
        let digits = int_type(py).call_method1(intern!(py, "__repr__"), (value,))?;
        return Ok(Some(Scalar::Number(digits.extract()?)));
    }
    if let Ok(float) = value.cast::<PyFloat>() {
        if is_enum(value)? {
            return member_value(value, place);
        }
        let number = float.value();
        if !number.is_finite() {
            return Err(place.fault(format!("{number} is no JSON number")));
        }
        return Ok(Some(Scalar::Number(format!("{number:?}"))));
    }
    if value.is_instance(decimal_type(py)?)? {
        if !value.call_method0(intern!(py, "is_finite"))?.is_truthy()? {
            return Err(place.fault(format!("{value} is no JSON number")));
        }
        return Ok(Some(Scalar::Number(value.str()?.to_cow()?.into_owned())));
    }
    if is_enum(value)? {
        return member_value(value, place);
    }
    for kind in time_types(py)? {
        if value.is_instance(kind.bind(py))? {
            let text: String = value.call_method0(intern!(py, "isoformat"))?.extract()?;
            return Ok(Some(Scalar::Text(text)));
        }
    }
    Ok(None)
}

/// JSON as Python values: numbers without point or exponent become `int`, others `float`, or `Decimal` where a float
/// would lose digits.
pub(crate) fn to_python<'py>(py: Python<'py>, json: &Json) -> PyResult<Bound<'py, PyAny>> {
    Ok(match json {
        Json::Null => py.None().into_bound(py),
        Json::Bool(value) => PyBool::new(py, *value).to_owned().into_any(),
        Json::String(text) => PyString::new(py, text).into_any(),
        Json::Number(text) => number(py, text)?,
        Json::Array(elements) => {
            let elements = elements
                .iter()
                .map(|element| to_python(py, element))
                .collect::<PyResult<Vec<_>>>()?;
            PyList::new(py, elements)?.into_any()
        }
        Json::Object(members) => {
            let dict = PyDict::new(py);
            for (key, value) in members {
                dict.set_item(key, to_python(py, value)?)?;
            }
            dict.into_any()
        }
    })
}

/// Lends a text as UTF-8. The interface that begins with Python 3.9 has nothing cheaper than a copy; later ones lend the
/// text's own.
pub(crate) fn with_text<T>(
    text: &Bound<'_, PyString>,
    place: &ValuePath<'_>,
    use_it: impl FnOnce(&str) -> T,
) -> PyResult<T> {
    #[cfg(feature = "from-python-3-9")]
    {
        let utf8 = text.encode_utf8().map_err(|_| half_a_pair(place))?;
        std::str::from_utf8(utf8.as_bytes())
            .map(use_it)
            .map_err(|_| half_a_pair(place))
    }
    #[cfg(not(feature = "from-python-3-9"))]
    {
        text.to_str().map(use_it).map_err(|_| half_a_pair(place))
    }
}

/// A dictionary key as text.
pub(crate) fn key_text(key: &Bound<'_, PyAny>, place: &ValuePath<'_>) -> PyResult<String> {
    match key.cast::<PyString>() {
        Ok(text) => text_of(text, place),
        Err(_) => Err(place.fault(format!("the key {} is not text", key.repr()?))),
    }
}

pub(crate) fn unsupported(value: &Bound<'_, PyAny>, place: &ValuePath<'_>) -> PyErr {
    let kind = value
        .get_type()
        .name()
        .map_or_else(|_| "this".to_owned(), |name| name.to_string());
    place.fault(format!("a value of type {kind} has no meaning in JSON"))
}

fn half_a_pair(place: &ValuePath<'_>) -> PyErr {
    place.fault("the text holds half of a surrogate pair, which UTF-8 cannot")
}

fn number<'py>(py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyAny>> {
    if !text.contains(['.', 'e', 'E']) {
        return int_type(py).call1((text,));
    }
    match text.parse::<f64>() {
        Ok(number) if Decimal::parse(text).is_some_and(|exact| exact.fits_double()) => {
            Ok(PyFloat::new(py, number).into_any())
        }
        _ => decimal_type(py)?.call1((text,)),
    }
}

fn text_of(text: &Bound<'_, PyString>, place: &ValuePath<'_>) -> PyResult<String> {
    text.to_cow()
        .map(Into::into)
        .map_err(|_| half_a_pair(place))
}

fn member_value(value: &Bound<'_, PyAny>, place: &ValuePath<'_>) -> PyResult<Option<Scalar>> {
    let inner = value.getattr(intern!(value.py(), "value"))?;
    if is_enum(&inner)? {
        return Err(unsupported(value, place));
    }
    scalar(&inner, place)?
        .map(Some)
        .ok_or_else(|| unsupported(value, place))
}

fn is_enum(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    static ENUM: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    // The exact built-in types are no enums; asking them is the hot path.
    if value.is_exact_instance_of::<PyString>()
        || value.is_exact_instance_of::<PyInt>()
        || value.is_exact_instance_of::<PyFloat>()
    {
        return Ok(false);
    }
    value.is_instance(ENUM.import(value.py(), "enum", "Enum")?)
}

fn decimal_type(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    static DECIMAL: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    DECIMAL.import(py, "decimal", "Decimal")
}

fn int_type(py: Python<'_>) -> Bound<'_, PyType> {
    py.get_type::<PyInt>()
}

fn time_types(py: Python<'_>) -> PyResult<&[Py<PyType>; 2]> {
    static TYPES: PyOnceLock<[Py<PyType>; 2]> = PyOnceLock::new();
    TYPES.get_or_try_init(py, || {
        let datetime = py.import("datetime")?;
        // `datetime.datetime` is a `datetime.date`.
        let named = |name| {
            datetime
                .getattr(name)?
                .cast_into::<PyType>()
                .map_err(|_| PyTypeError::new_err(name))
                .map(Bound::unbind)
        };
        Ok([named("date")?, named("time")?])
    })
}
