//! Temporary keys of the RAM role of an instance, from its metadata service.
//!
//! Only version 2 of the service is used, where a request needs a token from a `PUT` before:
//! version 1 answers any request, also one that another service on the machine was tricked into.

use std::net::Ipv4Addr;
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net};
use jiff::{SignedDuration, Timestamp};
use reflexarc_event::Json;
use reqwest::{Client, Method, Url};
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Mutex;

use super::credentials::AccessKey;
use crate::http::{BoundedResponse, ClientError, EgressPolicy, request_error};

/// The role of the instance that this process runs on.
pub struct InstanceRole {
    client: Client,
    service: Url,
    /// The role's name; the service names it where none is configured.
    role: Option<String>,
    cached: Mutex<Option<CachedKey>>,
}

struct CachedKey {
    key: AccessKey,
    expires: Timestamp,
    fetched: Timestamp,
}

/// The address of the metadata service, of which there is one.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(100, 100, 100, 200);
/// How long before it expires a key is renewed, as in the official SDKs: long enough for a metadata
/// service that fails for some minutes.
const RENEW_BEFORE: SignedDuration = SignedDuration::from_mins(15);
/// A key that is about to expire when it is handed out is not fetched again at each call.
const SHORTEST_USE: SignedDuration = SignedDuration::from_mins(1);
/// The service is on the same machine.
const CONNECT: Duration = Duration::from_secs(1);
const TIMEOUT: Duration = Duration::from_secs(2);
/// A key and its token have about 2 KB.
const MAX_RESPONSE: usize = 64 << 10;
/// How long a token of the service is valid, in seconds; it is used at once.
const TOKEN_SECONDS: &str = "60";

impl InstanceRole {
    /// The role with this name, or the instance's only one.
    ///
    /// # Errors
    /// When no HTTP client can be built.
    #[expect(clippy::missing_panics_doc, reason = "the URL is a constant")]
    pub fn new(role: Option<String>) -> Result<Self, ClientError> {
        let service = format!("http://{ADDRESS}/");
        let service = Url::parse(&service).expect("an address is a URL");
        // Exactly this address, which every other policy denies.
        let only = EgressPolicy {
            allowed: vec![IpNet::V4(Ipv4Net::new_assert(ADDRESS, 32))],
        };
        Self::at(role, service, &only)
    }

    /// The same with a stand-in for the metadata service at a loopback address, for rehearsals.
    ///
    /// # Errors
    /// When no HTTP client can be built.
    pub fn with_stand_in(role: Option<String>, service: Url) -> Result<Self, ClientError> {
        Self::at(role, service, &EgressPolicy::operator_hosts())
    }

    fn at(role: Option<String>, service: Url, policy: &EgressPolicy) -> Result<Self, ClientError> {
        Ok(Self {
            client: policy.single_use_client(&service, None, CONNECT)?,
            service,
            role,
            cached: Mutex::new(None),
        })
    }

    /// The host of the metadata service, for people.
    pub fn host(&self) -> String {
        crate::rendering::host_of(&self.service)
    }

    /// The key that is valid now.
    pub(super) async fn key(&self) -> Result<AccessKey, String> {
        // The lock is held while a key is fetched: of many calls at once, one fetches.
        let mut cached = self.cached.lock().await;
        let now = Timestamp::now();
        if let Some(found) = cached.as_ref().filter(|found| now < found.renew_at()) {
            return Ok(found.key.clone());
        }
        match self.fetch().await {
            Ok(fetched) => Ok(cached.insert(fetched).key.clone()),
            // Renewed early so that a failure now does no harm yet.
            Err(reason) => match cached.as_ref().filter(|found| now < found.expires) {
                Some(found) => Ok(found.key.clone()),
                None => Err(reason),
            },
        }
    }

    /// Another key than this one, which the API does not accept any more.
    pub(super) async fn replace(&self, rejected: &AccessKey) -> Result<AccessKey, String> {
        let mut cached = self.cached.lock().await;
        // Another call may have replaced it in the meantime.
        let other = cached.as_ref().filter(|found| {
            found.key.secret.expose_secret() != rejected.secret.expose_secret()
                || found.key.token() != rejected.token()
        });
        match other {
            Some(found) => Ok(found.key.clone()),
            None => Ok(cached.insert(self.fetch().await?).key.clone()),
        }
    }

    async fn fetch(&self) -> Result<CachedKey, String> {
        const ROLES: &str = "latest/meta-data/ram/security-credentials/";
        let ttl = ("x-aliyun-ecs-metadata-token-ttl-seconds", TOKEN_SECONDS);
        let token = self.get(Method::PUT, "latest/api/token", ttl).await?;
        let token = ("x-aliyun-ecs-metadata-token", token.trim());
        let role = if let Some(role) = &self.role {
            role.clone()
        } else {
            let roles = self.get(Method::GET, ROLES, token).await?;
            roles.lines().next().unwrap_or_default().trim().to_owned()
        };
        if !is_role_name(&role) {
            return Err(format!("{}: invalid name of a role", self.title()));
        }
        let path = format!("{ROLES}{role}");
        let body = self.get(Method::GET, &path, token).await?;
        let fetched = read_key(&body, Timestamp::now());
        // Without the body, which may have half of a key.
        fetched.ok_or_else(|| format!("{}: invalid credentials of a role", self.title()))
    }

    async fn get(
        &self,
        method: Method,
        path: &str,
        (header, value): (&str, &str),
    ) -> Result<String, String> {
        let title = self.title();
        let url = self.service.join(path);
        let url = url.map_err(|error| format!("{title}: {error}"))?;
        let request = self.client.request(method, url).header(header, value);
        let response = request.timeout(TIMEOUT).send().await;
        let response = response.map_err(|error| format!("{title}: {}", request_error(error)))?;
        let response = BoundedResponse::read_whole(response, MAX_RESPONSE).await;
        let response = response.map_err(|error| format!("{title}: invalid response: {error}"))?;
        match response.status {
            200 => Ok(response.body),
            404 => Err(format!(
                "{title}: HTTP 404; attach a RAM role to the instance, or correct its name"
            )),
            status => Err(format!("{title}: HTTP {status}")),
        }
    }

    fn title(&self) -> String {
        format!("no credentials from the metadata service {}", self.host())
    }
}

impl CachedKey {
    fn renew_at(&self) -> Timestamp {
        let early = self.expires.checked_sub(RENEW_BEFORE);
        let soonest = self.fetched.checked_add(SHORTEST_USE);
        let planned = early
            .unwrap_or(Timestamp::MIN)
            .max(soonest.unwrap_or(Timestamp::MAX));
        planned.min(self.expires)
    }
}

/// Whether a text may be the name of a role, so that it is one segment of a path.
pub fn is_role_name(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=64).contains(&text.len()) && text.bytes().all(is_letter) && !text.starts_with('.')
}

/// `{"Code": "Success", "AccessKeyId": …, "AccessKeySecret": …, "SecurityToken": …,
/// "Expiration": …}`
fn read_key(body: &str, now: Timestamp) -> Option<CachedKey> {
    let json = Json::parse(body).ok()?;
    let text = |key| json.get(key)?.as_str().filter(|text| !text.is_empty());
    (text("Code") == Some("Success")).then_some(())?;
    Some(CachedKey {
        key: AccessKey {
            id: text("AccessKeyId")?.to_owned(),
            secret: SecretString::from(text("AccessKeySecret")?.to_owned()),
            security_token: Some(SecretString::from(text("SecurityToken")?.to_owned())),
        },
        expires: text("Expiration")?.parse().ok()?,
        fetched: now,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn renewed_after(valid: SignedDuration) -> SignedDuration {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let expires = now + valid;
        let body = format!(
            "{{\"Code\": \"Success\", \"AccessKeyId\": \"i\", \"AccessKeySecret\": \"s\", \
             \"SecurityToken\": \"t\", \"Expiration\": \"{expires}\"}}"
        );
        read_key(&body, now).unwrap().renew_at().duration_since(now)
    }

    #[test]
    fn keys_are_renewed_a_quarter_of_an_hour_early() {
        let minutes = SignedDuration::from_mins;
        assert_eq!(renewed_after(minutes(360)), minutes(345));
        assert_eq!(renewed_after(minutes(16)), minutes(1));
        // Not at each call while the service hands out a key that expires soon.
        assert_eq!(renewed_after(minutes(5)), minutes(1));
        assert_eq!(renewed_after(SignedDuration::from_secs(10)).as_secs(), 10);
    }

    #[test]
    fn incomplete_credentials_are_no_key() {
        for body in [
            "",
            "<html>",
            "{}",
            r#"{"Code": "Failed", "AccessKeyId": "i", "AccessKeySecret": "s",
                "SecurityToken": "t", "Expiration": "2026-01-01T00:00:00Z"}"#,
            r#"{"Code": "Success", "AccessKeyId": "i", "AccessKeySecret": "s",
                "SecurityToken": "", "Expiration": "2026-01-01T00:00:00Z"}"#,
            r#"{"Code": "Success", "AccessKeyId": "i", "AccessKeySecret": "s",
                "SecurityToken": "t", "Expiration": "soon"}"#,
        ] {
            assert!(read_key(body, Timestamp::UNIX_EPOCH).is_none(), "{body}");
        }
    }

    #[test]
    fn names_of_roles_are_one_segment_of_a_path() {
        assert!(is_role_name("AliyunECSInstanceRole-1_x.y"));
        for name in ["", "..", "a/b", "a?b", "a b", "<html>"] {
            assert!(!is_role_name(name), "{name}");
        }
    }
}
