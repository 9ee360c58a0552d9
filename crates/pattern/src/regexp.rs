//! Regular expressions: the syntax of the `regex` crates without look-around, matched against a whole value, in linear
//! time, with bounded memory.

use regex_automata::Input;
use regex_automata::meta;
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Hir, Look};

/// A regular expression ready to match.
#[derive(Debug, Clone)]
pub(crate) struct CompiledRegexp(meta::Regex);

impl CompiledRegexp {
    /// Bytes that one compiled expression may take.
    const SIZE: usize = 1 << 20;
    /// Levels of groups and repetitions.
    const DEPTH: u32 = 64;

    /// `None` when it is no regular expression or would grow too large.
    pub(crate) fn new(text: &str, ignoring_case: bool) -> Option<Self> {
        let mut parser = ParserBuilder::new().nest_limit(Self::DEPTH).case_insensitive(ignoring_case).build();
        // Anchors go around the parsed expression, not around its text: `a)(b` must stay an error.
        let expression = parser.parse(text).ok()?;
        let whole = Hir::concat(vec![Hir::look(Look::Start), expression, Hir::look(Look::End)]);
        let config = meta::Config::new().nfa_size_limit(Some(Self::SIZE)).onepass_size_limit(Some(Self::SIZE));
        meta::Builder::new().configure(config).build_from_hir(&whole).ok().map(Self)
    }

    /// Whether the whole of `value` matches.
    pub(crate) fn matches(&self, value: &str) -> bool {
        self.0.is_match(Input::new(value).anchored(regex_automata::Anchored::Yes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_hold_for_every_branch() {
        let regexp = CompiledRegexp::new("a|b", false).expect("a regular expression");
        assert!(regexp.matches("a") && regexp.matches("b"));
        assert!(!regexp.matches("ax") && !regexp.matches("xb"));
    }

    #[test]
    fn text_that_closes_a_group_it_never_opened_is_refused() {
        assert!(CompiledRegexp::new("a)(b", false).is_none());
    }

    #[test]
    fn an_expression_that_would_grow_too_large_is_refused() {
        assert!(CompiledRegexp::new("a{1000}{1000}", false).is_none());
    }
}
