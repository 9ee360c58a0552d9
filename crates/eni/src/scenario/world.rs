//! The world of a scenario: a region, and the accounts with their keys and buses.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::Cloud;
use crate::events::Bus;
use crate::resources::Account;
use crate::rpc::AccessKey;

/// The world of a scenario file that describes none: two users, one of them without the preview,
/// and a cloud service.
pub const DEFAULT_WORLD: &str = include_str!("world.toml");

/// A region before the first step of a scenario.
#[derive(Debug, Clone)]
pub struct World {
    /// The time at which the scenario starts.
    pub start: Timestamp,
    /// The accounts, in the order of the file.
    pub accounts: Vec<NamedAccount>,
    /// The region, with its instances and interfaces and without outcomes to take.
    pub cloud: Cloud,
    /// The ids of the interfaces that have names already.
    pub names: BTreeMap<String, String>,
    /// Whether the file sets the seed of the ids. Where it does not, a region on the real clock
    /// needs a new seed in each run: with the default one it would assign the ids of the previous
    /// run, and receivers would drop its events as duplicates.
    pub has_seed: bool,
}

/// An account as a scenario file describes it.
#[derive(Debug, Clone)]
pub struct NamedAccount {
    /// Its name in the file.
    pub name: String,
    /// The account.
    pub account: Account,
    /// Its access key, for the API over HTTP.
    pub key: Option<AccessKey>,
    /// The key of a session of a role of the account, with its token.
    pub session: Option<AccessKey>,
    /// Its bus.
    pub bus: Bus,
    /// The URL to which its events are sent over HTTP; the common one when absent.
    pub to: Option<String>,
}

impl World {
    /// The account with this id.
    pub fn account(&self, id: &str) -> Option<&NamedAccount> {
        self.accounts.iter().find(|found| found.account.id == id)
    }

    /// The name of the account with this id; the id when there is no such account.
    pub fn account_name<'a>(&'a self, id: &'a str) -> &'a str {
        self.account(id).map_or(id, |found| found.name.as_str())
    }

    /// Every access key, for a region whose clock begins at `start`: sessions expire as long after
    /// it as they do after the start of the scenario.
    pub fn keys(&self, start: Timestamp) -> impl Iterator<Item = AccessKey> {
        let shift = start.duration_since(self.start);
        let keys = self
            .accounts
            .iter()
            .flat_map(|account| [&account.key, &account.session])
            .filter_map(Clone::clone);
        keys.map(move |mut key| {
            if let Some(session) = &mut key.session {
                let moved = |expires: Timestamp| expires.checked_add(shift);
                session.expires = session
                    .expires
                    .map(|expires| moved(expires).unwrap_or(Timestamp::MAX));
            }
            key
        })
    }
}
