//! Regular expressions: the syntax of the `regex` crates without look-around, matched against a whole value, in linear
//! time, with bounded memory.

use std::ops::Range;

use regex_automata::Input;
use regex_automata::meta;
use regex_syntax::ast::{self, Ast, ClassSet, ClassSetItem, RepetitionKind, RepetitionRange};
use regex_syntax::hir::translate::TranslatorBuilder;
use regex_syntax::hir::{Hir, Look};

use crate::PatternLimits;

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
    /// It would need more than [`PatternLimits::regexp`] instructions.
    #[error("the regular expression would grow to more than {} instructions", PatternLimits::DEFAULT.regexp)]
    TooLarge,
}

impl CompiledRegexp {
    /// Levels of groups and repetitions.
    const DEPTH: u32 = 64;
    /// Longest text in bytes.
    const LENGTH: usize = 8 * 1024;

    /// Reads and compiles a regular expression. Its size is estimated before anything is built, so that a short text
    /// for a huge machine costs nothing.
    pub(crate) fn new(text: &str, ignoring_case: bool) -> Result<Self, RegexpFault> {
        if text.len() > Self::LENGTH {
            return Err(RegexpFault::TooLarge);
        }
        let mut reader = ast::parse::ParserBuilder::new()
            .nest_limit(Self::DEPTH)
            .build();
        let read = reader
            .parse(text)
            .map_err(|error| syntax_fault(&error.into(), text))?;
        if instructions(&read) > PatternLimits::DEFAULT.regexp {
            return Err(RegexpFault::TooLarge);
        }
        // Anchors go around the parsed expression, not around its text: `a)(b` must stay an error.
        let mut translator = TranslatorBuilder::new()
            .case_insensitive(ignoring_case)
            .build();
        let expression = translator
            .translate(text, &read)
            .map_err(|error| syntax_fault(&error.into(), text))?;
        let whole = Hir::concat(vec![
            Hir::look(Look::Start),
            expression,
            Hir::look(Look::End),
        ]);
        let size = PatternLimits::DEFAULT.regexp * BYTES_PER_INSTRUCTION;
        let config = meta::Config::new()
            .nfa_size_limit(Some(size))
            .onepass_size_limit(Some(size));
        meta::Builder::new()
            .configure(config)
            .build_from_hir(&whole)
            .map(Self)
            .map_err(|_| RegexpFault::TooLarge)
    }

    /// About how many bytes it takes.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>() + self.0.memory_usage()
    }

    /// Whether the whole of `value` matches.
    pub(crate) fn matches(&self, value: &str) -> bool {
        self.0
            .is_match(Input::new(value).anchored(regex_automata::Anchored::Yes))
    }
}

/// What the machine for one instruction takes at most, as a second wall behind the estimate.
const BYTES_PER_INSTRUCTION: usize = 256;

/// About how many instructions the expression compiles to, from its text alone: reading a class already costs what its
/// ranges cost, so nothing larger than this is looked at more closely. What is repeated counts as often as it may repeat.
fn instructions(expression: &Ast) -> usize {
    /// Ranges in the larger classes of Unicode.
    const CLASS: usize = 700;
    match expression {
        Ast::Empty(_) | Ast::Flags(_) | Ast::Assertion(_) => 1,
        Ast::Literal(literal) => literal.c.len_utf8(),
        Ast::Dot(_) => 4,
        Ast::ClassPerl(_) | Ast::ClassUnicode(_) => CLASS,
        Ast::ClassBracketed(class) => {
            // A range over many characters is folded one by one where case is ignored, which a flag inside may ask for.
            let length = class.span.end.offset - class.span.start.offset;
            let ranges = if class_has_ranges(&class.kind) {
                CLASS
            } else {
                0
            };
            length.saturating_mul(2).saturating_add(ranges)
        }
        Ast::Group(group) => instructions(&group.ast).saturating_add(2),
        Ast::Repetition(repetition) => {
            let times = match &repetition.op.kind {
                RepetitionKind::Range(
                    RepetitionRange::Exactly(times)
                    | RepetitionRange::AtLeast(times)
                    | RepetitionRange::Bounded(_, times),
                ) => (*times).max(1),
                _ => 1,
            };
            instructions(&repetition.ast)
                .saturating_add(1)
                .saturating_mul(times as usize)
        }
        Ast::Concat(parts) => parts
            .asts
            .iter()
            .map(instructions)
            .fold(1, usize::saturating_add),
        Ast::Alternation(parts) => parts
            .asts
            .iter()
            .map(instructions)
            .fold(1, usize::saturating_add),
    }
}

/// Whether the class holds another class or a range beyond ASCII.
fn class_has_ranges(class: &ClassSet) -> bool {
    let item = |item: &ClassSetItem| match item {
        ClassSetItem::Empty(_) | ClassSetItem::Literal(_) | ClassSetItem::Ascii(_) => false,
        ClassSetItem::Range(range) => !range.end.c.is_ascii(),
        ClassSetItem::Union(union) => union.items.iter().any(|item| match item {
            ClassSetItem::Empty(_) | ClassSetItem::Literal(_) | ClassSetItem::Ascii(_) => false,
            ClassSetItem::Range(range) => !range.end.c.is_ascii(),
            _ => true,
        }),
        ClassSetItem::Unicode(_) | ClassSetItem::Perl(_) | ClassSetItem::Bracketed(_) => true,
    };
    match class {
        ClassSet::Item(only) => item(only),
        ClassSet::BinaryOp(_) => true,
    }
}

fn syntax_fault(error: &regex_syntax::Error, text: &str) -> RegexpFault {
    let (message, at) = match error {
        regex_syntax::Error::Parse(error) => (error.kind().to_string(), error.span()),
        regex_syntax::Error::Translate(error) => (error.kind().to_string(), error.span()),
        _ => {
            return RegexpFault::Syntax {
                message: "it cannot be read".into(),
                at: 0..text.len(),
            };
        }
    };
    RegexpFault::Syntax {
        message,
        at: at.start.offset..at.end.offset,
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
        assert!(CompiledRegexp::new("a)(b", false).is_err());
    }

    #[test]
    fn an_expression_that_would_grow_too_large_is_refused() {
        assert!(CompiledRegexp::new(&r"\pL".repeat(2_000), true).is_err());
        assert!(CompiledRegexp::new(&r"(?i)[\x{0}-\x{10FFFF}]".repeat(300), false).is_err());
        assert!(CompiledRegexp::new(r"[\w.-]{1,20}", true).is_ok());
        assert!(CompiledRegexp::new("a{1000}{1000}", false).is_err());
    }
}
