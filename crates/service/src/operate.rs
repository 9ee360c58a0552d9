//! What operators use: traces, replay, and a client of a running service.

mod problem_checks;
mod remote;
mod replay;
mod trace;

pub(crate) use self::problem_checks::{check_clock, check_regularly};
pub use self::remote::{Remote, RemoteError, Sent};
pub use self::replay::{Replay, Replayed};
pub use self::trace::{delivery_to_json, trace};
