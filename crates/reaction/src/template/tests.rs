//! Rendering and checking templates.

use proptest::prelude::*;
use reflexarc_event::Json;

use super::*;

fn render(source: &str) -> Result<String, ReactionError> {
    let event = Event::from_json(
        r#"{"n": 12345678901234567890, "f": 0.5, "i": 3, "ips": ["a", "b"], "none": null,
            "t": true, "long": "0123456789"}"#,
    )
    .unwrap();
    let template = Template::compile(source, &ReactionLimits::DEFAULT).unwrap();
    template.render(&event, &RuleInfo::named("r"), Timestamp::UNIX_EPOCH, 0)
}

#[test]
fn values_are_rendered_as_written() {
    assert_eq!(
        render("{{ event.n }} {{ event.f }} {{ event.i + 1 }}").unwrap(),
        "12345678901234567890 0.5 4"
    );
    assert_eq!(
        render("{{ event.ips | join(', ') }} {{ event.t }}").unwrap(),
        "a, b true"
    );
}

#[test]
fn missing_fields_are_empty() {
    assert_eq!(
        render("[{{ event.a.b.c }}{{ event.none }}{{ event.x | default('-') }}]").unwrap(),
        "[-]"
    );
    assert_eq!(
        render("{% for ip in event.ips %}<{{ ip | upper }}>{% endfor %}").unwrap(),
        "<A><B>"
    );
}

#[test]
fn errors_are_found_when_compiling() {
    for (source, span, message) in [
        ("a {% set x = 1 %}", 5..8, "unknown tag `set` in a template"),
        (
            "{%- include 'x' %}",
            4..11,
            "unknown tag `include` in a template",
        ),
        (
            "a {{ event. }}",
            12..14,
            "unexpected end of variable block, expected identifier or integer",
        ),
    ] {
        let error = Template::compile(source, &ReactionLimits::DEFAULT).unwrap_err();
        let diagnostic = &error.diagnostics()[0];
        assert_eq!(
            (diagnostic.span.clone(), diagnostic.message.as_str()),
            (span, message),
            "{source}"
        );
    }
}

#[test]
fn long_texts_are_cut_and_steps_are_limited() {
    let nested = "{% for a in event.long %}".repeat(4);
    let long = format!("{nested}{{{{ event.long }}}}{}", "{% endfor %}".repeat(4));
    assert_eq!(
        render(&long).unwrap_err().to_string(),
        "line 1, column 104: the template takes more than 20,000 steps (limit `operations`)"
    );
    // Of 40 bytes each: 819 of them are 32,760 bytes, and 5 more have room before the ellipsis.
    let wide = "{{ event.long ~ event.long ~ event.long ~ event.long }}".repeat(1000);
    let cut = render(&wide).unwrap();
    assert_eq!(cut.len(), 32 << 10);
    assert!(
        cut.ends_with("01234…") && cut.starts_with("0123456789012"),
        "{cut}"
    );
    // A character is kept whole or not at all.
    let cut = render(&format!("a{}", "网".repeat(11_000))).unwrap();
    assert!(cut.len() <= 32 << 10 && cut.ends_with("网…"));
}

/// The diagnostics of a template, whether it compiles or not.
fn found(source: &str) -> Vec<Diagnostic> {
    match Template::compile(source, &ReactionLimits::DEFAULT) {
        Ok(template) => template.warnings().to_vec(),
        Err(error) => error.into_diagnostics(),
    }
}

/// The template with every fix applied.
fn fixed(source: &str) -> String {
    let mut fixed = source.to_owned();
    for fix in found(source)
        .into_iter()
        .rev()
        .filter_map(|found| found.fix)
    {
        fixed.replace_range(fix.span, &fix.replacement);
    }
    fixed
}

#[test]
fn unknown_names_are_errors_with_a_fix() {
    for (source, message, right) in [
        ("{{ evnt.x }}", "unknown variable `evnt`", "{{ event.x }}"),
        (
            "{{ event.x | upcase }}",
            "unknown filter `upcase`",
            "{{ event.x | upper }}",
        ),
        (
            "{{ event.x|defualt('a') }}",
            "unknown filter `defualt`",
            "{{ event.x|default('a') }}",
        ),
        (
            "{{ rule.nme }}",
            "unknown field `nme` of `rule`",
            "{{ rule.name }}",
        ),
        (
            "{% if event.x is defind %}a{% endif %}",
            "unknown test `defind`",
            "{% if event.x is defined %}a{% endif %}",
        ),
        (
            "{% if event.x is not defind %}a{% endif %}",
            "unknown test `defind`",
            "{% if event.x is not defined %}a{% endif %}",
        ),
        (
            "{% for ip in evnt.ips %}{{ ip }}{% endfor %}",
            "unknown variable `evnt`",
            "{% for ip in event.ips %}{{ ip }}{% endfor %}",
        ),
        (
            "{% for ip in event.ips %}{{ loop.indx }}{% endfor %}",
            "unknown field `indx` of `loop`",
            "{% for ip in event.ips %}{{ loop.index }}{% endfor %}",
        ),
        (
            "{% if supressed %}a{% endif %}",
            "unknown variable `supressed`",
            "{% if suppressed %}a{% endif %}",
        ),
        (
            "{{ a ~ event.x }}",
            "unknown variable `a`",
            "{{ a ~ event.x }}",
        ),
        (
            "{% for a in event.b %}{% endfor %}{{ a }}",
            "unknown variable `a`",
            "{% for a in event.b %}{% endfor %}{{ a }}",
        ),
        (
            "{{ event.long | indent(1000000000) }}",
            "unknown filter `indent`",
            "{{ event.long | indent(1000000000) }}",
        ),
        (
            "{{ range(3) }}",
            "unknown function `range`",
            "{{ range(3) }}",
        ),
        (
            "{{ event.x.upper() }}",
            "unknown method `upper`",
            "{{ event.x.upper() }}",
        ),
        (
            "{{ now.year }}",
            "unknown field `year` of `now`",
            "{{ now.year }}",
        ),
    ] {
        let all = found(source);
        assert_eq!(all.len(), 1, "{source}: {all:?}");
        assert_eq!(
            all[0].message,
            format!("{message} in a template"),
            "{source}"
        );
        assert_eq!(all[0].severity, Severity::Error);
        assert_eq!(fixed(source), right);
    }
}

#[test]
fn blocks_without_an_end_are_shown_where_they_begin() {
    for (source, begin, right) in [
        (
            "{% if suppressed %}x",
            "{% if suppressed %}",
            "{% if suppressed %}x{% endif %}",
        ),
        (
            "{% for ip in event.ips %}{% if ip %}{{ ip }}{% endif %}",
            "{% for ip in event.ips %}",
            "{% for ip in event.ips %}{% if ip %}{{ ip }}{% endif %}{% endfor %}",
        ),
        (
            "{%- if event.a == '%}' -%} a {% else %} b ",
            "{%- if event.a == '%}' -%}",
            "{%- if event.a == '%}' -%} a {% else %} b {% endif %}",
        ),
    ] {
        let found = found(source);
        assert_eq!(found.len(), 1, "{source}: {found:?}");
        assert_eq!(&source[found[0].span.clone()], begin, "{source}");
        assert_eq!(fixed(source), right);
        assert_eq!(super::tests::found(right), [], "{right}");
    }
}

#[test]
fn names_that_exist_are_not_reported() {
    for source in [
        "",
        "a { b } $ 100% {",
        "{{ event['a'].b.c[0].d }} {{ event.0 }} {{ now }} {{ suppressed }} {{ rule.level }}",
        "{% for k in event.a %}{% for v in k.b %}{{ k.c }}{{ v }}{{ loop.index }}{% endfor %}\
         {{ loop.first }}{% endfor %}",
        "{{ event.a | default(value='x') | upper }} {{ 'a' if event.b else 'c' }}",
        "{{ event.a is defined and not event.b or event.c in ['x', true, none] }}",
        "{# ${a} {{ nothing }} #}{% raw %}{{ nothing }} ${event.x}{% endraw %}",
        "{{ event.price ~ '$' }} {{ '${x}' }}",
    ] {
        assert_eq!(found(source), [], "{source}");
    }
}

#[test]
fn placeholders_of_other_languages_are_warnings_with_a_fix() {
    for (source, right) in [
        ("look at ${event.eniId}!", "look at {{ event.eniId }}!"),
        (
            "{event.a} #{rule.name} $event.b",
            "{{ event.a }} {{ rule.name }} {{ event.b }}",
        ),
        ("${ event.a } {{ event.b }}", "{{ event.a }} {{ event.b }}"),
        ("${x} ${event.a ?? 1}", "${x} ${event.a ?? 1}"),
    ] {
        let all = found(source);
        assert!(!all.is_empty(), "{source}");
        for found in all {
            assert_eq!(
                (found.code, found.severity),
                (Code::PLACEHOLDER, Severity::Warning)
            );
        }
        assert_eq!(fixed(source), right);
    }
}

#[test]
fn fields_can_be_tested() {
    let source = "{{ event.a is defined }} {{ event.none is undefined }} {{ event.i is defined }}";
    assert_eq!(render(source).unwrap(), "false true true");
}

/// Parts of templates that read the event in every way.
const PIECES: &[&str] = &[
    "{{ event.a }}",
    "{{ event.a.b }}",
    "{{ event.a.b.c | default('-') }}",
    "{{ event['a'] }}",
    "{{ event['a'].b }}",
    "{{ event.a['b'].c }}",
    "{{ event.a[0] }}",
    "{{ event.a[event.c] }}",
    "{{ event.b.a[0].c }}",
    "{{ event }}",
    "{{ event | length }}",
    "{{ event.a | length if event.a else event.c.a }}",
    "{% for x in event.a %}<{{ x }}{{ x.b }}{{ loop.index }}>{% endfor %}",
    "{% for x in event.b %}{% for y in event.a.c %}{{ x == y }}{% endfor %}{% endfor %}",
    "{% for event in event.a %}{{ event.b }}{% else %}{{ event.c }}{% endfor %}{{ event.b.c }}",
    "{% for x in event %}{{ x }}={{ event[x] }};{% endfor %}",
    "{% for x in event.b if x != event.c %}{{ x }}{% endfor %}",
    "{% if event.b is defined %}{{ event.b.a }}{% elif event.c %}c{% endif %}",
    "{% if event.a == event.b %}same{% endif %}",
    "{% if 'b' in event.a %}in{% endif %}",
    "{{ [event.a, event.c.b] | join(', ') }}",
    "{{ {'x': event.c}.x }}",
    "{{ event.a.b ~ event.b.c ~ event.c }}",
    "{{ event.a is undefined }}",
    "{{ rule.name }}{{ rule.labels.team }}",
    "{{ rule }}",
    "{{ now }}{{ suppressed }}",
    "{% raw %}{{ event.a }}{% endraw %}{# event.b #}",
];

fn json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        (0..3_i64).prop_map(Json::from),
        "[a-c\"é]{0,3}".prop_map(Json::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
            3 => prop::collection::vec(("[a-c]", inner), 0..4).prop_map(Json::from_iter),
        ]
    })
}

proptest! {
    #[test]
    fn templates_see_an_event_as_if_they_read_everything(
        pieces in prop::collection::vec(prop::sample::select(PIECES), 1..5),
        members in prop::collection::vec(("[a-c]", json()), 0..5),
    ) {
        let template = Template::compile(&pieces.concat(), &ReactionLimits::DEFAULT).unwrap();
        let event = Event::from_json(Json::from_iter(members).to_string()).unwrap();
        let rule = RuleInfo::named("r").with_labels([("team", "a")]);
        let render = |template: &Template| {
            let rendered = template.render(&event, &rule, Timestamp::UNIX_EPOCH, 1);
            rendered.map_err(|error| error.to_string())
        };
        let whole = Template {
            event_fields: FieldSet::all(),
            rule_fields: FieldSet::all(),
            ..template.clone()
        };
        prop_assert_eq!(render(&template), render(&whole), "{:?} {}", pieces, event.tree());
    }
}

#[test]
fn templates_read_the_fields_that_they_name() {
    for (source, expected) in [
        ("{{ now }}", "[]"),
        ("{{ event.a.b }} {{ event.c }}", "[a b] [c]"),
        ("{% for event in event.a %}{{ event.b }}{% endfor %}", "[a]"),
        ("{{ event.a['b'].c }}", "[a]"),
        ("{{ event.a.b }} {{ event }}", "all"),
    ] {
        let template = Template::compile(source, &ReactionLimits::DEFAULT).unwrap();
        let fields = template.event_fields;
        let mut named = FieldSet::default();
        for path in expected.split_inclusive(']') {
            let path = path.trim().trim_matches(['[', ']']);
            if !path.is_empty() && path != "all" {
                named.insert(path.split(' '));
            }
        }
        let named = if expected == "all" {
            FieldSet::all()
        } else {
            named
        };
        assert_eq!(fields, named, "{source}");
    }
}
