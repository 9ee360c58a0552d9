//! Hints: literals that look like wildcards, where an operator compares plain characters.

// Example. `a == "eni-*"` is true only of the text `eni-*`. Nearly always its author means the
// texts that begin with `eni-`, which is `a like "eni-*"`. What *is* meant is a guess, so these
// are hints, and there is a fix only where the edit changes nothing but the operator or takes away
// a star that the operator implies: `starts with "eni-*"` becomes `starts with "eni-"`.

#[cfg(test)]
mod tests;

use std::collections::HashSet;

use reflexarc_diagnostic::{Code, Diagnostic, Span, truncate};
use reflexarc_event::{Json, Path};

use crate::regexp::CompiledRegexp;
use crate::spanned::{SpannedField, SpannedNode, SpannedPredicate};
use crate::{Predicate, TextOp, Wildcard};

/// Most characters of a literal that a help repeats.
const REPEATED: usize = 60;
/// A run of this many stars is what the documentation puts in the place of a part of an
/// identifier: `eni-8vb1qo********cdeg2n`.
const MASK: &str = "**";

/// Hints about the literals of a pattern with this source.
pub(crate) fn hints(tree: &SpannedNode, source: &str, is_json: bool) -> Vec<Diagnostic> {
    let notation = Notation { source, is_json };
    // An expansion repeats conditions; each place in the text is looked at once.
    let mut seen = HashSet::new();
    let fields = tree.fields();
    let hints = fields.iter().flat_map(|field| {
        let predicates = field.predicates();
        let new = predicates.filter(|one| seen.insert((one.span.start, one.span.end)));
        let hints = new.flat_map(|spanned| of_predicate(field, spanned, notation));
        hints.collect::<Vec<_>>()
    });
    hints.collect()
}

/// What fixes and helps are written in.
#[derive(Clone, Copy)]
struct Notation<'s> {
    source: &'s str,
    is_json: bool,
}

/// One text that a predicate compares with, in its place.
struct Literal<'t> {
    path: &'t Path,
    /// The span of the predicate that it belongs to.
    predicate: &'t Span,
    text: &'t str,
    ignoring_case: bool,
    /// Whether values are excluded by it.
    negated: bool,
    notation: Notation<'t>,
}

/// What is wrong with a literal and what to do.
struct Advice {
    message: String,
    help: String,
    fix: Option<(Span, String)>,
}

fn of_predicate<'t>(
    field: &'t SpannedField,
    spanned: &'t SpannedPredicate,
    notation: Notation<'t>,
) -> Vec<Diagnostic> {
    let (predicates, negated) = match &spanned.predicate {
        Predicate::AnythingBut(excluded) => (&excluded[..], true),
        other => (std::slice::from_ref(other), false),
    };
    let hint = |predicate: &Predicate| {
        let (text, ignoring_case) = match predicate {
            Predicate::Text(_, text) => (text.to_string(), false),
            Predicate::TextIgnoringCase(_, text) => (text.to_string(), true),
            Predicate::Wildcard {
                wildcard,
                ignoring_case,
            } => (wildcard.to_string(), *ignoring_case),
            Predicate::Regexp {
                regexp,
                ignoring_case,
            } => (regexp.0.to_string(), *ignoring_case),
            _ => return None,
        };
        let literal = Literal {
            path: &field.path,
            predicate: &spanned.span,
            text: &text,
            ignoring_case,
            negated,
            notation,
        };
        let advice = match predicate {
            Predicate::Text(op, _) | Predicate::TextIgnoringCase(op, _) => literal.compared(*op),
            Predicate::Wildcard { .. } => literal.wildcard(),
            Predicate::Regexp { .. } => literal.regexp(),
            _ => None,
        }?;
        let span = literal.span().unwrap_or_else(|| spanned.span.clone());
        let hint =
            Diagnostic::hint(Code::LITERAL_WILDCARD, span, advice.message).with_help(advice.help);
        Some(match advice.fix {
            Some((span, replacement)) => hint.with_fix(span, replacement),
            None => hint,
        })
    };
    predicates.iter().filter_map(hint).collect()
}

impl Literal<'_> {
    /// Advice for a text that is compared by its characters.
    fn compared(&self, op: TextOp) -> Option<Advice> {
        if op == TextOp::Equals && is_like_regexp(self.text) {
            return self.equals_regexp();
        }
        if is_sql(self.text) {
            let like = Json::from(self.text.replace('%', "*"));
            return Some(Advice {
                message: "`%` is a plain character".to_owned(),
                help: self.in_notation(
                    &format!("like {like}"),
                    &format!(r#"{{"wildcard": {like}}}"#),
                ),
                fix: None,
            });
        }
        if !has_stars(self.text) {
            return None;
        }
        match op {
            TextOp::Equals if self.text == "*" => Some(self.only_star()),
            TextOp::Equals => self.equals_wildcard(),
            TextOp::Prefix => Some(self.affix("starts with", "prefix", |text| {
                (
                    text.trim_end_matches('*').to_owned(),
                    format!("{}*", text.trim_end_matches('*')),
                )
            })),
            TextOp::Suffix => Some(self.affix("ends with", "suffix", |text| {
                let rest = text.trim_start_matches('*');
                (rest.to_owned(), format!("*{rest}"))
            })),
            TextOp::Contains => Some(self.affix("contains", "contains", |text| {
                let rest = text.trim_matches('*');
                (rest.to_owned(), format!("*{rest}*"))
            })),
        }
    }

    /// `== "*"`: any value, in the languages where a star alone is one.
    fn only_star(&self) -> Advice {
        let path = crate::print::expression::path(self.path);
        let (expression, json) = if self.negated {
            (format!("{path} is missing"), r#"[{"exists": false}]"#)
        } else {
            (format!("{path} exists"), r#"[{"exists": true}]"#)
        };
        // An alternative that is the literal itself can become another one in its place; `!= "*"`
        // and a member of an expression's list cannot.
        let is_alternative = self.literal_span().as_ref() == Some(self.predicate);
        let fix = match self.predicate_text() {
            text if !self.negated && text.starts_with("==") && !self.ignoring_case => {
                Some((self.predicate.clone(), "exists".to_owned()))
            }
            _ if !self.negated && self.notation.is_json && is_alternative => {
                Some((self.predicate.clone(), r#"{"exists": true}"#.to_owned()))
            }
            _ => None,
        };
        Advice {
            message: "this is the text `*`, not any value".to_owned(),
            help: self.in_notation(&expression, json),
            fix,
        }
    }

    fn equals_wildcard(&self) -> Option<Advice> {
        Wildcard::parse(self.text).ok()?;
        Some(Advice {
            message: format!("`*` is a plain character in {}", self.operator()),
            help: self.operator_help("like", "wildcard"),
            fix: self.operator_fix("like", "wildcard"),
        })
    }

    fn equals_regexp(&self) -> Option<Advice> {
        CompiledRegexp::new(self.text, self.ignoring_case).ok()?;
        Some(Advice {
            message: format!(
                "a regular expression is plain characters in {}",
                self.operator()
            ),
            help: self.operator_help("matches", "regexp"),
            fix: self.operator_fix("matches", "regexp"),
        })
    }

    /// A prefix, suffix or part. `without` gives the text without the stars that the operator
    /// implies, and the wildcard for the whole value.
    fn affix(
        &self,
        operator: &str,
        key: &str,
        without: impl Fn(&str) -> (String, String),
    ) -> Advice {
        let message = format!("`*` is a plain character in `{operator}`");
        let (rest, whole) = without(self.text);
        if rest.is_empty() || rest.contains('*') {
            let like = Json::from(&*truncate(&whole, REPEATED));
            let json = format!(r#"{{"wildcard": {like}}}"#);
            let help = self.in_notation(&format!("like {like}"), &json);
            return Advice {
                message,
                help,
                fix: None,
            };
        }
        let rest = Json::from(rest);
        Advice {
            message,
            help: self.in_notation(
                &format!("{operator} {rest}"),
                &format!(r#"{{"{key}": {rest}}}"#),
            ),
            fix: self.literal_span().map(|span| (span, rest.to_string())),
        }
    }

    /// Advice for a wildcard with the signs of other languages.
    fn wildcard(&self) -> Option<Advice> {
        let (sign, meant) = if is_sql(self.text) {
            ('%', self.text.replace('%', "*"))
        } else if self.text.contains('?') && !self.text.contains([' ', '=']) {
            // A run of `?` is one `*`, because `**` is invalid.
            let mut meant = self.text.replace('?', "*");
            while meant.contains("**") {
                meant = meant.replace("**", "*");
            }
            ('?', meant)
        } else {
            return None;
        };
        Wildcard::parse(&meant).ok()?;
        let meant = Json::from(meant);
        let json = format!(r#"{{"wildcard": {meant}}}"#);
        Some(Advice {
            message: format!("`{sign}` is a plain character in a wildcard"),
            help: self.in_notation(&format!("like {meant}"), &json),
            // `%` is any number of characters in SQL, as `*` is here; `?` is exactly one, which
            // no wildcard expresses.
            fix: self
                .literal_span()
                .filter(|_| sign == '%')
                .map(|span| (span, meant.to_string())),
        })
    }

    /// Advice for a regular expression that looks like a wildcard: `eni-*` repeats the dash.
    fn regexp(&self) -> Option<Advice> {
        let at = ["-*", ":*", "/*"]
            .iter()
            .find_map(|part| self.text.find(part))?;
        let repeated = &self.text[at..=at];
        let is_wildcard = !self
            .text
            .contains(['\\', '[', '(', '|', '+', '^', '$', '{'])
            && !self.text.contains(".*");
        if !is_wildcard {
            return None;
        }
        let like = Json::from(&*truncate(self.text, REPEATED));
        let json = format!(r#"{{"wildcard": {like}}}"#);
        Some(Advice {
            message: format!("`*` repeats the `{repeated}` before it"),
            help: self.in_notation(&format!("like {like}"), &json),
            fix: None,
        })
    }

    /// The operator in a message.
    fn operator(&self) -> &'static str {
        match (self.notation.is_json, self.negated) {
            (true, true) => "`anything-but`",
            (true, false) => "an exact string",
            (false, true) => "`!=`",
            (false, false) => "`==`",
        }
    }

    fn operator_help(&self, word: &str, key: &str) -> String {
        let literal = Json::from(&*truncate(self.text, REPEATED));
        let not = if self.negated { "not " } else { "" };
        let case = if self.ignoring_case {
            " ignoring case"
        } else {
            ""
        };
        let argument = if self.ignoring_case {
            format!(r#"{{"equals-ignore-case": {literal}}}"#)
        } else {
            literal.to_string()
        };
        let test = format!(r#"{{"{key}": {argument}}}"#);
        let json = if self.negated {
            format!(r#"{{"anything-but": {test}}}"#)
        } else {
            test
        };
        self.in_notation(&format!("{not}{word} {literal}{case}"), &json)
    }

    /// The edit that compares with the same literal by another operator.
    fn operator_fix(&self, word: &str, key: &str) -> Option<(Span, String)> {
        let literal = self.literal_span()?;
        let quoted = &self.notation.source[literal.clone()];
        if self.notation.is_json {
            // `{"equals-ignore-case": {"wildcard": …}}` is not a condition.
            return (!self.ignoring_case).then(|| (literal, format!(r#"{{"{key}": {quoted}}}"#)));
        }
        // `== "x*"`, but not a member of a list, whose other members are compared by `==`.
        let before = self.notation.source[self.predicate.start..literal.start].trim_end();
        let operator = match before {
            "==" => word.to_owned(),
            "!=" | "not ==" => format!("not {word}"),
            _ => return None,
        };
        let span = self.predicate.start..literal.end;
        Some((span, format!("{operator} {quoted}")))
    }

    fn in_notation(&self, expression: &str, json: &str) -> String {
        let text = if self.notation.is_json {
            json
        } else {
            expression
        };
        format!("write `{text}`")
    }

    fn predicate_text(&self) -> &str {
        &self.notation.source[self.predicate.clone()]
    }

    /// The span to point at: the literal, or what is known of its place.
    fn span(&self) -> Option<Span> {
        self.literal_span()
    }

    /// The span of the literal with its quotes, if the predicate has it exactly once and in the
    /// usual spelling.
    fn literal_span(&self) -> Option<Span> {
        let quoted = Json::from(self.text).to_string();
        let mut places = self.predicate_text().match_indices(&quoted);
        let (at, _) = places.next()?;
        let start = self.predicate.start + at;
        places.next().is_none().then(|| start..start + quoted.len())
    }
}

/// Whether the text has stars that may be wildcards: neither a masked part nor a star of prose or
/// of a schedule (`0 * * * *`).
fn has_stars(text: &str) -> bool {
    text.contains('*')
        && !text.contains(MASK)
        && !text.contains("* ")
        && !text.contains(" *")
        && !text.contains("\\*")
}

/// Whether the text looks like a `LIKE` of SQL: `%` at its start before a letter, or at its end
/// after something that is not a number (`100%`).
fn is_sql(text: &str) -> bool {
    let is_word = |c: Option<char>| c.is_some_and(|c| !c.is_ascii_digit() && !c.is_whitespace());
    let start = text.strip_prefix('%');
    let end = text.strip_suffix('%');
    let is_percentage = text.contains("%%") || text.contains(' ');
    !is_percentage
        && (start.is_some_and(|rest| is_word(rest.chars().next()))
            || end.is_some_and(|rest| is_word(rest.chars().next_back())))
}

/// Whether the text looks like a regular expression: `^eni-`, `eni-.*`, `eni-[0-9]+`. A `.*` after
/// a word may be a wildcard that ends a part of a name: `SystemFailure.*`.
fn is_like_regexp(text: &str) -> bool {
    let follows_word = |at: usize| {
        let before = text[..at].chars().next_back();
        before.is_some_and(|c| c.is_alphanumeric() || c == '*')
    };
    let has_repetition = [".*", ".+"]
        .iter()
        .flat_map(|part| text.match_indices(part))
        .any(|(at, _)| !follows_word(at));
    let has_class = text.contains("]+") || text.contains("]*") || text.contains("\\d");
    let is_anchored = text.len() > 1 && text.starts_with('^') && !text.contains(' ');
    has_repetition || has_class || is_anchored
}
