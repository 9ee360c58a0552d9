//! The fields of queries and forms.

use std::convert::Infallible;
use std::fmt::Display;
use std::str::FromStr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;

use crate::error::PageError;

/// Names and values in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Those of a query or of the body of a form.
    pub(crate) fn parse(text: &[u8]) -> Self {
        Self(form_urlencoded::parse(text).into_owned().collect())
    }

    /// All of them.
    pub(crate) fn pairs(&self) -> &[(String, String)] {
        &self.0
    }

    /// The first value of this name without white space around it; `None` if it is empty: a form
    /// sends every input.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(found, _)| found == name);
        let value = found.map(|(_, value)| value.trim());
        value.filter(|value| !value.is_empty())
    }

    /// The same for a form that shows it again; empty without one.
    pub(crate) fn or_empty(&self, name: &str) -> String {
        self.get(name).unwrap_or_default().to_owned()
    }

    /// The first value of this name as it was entered.
    pub(crate) fn text(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(found, _)| found == name);
        found.map_or("", |(_, value)| value.as_str())
    }

    /// The value of this name as something else.
    ///
    /// # Errors
    /// 400 that quotes the value and says what is expected.
    pub(crate) fn parsed<T: FromStr>(
        &self,
        name: &str,
        expected: impl Display,
    ) -> Result<Option<T>, PageError> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let value = value.parse().map_err(|_| {
            PageError::invalid(format!(
                "invalid `{name}`: expected {expected}, found `{value}`"
            ))
        });
        value.map(Some)
    }
}

/// A query as text, without the fields `except` and those without a value.
pub(crate) fn query_of<'a>(
    fields: impl IntoIterator<Item = (&'a str, &'a str)>,
    except: &[&str],
) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in fields {
        if !value.is_empty() && !except.contains(&name) {
            query.append_pair(name, value);
        }
    }
    query.finish()
}

impl<S: Sync> FromRequestParts<S> for Fields {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let query = parts.uri.query().unwrap_or_default();
        Ok(Self::parse(query.as_bytes()))
    }
}
