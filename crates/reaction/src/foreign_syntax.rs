//! What authors write in scripts who know Python, JavaScript or shells: the explanation of a parse
//! error in terms of what was written, with a fix where the meaning is certain.

use reflexarc_diagnostic::{Code, Diagnostic, Span};
use rhai::{LexError, ParseErrorType};

/// Fields that events have at the top, which a script reads as `event.name`.
pub(crate) const EVENT_FIELDS: [&str; 16] = [
    "content",
    "data",
    "detail",
    "eventTime",
    "id",
    "instanceName",
    "level",
    "name",
    "product",
    "regionId",
    "resourceId",
    "resources",
    "source",
    "time",
    "type",
    "userId",
];

/// The diagnostic for a parse error at `span` that is understood.
pub(crate) fn explain(error: &ParseErrorType, source: &str, span: &Span) -> Option<Diagnostic> {
    let place = Place {
        source,
        span: span.clone(),
    };
    match error {
        ParseErrorType::VariableUndefined(name) => place.variable(name),
        ParseErrorType::Reserved(word)
        | ParseErrorType::BadInput(LexError::ImproperSymbol(word, _)) => place.word(word),
        ParseErrorType::BadInput(LexError::UnexpectedInput(text)) => place.symbol(text),
        ParseErrorType::BadInput(LexError::MalformedChar(_)) => place.single_quotes(),
        ParseErrorType::UnknownOperator(operator) => place.operator(operator),
        ParseErrorType::MissingToken(token, _) => place.missing(token),
        ParseErrorType::VariableExpected => place.loop_variable(),
        _ => None,
    }
}

/// The help for a name that is no variable, and what to write in its place where that is certain;
/// `None` where nothing is evident.
pub(crate) fn unknown_variable(
    name: &str,
    source: &str,
    span: &Span,
) -> Option<(String, Option<String>)> {
    let before = source[..span.start].trim_end();
    let help = match name {
        "JSON" => "a value is written as JSON by `json(value)`; the event is parsed already",
        "Date" | "time" | "datetime" => {
            "`now` is the time of the evaluation, in milliseconds since 1970"
        }
        "console" | "logger" | "logging" => "write a line to the evaluation with `log(value)`",
        "state" | "cache" | "store" => {
            "read an entry of the state with `get(key)`, and write it with `set(key, value)`"
        }
        "os" | "env" | "process" => "scripts do not see the environment",
        "requests" | "axios" | "http" | "fetch" => {
            "scripts have no network: `send` a document to a target, or `call` an API"
        }
        _ => "",
    };
    if !help.is_empty() {
        return Some((help.to_owned(), None));
    }
    if EVENT_FIELDS.contains(&name) {
        let help = format!("fields are read from the event: `event.{name}`");
        let fix = format!("event.{name}");
        return Some((help, Some(fix)));
    }
    // `notify(team, "x")`: the names of targets are texts.
    let is_target = ["notify(", "send(", "call("]
        .iter()
        .any(|call| before.replace(' ', "").ends_with(call));
    if is_target {
        let help = format!("the name of a target is a text: `\"{name}\"`");
        let fix = format!("\"{name}\"");
        return Some((help, Some(fix)));
    }
    None
}

/// Functions of other languages, with what does the same here under the same arguments.
const FUNCTIONS: [(&str, &str); 12] = [
    ("charAt", "get"),
    ("includes", "contains"),
    ("indexOf", "index_of"),
    ("lower", "to_lower"),
    ("size", "len"),
    ("str", "to_string"),
    ("String", "to_string"),
    ("stringify", "json"),
    ("substr", "sub_string"),
    ("toLowerCase", "to_lower"),
    ("toUpperCase", "to_upper"),
    ("upper", "to_upper"),
];

/// The function that does what an unknown one does in another language, if it is one of `known`.
pub(crate) fn function<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    let (_, own) = FUNCTIONS.iter().find(|(foreign, _)| *foreign == name)?;
    known.iter().find(|known| *known == own).copied()
}

/// Help for functions of other languages that scripts do without, or that do something else here.
pub(crate) fn function_help(name: &str) -> Option<&'static str> {
    Some(match name {
        "replaceAll" => "`text.replace(old, new)` changes the variable `text`, and has no value",
        "strip" => "`text.trim()` changes the variable `text`, and has no value",
        "substring" => {
            "`text.sub_string(start, length)`: the second number is a length, and not an end"
        }
        "now" | "time" => "`now` is a variable: the time in milliseconds since 1970",
        "http_get" | "http_post" | "fetch" | "curl" | "request" | "get_url" | "urlopen" => {
            "scripts have no network: `send` a document to a target, or `call` an API"
        }
        "format" | "sprintf" | "printf" => "put values into a text in backticks: `${event.id}`",
        "email" | "mail" | "slack" | "alert" | "dingtalk" => {
            "write notify(target, text), where the target is one of the configuration"
        }
        "getenv" | "env" => "scripts do not see the environment",
        "console.log" | "println" | "echo" | "puts" => {
            "write a line to the evaluation with `log(value)`"
        }
        "wait" | "setTimeout" | "delay" => {
            "scripts cannot wait; let an action wait: notify(target, #{ text: \"…\", after: \"10m\" })"
        }
        _ => return None,
    })
}

/// Where the parser stopped.
struct Place<'s> {
    source: &'s str,
    span: Span,
}

impl Place<'_> {
    fn error(&self, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(Code::SCRIPT_SYNTAX, self.span.clone(), message)
    }

    fn before(&self) -> &str {
        &self.source[..self.span.start]
    }

    fn after(&self) -> &str {
        &self.source[self.span.end..]
    }

    /// The line up to the place.
    fn line_before(&self) -> &str {
        let before = self.before();
        &before[before.rfind('\n').map_or(0, |at| at + 1)..]
    }

    /// Another spelling of what is at the place.
    fn replaced(&self, message: String, right: &str) -> Diagnostic {
        self.error(message)
            .with_help(format!("write `{right}`"))
            .with_fix(self.span.clone(), right)
    }

    /// Words that the parser takes for variables.
    fn variable(&self, name: &str) -> Option<Diagnostic> {
        let unknown = |what: &str| format!("unknown {what} `{name}`");
        Some(match name {
            "None" | "nil" | "undefined" | "NULL" | "Null" => self.missing_value(name),
            "True" => self.replaced(unknown("variable"), "true"),
            "False" => self.replaced(unknown("variable"), "false"),
            "elif" | "elsif" | "elseif" => self.replaced(unknown("keyword"), "else if"),
            "function" | "def" | "func"
                if self.after().trim_start().starts_with(char::is_alphabetic) =>
            {
                self.replaced(unknown("keyword"), "fn")
            }
            "not" => self.negation(),
            "f" if self.after().starts_with('"') => self.interpolated()?,
            _ if self.after().trim_start().starts_with("=>") => {
                let arrow = self.after().find("=>")? + 2;
                let found = self.error("unexpected `=>` after a parameter");
                let help = format!("a closure is written `|{name}| …`");
                let span = self.span.start..self.span.end + arrow;
                found.with_help(help).with_fix(span, format!("|{name}|"))
            }
            _ if self.after().trim_start().starts_with(':') => self.map()?,
            _ => return None,
        })
    }

    fn missing_value(&self, name: &str) -> Diagnostic {
        self.error(format!("unknown value `{name}`"))
            .with_help("a missing value and null are `()`")
            .with_fix(self.span.clone(), "()")
    }

    /// Words that the parser keeps for itself.
    fn word(&self, word: &str) -> Option<Diagnostic> {
        Some(match word {
            "null" | "nil" => self.missing_value(word),
            "var" => self.replaced("unknown keyword `var`".to_owned(), "let"),
            "match" | "case" => self
                .error(format!("unknown keyword `{word}`"))
                .with_help("write `switch value { \"a\" => …, _ => … }`"),
            "++" | "--" => self.step(word),
            "===" | "!==" => {
                let span = self.span.start..self.span.start + 3;
                let found = Diagnostic::error(
                    Code::SCRIPT_SYNTAX,
                    span.clone(),
                    format!("unknown operator `{word}`"),
                );
                let right = &word[..2];
                found
                    .with_help(format!("write `{right}`"))
                    .with_fix(span, right)
            }
            "=>" => self
                .error("unexpected `=>`")
                .with_help("a closure is written `|x| …`"),
            "#" => return self.symbol(word),
            "=" => return self.assignment(),
            "?" => self.operator(word)?,
            _ => return None,
        })
    }

    fn symbol(&self, text: &str) -> Option<Diagnostic> {
        let first = text.chars().next()?;
        match first {
            // Not `#{`, a map.
            '#' if self.line_before().trim().is_empty() || self.line_before().ends_with(' ') => {
                let found = self.error("unexpected `#`");
                let span = self.span.start..self.span.start + 1;
                let help = "a comment begins with `//`";
                Some(found.with_help(help).with_fix(span, "//"))
            }
            '“' | '”' | '‘' | '’' => {
                let found = self.error(format!("typographic quote `{first}`"));
                let found = found.with_help("write straight quotes: `\"`");
                // The text up to the closing quote.
                let start = self.span.start + first.len_utf8();
                let rest = &self.source[start..];
                let line = rest.lines().next().unwrap_or_default();
                let closing = line.find(['”', '’', '“', '‘']);
                Some(
                    match closing.filter(|end| !line[..*end].contains(['"', '\\'])) {
                        Some(end) => {
                            let fix = format!("\"{}\"", &line[..end]);
                            let length = line[end..].chars().next().map_or(0, char::len_utf8);
                            found.with_fix(self.span.start..start + end + length, fix)
                        }
                        None => found,
                    },
                )
            }
            _ => None,
        }
    }

    /// `'a text'`
    fn single_quotes(&self) -> Option<Diagnostic> {
        let rest = self.source[self.span.start..].strip_prefix('\'')?;
        let line = rest.lines().next().unwrap_or_default();
        let end = line.find('\'')?;
        let span = self.span.start..self.span.start + end + 2;
        let text = &line[..end];
        let found = Diagnostic::error(
            Code::SCRIPT_SYNTAX,
            span.clone(),
            "expected a text in double quotes, found single quotes",
        );
        let help = "single quotes are for one character; write texts in double quotes or backticks";
        let found = found.with_help(help);
        let is_plain = !text.contains(['"', '\\']);
        Some(if is_plain {
            found.with_fix(span, format!("\"{text}\""))
        } else {
            found
        })
    }

    fn operator(&self, operator: &str) -> Option<Diagnostic> {
        Some(match operator {
            "?" => self
                .error("unknown operator `?`")
                .with_help("`if` gives a value: `let a = if b { 1 } else { 2 };`"),
            "++" | "--" => self.step(operator),
            _ => return None,
        })
    }

    /// `n++`
    fn step(&self, operator: &str) -> Diagnostic {
        let right = if operator == "++" { " += 1" } else { " -= 1" };
        let span = self.span.start..self.span.start + 2;
        let found = Diagnostic::error(
            Code::SCRIPT_SYNTAX,
            span.clone(),
            format!("unknown operator `{operator}`"),
        );
        let found = found.with_help(format!("write `n{right}`"));
        let follows_name = self
            .before()
            .ends_with(|c: char| c.is_alphanumeric() || c == '_');
        // As a statement; inside of an expression its value would be missed.
        let is_statement = self.source[span.end..].trim_start().starts_with(';');
        if follows_name && is_statement {
            found.with_fix(span, right)
        } else {
            found
        }
    }

    /// `if a = 1 {`
    fn assignment(&self) -> Option<Diagnostic> {
        let line = self.line_before().trim_start().trim_start_matches("} ");
        let line = line.strip_prefix("else ").unwrap_or(line);
        let is_condition = line.starts_with("if ") || line.starts_with("while ");
        (is_condition && !line.contains('{')).then(|| {
            let span = self.span.start..self.span.start + 1;
            self.error("unexpected `=` in a condition")
                .with_help("compare with `==`")
                .with_fix(span, "==")
        })
    }

    /// `not a`
    fn negation(&self) -> Diagnostic {
        let found = self.error("unknown operator `not`");
        let rest = self.after();
        let operand = rest.trim_start();
        let gap = rest.len() - operand.len();
        let path = operand.trim_start_matches(|c: char| {
            c.is_alphanumeric() || matches!(c, '_' | '.' | '?' | '(' | ')' | '"')
        });
        let end = path.trim_start();
        // In Python `not a == b` is `!(a == b)`.
        let is_simple = path.len() < operand.len()
            && (end.starts_with(['{', ')', ';', ',']) || end.starts_with("&&"));
        if is_simple {
            found
                .with_help("write `!`")
                .with_fix(self.span.start..self.span.end + gap, "!")
        } else {
            found.with_help("write `!(…)`")
        }
    }

    /// `f"failed: {event.id}"`
    fn interpolated(&self) -> Option<Diagnostic> {
        let text = self.after().strip_prefix('"')?;
        let end = text.find('"')?;
        let inner = &text[..end];
        let span = self.span.start..self.span.end + end + 2;
        let found = Diagnostic::error(
            Code::SCRIPT_SYNTAX,
            span.clone(),
            "unknown prefix `f` of a text",
        );
        let found = found.with_help("interpolate in backticks: `${event.id}`");
        let is_plain = !inner.contains(['`', '\\', '\n', '$']) && !inner.contains("{{");
        Some(if is_plain {
            found.with_fix(span, format!("`{}`", inner.replace('{', "${")))
        } else {
            found
        })
    }

    /// `{ a: 1 }` where a map is meant.
    fn map(&self) -> Option<Diagnostic> {
        let before = self.before().trim_end().strip_suffix('{')?;
        if !before.trim_end().ends_with(['(', ',', '=', ':', '[']) {
            return None;
        }
        let brace = before.len();
        let found = Diagnostic::error(
            Code::SCRIPT_SYNTAX,
            brace..brace + 1,
            "a map begins with `#{`",
        );
        Some(
            found
                .with_help("write `#{ name: value }`; braces alone are a block")
                .with_fix(brace..brace, "#"),
        )
    }

    /// `for (const x of xs)`
    fn loop_variable(&self) -> Option<Diagnostic> {
        self.line_before().trim_start().starts_with("for").then(|| {
            self.error("expected the name of the loop's variable")
                .with_help("write `for x in list { … }`, without parentheses")
        })
    }

    /// A token that is missing before the place.
    fn missing(&self, token: &str) -> Option<Diagnostic> {
        let word = &self.source[self.span.clone()];
        let line = self.line_before().trim_start();
        match (token, word) {
            ("{", "and") => Some(self.replaced("unknown operator `and`".to_owned(), "&&")),
            ("{", "or") => Some(self.replaced("unknown operator `or`".to_owned(), "||")),
            ("{", ":" | "then") => Some(
                self.error(format!("unexpected `{word}`"))
                    .with_help("the block of `if`, `for` and `while` is in braces: `if a { … }`"),
            ),
            ("{", _) => Some(self.block()),
            (";", "and" | "or") => {
                let right = if word == "and" { "&&" } else { "||" };
                Some(self.replaced(format!("unknown operator `{word}`"), right))
            }
            (";", _) => self.semicolon(),
            ("in", "of") => Some(self.replaced("unexpected `of`".to_owned(), "in")),
            (",", _) if line.starts_with("for") => Some(
                self.error("unexpected loop of three parts")
                    .with_help("write `for i in 0..3 { … }`"),
            ),
            ("catch", "except" | "rescue") => {
                Some(self.replaced(format!("unknown keyword `{word}`"), "catch"))
            }
            (":", "=") => Some(self.replaced("unexpected `=` in a map".to_owned(), ":")),
            ("}", "") => self.unclosed('{'),
            (",", _) => {
                // `notify("team, "x")`
                let start = self.before().rfind('\n').map_or(0, |at| at + 1);
                let line = self.source[start..].lines().next().unwrap_or_default();
                let is_odd = line.matches('"').count() % 2 == 1 && !line.contains(['\\', '`']);
                is_odd.then(|| {
                    self.error("unexpected text after an argument")
                        .with_help("a `\"` of this line has no other: close each text")
                })
            }
            _ => None,
        }
    }

    /// `if (a) b();`
    fn block(&self) -> Diagnostic {
        let found = self
            .error("missing `{`")
            .with_help("the block of `if`, `for` and `while` is in braces: `if a { … }`");
        let rest = &self.source[self.span.start..];
        let line = rest.lines().next().unwrap_or_default();
        let statement = line.trim_end();
        let is_one = statement.matches(';').count() == 1 && statement.ends_with(';');
        if is_one && (!statement.contains(['{', '}', '"']) || is_balanced(statement)) {
            let span = self.span.start..self.span.start + statement.len();
            found.with_fix(span, format!("{{ {statement} }}"))
        } else {
            found
        }
    }

    /// A statement that the next one follows.
    fn semicolon(&self) -> Option<Diagnostic> {
        let before = self.before();
        let end = before.trim_end().len();
        let previous = before[..end].lines().next_back().unwrap_or_default();
        // On the same line, something else may be wrong.
        if !before[end..].contains('\n') || previous.contains("//") || end == 0 {
            return None;
        }
        let last = before[..end].chars().next_back().map_or(1, char::len_utf8);
        let found = Diagnostic::error(
            Code::SCRIPT_SYNTAX,
            end - last..end,
            "missing `;` after this statement",
        );
        Some(found.with_help("end the statement").with_fix(end..end, ";"))
    }

    /// A bracket that is open at the end of the script.
    fn unclosed(&self, bracket: char) -> Option<Diagnostic> {
        let at = last_open(self.source)?;
        self.source[at..].starts_with(bracket).then(|| {
            let end = self.source.trim_end().len();
            let found = Diagnostic::error(
                Code::SCRIPT_SYNTAX,
                at..at + 1,
                format!("unclosed `{bracket}`"),
            );
            found
                .with_label(end..end, "the script ends without `}`")
                .with_help("add the missing `}`")
                .with_fix(end..end, " }")
        })
    }
}

fn is_balanced(text: &str) -> bool {
    last_open(text).is_none() && text.matches('"').count().is_multiple_of(2)
}

/// The last bracket that is not closed, outside of texts and comments.
fn last_open(source: &str) -> Option<usize> {
    let mut open = Vec::new();
    let mut at = 0;
    while let Some(c) = source[at..].chars().next() {
        let rest = &source[at..];
        at += match c {
            '"' | '`' | '\'' => text_len(rest, c),
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |end| end + 2),
            '{' | '(' | '[' => {
                open.push(at);
                1
            }
            '}' | ')' | ']' => {
                open.pop();
                1
            }
            other => other.len_utf8(),
        };
    }
    open.pop()
}

/// The length of a text that begins and ends with `quote`.
fn text_len(text: &str, quote: char) -> usize {
    let mut is_escaped = false;
    let end = text[1..].find(|c| {
        let is_end = c == quote && !is_escaped;
        is_escaped = c == '\\' && !is_escaped && quote != '`';
        is_end
    });
    end.map_or(text.len(), |end| end + 2)
}
