//! Rules read only the fields of an event that they name: an evaluation is as if they had read all.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use reflexarc::{MemoryState, NativeEvent, RuleSet, Tables, Timestamp};

/// Scripts and templates that read events in other ways than the ready-made rules, and what they
/// emit for each other.
const OTHERS: &[(&str, &str)] = &[
    (
        "template.toml",
        r#"when = 'name exists'
notify = "team"
message = { title = "{{ event.content.operation | default('-') }} in {{ event.regionId }}", text = '''
{% for ip in event.content.secondaryPrivateIps %}{{ ip }} {% endfor %}{{ event.content.tags.a }}
{{ event.content.eniId | length }} {{ event.level == "WARN" }} {{ event.content.ipv6s[0] }}''' }
"#,
    ),
    (
        "title.toml",
        r#"when = 'content exists'
notify = "team"
message = { title = "{{ event.content }}" }
"#,
    ),
    (
        "emit.toml",
        r#"when = 'content.eniId exists'
then = '''
let c = event.content;
emit(#{name: "derived", of: c.operation, ips: c.secondaryPrivateIps, level: event.level});
'''
"#,
    ),
    (
        "derived.toml",
        r#"when = 'name == "derived"'
throttle = { key = "of", every = "1m" }
then = '''
if event.ips != () { log(event.ips.len()); }
send("t", #{of: event.of, tag: event.of.tags?.a, level: rule.level});
'''
"#,
    ),
    (
        "derived-message.toml",
        r#"when = 'name == "derived"'
notify = "team"
"#,
    ),
    (
        "keys.toml",
        r#"when = 'content exists'
then = '''
for key in event.content.keys() { log(`${key} ${event.content[key]}`); }
add(`${event.content.eniId}`, 1);
'''
"#,
    ),
];

/// The same rule, reading the whole event before anything else, at the same places of its file.
fn reading_everything(text: &str) -> String {
    const READ: &str = "{% if event is defined %}{% endif %}";
    text.replace("then = '''\n", "then = '''if event == () {}\n")
        .replace("}}\"", &format!("}}}}{READ}\""))
        .replace("}}''' }", &format!("}}}}{READ}''' }}"))
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../rules")
}

fn files() -> Vec<(String, String)> {
    let files = fs::read_dir(folder())
        .unwrap()
        .map(|file| file.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|found| found == "toml"));
    let ready_made = files.map(|path| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        (name, fs::read_to_string(path).unwrap())
    });
    let others = OTHERS
        .iter()
        .map(|(name, text)| (name.to_string(), text.to_string()));
    ready_made.chain(others).collect()
}

/// The evaluations of the events in turn, each with the state that the ones before it left.
fn evaluations(rules: &RuleSet, events: &[String]) -> Vec<String> {
    let mut state = MemoryState::new();
    let now = Timestamp::UNIX_EPOCH;
    let evaluate = |event: &String| {
        let event = NativeEvent::from_json(event.as_str()).unwrap();
        let evaluation = rules.evaluate(&event, &state, now);
        for (rule, changes) in evaluation.changes() {
            state.apply(rule, changes);
        }
        format!("{evaluation:#?}")
    };
    events.iter().map(evaluate).collect()
}

fn check(events: &[String]) -> usize {
    let files = files();
    let partial = files
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()));
    let whole: Vec<_> = files
        .iter()
        .map(|(name, text)| (name.as_str(), reading_everything(text)))
        .collect();
    let changed = whole
        .iter()
        .zip(&files)
        .filter(|((_, new), (_, old))| new != old);
    assert!(changed.count() > 14, "rules that read everything");
    let whole = whole.iter().map(|(name, text)| (*name, text.as_str()));
    let tables = Tables::load(&[folder()]);
    let partial = RuleSet::compile_with_tables(partial, &tables).unwrap();
    let whole = RuleSet::compile_with_tables(whole, &tables).unwrap();
    let (partial, whole) = (evaluations(&partial, events), evaluations(&whole, events));
    for ((partial, whole), event) in partial.iter().zip(&whole).zip(events) {
        assert_eq!(partial, whole, "{event}");
    }
    partial.concat().matches("RuleEffects").count()
}

#[test]
fn rules_see_recorded_events_as_if_they_read_everything() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let events = fs::read_to_string(root.join("examples/eni-events.ndjson")).unwrap();
    let events: Vec<_> = events.lines().map(str::to_owned).collect();
    let reactions = check(&events);
    assert!(reactions > 100, "{reactions} reactions");
}

/// A value that a field should have, or one of another kind.
fn value(usual: &'static str) -> impl Strategy<Value = String> {
    prop_oneof![
        6 => Just(format!("\"{usual}\"")),
        1 => Just(r#""an \"escape\" \u00e9""#.to_owned()),
        1 => Just("null".to_owned()),
        1 => Just("12.50".to_owned()),
        1 => Just(r#"["10.0.0.1", "fe80::1", 7]"#.to_owned()),
        1 => Just(r#"{"a": {"b": 1}, "tags": {"a": "x"}, "len": 2}"#.to_owned()),
    ]
}

fn members(fields: &'static [(&'static str, &'static str)]) -> impl Strategy<Value = String> {
    // Some fields are absent, some twice.
    let field = prop::sample::select(fields);
    let member = field.prop_flat_map(|(key, usual)| {
        value(usual).prop_map(move |value| format!("\"{key}\": {value}"))
    });
    prop::collection::vec(member, 3..16).prop_map(|members| members.join(", "))
}

fn event() -> impl Strategy<Value = String> {
    const OUTER: &[(&str, &str)] = &[
        ("id", "1"),
        ("level", "WARN"),
        ("regionId", "cn-hangzhou"),
        ("resourceId", "acs:ecs:cn-hangzhou:1:eni/eni-1"),
        ("eventTime", "20190409T121826.922+0800"),
        ("userId", "1"),
    ];
    const CONTENT: &[(&str, &str)] = &[
        ("eniId", "eni-1"),
        ("operation", "AttachNetworkInterface"),
        ("operation", "DeleteNetworkInterface"),
        ("operation", "CreateNetworkInterface"),
        ("eniStatus", "Deleting"),
        ("eniStatus", "Available"),
        ("result", "failed"),
        ("result", "success"),
        ("primaryPrivateIp", "10.0.0.1"),
        ("secondaryPrivateIps", "10.0.0.2"),
        ("ipv6s", "::1"),
        ("requestId", "473469C7-AA6F-4DC5-B3DB-A3DC0DE3C83E"),
        ("instanceId", "i-1"),
        ("tags", "a"),
    ];
    let name = prop::sample::select(
        &[
            "NetworkInterface:NetworkInterfaceOperateCompleted",
            "NetworkInterface:PrivateIPAssigned",
            "Instance:PreemptibleInstanceInterruption",
            "Disk:Stalled:Executing",
        ][..],
    );
    (name, members(OUTER), members(CONTENT)).prop_map(|(name, outer, content)| {
        format!("{{\"name\": \"{name}\", {outer}, \"content\": {{{content}}}}}")
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn rules_see_any_event_as_if_they_read_everything(
        events in prop::collection::vec(event(), 1..8),
    ) {
        check(&events);
    }
}
