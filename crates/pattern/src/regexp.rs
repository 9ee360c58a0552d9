//! Regular expressions: the syntax of the `regex` crates without look-around, matched against a whole value, in linear
//! time, with bounded memory.

use std::ops::Range;

use regex_automata::Input;
use regex_automata::meta;
use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind, Look};

use crate::Limits;

/// A regular expression ready to match.
#[derive(Debug, Clone)]
pub(crate) struct CompiledRegexp(meta::Regex);

/// Why a text is no regular expression that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RegexpFault {
    /// It cannot be read; the bytes of the text that are to blame.
    #[error("{message}")]
    Syntax {
        /// What is wrong, as half a sentence.
        message: String,
        /// Where.
        at: Range<usize>,
    },
    /// It would need more than [`Limits::regexp`] instructions.
    #[error("the regular expression would grow to more than {} instructions", Limits::DEFAULT.regexp)]
    TooLarge,
}

impl CompiledRegexp {
    /// Levels of groups and repetitions.
    const DEPTH: u32 = 64;
    /// Longest text in bytes: even a class in every place of it stays small.
    const LENGTH: usize = 8 * 1024;

    /// Reads and compiles a regular expression. Its size is estimated before anything is built, so that a short text
    /// for a huge machine costs nothing.
    pub(crate) fn new(text: &str, ignoring_case: bool) -> Result<Self, RegexpFault> {
        if text.len() > Self::LENGTH {
            return Err(RegexpFault::TooLarge);
        }
        let mut parser = ParserBuilder::new().nest_limit(Self::DEPTH).case_insensitive(ignoring_case).build();
        // Anchors go around the parsed expression, not around its text: `a)(b` must stay an error.
        let expression = parser.parse(text).map_err(|error| syntax_fault(&error, text))?;
        if instructions(&expression) > Limits::DEFAULT.regexp {
            return Err(RegexpFault::TooLarge);
        }
        let whole = Hir::concat(vec![Hir::look(Look::Start), expression, Hir::look(Look::End)]);
        let size = Limits::DEFAULT.regexp * BYTES_PER_INSTRUCTION;
        let config = meta::Config::new().nfa_size_limit(Some(size)).onepass_size_limit(Some(size));
        meta::Builder::new().configure(config).build_from_hir(&whole).map(Self).map_err(|_| RegexpFault::TooLarge)
    }

    /// About how many bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>() + self.0.memory_usage()
    }

    /// Whether the whole of `value` matches.
    pub(crate) fn matches(&self, value: &str) -> bool {
        self.0.is_match(Input::new(value).anchored(regex_automata::Anchored::Yes))
    }
}

/// What the machine for one instruction takes at most, as a second wall behind the estimate.
const BYTES_PER_INSTRUCTION: usize = 256;

/// About how many instructions the expression compiles to: one a byte of a literal, some a range of a class, and
/// what is repeated as often as it may repeat.
fn instructions(expression: &Hir) -> usize {
    match expression.kind() {
        HirKind::Empty | HirKind::Look(_) => 1,
        HirKind::Literal(literal) => literal.0.len(),
        HirKind::Class(Class::Unicode(class)) => class.ranges().len() + 1,
        HirKind::Class(Class::Bytes(class)) => class.ranges().len() + 1,
        HirKind::Capture(capture) => instructions(&capture.sub).saturating_add(2),
        HirKind::Repetition(repetition) => {
            let times = repetition.max.unwrap_or(repetition.min).max(repetition.min).max(1);
            instructions(&repetition.sub).saturating_add(1).saturating_mul(times as usize)
        }
        HirKind::Concat(parts) | HirKind::Alternation(parts) => {
            parts.iter().map(instructions).fold(1, usize::saturating_add)
        }
    }
}

fn syntax_fault(error: &regex_syntax::Error, text: &str) -> RegexpFault {
    let (message, at) = match error {
        regex_syntax::Error::Parse(error) => (error.kind().to_string(), error.span()),
        regex_syntax::Error::Translate(error) => (error.kind().to_string(), error.span()),
        _ => return RegexpFault::Syntax { message: "it cannot be read".into(), at: 0..text.len() },
    };
    RegexpFault::Syntax { message, at: at.start.offset..at.end.offset }
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
        assert!(CompiledRegexp::new("a)(b", false).is_err());
    }

    #[test]
    fn an_expression_that_would_grow_too_large_is_refused() {
        assert!(CompiledRegexp::new("a{1000}{1000}", false).is_err());
    }
}
