//! What a tolerant reader makes of a value.

/// A value of an event as far as it can be read. The text of what cannot be read is kept.
///
/// Documentation and test messages mask parts of values (`eni-8vb1qo********cdeg2n`, `192.168.XX.XX`). Such a value
/// equals nothing, not even itself, as its hidden part may be anything; there is no `Eq` and no `Hash`, so that nothing
/// can be filed under it.
#[derive(Debug, Clone, Default)]
pub enum Reading<T> {
    /// The event does not have the value.
    #[default]
    Missing,
    /// Read in full.
    Clear(T),
    /// Partly hidden.
    Masked(String),
    /// Neither masked nor readable as a `T`.
    Unknown(String),
}

impl<T> Reading<T> {
    /// Reads a text with `parse`; a text that `parse` refuses is masked or unknown, and so is one that hides something
    /// that `parse` does not look at.
    pub(crate) fn of(text: &str, parse: impl FnOnce(&str) -> Option<T>) -> Self {
        match parse(text) {
            Some(value) if !is_masked(text) => Self::Clear(value),
            None if !is_masked(text) && !hides_digits(text) => Self::Unknown(text.to_owned()),
            _ => Self::Masked(text.to_owned()),
        }
    }

    /// The value, where it was read in full.
    pub fn clear(&self) -> Option<&T> {
        match self {
            Self::Clear(value) => Some(value),
            _ => None,
        }
    }

    /// Whether a part of it is hidden.
    pub fn is_masked(&self) -> bool {
        matches!(self, Self::Masked(_))
    }
}

impl<T: PartialEq> PartialEq for Reading<T> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Missing, Self::Missing) => true,
            (Self::Clear(a), Self::Clear(b)) => a == b,
            (Self::Unknown(a), Self::Unknown(b)) => a == b,
            _ => false,
        }
    }
}

impl<T> From<T> for Reading<T> {
    fn from(value: T) -> Self {
        Self::Clear(value)
    }
}

/// Whether a text of any sort hides a part of itself: two asterisks in a row, or a placeholder like `<resource-id>`.
pub(crate) fn is_masked(text: &str) -> bool {
    let placeholder = text.find('<').is_some_and(|at| text[at..].contains('>'));
    text.contains("**") || placeholder
}

/// Whether a text that should be an address, a prefix or a time has `X`s or asterisks where its digits should be.
fn hides_digits(text: &str) -> bool {
    let digits = |c: char| c.is_ascii_hexdigit() || "./:+-TZXx*".contains(c);
    let hidden = text.contains("XX") || text.contains("xx") || text.contains('*');
    hidden && text.chars().all(digits)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn address(text: &str) -> Reading<Ipv4Addr> {
        Reading::of(text, |text| text.parse().ok())
    }

    #[test]
    fn a_masked_value_keeps_its_text_and_equals_nothing() {
        for text in [
            "192.168.XX.XX",
            "10.***125",
            "10.0.0.*",
            "10.xx.0.1",
            "<ip>",
        ] {
            assert!(
                matches!(address(text), Reading::Masked(kept) if kept == text),
                "{text}"
            );
            assert!(
                address(text) != address(text) && address(text) != Reading::Missing,
                "{text}"
            );
            assert_eq!(address(text).clear(), None);
        }
    }

    #[test]
    fn a_clear_value_is_read_and_any_other_kept() {
        assert_eq!(
            address("192.168.0.1"),
            Reading::Clear(Ipv4Addr::new(192, 168, 0, 1))
        );
        assert_eq!(
            address("192.168.0.256"),
            Reading::Unknown("192.168.0.256".to_owned())
        );
        assert_eq!(address("MAXXED"), Reading::Unknown("MAXXED".to_owned()));
        assert!(address("").clear().is_none() && !address("").is_masked());
    }

    #[test]
    fn a_text_that_parses_is_masked_when_it_hides_a_part() {
        let id = |text: &str| Reading::of(text, |text| Some(text.to_owned()));
        assert!(id("eni-8vb1qo********cdeg2n").is_masked());
        assert!(id("St***ng").is_masked());
        assert_eq!(
            id("eni-bp1xx4k7"),
            Reading::Clear("eni-bp1xx4k7".to_owned())
        );
    }
}
