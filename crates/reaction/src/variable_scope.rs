//! Which variables are predefined, depending on where a script or template stands.

/// The variables of every rule with a time window, besides those of all rules.
pub(crate) const WINDOW_VARIABLES: [&str; 6] =
    ["events", "count", "opened", "deadline", "key", "late"];

/// The variables of all rules.
const EVENT_VARIABLES: [&str; 3] = ["event", "rule", "now"];

/// The variable of rules with lookups.
pub(crate) const LOOKUP: &str = "lookup";

/// The variable of `resolved`, besides those of the window.
const CLOSING: &str = "closing";

/// The variables of `answered`, besides those of all rules.
pub(crate) const CALL: &str = "call";
pub(crate) const ANSWER: &str = "answer";

/// Which variables a script or template may use.
///
/// ```
/// use reflexarc_reaction::{Reaction, ReactionLimits, VariableScope};
///
/// let scope = VariableScope::Window { event_may_be_missing: false };
/// let limits = ReactionLimits::DEFAULT;
/// assert!(Reaction::compile_in("log(count)", scope, &limits).is_ok());
/// let error = Reaction::compile("log(count)", &limits).unwrap_err();
/// assert_eq!(error.diagnostics()[0].message, "unknown variable `count`");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum VariableScope {
    /// A rule without a time window: `event`, `rule` and `now`, in templates also `suppressed`.
    #[default]
    Event,
    /// A rule with a time window: also `events`, `count`, `opened`, `deadline`, `key` and `late`.
    Window {
        /// Whether `event` is `()` in some runs, as where no event has come yet.
        event_may_be_missing: bool,
    },
    /// `resolved` of a rule with a time window: also `closing`.
    Resolved {
        /// Whether `event` is `()` in some runs.
        event_may_be_missing: bool,
        /// Whether `closing` is `()` in some runs, as where a time passed instead.
        closing_may_be_missing: bool,
    },
    /// `answered`: also `call` and `answer`.
    Answered {
        /// Whether `event` is `()` in some runs, as after a call without an event.
        event_may_be_missing: bool,
    },
}

/// The variables of one script or template: those of its scope, and `lookup` where its rule looks
/// rows of tables up.
///
/// ```
/// use reflexarc_reaction::{Reaction, ReactionLimits, ScriptVariables, VariableScope};
///
/// let variables = ScriptVariables::from(VariableScope::Event);
/// let limits = ReactionLimits::DEFAULT;
/// let script = "log(lookup.vswitch?.id)";
/// assert!(Reaction::compile_in(script, variables, &limits).is_err());
/// assert!(Reaction::compile_in(script, variables.with_lookups(true), &limits).is_ok());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ScriptVariables {
    /// The scope.
    pub scope: VariableScope,
    /// Whether the rule has lookups.
    pub has_lookups: bool,
}

impl From<VariableScope> for ScriptVariables {
    fn from(scope: VariableScope) -> Self {
        Self {
            scope,
            has_lookups: false,
        }
    }
}

impl ScriptVariables {
    /// The same with or without `lookup`.
    #[must_use]
    pub fn with_lookups(self, has_lookups: bool) -> Self {
        Self {
            has_lookups,
            ..self
        }
    }

    /// The names of the variables.
    pub(crate) fn names(self) -> impl Iterator<Item = &'static str> {
        let window = WINDOW_VARIABLES.into_iter();
        let window = window.filter(move |_| self.scope.has_window());
        let lookup = self.has_lookups.then_some(LOOKUP);
        let closing = self.scope.has_closing().then_some(CLOSING);
        let call = [CALL, ANSWER].into_iter();
        let call = call.filter(move |_| self.scope.has_call());
        let names = EVENT_VARIABLES.into_iter().chain(lookup);
        names.chain(window).chain(closing).chain(call)
    }

    /// Where a variable exists that is missing here.
    pub(crate) fn where_it_exists(self, name: &str) -> Option<String> {
        if self.names().any(|known| known == name) {
            return None;
        }
        let place = match name {
            CLOSING => "in `resolved`",
            CALL | ANSWER => "in `answered`",
            LOOKUP => "in rules with the key `lookup`",
            _ if WINDOW_VARIABLES.contains(&name) => {
                "in rules with `count`, `followed_by`, `not_followed_by`, `absent_for` or `batch`"
            }
            _ => return None,
        };
        Some(format!("`{name}` exists only {place}"))
    }

    /// The names as an enumeration: "`event`, `rule` and `now`".
    pub(crate) fn enumeration(self) -> String {
        let mut names: Vec<String> = self.names().map(|name| format!("`{name}`")).collect();
        let last = names.pop().unwrap_or_default();
        format!("{} and {last}", names.join(", "))
    }
}

impl VariableScope {
    /// Whether `event` is `()` in some runs.
    pub fn event_may_be_missing(self) -> bool {
        self.may_be_missing().any(|name| name == "event")
    }

    /// Whether scripts have the variables of the window.
    pub(crate) fn has_window(self) -> bool {
        matches!(self, Self::Window { .. } | Self::Resolved { .. })
    }

    /// Whether scripts have `call` and `answer`.
    pub(crate) fn has_call(self) -> bool {
        matches!(self, Self::Answered { .. })
    }

    /// Whether scripts have `closing`.
    pub(crate) fn has_closing(self) -> bool {
        matches!(self, Self::Resolved { .. })
    }

    /// The events that are `()` in some runs.
    pub(crate) fn may_be_missing(self) -> impl Iterator<Item = &'static str> {
        let (event, closing) = match self {
            Self::Event => (false, false),
            Self::Window {
                event_may_be_missing,
            }
            | Self::Answered {
                event_may_be_missing,
            } => (event_may_be_missing, false),
            Self::Resolved {
                event_may_be_missing,
                closing_may_be_missing,
            } => (event_may_be_missing, closing_may_be_missing),
        };
        let event = event.then_some("event");
        event.into_iter().chain(closing.then_some(CLOSING))
    }
}

/// Whether every script has this variable and none may define another one of its name.
// The names of the window are ordinary words. A script from before its rule had a window may define
// a `count` of its own, which then hides the predefined one:
//
//     let count = add(event.content.eniId, 1);
pub(crate) fn is_reserved(name: &str) -> bool {
    EVENT_VARIABLES.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_scope_has_the_variables_of_the_smaller_ones() {
        let plain = ScriptVariables::default();
        let window = ScriptVariables::from(VariableScope::Window {
            event_may_be_missing: true,
        });
        let resolved = ScriptVariables::from(VariableScope::Resolved {
            event_may_be_missing: false,
            closing_may_be_missing: false,
        });
        assert_eq!(plain.enumeration(), "`event`, `rule` and `now`");
        let with_lookups = plain.with_lookups(true);
        assert_eq!(
            with_lookups.enumeration(),
            "`event`, `rule`, `now` and `lookup`"
        );
        let exists = Some("`lookup` exists only in rules with the key `lookup`");
        assert_eq!(plain.where_it_exists("lookup").as_deref(), exists);
        assert_eq!(with_lookups.where_it_exists("lookup"), None);
        assert_eq!(window.names().count(), 9);
        assert_eq!(resolved.names().last(), Some("closing"));
        let exists = plain.where_it_exists("late").unwrap();
        assert!(exists.starts_with("`late` exists only in rules with `count`, "));
        let closing = Some("`closing` exists only in `resolved`");
        assert_eq!(window.where_it_exists("closing").as_deref(), closing);
        for scope in [plain, window, resolved] {
            assert_eq!(scope.where_it_exists("event"), None);
            assert_eq!(scope.where_it_exists("counts"), None);
        }
        assert_eq!(resolved.where_it_exists("count"), None);
        let answered = ScriptVariables::from(VariableScope::Answered {
            event_may_be_missing: false,
        });
        assert_eq!(
            answered.enumeration(),
            "`event`, `rule`, `now`, `call` and `answer`"
        );
        let exists = Some("`answer` exists only in `answered`");
        assert_eq!(plain.where_it_exists("answer").as_deref(), exists);
    }
}
