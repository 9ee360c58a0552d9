//! What scripts log, and reactions that fail, for the module `logging` of Python.

use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::PyDict;
use reflexarc::Evaluation;

/// The logger of the package.
const PACKAGE: &str = "reflexarc";

/// The logger of what rules do.
const LOGGER: &str = "reflexarc.rules";

/// Passes the lines that scripts logged and the failures of reactions to the logger
/// `reflexarc.rules`: lines with the level INFO, failures with ERROR. Each record has the name of
/// the rule as its attribute `rule`.
pub(crate) fn log(py: Python<'_>, evaluation: &Evaluation) -> PyResult<()> {
    let has_lines = evaluation
        .rules
        .iter()
        .any(|effects| !effects.log.is_empty());
    if !has_lines && evaluation.failures.is_empty() {
        return Ok(());
    }
    for effects in &evaluation.rules {
        for line in &effects.log {
            write(py, intern!(py, "info"), "rule %s: %s", &effects.rule, line)?;
        }
    }
    for failure in &evaluation.failures {
        let (rule, message) = (&failure.rule, &failure.message);
        write(
            py,
            intern!(py, "error"),
            "rule %s failed: %s",
            rule,
            message,
        )?;
    }
    Ok(())
}

fn write(
    py: Python<'_>,
    level: &Bound<'_, pyo3::types::PyString>,
    format: &str,
    rule: &str,
    text: &str,
) -> PyResult<()> {
    let extra = PyDict::new(py);
    extra.set_item(intern!(py, "rule"), rule)?;
    let keywords = PyDict::new(py);
    keywords.set_item(intern!(py, "extra"), extra)?;
    logger(py)?.call_method(level, (format, rule, text), Some(&keywords))?;
    Ok(())
}

fn logger(py: Python<'_>) -> PyResult<&Bound<'_, PyAny>> {
    static LOGGER_OBJECT: PyOnceLock<Py<PyAny>> = PyOnceLock::new();
    let logger = LOGGER_OBJECT.get_or_try_init(py, || {
        let logging = py.import(intern!(py, "logging"))?;
        // As libraries should: without it Python prints errors where a program configures nothing.
        let package = logging.call_method1(intern!(py, "getLogger"), (PACKAGE,))?;
        let silent = logging.call_method0(intern!(py, "NullHandler"))?;
        package.call_method1(intern!(py, "addHandler"), (silent,))?;
        let logger = logging.call_method1(intern!(py, "getLogger"), (LOGGER,))?;
        PyResult::Ok(logger.unbind())
    })?;
    Ok(logger.bind(py))
}
