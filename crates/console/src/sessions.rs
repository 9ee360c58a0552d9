//! The sessions of people who have logged in.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use reflexarc_service::Login;
use sha2::{Digest, Sha256};

use crate::secret::{Unavailable, random_text};

/// Bounds on sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SessionLimits {
    /// Largest number at one time; beyond it the one that was not used for the longest time ends.
    pub(crate) count: usize,
    /// A session ends if it is not used for so long.
    pub(crate) idle: Duration,
    /// A session ends so long after its login.
    pub(crate) life: Duration,
}

/// The sessions, by the digests of their ids: a memory dump does not contain an id.
pub(crate) struct Sessions {
    limits: SessionLimits,
    open: Mutex<HashMap<[u8; 32], Entry>>,
}

/// What caused a request with a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// The user followed a link or posted a form.
    User,
    /// A page keeps itself up to date, whether or not a user is there.
    Page,
}

struct Entry {
    login: Login,
    begun: Instant,
    used: Instant,
}

impl SessionLimits {
    /// The defaults.
    pub(crate) const DEFAULT: Self = Self {
        count: 256,
        idle: Duration::from_secs(2 * 3_600),
        life: Duration::from_secs(12 * 3_600),
    };
}

impl Default for Sessions {
    fn default() -> Self {
        Self::new(SessionLimits::DEFAULT)
    }
}

impl Sessions {
    pub(crate) fn new(limits: SessionLimits) -> Self {
        Self {
            limits,
            open: Mutex::default(),
        }
    }

    /// Begins a session and returns its id, which is new with every login.
    pub(crate) fn begin(&self, login: Login, now: Instant) -> Result<String, Unavailable> {
        let id = random_text()?;
        let mut open = self.lock();
        open.retain(|_, entry| self.limits.allow(entry, now));
        if open.len() >= self.limits.count {
            let unused = open.iter().min_by_key(|(_, entry)| entry.used);
            if let Some(digest) = unused.map(|(digest, _)| *digest) {
                open.remove(&digest);
            }
        }
        let entry = Entry {
            login,
            begun: now,
            used: now,
        };
        open.insert(digest(&id), entry);
        Ok(id)
    }

    /// Who has the session with this id, which is used by that unless the request is automatic.
    pub(crate) fn find(&self, id: &str, cause: Cause, now: Instant) -> Option<Login> {
        let digest = digest(id);
        let mut open = self.lock();
        let entry = open.get_mut(&digest)?;
        if !self.limits.allow(entry, now) {
            open.remove(&digest);
            return None;
        }
        if cause == Cause::User {
            entry.used = now;
        }
        Some(entry.login.clone())
    }

    /// Ends a session.
    pub(crate) fn end(&self, id: &str) {
        self.lock().remove(&digest(id));
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 32], Entry>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SessionLimits {
    fn allow(&self, entry: &Entry, now: Instant) -> bool {
        now.duration_since(entry.used) < self.idle && now.duration_since(entry.begun) < self.life
    }
}

// Looked up by its digest, an id is found as quickly as a wrong one that begins like it is not.
fn digest(id: &str) -> [u8; 32] {
    Sha256::digest(id).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn sessions() -> Sessions {
        Sessions::new(SessionLimits {
            count: 3,
            idle: 10 * SECOND,
            life: 25 * SECOND,
        })
    }

    fn login(name: &str) -> Login {
        let mut login = Login::anonymous();
        name.clone_into(&mut login.name);
        login
    }

    #[test]
    fn unused_and_old_sessions_end() {
        let (sessions, start) = (sessions(), Instant::now());
        let id = sessions.begin(login("ops"), start).unwrap();
        assert_eq!(id.len(), 64);
        for second in [9, 18, 24] {
            let found = sessions.find(&id, Cause::User, start + second * SECOND);
            assert_eq!(found.unwrap().name, "ops", "{second}");
        }
        assert!(
            sessions
                .find(&id, Cause::User, start + 25 * SECOND)
                .is_none()
        );
        let id = sessions.begin(login("ops"), start).unwrap();
        assert!(
            sessions
                .find(&id, Cause::User, start + 10 * SECOND)
                .is_none()
        );
        // It does not come back.
        assert!(sessions.find(&id, Cause::User, start).is_none());
    }

    #[test]
    fn an_open_page_does_not_prolong_a_session() {
        let (sessions, start) = (sessions(), Instant::now());
        let id = sessions.begin(login("ops"), start).unwrap();
        for second in 0..10 {
            let found = sessions.find(&id, Cause::Page, start + second * SECOND);
            assert!(found.is_some(), "{second}");
        }
        let end = start + 10 * SECOND;
        assert!(sessions.find(&id, Cause::Page, end).is_none());
        assert!(sessions.find(&id, Cause::User, end).is_none());
    }

    #[test]
    fn the_number_of_sessions_is_bounded() {
        let (sessions, start) = (sessions(), Instant::now());
        let ids: Vec<_> = (0..3)
            .map(|second| sessions.begin(login("ops"), start + second * SECOND))
            .collect::<Result<_, _>>()
            .unwrap();
        // The first is used, so that the second is unused for the longest time.
        assert!(
            sessions
                .find(&ids[0], Cause::User, start + 4 * SECOND)
                .is_some()
        );
        let last = sessions.begin(login("ops"), start + 5 * SECOND).unwrap();
        let found = |id: &str| sessions.find(id, Cause::User, start + 6 * SECOND).is_some();
        assert_eq!(
            [&ids[0], &ids[1], &ids[2], &last].map(|id| found(id)),
            [true, false, true, true]
        );
        assert_eq!(sessions.lock().len(), 3);
    }

    #[test]
    fn only_the_exact_id_is_a_session() {
        let (sessions, now) = (sessions(), Instant::now());
        let id = sessions.begin(login("ops"), now).unwrap();
        let wrong = [&id[1..], "", &id.to_uppercase(), &format!("{id} ")];
        assert!(
            wrong
                .iter()
                .all(|id| sessions.find(id, Cause::User, now).is_none())
        );
        assert!(sessions.find(&id, Cause::User, now).is_some());
        sessions.end(&id);
        assert!(sessions.find(&id, Cause::User, now).is_none());
    }
}
