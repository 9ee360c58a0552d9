//! What is reported about lookups and tables.

use std::fs;

use reflexarc::{Code, InvalidFiles, RuleSet, Severity, Tables};

const TABLE: &str = "cidr,id,zone\n10.0.0.0/8,vsw-1,zone-h\n";

/// A rule with this lookup and these other lines.
fn rule(lookup: &str, lines: &str) -> String {
    format!("when = 'ip exists'\nlookup = {{ v = {lookup} }}\n{lines}\n")
}

const LOOKUP: &str = r#"{ table = "vswitches", key = "ip" }"#;
const THEN: &str = "then = 'log(`${lookup.v?.id}`)'";

/// A finding: code, severity, marked text, message and help.
type Found = (Code, Severity, String, String, String);

fn found(rule: &str, table: (&str, &str)) -> Vec<Found> {
    let shown = |files: &[reflexarc::FileDiagnostics]| {
        let found = files.iter().flat_map(|file| {
            let found = file.diagnostics.iter();
            found.map(|found| {
                let marked = file.text.get(found.span.clone()).unwrap_or_default();
                let help = found.help.clone().unwrap_or_default();
                (
                    found.code,
                    found.severity,
                    marked.to_owned(),
                    found.message.clone(),
                    help,
                )
            })
        });
        found.collect()
    };
    let tables = match Tables::parse([table]) {
        Ok(tables) => tables,
        Err(invalid) => return shown(invalid.files()),
    };
    match RuleSet::compile_with_tables([("rule.toml", rule)], &tables) {
        Ok(rules) => shown(rules.warnings()),
        Err(invalid) => shown(invalid.files()),
    }
}

/// Asserts that a rule has this one finding.
#[track_caller]
fn check(rule: &str, code: Code, marked: &str, message: &str, help: &str) {
    let found = found(rule, ("vswitches.csv", TABLE));
    assert_eq!(found.len(), 1, "{rule}\n{found:#?}");
    let (of, _, at, said, advice) = &found[0];
    assert_eq!((*of, at.as_str(), said.as_str()), (code, marked, message));
    assert_eq!(advice, help);
}

#[test]
fn unknown_tables_and_columns_get_a_suggestion() {
    check(
        &rule(r#"{ table = "vswitch", key = "ip" }"#, THEN),
        Code::UNKNOWN_TABLE,
        "vswitch",
        "unknown table `vswitch`",
        "did you mean `vswitches`?",
    );
    check(
        &rule(r#"{ table = "vswitches.csv", key = "ip" }"#, THEN),
        Code::UNKNOWN_TABLE,
        "vswitches.csv",
        "unknown table `vswitches.csv`",
        "did you mean `vswitches`?",
    );
    check(
        &rule(r#"{ table = "owners", key = "ip" }"#, THEN),
        Code::UNKNOWN_TABLE,
        "owners",
        "unknown table `owners`",
        "add the file tables/owners.csv or tables/owners.ndjson beside the rules",
    );
    check(
        &rule(
            r#"{ table = "vswitches", key = "ip", column = "idd" }"#,
            THEN,
        ),
        Code::UNKNOWN_COLUMN,
        "idd",
        "the table `vswitches` has no column `idd`",
        "did you mean `id`?",
    );
    for lines in [
        "then = 'log(lookup.v?.zoen)'",
        "then = 'log(1)'\nby = 'lookup.v.zoen'",
        "then = 'log(1)'\nthrottle = { every = '1m', key = 'lookup.v.zoen' }",
        "notify = 't'\nmessage = { text = '{{ lookup.v.zoen }}' }",
        "then = 'log(1)'\nby = 'a'\nfollowed_by = { when = 'b exists', by = 'lookup.v.zoen', within = '1m' }",
        "then = 'log(1)'\nby = 'a'\ncount = { at_least = 2, within = '1m', distinct = 'lookup.v.zoen' }",
        "then = 'log(1)'\nby = 'a'\nresolved = 'log(lookup.v?.zoen)'\n\
         not_followed_by = { when = 'b exists', within = '1m' }",
    ] {
        let message = "the table `vswitches` has no column `zoen`";
        let rule = rule(LOOKUP, lines);
        let found = found(&rule, ("vswitches.csv", TABLE));
        let errors: Vec<_> = found.iter().filter(|f| f.1 == Severity::Error).collect();
        assert_eq!(errors.len(), 1, "{rule}\n{found:#?}");
        let (code, _, marked, said, help) = errors[0];
        assert_eq!(
            (*code, marked.as_str()),
            (Code::UNKNOWN_COLUMN, "zoen"),
            "{rule}"
        );
        assert_eq!(
            (said.as_str(), help.as_str()),
            (message, "did you mean `zone`?")
        );
    }
    check(
        &rule(LOOKUP, "then = 'log(lookup.w?.id)'"),
        Code::UNKNOWN_COLUMN,
        "w",
        "unknown lookup `w`",
        "the rule has: v",
    );
    check(
        &rule(LOOKUP, "then = 'log(lookup.v)'\nby = 'lookup.v'"),
        Code::UNKNOWN_COLUMN,
        "lookup.v",
        "`lookup.v` is a row, which is no key",
        "name one of its columns, for example lookup.v.id",
    );
}

#[test]
fn filters_cannot_use_lookups() {
    let help = "filters see the event only; decide in the script: \
                if lookup.vswitch?.zone != \"cn-hangzhou-h\" { skip(\"another zone\") }";
    for (lines, marked) in [
        (format!("{THEN}\n"), "lookup.v.id"),
        (
            format!(
                "{THEN}\nby = []\nfollowed_by = {{ when = 'lookup.v.zone == \"x\"', within = '1m' }}"
            ),
            "lookup.v.zone",
        ),
    ] {
        let mut text = rule(LOOKUP, &lines);
        if marked == "lookup.v.id" {
            text = text.replace("ip exists", "ip exists and lookup.v.id == \"a\"");
        }
        let message = format!("a filter cannot use the lookup `{marked}`");
        check(&text, Code::LOOKUP_IN_FILTER, marked, &message, help);
    }
    let json = rule(LOOKUP, THEN).replace("ip exists", r#"{"lookup": {"v": {"id": ["a"]}}}"#);
    let found = found(&json, ("vswitches.csv", TABLE));
    assert_eq!(
        (found[0].0, found[0].2.as_str()),
        (Code::LOOKUP_IN_FILTER, "\"id\"")
    );
    // In a rule without lookups it is a field of the event.
    let plain = "when = 'lookup.v.id == 1'\nnotify = 't'\nby = 'lookup.v.id'\n\
                 [[test]]\nname = 't'\nevent = '{\"lookup\": {\"v\": {\"id\": 1}}}'\nmatches = true";
    let rules = RuleSet::compile([("plain.toml", plain)]).unwrap();
    assert!(rules.test("")[0].tests[0].passed());
}

#[test]
fn invalid_lookups_are_reported() {
    let missing = "for example lookup = { vswitch = { table = \"vswitches\", key = \
                   \"content.primaryPrivateIp\" } }";
    let cases = [
        (
            r#"{ key = "ip" }"#,
            Code::RULE_VALUE,
            "missing key `table` in `lookup.v`",
        ),
        (
            r#"{ table = "vswitches" }"#,
            Code::RULE_VALUE,
            "missing key `key` in `lookup.v`",
        ),
        (
            r#"{ table = "vswitches", key = "" }"#,
            Code::RULE_VALUE,
            "empty path",
        ),
        (
            r#"{ table = "vswitches", key = "lookup.v.id" }"#,
            Code::RULE_VALUE,
            "the key `lookup.v.id` of a lookup is a column of another one",
        ),
        (
            r#"{ table = "vswitches", key = "ip", colum = "id" }"#,
            Code::RULE_KEY,
            "unknown key `colum` in `lookup.v`",
        ),
        (
            r#"{ table = 5, key = "ip" }"#,
            Code::RULE_TYPE,
            "`table`: expected a string, found a number",
        ),
    ];
    for (lookup, _, message) in cases {
        let found = found(&rule(lookup, THEN), ("vswitches.csv", TABLE));
        let errors: Vec<&Found> = found.iter().filter(|f| f.1 == Severity::Error).collect();
        assert_eq!(errors.len(), 1, "{lookup}\n{found:#?}");
        assert!(errors[0].3.contains(message), "{lookup}: {}", errors[0].3);
        if message.starts_with("missing") {
            assert_eq!(errors[0].4, missing);
        }
    }
    let named = "when = 'ip exists'\nlookup = { v-1 = { table = 'vswitches', key = 'ip' } }\n\
                 then = 'log(lookup)'";
    let found = found(named, ("vswitches.csv", TABLE));
    assert_eq!(found[0].3, "invalid lookup name `v-1`");
}

#[test]
fn keys_of_the_rule_below_a_lookup_are_misplaced() {
    for text in [
        "when = 'ip exists'\n[lookup.v]\ntable = 'vswitches'\nkey = 'ip'\nthen = 'log(`${lookup.v?.id}`)'\n",
        "when = 'ip exists'\n[lookup]\nv = { table = 'vswitches', key = 'ip' }\nthen = 'log(`${lookup.v?.id}`)'\n",
    ] {
        let found = found(text, ("vswitches.csv", TABLE));
        let codes: Vec<Code> = found.iter().map(|found| found.0).collect();
        assert!(codes.contains(&Code::MISPLACED_KEY), "{text}\n{found:#?}");
        let errors = found.iter().filter(|found| found.1 == Severity::Error);
        assert_eq!(errors.count(), 1, "{text}\n{found:#?}");
    }
    // A lookup may have the name of a key of the rule.
    let state = "when = 'ip exists'\nlookup = { state = { table = 'vswitches', key = 'ip' } }\n\
                 then = 'log(`${lookup.state?.id}`)'\n";
    assert_eq!(found(state, ("vswitches.csv", TABLE)), []);
}

#[test]
fn what_is_not_used_is_a_warning() {
    let unused = rule(LOOKUP, "then = 'log(1)'");
    let message = "nothing in the rule uses the lookup `v`";
    let help = "remove it, or read a column of its row, such as lookup.v?.id";
    check(&unused, Code::UNUSED_LOOKUP, "v", message, help);
    for lines in [
        "then = 'log(lookup)'",
        "then = 'log(1)'\nby = 'lookup.v.id'",
        "then = 'log(1)'\nonce = { within = '1m', key = 'lookup.v.id' }",
        "notify = 't'\nmessage = { text = '{{ lookup.v.id }}' }",
        "then = 'let x = lookup; log(x.v?.id)'",
    ] {
        let found = found(&rule(LOOKUP, lines), ("vswitches.csv", TABLE));
        assert_eq!(found, [], "{lines}");
    }
    let found = found("when = 'ip exists'\nnotify = 't'", ("vswitches.csv", TABLE));
    assert_eq!(found[0].0, Code::UNUSED_TABLE);
    assert_eq!(found[0].3, "no rule looks up rows of the table `vswitches`");
}

#[test]
fn a_lookup_by_another_column_than_cidr_is_a_warning() {
    let table = ("vswitches.csv", "id,cidr\nvsw-1,10.0.0.0/8\n");
    let found_in = |lookup: &str| found(&rule(lookup, THEN), table);
    let found = found_in(LOOKUP);
    assert_eq!((found[0].0, found.len()), (Code::KEY_COLUMN, 1));
    assert_eq!(
        found_in(r#"{ table = "vswitches", key = "ip", column = "cidr" }"#),
        []
    );
    assert_eq!(
        found_in(r#"{ table = "vswitches", key = "ip", column = "id" }"#),
        []
    );
}

/// The findings in a table: line, code and message.
fn in_table(name: &str, text: &str) -> Vec<(usize, Code, String)> {
    let shown = |invalid: InvalidFiles| {
        let found = invalid.files().iter().flat_map(|file| {
            assert_eq!(file.name, name);
            let found = file.diagnostics.iter();
            found.map(|found| {
                assert_eq!(found.severity, Severity::Error);
                let line = text[..found.span.start].matches('\n').count() + 1;
                (line, found.code, found.message.clone())
            })
        });
        found.collect()
    };
    let tables = match Tables::parse([(name, text)]) {
        Ok(tables) => tables,
        Err(invalid) => return shown(invalid),
    };
    match RuleSet::compile_with_tables(
        [("rule.toml", rule(LOOKUP, "then = 'log(lookup)'"))],
        &tables,
    ) {
        Ok(_) => Vec::new(),
        Err(invalid) => shown(invalid),
    }
}

#[test]
fn invalid_csv_is_reported_with_its_line() {
    let (file, row) = (Code::TABLE_FILE, Code::DUPLICATE_ROW);
    for (text, expected) in [
        ("", vec![(1, file, "missing header of the table")]),
        ("\n\n", vec![(1, file, "missing header of the table")]),
        (
            "cidr;id\n",
            vec![(1, file, "expected commas between columns, found `;`")],
        ),
        (
            "cidr\tid\n",
            vec![(1, file, "expected commas between columns, found a tab")],
        ),
        ("cidr,,id\n", vec![(1, file, "column 2 has no name")]),
        ("cidr, id\n", vec![(1, file, "invalid column name \" id\"")]),
        ("cidr,id,cidr\n", vec![(1, file, "duplicate column `cidr`")]),
        (
            "cidr,id\n10.0.0.0/8\n11.0.0.0/8,a\n12.0.0.0/8,a,b\n",
            vec![
                (2, file, "the row has 1 cell, expected 2"),
                (4, file, "the row has 3 cells, expected 2"),
            ],
        ),
        (
            "id,name\n\n\r\na,\"b\n",
            vec![(4, file, "invalid CSV: missing closing quote of a cell")],
        ),
        (
            "id,name\na,\"b\"c\n",
            vec![(
                2,
                file,
                "invalid CSV: text after the closing quote of a cell",
            )],
        ),
        (
            "id,name\na,b\"c\"\n",
            vec![(2, file, "invalid CSV: quote inside a cell without quotes")],
        ),
        (
            "cidr,id\n10.0.0.0/8,a\n10.0.0.0/33,b\nx,c\n,d\n",
            vec![
                (3, file, "invalid network \"10.0.0.0/33\""),
                (4, file, "invalid network \"x\""),
                (5, file, "invalid network \"\""),
            ],
        ),
        (
            "cidr,id\n10.0.0.0/8,a\n10.1.0.0/8,b\n::ffff:10.0.0.0/104,c\n",
            vec![
                (3, row, "duplicate key \"10.0.0.0/8\""),
                (4, row, "duplicate key \"10.0.0.0/8\""),
            ],
        ),
        (
            "id,name\n\"a\nb\",1\n\"a\nb\",2\n,3\n",
            vec![
                (4, row, "duplicate key \"a\\nb\""),
                (6, file, "the row has no value in its key column `id`"),
            ],
        ),
        (
            "id,name\n10.0.0.1,a\n::ffff:a00:1,b\n1.0,c\n1,d\n",
            vec![
                (3, row, "duplicate key \"::ffff:a00:1\""),
                (5, row, "duplicate key \"1\""),
            ],
        ),
        ("id,name\n", vec![]),
        ("id\n\"\"\"\"\n\",\"\n", vec![]),
    ] {
        let found = in_table("vswitches.csv", text);
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(line, code, message)| (line, code, message.to_owned()))
            .collect();
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn invalid_ndjson_is_reported_with_its_line() {
    let (file, row) = (Code::TABLE_FILE, Code::DUPLICATE_ROW);
    for (text, expected) in [
        (
            "[1]\n",
            vec![(1, file, "expected a JSON object on each line")],
        ),
        (
            "{\"key\": 1}\n\n{\"key\": 1.0}\n",
            vec![(3, row, "duplicate key 1.0")],
        ),
        (
            "{\"key\": 1}\n{\"a\": 1}\n",
            vec![(2, file, "the row has no value in its key column `key`")],
        ),
        (
            "{\"key\": [1]}\n",
            vec![(1, file, "the key `key` is an array")],
        ),
        (
            "{\"key\": null}\n",
            vec![(1, file, "the key `key` is null")],
        ),
        (
            "{\"key\": 1, \"key\": 2}\n",
            vec![(1, file, "duplicate column `key`")],
        ),
        ("{\"cidr\": 5}\n", vec![(1, file, "invalid network 5")]),
        ("", vec![]),
    ] {
        let found = in_table("vswitches.ndjson", text);
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(line, code, message)| (line, code, message.to_owned()))
            .collect();
        assert_eq!(found, expected, "{text}");
    }
    let found = in_table("vswitches.ndjson", "{\"key\": 1}\n{\"key\": }\n");
    assert_eq!((found[0].0, found[0].1), (2, file));
    assert!(found[0].2.starts_with("invalid JSON: "), "{found:?}");
}

#[test]
fn rows_of_tests_are_checked_where_they_are_written() {
    let test = |tables: &str| {
        let test = "[[test]]\nname = 't'\nevent = '{\"ip\": 1}'\nmatches = true\n";
        rule(LOOKUP, &format!("{THEN}\n{test}tables = {tables}"))
    };
    let row = "{ cidr = '10.0.0.0/8' }";
    for (tables, code, marked, message) in [
        (
            format!("{{ vswitches = [{row}, {row}] }}"),
            Code::DUPLICATE_ROW,
            row,
            "duplicate key \"10.0.0.0/8\"",
        ),
        (
            "{ vswitches = [{ cidr = 'x' }] }".to_owned(),
            Code::TABLE_FILE,
            "{ cidr = 'x' }",
            "invalid network \"x\"",
        ),
        (
            "{ vswitches = [{ cidr = '::', zoen = 'x' }] }".to_owned(),
            Code::UNKNOWN_COLUMN,
            "zoen",
            "the table `vswitches` has no column `zoen`",
        ),
        (
            "{ vswitches = [{ id = 'a' }] }".to_owned(),
            Code::TABLE_FILE,
            "{ id = 'a' }",
            "the row has no value in its key column `cidr`",
        ),
        (
            "{ vswitchs = [] }".to_owned(),
            Code::UNKNOWN_TABLE,
            "vswitchs",
            "no lookup of the rule uses the table `vswitchs`",
        ),
        (
            "{ vswitches = [{ cidr = '::', id = [1] }] }".to_owned(),
            Code::RULE_TYPE,
            "[1]",
            "`id` is a text in the table `vswitches`, which is CSV",
        ),
    ] {
        let found = found(&test(&tables), ("vswitches.csv", TABLE));
        assert_eq!(found.len(), 1, "{tables}\n{found:#?}");
        assert_eq!(
            (found[0].0, found[0].2.as_str()),
            (code, marked),
            "{tables}"
        );
        assert_eq!(found[0].3, message, "{tables}");
    }
}

#[test]
fn a_table_that_cannot_be_read_causes_no_other_finding() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::create_dir(path("tables")).unwrap();
    fs::write(
        path("rule.toml"),
        rule(LOOKUP, "then = 'log(lookup.v?.zone)'"),
    )
    .unwrap();
    for bytes in [&b"cidr,id\n1\n"[..], &b"cidr,\xff\n"[..]] {
        fs::write(path("tables/vswitches.csv"), bytes).unwrap();
        let invalid = RuleSet::load(folder.path()).unwrap_err();
        assert_eq!(invalid.diagnostics().count(), 1, "{invalid}");
        assert!(invalid.files()[0].name.ends_with("tables/vswitches.csv"));
        let shown = invalid.to_string();
        assert!(shown.contains("vswitches.csv"), "{shown}");
    }
    fs::write(path("tables/vswitches.csv"), TABLE).unwrap();
    fs::write(path("tables/vswitches.ndjson"), "{\"key\": 1}").unwrap();
    let invalid = RuleSet::load(folder.path()).unwrap_err();
    let codes: Vec<Code> = invalid.diagnostics().map(|found| found.code).collect();
    assert_eq!(codes, [Code::DUPLICATE_TABLE]);
}
