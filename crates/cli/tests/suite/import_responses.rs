//! The forms in which `import` reads what services return: as their SDKs and command lines print
//! it, in pages, and as requests.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::{Outcome, reflexarc};

/// Files of a test, and the folder for rules.
struct Inputs {
    folder: tempfile::TempDir,
}

impl Inputs {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn file(&self, name: &str, document: &Value) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, document.to_string()).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    fn import(&self, source: &str, args: &[&str]) -> Outcome {
        let out = self.out();
        let fixed = ["import", source, "--force", "--out", out.to_str().unwrap()];
        reflexarc(&[&fixed[..], args].concat())
    }

    fn rule(&self, name: &str) -> String {
        let path = self.out().join(format!("{name}.toml"));
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The written rules are valid.
    fn check(&self) {
        let checked = reflexarc(&["check", self.out().to_str().unwrap()]);
        assert_eq!(checked.code, 0, "{}{}", checked.stdout, checked.stderr);
    }
}

fn eventbridge_rule(name: &str) -> Value {
    json!({
        "RuleName": name, "EventBusName": "default", "Status": "ENABLE",
        "FilterPattern": r#"{"source":["acs.ecs"],"data":{"result":["failed"]}}"#,
        "Targets": [{"Id": "page", "Type": "https", "Endpoint": "https://hooks.example.com/"}]
    })
}

fn camel_case(value: &Value) -> Value {
    match value {
        Value::Object(members) => members
            .iter()
            .map(|(key, value)| {
                let (first, rest) = key.split_at(1);
                (format!("{}{rest}", first.to_lowercase()), camel_case(value))
            })
            .collect(),
        Value::Array(elements) => elements.iter().map(camel_case).collect(),
        scalar => scalar.clone(),
    }
}

#[test]
fn every_form_of_a_response_gives_the_same_rule() {
    let list = json!({"Code": "Success", "Success": true, "Data": {
        "Total": 1, "Rules": [eventbridge_rule("a")]}});
    let get = json!({"Code": "Success", "Data": eventbridge_rule("a")});
    let mut request = eventbridge_rule("a");
    let targets = request.as_object_mut().unwrap().remove("Targets").unwrap();
    request["EventTargets"] = targets;
    let to_map = |body: &Value| json!({"headers": {"a": "b"}, "statusCode": 200, "body": body});
    let forms = [
        list.clone(),
        get.clone(),
        request.clone(),
        json!([request]),
        to_map(&list),
        to_map(&get),
        camel_case(&list),
        camel_case(&to_map(&get)),
        to_map(&Value::String(list.to_string())),
        Value::String(Value::String(get.to_string()).to_string()),
        json!([to_map(&get), list]),
    ];
    for form in &forms {
        let inputs = Inputs::new();
        let outcome = inputs.import("eventbridge", &[&inputs.file("rules.json", form)]);
        assert_eq!(outcome.code, 0, "{form}: {}", outcome.stderr);
        let text = inputs.rule("a");
        assert!(
            text.contains("content.result == \"failed\""),
            "{form}: {text}"
        );
        assert!(text.contains("send(\"page\", event);"), "{form}: {text}");
        assert_eq!(
            std::fs::read_dir(inputs.out()).unwrap().count(),
            1,
            "{form}"
        );
        inputs.check();
    }
}

#[test]
fn errors_of_the_service_are_reported() {
    let inputs = Inputs::new();
    let error = json!({"statusCode": 409, "body": {"Code": "EventBusNotExist",
        "Message": "The event bus not existed!", "RequestId": "R", "Success": false}});
    for source in ["eventbridge", "cloudmonitor"] {
        let outcome = inputs.import(source, &[&inputs.file("error.json", &error)]);
        let message = "error.json: the service answered with the error `EventBusNotExist`: \
            The event bus not existed! (request R)";
        assert_eq!(outcome.code, 3);
        assert!(outcome.stderr.contains(message), "{}", outcome.stderr);
        assert!(!inputs.out().exists());
    }
}

#[test]
fn lists_have_all_of_their_pages() {
    let inputs = Inputs::new();
    let page = |name: &str, next: Option<&str>| json!({"Data": {"Rules": [eventbridge_rule(name)], "Total": 2, "NextToken": next}});
    let first = inputs.file("1.json", &page("a", Some("2")));
    let last = inputs.file("2.json", &page("b", None));
    let outcome = inputs.import("eventbridge", &[&first]);
    let note = "1.json: the list of rules goes on after NextToken; pass its other pages, too";
    assert_eq!(outcome.code, 1);
    assert!(outcome.stderr.contains(note), "{}", outcome.stderr);
    let outcome = inputs.import("eventbridge", &[&first, &last]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    assert_eq!(std::fs::read_dir(inputs.out()).unwrap().count(), 2);
    // Both rules have the same target, which is one.
    assert_eq!(outcome.stdout.matches("[targets.\"page\"]").count(), 1);
}

#[test]
fn targets_with_equal_messages_share_a_rule() {
    let inputs = Inputs::new();
    let mut rule = eventbridge_rule("a");
    let target = |id: &str, body: Value| {
        json!({"Id": id, "Type": "http", "Endpoint": format!("http://10.0.0.8/{id}"),
            "ParamList": [body]})
    };
    let body =
        |form: &str, value: &str| json!({"ResourceKey": "Body", "Form": form, "Value": value});
    rule["Targets"] = json!([
        target("one", body("ORIGINAL", "")),
        target("two", body("ORIGINAL", "")),
        target("part", body("JSONPATH", "$.data.eniId")),
    ]);
    let rules = json!({"Data": {"Rules": [rule]}});
    let outcome = inputs.import("eventbridge", &[&inputs.file("rules.json", &rules)]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let both = inputs.rule("a-one");
    assert!(
        both.contains("send(\"one\", event);\nsend(\"two\", event);"),
        "{both}"
    );
    let part = inputs.rule("a-part");
    assert!(
        part.contains("send(\"part\", event.content?.eniId);"),
        "{part}"
    );
    inputs.check();
}

#[test]
fn patterns_of_aws_stay_as_they_are() {
    let inputs = Inputs::new();
    let pattern = r#"{"source":["aws.ec2"],"detail":{"state":[{"anything-but":["running"]}],"n":[{"numeric":[">",1.50]}]}}"#;
    let rules = inputs.file(
        "rules.json",
        &json!({"Rules": [
            {"Name": "ec2", "Arn": "arn:aws:events:eu-west-1:1:rule/ec2", "EventPattern": pattern,
             "State": "ENABLED", "Description": "EC2 states", "EventBusName": "default"},
            {"Name": "nightly", "State": "ENABLED", "ScheduleExpression": "rate(1 day)"},
        ]}),
    );
    let targets = inputs.file(
        "targets.json",
        &json!({"Targets": [{"Id": "fn", "Arn": "arn:aws:lambda:eu-west-1:1:function:f"}]}),
    );
    let of_rule = format!("ec2={targets}");
    let outcome = inputs.import("eventbridge", &[&rules, "--targets", &of_rule]);
    assert_eq!(outcome.code, 1, "{}", outcome.stderr);
    let schedule = "`nightly` is not imported: it runs on the schedule `rate(1 day)`";
    assert!(outcome.stderr.contains(schedule), "{}", outcome.stderr);
    let text = inputs.rule("ec2");
    assert!(text.contains("\nenabled = false\n"), "{text}");
    let target = "# target fn (arn:aws:lambda:eu-west-1:1:function:f) is not supported";
    assert!(text.contains(target), "{text}");
    let exported = reflexarc(&[
        "export",
        inputs.out().to_str().unwrap(),
        "--dialect",
        "aws",
        "--rule",
        "ec2",
        "--format",
        "ndjson",
    ]);
    let exported: Value = serde_json::from_str(exported.stdout.trim()).unwrap();
    assert_eq!(
        exported["pattern"],
        serde_json::from_str::<Value>(pattern).unwrap()
    );
    // The other forms: one rule, as a tree instead of text, and the request of its targets.
    let described = json!({"Name": "ec2", "EventPattern": serde_json::from_str::<Value>(pattern).unwrap(),
        "State": "DISABLED"});
    let request = json!({"Rule": "ec2", "Targets": [{"Id": "fn", "Arn": "arn:aws:sns:a:1:t"}]});
    let both = inputs.file("both.json", &json!([described, request]));
    let outcome = inputs.import("eventbridge", &[&both]);
    assert_eq!(outcome.code, 1, "{}", outcome.stderr);
    let text = inputs.rule("ec2");
    assert!(text.contains("arn:aws:sns:a:1:t"), "{text}");
    assert!(
        text.contains("The rule was disabled before, too."),
        "{text}"
    );
    // A target of another rule is a mistake, and so is one without a rule among several.
    let outcome = inputs.import(
        "eventbridge",
        &[&rules, "--targets", &format!("x={targets}")],
    );
    assert_eq!(outcome.code, 2);
    let outcome = inputs.import("eventbridge", &[&rules, &targets]);
    let note = "targets.json: its targets do not name their rule; pass the file as --targets RULE=";
    assert!(outcome.stderr.contains(note), "{}", outcome.stderr);
}

fn cloud_monitor_rule() -> (Value, Value, Value) {
    let flat = json!({"Product": "ECS", "NameList": ["Disk:Stalled"], "LevelList": ["CRITICAL"],
        "EventTypeList": ["Exception"], "StatusList": ["Executing"], "CustomFilters": "i-prod"});
    let nested = json!({"Product": "ECS", "NameList": {"NameList": ["Disk:Stalled"]},
        "LevelList": {"LevelList": ["CRITICAL"]}, "StatusList": {"StatusList": ["Executing"]},
        "EventTypeList": {"EventTypeList": ["Exception"]},
        "KeywordFilter": {"Keywords": {"Keywords": ["i-prod"]}, "Relation": "OR"}});
    let mut detail = nested.clone();
    detail.as_object_mut().unwrap().remove("KeywordFilter");
    detail["KeywordFilterObj"] = json!({"Keywords": {"keyword": ["i-prod"]}, "Relation": "OR"});
    (flat, nested, detail)
}

#[test]
fn every_form_of_a_cloud_monitor_rule_gives_the_same() {
    let (flat, nested, detail) = cloud_monitor_rule();
    let put = json!({"RuleName": "a", "State": "ENABLED", "SilenceTime": 300,
        "EventPattern": [flat]});
    let webhook = json!([{"Id": "hook", "Protocol": "https", "Method": "POST",
        "Url": "https://hooks.example.com/"}]);
    let put_targets = json!({"RuleName": "a", "WebhookParameters": webhook});
    let listed = json!({"Name": "a", "State": "ENABLED", "SilenceTime": 300,
        "EventPattern": {"EventPattern": [nested]}});
    let list = json!({"Code": "200", "Success": true, "Total": 1,
        "EventRules": {"EventRule": [listed]}});
    let attribute = json!({"Code": "200", "Result": {"Name": "a", "State": "ENABLED",
        "SilenceTime": 300, "EventPattern": detail}});
    let described = json!({"Code": "200", "WebhookParameters": {"WebhookParameter": webhook}});
    let to_map = |body: &Value| json!({"headers": {}, "statusCode": 200, "body": body});
    let forms = [
        json!([{"PutEventRule": put, "PutEventRuleTargets": put_targets}]),
        json!([put, put_targets]),
        json!([list, described]),
        json!([to_map(&attribute), to_map(&described)]),
        json!([camel_case(&list), camel_case(&put_targets)]),
    ];
    let mut texts = Vec::new();
    for form in &forms {
        let inputs = Inputs::new();
        let outcome = inputs.import("cloudmonitor", &[&inputs.file("rules.json", form)]);
        assert_eq!(outcome.code, 0, "{form}: {}", outcome.stderr);
        assert!(
            outcome.stdout.contains("[targets.\"hook\"]"),
            "{}",
            outcome.stdout
        );
        texts.push(inputs.rule("a"));
        inputs.check();
    }
    texts.dedup();
    assert_eq!(texts.len(), 1, "{texts:?}");
    for part in [
        "level == \"CRITICAL\"",
        "status == \"Executing\"",
        "name ends with \":Executing\"",
        "eventType == \"Exception\"",
        "text.contains(\"i-prod\")",
        "every = \"300s\"",
    ] {
        assert!(texts[0].contains(part), "{part}: {}", texts[0]);
    }
}

#[test]
fn patterns_that_differ_in_their_keyword_are_one() {
    let (flat, ..) = cloud_monitor_rule();
    let mut other = flat.clone();
    other["CustomFilters"] = json!("i-live");
    let inputs = Inputs::new();
    let request = |patterns: Value| json!({"RuleName": "a", "EventPattern": patterns});
    let both = inputs.file("both.json", &request(json!([flat, other])));
    let outcome = inputs.import("cloudmonitor", &[&both]);
    assert!(
        !outcome.stderr.contains("not imported: keywords"),
        "{}",
        outcome.stderr
    );
    let rule = inputs.rule("a");
    let condition = "!(text.contains(\"i-prod\") || text.contains(\"i-live\"))";
    assert!(rule.contains(condition), "{rule}");
    assert_eq!(rule.matches("product == \"ECS\"").count(), 1, "{rule}");
    // Keywords of one of two patterns are not conditions on the other one.
    other["NameList"] = json!(["Disk:Created"]);
    let different = inputs.file("different.json", &request(json!([flat, other])));
    let outcome = inputs.import("cloudmonitor", &[&different]);
    let reason = "keywords of one of several patterns are not supported";
    assert!(outcome.stderr.contains(reason), "{}", outcome.stderr);
}

#[test]
fn a_request_without_targets_is_one() {
    let (flat, ..) = cloud_monitor_rule();
    let inputs = Inputs::new();
    let requests = json!([{"PutEventRule": {"RuleName": "a", "EventPattern": [flat]},
        "PutEventRuleTargets": {"RuleName": "a"}}]);
    let outcome = inputs.import("cloudmonitor", &[&inputs.file("rules.json", &requests)]);
    assert_eq!(outcome.code, 1, "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("a: it has no targets"),
        "{}",
        outcome.stderr
    );
    assert!(inputs.rule("a").contains("# it has no targets"));
}

#[test]
fn missing_rules_of_cloud_monitor_are_reported() {
    let (flat, ..) = cloud_monitor_rule();
    let inputs = Inputs::new();
    let rule = |name: &str| json!({"Name": name, "EventPattern": {"EventPattern": [flat]}});
    let list = json!({"Total": 3, "EventRules": {"EventRule": [rule("a"), rule("b")]}});
    let list = inputs.file("list.json", &list);
    let targets = json!({"ContactParameters": {"ContactParameter": []}});
    let targets = inputs.file("targets.json", &targets);
    let outcome = inputs.import("cloudmonitor", &[&list, &targets]);
    assert_eq!(outcome.code, 1);
    for note in [
        "the list has 3 rules, of which 2 are given",
        "targets.json: its targets do not name their rule",
    ] {
        assert!(outcome.stderr.contains(note), "{}", outcome.stderr);
    }
    assert!(Path::new(&inputs.out()).join("b.toml").exists());
}
