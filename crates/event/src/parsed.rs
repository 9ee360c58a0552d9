//! Values that a tolerant reader parsed from an event.

/// A parsed value, or the text that could not be parsed.
///
/// Documentation and test messages mask parts of values (`eni-8vb1qo********cdeg2n`,
/// `192.168.XX.XX`). A masked value equals nothing, not even itself, because the hidden part can be
/// anything; so there is no `Eq` and no `Hash`, and it cannot become the key of a map.
///
/// ```
/// use reflexarc_event::{Level, Parsed};
///
/// let level = Parsed::from(Level::Warn);
/// assert_eq!(level.value(), Some(&Level::Warn));
///
/// let masked: Parsed<String> = Parsed::Masked("eni-8vb1**deg2n".to_owned());
/// assert!(masked.is_masked() && masked.value().is_none());
/// assert!(masked != masked.clone());
/// ```
#[derive(Debug, Clone, Default)]
pub enum Parsed<T> {
    /// The event does not have the field.
    #[default]
    Missing,
    /// The value.
    Value(T),
    /// A text that is partly masked.
    Masked(String),
    /// A text that is neither masked nor a `T`.
    Invalid(String),
}

impl<T> Parsed<T> {
    /// Parses a text. A text that `parse` rejects is masked or invalid; one that it accepts can be
    /// masked too, in a part that `parse` ignores.
    pub(crate) fn of(text: &str, parse: impl FnOnce(&str) -> Option<T>) -> Self {
        // An id parses whatever it is, so a text that parses can still be masked: "eni-8vb1**cdeg".
        match parse(text) {
            Some(value) if !is_masked(text) => Self::Value(value),
            None if !is_masked(text) && !masks_digits(text) => Self::Invalid(text.to_owned()),
            _ => Self::Masked(text.to_owned()),
        }
    }

    /// The value, if there is one.
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            _ => None,
        }
    }

    /// Whether a part is masked.
    pub fn is_masked(&self) -> bool {
        matches!(self, Self::Masked(_))
    }
}

impl<T: PartialEq> PartialEq for Parsed<T> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Missing, Self::Missing) => true,
            (Self::Value(a), Self::Value(b)) => a == b,
            (Self::Invalid(a), Self::Invalid(b)) => a == b,
            _ => false,
        }
    }
}

impl<T> From<T> for Parsed<T> {
    fn from(value: T) -> Self {
        Self::Value(value)
    }
}

/// Whether a text is masked: it has two asterisks in a row, or a placeholder like `<resource-id>`.
pub(crate) fn is_masked(text: &str) -> bool {
    let placeholder = text.find('<').is_some_and(|at| text[at..].contains('>'));
    text.contains("**") || placeholder
}

/// Whether a text that should be an address, a prefix or a time has `X`s or asterisks in place of
/// digits, as in `192.168.XX.XX` and `2019-**-09T04:18:26Z`.
fn masks_digits(text: &str) -> bool {
    let digits = |c: char| c.is_ascii_hexdigit() || "./:+-TZXx*".contains(c);
    let masked = text.contains("XX") || text.contains("xx") || text.contains('*');
    masked && text.chars().all(digits)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn address(text: &str) -> Parsed<Ipv4Addr> {
        Parsed::of(text, |text| text.parse().ok())
    }

    #[test]
    fn masked_values_keep_their_text_and_equal_nothing() {
        for text in [
            "192.168.XX.XX",
            "10.***125",
            "10.0.0.*",
            "10.xx.0.1",
            "<ip>",
        ] {
            assert!(
                matches!(address(text), Parsed::Masked(kept) if kept == text),
                "{text}"
            );
            assert!(
                address(text) != address(text) && address(text) != Parsed::Missing,
                "{text}"
            );
            assert_eq!(address(text).value(), None);
        }
    }

    #[test]
    fn texts_that_do_not_parse_are_kept() {
        assert_eq!(
            address("192.168.0.1"),
            Parsed::Value(Ipv4Addr::new(192, 168, 0, 1))
        );
        assert_eq!(
            address("192.168.0.256"),
            Parsed::Invalid("192.168.0.256".to_owned())
        );
        assert_eq!(address("MAXXED"), Parsed::Invalid("MAXXED".to_owned()));
        assert!(address("").value().is_none() && !address("").is_masked());
    }

    #[test]
    fn texts_that_parse_can_be_masked() {
        let id = |text: &str| Parsed::of(text, |text| Some(text.to_owned()));
        assert!(id("eni-8vb1qo********cdeg2n").is_masked());
        assert!(id("St***ng").is_masked());
        assert_eq!(id("eni-bp1xx4k7"), Parsed::Value("eni-bp1xx4k7".to_owned()));
    }
}
