//! The one registry of diagnostic codes: one line each, in the hundred of whoever speaks.

use std::fmt;

/// A stable diagnostic code such as `RA0101`; a number is never given to a second meaning.
///
/// The hundreds say who speaks: 00 events, 01 the filter language, 02 what a filter means, 03 dialects,
/// 04 rule files, 05 reactions, 06 configuration and the service, 07 the simulator.
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

    /// What the code means, in one line without a full stop.
    pub fn title(self) -> &'static str {
        self.entry().2
    }

    fn entry(self) -> &'static (Code, &'static str, &'static str) {
        TABLE
            .iter()
            .find(|(code, ..)| *code == self)
            .expect("only the registry makes codes")
    }
}

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
    1 EVENT_TOO_LARGE "The event has more bytes than allowed";
    2 EVENT_NOT_JSON "The event is not JSON";
    3 EVENT_NOT_UTF8 "The event is not UTF-8";
    4 EVENT_TOO_DEEP "The event is nested too deeply";
    5 EVENT_NOT_AN_OBJECT "The event is not a JSON object";
    6 FORM_MALFORMED "The form is not that of a Cloud Monitor webhook";
    7 DUPLICATE_KEY "A key appears twice in one object, and only its last value counts";
    8 UNKNOWN_EVENT_NAME "The catalogue of ECS events does not know the name";
    9 FIELD_MISSING "A field that the event needs is missing";
    10 WRONG_KIND "A field holds another kind of JSON value than documented";
    11 UNKNOWN_OPERATION "The operation is none of the four ENI operations";
    12 UNKNOWN_STATUS "The status is none that an ENI can have";
    13 UNKNOWN_RESULT "The result is none of the documented words";
    14 UNKNOWN_LEVEL "The level is none of INFO, WARN and CRITICAL";
    15 LEVEL_DISAGREES "Level and result contradict each other";
    16 STATUS_DISAGREES "The status does not follow from operation and result";
    17 ARN_MALFORMED "The resource id is not an ARN";
    18 ARN_KIND "The ARN names another kind of resource";
    19 ARN_DISAGREES "The ARN and another field name different things";
    20 TIME_MALFORMED "The time is not readable";
    21 VALUE_MASKED "The value is masked and matches nothing";
    22 ADDRESS_MALFORMED "The text is not an IP address";
    23 PREFIX_MALFORMED "The text is not an IP prefix";
    24 PREFIX_NOT_CANONICAL "The prefix has bits set behind its length";
    25 PREFIX_LENGTH "An IPv4 prefix of an ENI is a /28";
    26 TOLERATED_SPELLING "The value is understood, but not in its documented spelling";
    27 NAME_STATUS_DISAGREES "The status in the name and in the content differ";
    28 ATTRIBUTE_TOO_LONG "A CloudEvents attribute is longer than EventBridge carries";
    // 01: the filter language
    101 SYNTAX "Something stands where the filter language expects something else";
    102 UNCLOSED "A bracket or a quote has no partner";
    103 TOO_LONG "The pattern has more bytes than allowed";
    104 TOO_DEEP "The pattern is nested too deeply";
    105 EMPTY_TEXT "There is no pattern";
    106 BAD_STRING "Text in quotes is not well-formed";
    107 BAD_LITERAL "A value without quotes is no number, true, false or null";
    108 NOT_STRICT "The dialect wants strict JSON";
    109 RESERVED_KEY "A word of the language stands as a key without quotes";
    110 NOT_A_JOIN "Something else than `and` or `or` stands between two tests";
    111 MORE "There is more to say about the pattern than is told at once";

    // 02: what a filter means
    201 UNKNOWN_OPERATOR "An operator or key that the language does not know";
    202 SCALAR_LEAF "A path has a value instead of a list of alternatives";
    203 EMPTY "An object or list that needs content has none";
    204 WRONG_ARGUMENT "An operator has an argument that it does not take";
    205 MIXED_LIST "A list mixes kinds that the dialect keeps apart";
    206 BAD_RANGE "A numeric range is reversed or incomplete";
    207 BAD_CIDR "The text is not a network";
    208 BAD_WILDCARD "The text is not a wildcard";
    209 BAD_REGEXP "The text is not a regular expression, or one that would grow too large";
    210 ONE_OPERATOR "More operators in one object than allowed";
    211 BAD_JOIN "`$or`, `$and` or `$not` does not hold what it needs";
    212 PATH_TWICE "A path is constrained twice, and the later one wins";
    213 NEVER_MATCHES "The pattern, or a part of it, can never match";
    214 NOT_EQUALS "A test with `!=` may mean something else than its author wants";
    215 RESERVED_IN_OR "An operator stands as a key inside `$or`";
    216 TOO_MANY "The pattern makes too many combinations";

    // 03: dialects
    301 NOT_PORTABLE "The dialect does not have the construct";
    302 DIALECT_LIMIT "The pattern exceeds a limit of the dialect";
    303 ANSWERS_DIFFER "The service of the dialect answers differently";
    304 NOTATION "The dialect is written in JSON notation alone";

    // 04: rule files
    400 RULE_FILE "A rule file cannot be read, or is not UTF-8";
    401 RULE_TOML "A rule file is not TOML";
    402 RULE_KEY "A key that rule files do not know";
    403 RULE_TYPE "A value of the wrong type";
    404 RULE_VALUE "A value of the right type that makes no sense";
    405 RULE_WITHOUT_WHEN "A rule without `when`";
    406 RULE_TWICE "Two rules of one name";
    407 RULE_WITHOUT_REACTION "A rule without `then` and `notify`";
    408 RULE_LIMIT "Too large a rule file, or too many rules";
    409 RULE_TEMPLATE "A message template that does not compile";
    410 TEST_EVENT "A test whose event cannot be read";
    411 RULE_CONFLICT "Keys that contradict each other, or one that needs another";

    // 05: reactions
    500 SCRIPT_SYNTAX "The script is not well formed";
    501 SCRIPT_FORBIDDEN "Scripts must not use this word";
    502 UNKNOWN_VARIABLE "There is no variable of this name";
    503 UNKNOWN_FUNCTION "There is no function of this name";
    504 WRONG_ARGUMENTS "The function wants other arguments";
    505 SCRIPT_LIMIT "The script is larger or deeper than allowed";
    506 FUNCTION_TAKEN "The script defines a function that is there already";

    // 06: configuration and the service
    600 CONFIG_FILE "The configuration, or a file it names, cannot be read";
    601 CONFIG_TOML "The configuration is not TOML";
    602 CONFIG_KEY "A key that the configuration does not know";
    603 CONFIG_TYPE "A value of the wrong type in the configuration";
    604 CONFIG_VALUE "A value in the configuration that makes no sense";
    605 CONFIG_MISSING "A key that the configuration lacks";
    606 CONFIG_SECRET "A secret that stands in the configuration itself, or cannot be found";
    607 CONFIG_DEPRECATED "A deprecated key in the configuration";

    // 07: the simulator
    700 SCENARIO_TOML "A scenario file is not TOML, or holds what scenarios do not know";
    701 SCENARIO_VALUE "A value of a scenario that makes no sense";
    702 SCENARIO_NAME "A scenario names something that is not there";
    703 SCENARIO_STEP "A step that does nothing, or two things at once";
    704 SCENARIO_TWICE "Two things of one name";
    705 SCENARIO_ORDER "A step that happens before the one above it";
    706 SCENARIO_WORLD "A world that cannot be built";
    707 SCENARIO_LIMIT "A scenario that is too large or lasts too long";
    710 IMPORT_SHAPE "A subscription file is not what the cloud's API answers";
    711 IMPORT_LOSS "Something that a subscription says did not carry over";
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
    fn names_are_unique_and_titles_are_one_line_without_a_full_stop() {
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
    fn a_code_shows_four_digits_and_knows_its_title() {
        assert_eq!(Code::UNKNOWN_OPERATION.to_string(), "RA0011");
        assert_eq!(Code::UNKNOWN_OPERATION.name(), "UNKNOWN_OPERATION");
        assert_eq!(
            Code::UNKNOWN_OPERATION.title(),
            "The operation is none of the four ENI operations"
        );
    }
}
