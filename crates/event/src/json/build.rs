//! Builders of JSON trees.

use super::Json;

impl Json {
    /// An object with these members, in this order.
    ///
    /// ```
    /// use reflexarc_event::Json;
    ///
    /// let json = Json::object([
    ///     ("rule", Json::from("leaked-eni")),
    ///     ("targets", Json::strings(["team", "mail"])),
    ///     ("sent", Json::count(2_u64)),
    ///     ("reason", Json::optional(None)),
    /// ]);
    /// assert_eq!(
    ///     json.to_string(),
    ///     r#"{"rule":"leaked-eni","targets":["team","mail"],"sent":2,"reason":null}"#,
    /// );
    /// ```
    pub fn object<K: Into<String>>(members: impl IntoIterator<Item = (K, Json)>) -> Self {
        members
            .into_iter()
            .map(|(key, value)| (key.into(), value))
            .collect()
    }

    /// An array of strings.
    pub fn strings<S: AsRef<str>>(texts: impl IntoIterator<Item = S>) -> Self {
        Self::Array(
            texts
                .into_iter()
                .map(|text| Self::from(text.as_ref()))
                .collect(),
        )
    }

    /// An object whose members are strings.
    ///
    /// ```
    /// use reflexarc_event::Json;
    ///
    /// let labels = Json::texts([("team", "network")]);
    /// assert_eq!(labels.to_string(), r#"{"team":"network"}"#);
    /// ```
    pub fn texts<K: AsRef<str>, V: AsRef<str>>(members: impl IntoIterator<Item = (K, V)>) -> Self {
        let members = members.into_iter();
        Self::object(members.map(|(key, text)| (key.as_ref().to_owned(), text.as_ref().into())))
    }

    /// A string, or null for `None`.
    pub fn optional(text: Option<&str>) -> Self {
        text.map_or(Self::Null, Self::from)
    }

    /// A count; one beyond `i64::MAX` becomes `i64::MAX`.
    pub fn count(count: impl TryInto<i64>) -> Self {
        Self::from(count.try_into().unwrap_or(i64::MAX))
    }
}
