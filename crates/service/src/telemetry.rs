//! What the service reports about itself: logs, metrics and traces.

mod collector;
mod exporter;
mod log;
mod metrics;
mod otlp;
mod problems;
mod traces;

pub use self::collector::{Collector, InvalidCollectorUrl};
pub(crate) use self::exporter::ExporterHandle;
pub(crate) use self::log::check_filter;
pub use self::log::{LogFormat, LoggingError, Redactor, start_logging};
pub use self::metrics::{
    CallLabel, FiringLabel, Metrics, OutcomeLabel, RuleLabel, SourceLabel, SourceMessageLabel,
    StatusLabel, TargetLabel, TargetStateLabel,
};
pub(crate) use self::problems::{ProblemKind, Problems};
pub use self::traces::Telemetry;
pub(crate) use self::traces::{Span, Stage};
