//! The names that the templates of a mail may use.

use reflexarc_reaction::TemplateNames;

/// The names that a template may use: the variables of [`Templates`](super::Templates), and what
/// minijinja has built in.
pub(in crate::target) const KNOWN: TemplateNames<'static> = TemplateNames {
    variables: &[
        ("title", Some(&[])),
        ("heading", Some(&[])),
        ("text", Some(&[])),
        ("level", Some(&[])),
        ("color", Some(&[])),
        ("details", Some(&[])),
        ("blocks", Some(&[])),
        ("link", Some(&[])),
        ("payload", Some(&[])),
        ("rule", Some(&[])),
        ("resource", Some(&[])),
        ("event", Some(&["id", "source"])),
        ("created", Some(&[])),
        ("replay", Some(&[])),
        ("delivery", Some(&[])),
    ],
    filters: &[
        "abs",
        "attr",
        "batch",
        "bool",
        "capitalize",
        "chain",
        "count",
        "d",
        "default",
        "dictsort",
        "e",
        "escape",
        "first",
        "float",
        "format",
        "groupby",
        "indent",
        "int",
        "items",
        "join",
        "last",
        "length",
        "lines",
        "list",
        "lower",
        "map",
        "max",
        "min",
        "pprint",
        "reject",
        "rejectattr",
        "replace",
        "reverse",
        "round",
        "safe",
        "select",
        "selectattr",
        "slice",
        "sort",
        "split",
        "string",
        "sum",
        "title",
        "trim",
        "unique",
        "upper",
        "zip",
    ],
    tests: &[
        "boolean",
        "defined",
        "divisibleby",
        "endingwith",
        "eq",
        "equalto",
        "escaped",
        "even",
        "false",
        "filter",
        "float",
        "ge",
        "greaterthan",
        "gt",
        "in",
        "int",
        "integer",
        "iterable",
        "le",
        "lessthan",
        "lower",
        "lt",
        "mapping",
        "ne",
        "none",
        "number",
        "odd",
        "safe",
        "sameas",
        "sequence",
        "startingwith",
        "string",
        "test",
        "true",
        "undefined",
        "upper",
    ],
    // `loop(…)` is a call of a recursive `for`.
    functions: &["debug", "dict", "loop", "namespace", "range"],
};

#[cfg(test)]
mod tests {
    use minijinja::Environment;

    use super::KNOWN;
    use crate::target::email::Templates;

    #[test]
    fn every_known_filter_and_test_is_built_in() {
        let environment = Environment::new();
        let filters = KNOWN.filters.iter().map(|name| (name, "filter"));
        let tests = KNOWN.tests.iter().map(|name| (name, "test"));
        for (name, kind) in filters.chain(tests) {
            let rendered = environment.render_str(&format!("{{{{ '{name}' is {kind} }}}}"), ());
            assert_eq!(rendered.unwrap(), "True", "{kind} {name}");
        }
    }

    #[test]
    fn variables_that_templates_define_are_known() {
        for source in [
            "{% set a = title %}{{ a | e }}",
            "{% set a %}x{% endset %}{{ a }}",
            "{% set (a, b) = ['x', 'y'] %}{{ a }}{{ b }}",
            "{% with a = title, b = text %}{{ a ~ b }}{% endwith %}",
            "{% set n = namespace(count=0) %}{% for d in details %}{% set n.count = n.count + 1 %}\
             {% endfor %}{{ n.count }}",
            "{% filter upper | trim %}{{ title }}{% endfilter %}",
            "{% autoescape false %}{{ title }}{% endautoescape %}",
            "{% for label, value in details if value %}{{ loop.index }} {{ label }}: {{ value }}\
             {% else %}none{% endfor %}",
            "{% for i in range(3) recursive %}{{ loop(i) if false else i }}{% endfor %}",
            "{{ {'a': title}['a'] }} {{ title[:3] }} {{ text is undefined }}",
            "{{ 'warn' if level in ['warn', 'critical'] and not replay else 'ok' }}",
            "{# {{ titel }} #}{% raw %}{{ titel }}{% endraw %}{{ '{{ titel }}' }}",
        ] {
            let own = Templates::new(None, Some(source.into()), None);
            assert_eq!(own.err().map(|error| error.to_string()), None, "{source}");
        }
    }
}
