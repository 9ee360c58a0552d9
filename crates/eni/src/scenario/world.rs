//! The world of a scenario: accounts with their keys and buses, and the region they share.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::rpc::AccessKey;
use crate::{Account, Bus, Cloud};

/// The world that is there when a file describes none: two users, one of them without the preview, and a service.
pub const DEFAULT_WORLD: &str = include_str!("world.toml");

/// A region with everything in it that exists before the first step.
#[derive(Debug, Clone)]
pub struct World {
    /// When it begins.
    pub start: Timestamp,
    /// The accounts, in the order of the file.
    pub accounts: Vec<NamedAccount>,
    /// The region, at its beginning; instances have been made and nothing is left to tell.
    pub cloud: Cloud,
    /// Interfaces that have names already: the primary ones that instances name.
    pub names: BTreeMap<String, String>,
    /// Whether the file says from which seed things get their ids. Where it does not, a world that lives on the clock of
    /// the wall should take one that it had never before, or its events look like those of its last life.
    pub seeded: bool,
}

/// An account as a file describes it.
#[derive(Debug, Clone)]
pub struct NamedAccount {
    /// What the file calls it.
    pub name: String,
    /// The account.
    pub account: Account,
    /// Its access key, for the API over HTTP.
    pub key: Option<AccessKey>,
    /// Its bus.
    pub bus: Bus,
    /// Where its events go over HTTP, when not where all go.
    pub to: Option<String>,
}

impl World {
    /// The account of that number.
    pub fn account(&self, id: &str) -> Option<&NamedAccount> {
        self.accounts.iter().find(|found| found.account.id == id)
    }

    /// Every access key.
    pub fn keys(&self) -> impl Iterator<Item = AccessKey> {
        self.accounts
            .iter()
            .filter_map(|account| account.key.clone())
    }
}
