//! Formatting is stable and never changes the meaning of a filter.

use proptest::prelude::*;
use reflexarc::format_rule;
use reflexarc_pattern::{Dialect, Pattern};

use crate::rules;

fn formatted(text: &str) -> String {
    format_rule("a.toml", text).unwrap()
}

/// An expression with `and`, `or` and `not`, deep and long enough to need several lines.
fn expression() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        "[a-z]{1,12}\\.[a-z]{1,12} == \"[a-zA-Z ]{0,12}'?[a-z]{0,8}\"",
        "[a-z]{1,12} exists",
        "[a-z]{1,12} > [0-9]{1,3}",
        "[a-z]{1,12} in \\[\"[a-z]{1,9}\", \"[A-Z]{1,9}\"\\]",
    ]
    .prop_filter("a path is not a keyword", |text| {
        Pattern::parse(text, Dialect::Reflexarc).is_ok()
    });
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..5)
                .prop_map(|parts| format!("({})", parts.join(" and "))),
            prop::collection::vec(inner.clone(), 2..5)
                .prop_map(|parts| format!("({})", parts.join(" or "))),
            inner.prop_map(|part| format!("not ({part})")),
        ]
    })
}

proptest! {
    #[test]
    fn formatting_is_stable_and_keeps_the_meaning(
        expression in expression(),
        json in any::<bool>(),
    ) {
        let pattern = Pattern::parse(&expression, Dialect::Reflexarc).unwrap();
        let source = if json { pattern.to_json() } else { expression };
        let text = format!("# first\nwhen = '''\n{source}\n'''\nnotify = 'team'\n# last\n");
        let once = formatted(&text);
        let rules = rules(&[("a.toml", &once)]);
        prop_assert_eq!(rules.get("a").unwrap().pattern().node(), pattern.node());
        let (start, end) = ("# first\nwhen = '", "\nnotify = 'team'\n# last\n");
        prop_assert!(once.starts_with(start) && once.ends_with(end), "{}", once);
        prop_assert_eq!(formatted(&once), once);
    }
}

#[test]
fn long_filters_are_broken_into_lines() {
    let text = concat!(
        r#"when = 'name == "NetworkInterface:NetworkInterfaceOperateCompleted" and "#,
        r#"(content.operation == "Create" or content.result == "failed" and level == "WARN" "#,
        r#"and regionId == "cn-hangzhou" and userId exists) and not (id == "x")'"#,
        "\nnotify = 'team'\n"
    );
    insta::assert_snapshot!(formatted(text));
}

#[test]
fn comments_of_an_expression_stay_in_place() {
    let text = "when = '''\n# first\na==1 # why\nand   b exists\n# last\n'''\nnotify = 'team'\n";
    let once = "when = '''\n# first\na == 1  # why\nand b exists\n# last\n'''\nnotify = 'team'\n";
    assert_eq!(formatted(text), once);
    assert_eq!(formatted(once), once);
    assert_eq!(
        formatted("when = 'a==1 # why'\nnotify = 'team'\n"),
        "when = 'a == 1  # why'\nnotify = 'team'\n"
    );
}

#[test]
fn comments_of_a_json_filter_stay_in_place() {
    let text = r#"when = '''
# first
{ // opens
name:["NetworkInterface:NetworkInterfaceOperateCompleted",], // the event
  # deep
  "content":{"result":["failed"] # how
  ,"operation" # odd
  :["AttachNetworkInterface"]
  # end
},
 "level" : [ "WARN", // loud
   "CRITICAL" ]
} // closes
# last
'''
notify = 'team'
"#;
    let once = formatted(text);
    insta::assert_snapshot!(once);
    assert_eq!(formatted(&once), once);
    let short = "when = '''\n{\"a\":[1]} # why\n'''\nnotify = 'team'\n";
    assert_eq!(
        formatted(short),
        "when = '{\"a\": [1]}  # why'\nnotify = 'team'\n"
    );
}

#[test]
fn filters_that_need_escapes_are_not_changed() {
    let text = "when = \"a  ==  \\\"'''\\\"\"\nnotify = 'team'\n";
    assert_eq!(formatted(text), text);
    assert_eq!(
        formatted("when = 'a==\"#1\"'\nnotify = 'team'\n"),
        "when = 'a == \"#1\"'\nnotify = 'team'\n"
    );
    assert!(format_rule("a.toml", "when = 'a =='").is_err());
}

#[test]
fn all_filters_of_a_time_window_are_formatted() {
    let text = "when = 'id==1'  # one\nby = []\nuntil = 'id  == 9'\nnotify = 'team'\n\
                [[followed_by]] # two\nwhen = 'id==2  and name==\"x\"'\nwithin = '2m'\n\
                [[followed_by]]\nwithin = '2m'\nwhen = '{\"id\":[3]}'\n";
    let once = "when = 'id == 1'  # one\nby = []\nuntil = 'id == 9'\nnotify = 'team'\n\
                [[followed_by]] # two\nwhen = 'id == 2 and name == \"x\"'\nwithin = '2m'\n\
                [[followed_by]]\nwithin = '2m'\nwhen = '{\"id\": [3]}'\n";
    assert_eq!(formatted(text), once);
    assert_eq!(formatted(once), once);
}
