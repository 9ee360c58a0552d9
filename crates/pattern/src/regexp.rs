//! Regular expressions: the syntax of the `regex` crate, matched against a whole value in linear
//! time and bounded memory.

use std::ops::Range;

use regex_automata::Input;
use regex_automata::meta;
use regex_syntax::ast::{self, Ast, ClassSet, ClassSetItem, RepetitionKind, RepetitionRange};
use regex_syntax::hir::translate::TranslatorBuilder;
use regex_syntax::hir::{Hir, Look};

use crate::PatternLimits;

/// A compiled regular expression.
#[derive(Debug, Clone)]
pub(crate) struct CompiledRegexp(meta::Regex);

/// Why a regular expression is rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RegexpFault {
    /// A syntax error.
    #[error("{message}")]
    Syntax {
        /// The message of the regex parser.
        message: String,
        /// The bytes of the expression at fault.
        at: Range<usize>,
    },
    /// It would need more than [`PatternLimits::regexp`] instructions.
    #[error(
        "regular expression would compile to more than {} instructions",
        PatternLimits::DEFAULT.regexp
    )]
    TooLarge,
}

impl CompiledRegexp {
    /// Parses and compiles a regular expression.
    ///
    /// # Errors
    /// If its syntax is invalid, or if its estimated or actual size exceeds the limit.
    pub(crate) fn new(text: &str, ignoring_case: bool) -> Result<Self, RegexpFault> {
        let expression = syntax(text, ignoring_case)?;
        // Anchored after parsing: `^(?:` and `)$` around the text would turn the error `a)(b` into
        // a valid expression, and with `a|b` without a group only the branches' ends would be
        // anchored.
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
            .map_err(|error| match error.size_limit() {
                Some(_) => RegexpFault::TooLarge,
                None => RegexpFault::Syntax {
                    message: error.to_string(),
                    at: 0..text.len(),
                },
            })
    }

    /// The approximate memory in bytes.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>() + self.0.memory_usage()
    }

    /// Whether the whole of `value` matches.
    pub(crate) fn matches(&self, value: &str) -> bool {
        self.0
            .is_match(Input::new(value).anchored(regex_automata::Anchored::Yes))
    }
}

/// Parses a regular expression; it is not anchored yet.
///
/// # Errors
/// If its syntax is invalid, or if it is too long or its estimated size exceeds the limit.
// Three limits, each of which protects the next step: the length bounds parsing, the estimate
// bounds translation (`a{1000}{1000}` has 13 bytes and a million instructions), and the size limit
// of the NFA is the safety net if the estimate is too low.
pub(crate) fn syntax(text: &str, ignoring_case: bool) -> Result<Hir, RegexpFault> {
    if text.len() > LENGTH {
        return Err(RegexpFault::TooLarge);
    }
    let mut reader = ast::parse::ParserBuilder::new().nest_limit(DEPTH).build();
    let read = reader
        .parse(text)
        .map_err(|error| syntax_fault(&error.into(), text))?;
    if instructions(&read) > PatternLimits::DEFAULT.regexp {
        return Err(RegexpFault::TooLarge);
    }
    TranslatorBuilder::new()
        .case_insensitive(ignoring_case)
        .build()
        .translate(text, &read)
        .map_err(|error| syntax_fault(&error.into(), text))
}

/// Most levels of groups and repetitions.
const DEPTH: u32 = 64;

/// Longest expression in bytes.
const LENGTH: usize = 8 * 1024;

/// Size limit of the compiled expression, per estimated instruction. An NFA state of
/// `regex-automata` is much smaller; the limit only stops expressions that the estimate missed.
const BYTES_PER_INSTRUCTION: usize = 256;

/// An estimate of the number of instructions that the expression compiles to.
// Made from the syntax tree, because translating it is already expensive: `\pL` becomes hundreds
// of ranges of characters. A repetition counts as many times as it may repeat: `[0-9]{3}` is
// three times `[0-9]`, and nested repetitions multiply.
fn instructions(expression: &Ast) -> usize {
    /// About the number of ranges in the larger Unicode classes, such as `\w`.
    const CLASS: usize = 700;
    match expression {
        Ast::Empty(_) | Ast::Flags(_) | Ast::Assertion(_) => 1,
        Ast::Literal(literal) => literal.c.len_utf8(),
        Ast::Dot(_) => 4,
        Ast::ClassPerl(_) | Ast::ClassUnicode(_) => CLASS,
        Ast::ClassBracketed(class) => {
            // Ignoring case, which `(?i)` may enable inside the expression, folds the characters of
            // a range one by one; a range beyond ASCII counts like a Unicode class.
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

/// Whether the class contains another class or a range beyond ASCII.
// `[a-z_]` has not, `[\w.]`, `[à-ÿ]` and `[[:alpha:]&&[^x]]` have.
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
                message: "invalid syntax".into(),
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
    fn every_branch_is_anchored() {
        let regexp = CompiledRegexp::new("a|b", false).expect("a regular expression");
        assert!(regexp.matches("a") && regexp.matches("b"));
        assert!(!regexp.matches("ax") && !regexp.matches("xb"));
    }

    #[test]
    fn word_boundaries_and_unicode_classes_are_known() {
        let regexp = CompiledRegexp::new(r"\bä\pL\B\w+\b", false).expect("a regular expression");
        assert!(regexp.matches("äöü") && !regexp.matches("ä"));
        assert!(
            CompiledRegexp::new(r"\p{Greek}", false)
                .expect("a script")
                .matches("λ")
        );
    }

    #[test]
    fn unbalanced_groups_are_rejected() {
        assert!(CompiledRegexp::new("a)(b", false).is_err());
    }

    #[test]
    fn expressions_that_compile_to_too_much_are_rejected() {
        assert!(CompiledRegexp::new(&r"\pL".repeat(2_000), true).is_err());
        assert!(CompiledRegexp::new(&r"(?i)[\x{0}-\x{10FFFF}]".repeat(300), false).is_err());
        assert!(CompiledRegexp::new(r"[\w.-]{1,20}", true).is_ok());
        assert!(CompiledRegexp::new("a{1000}{1000}", false).is_err());
    }
}
