//! Functions and methods of other languages: `startsWith(a, "x")`, `a.startsWith("x")`, `len(a) >
//! 2`.

use super::condition::{Condition, Precision};
use super::operator::{ForeignOperator, Meaning};
use super::reader::{self, Recognised, closing};
use super::token::{Kind, Token};
use super::value::{Value, ValueKind, json};
use crate::foreign_path::ForeignPath;
use crate::syntax::argument::Comparison;

/// The condition of a call with what follows it.
pub(super) fn condition(tokens: &[Token]) -> Option<Recognised> {
    if let Some(found) = method_of_text(tokens) {
        return Some(found);
    }
    let call = call(tokens)?;
    // `any(a == "x")`, `select(.a == "x")`: a condition in a function that adds nothing to it.
    let is_wrapper = matches!(
        call.name.as_str(),
        "any" | "some" | "select" | "filter" | "where" | "exists" | "if" | "count"
    );
    let inner = (is_wrapper && call.path.is_none() && call.rest.is_empty())
        .then(|| reader::condition(call.arguments))
        .flatten()
        .map(|inner| inner.condition);
    let mut condition = inner.or_else(|| meaning(&call))?;
    if is_wrapper && call.arguments.len() > 1 {
        condition.precision = Precision::Approximate;
    }
    Some(Recognised {
        condition,
        at: call.at,
        operator: 1,
        is_misread: true,
        is_path: false,
    })
}

/// The name of the function that tokens call first, with its index.
pub(super) fn function<'s>(tokens: &[Token<'s>]) -> Option<(&'s str, usize)> {
    let at = tokens
        .windows(2)
        .position(|pair| is_call(pair) && !is_operator_word(pair[0].text))?;
    let name = tokens[at].text;
    Some((name.rsplit('.').next().unwrap_or(name), at))
}

/// `"x".equals(a)`, whose first token is read as the path `"x".equals`.
fn method_of_text(tokens: &[Token]) -> Option<Recognised> {
    let [name, open, argument, close] = tokens else {
        return None;
    };
    let (text, method) = name.text.rsplit_once('.')?;
    let is_equality = ["equals", "equalsignorecase", "eq"].contains(&&*method.to_lowercase());
    if !(is_equality && text.starts_with('"') && open.is("(") && close.is(")")) {
        return None;
    }
    let path = path_of(std::slice::from_ref(argument))?;
    let operator = ForeignOperator::read(method)?;
    let mut condition = reader::with_values(&path, operator, std::slice::from_ref(argument))?;
    condition.values = vec![Value::of_text(text)];
    Some(Recognised {
        condition,
        at: 0,
        operator: 1,
        is_misread: true,
        is_path: false,
    })
}

struct Call<'t, 's> {
    /// The index of the function's token.
    at: usize,
    /// The name in lower case, without `_` and `-`.
    name: String,
    /// The text before the dot: `a` in `a.startsWith("x")`, or a value.
    receiver: Option<&'t [Token<'s>]>,
    /// The path of a receiver.
    path: Option<ForeignPath>,
    arguments: &'t [Token<'s>],
    rest: &'t [Token<'s>],
    /// The method before it that changes the case, `a.toLowerCase().includes("x")`.
    fold: Option<String>,
}

/// Modules of other languages, which are not paths.
const MODULES: [&str; 8] = [
    "re", "regex", "strings", "str", "net", "string", "arrays", "_",
];

fn call<'t, 's>(tokens: &'t [Token<'s>]) -> Option<Call<'t, 's>> {
    // The receiver is in the token of the name, `a.startsWith`, or before it, `"x".equals`.
    let at = match tokens {
        [first, ..] if first.kind == Kind::Word => 0,
        [first, ..] if first.is("[") => closing(tokens, 0)? + 1,
        [first, ..] if matches!(first.kind, Kind::Quoted | Kind::Regexp) => 1,
        _ => return None,
    };
    if !is_call(tokens.get(at..at + 2)?) {
        return None;
    }
    let end = closing(tokens, at + 1)?;
    let (path, name) = match tokens[at].text.rsplit_once('.') {
        Some(("", name)) => (None, name),
        Some((module, name)) if MODULES.contains(&module) => (None, name),
        Some((path, name)) => (Some(ForeignPath::read(path)?), name),
        None => (None, tokens[at].text),
    };
    let mut call = Call {
        at,
        name: name.to_lowercase().replace(['_', '-'], ""),
        receiver: (at > 0).then(|| &tokens[..at]),
        path,
        arguments: &tokens[at + 2..end],
        rest: &tokens[end + 1..],
        fold: None,
    };
    // `a.toLowerCase().includes("x")`: the rest is a method of the result.
    while is_case(&call.name)
        && let [method, open, ..] = call.rest
        && method.text.starts_with('.')
        && open.is("(")
        && call.path.is_some()
    {
        let end = closing(call.rest, 1)?;
        let name = method.text[1..].to_lowercase();
        call.fold = Some(std::mem::replace(&mut call.name, name));
        call.arguments = &call.rest[2..end];
        call.rest = &call.rest[end + 1..];
    }
    Some(call)
}

fn is_call(pair: &[Token]) -> bool {
    let [name, open] = pair else {
        return false;
    };
    let is_keyword = ["and", "or", "not"]
        .iter()
        .any(|word| name.text.eq_ignore_ascii_case(word));
    name.kind == Kind::Word && open.is("(") && !is_keyword && name.span.end == open.span.start
}

/// Whether a word may stand before a list in parentheses: `a in ("x", "y")`.
fn is_operator_word(word: &str) -> bool {
    [
        "in", "is", "where", "if", "when", "between", "like", "cidr", "contains", "with", "matches",
    ]
    .iter()
    .any(|operator| word.eq_ignore_ascii_case(operator))
}

fn is_case(name: &str) -> bool {
    const NAMES: &str = "lower upper tolower toupper lowercase uppercase lcase ucase tolowercase \
                         touppercase casefold downcase upcase asciidowncase";
    NAMES.split(' ').any(|other| other == name)
}

/// Whether a text is what the function gives: `lower(a) == "X"` is never true.
fn is_folded(name: &str, values: &[Value]) -> bool {
    let is_upper = name.contains("up") || name == "ucase";
    let fold: fn(&str) -> String = if is_upper {
        str::to_uppercase
    } else {
        str::to_lowercase
    };
    let is_folded = |value: &Value| value.text().is_some_and(|text| fold(&text) == text);
    values.iter().all(is_folded)
}

fn meaning(call: &Call<'_, '_>) -> Option<Condition> {
    let mut condition = match call.name.as_str() {
        "len" | "length" | "size" | "count" | "strlen" | "cardinality" | "arraylength"
        | "charlength" => return length(call),
        "indexof" | "find" | "strpos" | "instr" | "position" | "charindex" | "locate" => {
            return position(call);
        }
        name if is_case(name) || is_conversion(name) => {
            let path = call.path.clone().or_else(|| path_of(call.arguments))?;
            let (mut operator, count) = reader::operator(call.rest)?;
            operator.ignoring_case |= is_case(name);
            let mut condition = reader::with_values(&path, operator, &call.rest[count..])?;
            if !is_case(name) || !is_folded(name, &condition.values) {
                condition.precision = Precision::Approximate;
            }
            return Some(condition);
        }
        "get"
        | "getattr"
        | "jsonextract"
        | "jsonextractscalar"
        | "jsonvalue"
        | "jsonquery"
        | "getjsonobject"
        | "jsonextractpathtext" => {
            return get(call);
        }
        _ => test(call)?,
    };
    if let Some(name) = &call.fold {
        condition.operator.ignoring_case = true;
        if !is_folded(name, &condition.values) {
            condition.precision = Precision::Approximate;
        }
    }
    // `startsWith(a, "x") == false`
    match call.rest {
        [] => Some(condition),
        [_, last] if last.is_word("true") => Some(condition),
        [_, last] if last.is_word("false") => {
            condition.operator.negated ^= true;
            Some(condition)
        }
        _ => None,
    }
}

/// `a.get("b") == 1`, `JSON_EXTRACT(a, '$.b') = 1`: the path is in the function.
fn get(call: &Call<'_, '_>) -> Option<Condition> {
    // What follows the key is the value in place of a missing one: another condition.
    let (path, mut key) = match (&call.path, call.arguments) {
        (Some(path), [key]) => (path.clone(), key),
        (None, [path, comma, key]) if comma.is(",") => (path_of(std::slice::from_ref(path))?, key),
        _ => return None,
    };
    let (mut steps, mut rest) = (String::new(), call.rest);
    loop {
        let text = Value::of_text(key.text).text();
        let text = text.filter(|_| key.kind == Kind::Quoted)?;
        match text.strip_prefix('$') {
            Some(more) => steps.push_str(more),
            None => steps.push_str(&format!(".{}", json(&text))),
        }
        // `a.get("b").get("c")`
        match rest {
            [method, open, next, close, after @ ..]
                if method.text == ".get" && open.is("(") && close.is(")") =>
            {
                (key, rest) = (next, after);
            }
            _ => break,
        }
    }
    let (operator, count) = reader::operator(rest)?;
    reader::with_values(&path.then(&steps)?, operator, &rest[count..])
}

/// Functions that convert a value: a comparison keeps the type, so they are left out.
fn is_conversion(name: &str) -> bool {
    const NAMES: &str = "string str tostring text int integer tonumber number float double \
                         parseint toint trim strip date timestamp datetime todatetime cast unwrap \
                         first jsonunquote";
    NAMES.split(' ').any(|other| other == name)
}

/// A function with a result of true or false.
fn test(call: &Call<'_, '_>) -> Option<Condition> {
    let name = call.name.as_str();
    let mut operator = match name {
        "has" | "hasfield" | "haskey" | "hasproperty" | "fieldexists" if !has_two(call) => {
            ForeignOperator::read("exists")?
        }
        // "Not null" of a function says that there is a value.
        "isnotnull" | "isnotempty" => ForeignOperator::read("exists")?,
        "test" | "search" | "rematch" | "regexextract" | "fullmatch" => {
            ForeignOperator::read("regexp")?
        }
        // `a.some(…)` takes a function.
        "some" | "any" | "either" | "every" | "all" | "both" => return None,
        "strcasecmp" => ForeignOperator::read("iequals")?,
        _ => ForeignOperator::read(name).or_else(|| {
            let name = name.strip_prefix("str").or(name.strip_prefix("ip"))?;
            ForeignOperator::read(name)
        })?,
    };
    // `matches(a, "x")` needs a part of the text in CEL, and the whole text in Java.
    operator.finds_parts |= operator.meaning == Meaning::Regexp;
    if operator.stands_alone() {
        return path_only(call, operator);
    }
    // The path may come first, `startsWith(a, "x")`, or last, `re.match("x", a)`.
    let (path, rest) = match (&call.path, call.receiver) {
        (Some(path), _) => (path.clone(), call.arguments),
        (None, Some(receiver)) => {
            // `["x", "y"].includes(a)`, `"x".equals(a)`: the argument is the path.
            let path = path_of(call.arguments)?;
            let is_list = receiver.first()?.is("[");
            let is_pattern = receiver.first()?.kind == Kind::Regexp;
            let is_equality = operator.meaning == Meaning::Equals;
            if is_list {
                operator.meaning = Meaning::In;
            }
            return (is_list || is_pattern || is_equality)
                .then(|| reader::with_values(&path, operator, receiver))
                .flatten();
        }
        (None, None) => path_and_value(call)?,
    };
    reader::with_values(&path, operator, rest)
}

/// A function of a path alone: `exists(a)`, `a.exists()`.
fn path_only(call: &Call<'_, '_>, operator: ForeignOperator) -> Option<Condition> {
    let path = match &call.path {
        Some(path) if call.arguments.is_empty() => path.clone(),
        None => path_of(call.arguments)?,
        Some(_) => return None,
    };
    reader::with_values(&path, operator, &[])
}

fn has_two(call: &Call<'_, '_>) -> bool {
    call.path.is_some() && !call.arguments.is_empty()
        || call.receiver.is_some()
        || call.arguments.iter().any(|token| token.is(","))
}

/// The path of an argument, also of one in a function that changes nothing here.
fn path_of(tokens: &[Token]) -> Option<ForeignPath> {
    match tokens {
        [word] if word.kind == Kind::Word => {
            let is_path = reader::is_value_of_word(word.text, ValueKind::Word);
            ForeignPath::read(word.text).filter(|_| is_path || reader::is_foreign_path(word.text))
        }
        [name, open, inner @ .., close]
            if name.kind == Kind::Word && open.is("(") && close.is(")") =>
        {
            path_of(inner)
        }
        [word, comma, ..] if comma.is(",") && tokens.len() == 3 => {
            path_of(std::slice::from_ref(word))
        }
        _ => None,
    }
}

/// The path and the value of a function: in either order, or the path before the dot.
fn path_and_value<'t, 's>(call: &Call<'t, 's>) -> Option<(ForeignPath, &'t [Token<'s>])> {
    if let Some(path) = &call.path {
        return Some((path.clone(), call.arguments));
    }
    let comma = call.arguments.iter().position(|token| token.is(","))?;
    let (first, last) = (&call.arguments[..comma], &call.arguments[comma + 1..]);
    match path_of(first) {
        Some(path) => Some((path, last)),
        None => Some((path_of(last)?, first)),
    }
}

/// `len(a) > 2`: a presence where `len(a) > 0` means one, else the length of a text as a regular
/// expression.
fn length(call: &Call<'_, '_>) -> Option<Condition> {
    let path = call.path.clone().or_else(|| path_of(call.arguments))?;
    let (operator, count) = reader::operator(call.rest)?;
    let [number] = &call.rest[count..] else {
        return None;
    };
    let n: u16 = number.text.parse().ok()?;
    let (low, high) = match operator.meaning {
        Meaning::Compare(Comparison::Greater) => (n.checked_add(1)?, None),
        Meaning::Compare(Comparison::GreaterOrEqual) => (n, None),
        Meaning::Compare(Comparison::Less) => (0, Some(n.checked_sub(1)?)),
        Meaning::Compare(Comparison::LessOrEqual) => (0, Some(n)),
        Meaning::Equals => (n, Some(n)),
        _ => return None,
    };
    let (name, is_negated, values) = match (low, high, operator.negated) {
        (1, None, negated) => ("exists", negated, Vec::new()),
        (0, Some(0), negated) => ("exists", !negated, Vec::new()),
        (low, high, negated) => {
            let repeated = match high {
                Some(high) if high == low => format!("{{{low}}}"),
                Some(high) => format!("{{{low},{high}}}"),
                None => format!("{{{low},}}"),
            };
            let value = Value::of_text(&json(&format!(".{repeated}")));
            ("matches", negated, vec![value])
        }
    };
    let mut operator = ForeignOperator::read(name)?;
    operator.negated = is_negated;
    let mut condition = Condition {
        values,
        ..reader::with_values(&path, ForeignOperator::read("exists")?, &[])?
    };
    condition.operator = operator;
    condition.precision = Precision::Approximate;
    Some(condition)
}

/// `a.indexOf("x") >= 0`, `strpos(a, "x") > 0`.
fn position(call: &Call<'_, '_>) -> Option<Condition> {
    let (path, value) = path_and_value(call)?;
    let texts: Vec<&str> = call.rest.iter().map(|token| token.text).collect();
    let is_negated = match texts.as_slice() {
        [">=" | ">", "0"] | ["!=" | "!==" | ">", "-1"] => false,
        ["==" | "===", "-1"] | ["<", "0"] => true,
        _ => return None,
    };
    let mut operator = ForeignOperator::read("contains")?;
    operator.negated = is_negated;
    reader::with_values(&path, operator, value)
}
