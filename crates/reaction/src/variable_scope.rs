//! Which variables are predefined, depending on where a script or template stands.

/// The variables of every rule with a time window, besides those of all rules.
pub(crate) const WINDOW_VARIABLES: [&str; 6] =
    ["events", "count", "opened", "deadline", "key", "late"];

/// The variables of all rules.
const EVENT_VARIABLES: [&str; 3] = ["event", "rule", "now"];

/// The variable of `resolved`, besides those of the window.
const CLOSING: &str = "closing";

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
}

impl VariableScope {
    /// The names of the variables that scripts in this scope have.
    pub(crate) fn names(self) -> impl Iterator<Item = &'static str> {
        let window = WINDOW_VARIABLES.into_iter();
        let window = window.filter(move |_| self.has_window());
        let closing = self.has_closing().then_some(CLOSING);
        EVENT_VARIABLES.into_iter().chain(window).chain(closing)
    }

    /// Whether scripts have the variables of the window.
    pub(crate) fn has_window(self) -> bool {
        self != Self::Event
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
            } => (event_may_be_missing, false),
            Self::Resolved {
                event_may_be_missing,
                closing_may_be_missing,
            } => (event_may_be_missing, closing_may_be_missing),
        };
        let event = event.then_some("event");
        event.into_iter().chain(closing.then_some(CLOSING))
    }

    /// Where a variable exists that this scope lacks.
    pub(crate) fn where_it_exists(self, name: &str) -> Option<String> {
        if self.names().any(|known| known == name) {
            return None;
        }
        let place = match name {
            CLOSING => "in `resolved`",
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
        let window = VariableScope::Window {
            event_may_be_missing: true,
        };
        let resolved = VariableScope::Resolved {
            event_may_be_missing: false,
            closing_may_be_missing: false,
        };
        assert_eq!(
            VariableScope::Event.enumeration(),
            "`event`, `rule` and `now`"
        );
        assert_eq!(window.names().count(), 9);
        assert_eq!(resolved.names().last(), Some("closing"));
        let exists = VariableScope::Event.where_it_exists("late").unwrap();
        assert!(exists.starts_with("`late` exists only in rules with `count`, "));
        let closing = Some("`closing` exists only in `resolved`");
        assert_eq!(window.where_it_exists("closing").as_deref(), closing);
        for scope in [VariableScope::Event, window, resolved] {
            assert_eq!(scope.where_it_exists("event"), None);
            assert_eq!(scope.where_it_exists("counts"), None);
        }
        assert_eq!(resolved.where_it_exists("count"), None);
    }
}
