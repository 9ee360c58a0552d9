//! Fixes of JSON notation: operators and connectives of other languages, operators as keys, and
//! patterns inside requests.

use reflexarc_pattern::{Dialect, Pattern};

use crate::fixes::{check, findings};

#[test]
fn json_operators_of_other_languages() {
    check(&[
        (
            r#"{"a": [{"nin": ["x"]}]}"#,
            Some(r#"{"a": [{"anything-but": ["x"]}]}"#),
        ),
        (
            r#"{"a": [{"not": "x"}]}"#,
            Some(r#"{"a": [{"anything-but": "x"}]}"#),
        ),
        (
            r#"{"a": [{"not": {"prefix": "x"}}]}"#,
            Some(r#"{"a": [{"anything-but": {"prefix": "x"}}]}"#),
        ),
        (
            r#"{"a": [{"$ne": 5}]}"#,
            Some(r#"{"a": [{"anything-but": 5}]}"#),
        ),
        (
            r#"{"a": [{"anything-but-prefix": "x"}]}"#,
            Some(r#"{"a": [{"anything-but": {"prefix": "x"}}]}"#),
        ),
        (
            r#"{"a": [{"not-suffix": ["x", "y"]}]}"#,
            Some(r#"{"a": [{"anything-but": [{"suffix": "x"}, {"suffix": "y"}]}]}"#),
        ),
        (
            r#"{"a": [{"anything-but-equals-ignore-case": "x"}]}"#,
            Some(r#"{"a": [{"anything-but": {"equals-ignore-case": "x"}}]}"#),
        ),
        (
            r#"{"a": [{"doesNotContain": "x"}]}"#,
            Some(r#"{"a": [{"anything-but": {"contains": "x"}}]}"#),
        ),
        (
            r#"{"a": [{"ip-address-not-in-range": "10.0.0.0/8"}]}"#,
            Some(r#"{"a": [{"anything-but": {"cidr": "10.0.0.0/8"}}]}"#),
        ),
        (
            r#"{"a": [{"not-exists": true}]}"#,
            Some(r#"{"a": [{"exists": false}]}"#),
        ),
        (
            r#"{"a": [{"missing": true}]}"#,
            Some(r#"{"a": [{"exists": false}]}"#),
        ),
        (
            r#"{"a": [{"missing": false}]}"#,
            Some(r#"{"a": [{"exists": true}]}"#),
        ),
        (
            r#"{"a": [{"$exists": false}]}"#,
            Some(r#"{"a": [{"exists": false}]}"#),
        ),
        (
            r#"{"a": [{"icontains": "x"}]}"#,
            Some(r#"{"a": [{"contains": {"equals-ignore-case": "x"}}]}"#),
        ),
        (
            r#"{"a": [{"prefix-ignore-case": "x"}]}"#,
            Some(r#"{"a": [{"prefix": {"equals-ignore-case": "x"}}]}"#),
        ),
        (
            r#"{"a": [{"equalsIgnoreCase": "x"}]}"#,
            Some(r#"{"a": [{"equals-ignore-case": "x"}]}"#),
        ),
        (
            r#"{"a": [{"startsWith": "x"}]}"#,
            Some(r#"{"a": [{"prefix": "x"}]}"#),
        ),
        (
            r#"{"a": [{"startsWith": "x", "endsWith": "y"}]}"#,
            Some(r#"{"a": [{"prefix": "x", "suffix": "y"}]}"#),
        ),
        (
            r#"{"a": [{"anything-but": {"startsWith": "x"}}]}"#,
            Some(r#"{"a": [{"anything-but": {"prefix": "x"}}]}"#),
        ),
        (r#"{"a": [{"anything-but": {"not": "x"}}]}"#, None),
    ]);
}

#[test]
fn json_operators_with_other_arguments() {
    check(&[
        (r#"{"a": [{"equals": "x"}]}"#, Some(r#"{"a": ["x"]}"#)),
        (
            r#"{"a": [{"$in": ["x", 5]}, "z"]}"#,
            Some(r#"{"a": ["x", 5, "z"]}"#),
        ),
        (
            r#"{"a": [{">=": 7}]}"#,
            Some(r#"{"a": [{"numeric": [">=", 7]}]}"#),
        ),
        (
            r#"{"a": [{"gt": 7}]}"#,
            Some(r#"{"a": [{"numeric": [">", 7]}]}"#),
        ),
        (
            r#"{"a": [{"$lt": 5, "$gte": 1}]}"#,
            Some(r#"{"a": [{"numeric": [">=", 1, "<", 5]}]}"#),
        ),
        (
            r#"{"a": [{"prefix": ["x", "y"]}]}"#,
            Some(r#"{"a": [{"prefix": "x"}, {"prefix": "y"}]}"#),
        ),
        (
            r#"{"a": [{"cidr": ["10.0.0.0/8"]}]}"#,
            Some(r#"{"a": [{"cidr": "10.0.0.0/8"}]}"#),
        ),
        (r#"{"a": [{"contains": ["x", "y"]}]}"#, None),
        (r#"{"a": [{"$and": [{"prefix": ["x", "y"]}]}]}"#, None),
        (r#"{"a": [{"regex": "x"}]}"#, None),
        (
            r#"{"a": [{"regex": "^x.*"}]}"#,
            Some(r#"{"a": [{"regexp": "^x.*"}]}"#),
        ),
        (r#"{"a": [{"like": "x%"}]}"#, None),
        (
            r#"{"a": [{"like": "x*"}]}"#,
            Some(r#"{"a": [{"wildcard": "x*"}]}"#),
        ),
        (
            r#"{"a": [{"between": [1, 5]}]}"#,
            Some(r#"{"a": [{"numeric": [">=", 1, "<=", 5]}]}"#),
        ),
        (r#"{"a": [{"exactly": 5}]}"#, None),
        (
            r#"{"a": [{"Prefix": "x"}]}"#,
            Some(r#"{"a": [{"prefix": "x"}]}"#),
        ),
        (
            r#"{"a": [{"anythingBut": ["x"]}]}"#,
            Some(r#"{"a": [{"anything-but": ["x"]}]}"#),
        ),
        (r#"{"a": [{"numeric": ["<", 1, ">", 5]}]}"#, None),
        (
            r#"{"a": [{"numeric": ["<", 5, ">", 1]}]}"#,
            Some(r#"{"a": [{"numeric": [">", 1, "<", 5]}]}"#),
        ),
        (r#"{a\b: ["x"]}"#, None),
    ]);
}

#[test]
fn connectives_of_other_languages() {
    check(&[
        (
            r#"{"$nor": [{"a": [1]}, {"b": [2]}]}"#,
            Some(r#"{"$not": {"$or": [{"a": [1]}, {"b": [2]}]}}"#),
        ),
        (r#"{"$nor": [{"a": [1]}]}"#, Some(r#"{"$not": {"a": [1]}}"#)),
        (
            r#"{"or": [{"a": [1]}, {"b": [2]}]}"#,
            Some(r#"{"$or": [{"a": [1]}, {"b": [2]}]}"#),
        ),
        (
            r#"{"$Or": [{"a": [1]}, {"b": [2]}]}"#,
            Some(r#"{"$or": [{"a": [1]}, {"b": [2]}]}"#),
        ),
        (
            r#"{"anyOf": [{"a": [1]}, {"b": [2]}]}"#,
            Some(r#"{"$or": [{"a": [1]}, {"b": [2]}]}"#),
        ),
        (
            r#"{"allOf": [{"a": [1]}, {"b": [2]}]}"#,
            Some(r#"{"$and": [{"a": [1]}, {"b": [2]}]}"#),
        ),
        (r#"{"not": [{"a": [1]}]}"#, Some(r#"{"$not": {"a": [1]}}"#)),
        (r#"{"not": [{"a": [1]}, {"b": [2]}]}"#, None),
        (r#"{"$not": [{"a": [1]}]}"#, Some(r#"{"$not": {"a": [1]}}"#)),
        (r#"{"$not": [{"a": [1]}, {"b": [2]}]}"#, None),
        (
            r#"{"not": {"a": ["x"]}}"#,
            Some(r#"{"$not": {"a": ["x"]}}"#),
        ),
        (r#"{"or": {"a": ["x"], "b": ["y"]}}"#, None),
        (r#"{"xor": [{"a": [1]}, {"b": [2]}]}"#, None),
        (
            r#"{"all": [{"prefxi": "x"}]}"#,
            Some(r#"{"all": [{"prefix": "x"}]}"#),
        ),
    ]);
}

#[test]
fn operators_never_become_keys() {
    check(&[
        (
            r#"{"severity": {"numeric": [">=", 7]}}"#,
            Some(r#"{"severity": [{"numeric": [">=", 7]}]}"#),
        ),
        (
            r#"{"a": {"exists": [true]}}"#,
            Some(r#"{"a": [{"exists": true}]}"#),
        ),
        (
            r#"{"a": {"exists": false}}"#,
            Some(r#"{"a": [{"exists": false}]}"#),
        ),
        (
            r#"{"a": {"anything-but": ["x"]}}"#,
            Some(r#"{"a": [{"anything-but": ["x"]}]}"#),
        ),
        (
            r#"{"a": {"anything-but": {"prefix": ["x"]}}}"#,
            Some(r#"{"a": [{"anything-but": {"prefix": "x"}}]}"#),
        ),
        (
            r#"{"a": {"prefix": "x"}}"#,
            Some(r#"{"a": [{"prefix": "x"}]}"#),
        ),
        (
            r#"{"a": {"prefix": ["x"]}}"#,
            Some(r#"{"a": [{"prefix": "x"}]}"#),
        ),
        (
            r#"{"a": {"b": {"prefix": ["x", "y"]}}}"#,
            Some(r#"{"a": {"b": [{"prefix": "x"}, {"prefix": "y"}]}}"#),
        ),
        (
            r#"{"a": {"prefix": ["x"], "suffix": ["y"]}}"#,
            Some(r#"{"a": [{"prefix": "x", "suffix": "y"}]}"#),
        ),
        (
            r#"{"a": {"prefix": {"equals-ignore-case": "x"}}}"#,
            Some(r#"{"a": [{"prefix": {"equals-ignore-case": "x"}}]}"#),
        ),
        (
            r#"{"a": {"cidr": "10.0.0.0/8"}}"#,
            Some(r#"{"a": [{"cidr": "10.0.0.0/8"}]}"#),
        ),
        (
            r#"{"a": {"wildcard": ["x*"]}}"#,
            Some(r#"{"a": [{"wildcard": "x*"}]}"#),
        ),
        (r#"{"a": {"exactly": ["x"]}}"#, Some(r#"{"a": ["x"]}"#)),
        (
            r#"{"a": {"equals-ignore-case": ["x"]}}"#,
            Some(r#"{"a": [{"equals-ignore-case": "x"}]}"#),
        ),
        (
            r#"{"a": {"$gte": 7}}"#,
            Some(r#"{"a": [{"numeric": [">=", 7]}]}"#),
        ),
        (
            r#"{"a": {">=": [7]}}"#,
            Some(r#"{"a": [{"numeric": [">=", 7]}]}"#),
        ),
        (
            r#"{"a": {"$in": ["x", "y"]}}"#,
            Some(r#"{"a": ["x", "y"]}"#),
        ),
        (
            r#"{"a": {"not": ["x"]}}"#,
            Some(r#"{"a": [{"anything-but": ["x"]}]}"#),
        ),
        (
            r#"{"a": {"not": {"prefix": ["x"]}}}"#,
            Some(r#"{"a": [{"anything-but": {"prefix": "x"}}]}"#),
        ),
        (
            r#"{"a": {"startsWith": ["x"]}}"#,
            Some(r#"{"a": [{"prefix": "x"}]}"#),
        ),
        (
            r#"{"a": {"or": [{"prefix": "x"}, {"suffix": "y"}]}}"#,
            Some(r#"{"a": [{"prefix": "x"}, {"suffix": "y"}]}"#),
        ),
        (r#"{"prefix": "x"}"#, None),
        (r#"{"a": "x"}"#, Some(r#"{"a": ["x"]}"#)),
        (r#"{"a": {"contains": ["x", "y"]}}"#, None),
    ]);
}

#[test]
fn fields_that_are_named_like_operators_cause_no_warning() {
    for text in [
        r#"{"prefix": ["x"]}"#,
        r#"{"a": {"prefix": ["x"], "name": ["y"]}}"#,
        r#"{"a": {"prefix": [{"suffix": "x"}]}}"#,
        r#"{"a": {"contains": [{"exists": true}]}}"#,
        r#"{"a": {"numeric": ["x"]}}"#,
        r#"{"a": {"exists": ["yes"]}}"#,
        r#"{"a": {"prefix": [5]}}"#,
        r#"{"a.prefix": ["x"]}"#,
        r#"{"in": [1], "or": ["x"], "not": ["y"]}"#,
        r#"{"a": {"in": ["x"]}}"#,
        r#"{"filter": ["x"], "pattern": [1]}"#,
        r#"{"filter": {"a": ["x"]}, "source": ["y"]}"#,
    ] {
        assert_eq!(findings(text, Dialect::Reflexarc), [], "{text}");
    }
}

#[test]
fn warnings_name_operators_that_are_keys() {
    for text in [
        r#"{"anything-but": ["x"]}"#,
        r#"{"numeric": [">=", 7]}"#,
        r#"{"equals-ignore-case": ["x"]}"#,
        r#"{"filter": {"a": ["x"]}}"#,
        r#"{"a": {"contains": ["x", "y"]}}"#,
    ] {
        let found = findings(text, Dialect::Reflexarc);
        assert!(
            !found.is_empty() && found[0].fix.is_none(),
            "{text} {found:?}"
        );
        assert!(Pattern::parse(text, Dialect::Reflexarc).is_ok(), "{text}");
    }
}

#[test]
fn patterns_inside_requests_are_taken_out() {
    check(&[
        (
            r#"{"EventPattern": {"source": ["x"]}}"#,
            Some(r#"{"source": ["x"]}"#),
        ),
        (
            r#"{"EventPattern": "{\"source\": [\"x\"]}"}"#,
            Some(r#"{"source": ["x"]}"#),
        ),
        (
            r#"{"Name": "r", "EventPattern": {"a": ["x"]}, "State": "ENABLED"}"#,
            Some(r#"{"a": ["x"]}"#),
        ),
        (
            r#"{"FilterPattern": {"source": ["x"]}}"#,
            Some(r#"{"source": ["x"]}"#),
        ),
        (
            r#"{"Pattern": {"source": ["x"]}}"#,
            Some(r#"{"source": ["x"]}"#),
        ),
        (
            r#"{"filter": {"source": ["x"]}}"#,
            Some(r#"{"source": ["x"]}"#),
        ),
        (
            r#"{"id": "r1", "pattern": {"source": ["x"]}}"#,
            Some(r#"{"source": ["x"]}"#),
        ),
        (
            r#"{"Type": "AWS::Events::Rule", "Properties": {"EventPattern": {"a": ["x"]}}}"#,
            Some(r#"{"a": ["x"]}"#),
        ),
        (r#""{\"source\": [\"x\"]}""#, Some(r#"{"source": ["x"]}"#)),
        (r#"'{"source": ["x"]}'"#, Some(r#"{"source": ["x"]}"#)),
        (
            r#"{"detailType": ["x"]}"#,
            Some(r#"{"detail-type": ["x"]}"#),
        ),
        (
            r#"{"detail_type": ["x"]}"#,
            Some(r#"{"detail-type": ["x"]}"#),
        ),
        (
            r#"{"Source": ["x"], "DetailType": ["y"]}"#,
            Some(r#"{"source": ["x"], "detail-type": ["y"]}"#),
        ),
    ]);
}
