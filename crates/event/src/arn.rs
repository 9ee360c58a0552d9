//! ARNs: names of cloud resources.

use std::fmt;
use std::str::FromStr;

use crate::ParseError;

/// A resource name as Alibaba Cloud events and access policies write it:
/// `acs:<service>:<region>:<account>:<type>/<id>`, for example
/// `acs:ecs:cn-hangzhou:1690704567890130:eni/eni-bp1a4k7x`.
///
/// Region and account may be empty, as they are for global resources; the id may contain slashes.
///
/// ```
/// use reflexarc_event::Arn;
///
/// let arn: Arn = "acs:ecs:cn-hangzhou:1690704567890130:eni/eni-bp1a4k7x".parse()?;
/// assert_eq!((arn.kind.as_str(), arn.id.as_str()), ("eni", "eni-bp1a4k7x"));
/// assert_eq!(arn.to_string(), "acs:ecs:cn-hangzhou:1690704567890130:eni/eni-bp1a4k7x");
/// # Ok::<(), reflexarc_event::ParseError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Arn {
    /// The product, `ecs`.
    pub service: String,
    /// The region, `cn-hangzhou`.
    pub region: String,
    /// The account id.
    pub account: String,
    /// The resource type: `eni`, `instance`, `disk`, `snapshot`.
    pub kind: String,
    /// The resource id.
    pub id: String,
}

/// Masked parts are kept as they are.
impl FromStr for Arn {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        const EXPECTED: &str = "acs:<service>:<region>:<account>:<type>/<id>";
        read(text).ok_or_else(|| ParseError::new("ARN", EXPECTED, text))
    }
}

impl fmt::Display for Arn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            service,
            region,
            account,
            kind,
            id,
        } = self;
        write!(f, "acs:{service}:{region}:{account}:{kind}/{id}")
    }
}

fn read(text: &str) -> Option<Arn> {
    let mut parts = text.strip_prefix("acs:")?.splitn(4, ':');
    let (service, region, account) = (parts.next()?, parts.next()?, parts.next()?);
    let (kind, id) = parts.next()?.split_once('/')?;
    let named = |part: &str| !part.is_empty() && !part.contains(char::is_whitespace);
    (named(service) && named(kind) && named(id)).then(|| Arn {
        service: service.to_owned(),
        region: region.to_owned(),
        account: account.to_owned(),
        kind: kind.to_owned(),
        id: id.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::Arn;

    #[test]
    fn an_arn_is_parsed_and_written_unchanged() {
        let text = "acs:ecs:cn-hangzhou:1690704567890130:eni/eni-bp1a4k7x";
        let arn: Arn = text.parse().unwrap();
        assert_eq!(
            [&arn.service, &arn.region, &arn.account, &arn.kind, &arn.id],
            [
                "ecs",
                "cn-hangzhou",
                "1690704567890130",
                "eni",
                "eni-bp1a4k7x"
            ]
        );
        assert_eq!(arn.to_string(), text);
        assert_eq!(
            "acs:oss:::bucket/a/b:c".parse().map(|arn: Arn| arn.id),
            Ok("a/b:c".to_owned())
        );
    }

    #[test]
    fn other_texts_are_not_arns() {
        for text in [
            "",
            "acs:",
            "acs:ecs:r:a:eni",
            "acs:ecs:r:a:/x",
            "acs:ecs:r:a:eni/",
            "acs::r:a:eni/x",
            "arn:aws:ec2:r:a:i/x",
            "acs:ecs:r:a:eni/x y",
        ] {
            assert!(text.parse::<Arn>().is_err(), "{text}");
        }
    }
}
