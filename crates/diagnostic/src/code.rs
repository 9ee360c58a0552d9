//! The registry of diagnostic codes, one line each, by the area that reports them.

use std::error::Error;
use std::fmt;
use std::str::FromStr;

use crate::nearest;

/// A stable diagnostic code such as `RA0101`. A number never changes its meaning and is never
/// reused.
///
/// The first two digits are the area: 00 events, 01 syntax of filters, 02 meaning of filters,
/// 03 dialects, 04 rule files, 05 reactions, 06 configuration and the service, 07 simulation and
/// import.
///
/// ```
/// use reflexarc_diagnostic::Code;
///
/// assert_eq!(Code::SYNTAX.to_string(), "RA0101");
/// assert_eq!(Code::SYNTAX.name(), "SYNTAX");
/// let known = Code::ALL.iter().find(|code| code.to_string() == "RA0102");
/// assert!(known.is_some_and(|code| !code.title().is_empty()));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(u16);

impl Code {
    /// The number, without the letters.
    pub fn number(self) -> u16 {
        self.0
    }

    /// The name in the registry, such as `UNKNOWN_OPERATION`.
    pub fn name(self) -> &'static str {
        self.entry().1
    }

    /// The meaning of the code, in one line without a full stop.
    pub fn title(self) -> &'static str {
        self.entry().2
    }

    /// What the code means and what to do about it, as Markdown without the heading. Fenced blocks
    /// are examples: their info string is a language, then `wrong` or `right`, then the dialect
    /// where it is not reflexarc's own.
    pub fn explanation(self) -> &'static str {
        let area = usize::from(self.0 / 100);
        let heading = format!("## {self}\n");
        let section = AREAS[area].split_once(heading.as_str());
        let rest = section.map_or("", |(_, rest)| rest);
        rest.split("\n## ").next().unwrap_or_default().trim()
    }

    fn entry(self) -> &'static (Code, &'static str, &'static str) {
        TABLE
            .iter()
            .find(|(code, ..)| *code == self)
            .expect("every code is made by the registry")
    }
}

/// The explanations of codes, by area.
const AREAS: [&str; 8] = [
    include_str!("codes/events.md"),
    include_str!("codes/syntax.md"),
    include_str!("codes/meaning.md"),
    include_str!("codes/dialects.md"),
    include_str!("codes/rule_files.md"),
    include_str!("codes/reactions.md"),
    include_str!("codes/configuration.md"),
    include_str!("codes/simulation.md"),
];

/// Reads a code as it is displayed, in capitals or not: `RA0101`.
impl FromStr for Code {
    type Err = UnknownCode;

    fn from_str(text: &str) -> Result<Self, UnknownCode> {
        let known = Self::ALL.iter().copied();
        let name = |code: &Self| code.to_string();
        known
            .clone()
            .find(|code| name(code).eq_ignore_ascii_case(text))
            .ok_or_else(|| {
                let names: Vec<String> = known.map(|code| code.to_string()).collect();
                UnknownCode {
                    text: text.to_owned(),
                    similar: nearest(text, names.iter().map(String::as_str)).map(str::to_owned),
                }
            })
    }
}

/// The error of reading a code that is not in the registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownCode {
    text: String,
    similar: Option<String>,
}

impl fmt::Display for UnknownCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown code `{}`", self.text)?;
        match &self.similar {
            Some(similar) => write!(f, "; did you mean `{similar}`?"),
            None => Ok(()),
        }
    }
}

impl Error for UnknownCode {}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RA{:04}", self.0)
    }
}

macro_rules! registry {
    ($($number:literal $name:ident $title:literal;)*) => {
        impl Code {
            $(#[doc = concat!($title, ".")] pub const $name: Code = Code($number);)*

            /// Every code, by number.
            pub const ALL: &[Code] = &[$(Code::$name),*];
        }

        const TABLE: &[(Code, &str, &str)] = &[$((Code::$name, stringify!($name), $title)),*];
    };
}

registry! {
    // 00: events
    1 EVENT_TOO_LARGE "Event too large";
    2 EVENT_NOT_JSON "Event is not valid JSON";
    3 EVENT_NOT_UTF8 "Event is not valid UTF-8";
    4 EVENT_TOO_DEEP "Event nested too deeply";
    5 EVENT_NOT_AN_OBJECT "Event is not a JSON object";
    6 INVALID_FORM "Form is not a Cloud Monitor webhook";
    7 DUPLICATE_KEY "Duplicate key in an object; only the last value counts";
    8 UNKNOWN_EVENT_NAME "Event name not in the catalogue of ECS events";
    9 FIELD_MISSING "Missing field of an event";
    10 WRONG_TYPE "Field of an event with another JSON type than documented";
    11 UNKNOWN_OPERATION "Unknown ENI operation";
    12 UNKNOWN_STATUS "Unknown ENI status";
    13 UNKNOWN_RESULT "Unknown operation result";
    14 UNKNOWN_LEVEL "Level other than INFO, WARN and CRITICAL";
    15 INCONSISTENT_LEVEL "Level and result of an event contradict each other";
    16 INCONSISTENT_STATUS "Status does not follow from operation and result";
    17 INVALID_ARN "Resource id is not an ARN";
    18 ARN_RESOURCE_TYPE "ARN of another resource type";
    19 INCONSISTENT_ARN "ARN and another field identify different resources";
    20 INVALID_TIME "Invalid time";
    21 MASKED_VALUE "Masked value, which matches nothing";
    22 INVALID_ADDRESS "Invalid IP address";
    23 INVALID_PREFIX "Invalid IP prefix";
    24 PREFIX_NOT_CANONICAL "IP prefix with host bits set";
    25 PREFIX_LENGTH "IPv4 prefix of an ENI is not a /28";
    26 TOLERATED_SPELLING "Value accepted, but not in its documented spelling";
    27 INCONSISTENT_NAME_STATUS "Status in the event name and in the content differ";
    28 ATTRIBUTE_TOO_LONG "CloudEvents attribute longer than EventBridge allows";
    29 NO_EVENT "Document that contains no event";
    // 01: syntax of filters
    101 SYNTAX "Syntax error in a filter";
    102 UNCLOSED "Unclosed bracket or quote";
    103 TOO_LONG "Filter too long";
    104 TOO_DEEP "Filter nested too deeply";
    105 EMPTY_TEXT "Empty filter";
    106 INVALID_STRING "Invalid quoted string";
    107 INVALID_LITERAL "Unquoted value that is not a number, `true`, `false` or `null`";
    108 NOT_STRICT "Dialect requires strict JSON";
    109 RESERVED_KEY "Reserved word used as an unquoted key";
    110 UNKNOWN_CONNECTIVE "Expected `and` or `or` between two tests";
    111 TOO_MANY_FINDINGS "More findings than are reported at once";

    // 02: meaning of filters
    201 UNKNOWN_OPERATOR "Unknown operator or key";
    202 SCALAR_LEAF "Expected a list of alternatives, found a value";
    203 EMPTY_VALUE "Empty object or list where content is required";
    204 WRONG_ARGUMENT "Invalid argument of an operator";
    205 MIXED_LIST "List that mixes types which the dialect does not mix";
    206 INVALID_RANGE "Reversed or incomplete numeric range";
    207 INVALID_CIDR "Invalid network";
    208 INVALID_WILDCARD "Invalid wildcard";
    209 INVALID_REGEXP "Invalid or too large regular expression";
    210 TOO_MANY_OPERATORS "More operators in one object than allowed";
    211 INVALID_CONNECTIVE "Invalid operand of `$or`, `$and` or `$not`";
    212 DUPLICATE_PATH "Path constrained twice; the later constraint wins";
    213 NEVER_MATCHES "Filter, or part of one, that can never match";
    214 NOT_EQUALS "`!=` may not mean what is intended";
    215 RESERVED_IN_OR "Operator used as a key inside `$or`";
    216 TOO_MANY_COMBINATIONS "Filter with too many combinations";
    217 ALWAYS_MATCHES "Filter, or part of one, that always matches";
    218 SUPERFLUOUS "Condition that makes no difference";
    225 OPERATOR_AS_KEY "Operator used as a key";
    226 WRAPPED_PATTERN "Pattern inside a request, or key in another API's spelling";
    230 LITERAL_WILDCARD "Literal that looks like a wildcard, compared by its characters";
    231 IMPOSSIBLE_PATH "Path that no event has, written as in another language";
    232 MISSPELT_FIELD "Path that is nearly that of a field of ECS events";
    233 MISSPELT_VALUE "Value that is nearly one of a field of ECS events";
    234 ENVELOPE_FIELD "Field that events have only before they are converted";

    // 03: dialects
    301 NOT_PORTABLE "Construct that the dialect does not support";
    302 DIALECT_LIMIT "Filter exceeds a limit of the dialect";
    303 DIALECT_DIFFERENCE "The service of the dialect gives another result";
    304 NOTATION "Dialect supports JSON notation only";

    // 04: rule files
    400 RULE_FILE "Rule file that cannot be read or is not UTF-8";
    401 RULE_TOML "Rule file that is not valid TOML";
    402 RULE_KEY "Unknown key in a rule file";
    403 RULE_TYPE "Value of the wrong type in a rule file";
    404 RULE_VALUE "Invalid value in a rule file";
    405 RULE_WITHOUT_WHEN "Rule without `when`";
    406 DUPLICATE_RULE "Two rules with the same name";
    407 RULE_WITHOUT_REACTION "Rule without `then` or `notify`";
    408 RULE_LIMIT "Rule file too large, or too many rules";
    409 RULE_TEMPLATE "Invalid message template";
    410 TEST_EVENT "Event of a test that cannot be read";
    411 RULE_CONFLICT "Contradicting keys, or a key that requires another";
    412 TEST_WITHOUT_ASSERTION "Test, or expectation of one, that cannot fail";
    413 UNKNOWN_KEY "Key of `by`, `once` or `throttle` that no event may have";
    414 UNKNOWN_RULE_FIELD "Field or label that the rule does not have";
    415 SEVERAL_WINDOWS "Several time windows in one rule";
    416 WINDOW_DURATION "Duration that a time window cannot have";
    417 MISPLACED_KEY "Key of the rule inside one of its tables";
    418 WINDOW_WITHOUT_BY "Time window over the events of any resources";
    419 KEY_WITHOUT_EFFECT "Key of a time window that has no effect";
    420 SELF_CLOSING "Filter of a time window that also matches the events before it";
    421 WINDOW_NEVER_FIRES "Time window whose match is never complete";
    422 ANSWERED_WITHOUT_CALL "Script `answered` of a rule that calls nothing";
    423 CALL_WITHOUT_ANSWERED "Call whose answer the rule does not get";
    424 UNKNOWN_CALL "Answer of a test to a call that the rule does not make";
    425 INHIBITS_NOTHING "Rule or labels in `inhibits` that do not exist";
    430 OVERLAPPING_RULES "Rule that matches only what another rule with the same target matches";
    431 UNUSED_ALLOW "Code in `allow` that the rule does not need";
    440 UNKNOWN_TABLE "Lookup in a table that does not exist";
    441 UNKNOWN_COLUMN "Lookup, or column of a table, that does not exist";
    442 TABLE_FILE "Invalid lookup table";
    443 DUPLICATE_ROW "Two rows of a lookup table with the same key";
    444 DUPLICATE_TABLE "Two lookup tables with the same name";
    445 UNUSED_TABLE "Lookup table that no rule uses";
    446 UNUSED_LOOKUP "Lookup that the rule does not use";
    447 LOOKUP_IN_FILTER "Lookup in a filter";
    448 KEY_COLUMN "Lookup by another column than `cidr` in a table that has one";

    // 05: reactions
    500 SCRIPT_SYNTAX "Syntax error in a script";
    501 SCRIPT_FORBIDDEN "Construct not allowed in scripts";
    502 UNKNOWN_VARIABLE "Unknown variable";
    503 UNKNOWN_FUNCTION "Unknown function";
    504 WRONG_ARGUMENTS "Invalid arguments of a function";
    505 SCRIPT_LIMIT "Script too large or nested too deeply";
    506 DUPLICATE_FUNCTION "Function that is already defined";
    507 PLACEHOLDER "Placeholder that is sent as it stands";
    508 MISSING_EVENT "Field of an event that may be missing";
    509 UNKNOWN_CALL_FIELD "Field that `call` or `answer` does not have";
    510 MISSING_BODY "Field of an answer that may have no body";
    520 MISSING_ROW "Column of a row that may be missing";

    // 06: configuration and the service
    600 CONFIG_FILE "Configuration, or a file that it names, cannot be read";
    601 CONFIG_TOML "Configuration that is not valid TOML";
    602 CONFIG_KEY "Unknown key in the configuration";
    603 CONFIG_TYPE "Value of the wrong type in the configuration";
    604 CONFIG_VALUE "Invalid value in the configuration";
    605 CONFIG_MISSING "Missing key in the configuration";
    606 CONFIG_SECRET "Secret written into the configuration, or not found";
    607 CONFIG_DEPRECATED "Deprecated key in the configuration";
    608 UNKNOWN_TARGET "Rule that names a target which the configuration does not define";
    609 WRONG_TARGET "Call of a target that takes no calls, or a message to one that takes only calls";
    610 CALL_NOT_ALLOWED "Call of an operation that the target does not allow";

    // 07: simulation and import
    700 SCENARIO_TOML "Scenario file that is not valid TOML, or with an unknown key";
    701 SCENARIO_VALUE "Invalid value in a scenario";
    702 SCENARIO_NAME "Unknown name in a scenario";
    703 SCENARIO_STEP "Step of a scenario without an action, or with several";
    704 SCENARIO_DUPLICATE "Duplicate name in a scenario";
    705 SCENARIO_ORDER "Step of a scenario earlier than the one before it";
    706 SCENARIO_SETUP "Invalid initial state of a scenario";
    707 SCENARIO_LIMIT "Scenario too large or too long";
    710 IMPORT_SHAPE "Subscription file that is not a response of the cloud's API";
    711 IMPORT_LOSS "Part of a subscription that cannot be converted";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_unique_and_ascending() {
        assert!(
            Code::ALL.windows(2).all(|pair| pair[0] < pair[1]),
            "{:?}",
            Code::ALL
        );
    }

    #[test]
    fn names_are_unique_and_titles_are_one_line() {
        for (i, (_, name, title)) in TABLE.iter().enumerate() {
            assert!(
                TABLE[..i].iter().all(|(_, other, _)| other != name),
                "{name}"
            );
            assert!(
                !title.is_empty() && !title.contains('\n') && !title.ends_with('.'),
                "{name}: {title}"
            );
        }
    }

    #[test]
    fn a_code_is_shown_with_four_digits() {
        assert_eq!(Code::UNKNOWN_OPERATION.to_string(), "RA0011");
        assert_eq!(Code::UNKNOWN_OPERATION.name(), "UNKNOWN_OPERATION");
        assert_eq!(Code::UNKNOWN_OPERATION.title(), "Unknown ENI operation");
    }

    #[test]
    fn every_code_is_explained_once() {
        for code in Code::ALL {
            let text = code.explanation();
            assert!(text.len() > 30, "{code}: {text}");
            assert!(!text.contains("\n## "), "{code}: {text}");
            let fences = text.lines().filter(|line| line.starts_with("```"));
            let examples = |kind: &str| fences.clone().filter(|line| line.contains(kind)).count();
            assert_eq!(examples(" wrong"), examples(" right"), "{code}");
        }
        let sections: usize = AREAS.iter().map(|area| area.matches("## RA").count()).sum();
        assert_eq!(sections, Code::ALL.len());
    }

    #[test]
    fn codes_are_parsed_and_misspelt_ones_get_a_suggestion() {
        assert_eq!("ra0101".parse(), Ok(Code::SYNTAX));
        let error = |text: &str| text.parse::<Code>().unwrap_err().to_string();
        assert_eq!(
            error("ra101"),
            "unknown code `ra101`; did you mean `RA0101`?"
        );
        assert_eq!(error("nonsense"), "unknown code `nonsense`");
    }
}
