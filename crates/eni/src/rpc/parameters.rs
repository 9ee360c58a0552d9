//! Request parameters: flat names with numbers in them, and typed access to their values.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use crate::ApiError;
use crate::resources::AddressSelection;
use reflexarc_diagnostic::truncate;

/// The parameters of one request, by name: `RegionId`, `SecurityGroupIds.1`, `Tag.2.Key` …
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Parameters(BTreeMap<String, String>);

impl Parameters {
    /// Reads a query string and a form body. Of two parameters with the same name, the later one is
    /// used.
    pub(crate) fn from_wire(query: &str, form: &[u8]) -> Self {
        let pairs = form_urlencoded::parse(query.as_bytes()).chain(form_urlencoded::parse(form));
        pairs
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect()
    }

    /// A parameter that must be present and not empty.
    pub(crate) fn required(&self, name: &str) -> Result<&str, ApiError> {
        self.optional(name).ok_or_else(|| missing(name))
    }

    /// A parameter; an empty one is the same as an absent one.
    pub(crate) fn optional(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// Whether the parameter is there, also if it is empty.
    pub(crate) fn is_given(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Every parameter, sorted by name.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The values of `name.1`, `name.2` … in the order of their numbers. Numbers may be skipped, as
    /// the service allows.
    pub(crate) fn list(&self, name: &str) -> Vec<&str> {
        let mut found: Vec<(usize, &str)> = self
            .iter()
            .filter_map(|(key, value)| {
                let number = key.strip_prefix(name)?.strip_prefix('.')?.parse().ok()?;
                (!value.is_empty()).then_some((number, value))
            })
            .collect();
        // By number: sorted as text, `Name.10` would come before `Name.2`.
        found.sort_unstable();
        found.into_iter().map(|(_, value)| value).collect()
    }

    /// The numbers N of the parameters `name.N.member`, ascending.
    ///
    /// # Errors
    /// When a parameter of the list has no number or none of these members.
    pub(crate) fn numbers(&self, name: &str, members: &[&str]) -> Result<Vec<usize>, ApiError> {
        let mut numbers = BTreeSet::new();
        for (key, value) in self.iter() {
            let Some(rest) = key
                .strip_prefix(name)
                .and_then(|rest| rest.strip_prefix('.'))
            else {
                continue;
            };
            let (number, rest) = rest.split_once('.').unwrap_or((rest, ""));
            let member = rest.split_once('.').map_or(rest, |(member, _)| member);
            match number.parse() {
                Ok(number) if members.contains(&member) => numbers.insert(number),
                _ => return Err(invalid(&truncate(key, 64), value)),
            };
        }
        Ok(numbers.into_iter().collect())
    }

    /// The values of a list, parsed.
    pub(crate) fn parsed_list<T: FromStr>(&self, name: &str) -> Result<Vec<T>, ApiError> {
        self.list(name)
            .into_iter()
            .map(|value| value.parse().map_err(|_| invalid(name, value)))
            .collect()
    }

    /// A parameter, parsed.
    pub(crate) fn parsed<T: FromStr>(&self, name: &str) -> Result<Option<T>, ApiError> {
        self.optional(name)
            .map(|value| value.parse().map_err(|_| invalid(name, value)))
            .transpose()
    }

    /// An integer between `min` and `max`, both inclusive.
    pub(crate) fn number(
        &self,
        name: &str,
        min: usize,
        max: usize,
    ) -> Result<Option<usize>, ApiError> {
        let Some(value) = self.optional(name) else {
            return Ok(None);
        };
        match value.parse() {
            Ok(number) if (min..=max).contains(&number) => Ok(Some(number)),
            _ => Err(ApiError::invalid_parameter(format!(
                "The specified parameter {name} is {value}, not {min} to {max}."
            ))),
        }
    }

    /// `true` or `false`, in any case.
    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, ApiError> {
        match self.optional(name) {
            None => Ok(None),
            Some(value) if value.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Some(value) if value.eq_ignore_ascii_case("false") => Ok(Some(false)),
            Some(value) => Err(invalid(name, value)),
        }
    }

    /// A text of `min` to `max` characters, both inclusive, that is no URL.
    pub(crate) fn text(
        &self,
        name: &str,
        min: usize,
        max: usize,
    ) -> Result<Option<&str>, ApiError> {
        let Some(value) = self.optional(name) else {
            return Ok(None);
        };
        let length = value.chars().count();
        // Names and descriptions must not begin like a URL, as documented for both.
        if (min..=max).contains(&length)
            && !value.starts_with("http://")
            && !value.starts_with("https://")
        {
            return Ok(Some(value));
        }
        let message =
            format!("The specified parameter {name} must be {min} to {max} characters and no URL.");
        Err(ApiError::invalid_parameter(message))
    }

    /// Addresses, explicit (`list.N`) or by their number (`count`, 1 to `max`), but not both.
    pub(crate) fn selection<T: FromStr>(
        &self,
        list: &str,
        count: &str,
        max: usize,
    ) -> Result<AddressSelection<T>, ApiError> {
        let explicit = self.parsed_list(list)?;
        match (explicit.is_empty(), self.number(count, 1, max)?) {
            (true, None) => Ok(AddressSelection::None),
            (false, None) => Ok(AddressSelection::Explicit(explicit)),
            (true, Some(count)) => Ok(AddressSelection::Count(count)),
            (false, Some(_)) => Err(conflict(&format!("{list}.N"), count)),
        }
    }

    /// The keys and values of `Tag.N.Key` and `Tag.N.Value`, in the order of N. A value may be
    /// absent.
    pub(crate) fn tags(&self) -> Result<Vec<(String, Option<String>)>, ApiError> {
        // Key and value of a tag are separate parameters, in any order, so they are joined by
        // number.
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

/// The error for a missing parameter.
pub(crate) fn missing(name: &str) -> ApiError {
    let message = format!(
        "The input parameter \"{name}\" that is mandatory for processing this request \
         is not supplied."
    );
    ApiError::new(400, "MissingParameter", message)
}

/// The error for an invalid value.
pub(crate) fn invalid(name: &str, value: &str) -> ApiError {
    // The value comes from a client that may not be authenticated: a long one is not echoed in
    // full.
    let value = truncate(value, 64);
    ApiError::invalid_parameter(format!(
        "The specified parameter {name} is not valid: {value}."
    ))
}

/// The error for two parameters that exclude each other.
pub(crate) fn conflict(one: &str, other: &str) -> ApiError {
    let message = format!("The parameters {one} and {other} must not be specified together.");
    ApiError::new(400, "InvalidParameter.Conflict", message)
}

fn checked_tag(
    number: usize,
    key: Option<&str>,
    value: Option<&str>,
) -> Result<(String, Option<String>), ApiError> {
    let url = |text: &str| text.contains("http://") || text.contains("https://");
    let key = key
        .filter(|key| !key.is_empty())
        .ok_or_else(|| missing(&format!("Tag.{number}.Key")))?;
    if key.chars().count() > 128 || key.starts_with("aliyun") || key.starts_with("acs:") || url(key)
    {
        let message = format!("The specified tag key Tag.{number}.Key is not valid.");
        return Err(ApiError::new(400, "InvalidTagKey.Malformed", message));
    }
    if value
        .is_some_and(|value| value.chars().count() > 128 || value.starts_with("acs:") || url(value))
    {
        let message = format!("The specified tag value Tag.{number}.Value is not valid.");
        return Err(ApiError::new(400, "InvalidTagValue.Malformed", message));
    }
    Ok((key.to_owned(), value.map(str::to_owned)))
}
