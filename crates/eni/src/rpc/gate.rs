//! Who may come in: keys, clocks, nonces and signatures.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::parameters::{self, Parameters};
use super::signature::{self, Claim};
use super::{HttpRequest, refused};
use crate::Refusal;

/// The version of the API.
const VERSION: &str = "2014-05-26";

/// An access key and the account it speaks for.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessKey {
    /// Its id, public.
    pub id: String,
    /// Its secret.
    pub secret: String,
    /// The account.
    pub account: String,
}

/// The bounds on what strangers may send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GateLimits {
    /// Bytes of query and body together.
    pub bytes: usize,
    /// How far a request's clock may be off, either way, inclusive.
    pub skew: SignedDuration,
    /// Bytes of one nonce.
    pub nonce_bytes: usize,
    /// Nonces remembered at one time; while there are more, requests are turned away rather than let in twice.
    pub nonces: usize,
}

/// A request that is what it says it is.
pub(super) struct Admitted {
    pub(super) account: String,
    pub(super) action: String,
    pub(super) parameters: Parameters,
}

/// The keys, and the nonces that were used.
#[derive(Debug, Clone)]
pub(super) struct Gate {
    keys: BTreeMap<String, AccessKey>,
    limits: GateLimits,
    used: BTreeSet<(String, String)>,
    /// The same nonces by the instant until which they are remembered.
    forgotten_at: BTreeSet<(Timestamp, String, String)>,
}

impl GateLimits {
    /// 256 KiB, 15 minutes, nonces of 256 bytes, 100,000 of them.
    pub const DEFAULT: Self = Self {
        bytes: 256 << 10,
        skew: SignedDuration::from_mins(15),
        nonce_bytes: 256,
        nonces: 100_000,
    };
}

impl Default for GateLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl Gate {
    pub(super) fn new(keys: impl IntoIterator<Item = AccessKey>, limits: GateLimits) -> Self {
        let keys = keys.into_iter().map(|key| (key.id.clone(), key)).collect();
        Self {
            keys,
            limits,
            used: BTreeSet::new(),
            forgotten_at: BTreeSet::new(),
        }
    }

    /// Lets a request in that is signed by a known key, fresh, and not a replay.
    pub(super) fn admit(
        &mut self,
        request: &HttpRequest,
        now: Timestamp,
    ) -> Result<Admitted, Refusal> {
        if request.query.len() + request.body.len() > self.limits.bytes {
            return refused(
                413,
                "RequestEntityTooLarge",
                "The request is larger than the service accepts.",
            );
        }
        if !matches!(request.method.as_str(), "GET" | "POST") {
            return refused(
                403,
                "UnsupportedHTTPMethod",
                "This http method is not supported.",
            );
        }
        let parameters = Parameters::from_wire(&request.query, form(request));
        let claim = Claim::read(request, &parameters)?;
        if claim.version != VERSION {
            return refused(
                404,
                "InvalidVersion",
                "Specified parameter Version is not valid.",
            );
        }
        if parameters
            .optional("Format")
            .is_some_and(|format| !format.eq_ignore_ascii_case("json"))
        {
            return refused(
                400,
                "UnsupportedParameter",
                "The parameter Format supports only JSON here.",
            );
        }
        if claim.nonce.len() > self.limits.nonce_bytes {
            return Err(parameters::invalid("SignatureNonce", &claim.nonce));
        }
        let Some(key) = self.keys.get(&claim.key) else {
            return refused(
                404,
                "InvalidAccessKeyId.NotFound",
                "Specified access key is not found.",
            );
        };
        let Some(time) = signature::time(&claim.time) else {
            let message = "Specified time stamp or date value is not well formatted.";
            return refused(400, "InvalidTimeStamp.Format", message);
        };
        if now.duration_since(time).abs() > self.limits.skew {
            return refused(
                400,
                "InvalidTimeStamp.Expired",
                "Specified time stamp or date value is expired.",
            );
        }
        signature::verify(request, &parameters, &claim, &key.secret)?;
        let (account, key) = (key.account.clone(), claim.key.clone());
        self.use_nonce(key, claim.nonce, now)?;
        Ok(Admitted {
            account,
            action: claim.action,
            parameters,
        })
    }

    /// A nonce counts only once its signature has been verified, so that strangers cannot use up those of others.
    fn use_nonce(&mut self, key: String, nonce: String, now: Timestamp) -> Result<(), Refusal> {
        while self
            .forgotten_at
            .first()
            .is_some_and(|(until, ..)| *until < now)
        {
            if let Some((_, key, nonce)) = self.forgotten_at.pop_first() {
                self.used.remove(&(key, nonce));
            }
        }
        if self.used.len() >= self.limits.nonces {
            return refused(
                400,
                "Throttling.User",
                "Request was denied due to user flow control.",
            );
        }
        // As long as a request with this nonce could be fresh: its clock may run ahead by the skew, and lag by it too.
        let until = now
            .checked_add(self.limits.skew * 2)
            .unwrap_or(Timestamp::MAX);
        let name = (key, nonce);
        if self.used.contains(&name) {
            return refused(
                400,
                "SignatureNonceUsed",
                "Specified signature nonce was used already.",
            );
        }
        self.forgotten_at
            .insert((until, name.0.clone(), name.1.clone()));
        self.used.insert(name);
        Ok(())
    }
}

impl std::fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessKey")
            .field("id", &self.id)
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

/// The body where it is a form; a body of another kind holds no parameters.
fn form(request: &HttpRequest) -> &[u8] {
    let kind = request.header("content-type").unwrap_or_default();
    if kind.starts_with("application/x-www-form-urlencoded") {
        &request.body
    } else {
        &[]
    }
}
