//! Where a value is in an event.

use std::fmt;

/// A path to a field: keys joined by dots.
///
/// Keys that contain dots and nested keys give the same path: `{"a.b": 1}` and `{"a": {"b": 1}}`
/// both have a value at `a.b`. Empty keys are ordinary keys.
///
/// ```
/// use reflexarc_event::Path;
///
/// let path = Path::from_keys(["content", "result"]);
/// assert_eq!(path.as_str(), "content.result");
/// assert_eq!(path, Path::from_keys(["content.result"]));
/// assert_eq!(path.segments().collect::<Vec<_>>(), ["content", "result"]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path(Box<str>);

impl Path {
    /// The path of these keys, outermost first.
    pub fn from_keys<K: AsRef<str>>(keys: impl IntoIterator<Item = K>) -> Self {
        let mut text = String::new();
        for (i, key) in keys.into_iter().enumerate() {
            if i > 0 {
                text.push('.');
            }
            text.push_str(key.as_ref());
        }
        Self(text.into())
    }

    /// The keys joined by dots.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The segments between the dots, outermost first; always at least one.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('.')
    }
}

/// The joined text, without the quotes that some keys need in an expression.
impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dotted_and_nested_keys_make_one_path() {
        assert_eq!(Path::from_keys(["a.b", "c"]), Path::from_keys(["a", "b.c"]));
        assert_eq!(
            Path::from_keys(["a.b", "c"]).segments().collect::<Vec<_>>(),
            ["a", "b", "c"]
        );
    }

    #[test]
    fn empty_keys_are_kept() {
        assert_eq!(Path::from_keys(["", "a", ""]).as_str(), ".a.");
        assert_eq!(Path::from_keys([""]).segments().collect::<Vec<_>>(), [""]);
        assert_ne!(Path::from_keys(["", "a"]), Path::from_keys(["a"]));
    }
}
