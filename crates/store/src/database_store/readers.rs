//! Connections that read, used again and again.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::StoreError;
use crate::database::Connection;
use crate::engine::Engine;

/// The connections of a store that read.
#[derive(Default)]
pub(super) struct Readers {
    state: Mutex<State>,
    /// A connection was given back or closed.
    freed: Condvar,
}

#[derive(Default)]
struct State {
    /// Those that are not in use.
    // Grows to the largest number of readers at one time and stays there. Opening one costs a few
    // file operations and compiling its statements again, more than most queries.
    spare: Vec<Connection>,
    /// How many are in use.
    used: usize,
}

impl Readers {
    /// Runs a query on a connection that no one else uses meanwhile.
    pub(super) fn read<T, E: Engine>(
        &self,
        engine: &E,
        query: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut state = self.lock();
        while state.used >= E::MAX_READERS {
            let waited = self.freed.wait(state);
            state = waited.unwrap_or_else(PoisonError::into_inner);
        }
        state.used += 1;
        state.spare.retain(|connection| !connection.is_lost());
        let spare = state.spare.pop();
        drop(state);
        let _used = Used(self);
        let connection = spare.map_or_else(|| engine.open_reader(), Ok)?;
        // A connection whose query failed is dropped, not kept: if the failure has to do with the
        // connection, the next caller gets a new one.
        let result = query(&connection).map_err(|error| engine.locate(error))?;
        self.lock().spare.push(connection);
        Ok(result)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that is in use, until this is dropped.
struct Used<'r>(&'r Readers);

impl Drop for Used<'_> {
    fn drop(&mut self) {
        self.0.lock().used -= 1;
        self.0.freed.notify_one();
    }
}
