//! `import iac`: rules in infrastructure code, through the built program.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::{Outcome, reflexarc};

/// A folder with infrastructure code.
struct Code {
    folder: tempfile::TempDir,
}

impl Code {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join("code").join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Self { folder }
    }

    fn path(&self, name: &str) -> String {
        let path = self.folder.path().join("code").join(name);
        path.to_str().unwrap().to_owned()
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    fn import(&self, args: &[&str]) -> Outcome {
        let (code, out) = (self.path(""), self.out());
        let out = out.to_str().unwrap();
        let fixed = ["import", "iac", &code, "--force", "--out", out];
        reflexarc(&[&fixed[..], args].concat())
    }

    fn rule(&self, name: &str) -> String {
        read(&self.out().join(format!("{name}.toml")))
    }

    /// The exported pattern of a rule, after `check` for AWS.
    fn exported(&self, name: &str) -> Value {
        let out = self.out();
        let rules = out.to_str().unwrap();
        let checked = reflexarc(&["check", rules, "--dialect", "aws"]);
        let found = format!("{}{}", checked.stdout, checked.stderr);
        assert_eq!(checked.code, 0, "{found}");
        let args = ["export", rules, "--dialect", "aws", "--rule", name];
        let exported = reflexarc(&[&args[..], &["--format", "ndjson"]].concat());
        let line: Value = serde_json::from_str(exported.stdout.trim()).unwrap();
        line["pattern"].clone()
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn examples() -> Vec<(&'static str, String)> {
    let folder = crate::root().join("examples/subscriptions/infrastructure");
    ["template.yaml", "main.tf", "serverless.yml"]
        .map(|name| (name, read(&folder.join(name))))
        .to_vec()
}

#[test]
fn the_examples_are_imported() {
    let files = examples();
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(name, text)| (*name, text.as_str()))
        .collect();
    let code = Code::new(&files);
    let outcome = code.import(&[]);
    assert_eq!(outcome.code, 1, "one pattern depends on a parameter");
    let mut names: Vec<_> = std::fs::read_dir(code.out())
        .unwrap()
        .map(|one| one.unwrap())
        .collect();
    names.sort_by_key(std::fs::DirEntry::path);
    let mut transcript = String::new();
    for file in names {
        let name = file.file_name().into_string().unwrap();
        transcript += &format!("--- {name}\n{}\n", read(&file.path()));
    }
    transcript += &format!(
        "--- stdout\n{}\n--- stderr\n{}",
        outcome.stdout, outcome.stderr
    );
    let transcript = transcript.replace(code.folder.path().to_str().unwrap(), "FOLDER");
    insta::assert_snapshot!(transcript);
    // The parameter is set.
    let outcome = code.import(&["--set", "Bucket=reports"]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let pattern = code.exported("Reports-Uploaded");
    assert_eq!(pattern["detail"]["bucket"]["name"], json!(["reports"]));
    let finding = code.exported("guardduty-findings");
    assert_eq!(
        finding["detail"]["severity"],
        json!([{"numeric": [">=", 7]}])
    );
}

#[test]
fn json_of_every_tool_is_read() {
    let pattern = json!({"source": ["a"], "detail": {"b": [{"exists": false}]}});
    let cdk = json!({"Resources": {
        "Rule4C995B7F": {"Type": "AWS::Events::Rule", "Properties": {
            "EventPattern": pattern, "State": "ENABLED",
            "Targets": [{"Arn": {"Fn::GetAtt": ["Fn9270CBC0", "Arn"]}, "Id": "Target0"}]}},
        "CDKMetadata": {"Type": "AWS::CDK::Metadata"}}});
    let terraform = json!({
        "variable": {"source": {"default": "a"}},
        "resource": {"aws_cloudwatch_event_rule": {
            "inline": {"event_pattern": pattern.to_string()},
            "encoded": [{"event_pattern":
                "${jsonencode({source = [var.source], detail = {b = [{exists = false}]}})}"}]}}});
    let plan = json!({"format_version": "1.2", "terraform_version": "1.9.0", "planned_values": {
        "root_module": {"child_modules": [{"resources": [
            {"address": "module.m.aws_cloudwatch_event_rule.planned", "mode": "managed",
             "type": "aws_cloudwatch_event_rule", "name": "planned",
             "values": {"name": "planned", "event_pattern": pattern.to_string(), "state": "DISABLED"}},
            {"address": "module.m.aws_cloudwatch_event_rule.later", "type": "aws_cloudwatch_event_rule",
             "name": "later", "values": {"name": "later"}}]}]}}});
    let code = Code::new(&[
        ("cdk.out/Stack.template.json", &cdk.to_string()),
        ("cdk.out/manifest.json", r#"{"version": "36.0.0"}"#),
        ("main.tf.json", &terraform.to_string()),
        ("plan.json", &plan.to_string()),
    ]);
    let outcome = code.import(&[]);
    assert_eq!(outcome.code, 1, "{}", outcome.stderr);
    let later = "`module.m.aws_cloudwatch_event_rule.later";
    assert!(outcome.stderr.contains(later), "{}", outcome.stderr);
    for name in ["Rule4C995B7F", "inline", "encoded", "planned"] {
        assert_eq!(code.exported(name), pattern, "{name}");
    }
    let rule = code.rule("Rule4C995B7F");
    assert!(
        rule.contains("# target Target0: !GetAtt Fn9270CBC0.Arn"),
        "{rule}"
    );
    assert!(
        rule.contains("Stack.template.json:1, Rule4C995B7F."),
        "{rule}"
    );
}

#[test]
fn rules_of_called_modules_have_the_arguments() {
    let module = r#"
        variable "pattern" {}
        variable "name" { type = string }
        resource "aws_cloudwatch_event_rule" "this" {
          name          = var.name
          event_pattern = var.pattern
        }
        resource "aws_cloudwatch_event_rule" "from_file" {
          name          = "${var.name}-file"
          event_pattern = templatefile("${path.module}/pattern.tpl", { source = var.name })
        }"#;
    let root = r#"
        module "rules" {
          source   = "./modules/rule"
          for_each = { one = "aws.s3", two = "aws.ec2" }
          name     = each.key
          pattern  = jsonencode({ source = [each.value] })
        }
        resource "aws_cloudwatch_event_rule" "states" {
          for_each      = toset(["stopped", "running"])
          name          = "state-${each.key}"
          event_pattern = <<EOF
        {"source": ["aws.ec2"], "detail": {"state": ["${each.value}"]}}
        EOF
        }
        resource "aws_cloudwatch_event_rule" "secret" {
          event_pattern = file("../../../../../../etc/hostname")
        }"#;
    let code = Code::new(&[
        ("main.tf", root),
        ("modules/rule/main.tf", module),
        ("modules/rule/pattern.tpl", r#"{"source": ["${source}"]}"#),
    ]);
    let outcome = code.import(&[]);
    assert_eq!(outcome.code, 1, "{}", outcome.stderr);
    let secret = "outside of the folder that is imported";
    assert!(outcome.stderr.contains(secret), "{}", outcome.stderr);
    for (name, pattern) in [
        ("one", json!({"source": ["aws.s3"]})),
        ("two", json!({"source": ["aws.ec2"]})),
        ("one-file", json!({"source": ["one"]})),
        (
            "state-stopped",
            json!({"source": ["aws.ec2"], "detail": {"state": ["stopped"]}}),
        ),
    ] {
        assert_eq!(code.exported(name), pattern, "{name}");
    }
    assert_eq!(std::fs::read_dir(code.out()).unwrap().count(), 6);
    let rule = code.rule("one");
    assert!(
        rule.contains(r#"module.rules["one"].aws_cloudwatch_event_rule.this"#),
        "{rule}"
    );
}

#[test]
fn what_depends_on_the_deployment_is_named() {
    let yaml = r"
        Parameters: {Name: {Type: String}}
        Resources:
          A:
            Type: AWS::Events::Rule
            Properties:
              EventPattern: {source: [!Ref Name], account: [!Ref 'AWS::AccountId']}
          B:
            Type: AWS::Events::Rule
            Properties: {EventPattern: {resources: [!GetAtt Bucket.Arn]}}
          C:
            Type: AWS::Events::Rule
            Properties: {EventPattern: {source: [!ImportValue other]}}";
    let terraform = r#"
        variable "name" {}
        resource "aws_cloudwatch_event_rule" "d" {
          event_pattern = jsonencode({ detail = { x = { y = [var.name] } } })
        }
        resource "aws_cloudwatch_event_rule" "e" {
          event_pattern = jsonencode({ resources = [aws_s3_bucket.b.arn] })
        }"#;
    let code = Code::new(&[("t.yaml", yaml), ("main.tf", terraform)]);
    let outcome = code.import(&[]);
    assert_eq!(outcome.code, 1);
    for reason in [
        "`source`: the parameter `Name` has no default; give it with --set Name=VALUE",
        "`account`: `AWS::AccountId` is that of the deployment; give it with --set AWS::AccountId=VALUE",
        "`resources`: `Bucket.Arn` of a resource is known after deployment; give it with --set Bucket.Arn=VALUE",
        "`source`: other is exported by another stack",
        "`detail.x.y`: the variable `name` has no default; give it with --set name=VALUE",
        "`resources`: `aws_s3_bucket.b.arn` is known after deployment; give it with --set aws_s3_bucket.b.arn=VALUE",
    ] {
        assert!(
            outcome.stderr.contains(reason),
            "{reason}\n{}",
            outcome.stderr
        );
    }
    let outcome = code.import(&[
        "--set",
        "Name=x",
        "--set",
        "AWS::AccountId=123",
        "--set",
        "Bucket.Arn=arn:b",
        "--set",
        "name=n",
        "--set",
        "aws_s3_bucket.b.arn=arn:c",
        "--set",
        "unused=1",
    ]);
    assert!(
        outcome.stderr.contains("--set unused"),
        "{}",
        outcome.stderr
    );
    assert_eq!(
        code.exported("A"),
        json!({"source": ["x"], "account": ["123"]})
    );
    assert_eq!(code.exported("B"), json!({"resources": ["arn:b"]}));
    assert_eq!(code.exported("d"), json!({"detail": {"x": {"y": ["n"]}}}));
    assert_eq!(code.exported("e"), json!({"resources": ["arn:c"]}));
}

#[test]
fn faulty_files_and_patterns_do_not_stop_the_others() {
    let rule = |name: &str, pattern: &str| {
        format!(
            "Resources:\n  {name}:\n    Type: AWS::Events::Rule\n    Properties:\n      EventPattern: {pattern}\n"
        )
    };
    let code = Code::new(&[
        ("a.yaml", &rule("A", "{source: [a]}")),
        ("b.yaml", &rule("B", "{source: [b")),
        ("c.yaml", &rule("C", "{source: c}")),
        ("d.tf", "resource \"aws_cloudwatch_event_rule\" {{{"),
        ("helm/templates/x.yaml", "{{- if .Values.x }}\na: {{ b }}"),
        (
            "e.json",
            r#"{"Resources": {"E": {"Type": "AWS::Events::Rule"}}}"#,
        ),
    ]);
    let outcome = code.import(&[]);
    assert_eq!(outcome.code, 1, "{}", outcome.stderr);
    for part in [
        "b.yaml:",
        "d.tf: invalid HCL at 1:",
        "e.json:1",
        "it has no pattern",
        "wrap it in",
    ] {
        assert!(outcome.stderr.contains(part), "{part}: {}", outcome.stderr);
    }
    assert!(!outcome.stderr.contains("helm"), "{}", outcome.stderr);
    assert_eq!(code.exported("A"), json!({"source": ["a"]}));
    // A file that is named itself is reported if it has no rules.
    let out = code.out();
    let out = out.to_str().unwrap();
    let named =
        |name: &str| reflexarc(&["import", "iac", &code.path(name), "--force", "--out", out]);
    assert_eq!(named("helm/templates/x.yaml").code, 1);
    assert_eq!(named("missing.yaml").code, 1);
    let empty = Code::new(&[("a.yaml", "a: 1"), ("b.txt", "")]);
    let outcome = empty.import(&[]);
    assert_eq!(outcome.code, 3, "{}", outcome.stderr);
    assert!(
        outcome.stderr.contains("no rules found"),
        "{}",
        outcome.stderr
    );
}

#[test]
fn rules_of_the_same_name_have_the_file_before_it() {
    let rule =
        "Resources: {Rule: {Type: AWS::Events::Rule, Properties: {EventPattern: {source: [a]}}}}";
    let code = Code::new(&[("x/a.yaml", rule), ("x/b.yaml", rule), ("y/a.yaml", rule)]);
    let outcome = code.import(&[]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let mut names: Vec<String> = std::fs::read_dir(code.out())
        .unwrap()
        .map(|one| one.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["b-Rule.toml", "x-a-Rule.toml", "y-a-Rule.toml"]);
}

#[test]
fn resources_of_alibaba_cloud_keep_their_targets() {
    let terraform = r#"
        resource "alicloud_event_bridge_rule" "a" {
          event_bus_name = "default"
          rule_name      = "failed"
          status         = "DISABLE"
          filter_pattern = jsonencode({ source = ["acs.ecs"], data = { result = ["failed"] } })
          targets {
            target_id = "hook"
            type      = "https"
            endpoint  = "https://hooks.example.com/"
          }
          targets {
            target_id = "robot"
            type      = "acs.dingtalk"
            param_list {
              resource_key = "URL"
              form         = "CONSTANT"
              value        = var.secret
            }
          }
          targets {
            target_id = "queue"
            type      = "acs.mns.queue"
            endpoint  = alicloud_mns_queue.q.name
          }
        }
        resource "alicloud_cms_event_rule" "b" {
          rule_name    = "stalled"
          silence_time = 100
          status       = "ENABLED"
          event_pattern {
            product    = "ecs"
            name_list  = ["Disk:Stalled"]
            level_list = ["CRITICAL"]
          }
          webhook_parameters {
            webhook_parameters_id = "monitor"
            protocol              = "https"
            method                = "POST"
            url                   = "https://hooks.example.com/monitor"
          }
        }"#;
    let code = Code::new(&[("main.tf", terraform)]);
    let outcome = code.import(&[]);
    assert_eq!(outcome.code, 0, "{}", outcome.stderr);
    let failed = code.rule("failed-hook");
    for part in [
        "content.result == \"failed\"",
        "enabled = false",
        "send(\"hook\", event);",
    ] {
        assert!(failed.contains(part), "{part}: {failed}");
    }
    assert!(
        outcome.stdout.contains("[targets.\"robot\"]"),
        "{}",
        outcome.stdout
    );
    let queue = "target queue of type acs.mns.queue, of which a part is not known";
    assert!(outcome.stderr.contains(queue), "{}", outcome.stderr);
    let stalled = code.rule("stalled");
    for part in [
        "level == \"CRITICAL\"",
        "notify = [\"monitor\"]",
        "every = \"100s\"",
    ] {
        assert!(stalled.contains(part), "{part}: {stalled}");
    }
    assert!(
        outcome.stdout.contains("[targets.\"monitor\"]"),
        "{}",
        outcome.stdout
    );
}
