//! Lookups: rows of tables in `by`, scripts, templates and tests.

use std::fs;

use proptest::prelude::*;
use reflexarc::{Evaluation, Json, MemoryState, NoState, RuleSet, Tables, Timestamp};

use crate::event;

const VSWITCHES: &str = "cidr,id,zone\n10.0.0.0/8,vsw-all,\n10.1.0.0/16,vsw-1,zone-h\n\
                         2001:db8::/32,vsw-6,zone-i\n";

const RULE: &str = r#"
when = 'ip exists'
lookup = { vswitch = { table = "vswitches", key = "ip" } }
then = 'log(`${lookup.vswitch?.id} ${lookup.vswitch?.zone}`)'
"#;

fn compile(rule: &str, tables: &[(&str, &str)]) -> RuleSet {
    let tables = Tables::parse(tables.iter().copied()).unwrap_or_else(|error| panic!("{error}"));
    let rules = RuleSet::compile_with_tables([("rule.toml", rule)], &tables);
    rules.unwrap_or_else(|error| panic!("{error}"))
}

fn evaluate(rules: &RuleSet, json: &str) -> Evaluation {
    rules.evaluate(&event(json), &NoState, Timestamp::UNIX_EPOCH)
}

/// The lines that the rule logs on an event.
fn log(rules: &RuleSet, json: &str) -> Vec<String> {
    let evaluation = evaluate(rules, json);
    assert!(evaluation.failures.is_empty(), "{:?}", evaluation.failures);
    let rules = evaluation.rules.into_iter();
    rules.flat_map(|effects| effects.log).collect()
}

#[test]
fn the_longest_network_is_found() {
    let rules = compile(RULE, &[("vswitches.csv", VSWITCHES)]);
    for (ip, expected) in [
        ("10.1.2.3", "vsw-1 zone-h"),
        ("::ffff:10.1.2.3", "vsw-1 zone-h"),
        ("10.2.0.1", "vsw-all "),
        ("2001:DB8::1", "vsw-6 zone-i"),
        ("192.168.0.1", " "),
        ("not an address", " "),
    ] {
        let json = format!(r#"{{"ip": "{ip}"}}"#);
        assert_eq!(log(&rules, &json), [expected], "{ip}");
    }
    for value in ["7", "true", "null", "[\"10.1.2.3\"]", "{}"] {
        let json = format!(r#"{{"ip": {value}, "a": 1}}"#);
        let logged = log(&rules, &json);
        assert!(logged.iter().all(|line| line == " "), "{value}: {logged:?}");
    }
}

#[test]
fn values_are_compared_as_in_filters() {
    let rule = r#"
when = 'key exists'
lookup = { row = { table = "rows", key = "key" } }
then = 'log(lookup.row?.name)'
"#;
    let csv = "key,name\neni-1,text\n7,seven\n10.0.0.1,address\ntrue,truth\n007,agent\n\
               \"a,\"\"b\"\"\",quoted\n";
    let ndjson = r#"
{"key": "eni-1", "name": "text"}
{"key": 7, "name": "seven"}
{"name": "address", "key": "10.0.0.1"}

{"key": true, "name": "truth"}
{"key": "007", "name": "agent"}
{"key": "a,\"b\"", "name": "quoted"}
"#;
    let crlf = csv.replace('\n', "\r\n");
    let with_mark = format!("\u{feff}{csv}");
    for (file, text) in [
        ("rows.csv", csv),
        ("rows.csv", &crlf),
        ("rows.csv", &with_mark),
        ("rows.ndjson", ndjson),
    ] {
        let rules = compile(rule, &[(file, text)]);
        for (key, name) in [
            (r#""eni-1""#, "text"),
            ("7", "seven"),
            ("7.0", "seven"),
            ("70e-1", "seven"),
            (r#""::ffff:a00:1""#, "address"),
            ("true", "truth"),
            (r#""007""#, "agent"),
            (r#""a,\"b\"""#, "quoted"),
            (r#""Eni-1""#, "null"),
            ("8", "null"),
            ("false", "null"),
        ] {
            let logged = log(&rules, &format!(r#"{{"key": {key}}}"#));
            assert_eq!(logged, [name], "{file}: {key}");
        }
        // A cell of CSV is a text and a number, a value of NDJSON is one of them.
        let expected = if file == "rows.csv" { "seven" } else { "null" };
        assert_eq!(log(&rules, r#"{"key": "7"}"#), [expected], "{file}");
        assert_eq!(log(&rules, r#"{"key": "7.0"}"#), ["null"], "{file}");
    }
}

#[test]
fn the_key_column_can_be_chosen() {
    let rule = |column: &str| {
        format!(
            "when = 'v exists'\nlookup = {{ row = {{ table = 'rows', key = 'v'{column} }} }}\n\
             then = 'log(lookup.row?.name)'"
        )
    };
    let csv = "name,cidr\na,10.0.0.0/8\nb,11.0.0.0/8\n";
    let by_cidr = compile(&rule(", column = 'cidr'"), &[("rows.csv", csv)]);
    assert_eq!(log(&by_cidr, r#"{"v": "11.1.1.1"}"#), ["b"]);
    let by_first = compile(&rule(", column = 'name'"), &[("rows.csv", csv)]);
    assert_eq!(log(&by_first, r#"{"v": "b"}"#), ["b"]);
    // The members of an object have no order: `cidr`, else `key`, else the first one.
    for row in [
        r#"{"name": "a", "cidr": "10.0.0.0/8"}"#,
        r#"{"name": "a", "key": "10.1.1.1"}"#,
        r#"{"ip": "10.1.1.1", "name": "a"}"#,
    ] {
        let rules = compile(&rule(""), &[("rows.ndjson", row)]);
        assert_eq!(log(&rules, r#"{"v": "10.1.1.1"}"#), ["a"], "{row}");
    }
}

#[test]
fn templates_read_rows() {
    let rules = compile(
        r#"
when = 'ip exists'
lookup = { vswitch = { table = "vswitches", key = "ip" } }
notify = ["team"]
message = { title = "{{ lookup.vswitch.id }}", text = "{{ lookup.vswitch.zone | default('?') }}" }
"#,
        &[("vswitches.csv", VSWITCHES)],
    );
    let message = |json: &str| {
        let evaluation = evaluate(&rules, json);
        let (_, _, action) = evaluation.actions().next().unwrap();
        action.to_flat_json()
    };
    let found = message(r#"{"ip": "10.1.1.1"}"#);
    assert_eq!(found.get("title"), Some(&Json::from("vsw-1")));
    assert_eq!(found.get("text"), Some(&Json::from("zone-h")));
    let missing = message(r#"{"ip": "1.1.1.1"}"#);
    assert_eq!(missing.get("title"), Some(&Json::from("")));
    assert_eq!(missing.get("text"), Some(&Json::from("?")));
}

#[test]
fn values_of_ndjson_keep_their_types() {
    let rules = compile(
        r#"
when = 'v exists'
lookup = { row = { table = "rows", key = "v" } }
then = 'log(lookup.row.limit + 1); log(lookup.row.owner.team); log(lookup.row?.note)'
"#,
        &[(
            "rows.ndjson",
            r#"{"key": "a", "limit": 6, "owner": {"team": "x"}, "note": null}"#,
        )],
    );
    assert_eq!(log(&rules, r#"{"v": "a"}"#), ["7", "x", "null"]);
}

#[test]
fn a_key_may_be_a_column_of_a_row() {
    let rule = r#"
when = 'ip exists'
lookup = { vswitch = { table = "vswitches", key = "ip" } }
by = ["lookup.vswitch.id", "region"]
count = { at_least = 2, within = "10m" }
then = 'log(`${key} ${lookup.vswitch.zone}`)'
"#;
    let rules = compile(rule, &[("vswitches.csv", VSWITCHES)]);
    let mut state = MemoryState::new();
    let now = Timestamp::UNIX_EPOCH;
    let mut logged = Vec::new();
    let mut notes = Vec::new();
    for ip in ["10.1.0.1", "10.2.0.1", "192.168.0.1", "10.1.0.2"] {
        let event = event(&format!(r#"{{"ip": "{ip}", "region": "r"}}"#));
        let evaluation = rules.evaluate_in_time(&event, &mut state, now, &mut |_| ());
        {
            for effects in evaluation.rules {
                logged.extend(effects.log);
                notes.extend(effects.notes);
            }
        }
    }
    assert_eq!(logged, [r#"["vsw-1", "r"] zone-h"#]);
    let missing = "count: not followed: lookup.vswitch: the table `vswitches` has no row for \
                   \"192.168.0.1\"";
    assert!(notes.iter().any(|note| note == missing), "{notes:?}");
    let keys: Vec<&str> = RuleSet::pending("rule", &state, now).collect();
    assert_eq!(keys, [r#"["vsw-all","r"]"#]);
}

#[test]
fn gates_and_distinct_values_may_be_columns() {
    let rule = r#"
when = 'ip exists'
lookup = { vswitch = { table = "vswitches", key = "ip" } }
throttle = { key = "lookup.vswitch.id", every = "10m" }
then = 'notify("team", lookup.vswitch?.id ?? "none")'
[[test]]
name = "one message for each vSwitch; without a row, one for each event"
events = ['{"ip": "10.1.1.1"}', '{"ip": "10.1.1.2"}', '{"ip": "10.2.1.1"}', '{"ip": "1.1.1.1"}', '{"ip": "1.1.1.1"}']
actions = [{ text = "vsw-1" }, { text = "vsw-all" }, { text = "none" }, { text = "none" }]
notes = ["not gated", "not gated"]
"#;
    let distinct = r#"
when = 'ip exists'
lookup = { vswitch = { table = "vswitches", key = "ip" } }
by = []
count = { at_least = 2, within = "10m", distinct = "lookup.vswitch.id" }
then = 'notify("team", `${count}`)'
[[test]]
name = "two vSwitches"
[[test.step]]
events = ['{"ip": "10.1.1.1"}', '{"ip": "10.1.1.2"}', '{"ip": "1.1.1.1"}']
actions = []
[[test.step]]
event = '{"ip": "10.2.1.1"}'
actions = [{ text = "2" }]
"#;
    for rule in [rule, distinct] {
        let rules = compile(rule, &[("vswitches.csv", VSWITCHES)]);
        let report = &rules.test("")[0];
        assert!(report.tests[0].passed(), "{:?}", report.tests[0].mismatches);
    }
}

#[test]
fn a_match_looks_up_the_row_of_its_event() {
    let rule = r#"
when = 'op == "detach"'
by = "eni"
lookup = { vswitch = { table = "vswitches", key = "ip" } }
then = 'notify("team", `stuck in ${lookup.vswitch?.id}`)'
resolved = 'notify("team", `${lookup.vswitch?.id} again`)'
[not_followed_by]
when = 'op == "done"'
within = "10m"
[[test]]
name = "the opening event has the address"
[[test.step]]
event = '{"op": "detach", "eni": "eni-1", "ip": "10.1.1.1"}'
[[test.step]]
at = "11m"
actions = [{ text = "stuck in vsw-1" }]
[[test.step]]
at = "12m"
event = '{"op": "done", "eni": "eni-1", "ip": "10.2.1.1"}'
actions = [{ text = "vsw-1 again" }]
"#;
    let rules = compile(rule, &[("vswitches.csv", VSWITCHES)]);
    let report = &rules.test("")[0];
    assert!(report.tests[0].passed(), "{:?}", report.tests[0].mismatches);
    assert!(rules.warnings().is_empty(), "{:?}", rules.warnings());
}

#[test]
fn tests_may_have_rows_of_their_own() {
    let rule = format!(
        "{RULE}{}",
        r#"
[[test]]
name = "with the file"
event = '{"ip": "10.1.1.1"}'
log = ["vsw-1 zone-h"]
[[test]]
name = "with a row of its own"
event = '{"ip": "10.1.1.1"}'
tables = { vswitches = [ { zone = "z", cidr = "10.0.0.0/8", id = "vsw-9" } ] }
log = ["vsw-9 z"]
[[test]]
name = "without rows, and without a column"
tables = { vswitches = [] }
event = '{"ip": "10.1.1.1"}'
log = [" "]
[[test]]
name = "with tables in several lines"
[test.tables]
vswitches = [
    { cidr = "10.1.1.0/24", id = "a" },
    { cidr = "10.1.1.1", id = "b" },
]
[[test.step]]
events = ['{"ip": "10.1.1.1"}', '{"ip": "10.1.1.2"}']
log = ["b ", "a "]
"#
    );
    let rules = compile(&rule, &[("vswitches.csv", VSWITCHES)]);
    let report = &rules.test("")[0];
    assert_eq!(report.tests.len(), 4);
    for test in &report.tests {
        assert!(test.passed(), "{}: {:?}", test.name, test.mismatches);
    }
    assert!(report.coverage.lines.values().all(|run| *run));
}

#[test]
fn tables_are_read_beside_the_rules() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir_all(path("network/tables")).unwrap();
    fs::create_dir(path("tables")).unwrap();
    fs::write(path("network/storm.toml"), RULE).unwrap();
    fs::write(path("network/tables/vswitches.csv"), VSWITCHES).unwrap();
    fs::write(path("tables/.hidden.csv"), "x").unwrap();
    fs::write(path("tables/README.md"), "x").unwrap();
    fs::write(path("tables/rows.toml"), "when = 'a exists'\nnotify = 't'").unwrap();
    fs::write(path("tables/others.ndjson"), r#"{"key": 1}"#).unwrap();
    let rules = RuleSet::load(folder.path()).unwrap();
    assert_eq!(rules.len(), 1);
    assert!(rules.tables().names().eq(["others", "vswitches"]));
    let warnings = rules.warnings().iter().flat_map(|file| &file.diagnostics);
    let messages: Vec<&str> = warnings.map(|found| found.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "a rule file in a folder of lookup tables is not read",
            "no rule looks up rows of the table `others`",
        ]
    );
    let (files, _) = RuleSet::find_files(&[folder.path()]);
    assert_eq!(files.len(), 3, "{files:?}");
    // A single file has the tables beside it, and none is missed by other rules.
    let single = RuleSet::load(path("network/storm.toml")).unwrap();
    assert!(single.tables().names().eq(["vswitches"]));
    assert_eq!(single.hash().len(), 64);
    let both = RuleSet::load_all(&[path("network/storm.toml"), folder.path().to_owned()]);
    assert_eq!(both.unwrap().tables().len(), 2);
    assert_eq!(log(&rules, r#"{"ip": "10.1.2.3"}"#), ["vsw-1 zone-h"]);
}

#[test]
fn tables_are_looked_for_around_the_given_paths() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let write = |name: &str, text: &str| {
        fs::create_dir_all(path(name).parent().unwrap()).unwrap();
        fs::write(path(name), text).unwrap();
    };
    write("rules/network/deeper/storm.toml", RULE);
    write("tables/vswitches.csv", VSWITCHES);
    write("tables/broken.csv", "a,b\n1\n");
    let zone = |given: &str| {
        let rules = RuleSet::load(path(given)).unwrap_or_else(|error| panic!("{given}: {error}"));
        assert!(rules.tables().names().eq(["vswitches"]), "{given}");
        assert!(
            rules.warnings().is_empty(),
            "{given}: {:?}",
            rules.warnings()
        );
        log(&rules, r#"{"ip": "10.1.1.1"}"#)[0].clone()
    };
    let all = ["rules", "rules/network", "rules/network/deeper/storm.toml"];
    for given in all {
        assert_eq!(zone(given), "vsw-1 zone-h", "{given}");
    }
    // The nearest counts.
    write(
        "rules/tables/vswitches.csv",
        "cidr,id,zone\n::/0,x,y\n0.0.0.0/0,near,by\n",
    );
    for given in all {
        assert_eq!(zone(given), "near by", "{given}");
    }
    let both = [
        path("rules/network"),
        path("rules/network/deeper/storm.toml"),
    ];
    assert_eq!(RuleSet::load_all(&both[1..]).unwrap().tables().len(), 1);
    let (files, _) = RuleSet::find_files(&[path("rules/network")]);
    assert_eq!(files.len(), 4, "{files:?}");
}

#[test]
fn the_hash_changes_with_rules_and_tables_only() {
    let hash = |rule: &str, name: &str, table: &str| {
        let tables = Tables::parse([(name, table)]).unwrap();
        let rules = RuleSet::compile_with_tables([("a.toml", rule)], &tables);
        rules.unwrap().hash()
    };
    let first = hash(RULE, "vswitches.csv", VSWITCHES);
    assert_eq!(first, hash(RULE, "x/tables/vswitches.csv", VSWITCHES));
    let changed = VSWITCHES.replace("vsw-1", "vsw-2");
    assert_ne!(first, hash(RULE, "vswitches.csv", &changed));
    let rule = format!("{RULE}# more\n");
    assert_ne!(first, hash(&rule, "vswitches.csv", VSWITCHES));
}

#[test]
fn a_rule_has_a_limited_number_of_lookups() {
    let lookup = r#"{ table = "vswitches", key = "ip" }"#;
    let lookups: Vec<String> = (0..17).map(|n| format!("l{n} = {lookup}")).collect();
    let rule = |count: usize| {
        let lookups = lookups[..count].join("\n");
        format!("when = 'ip exists'\nthen = 'log(lookup)'\n[lookup]\n{lookups}")
    };
    compile(&rule(16), &[("vswitches.csv", VSWITCHES)]);
    let tables = Tables::parse([("vswitches.csv", VSWITCHES)]).unwrap();
    let error = RuleSet::compile_with_tables([("a.toml", rule(17))], &tables).unwrap_err();
    let messages: Vec<&str> = error.diagnostics().map(|f| f.message.as_str()).collect();
    assert!(
        messages.contains(&"17 lookups, more than the 16 allowed"),
        "{messages:?}"
    );
}

/// A value of a key as JSON; several spellings of the same values.
fn key() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "1",
        "1.0",
        "10e-1",
        "2",
        "-0",
        "0.0",
        "true",
        "false",
        "\"1\"",
        "\"1.0\"",
        "\"a\"",
        "\"A\"",
        "\"10.0.0.1\"",
        "\"010.0.0.1\"",
        "\"::ffff:10.0.0.1\"",
        "\"2001:db8::1\"",
        "\"2001:DB8:0::1\"",
        "\"true\"",
        "\"\\u0061\"",
        "\"\\\"\"",
        "\"\\\"a\"",
    ])
    .prop_map(str::to_owned)
}

proptest! {
    #[test]
    fn a_row_is_that_of_a_linear_search(
        keys in prop::collection::vec(key(), 0..12),
        wanted in key(),
    ) {
        // The naive twin: the first row whose key a filter finds equal.
        let is_equal = |one: &str, other: &str| {
            let pattern = format!("{{\"v\": [{one}]}}");
            let pattern: reflexarc::Pattern = pattern.parse().unwrap();
            let event = event(&format!("{{\"v\": {other}}}"));
            reflexarc::explain_native(pattern.node(), &event).matched()
        };
        let mut rows: Vec<&String> = Vec::new();
        for key in &keys {
            if !rows.iter().any(|row| is_equal(row, key)) {
                rows.push(key);
            }
        }
        let lines = rows.iter().enumerate();
        let lines = lines.map(|(n, key)| format!("{{\"key\": {key}, \"n\": {n}}}\n"));
        let text = lines.collect::<Vec<_>>().concat();
        let rules = compile(
            "when = 'v exists'\nlookup = { row = { table = 'rows', key = 'v' } }\n\
             then = 'log(`${lookup.row?.n}`)'",
            &[("rows.ndjson", &text)],
        );
        let expected = rows.iter().position(|row| is_equal(row, &wanted));
        let expected = expected.map_or_else(String::new, |row| row.to_string());
        prop_assert_eq!(log(&rules, &format!("{{\"v\": {wanted}}}")), [expected], "{}", text);
    }
}
