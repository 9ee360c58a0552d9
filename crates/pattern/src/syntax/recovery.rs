//! Errors of an expression condition by condition.

// The grammar stops at the first token that it does not know. After an error the text is split into
// its conditions, and each is parsed on its own: one condition that cannot be parsed hides no error
// of another one, and causes none there.

use pest::Parser as _;
use reflexarc_diagnostic::{Code, Diagnostic, Span};

use super::foreign::{self, Clause, Mistake, Suggestion, Token};
use super::{Grammar, Rule, TreeBuilder};
use crate::Node;

impl TreeBuilder<'_> {
    /// Replaces the diagnostics from `before` on, those about an expression with errors, by the
    /// ones of each condition, with help for the spellings of other languages.
    pub(super) fn report_by_condition(&mut self, comments: &[Span], before: usize) {
        let mut whole = self.diagnostics.split_off(before);
        let stopped = Grammar::parse(Rule::expression, self.source).is_err();
        let tokens = foreign::tokens(self.source, comments);
        let of_whole = foreign::prefix_connective::suggestion(&tokens)
            .or_else(|| foreign::statement(&tokens, self.source));
        if let Some(suggestion) = of_whole
            && let (Some(first), Some(last)) = (tokens.first(), tokens.last())
        {
            let span = first.span.start..last.span.end;
            let is_inside = |one: &Span| span.start < one.start && one.start < span.end;
            let has_comments = comments.iter().any(is_inside);
            if self.apply_suggestion(suggestion, &span, has_comments, &mut whole) {
                self.diagnostics.extend(whole);
                return;
            }
        }
        let clauses = foreign::clauses(&tokens);
        let mut found = Vec::new();
        let mut handled = 0;
        for (i, clause) in clauses.iter().enumerate() {
            if found.len() > self.limits.diagnostics {
                break;
            }
            if let Some(connective) = clause.connective.filter(|_| stopped) {
                found.extend(self.unknown_connective(connective, &tokens));
            }
            // Clauses that the suggestion for an earlier one is about.
            if i < handled {
                continue;
            }
            let Some(span) = span_of(clause) else {
                let next = clauses.get(i + 1).and_then(|next| next.connective);
                found.extend(missing_condition(clause.connective, next));
                continue;
            };
            let inside =
                |error: &Diagnostic| span.start <= error.span.start && error.span.end <= span.end;
            // Looked for first: thousands of conditions without errors move none of thousands of
            // errors in other ones.
            if !stopped && !whole.iter().any(inside) {
                continue;
            }
            let (mut own, others): (Vec<_>, Vec<_>) = if stopped {
                (self.errors_of(&span), whole)
            } else {
                whole.into_iter().partition(inside)
            };
            whole = others;
            if own.is_empty() {
                continue;
            }
            let previous = i.checked_sub(1).map(|i| &clauses[i]);
            if let Some(suggestion) = foreign::suggested(&clauses[i..], previous) {
                let has_comments = comments
                    .iter()
                    .any(|one| span.start < one.start && one.start < span.end);
                let count = suggestion.clauses;
                if self.apply_suggestion(suggestion, &span, has_comments, &mut own) {
                    handled = i + count;
                }
            }
            if !self.leads_to_condition(&span, &own) {
                for error in &mut own {
                    error.fix = None;
                }
            }
            for error in &mut own {
                move_to_word(error, clause);
            }
            found.extend(own);
        }
        // What is in no condition, such as an unknown connective, stays as it is; after a syntax
        // error it is only where the grammar stopped.
        if !stopped || found.is_empty() {
            self.diagnostics.extend(whole);
        }
        self.diagnostics.extend(found);
    }

    /// Puts the suggestion for a condition into its first error, and returns whether it is right:
    /// what is suggested must parse. Fixes of the errors stay.
    fn apply_suggestion(
        &self,
        suggestion: Suggestion,
        span: &Span,
        has_comments: bool,
        errors: &mut Vec<Diagnostic>,
    ) -> bool {
        let right = suggestion.right.as_ref().map(|right| self.node_of(right));
        let right = match right {
            Some(None) => return false,
            Some(Some(node)) => Some(node),
            None => None,
        };
        let is_fixable = errors.iter().any(|error| error.fix.is_some());
        let fixed = is_fixable
            .then(|| self.node_of(&self.fixed(span, errors)))
            .flatten();
        let is_exact = right.is_some() && suggestion.is_exact && !has_comments;
        // `!event.a == 1`: the rest is a condition, which has a warning with a fix of its own.
        let is_negation = |error: &Diagnostic| error.message.starts_with("expected `not`");
        let is_other = is_exact && !errors.iter().all(is_negation);
        let Some(first) = errors.first_mut() else {
            return false;
        };
        // `time > 2024-01-01`: in quotes it would still be no number. `like '%x%'`: in double
        // quotes it would compare with percent signs.
        if match suggestion.mistake {
            Mistake::Spelling => false,
            Mistake::Order => fixed.is_none(),
            Mistake::Placeholders => true,
        } {
            first.fix = None;
        } else if fixed.is_some() && (fixed == right || !is_other) {
            // Fixes that make a condition of their own have help of their own, and the help on a
            // keyword says why it needs quotes.
            if fixed == right && first.code != Code::RESERVED_KEY {
                first.help = Some(suggestion.help);
            }
            return true;
        }
        // An error of the grammar only says where it stopped.
        if first.code == Code::SYNTAX || suggestion.is_misread {
            *first = Diagnostic::error(suggestion.code, suggestion.span, suggestion.message);
            errors.truncate(1);
        }
        let first = &mut errors[0];
        first.help = Some(suggestion.help);
        // One edit of the whole, where the fixes of the errors would need several rounds:
        // `event.a = 'x'` becomes `a == "x"` at once.
        if let Some(right) = suggestion.right.filter(|_| is_exact) {
            *first = first.clone().with_fix(span.clone(), right);
            errors.truncate(1);
        }
        true
    }

    /// Whether the fixes of a condition's errors make a condition of it, perhaps with the fixes of
    /// what then remains. Errors of one condition depend on each other: in `ot (a in cidr "…")` the
    /// word `cidr` is no misspelling, although it is unknown where it stands.
    fn leads_to_condition(&self, span: &Span, errors: &[Diagnostic]) -> bool {
        const ROUNDS: usize = 4;
        let mut text = self.fixed(span, errors);
        // A pattern in quotes, which has been parsed without them.
        if text.starts_with('{') {
            return true;
        }
        for _ in 0..ROUNDS {
            let mut builder = TreeBuilder::new(&text, self.dialect, self.limits);
            builder.expression(&text);
            let errors = builder.diagnostics;
            if errors.is_empty() {
                return true;
            }
            if errors.iter().any(|error| error.fix.is_none()) {
                return false;
            }
            let builder = TreeBuilder::new(&text, self.dialect, self.limits);
            text = builder.fixed(&(0..text.len()), &errors);
        }
        false
    }

    /// The text of a condition with all fixes of its errors.
    fn fixed(&self, span: &Span, errors: &[Diagnostic]) -> String {
        let mut fixes: Vec<_> = errors
            .iter()
            .filter_map(|error| error.fix.as_ref())
            .collect();
        fixes.sort_by_key(|fix| fix.span.start);
        let mut text = String::new();
        let mut at = span.start;
        for fix in fixes {
            // Of overlapping fixes only the first can be applied.
            if fix.span.start >= at && fix.span.end <= span.end {
                text.push_str(&self.source[at..fix.span.start]);
                text.push_str(&fix.replacement);
                at = fix.span.end;
            }
        }
        text.push_str(&self.source[at..span.end]);
        text
    }

    /// The tree of an expression without errors.
    fn node_of(&self, text: &str) -> Option<Node> {
        let mut builder = TreeBuilder::new(text, self.dialect, self.limits);
        let tree = builder.expression(text)?;
        builder.diagnostics.is_empty().then(|| tree.to_node())
    }

    /// The errors of a part of the source, parsed alone.
    fn errors_of(&self, span: &Span) -> Vec<Diagnostic> {
        let text = &self.source[span.clone()];
        let mut builder = TreeBuilder::new(text, self.dialect, self.limits);
        builder.expression(text);
        let mut errors = builder.diagnostics;
        for error in &mut errors {
            shift(&mut error.span, span.start);
            for label in &mut error.labels {
                shift(&mut label.span, span.start);
            }
            if let Some(fix) = &mut error.fix {
                shift(&mut fix.span, span.start);
            }
        }
        errors
    }

    /// The error about a connective that is neither `and` nor `or`.
    fn unknown_connective(&self, token: &Token, tokens: &[Token]) -> Option<Diagnostic> {
        let word = token.text;
        let meant = match word {
            "and" | "or" => return None,
            _ if word.starts_with('|') || token.is_word("or") => "or",
            _ => "and",
        };
        let message = format!("expected `and` or `or`, found `{word}`");
        let error = Diagnostic::error(Code::UNKNOWN_CONNECTIVE, token.span.clone(), message);
        if word == "," && is_in_call(tokens, token) {
            return Some(error.with_help("`and` and `or` stand between conditions"));
        }
        let help = match word {
            "," | ";" => format!("join conditions with `{meant}`"),
            _ => format!("did you mean `{meant}`?"),
        };
        let fix = self.spaced(&token.span, meant);
        Some(error.with_help(help).with_fix(token.span.clone(), fix))
    }
}

fn span_of(clause: &Clause<'_, '_>) -> Option<Span> {
    let (first, last) = (clause.tokens.first()?, clause.tokens.last()?);
    Some(first.span.start..last.span.end)
}

/// Whether a comma separates the arguments of a function, which may be `or(a == 1, b == 2)`.
fn is_in_call(tokens: &[Token], comma: &Token) -> bool {
    let before = tokens.partition_point(|token| token.span.start < comma.span.start);
    let mut closed = 0_usize;
    for at in (0..before).rev() {
        if tokens[at].is(")") {
            closed += 1;
        } else if tokens[at].is("(") {
            let Some(outer) = closed.checked_sub(1) else {
                let name = at.checked_sub(1).map(|at| &tokens[at]);
                return name.is_some_and(|name| name.span.end == tokens[at].span.start);
            };
            closed = outer;
        }
    }
    false
}

/// The error about nothing between two connectives, or between one and a parenthesis.
fn missing_condition(before: Option<&Token>, after: Option<&Token>) -> Option<Diagnostic> {
    let (connective, place) = before
        .map(|connective| (connective, "after"))
        .or(after.map(|connective| (connective, "before")))?;
    let word = connective.text;
    let message = format!("missing condition {place} `{word}`");
    let error = Diagnostic::error(Code::SYNTAX, connective.span.clone(), message);
    Some(error.with_help(format!(
        "add a condition {place} `{word}`, or remove `{word}`"
    )))
}

/// Moves an error at the end of a condition to its last word: the end may be on a line of its own.
fn move_to_word(error: &mut Diagnostic, clause: &Clause<'_, '_>) {
    if error.code == Code::UNKNOWN_CONNECTIVE && error.help.is_none() {
        error.help = Some("join conditions with `and` or `or`".to_owned());
    }
    if error.help.is_none()
        && let Some(operator) = error.message.strip_prefix("expected a value after `")
        && let Some(path) = clause.tokens.first()
    {
        let value = match operator.trim_end_matches('`') {
            "in" => "[\"x\", \"y\"]",
            "in cidr" => "\"10.0.0.0/8\"",
            "<" | "<=" | ">" | ">=" => "5",
            _ => "\"x\"",
        };
        let operator = operator.trim_end_matches('`');
        error.help = Some(format!("for example `{} {operator} {value}`", path.text));
    }
    if error.help.is_none() && error.fix.is_none() {
        let help = "a condition is a path, an operator and a value, such as `name == \"x\"`";
        error.help = Some(help.to_owned());
    }
    if !error.span.is_empty() {
        return;
    }
    let before = |token: &&Token| token.span.end <= error.span.start;
    let Some(last) = clause.tokens.iter().rev().find(before) else {
        return;
    };
    error.span = last.span.clone();
    if let Some(expected) = error.message.strip_suffix(", found end of input") {
        error.message = format!("{expected} after `{}`", last.text);
    }
}

fn shift(span: &mut Span, offset: usize) {
    span.start += offset;
    span.end += offset;
}
