//! The tokio runtime on which deliveries are sent, one for the process.

use std::mem::ManuallyDrop;
use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;
use tokio::runtime::{Builder, Handle, Runtime};

/// The runtime with the id of the process that started it.
static RUNTIME: Mutex<Option<(u32, ManuallyDrop<Runtime>)>> = Mutex::new(None);

/// Threads that send. What blocks, such as writing files, has threads of its own.
const WORKERS: usize = 2;

/// The runtime of this process, started when it is needed first.
pub(crate) fn handle() -> PyResult<Handle> {
    let mut runtime = RUNTIME.lock().unwrap_or_else(PoisonError::into_inner);
    let process = std::process::id();
    if let Some((started_by, runtime)) = &*runtime
        && *started_by == process
    {
        return Ok(runtime.handle().clone());
    }
    let started = Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .thread_name("reflexarc")
        .enable_all()
        .build()?;
    let handle = started.handle().clone();
    // After a fork there is one of the parent, without its threads. It is never dropped: that would
    // wait for them.
    *runtime = Some((process, ManuallyDrop::new(started)));
    Ok(handle)
}
