//! Conversion of Python values to JSON and back.
//!
//! | Python | JSON |
//! |---|---|
//! | `None`, `bool`, `str` | the same |
//! | `int` of any size | its digits |
//! | `float` | the shortest decimal that reads back as the same float; not NaN or infinite |
//! | `decimal.Decimal` | its exact value; not NaN or infinite |
//! | `datetime`, `date`, `time` | the text of `isoformat()` |
//! | `enum.Enum` | its value |
//! | `uuid.UUID`, addresses and networks of `ipaddress`, paths | the text of `str()` |
//! | a numpy scalar | as the Python value of its kind; `datetime64`: the text of `str()` |
//! | `list`, `tuple`, a numpy array | an array |
//! | `dict` and other mappings | an object; keys must be strings |
//! | an instance of a dataclass or an attrs class | an object of its fields |
//! | an instance of a pydantic model | an object of its fields, under their aliases |
//!
//! Everything else is an error with the path to the value, also what has no one meaning: sets have
//! no order, bytes no encoding, `NaT` and `pandas.NA` no value. A caller may pass a function that
//! replaces values of other types, as `json.dumps` takes one.

use std::fmt::Write as _;

use pyo3::exceptions::PyTypeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBool, PyDict, PyFloat, PyInt, PyList, PyMapping, PyString, PyTuple, PyType};
use reflexarc_event::{Decimal, Json, Limits};

use crate::error::EventError;
use crate::structure::{self, Structure};

/// A scalar in its JSON form.
pub(crate) enum Scalar {
    Null,
    Bool(bool),
    /// An `int` in the range of `i64`: matching compares it without parsing digits.
    Integer(i64),
    Number(String),
    Text(String),
}

/// The position of a value inside the argument, for messages. It borrows its parents, so that
/// a walk without errors allocates nothing for it.
pub(crate) enum ValuePath<'a> {
    /// The event.
    Root,
    /// The event, and the function that replaces values without a JSON form.
    WithDefault(&'a Py<PyAny>),
    /// Another argument than an event.
    Named(&'static str),
    Key(&'a ValuePath<'a>, &'a str),
    Index(&'a ValuePath<'a>, usize),
}

impl<'a> ValuePath<'a> {
    /// The event itself, with the argument `default` of the caller.
    pub(crate) fn event(default: Option<&'a Bound<'_, PyAny>>) -> Self {
        default.map_or(Self::Root, |default| {
            Self::WithDefault(default.as_unbound())
        })
    }

    /// The function that replaces values without a JSON form.
    pub(crate) fn default(&self) -> Option<&Py<PyAny>> {
        match self {
            ValuePath::WithDefault(default) => Some(default),
            ValuePath::Key(outer, _) | ValuePath::Index(outer, _) => outer.default(),
            ValuePath::Root | ValuePath::Named(_) => None,
        }
    }

    fn describe(&self, text: &mut String) {
        match self {
            ValuePath::Root | ValuePath::WithDefault(_) => text.push_str("event"),
            ValuePath::Named(name) => text.push_str(name),
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

    /// An error about the value at this path.
    pub(crate) fn error(&self, message: impl std::fmt::Display) -> PyErr {
        let mut path = String::new();
        self.describe(&mut path);
        EventError::new_err(format!("{path}: {message}"))
    }
}

/// The whole value as JSON; an error for values without a JSON form.
pub(crate) fn to_json(value: &Bound<'_, PyAny>, path: &ValuePath<'_>) -> PyResult<Json> {
    to_json_within(value, path, Limits::DEFAULT.depth)
}

fn to_json_within(value: &Bound<'_, PyAny>, path: &ValuePath<'_>, depth: usize) -> PyResult<Json> {
    if let Some(scalar) = scalar(value, path)? {
        return Ok(match scalar {
            Scalar::Null => Json::Null,
            Scalar::Bool(value) => Json::Bool(value),
            Scalar::Integer(value) => Json::from(value),
            Scalar::Number(text) => Json::Number(text.into()),
            Scalar::Text(text) => Json::String(text),
        });
    }
    let Some(left) = depth.checked_sub(1) else {
        return Err(path.error(format!(
            "more than {} levels of arrays and objects",
            Limits::DEFAULT.depth
        )));
    };
    if let Ok(dict) = value.cast::<PyDict>() {
        let mut members = Vec::with_capacity(dict.len());
        for (key, value) in dict {
            let key = key_text(&key, path)?;
            let value = to_json_within(&value, &ValuePath::Key(path, &key), left)?;
            members.push((key, value));
        }
        return Ok(Json::Object(members));
    }
    if let Ok(list) = value.cast::<PyList>() {
        return elements(list.iter(), path, left);
    }
    if let Ok(tuple) = value.cast_exact::<PyTuple>() {
        return elements(tuple.iter(), path, left);
    }
    match structure::plain(value, path)? {
        Structure::Plain(plain) => return to_json_within(&plain, path, depth),
        Structure::Unsupported => return to_json_within(&replaced(value, path)?, path, left),
        Structure::Unknown => {}
    }
    if let Ok(tuple) = value.cast::<PyTuple>() {
        return elements(tuple.iter(), path, left);
    }
    if let Ok(mapping) = value.cast::<PyMapping>() {
        let mut members = Vec::new();
        for item in mapping.items()?.iter() {
            let (key, value): (Bound<'_, PyAny>, Bound<'_, PyAny>) = item.extract()?;
            let key = key_text(&key, path)?;
            let value = to_json_within(&value, &ValuePath::Key(path, &key), left)?;
            members.push((key, value));
        }
        return Ok(Json::Object(members));
    }
    // One level less, because `default` may give the same value again.
    to_json_within(&replaced(value, path)?, path, left)
}

fn elements<'py>(
    items: impl Iterator<Item = Bound<'py, PyAny>>,
    path: &ValuePath<'_>,
    left: usize,
) -> PyResult<Json> {
    items
        .enumerate()
        .map(|(index, item)| to_json_within(&item, &ValuePath::Index(path, index), left))
        .collect::<PyResult<Vec<_>>>()
        .map(Json::Array)
}

/// The value as a scalar; `None` for containers and for types without a JSON form.
pub(crate) fn scalar(value: &Bound<'_, PyAny>, path: &ValuePath<'_>) -> PyResult<Option<Scalar>> {
    let py = value.py();
    // `StrEnum`, `IntEnum` and the like are enums as well as scalars. Their `value` counts, not
    // their `str()`, which depends on the Python version.
    if let Ok(text) = value.cast::<PyString>() {
        if is_enum(value)? {
            return member_value(value, path);
        }
        return text_of(text, path).map(|text| Some(Scalar::Text(text.to_owned())));
    }
    if value.is_none() {
        return Ok(Some(Scalar::Null));
    }
    // Before `int`, of which `bool` is a subclass.
    if let Ok(flag) = value.cast::<PyBool>() {
        return Ok(Some(Scalar::Bool(flag.is_true())));
    }
    if value.is_instance_of::<PyInt>() {
        if is_enum(value)? {
            return member_value(value, path);
        }
        if let Ok(number) = value.extract() {
            return Ok(Some(Scalar::Integer(number)));
        }
        // Subclasses may override `__repr__`, so that of `int` is called.
        let digits = int_type(py).call_method1(intern!(py, "__repr__"), (value,))?;
        return Ok(Some(Scalar::Number(digits.extract()?)));
    }
    if let Ok(float) = value.cast::<PyFloat>() {
        if is_enum(value)? {
            return member_value(value, path);
        }
        let number = float.value();
        if !number.is_finite() {
            return Err(path.error(format!("{number} is not a JSON number")));
        }
        // `{:?}` is the shortest decimal that reads back as the same float: 0.1 stays `0.1`,
        // although its exact value has 55 digits.
        return Ok(Some(Scalar::Number(format!("{number:?}"))));
    }
    if value.is_instance(decimal_type(py)?)? {
        if !value.call_method0(intern!(py, "is_finite"))?.is_truthy()? {
            return Err(path.error(format!("{value} is not a JSON number")));
        }
        // The text of a `Decimal` is a JSON number with all its digits: 1E+400 does not overflow.
        return Ok(Some(Scalar::Number(value.str()?.to_str()?.to_owned())));
    }
    if is_enum(value)? {
        return member_value(value, path);
    }
    for kind in time_types(py)? {
        if value.is_instance(kind.bind(py))? {
            let text: String = value.call_method0(intern!(py, "isoformat"))?.extract()?;
            // `pandas.NaT` is a `datetime`.
            return if text == "NaT" {
                Err(path.error("NaT is not a time"))
            } else {
                Ok(Some(Scalar::Text(text)))
            };
        }
    }
    structure::library_scalar(value, path)
}

/// JSON as Python values.
///
/// A number without point and exponent becomes an `int`, others a `float`, or a `Decimal` if a
/// float would lose digits.
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

/// The string as UTF-8, in the form that Python caches in it.
pub(crate) fn text_of<'a>(
    text: &'a Bound<'_, PyString>,
    path: &ValuePath<'_>,
) -> PyResult<&'a str> {
    text.to_str().map_err(|_| lone_surrogate(path))
}

/// A key of a mapping; an error if it is not a string.
pub(crate) fn key_text(key: &Bound<'_, PyAny>, path: &ValuePath<'_>) -> PyResult<String> {
    match key.cast::<PyString>() {
        Ok(text) => text_of(text, path).map(str::to_owned),
        Err(_) => Err(path.error(format!("the key {} is not a string", key.repr()?))),
    }
}

/// What `default` makes of a value that has no JSON form; an error if the caller gave none.
pub(crate) fn replaced<'py>(
    value: &Bound<'py, PyAny>,
    path: &ValuePath<'_>,
) -> PyResult<Bound<'py, PyAny>> {
    match path.default() {
        Some(default) => default.bind(value.py()).call1((value,)),
        None => Err(unsupported(value, path)),
    }
}

/// The error for a value without a JSON form.
fn unsupported(value: &Bound<'_, PyAny>, path: &ValuePath<'_>) -> PyErr {
    let kind = value
        .get_type()
        .name()
        .map_or_else(|_| "unknown".to_owned(), |name| name.to_string());
    path.error(format!("a value of type {kind} has no JSON form"))
}

fn lone_surrogate(path: &ValuePath<'_>) -> PyErr {
    path.error("the string has a lone surrogate, which UTF-8 cannot encode")
}

fn number<'py>(py: Python<'py>, text: &str) -> PyResult<Bound<'py, PyAny>> {
    if !text.contains(['.', 'e', 'E']) {
        return int_type(py).call1((text,));
    }
    // 0.5 and 0.50 fit a float; 0.1234567890123456789 would become 0.12345678901234568.
    match text.parse::<f64>() {
        Ok(number)
            if text
                .parse::<Decimal>()
                .is_ok_and(|exact| exact.fits_double()) =>
        {
            Ok(PyFloat::new(py, number).into_any())
        }
        _ => decimal_type(py)?.call1((text,)),
    }
}

/// The scalar value of an enum member; `None` if its value is not one.
fn member_value(value: &Bound<'_, PyAny>, path: &ValuePath<'_>) -> PyResult<Option<Scalar>> {
    let inner = value.getattr(intern!(value.py(), "value"))?;
    if is_enum(&inner)? {
        return Ok(None);
    }
    scalar(&inner, path)
}

/// Whether a value is a member of an enum.
pub(crate) fn is_enum(value: &Bound<'_, PyAny>) -> PyResult<bool> {
    static ENUM: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    // Almost all values have exactly these types, which are not enums; `isinstance` is slow.
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
