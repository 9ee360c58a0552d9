//! The buffers of the matcher.

use std::cell::RefCell;

use reflexarc_pattern::Scratch;

thread_local! {
    /// The matcher's buffers, allocated once per thread.
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

/// Calls `work` with the buffers of the thread.
///
/// A mapping is Python code, which may itself match an event while it is read; such an inner call
/// finds the buffers in use and gets its own.
pub(crate) fn with_scratch<T>(work: impl FnOnce(&mut Scratch) -> T) -> T {
    SCRATCH.with(|cell| match cell.try_borrow_mut() {
        Ok(mut kept) => work(&mut kept),
        Err(_) => work(&mut Scratch::new()),
    })
}
