//! Checking a template without rendering it: its variables, filters, tests and functions, and
//! placeholders of other languages.
//!
//! minijinja looks names up when a template is rendered. A misspelt variable is empty then, and a
//! misspelt filter fails the message that someone waits for.

use crate::foreign_syntax::EVENT_FIELDS;
use reflexarc_diagnostic::{Code, Diagnostic, Span, nearest};

use super::tokens::{Kind, Token, tokens};
use crate::VariableField;
use crate::placeholder::{Forms, is_path, placeholders};

/// The names that a template may use.
///
/// ```
/// use reflexarc_reaction::TemplateNames;
///
/// let names = TemplateNames {
///     variables: &[("title", None), ("event", Some(&["id", "source"]))],
///     filters: &["upper"],
///     tests: &[],
///     functions: &[],
/// };
/// let found = names.check("{{ titel }} {{ event.name }} {{ title | upcase }}");
/// let messages: Vec<&str> = found.iter().map(|found| found.message.as_str()).collect();
/// assert_eq!(
///     messages,
///     [
///         "unknown variable `titel` in a template",
///         "unknown field `name` of `event` in a template",
///         "unknown filter `upcase` in a template",
///     ],
/// );
/// assert_eq!(names.check("{{ title | upper }}"), []);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct TemplateNames<'a> {
    /// The variables, each with the names of its fields; `None` if it may have any.
    pub variables: &'a [(&'a str, Option<&'a [&'a str]>)],
    /// The filters.
    pub filters: &'a [&'a str],
    /// The tests, which follow `is`.
    pub tests: &'a [&'a str],
    /// The functions.
    pub functions: &'a [&'a str],
}

/// Names of other tools for filters and tests.
const ALIASES: [(&str, &str); 9] = [
    ("upcase", "upper"),
    ("uppercase", "upper"),
    ("downcase", "lower"),
    ("lowercase", "lower"),
    ("strip", "trim"),
    ("size", "length"),
    ("count", "length"),
    ("len", "length"),
    ("d", "default"),
];

/// Words of the language, which are no variables.
const KEYWORDS: [&str; 14] = [
    "and",
    "or",
    "not",
    "in",
    "is",
    "if",
    "else",
    "true",
    "false",
    "none",
    "True",
    "False",
    "None",
    "recursive",
];

/// The fields of `loop` in a `for`.
const LOOP: [&str; 13] = [
    "index",
    "index0",
    "revindex",
    "revindex0",
    "first",
    "last",
    "length",
    "depth",
    "depth0",
    "previtem",
    "nextitem",
    "cycle",
    "changed",
];

impl TemplateNames<'_> {
    /// What is wrong with a template that minijinja can parse: errors about unknown names, and
    /// warnings about placeholders of other languages. Spans are bytes of `source`.
    pub fn check(&self, source: &str) -> Vec<Diagnostic> {
        self.check_with(source, &|_| None)
    }

    /// The same; `help` is for variables that exist only elsewhere.
    pub(super) fn check_with(
        &self,
        source: &str,
        help: &dyn Fn(&str) -> Option<String>,
    ) -> Vec<Diagnostic> {
        let tokens = tokens(source);
        let mut checker = Checker {
            names: *self,
            help,
            tokens: &tokens,
            scopes: Vec::new(),
            set: Vec::new(),
            found: Vec::new(),
        };
        checker.check();
        checker.found
    }
}

/// The fields of a variable that a template reads: `event.a.b`.
pub(super) fn fields(source: &str, variable: &str) -> Vec<VariableField> {
    let tokens = tokens(source);
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let before = at.checked_sub(1).map(|at| tokens[at]);
        let is_field = before.is_some_and(|before| before.is(Kind::Symbol, "."));
        if !token.is(Kind::Name, variable) || is_field {
            continue;
        }
        let mut keys = Vec::new();
        let mut rest = &tokens[at + 1..];
        while let [dot, key, after @ ..] = rest
            && dot.is(Kind::Symbol, ".")
            && key.kind == Kind::Name
        {
            keys.push((key.text, key.span()));
            rest = after;
        }
        // `{% if a %}`, `a | default("x")`, `a is defined`
        let is_condition = before.is_some_and(|before| {
            ["if", "elif", "not"]
                .iter()
                .any(|word| before.is(Kind::Name, word))
        });
        let has_default = match rest {
            [pipe, filter, ..] if pipe.is(Kind::Symbol, "|") => filter.text == "default",
            [is, ..] => is.is(Kind::Name, "is"),
            [] => false,
        };
        found.extend(VariableField::new(&keys, is_condition || has_default));
    }
    found
}

struct Checker<'s, 'n> {
    names: TemplateNames<'n>,
    /// Where a variable exists that is unknown here.
    help: &'n dyn Fn(&str) -> Option<String>,
    tokens: &'s [Token<'s>],
    /// The variables of the `for`s around the token.
    scopes: Vec<Vec<&'s str>>,
    /// The variables of every `set` and `with` before the token.
    set: Vec<&'s str>,
    found: Vec<Diagnostic>,
}

impl<'s> Checker<'s, '_> {
    fn check(&mut self) {
        let mut at = 0;
        while let Some(token) = self.tokens.get(at) {
            at += 1;
            match token.kind {
                Kind::Outside => self.check_outside(token),
                Kind::Open if token.text == "{%" => at = self.tag(at),
                Kind::Name => self.check_name(at - 1, token),
                _ => {}
            }
        }
    }

    /// Reads the name of a tag and what it defines; returns the token after that.
    fn tag(&mut self, mut at: usize) -> usize {
        // `{%- for`
        if self
            .tokens
            .get(at)
            .is_some_and(|token| token.kind == Kind::Symbol)
        {
            at += 1;
        }
        let Some(tag) = self.tokens.get(at).filter(|token| token.kind == Kind::Name) else {
            return at;
        };
        at += 1;
        match tag.text {
            // `for ip in ips`, `for (key, value) in pairs`
            "for" => {
                let rest = self.tokens[at..].iter();
                let defined: Vec<_> = rest.take_while(|token| token.text != "in").collect();
                at += defined.len() + 1;
                let names = defined.iter().filter(|token| token.kind == Kind::Name);
                self.scopes.push(names.map(|token| token.text).collect());
            }
            "endfor" => {
                self.scopes.pop();
            }
            // `set a = 1`, `with a = 1, b = 2`. What a block or a `with` defines counts as known
            // after it too, so that no valid template is refused.
            "set" | "with" => self.set.extend(defined(&self.tokens[at..])),
            // `filter upper | trim` applies to the block that follows.
            "filter" => {
                if let Some(filter) = self.tokens.get(at) {
                    self.check_filter(filter);
                    at += 1;
                }
            }
            _ => {}
        }
        at
    }

    fn check_name(&mut self, at: usize, token: &Token<'s>) {
        let next = self.tokens.get(at + 1);
        let is_next = |text| next.is_some_and(|next| next.is(Kind::Symbol, text));
        let before = |steps: usize| {
            let before = at.checked_sub(steps).map(|at| self.tokens[at]);
            before.filter(|token| !matches!(token.kind, Kind::Open | Kind::Outside))
        };
        match before(1) {
            Some(dot) if dot.is(Kind::Symbol, ".") => {
                // Texts have no methods here; the filters do what theirs would.
                let is_method_of_loop = before(2).is_some_and(|of| of.is(Kind::Name, "loop"));
                if is_next("(") && !is_method_of_loop {
                    self.unknown("method", token, self.names.filters);
                }
            }
            Some(pipe) if pipe.is(Kind::Symbol, "|") => {
                self.check_filter(token);
            }
            Some(is) if is.is(Kind::Name, "is") && token.text != "not" => self.check_test(token),
            Some(not)
                if not.is(Kind::Name, "not")
                    && before(2).is_some_and(|is| is.is(Kind::Name, "is")) =>
            {
                self.check_test(token);
            }
            // `default(value="-")`
            _ if is_next("=") || KEYWORDS.contains(&token.text) => {}
            _ if is_next("(") => {
                if !self.names.functions.contains(&token.text) {
                    self.unknown("function", token, self.names.functions);
                }
            }
            _ => self.check_variable(at, token),
        }
    }

    fn check_filter(&mut self, token: &Token<'s>) {
        if !self.names.filters.contains(&token.text) {
            self.unknown("filter", token, self.names.filters);
        }
    }

    fn check_test(&mut self, token: &Token<'s>) {
        if !self.names.tests.contains(&token.text) {
            self.unknown("test", token, self.names.tests);
        }
    }

    fn check_variable(&mut self, at: usize, token: &Token<'s>) {
        let mut defined = self.scopes.iter().flatten().chain(&self.set);
        if defined.any(|name| *name == token.text) {
            return;
        }
        let is_loop = token.text == "loop" && !self.scopes.is_empty();
        let variables = self.names.variables.iter();
        let known = variables.clone().find(|(name, _)| *name == token.text);
        let fields = match known {
            Some((_, fields)) => *fields,
            None if is_loop => Some(&LOOP[..]),
            None => {
                let names: Vec<&str> = variables.map(|(name, _)| *name).collect();
                return self.unknown("variable", token, &names);
            }
        };
        let (Some(fields), [dot, field, after @ ..]) = (fields, &self.tokens[at + 1..]) else {
            return;
        };
        // A method, which is reported as such.
        if after.first().is_some_and(|next| next.is(Kind::Symbol, "(")) {
            return;
        }
        if dot.is(Kind::Symbol, ".") && field.kind == Kind::Name && !fields.contains(&field.text) {
            let message = format!(
                "unknown field `{}` of `{}` in a template",
                field.text, token.text
            );
            self.report(
                field.span(),
                message,
                nearest(field.text, fields.iter().copied()),
                fields,
            );
        }
    }

    fn unknown(&mut self, what: &str, token: &Token<'s>, known: &[&str]) {
        let message = format!("unknown {what} `{}` in a template", token.text);
        // A filter is not called like a method, so its name alone is no fix of one.
        if what == "method" {
            let help = format!(
                "use a filter, such as `| {}`",
                known.first().unwrap_or(&"upper")
            );
            let error = Diagnostic::error(Code::RULE_TEMPLATE, token.span(), message);
            return self.found.push(error.with_help(help));
        }
        let elsewhere = (self.help)(token.text).filter(|_| what == "variable");
        let alias = ALIASES.iter().find(|(alias, _)| *alias == token.text);
        let alias = alias
            .map(|(_, name)| *name)
            .filter(|name| known.contains(name));
        let meant = alias.or_else(|| nearest(token.text, known.iter().copied()));
        self.report(token.span(), message, meant, known);
        if what == "variable"
            && meant.is_none()
            && elsewhere.is_none()
            && EVENT_FIELDS.contains(&token.text)
            && known.contains(&"event")
            && let Some(found) = self.found.pop()
        {
            let right = format!("event.{}", token.text);
            let help = format!("fields are read from the event: {{{{ {right} }}}}");
            self.found
                .push(found.with_help(help).with_fix(token.span(), right));
        }
        if let (Some(found), Some(elsewhere)) = (self.found.last_mut(), elsewhere) {
            // `events` where there is only `event` may be misspelt as well.
            found.help = Some(match meant {
                Some(meant) => format!("did you mean `{meant}`? {elsewhere}"),
                None => elsewhere,
            });
        }
    }

    fn report(&mut self, span: Span, message: String, meant: Option<&str>, known: &[&str]) {
        let error = Diagnostic::error(Code::RULE_TEMPLATE, span.clone(), message);
        self.found.push(match meant {
            Some(meant) => error
                .with_help(format!("did you mean `{meant}`?"))
                .with_fix(span, meant),
            None if known.is_empty() => error.with_help("there are none"),
            None => error.with_help(format!("expected one of: {}", known.join(", "))),
        });
    }

    fn check_outside(&mut self, token: &Token<'s>) {
        let forms = Forms {
            dollar: true,
            template: false,
        };
        for placeholder in placeholders(token.text, forms) {
            let span = placeholder.span.start + token.start..placeholder.span.end + token.start;
            let shown = &token.text[placeholder.span.clone()];
            let message = format!("`{shown}` is not replaced in a template, but sent as it stands");
            let warning = Diagnostic::warning(Code::PLACEHOLDER, span.clone(), message)
                .with_help("a template has its values in {{ }}");
            let inner = placeholder.inner.trim();
            let root = inner.split('.').next().unwrap_or_default();
            let is_known = self.names.variables.iter().any(|(name, _)| *name == root);
            self.found.push(if is_path(inner) && is_known {
                warning.with_fix(span, format!("{{{{ {inner} }}}}"))
            } else {
                warning
            });
        }
    }
}

/// The variables that the rest of a `set` or `with` defines: `a` and `b` in `a = 1, b = c`, `(a, b)
/// = c` and, of a block, `a`.
fn defined<'s>(rest: &[Token<'s>]) -> Vec<&'s str> {
    let end = rest.iter().position(|token| token.kind == Kind::Close);
    let tag = &rest[..end.unwrap_or(rest.len())];
    let is_symbol = |at: usize, text: &str| {
        let token = tag.get(at);
        token.is_some_and(|token| token.is(Kind::Symbol, text))
    };
    // The names in brackets at the beginning, or the first one.
    let first = if is_symbol(0, "(") {
        tag.iter().position(|token| token.is(Kind::Symbol, ")"))
    } else {
        Some(1)
    };
    let first = first.unwrap_or_default();
    let names = tag.iter().enumerate();
    names
        .filter(|(at, token)| token.kind == Kind::Name && (*at < first || is_symbol(at + 1, "=")))
        .map(|(_, token)| token.text)
        .collect()
}
