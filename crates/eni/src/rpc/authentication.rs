//! Authentication of requests: known key, fresh time, valid signature, valid token, unused nonce.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::parameters::{self, Parameters};
use super::product::Product;
use super::signature::{self, SignedCall};
use super::{Caller, HttpRequest};
use crate::ApiError;

/// An access key and the account that it authenticates.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessKey {
    /// The key's id; public.
    pub id: String,
    /// The secret with which requests are signed.
    pub secret: String,
    /// The account's id.
    pub account: String,
    /// The session of a role that the key belongs to; absent for a key of the account itself.
    pub session: Option<Session>,
}

/// A session of a role, as `AssumeRole` of STS starts it: its requests carry a token.
#[derive(Clone, PartialEq, Eq)]
pub struct Session {
    /// The token.
    pub token: String,
    /// The name of the role.
    pub role: String,
    /// The name of the session.
    pub name: String,
    /// When the token expires; never when absent.
    pub expires: Option<Timestamp>,
}

/// Limits of requests that are not yet authenticated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestLimits {
    /// Bytes of query and body together.
    pub bytes: usize,
    /// The greatest difference between a request's time and now, in both directions, inclusive.
    pub skew: SignedDuration,
    /// Bytes of one nonce.
    pub nonce_bytes: usize,
    /// Remembered nonces. While there are as many, further requests are throttled, since a
    /// forgotten nonce would allow a request to be replayed.
    pub nonces: usize,
}

/// An authenticated call of an action.
pub(super) struct AuthenticatedCall {
    pub(super) product: Product,
    pub(super) caller: Caller,
    pub(super) action: String,
    pub(super) parameters: Parameters,
}

/// The access keys and the used nonces.
#[derive(Debug, Clone)]
pub(super) struct Authenticator {
    keys: BTreeMap<String, AccessKey>,
    limits: RequestLimits,
    /// Key id and nonce of the requests that were accepted.
    used: BTreeSet<(String, String)>,
    /// The same, by the time after which they may be forgotten.
    expiry: BTreeSet<(Timestamp, String, String)>,
}

impl RequestLimits {
    /// The default limits.
    pub const DEFAULT: Self = Self {
        // Twenty tags of the greatest length take about 60 KiB when they are percent-encoded.
        bytes: 256 << 10,
        // The service's own limit.
        skew: SignedDuration::from_mins(15),
        // SDKs send a UUID or a hash.
        nonce_bytes: 256,
        // Nonces are kept for 30 minutes, so this allows 55 requests a second.
        nonces: 100_000,
    };
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl Authenticator {
    pub(super) fn new(keys: impl IntoIterator<Item = AccessKey>, limits: RequestLimits) -> Self {
        let keys = keys.into_iter().map(|key| (key.id.clone(), key)).collect();
        Self {
            keys,
            limits,
            used: BTreeSet::new(),
            expiry: BTreeSet::new(),
        }
    }

    /// Accepts a request that is signed with a known key, fresh, and not a replay.
    pub(super) fn authenticate(
        &mut self,
        request: &HttpRequest,
        now: Timestamp,
    ) -> Result<AuthenticatedCall, ApiError> {
        self.check_http(request)?;
        let parameters = Parameters::from_wire(&request.query, form(request));
        let call = SignedCall::read(request, &parameters)?;
        let Some(product) = Product::of_version(&call.version) else {
            let message = "Specified parameter Version is not valid.";
            return Err(ApiError::new(404, "InvalidVersion", message));
        };
        let format = parameters.optional("Format");
        if format.is_some_and(|format| !format.eq_ignore_ascii_case("json")) {
            let message = "The parameter Format supports only JSON here.";
            return Err(ApiError::new(400, "UnsupportedParameter", message));
        }
        if call.nonce.len() > self.limits.nonce_bytes {
            return Err(parameters::invalid("SignatureNonce", &call.nonce));
        }
        let Some(key) = self.keys.get(&call.key) else {
            let message = "Specified access key is not found.";
            return Err(ApiError::new(404, "InvalidAccessKeyId.NotFound", message));
        };
        self.check_time(&call.time, now)?;
        signature::verify(request, &parameters, &call, &key.secret)?;
        let token = request.header("x-acs-security-token");
        let token = token.or_else(|| parameters.optional("SecurityToken"));
        self.check_token(key, token.filter(|token| !token.is_empty()), now)?;
        let user_agent = request.header("user-agent").unwrap_or_default();
        let caller = Caller::of_key(key, &request.source_address, user_agent);
        // Last: only requests with a valid signature use up nonces, or anyone could block a nonce,
        // or fill the memory for nonces, without a key.
        self.use_nonce(call.key, call.nonce, now)?;
        Ok(AuthenticatedCall {
            product,
            caller,
            action: call.action,
            parameters,
        })
    }

    fn check_http(&self, request: &HttpRequest) -> Result<(), ApiError> {
        if request.query.len() + request.body.len() > self.limits.bytes {
            return Err(too_large());
        }
        if !matches!(request.method.as_str(), "GET" | "POST") {
            let message = "This http method is not supported.";
            return Err(ApiError::new(403, "UnsupportedHTTPMethod", message));
        }
        Ok(())
    }

    fn check_time(&self, time: &str, now: Timestamp) -> Result<(), ApiError> {
        let Some(time) = signature::parse_time(time) else {
            let message = "Specified time stamp or date value is not well formatted.";
            return Err(ApiError::new(400, "InvalidTimeStamp.Format", message));
        };
        if now.duration_since(time).abs() > self.limits.skew {
            let message = "Specified time stamp or date value is expired.";
            return Err(ApiError::new(400, "InvalidTimeStamp.Expired", message));
        }
        Ok(())
    }

    /// Checks the token of a session: a key of a session needs the one of that session, and a key
    /// of an account none.
    fn check_token(
        &self,
        key: &AccessKey,
        token: Option<&str>,
        now: Timestamp,
    ) -> Result<(), ApiError> {
        let is_known = |token: &str| {
            let mut sessions = self.keys.values().filter_map(|key| key.session.as_ref());
            sessions.any(|session| session.token == token)
        };
        let (code, message) = match (&key.session, token) {
            (None, None) => return Ok(()),
            // Without its token, a key of a session is no key.
            (Some(_), None) => {
                let message = "Specified access key is not found.";
                return Err(ApiError::new(404, "InvalidAccessKeyId.NotFound", message));
            }
            (Some(session), Some(token)) if session.token == token => {
                if session.expires.is_none_or(|expires| now < expires) {
                    return Ok(());
                }
                let message = "Specified SecurityToken is expired.";
                ("InvalidSecurityToken.Expired", message)
            }
            (_, Some(token)) if is_known(token) => {
                let message = "Specified SecurityToken mismatch with the AccessKey.";
                ("InvalidSecurityToken.MismatchWithAccessKey", message)
            }
            (_, Some(_)) => {
                let message = "Specified SecurityToken is malformed.";
                ("InvalidSecurityToken.Malformed", message)
            }
        };
        Err(ApiError::new(400, code, message))
    }

    fn use_nonce(&mut self, key: String, nonce: String, now: Timestamp) -> Result<(), ApiError> {
        while self.expiry.first().is_some_and(|(until, ..)| *until < now) {
            if let Some((_, key, nonce)) = self.expiry.pop_first() {
                self.used.remove(&(key, nonce));
            }
        }
        if self.used.len() >= self.limits.nonces {
            let message = "Request was denied due to user flow control.";
            return Err(ApiError::new(400, "Throttling.User", message));
        }
        // A replay has the same time in it, and that time may be `skew` after now: it is then fresh
        // until twice the skew from now. With 15 minutes, a request of 12:00 that carries 12:15
        // could be replayed until 12:30.
        let until = now
            .checked_add(self.limits.skew * 2)
            .unwrap_or(Timestamp::MAX);
        if !self.used.insert((key.clone(), nonce.clone())) {
            let message = "Specified signature nonce was used already.";
            return Err(ApiError::new(400, "SignatureNonceUsed", message));
        }
        self.expiry.insert((until, key, nonce));
        Ok(())
    }
}

impl AccessKey {
    /// A key of the account itself.
    pub fn new(id: &str, secret: &str, account: &str) -> Self {
        Self {
            id: id.to_owned(),
            secret: secret.to_owned(),
            account: account.to_owned(),
            session: None,
        }
    }
}

/// Leaves out the token.
impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("role", &self.role)
            .field("name", &self.name)
            .field("expires", &self.expires)
            .finish_non_exhaustive()
    }
}

/// Leaves out the secret.
impl std::fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessKey")
            .field("id", &self.id)
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

/// The error for a request that is too large.
pub(super) fn too_large() -> ApiError {
    let message = "The request is larger than the service accepts.";
    ApiError::new(413, "RequestEntityTooLarge", message)
}

/// Whether a parameter authenticates the request and says nothing about what it does.
pub(super) fn is_credential(name: &str) -> bool {
    const NAMES: [&str; 10] = [
        "AccessKeyId",
        "Action",
        "Format",
        "SecurityToken",
        "Signature",
        "SignatureMethod",
        "SignatureNonce",
        "SignatureVersion",
        "Timestamp",
        "Version",
    ];
    NAMES.contains(&name)
}

/// The body if it is a form; a body of another type has no parameters.
fn form(request: &HttpRequest) -> &[u8] {
    let content_type = request.header("content-type").unwrap_or_default();
    if content_type.starts_with("application/x-www-form-urlencoded") {
        &request.body
    } else {
        &[]
    }
}
