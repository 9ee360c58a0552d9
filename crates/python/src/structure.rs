//! Values of well-known types outside of JSON: instances of dataclasses, named tuples, attrs
//! classes and pydantic models, numpy scalars and arrays, UUIDs, addresses, paths.
//!
//! Types of libraries are recognised by their attributes and modules, so that none is imported.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyList, PyMapping, PyString, PyTuple, PyType};
use reflexarc_event::Limits;

use crate::convert::{Scalar, ValuePath, is_enum, replaced, scalar};
use crate::dict_walk::is_plain_scalar;

/// What a value is that is not a scalar.
pub(crate) enum Structure<'py> {
    /// A dict of its fields or a list of its elements, one level deep where possible.
    Plain(Bound<'py, PyAny>),
    /// A value of a type that has no JSON form here, whatever else it is.
    Unsupported,
    /// A value of any other type.
    Unknown,
}

/// Reads the structure of a value that is not a scalar.
pub(crate) fn plain<'py>(
    value: &Bound<'py, PyAny>,
    path: &ValuePath<'_>,
) -> PyResult<Structure<'py>> {
    let py = value.py();
    // An enum is its value, which is not a scalar. It may be a dataclass or tuple as well.
    if is_enum(value)? {
        return Ok(Structure::Unsupported);
    }
    // Looked up on the type: an instance may answer any name (`unittest.mock.Mock`), and a class
    // is not an instance of itself.
    let kind = value.get_type();
    if kind.hasattr(intern!(py, "__dataclass_fields__"))? {
        // `fields` leaves out class variables, which that attribute has too.
        let fields = py
            .import(intern!(py, "dataclasses"))?
            .call_method1(intern!(py, "fields"), (value,))?;
        return named_fields(value, fields.try_iter()?).map(Structure::Plain);
    }
    // As a list a named tuple would lose the names that a path needs.
    let as_dict = intern!(py, "_asdict");
    if value.is_instance_of::<PyTuple>()
        && kind.hasattr(intern!(py, "_fields"))?
        && kind.hasattr(as_dict)?
    {
        return value.call_method0(as_dict).map(Structure::Plain);
    }
    if let Some(attributes) = kind.getattr_opt(intern!(py, "__attrs_attrs__"))? {
        return named_fields(value, attributes.try_iter()?).map(Structure::Plain);
    }
    let (current, first) = (intern!(py, "model_dump"), intern!(py, "dict"));
    let dump = if kind.hasattr(current)? && kind.hasattr(intern!(py, "model_fields"))? {
        current
    } else if kind.hasattr(first)? && kind.hasattr(intern!(py, "__fields__"))? {
        first
    } else {
        return numpy_array(value, path);
    };
    // The aliases are the names that the model has as JSON: eniId for a field eni_id.
    let arguments = PyDict::new(py);
    arguments.set_item(intern!(py, "by_alias"), true)?;
    let fields = value.call_method(dump, (), Some(&arguments));
    fields.map(Structure::Plain)
}

/// The value itself, or what [`plain`] or `default` makes of it, so that it is known whether it is
/// an object or an array.
pub(crate) fn plain_if_unusual<'py>(
    value: &Bound<'py, PyAny>,
    path: &ValuePath<'_>,
) -> PyResult<Bound<'py, PyAny>> {
    let mut value = value.clone();
    // `default` may give another value of an unusual type, and the same one again.
    for _ in 0..Limits::DEFAULT.depth {
        // The look-ups of `plain` would cost more than testing a value of the usual types.
        let is_usual = is_plain_scalar(&value)
            || value.is_instance_of::<PyDict>()
            || value.is_instance_of::<PyList>()
            || value.is_exact_instance_of::<PyTuple>();
        if is_usual {
            return Ok(value);
        }
        let structure = plain(&value, path)?;
        if let Structure::Plain(plain) = structure {
            return Ok(plain);
        }
        if path.default().is_none() || scalar(&value, path)?.is_some() {
            return Ok(value);
        }
        let is_container = value.is_instance_of::<PyTuple>() || value.cast::<PyMapping>().is_ok();
        if is_container && matches!(structure, Structure::Unknown) {
            return Ok(value);
        }
        value = replaced(&value, path)?;
    }
    Err(path.error("`default` gives no value with a JSON form"))
}

/// A scalar of a type outside of the language itself; `None` for values of all other types.
pub(crate) fn library_scalar(
    value: &Bound<'_, PyAny>,
    path: &ValuePath<'_>,
) -> PyResult<Option<Scalar>> {
    let py = value.py();
    for kind in text_types(py)? {
        if value.is_instance(kind.bind(py))? {
            return text(value);
        }
    }
    if !is_numpy(value, "generic")? {
        return Ok(None);
    }
    match numpy_kind(value)?.as_str() {
        // `item` gives a Python value, of a `longdouble` the same again.
        "b" | "i" | "u" | "f" => {
            let item = value.call_method0(intern!(py, "item"))?;
            if item.is(value) || is_numpy(&item, "generic")? {
                return Ok(None);
            }
            scalar(&item, path)
        }
        // `item` of nanoseconds would be an integer.
        "M" => match value.str()?.to_str()? {
            "NaT" => Err(path.error("NaT is not a time")),
            time => Ok(Some(Scalar::Text(time.to_owned()))),
        },
        _ => Ok(None),
    }
}

/// A numpy array as a list of Python values, or of numpy scalars where those say more.
fn numpy_array<'py>(value: &Bound<'py, PyAny>, path: &ValuePath<'_>) -> PyResult<Structure<'py>> {
    if !is_numpy(value, "ndarray")? {
        return Ok(Structure::Unknown);
    }
    let py = value.py();
    let list = match numpy_kind(value)?.as_str() {
        "b" | "i" | "u" | "f" | "O" | "U" => value.call_method0(intern!(py, "tolist"))?,
        "M" => {
            let texts = value.call_method1(intern!(py, "astype"), (intern!(py, "str"),))?;
            let texts = texts.call_method0(intern!(py, "tolist"))?;
            if texts.repr()?.to_str()?.contains("'NaT'") {
                return Err(path.error("NaT is not a time"));
            }
            texts
        }
        _ => return Ok(Structure::Unsupported),
    };
    Ok(Structure::Plain(list))
}

/// A dict of the fields of a value, whose descriptions have the attribute `name`.
fn named_fields<'py>(
    value: &Bound<'py, PyAny>,
    fields: impl Iterator<Item = PyResult<Bound<'py, PyAny>>>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = value.py();
    let members = PyDict::new(py);
    for field in fields {
        let name = field?
            .getattr(intern!(py, "name"))?
            .cast_into::<PyString>()?;
        members.set_item(&name, value.getattr(&name)?)?;
    }
    Ok(members.into_any())
}

fn text(value: &Bound<'_, PyAny>) -> PyResult<Option<Scalar>> {
    Ok(Some(Scalar::Text(value.str()?.to_str()?.to_owned())))
}

/// The kind of a numpy type: `i`, `u`, `f` …
fn numpy_kind(value: &Bound<'_, PyAny>) -> PyResult<String> {
    let py = value.py();
    value
        .getattr(intern!(py, "dtype"))?
        .getattr(intern!(py, "kind"))?
        .extract()
}

/// Whether a value is an instance of a class of numpy, without importing it.
fn is_numpy(value: &Bound<'_, PyAny>, class: &str) -> PyResult<bool> {
    let py = value.py();
    if !value.hasattr(intern!(py, "dtype"))? {
        return Ok(false);
    }
    let modules = py
        .import(intern!(py, "sys"))?
        .getattr(intern!(py, "modules"))?;
    match modules
        .cast_into::<PyDict>()?
        .get_item(intern!(py, "numpy"))?
    {
        Some(numpy) => value.is_instance(&numpy.getattr(class)?),
        None => Ok(false),
    }
}

/// Types whose text is what an event would have.
fn text_types(py: Python<'_>) -> PyResult<&[Py<PyType>]> {
    static TYPES: PyOnceLock<Vec<Py<PyType>>> = PyOnceLock::new();
    let types = TYPES.get_or_try_init(py, || {
        [
            ("uuid", "UUID"),
            ("pathlib", "PurePath"),
            ("ipaddress", "IPv4Address"),
            ("ipaddress", "IPv6Address"),
            ("ipaddress", "IPv4Network"),
            ("ipaddress", "IPv6Network"),
        ]
        .into_iter()
        .map(|(module, name)| {
            Ok(py
                .import(module)?
                .getattr(name)?
                .cast_into::<PyType>()?
                .unbind())
        })
        .collect::<PyResult<Vec<_>>>()
    })?;
    Ok(types)
}
