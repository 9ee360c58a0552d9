//! The parameters in the query of a request.

use std::num::NonZeroUsize;
use std::str::FromStr;

use axum::http::{StatusCode, Uri};

use super::HttpError;

/// The parameters of a query. Those that an operation does not have are ignored: `token`, and
/// whatever a proxy adds.
pub(super) struct Parameters {
    /// Decoded, in their order.
    pairs: Vec<(String, String)>,
}

impl Parameters {
    pub(super) fn of(uri: &Uri) -> Self {
        let query = uri.query().unwrap_or_default();
        let pairs = form_urlencoded::parse(query.as_bytes());
        Self {
            pairs: pairs.into_owned().collect(),
        }
    }

    /// The value of a parameter. Given twice, one of both would be ignored, so it is an error.
    pub(super) fn text(&self, name: &str) -> Result<Option<&str>, HttpError> {
        let mut values = self.pairs.iter().filter(|(given, _)| given == name);
        match (values.next(), values.next()) {
            (_, Some(_)) => Err(bad_request(format!("`{name}` is given twice"))),
            (value, None) => Ok(value.map(|(_, value)| value.as_str())),
        }
    }

    /// What an operator writes for others to read; none if it is empty.
    pub(super) fn remark(&self, name: &str, max_bytes: usize) -> Result<Option<String>, HttpError> {
        match self.text(name)? {
            Some(text) if text.len() > max_bytes => Err(bad_request(format!(
                "`{name}` is longer than {max_bytes} bytes"
            ))),
            text => Ok(text.filter(|text| !text.is_empty()).map(str::to_owned)),
        }
    }

    /// The value of a parameter that is no text; `expected` says what it is: "a timestamp".
    pub(super) fn parsed<T: FromStr>(
        &self,
        name: &str,
        expected: &str,
    ) -> Result<Option<T>, HttpError> {
        let parse = |value: &str| {
            let message = format!("invalid `{name}`: expected {expected}, found `{value}`");
            value.parse().map_err(|_| bad_request(message))
        };
        self.text(name)?.map(parse).transpose()
    }

    /// A parameter that is `true` or `false`; without it, it is false.
    pub(super) fn flag(&self, name: &str) -> Result<bool, HttpError> {
        let value = self.parsed(name, "true or false")?;
        Ok(value.unwrap_or(false))
    }

    /// Where a page goes on: the cursor that the address of the next page has.
    pub(super) fn cursor<T: FromStr>(&self, name: &str) -> Result<Option<T>, HttpError> {
        self.parsed(name, "the one in the address of the next page")
    }

    /// How many elements a page has: `limit`, of which more than `max` is `max`.
    pub(super) fn limit(&self, max: usize) -> Result<usize, HttpError> {
        let limit = self.parsed("limit", "a number of at least 1")?;
        Ok(limit.map_or(max, NonZeroUsize::get).min(max))
    }

    /// The address of the page that begins at a cursor: with these parameters, as they were given.
    /// Not with `token`, which would be in a header of the response.
    pub(super) fn next_page(&self, path: &str, kept: &[&str], cursor: (&str, &str)) -> String {
        let mut address = form_urlencoded::Serializer::new(String::new());
        let kept = self
            .pairs
            .iter()
            .filter(|(name, _)| kept.contains(&name.as_str()));
        address.extend_pairs(kept);
        address.append_pair(cursor.0, cursor.1);
        format!("{path}?{}", address.finish())
    }
}

fn bad_request(message: String) -> HttpError {
    HttpError::new(StatusCode::BAD_REQUEST, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(query: &str) -> Parameters {
        Parameters::of(&format!("/list?{query}").parse().unwrap())
    }

    #[test]
    fn every_kind_of_value_is_read_or_refused() {
        let given = parameters("a=x%20y&b=true&c=&n=5&limit=2000&proxy=1&proxy=2");
        assert_eq!(given.text("a").unwrap(), Some("x y"));
        assert_eq!(given.text("missing").unwrap(), None);
        assert_eq!(given.remark("a", 3).unwrap().as_deref(), Some("x y"));
        assert_eq!(given.remark("c", 3).unwrap(), None);
        assert!(given.flag("b").unwrap() && !given.flag("missing").unwrap());
        assert_eq!(given.parsed("n", "a number").unwrap(), Some(5));
        assert_eq!(given.limit(1_000).unwrap(), 1_000);
        assert_eq!(parameters("").limit(1_000).unwrap(), 1_000);
        assert_eq!(parameters("limit=7").limit(1_000).unwrap(), 7);

        let twice = parameters("a=1&a=1&limit=0&time=today&flag=yes&after=x&long=1234");
        let limit = |text: &str| parameters(&format!("limit={text}")).limit(9).unwrap_err();
        for (error, message) in [
            (twice.text("a").unwrap_err(), "`a` is given twice"),
            (twice.flag("a").unwrap_err(), "`a` is given twice"),
            (twice.remark("a", 9).unwrap_err(), "`a` is given twice"),
            (
                twice.remark("long", 3).unwrap_err(),
                "`long` is longer than 3 bytes",
            ),
            (
                twice.flag("flag").unwrap_err(),
                "invalid `flag`: expected true or false, found `yes`",
            ),
            (
                twice.cursor::<i64>("after").unwrap_err(),
                "invalid `after`: expected the one in the address of the next page, found `x`",
            ),
            (
                limit("0"),
                "invalid `limit`: expected a number of at least 1, found `0`",
            ),
            (
                limit("-1"),
                "invalid `limit`: expected a number of at least 1, found `-1`",
            ),
        ] {
            assert_eq!(error.status, StatusCode::BAD_REQUEST);
            assert_eq!(error.message, message);
        }
    }

    #[test]
    fn the_next_page_has_the_same_parameters_but_the_token() {
        let given = parameters("rule=a%26b&token=secret&limit=2&after=old&other=1");
        let next = given.next_page("/list", &["rule", "limit"], ("after", "5"));
        assert_eq!(next, "/list?rule=a%26b&limit=2&after=5");
    }
}
