//! The Python class `Targets`.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use pyo3::exceptions::{PyKeyError, PyRuntimeError, PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyCFunction, PyDict, PyTuple};
use reflexarc::InvalidFiles;
use reflexarc_delivery::{Delivery, DirectDispatch, Dispatched};
use reflexarc_service::config::TargetSettings;
use tokio::time::timeout as timeout_in;

use crate::action::PyAction;
use crate::delivery_runtime;
use crate::error::{ConfigError, catch_panics, exception_with};
use crate::receipt::PyReceipt;
use crate::rules::diagnostics_of;
use crate::state_file::io_error;

/// The targets of a configuration: receivers of actions by name, as the service has them.
///
/// Read by `Targets.load` from a `reflexarc.toml`. Each target has its retry policy, rate limit,
/// order and circuit breaker, and HTTP goes only to the addresses that the egress guard permits.
/// Nothing is kept on the disk: a program that ends before `deliver` has returned delivers again,
/// under the same ids. Targets can be shared between threads and event loops.
///
/// >>> targets = Targets.from_toml('[targets.log]\ntype = "stdout"')
/// >>> targets.names
/// ['log']
#[pyclass(name = "Targets", module = "reflexarc", frozen)]
pub(crate) struct PyTargets {
    source: Source,
    names: Vec<String>,
    /// With the id of the process that started it.
    started: Mutex<(u32, Arc<DirectDispatch>)>,
}

/// Where the configuration comes from.
enum Source {
    File(PathBuf),
    Text { text: String, folder: PathBuf },
}

/// How often a call that waits looks for signals, such as Ctrl-C.
const SIGNAL_INTERVAL: Duration = Duration::from_millis(50);

impl Source {
    /// Reads the configuration and starts the queues of its targets.
    fn start(&self, py: Python<'_>) -> PyResult<DirectDispatch> {
        let runtime = delivery_runtime::handle()?;
        let started = py.detach(|| {
            let environment = |name: &str| std::env::var(name).ok();
            let settings = match self {
                Self::File(path) => TargetSettings::load(path, &environment),
                Self::Text { text, folder } => TargetSettings::read(text, folder, &environment),
            }?;
            let redactor = settings.redactor;
            // Queues are tasks of the runtime.
            let _entered = runtime.enter();
            let redact = Arc::new(move |text: &str| redactor.redact(text));
            Ok(DirectDispatch::start(settings.targets, &(redact as _)))
        });
        started.map_err(|error| config_error(py, &error))
    }
}

impl PyTargets {
    fn start(py: Python<'_>, source: Source) -> PyResult<Self> {
        let dispatch = source.start(py)?;
        Ok(Self {
            names: dispatch.names().to_vec(),
            started: Mutex::new((std::process::id(), Arc::new(dispatch))),
            source,
        })
    }

    /// The queues of this process. After a fork they are started again: those of the parent have no
    /// threads here.
    fn dispatch(&self, py: Python<'_>) -> PyResult<Arc<DirectDispatch>> {
        let process = std::process::id();
        {
            let started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
            if started.0 == process {
                return Ok(started.1.clone());
            }
        }
        let dispatch = Arc::new(self.source.start(py)?);
        let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        if started.0 != process {
            let of_parent = std::mem::replace(&mut *started, (process, dispatch));
            // Dropping it would use the runtime of the parent.
            std::mem::forget(of_parent);
        }
        Ok(started.1.clone())
    }

    /// Begins to deliver, and returns the actions with a future of what becomes of them.
    fn begin(
        &self,
        actions: &Bound<'_, PyAny>,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<(
        Vec<Py<PyAction>>,
        impl Future<Output = Vec<Dispatched>> + Send + use<>,
    )> {
        let timeout = timeout.map(duration).transpose()?;
        let mut read = Vec::new();
        for action in actions.try_iter()? {
            let action = action?;
            let action = action.cast::<PyAction>().map_err(|_| {
                let found = action.get_type().name().map(|name| name.to_string());
                let found = found.unwrap_or_else(|_| "another value".to_owned());
                PyTypeError::new_err(format!("expected an iterable of Action, found {found}"))
            })?;
            read.push(action.clone().unbind());
        }
        let now = Timestamp::now();
        let deliveries = read.iter().map(|action| action.get().delivery(now));
        let deliveries: Vec<Delivery> = deliveries.collect();
        let dispatch = self.dispatch(actions.py())?;
        Ok((read, dispatch.deliver(deliveries, timeout)))
    }
}

#[pymethods]
impl PyTargets {
    /// Read the targets of a configuration, with the secrets that they name. The rest of the
    /// configuration has to be valid too; its secrets are not needed.
    ///
    /// Raises:
    ///     ConfigError: if it is invalid, or a secret is missing.
    ///     FileNotFoundError: if there is no such file.
    #[staticmethod]
    fn load(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        catch_panics(|| {
            if let Err(error) = std::fs::metadata(&path) {
                return Err(io_error(&error, &path));
            }
            Self::start(py, Source::File(path))
        })
    }

    /// Read the targets of a configuration that is a text.
    ///
    /// Args:
    ///     text: the text of a `reflexarc.toml`.
    ///     folder: where relative paths start from, by default the current folder.
    ///
    /// Raises:
    ///     ConfigError: if it is invalid, or a secret is missing.
    #[staticmethod]
    #[pyo3(signature = (text, *, folder = None))]
    fn from_toml(py: Python<'_>, text: String, folder: Option<PathBuf>) -> PyResult<Self> {
        catch_panics(|| {
            let folder = folder.unwrap_or_else(|| Path::new("").to_owned());
            Self::start(py, Source::Text { text, folder })
        })
    }

    /// The names of the targets, in the order of the configuration.
    #[getter]
    fn names(&self) -> Vec<String> {
        self.names.clone()
    }

    /// Deliver actions and wait until each was delivered or answered, or is undeliverable.
    /// Actions with `after` are delivered now: when they are due is the caller's to decide.
    ///
    /// Different targets, and actions about different resources, are delivered at the same time,
    /// those of one resource one after another. The interpreter lock is released, and Ctrl-C
    /// interrupts it: then attempts that are running are finished, and no further ones made.
    ///
    /// Args:
    ///     actions: an iterable of actions.
    ///     timeout: seconds, or a timedelta, after which what is left is given up: as undeliverable
    ///         with the cause "expired", a call as answered with "OutcomeUnknown" if it may have
    ///         been executed, else "Expired". By default as long as the retry policies say, which
    ///         may be a day.
    ///
    /// Returns:
    ///     A receipt for each action, in their order.
    ///
    /// >>> rules = RuleSet.from_rules({"failed": '''
    /// ... when = 'result == "failed"'
    /// ... then = 'notify("ops", "attach failed")'
    /// ... '''})
    /// >>> targets = Targets.from_toml('[targets.log]\ntype = "stdout"')
    /// >>> receipt, = targets.deliver(rules.evaluate({"result": "failed"}).actions)
    /// >>> receipt.status, receipt.error
    /// ('undeliverable', 'unknown target `ops`; known targets: log')
    #[pyo3(signature = (actions, *, timeout = None))]
    fn deliver(
        &self,
        py: Python<'_>,
        actions: &Bound<'_, PyAny>,
        timeout: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<Vec<PyReceipt>> {
        catch_panics(|| {
            let (actions, delivering) = self.begin(actions, timeout)?;
            if actions.is_empty() {
                return Ok(Vec::new());
            }
            let runtime = delivery_runtime::handle()?;
            let mut task = runtime.spawn(delivering);
            loop {
                let waited = py.detach(|| {
                    runtime.block_on(async { timeout_in(SIGNAL_INTERVAL, &mut task).await })
                });
                match waited {
                    Ok(Ok(dispatched)) => return Ok(receipts(actions, dispatched)),
                    Ok(Err(error)) => return Err(PyRuntimeError::new_err(error.to_string())),
                    Err(_) => {}
                }
                if let Err(interrupt) = py.check_signals() {
                    task.abort();
                    return Err(interrupt);
                }
            }
        })
    }

    /// Deliver actions as `deliver` does, from within an event loop. Cancelling the future has
    /// the effect of Ctrl-C.
    ///
    /// Returns:
    ///     A future of the receipts, to await.
    #[pyo3(signature = (actions, *, timeout = None))]
    fn deliver_async<'py>(
        &self,
        py: Python<'py>,
        actions: &Bound<'py, PyAny>,
        timeout: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyAny>> {
        catch_panics(|| {
            let event_loop = py.import("asyncio")?.call_method0("get_running_loop")?;
            let future = event_loop.call_method0("create_future")?;
            let (actions, delivering) = self.begin(actions, timeout)?;
            let (waiting, event_loop) = (future.clone().unbind(), event_loop.unbind());
            let task = delivery_runtime::handle()?.spawn(async move {
                let dispatched = delivering.await;
                // Not while the interpreter shuts down: no task is waiting then.
                Python::try_attach(|py| {
                    let receipts = receipts(actions, dispatched);
                    // Fails where the loop was closed meanwhile.
                    drop(resolve(py, &event_loop, waiting, receipts));
                });
            });
            let task = task.abort_handle();
            let abort = move |_: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| task.abort();
            let abort = PyCFunction::new_closure(py, None, None, abort)?;
            future.call_method1("add_done_callback", (abort,))?;
            Ok(future)
        })
    }

    /// Let a target make changes again that has reached a limit of its `max_changes`, which
    /// counts the changes of these `Targets`. Returns whether it was stopped.
    ///
    /// Raises:
    ///     KeyError: if there is no such target.
    fn resume(&self, py: Python<'_>, target: &str) -> PyResult<bool> {
        catch_panics(|| {
            let resumed = self.dispatch(py)?.resume(target);
            resumed.ok_or_else(|| PyKeyError::new_err(target.to_owned()))
        })
    }

    fn __repr__(&self) -> String {
        format!("<Targets: {}>", self.names.join(", "))
    }
}

fn receipts(actions: Vec<Py<PyAction>>, dispatched: Vec<Dispatched>) -> Vec<PyReceipt> {
    let receipts = actions.into_iter().zip(dispatched);
    receipts
        .map(|(action, dispatched)| PyReceipt::new(action, dispatched))
        .collect()
}

/// Has the event loop set the result of a future, unless it was cancelled by then.
fn resolve(
    py: Python<'_>,
    event_loop: &Py<PyAny>,
    future: Py<PyAny>,
    receipts: Vec<PyReceipt>,
) -> PyResult<()> {
    let receipts = receipts.into_pyobject(py)?.unbind();
    let set = move |arguments: &Bound<'_, PyTuple>, _: Option<&Bound<'_, PyDict>>| {
        let future = future.bind(arguments.py());
        if !future.call_method0("done")?.is_truthy()? {
            future.call_method1("set_result", (receipts.bind(arguments.py()),))?;
        }
        Ok::<(), PyErr>(())
    };
    let set = PyCFunction::new_closure(py, None, None, set)?;
    event_loop.call_method1(py, "call_soon_threadsafe", (set,))?;
    Ok(())
}

/// A number of seconds, or a `timedelta`.
fn duration(value: &Bound<'_, PyAny>) -> PyResult<Duration> {
    let seconds: f64 = if value.hasattr("total_seconds")? {
        value.call_method0("total_seconds")?.extract()?
    } else {
        value.extract().map_err(|_| {
            PyTypeError::new_err("invalid timeout: expected seconds, a timedelta or None")
        })?
    };
    Duration::try_from_secs_f64(seconds).map_err(|_| {
        PyValueError::new_err(format!("invalid timeout {seconds}: expected 0 or more"))
    })
}

fn config_error(py: Python<'_>, error: &InvalidFiles) -> PyErr {
    let diagnostics = error.files().iter().flat_map(diagnostics_of).collect();
    exception_with::<ConfigError>(py, error.to_string(), diagnostics)
}
