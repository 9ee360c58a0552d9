//! Client tokens: requests that may be repeated.

use std::collections::{BTreeMap, VecDeque};

use crate::Request;
use crate::resources::Addresses;

/// The accepted requests that carried a client token, by account and token.
#[derive(Debug, Clone, Default)]
pub(super) struct ClientTokens {
    uses: BTreeMap<(String, String), TokenUse>,
    /// The same keys, oldest first.
    order: VecDeque<(String, String)>,
}

/// An accepted request that carried a client token.
#[derive(Debug, Clone)]
pub(super) struct TokenUse {
    /// A repeated request must be the same.
    pub(super) request: Request,
    pub(super) request_id: String,
    /// The id of the created or changed interface; empty for a request about instances.
    pub(super) interface: String,
    /// The addresses that the request assigned.
    pub(super) addresses: Addresses,
}

impl ClientTokens {
    /// The request that an account made with this token.
    pub(super) fn get(&self, account: &str, token: &str) -> Option<&TokenUse> {
        self.uses.get(&(account.to_owned(), token.to_owned()))
    }

    /// Remembers a request. Beyond `limit` the oldest is forgotten: clients repeat a request
    /// within seconds of a lost reply, so only recent tokens matter.
    pub(super) fn insert(&mut self, account: &str, token: String, used: TokenUse, limit: usize) {
        if self.uses.len() >= limit
            && let Some(oldest) = self.order.pop_front()
        {
            self.uses.remove(&oldest);
        }
        let key = (account.to_owned(), token);
        self.order.push_back(key.clone());
        self.uses.insert(key, used);
    }
}
