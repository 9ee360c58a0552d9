//! Names that the services accept.

use std::collections::BTreeSet;

use super::LIMITS;

/// The characters of a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NameStyle {
    /// Letters, digits and `-`; a letter or digit first.
    EventBridge,
    /// Letters, digits, `.`, `-` and `_`.
    Aws,
    /// Letters, digits, `-` and `_`; no digit or `-` first.
    TerraformResource,
    /// Any text.
    CloudMonitor,
}

/// Gives each rule a name that no other has.
#[derive(Debug, Default)]
pub(super) struct Names {
    given: BTreeSet<String>,
}

impl Names {
    /// The name for `wanted`: with `-` for other characters, and a number made of it where that is
    /// the name of another rule, or nothing is left.
    pub(super) fn give(&mut self, wanted: &str, style: NameStyle) -> String {
        let name = accepted(wanted, style);
        let mut unique = name.clone();
        let mut salt = 0;
        while !self.given.insert(unique.clone()) {
            unique = with_end(&name, &digest(wanted, salt), style);
            salt += 1;
        }
        unique
    }
}

impl NameStyle {
    fn has(self, c: char) -> bool {
        match self {
            Self::EventBridge => c.is_ascii_alphanumeric() || c == '-',
            Self::Aws => c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'),
            Self::TerraformResource => c.is_ascii_alphanumeric() || matches!(c, '-' | '_'),
            Self::CloudMonitor => !c.is_control(),
        }
    }

    fn longest(self) -> usize {
        match self {
            Self::EventBridge => LIMITS.eventbridge_name,
            Self::Aws => LIMITS.aws_name,
            Self::TerraformResource => 100,
            Self::CloudMonitor => usize::MAX,
        }
    }
}

fn accepted(wanted: &str, style: NameStyle) -> String {
    let replaced = wanted.chars().map(|c| if style.has(c) { c } else { '-' });
    let mut name: String = replaced.collect();
    if style == NameStyle::CloudMonitor {
        return name;
    }
    let is_meaningless = !name.chars().any(|c| c.is_ascii_alphanumeric());
    if is_meaningless {
        name = format!("rule-{}", digest(wanted, 0));
    }
    let starts = |name: &str| match style {
        NameStyle::TerraformResource => {
            name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        }
        _ => name.starts_with(|c: char| c.is_ascii_alphanumeric()),
    };
    if !starts(&name)
        || style == NameStyle::EventBridge && name.starts_with(LIMITS.eventbridge_reserved)
    {
        name = format!("rule-{}", name.trim_start_matches(['-', '_', '.']));
    }
    if name.len() > style.longest() {
        name = with_end(&name, &digest(wanted, 0), style);
    }
    name
}

/// The name, cut where needed, with `-` and the end.
fn with_end(name: &str, end: &str, style: NameStyle) -> String {
    let kept = style.longest().saturating_sub(end.len() + 1);
    let kept: String = name.chars().take(kept).collect();
    format!("{kept}-{end}")
}

/// Eight digits that depend on the text only, so that a second export gives the same names: FNV-1a.
fn digest(text: &str, salt: u32) -> String {
    let bytes = text.bytes().chain(salt.to_le_bytes());
    let hash = bytes.fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    format!("{hash:08x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn give(wanted: &str, style: NameStyle) -> String {
        Names::default().give(wanted, style)
    }

    #[test]
    fn names_have_only_what_a_service_accepts() {
        use NameStyle::{Aws, CloudMonitor, EventBridge, TerraformResource};
        for (wanted, style, name) in [
            ("eni_failed-1", EventBridge, "eni-failed-1"),
            ("eni_failed.1", Aws, "eni_failed.1"),
            ("1st", TerraformResource, "rule-1st"),
            ("-a", EventBridge, "rule-a"),
            (
                "eventbridge-reserved-a",
                EventBridge,
                "rule-eventbridge-reserved-a",
            ),
            ("网卡告警", CloudMonitor, "网卡告警"),
        ] {
            assert_eq!(give(wanted, style), name);
        }
        let chinese = give("网卡告警", EventBridge);
        assert!(
            chinese.starts_with("rule-") && chinese.len() == 13,
            "{chinese}"
        );
        assert_ne!(chinese, give("网卡恢复", EventBridge));
    }

    #[test]
    fn long_names_are_cut_at_the_limit() {
        for (style, limit) in [(NameStyle::EventBridge, 127), (NameStyle::Aws, 64)] {
            let longest = "a".repeat(limit);
            assert_eq!(give(&longest, style), longest);
            let cut = give(&format!("{longest}b"), style);
            assert_eq!(cut.len(), limit);
            assert_ne!(cut, give(&format!("{longest}c"), style));
        }
    }

    #[test]
    fn no_name_is_given_twice() {
        let mut names = Names::default();
        let first = names.give("a_b", NameStyle::EventBridge);
        let second = names.give("a.b", NameStyle::EventBridge);
        assert_eq!(first, "a-b");
        assert!(second.starts_with("a-b-") && second != first, "{second}");
        // The same in another export.
        let mut again = Names::default();
        again.give("a_b", NameStyle::EventBridge);
        assert_eq!(again.give("a.b", NameStyle::EventBridge), second);
    }
}
