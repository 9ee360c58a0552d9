//! What the time window of a rule adds to it.

use reflexarc_diagnostic::Span;
use reflexarc_diagnostic::toml::EmbeddedText;
use reflexarc_pattern::{Node, Pattern};

use super::Rule;
use crate::window::Roles;
use crate::window_keys::WindowKind;

impl Rule {
    /// The kind of its time window, if it has one.
    ///
    /// ```
    /// use reflexarc::{RuleSet, WindowKind};
    ///
    /// let text = "when = 'id exists'\ncount = { at_least = 6, within = '1h' }\nnotify = ['x']";
    /// let rules = RuleSet::compile([("a.toml", text)])?;
    /// assert_eq!(rules.get("a").ok_or("no such rule")?.window(), Some(WindowKind::Count));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn window(&self) -> Option<WindowKind> {
        self.window.as_ref().map(|window| window.kind())
    }

    /// The location of its time window in its file: the value of the key that
    /// [`Rule::window`] names.
    pub fn window_span(&self) -> Option<Span> {
        self.window.as_ref().map(|window| window.span.clone())
    }

    /// What its time window waits for, in words; `None` without a window.
    ///
    /// ```
    /// use reflexarc::RuleSet;
    ///
    /// let text = r#"
    ///     when = 'content.status == "detached"'
    ///     by = "content.eniId"
    ///     not_followed_by = { when = 'content.status == "attached"', within = "30m" }
    ///     notify = ["team"]
    /// "#;
    /// let rules = RuleSet::compile([("a.toml", text)])?;
    /// let description = rules.get("a").ok_or("no such rule")?.window_description();
    /// assert_eq!(
    ///     description.as_deref(),
    ///     Some(r#"waits 30m for `content.status == "attached"`, by content.eniId"#)
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn window_description(&self) -> Option<String> {
        self.window.as_ref().map(|window| window.describe())
    }

    /// All filters of the rule with their locations: `when`, then those of its time window.
    pub(crate) fn filters(&self) -> impl Iterator<Item = (&EmbeddedText, &Pattern)> {
        let when = (&self.when, &self.pattern);
        let window = self.window.iter().flat_map(|window| window.filters());
        std::iter::once(when).chain(window.map(|filter| (&filter.source, &filter.pattern)))
    }

    /// The filter of all events that it needs: its own, or an event that one of the filters of its
    /// time window matches. A service that selects events for the rule selects these.
    ///
    /// ```
    /// use reflexarc::RuleSet;
    ///
    /// let text = r#"
    ///     when = 'id == 1'
    ///     by = []
    ///     followed_by = { when = 'id == 2', within = "2m" }
    ///     notify = ["team"]
    /// "#;
    /// let rules = RuleSet::compile([("a.toml", text)])?;
    /// let pattern = rules.get("a").ok_or("no such rule")?.needed_events();
    /// assert_eq!(pattern.to_expression(), "id == 1 or id == 2");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn needed_events(&self) -> Pattern {
        let mut nodes: Vec<Node> = Vec::new();
        for (_, pattern) in self.filters() {
            if !nodes.contains(pattern.node()) {
                nodes.push(pattern.node().clone());
            }
        }
        match nodes.len() {
            1 => self.pattern.clone(),
            _ => Pattern::from_node(Node::Any(nodes)),
        }
    }

    /// The filters of its time window after `when`: of the steps, then of `until`.
    pub(crate) fn step_nodes(&self, is_test: bool) -> Vec<&Node> {
        const NOTHING: &Node = &Node::Any(Vec::new());
        let window = self.window.iter();
        let filters = window.flat_map(|window| {
            let steps = window.steps.iter().map(|step| &step.filter);
            steps.chain(&window.until)
        });
        let is_enabled = self.enabled || is_test;
        let node = filters.map(|filter| {
            if is_enabled {
                filter.pattern.node()
            } else {
                NOTHING
            }
        });
        node.collect()
    }

    /// What each of [`Rule::step_nodes`] is to the window.
    pub(crate) fn step_roles(&self) -> Vec<Roles> {
        let Some(window) = &self.window else {
            return Vec::new();
        };
        let steps = (0..window.steps.len()).map(Roles::step);
        steps
            .chain(window.until.iter().map(|_| Roles::UNTIL))
            .collect()
    }
}
