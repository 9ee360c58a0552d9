//! Client tokens: creations that may be repeated.

use std::collections::{BTreeMap, VecDeque};

use crate::CreateInterface;

/// The accepted creations that carried a client token, by account and token.
#[derive(Debug, Clone, Default)]
pub(super) struct ClientTokens {
    creations: BTreeMap<(String, String), TokenCreation>,
    /// The same keys, oldest first.
    order: VecDeque<(String, String)>,
}

/// An accepted creation that carried a client token.
#[derive(Debug, Clone)]
pub(super) struct TokenCreation {
    /// The request's parameters: a repeated request must have the same ones.
    pub(super) wanted: CreateInterface,
    pub(super) request_id: String,
    /// The id of the created interface.
    pub(super) interface: String,
}

impl ClientTokens {
    /// The creation that an account made with this token.
    pub(super) fn get(&self, account: &str, token: &str) -> Option<&TokenCreation> {
        self.creations.get(&(account.to_owned(), token.to_owned()))
    }

    /// Remembers a creation. Beyond `limit` the oldest is forgotten: clients repeat a request
    /// within seconds of a lost reply, so only recent tokens matter.
    pub(super) fn insert(
        &mut self,
        account: &str,
        token: String,
        creation: TokenCreation,
        limit: usize,
    ) {
        if self.creations.len() >= limit
            && let Some(oldest) = self.order.pop_front()
        {
            self.creations.remove(&oldest);
        }
        let key = (account.to_owned(), token);
        self.order.push_back(key.clone());
        self.creations.insert(key, creation);
    }
}
