//! Conditions in the spelling of other languages: what to write instead.

// Reached only for expressions with errors. A condition is recognised by its tokens, whatever the
// grammar made of it, and spelled as it is written here: `len(a) > 2` gives `a matches ".{3,}"`.
// `recovery` shows a suggestion only if it parses.

mod call;
mod clause;
mod condition;
mod continuation;
mod json;
mod operator;
pub(super) mod prefix_connective;
mod reader;
mod suggestion;
mod token;
mod value;
mod values;

use reflexarc_diagnostic::{Code, Span};

pub(super) use clause::{Clause, clauses, is_connective};
pub(super) use condition::whole_regexp;
pub(super) use json::{Place, but, is_order};
pub(super) use operator::{ForeignOperator, Meaning, Quantifier};
pub(super) use suggestion::{Mistake, Suggestion};
pub(super) use token::{Token, tokens};
pub(super) use value::{is_time, json};

use condition::Condition;
use reader::Recognised;
use token::Kind;
use value::ValueKind;

use crate::foreign_path::{ForeignPath, Step};

const FIELDS: &str = "fields cannot be compared with each other; compare them in the script";

/// The whole expression, if every condition of it is recognised and all are joined alike.
pub(super) fn whole(source: &str) -> Option<String> {
    let tokens = tokens(source, &[]);
    let clauses = clauses(&tokens);
    let is_or = |token: &Token| token.is_word("or") || token.text.starts_with('|');
    let mut connectives = tokens.iter().filter(|token| is_connective(token));
    let joined_by_or = connectives.clone().next().is_some_and(is_or);
    if connectives.any(|token| is_or(token) != joined_by_or) {
        return None;
    }
    let conditions: Option<Vec<String>> = clauses
        .iter()
        .map(|clause| reader::condition(clause.tokens)?.condition.spell())
        .collect();
    let connective = if joined_by_or { " or " } else { " and " };
    conditions
        .filter(|all| !all.is_empty())
        .map(|all| all.join(connective))
}

/// What to write instead of the first clause; `before` is the clause before it.
pub(super) fn suggested(
    clauses: &[Clause<'_, '_>],
    before: Option<&Clause<'_, '_>>,
) -> Option<Suggestion> {
    let clause = clauses.first()?;
    let (negations, skipped) = reader::negations(clause.tokens);
    let inner = &clause.tokens[skipped..];
    let recognised = reader::condition(clause.tokens);
    // `a == 1 or has b`: an operator and a path, not the operator and value of another condition.
    let is_whole = recognised.as_ref().is_some_and(|found| found.is_misread);
    if let Some(before) = before.filter(|_| !is_whole)
        && let Some(found) = continuation::suggestion(clauses, before)
    {
        return Some(found);
    }
    if let Some(found) = range(inner) {
        return Some(found);
    }
    if let Some(recognised) = recognised {
        return recognised_suggestion(clause, &recognised);
    }
    if let [only] = inner
        && (only.kind == Kind::Word || only.text == "*")
    {
        return (!only.is_word("not")).then(|| lone_path(only, negations % 2 == 1));
    }
    if let [_, symbol, path, other, word] = inner
        && symbol.kind == Kind::Symbol
        && path.kind == Kind::Word
        && other.kind == Kind::Symbol
        && word.kind == Kind::Word
    {
        let message = format!("expected a number, found `{}`", word.text);
        return Some(without_spelling(&word.span, message, FIELDS));
    }
    if let Some((name, at)) = call::function(clause.tokens) {
        let help =
            "a filter has no functions; use an operator after a path, or calculate in the script";
        return Some(without_spelling(
            &clause.tokens[at].span,
            format!("unknown function `{name}`"),
            help,
        ));
    }
    if let Some(symbol) = inner.iter().skip(1).find(|token| is_arithmetic(token)) {
        let help =
            "a filter cannot calculate; compare the field itself, or calculate in the script";
        return Some(without_spelling(
            &symbol.span,
            format!("unexpected `{}`", symbol.text),
            help,
        ));
    }
    if let Some((one, other)) = two_conditions(inner) {
        let right = format!("{one} and {other}");
        let word = &inner[inner.len().min(3)];
        let message = format!("expected `and` or `or`, found `{}`", word.text);
        let help = format!("join conditions with `and` or `or`: `{right}`");
        let code = Code::UNKNOWN_CONNECTIVE;
        return Some(Suggestion::new(
            &word.span,
            code,
            message,
            help,
            Some(right),
        ));
    }
    None
}

fn recognised_suggestion(clause: &Clause<'_, '_>, recognised: &Recognised) -> Option<Suggestion> {
    let condition = &recognised.condition;
    let at = &clause.tokens[recognised.at];
    let last = recognised.at + recognised.operator.max(1) - 1;
    let last = last.min(clause.tokens.len() - 1);
    let mut span = at.span.start..clause.tokens[last].span.end;
    let text = spelling(&clause.tokens[recognised.at..=last]);
    // `not a[0] == 1`: the path comes after the negations.
    let (_, skipped) = reader::negations(clause.tokens);
    let is_path = recognised.at == skipped || at.text.starts_with('.');
    let is_call = at.kind == Kind::Word
        && clause
            .tokens
            .get(recognised.at + 1)
            .is_some_and(|next| next.is("("));
    let (code, message) = match at.kind {
        _ if recognised.is_misread && is_call => {
            let name = at.text.rsplit('.').next().unwrap_or(at.text);
            (Code::UNKNOWN_OPERATOR, format!("unknown function `{name}`"))
        }
        _ if at.is("[") => (Code::SYNTAX, "expected a path, found an array".to_owned()),
        _ if recognised.is_misread
            || matches!(at.kind, Kind::Quoted | Kind::Bare | Kind::Regexp) =>
        {
            (Code::SYNTAX, format!("expected a path, found `{text}`"))
        }
        Kind::Word if is_path && recognised.is_path => {
            (Code::SYNTAX, format!("invalid path `{text}`"))
        }
        Kind::Word if is_path && reader::operator(&clause.tokens[skipped + 1..]).is_none() => {
            (Code::SYNTAX, format!("unexpected `{text}`"))
        }
        _ if operator_is_known(&text) => {
            span = clause.tokens[(last + 1).min(clause.tokens.len() - 1)]
                .span
                .clone();
            (Code::SYNTAX, format!("invalid value after `{text}`"))
        }
        _ => (Code::UNKNOWN_OPERATOR, format!("unknown operator `{text}`")),
    };
    let mut found = with_condition(condition, &span, code, message)?;
    // `len(list)` counts elements in other languages.
    let is_length = ["len", "length", "size", "count"];
    if let Some(right) = found
        .right
        .as_ref()
        .filter(|right| right.contains(" matches "))
        && is_call
        && is_length.contains(&text.to_lowercase().as_str())
    {
        found.help = format!(
            "write `{right}` for the length of a text; the elements of an array are counted in the \
             script"
        );
    }
    Some(Suggestion {
        is_misread: recognised.is_misread,
        ..found
    })
}

fn with_condition(
    condition: &Condition,
    span: &Span,
    code: Code,
    message: String,
) -> Option<Suggestion> {
    let path = &condition.path;
    let is_any = |kind| condition.values.iter().any(|value| value.kind == kind);
    let meaning = condition.operator.meaning;
    let is_ordered = matches!(
        meaning,
        Meaning::Compare(_) | Meaning::Between | Meaning::Range
    );
    let (help, right) = if is_ordered && is_any(ValueKind::Time) {
        let value = condition
            .values
            .iter()
            .find(|value| value.kind == ValueKind::Time)?;
        let text = value.text()?;
        let length = if text.as_bytes().get(8) == Some(&b'T') {
            8
        } else {
            10
        };
        let day: String = text.chars().take(length).collect();
        let right = format!("{path} starts with {}", json(&day));
        let help = format!(
            "times cannot be compared in a filter; match a day with `{right}`, or compare in the \
             script"
        );
        (help, Some(right))
    } else if is_any(ValueKind::Word) && is_ordered {
        (FIELDS.to_owned(), None)
    } else if is_ordered && is_any(ValueKind::Text) && condition.spell().is_none() {
        // `10MB`, `5m`
        let has_unit = condition.values.iter().any(|value| {
            let text = value.text().unwrap_or_default();
            let unit = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
            let is_unit = !unit.is_empty() && unit.chars().all(char::is_alphabetic);
            unit.len() < text.len() && is_unit
        });
        let help = if has_unit {
            "numbers have no units: write the number in the unit of the event, without quotes"
        } else {
            "only numbers have an order; use `==`, `starts with` or `matches` for a text"
        };
        (help.to_owned(), None)
    } else {
        let right = condition.spell()?;
        // `a.b == c.d` compares fields; `a == failed` is more likely a text without quotes.
        let is_path = condition.values.iter().any(|value| {
            value.kind == ValueKind::Word && value.text().is_some_and(|text| text.contains('.'))
        });
        let is_null = condition.values.iter().any(|value| value.json == "null");
        let explanation = condition.step.explanation();
        let help = if condition.step == Step::Wildcard {
            format!("write `{right}`{explanation}; a key with such a character is put in quotes")
        } else if condition.step > Step::Root {
            format!("write `{right}`{explanation}")
        } else if is_path {
            format!(
                "fields cannot be compared with each other, except in the script; a text is \
                 written in double quotes: `{right}`"
            )
        } else if is_null
            && !is_any(ValueKind::Undefined)
            && meaning == Meaning::Equals
            && code == Code::UNKNOWN_OPERATOR
        {
            let presence = if condition.operator.negated {
                "exists"
            } else {
                "is missing"
            };
            format!("write `{right}`; whether there is a value at all is `{path} {presence}`")
        } else if is_any(ValueKind::Word) && meaning == Meaning::Equals {
            format!(
                "put a text in double quotes: `{right}`; fields cannot be compared with each \
                 other, except in the script"
            )
        } else if meaning == Meaning::Element {
            let value = &condition.values.first()?.json;
            format!(
                "write `{right}` for an element, or `{path} contains {value}` for a part of a text"
            )
        } else {
            format!("write `{right}`{explanation}")
        };
        (help, Some(right))
    };
    let mistake = if is_ordered && condition.spell().is_none() {
        Mistake::Order
    } else if meaning == Meaning::Wildcard && condition.is_sql() {
        Mistake::Placeholders
    } else {
        Mistake::Spelling
    };
    Some(Suggestion {
        is_exact: condition.is_exact(),
        mistake,
        ..Suggestion::new(span, code, message, help, right)
    })
}

/// `if a == 1 then`: the condition of a statement.
pub(super) fn statement(tokens: &[Token], source: &str) -> Option<Suggestion> {
    let [first, second, ..] = tokens else {
        return None;
    };
    let is_statement = ["if", "when", "where", "filter"]
        .iter()
        .any(|word| first.is_word(word));
    // `if == 1`, `when exists`: the word is a path.
    let is_condition = matches!(second.kind, Kind::Word | Kind::Quoted) || second.is("(");
    if !is_statement || !is_condition || reader::operator(&tokens[1..]).is_some() {
        return None;
    }
    let last = tokens
        .last()
        .filter(|last| last.is_word("then") || last.is(":"));
    let end = last.map_or(source.len(), |last| last.span.start);
    let right = source.get(second.span.start..end)?.trim();
    let message = format!("unexpected `{}`", first.text);
    let help = format!("a filter is the condition alone: write `{right}`");
    Some(Suggestion {
        is_exact: true,
        is_misread: true,
        ..Suggestion::new(
            &first.span,
            Code::SYNTAX,
            message,
            help,
            Some(right.to_owned()),
        )
    })
}

/// `a >= 4 <= 8`, a range with its path first.
fn range(tokens: &[Token]) -> Option<Suggestion> {
    let [path, first, low, second, high] = tokens else {
        return None;
    };
    let is_symbol = |token: &Token| token.kind == Kind::Symbol;
    let is_range = path.kind == Kind::Word && is_symbol(first) && is_symbol(second);
    if !is_range || low.kind != Kind::Bare || high.kind != Kind::Bare {
        return None;
    }
    let swapped = match first.text {
        ">" => "<",
        ">=" => "<=",
        "<" => ">",
        "<=" => ">=",
        _ => return None,
    };
    let right = format!(
        "{} {swapped} {} {} {}",
        low.text, path.text, second.text, high.text
    );
    let message = format!("unexpected `{}` after `{}`", second.text, low.text);
    let help = format!("write `{right}`");
    Some(Suggestion {
        is_exact: true,
        is_misread: true,
        ..Suggestion::new(&second.span, Code::SYNTAX, message, help, Some(right))
    })
}

fn lone_path(token: &Token, is_negated: bool) -> Suggestion {
    let path = ForeignPath::read(token.text).map_or(token.text.to_owned(), |path| path.spell());
    let is_literal = ["true", "false", "null", "any", "all", "*"]
        .iter()
        .any(|literal| token.text.eq_ignore_ascii_case(literal));
    let (right, help) = if is_literal {
        let right = "name exists".to_owned();
        let help = format!("to match every event, write `{right}`");
        (right, help)
    } else if is_negated {
        let right = format!("{path} is missing");
        let help = format!("a path needs an operator: write `{right}`, or `{path} == false`");
        (right, help)
    } else {
        let right = format!("{path} exists");
        let help = format!("a path needs an operator: write `{right}`, or `{path} == true`");
        (right, help)
    };
    let message = if is_literal {
        format!("expected a condition, found `{}`", token.text)
    } else {
        format!("expected an operator after `{}`", token.text)
    };
    Suggestion {
        is_misread: reader::is_foreign_path(token.text),
        ..Suggestion::new(&token.span, Code::SYNTAX, message, help, Some(right))
    }
}

fn without_spelling(span: &Span, message: String, help: &str) -> Suggestion {
    Suggestion {
        is_misread: true,
        ..Suggestion::new(span, Code::SYNTAX, message, help.to_owned(), None)
    }
}

/// `a == "x" b == "y"`: both conditions, spelled.
fn two_conditions(tokens: &[Token]) -> Option<(String, String)> {
    // Near the start only: the rest of a long text is not looked through.
    (2..tokens.len().min(16)).find_map(|at| {
        let one = reader::condition(&tokens[..at])?.condition.spell()?;
        let other = reader::condition(&tokens[at..])?.condition.spell()?;
        Some((one, other))
    })
}

fn is_arithmetic(token: &Token) -> bool {
    token.kind == Kind::Symbol && matches!(token.text, "+" | "*" | "%" | "**")
        || token.is("-")
        || token.is("/")
}

/// Whether a text is an operator of this language, so that the mistake comes after it.
fn operator_is_known(text: &str) -> bool {
    super::operator_names::is_operator(text.strip_prefix("not ").unwrap_or(text))
}

fn spelling(tokens: &[Token]) -> String {
    let mut text = String::new();
    let mut end = None;
    for token in tokens {
        // `a/b` as it is written, and words with one space between them.
        if end.is_some_and(|end| end < token.span.start) {
            text.push(' ');
        }
        text.push_str(token.text);
        end = Some(token.span.end);
    }
    text
}
