//! Message templates: text with `{{ … }}`, for rules without a script.

mod check;
mod limited_text;
mod tokens;
mod values;

use std::fmt;

use jiff::Timestamp;
use minijinja::value::{Value, ValueKind};
use minijinja::{Environment, UndefinedBehavior, context, escape_formatter, filters};
use reflexarc_diagnostic::{Code, Diagnostic, Severity, Span};
use reflexarc_event::{Event, FieldSet};

pub use self::check::TemplateNames;
use self::limited_text::LimitedText;
use self::values::{read_value, value};
use crate::run::grouped;
use crate::value::text_bytes;
use crate::variable_scope::{LOOKUP, WINDOW_VARIABLES};
use crate::{
    CompileError, Json, ReactionError, ReactionLimits, RuleInfo, ScriptVariables, SourceLocation,
    VariableField, WindowInput,
};

/// The available tags. Without `set`, `macro` and the like no value can grow beyond the sizes of
/// the template and the event.
const TAGS: [&str; 8] = [
    "if", "elif", "else", "endif", "for", "endfor", "raw", "endraw",
];

/// The number of minijinja's instructions in one rendering; each costs one unit of fuel. Templates
/// cannot recurse, but nested loops multiply: four loops over ten elements run their body 10,000
/// times.
const FUEL: usize = 20_000;

const NAME: &str = "template";

/// The variables of templates: those of all rules, those of a window, that of `resolved`, that of
/// rules with lookups. Fields of events and rows may have any name.
const VARIABLES: [(&str, Option<&[&str]>); 12] = [
    ("event", None),
    ("rule", Some(&["name", "level", "description", "labels"])),
    ("now", Some(&[])),
    ("suppressed", Some(&[])),
    ("events", Some(&[])),
    ("count", Some(&[])),
    ("opened", Some(&[])),
    ("deadline", Some(&[])),
    ("key", Some(&[])),
    ("late", Some(&[])),
    ("closing", None),
    ("lookup", None),
];

/// The names that a template may use besides variables.
const NAMES: TemplateNames<'static> = TemplateNames {
    variables: &[],
    filters: &[
        "default", "first", "join", "last", "length", "lower", "trim", "upper",
    ],
    tests: &["defined", "undefined"],
    functions: &[],
};

/// A compiled message template: minijinja's expressions, `if` and `for`, the filters `default`,
/// `first`, `join`, `last`, `length`, `lower`, `trim` and `upper`, and the tests `defined` and
/// `undefined`.
///
/// The variables are `event`, `rule` (`name`, `level`, `description`, `labels`), `now`
/// (milliseconds since 1970) and `suppressed` (the events suppressed since the last message); in
/// rules with a time window also those of [`WindowInput`]. What is missing or null is empty.
///
/// ```
/// use reflexarc_event::Event;
/// use reflexarc_reaction::{ReactionLimits, RuleInfo, Template};
///
/// let source = "{{ event.eniId }} failed{% if suppressed %} (+{{ suppressed }}){% endif %}";
/// let template = Template::compile(source, &ReactionLimits::DEFAULT)?;
/// let event = Event::from_json(r#"{"eniId": "eni-1"}"#)?;
/// let rule = RuleInfo::named("failed");
/// let text = template.render(&event, &rule, jiff::Timestamp::UNIX_EPOCH, 2)?;
/// assert_eq!(text, "eni-1 failed (+2)");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Template {
    environment: Environment<'static>,
    source: String,
    /// What the template reads of `event`, `rule` and `closing`.
    event_fields: FieldSet,
    rule_fields: FieldSet,
    closing_fields: FieldSet,
    lookup_fields: FieldSet,
    reads_events: bool,
    warnings: Vec<Diagnostic>,
    limits: ReactionLimits,
}

/// All that a rendering of a template may read.
#[derive(Debug, Clone, Copy)]
pub struct TemplateInput<'a> {
    /// `event`, which is empty without one.
    pub event: Option<&'a Event>,
    /// `rule`.
    pub rule: &'a RuleInfo,
    /// `now`.
    pub now: Timestamp,
    /// `suppressed`: the events suppressed since the last message.
    pub suppressed: u64,
    /// The match of the rule's time window.
    pub window: Option<&'a WindowInput<'a>>,
    /// `lookup`: the rows that the lookups of the rule have found, by the name of the lookup; null
    /// where there is none.
    pub lookup: Option<&'a Json>,
}

impl Template {
    /// Compiles a template of a rule without a time window.
    ///
    /// # Errors
    /// With the first syntax error, or all unknown names; the spans are bytes of `source`.
    pub fn compile(source: &str, limits: &ReactionLimits) -> Result<Self, CompileError> {
        Self::compile_in(source, ScriptVariables::default(), limits)
    }

    /// Compiles a template that may use these variables, or those of a scope. Where that has a
    /// window, render it with [`Template::render_window`].
    ///
    /// ```
    /// use reflexarc_reaction::{
    ///     Json, ReactionLimits, RuleInfo, Template, Timestamp, VariableScope, WindowInput,
    /// };
    ///
    /// let scope = VariableScope::Window { event_may_be_missing: true };
    /// let source = "{{ count }} of {{ key }} since {{ opened }}";
    /// let template = Template::compile_in(source, scope, &ReactionLimits::DEFAULT)?;
    /// let key = Json::from("cn-hangzhou");
    /// let window = WindowInput {
    ///     events: &[],
    ///     count: 0,
    ///     opened: Timestamp::UNIX_EPOCH,
    ///     deadline: None,
    ///     key: &key,
    ///     late: false,
    ///     closing: None,
    /// };
    /// let (rule, now) = (RuleInfo::named("silent"), Timestamp::UNIX_EPOCH);
    /// let text = template.render_window(None, &window, &rule, now, 0)?;
    /// assert_eq!(text, "0 of cn-hangzhou since 1970-01-01T00:00:00Z");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// With the first syntax error, or all unknown names; the spans are bytes of `source`.
    pub fn compile_in(
        source: &str,
        variables: impl Into<ScriptVariables>,
        limits: &ReactionLimits,
    ) -> Result<Self, CompileError> {
        Self::compile_with(source, variables.into(), limits)
    }

    // Not generic, so that it is compiled once.
    fn compile_with(
        source: &str,
        variables: ScriptVariables,
        limits: &ReactionLimits,
    ) -> Result<Self, CompileError> {
        let wrong = |span, message: String| Diagnostic::error(Code::RULE_TEMPLATE, span, message);
        let invalid = |source, wrong| CompileError::new(source, vec![wrong]);
        // Without its source, which may be of any size.
        if source.len() > limits.source {
            let message = format!(
                "the template has {} bytes, more than the {} allowed",
                grouped(source.len()),
                grouped(limits.source)
            );
            return Err(invalid("", wrong(0..0, message)));
        }
        if let Some(span) = unknown_tag(source) {
            let message = format!("unknown tag `{}` in a template", &source[span.clone()]);
            let help = "use `if` or `for`, or write a script in `then`";
            return Err(invalid(source, wrong(span, message).with_help(help)));
        }
        // Without the built-in filters, tests and functions: `range(1000000)` and `indent(1000000)`
        // make large values in a small template. The filters below do not.
        let mut environment = Environment::empty();
        // `event.a.b` is empty, not an error, where the event has no `a`.
        environment.set_undefined_behavior(UndefinedBehavior::Chainable);
        environment.set_fuel(Some(FUEL as u64));
        environment.set_debug(true);
        // Booleans as JSON writes them; Jinja writes `True`.
        environment.set_formatter(|out, state, value| match value.kind() {
            ValueKind::Bool => Ok(out.write_str(if value.is_true() { "true" } else { "false" })?),
            _ => escape_formatter(out, state, value),
        });
        environment.add_test("defined", minijinja::tests::is_defined);
        environment.add_test("undefined", minijinja::tests::is_undefined);
        environment.add_filter("default", filters::default);
        environment.add_filter("first", filters::first);
        environment.add_filter("join", filters::join);
        environment.add_filter("last", filters::last);
        environment.add_filter("length", filters::length);
        environment.add_filter("lower", filters::lower);
        environment.add_filter("trim", filters::trim);
        environment.add_filter("upper", filters::upper);
        environment
            .add_template_owned(NAME, source.to_owned())
            .map_err(|error| {
                let span = error.range().unwrap_or(source.len()..source.len());
                let found = wrong(span, message(&error));
                invalid(source, with_syntax_help(found, source))
            })?;
        let names = TemplateNames {
            variables: &variables_of(variables),
            ..NAMES
        };
        let found = names.check_with(source, &|name| variables.where_it_exists(name));
        if found.iter().any(|found| found.severity == Severity::Error) {
            return Err(CompileError::new(source, found));
        }
        let read = |variable| fields_read(&environment, variable);
        Ok(Self {
            event_fields: read("event"),
            rule_fields: read("rule"),
            closing_fields: read("closing"),
            lookup_fields: read("lookup"),
            reads_events: !read("events").is_empty(),
            environment,
            source: source.to_owned(),
            warnings: found,
            limits: *limits,
        })
    }

    /// What the template probably does not mean as it is written; the spans are bytes of its text.
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }

    /// The fields of the event that the template reads with dots.
    pub fn event_fields(&self) -> Vec<VariableField> {
        check::fields(&self.source, "event")
    }

    /// The fields of `rule` that the template reads with dots.
    pub fn rule_fields(&self) -> Vec<VariableField> {
        check::fields(&self.source, "rule")
    }

    /// The fields of `closing` that the template reads with dots.
    pub fn closing_fields(&self) -> Vec<VariableField> {
        check::fields(&self.source, "closing")
    }

    /// The fields of `lookup` that the template reads with dots.
    pub fn lookup_fields(&self) -> Vec<VariableField> {
        check::fields(&self.source, "lookup")
    }

    /// Whether a rendering reads the row of this lookup, which [`TemplateInput::lookup`] need not
    /// have otherwise.
    pub fn reads_lookup(&self, name: &str) -> bool {
        self.lookup_fields.contains(name)
    }

    /// Whether a rendering reads [`WindowInput::events`], which need not be there otherwise.
    pub fn reads_events(&self) -> bool {
        self.reads_events
    }

    /// Renders the template for one event. A text that is too long is cut and ends with `…`.
    ///
    /// # Errors
    /// When an expression fails, or the template takes too many steps.
    pub fn render(
        &self,
        event: &Event,
        rule: &RuleInfo,
        now: Timestamp,
        suppressed: u64,
    ) -> Result<String, ReactionError> {
        self.render_input(&TemplateInput {
            event: Some(event),
            rule,
            now,
            suppressed,
            window: None,
            lookup: None,
        })
    }

    /// Renders the template for a match of a time window. `event` is empty without one.
    ///
    /// # Errors
    /// When an expression fails, or the template takes too many steps.
    pub fn render_window(
        &self,
        event: Option<&Event>,
        window: &WindowInput<'_>,
        rule: &RuleInfo,
        now: Timestamp,
        suppressed: u64,
    ) -> Result<String, ReactionError> {
        self.render_input(&TemplateInput {
            event,
            rule,
            now,
            suppressed,
            window: Some(window),
            lookup: None,
        })
    }

    /// Renders the template with all that it may read.
    ///
    /// # Errors
    /// When an expression fails, or the template takes too many steps.
    pub fn render_input(&self, input: &TemplateInput<'_>) -> Result<String, ReactionError> {
        // Undefined and not none: a field of what is undefined is empty, one of none an error.
        let read = |event: Option<&Event>, fields| {
            let value = event.and_then(|event| read_value(event, fields));
            value.unwrap_or(Value::UNDEFINED)
        };
        let lookup = input.lookup.filter(|_| !self.lookup_fields.is_empty());
        let values = context! {
            event => read(input.event, &self.event_fields),
            rule => self.rule_value(input.rule),
            now => input.now.as_millisecond(),
            suppressed => input.suppressed,
            lookup => lookup.map_or(Value::UNDEFINED, value),
        };
        let mut bytes = input.event.map_or(0, |event| event.bytes().len());
        bytes += lookup.map_or(0, text_bytes);
        let Some(window) = input.window else {
            return self.render_values(values, bytes);
        };
        let events = window.visible_events(&self.limits).iter();
        let events = self.reads_events.then(|| {
            let events = events.map(|event| value(event.tree()));
            events.collect::<Vec<Value>>()
        });
        let of_window = context! {
            events,
            count => window.count,
            // For people: `1970-01-01T00:00:00Z`.
            opened => window.opened.to_string(),
            deadline => window.deadline.map_or(Value::UNDEFINED, |at| at.to_string().into()),
            key => value(window.key),
            late => window.late,
            closing => read(window.closing, &self.closing_fields),
        };
        let reads_closing = !self.closing_fields.is_empty();
        bytes += window.bytes(self.reads_events, reads_closing, &self.limits);
        self.render_values(context! { ..of_window, ..values }, bytes)
    }

    /// Renders with these values of the variables; `bytes` are those of the events in them.
    fn render_values(&self, values: Value, bytes: usize) -> Result<String, ReactionError> {
        // Text that the template takes from the events is bounded by the events.
        let limits = self.limits.for_event(bytes);
        let mut text = LimitedText::new(limits.string);
        let rendered = self
            .environment
            .get_template(NAME)
            .and_then(|template| template.render_captured_to(values, &mut text).map(drop));
        match rendered {
            // Rendering ends with an error where the text is full. An alert that is cut is of more
            // use than none.
            Err(error) if !text.is_full() => Err(self.error(&error)),
            _ => Ok(text.into_text()),
        }
    }

    fn rule_value(&self, rule: &RuleInfo) -> Option<Value> {
        (!self.rule_fields.is_empty()).then(|| {
            context! {
                name => rule.name.as_str(),
                level => rule.level.lowercase(),
                description => rule.description.as_str(),
                labels => &rule.labels,
            }
        })
    }

    fn error(&self, error: &minijinja::Error) -> ReactionError {
        let at = error
            .range()
            .and_then(|range| SourceLocation::at_offset(range.start, &self.source));
        // The limit has the name of that of scripts, so that both are reported alike.
        let limit = match error.kind() {
            minijinja::ErrorKind::OutOfFuel => Some((
                "operations",
                format!("the template takes more than {} steps", grouped(FUEL)),
            )),
            _ => None,
        };
        match limit {
            Some((limit, message)) => ReactionError::Limit {
                limit,
                message,
                at,
                function: None,
            },
            None => ReactionError::Script {
                message: message(error),
                at,
                function: None,
            },
        }
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Template")
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

/// The first word after `{%` that is not an available tag.
fn unknown_tag(source: &str) -> Option<Span> {
    // Before minijinja parses the template, because it accepts more tags than these. `-` and `+`
    // after the brace control white space.
    source.match_indices("{%").find_map(|(open, _)| {
        let rest = &source[open + 2..];
        let word = rest.trim_start_matches(['-', '+']).trim_start();
        let start = source.len() - word.len();
        let length = word
            .find(|c: char| !c.is_alphanumeric() && c != '_')
            .unwrap_or(word.len());
        (length > 0 && !TAGS.contains(&&word[..length])).then_some(start..start + length)
    })
}

/// What a template reads of a variable, by its syntax tree. What is found may be more than a
/// rendering reads, and never less.
#[expect(
    clippy::iter_over_hash_type,
    reason = "the fields are the same in any order"
)]
fn fields_read(environment: &Environment<'_>, variable: &str) -> FieldSet {
    let Ok(template) = environment.get_template(NAME) else {
        return FieldSet::all();
    };
    let mut fields = FieldSet::default();
    // Paths of names, as far as they are written with dots: of `event.ips[0].a` it is `event.ips`.
    for path in template.undeclared_variables(true) {
        let mut names = path.split('.');
        if names.next() == Some(variable) {
            fields.insert(names);
        }
    }
    fields
}

/// The variables of a template.
fn variables_of(
    variables: ScriptVariables,
) -> Vec<(&'static str, Option<&'static [&'static str]>)> {
    let has = |name: &str| match name {
        LOOKUP => variables.has_lookups,
        "closing" => variables.scope.has_closing(),
        _ => variables.scope.has_window() || !WINDOW_VARIABLES.contains(&name),
    };
    let all = VARIABLES.into_iter();
    all.filter(|(name, _)| has(name)).collect()
}

fn message(error: &minijinja::Error) -> String {
    error
        .detail()
        .map_or_else(|| error.kind().to_string(), str::to_owned)
}

/// The diagnostic of a syntax error with what to write.
fn with_syntax_help(mut found: Diagnostic, source: &str) -> Diagnostic {
    let before = source.get(..found.span.start).unwrap_or_default();
    let rest = source.get(found.span.start..).unwrap_or_default();
    let inside = |open: &str, close: &str| before.rfind(open) > before.rfind(close);
    // `{{ .event.id }}`, as templates of Go have it.
    if rest.starts_with('.') && before.trim_end().ends_with("{{") {
        let span = found.span.start..found.span.start + 1;
        found.span = span.clone();
        return found
            .with_help("a variable is written without a dot before it: {{ event.id }}")
            .with_fix(span, "");
    }
    let message = found.message.clone();
    if message.contains("expected end of block")
        && let Some((span, tag)) = unclosed(source)
    {
        let end = format!("{{% end{tag} %}}");
        found.span = span;
        found.message = format!("`{{% {tag} … %}}` without its end");
        return found
            .with_help(format!("add {end} after what belongs to it"))
            .with_fix(source.len()..source.len(), end);
    }
    if message.contains("expected end of variable block") && rest.trim().is_empty() {
        return found.with_help("add the closing `}}`");
    }
    if message.contains("unexpected end of input") && rest.trim().is_empty() {
        let help = if inside("{%", "%}") {
            "add the closing `%}`"
        } else {
            "add what closes it"
        };
        return found.with_help(help);
    }
    found.with_help("values are written as {{ event.id }}, conditions as {% if … %}…{% endif %}")
}

/// The last `{% if … %}` or `{% for … %}` without its end, and its word.
fn unclosed(source: &str) -> Option<(Span, &str)> {
    let tokens = tokens::tokens(source);
    let mut open: Vec<(Span, &str)> = Vec::new();
    for (at, tag) in tokens.iter().enumerate() {
        if !tag.is(tokens::Kind::Open, "{%") {
            continue;
        }
        // After the sign of `{%-`, if there is one.
        let mut words = tokens[at + 1..].iter();
        let Some(name) = words.find(|token| token.kind != tokens::Kind::Symbol) else {
            continue;
        };
        let end = tokens[at..]
            .iter()
            .find(|token| token.kind == tokens::Kind::Close)?;
        match name.text {
            "if" | "for" => open.push((tag.start..end.span().end, name.text)),
            "endif" | "endfor" => drop(open.pop()),
            _ => {}
        }
    }
    open.pop()
}

#[cfg(test)]
mod tests;
