//! Request parameters: flat names with numbers in them, typed as they are taken.

use std::collections::BTreeMap;
use std::str::FromStr;

use crate::{Refusal, Wanted};

/// The parameters of one request, by wire name: `RegionId`, `SecurityGroupIds.1`, `Tag.2.Key` …
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Parameters(BTreeMap<String, String>);

impl Parameters {
    /// From a query string and a form body; where a name is there twice, the later one counts.
    pub(crate) fn from_wire(query: &str, form: &[u8]) -> Self {
        let pairs = form_urlencoded::parse(query.as_bytes()).chain(form_urlencoded::parse(form));
        pairs
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect()
    }

    /// A parameter that must be there and not empty.
    pub(crate) fn required(&self, name: &str) -> Result<&str, Refusal> {
        self.optional(name).ok_or_else(|| missing(name))
    }

    /// A parameter; an empty one counts as absent.
    pub(crate) fn optional(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// Every parameter, by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// `name.1`, `name.2` … in the order of their numbers; gaps are skipped, as the service does.
    pub(crate) fn list(&self, name: &str) -> Vec<&str> {
        let mut found: Vec<(usize, &str)> = self
            .iter()
            .filter_map(|(key, value)| {
                let number = key.strip_prefix(name)?.strip_prefix('.')?.parse().ok()?;
                (!value.is_empty()).then_some((number, value))
            })
            .collect();
        found.sort_unstable();
        found.into_iter().map(|(_, value)| value).collect()
    }

    /// The same, each value read.
    pub(crate) fn typed_list<T: FromStr>(&self, name: &str) -> Result<Vec<T>, Refusal> {
        self.list(name)
            .into_iter()
            .map(|value| value.parse().map_err(|_| invalid(name, value)))
            .collect()
    }

    /// A parameter that is read as something.
    pub(crate) fn typed<T: FromStr>(&self, name: &str) -> Result<Option<T>, Refusal> {
        self.optional(name)
            .map(|value| value.parse().map_err(|_| invalid(name, value)))
            .transpose()
    }

    /// A number within bounds, both inclusive.
    pub(crate) fn number(
        &self,
        name: &str,
        least: usize,
        most: usize,
    ) -> Result<Option<usize>, Refusal> {
        let Some(value) = self.optional(name) else {
            return Ok(None);
        };
        match value.parse() {
            Ok(number) if (least..=most).contains(&number) => Ok(Some(number)),
            _ => Err(Refusal::parameter(format!(
                "The specified parameter {name} is {value}, not {least} to {most}."
            ))),
        }
    }

    /// `true` or `false`, in any case.
    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, Refusal> {
        match self.optional(name) {
            None => Ok(None),
            Some(value) if value.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Some(value) if value.eq_ignore_ascii_case("false") => Ok(Some(false)),
            Some(value) => Err(invalid(name, value)),
        }
    }

    /// A text of so many characters, both inclusive.
    pub(crate) fn text(
        &self,
        name: &str,
        least: usize,
        most: usize,
    ) -> Result<Option<&str>, Refusal> {
        let Some(value) = self.optional(name) else {
            return Ok(None);
        };
        let length = value.chars().count();
        if (least..=most).contains(&length)
            && !value.starts_with("http://")
            && !value.starts_with("https://")
        {
            return Ok(Some(value));
        }
        let message = format!(
            "The specified parameter {name} must be {least} to {most} characters and no URL."
        );
        Err(Refusal::parameter(message))
    }

    /// Named (`list.N`) or counted (`count`), not both; the count is 1 to `most`.
    pub(crate) fn wanted<T: FromStr>(
        &self,
        list: &str,
        count: &str,
        most: usize,
    ) -> Result<Wanted<T>, Refusal> {
        let named = self.typed_list(list)?;
        match (named.is_empty(), self.number(count, 1, most)?) {
            (true, None) => Ok(Wanted::Nothing),
            (false, None) => Ok(Wanted::These(named)),
            (true, Some(counted)) => Ok(Wanted::Count(counted)),
            (false, Some(_)) => Err(conflict(&format!("{list}.N"), count)),
        }
    }

    /// `Tag.N.Key` and `Tag.N.Value`, in the order of N; a value may be absent.
    pub(crate) fn tags(&self) -> Result<Vec<(String, Option<String>)>, Refusal> {
        let mut tags: BTreeMap<usize, (Option<&str>, Option<&str>)> = BTreeMap::new();
        for (name, value) in self.iter() {
            let Some((number, part)) = name
                .strip_prefix("Tag.")
                .and_then(|rest| rest.split_once('.'))
            else {
                continue;
            };
            let Ok(number) = number.parse() else {
                return Err(invalid(name, value));
            };
            let tag = tags.entry(number).or_default();
            match part {
                "Key" | "key" => tag.0 = Some(value),
                "Value" | "value" => tag.1 = Some(value),
                _ => return Err(invalid(name, value)),
            }
        }
        tags.into_iter()
            .map(|(number, (key, value))| checked_tag(number, key, value))
            .collect()
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Parameters {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(parameters: I) -> Self {
        Self(
            parameters
                .into_iter()
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        )
    }
}

/// A parameter that is needed is not there.
pub(crate) fn missing(name: &str) -> Refusal {
    let message = format!(
        "The input parameter \"{name}\" that is mandatory for processing this request is not supplied."
    );
    Refusal::new(400, "MissingParameter", message)
}

/// A parameter that makes no sense.
pub(crate) fn invalid(name: &str, value: &str) -> Refusal {
    // A stranger's text goes back to the stranger, but not a megabyte of it.
    let shown: String = value.chars().take(64).collect();
    Refusal::parameter(format!(
        "The specified parameter {name} is not valid: {shown}."
    ))
}

/// Two parameters of which only one may be there.
pub(crate) fn conflict(one: &str, other: &str) -> Refusal {
    let message = format!("The parameters {one} and {other} must not be specified together.");
    Refusal::new(400, "InvalidParameter.Conflict", message)
}

fn checked_tag(
    number: usize,
    key: Option<&str>,
    value: Option<&str>,
) -> Result<(String, Option<String>), Refusal> {
    let url = |text: &str| text.contains("http://") || text.contains("https://");
    let key = key
        .filter(|key| !key.is_empty())
        .ok_or_else(|| missing(&format!("Tag.{number}.Key")))?;
    if key.chars().count() > 128 || key.starts_with("aliyun") || key.starts_with("acs:") || url(key)
    {
        let message = format!("The specified tag key Tag.{number}.Key is not valid.");
        return Err(Refusal::new(400, "InvalidTagKey.Malformed", message));
    }
    if value
        .is_some_and(|value| value.chars().count() > 128 || value.starts_with("acs:") || url(value))
    {
        let message = format!("The specified tag value Tag.{number}.Value is not valid.");
        return Err(Refusal::new(400, "InvalidTagValue.Malformed", message));
    }
    Ok((key.to_owned(), value.map(str::to_owned)))
}
