//! The Python class `EniNotification`.

use std::fmt::Display;

use pyo3::prelude::*;
use pyo3::types::PyTuple;
use reflexarc_event::{EniNotification, Parsed};

use crate::repr::Fields;

/// The notification that an ENI operation has completed. An attribute is `None` if its value is
/// missing, masked or malformed; lists omit such elements.
#[pyclass(name = "EniNotification", module = "reflexarc", frozen, eq, get_all)]
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PyEniNotification {
    /// The event id.
    id: Option<String>,
    /// The ARN: `acs:ecs:<region>:<account>:eni/<id>`.
    resource_id: Option<String>,
    /// The level: INFO for success, WARN for failed.
    level: Option<String>,
    /// The id of the account that receives the event.
    user_id: Option<String>,
    /// The time of completion, as RFC 3339 in UTC.
    event_time: Option<String>,
    /// The region id.
    region_id: Option<String>,
    /// The ENI id.
    eni_id: Option<String>,
    /// The operation: `CreateNetworkInterface`, `AttachNetworkInterface`,
    /// `DetachNetworkInterface` or `DeleteNetworkInterface`.
    operation: Option<String>,
    /// The status of the ENI after the operation: `Available`, `InUse`, `Detaching`, `Deleting`,
    /// `Deleted`, `CreateFailed` …
    eni_status: Option<String>,
    /// The result of the operation.
    result: Option<String>,
    /// The id of the API request that started the operation.
    request_id: Option<String>,
    /// The primary private address.
    primary_private_ip: Option<String>,
    /// The secondary private addresses.
    secondary_private_ips: Vec<String>,
    /// The secondary private prefixes.
    ipv4_prefixes: Vec<String>,
    /// The IPv6 addresses.
    ipv6s: Vec<String>,
    /// The IPv6 prefixes.
    ipv6_prefixes: Vec<String>,
}

impl From<&EniNotification> for PyEniNotification {
    fn from(eni: &EniNotification) -> Self {
        Self {
            id: text(&eni.id),
            resource_id: text(&eni.resource_id),
            level: text(&eni.level),
            user_id: text(&eni.user_id),
            event_time: text(&eni.event_time),
            region_id: text(&eni.region_id),
            eni_id: text(&eni.eni_id),
            operation: text(&eni.operation),
            eni_status: text(&eni.eni_status),
            result: text(&eni.result),
            request_id: text(&eni.request_id),
            primary_private_ip: text(&eni.primary_private_ip),
            secondary_private_ips: texts(&eni.secondary_private_ips),
            ipv4_prefixes: texts(&eni.ipv4_prefixes),
            ipv6s: texts(&eni.ipv6s),
            ipv6_prefixes: texts(&eni.ipv6_prefixes),
        }
    }
}

#[pymethods]
impl PyEniNotification {
    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let fields = Fields::new(py, "EniNotification")
            .optional("operation", self.operation.as_deref())?
            .optional("eni_id", self.eni_id.as_deref())?
            .optional("eni_status", self.eni_status.as_deref())?
            .optional("result", self.result.as_deref())?;
        Ok(fields.finish())
    }

    fn __copy__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __deepcopy__(slf: Py<Self>, _memo: &Bound<'_, PyAny>) -> Py<Self> {
        slf
    }

    fn __reduce__<'py>(
        slf: &Bound<'py, Self>,
    ) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let this = slf.get().clone();
        let texts = vec![
            this.id,
            this.resource_id,
            this.level,
            this.user_id,
            this.event_time,
            this.region_id,
            this.eni_id,
            this.operation,
            this.eni_status,
            this.result,
            this.request_id,
            this.primary_private_ip,
        ];
        let lists = vec![
            this.secondary_private_ips,
            this.ipv4_prefixes,
            this.ipv6s,
            this.ipv6_prefixes,
        ];
        let rebuild = slf.get_type().getattr("_rebuild")?;
        Ok((rebuild, (texts, lists).into_pyobject(slf.py())?))
    }

    #[staticmethod]
    fn _rebuild(texts: [Option<String>; 12], lists: [Vec<String>; 4]) -> Self {
        let [
            id,
            resource_id,
            level,
            user_id,
            event_time,
            region_id,
            eni_id,
            operation,
            eni_status,
            result,
            request_id,
            primary_private_ip,
        ] = texts;
        let [secondary_private_ips, ipv4_prefixes, ipv6s, ipv6_prefixes] = lists;
        Self {
            id,
            resource_id,
            level,
            user_id,
            event_time,
            region_id,
            eni_id,
            operation,
            eni_status,
            result,
            request_id,
            primary_private_ip,
            secondary_private_ips,
            ipv4_prefixes,
            ipv6s,
            ipv6_prefixes,
        }
    }
}

fn text<T: Display>(field: &Parsed<T>) -> Option<String> {
    field.value().map(ToString::to_string)
}

fn texts<T: Display>(fields: &[Parsed<T>]) -> Vec<String> {
    fields.iter().filter_map(text).collect()
}
