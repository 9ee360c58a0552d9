//! Limits, each reached by a small input, and functions of all formats.

use std::path::PathBuf;

use super::*;

/// Limits that are reached quickly.
const SMALL: IacLimits = IacLimits {
    evaluation: 200_000,
    ..IacLimits::DEFAULT
};

/// Files in a folder.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        Self(folder)
    }

    fn import(&self, limits: &IacLimits) -> Result<(Import, Report), String> {
        let paths: [PathBuf; 1] = [self.0.path().to_owned()];
        import_within(&paths, &Settings::default(), limits).map_err(|error| error.to_string())
    }

    /// The filters, or why they are not imported, by name.
    fn filters(&self) -> Vec<(String, String)> {
        self.filters_within(&IacLimits::DEFAULT)
    }

    fn filters_within(&self, limits: &IacLimits) -> Vec<(String, String)> {
        let (import, report) = self.import(limits).unwrap();
        assert!(report.faulty.is_empty(), "{:?}", report.faulty);
        assert!(
            import.invalid_filters.is_empty(),
            "{:?}",
            import.invalid_filters
        );
        let compact = |text: &str| reflexarc_event::Json::parse(text).unwrap().to_string();
        let drafts = import.drafts.iter();
        let drafts = drafts.map(|draft| (draft.name.clone(), compact(&draft.when)));
        let skipped = import.skipped.iter();
        let skipped = skipped.map(|(label, reason)| {
            let name = label.split(' ').next().unwrap_or_default();
            (name.to_owned(), reason.clone())
        });
        drafts.chain(skipped).collect()
    }
}

fn template(pattern: &str) -> String {
    format!(
        "Resources:\n  A:\n    Type: AWS::Events::Rule\n    Properties:\n      EventPattern: {pattern}\n"
    )
}

#[test]
fn large_files_and_many_files_are_refused() {
    let text = template("{source: [a]}");
    let folder = Folder::new(&[("a.yaml", &text), ("b.yaml", &text)]);
    let limits = IacLimits {
        file_bytes: text.len() - 1,
        ..IacLimits::DEFAULT
    };
    let (import, report) = folder.import(&limits).unwrap();
    assert!(import.drafts.is_empty());
    assert_eq!(report.faulty.len(), 2);
    assert!(
        report.faulty[0].1.contains("more than the"),
        "{:?}",
        report.faulty
    );
    let limits = IacLimits {
        files: 1,
        ..IacLimits::DEFAULT
    };
    let error = folder.import(&limits).unwrap_err();
    assert_eq!(error, "more than 1 files; import parts of them");
}

#[test]
fn deep_folders_are_refused() {
    let text = template("{source: [a]}");
    let folder = Folder::new(&[("a/b/c.yaml", &text), ("d.yaml", &text)]);
    let limits = IacLimits {
        folders: 1,
        ..IacLimits::DEFAULT
    };
    let (import, report) = folder.import(&limits).unwrap();
    assert_eq!(import.drafts.len(), 1);
    assert_eq!(report.faulty[0].1, "more than 1 folders below one another");
}

#[test]
fn many_rules_are_refused() {
    let rules = r#"
        resource "aws_cloudwatch_event_rule" "a" {
          count         = 1000000
          event_pattern = jsonencode({ source = ["a${count.index}"] })
        }"#;
    let folder = Folder::new(&[("main.tf", rules)]);
    let limits = IacLimits {
        patterns: 10,
        ..IacLimits::DEFAULT
    };
    let error = folder.import(&limits).unwrap_err();
    assert_eq!(error, "more than 10 rules; import parts of the files");
}

#[test]
fn deep_documents_are_reported() {
    let deep = format!("{}a{}", "[".repeat(70), "]".repeat(70));
    let json = format!("{{\"AWS::Events::Rule\": {}}}", deep.replace('a', "1"));
    let hcl = format!(
        "x = {}\n# aws_cloudwatch_event_rule",
        deep.replace('a', "1")
    );
    let folder = Folder::new(&[
        ("a.yaml", &template(&deep)),
        ("b.json", &json),
        ("c.tf", &hcl),
    ]);
    let (import, report) = folder.import(&IacLimits::DEFAULT).unwrap();
    assert!(import.drafts.is_empty());
    assert_eq!(report.faulty.len(), 3, "{:?}", report.faulty);
}

#[test]
fn members_of_objects_in_terraform_json_are_limited() {
    let most = IacLimits::TERRAFORM_JSON_MEMBERS;
    for (count, faults) in [(most, 0), (most + 1, 1)] {
        let members: Vec<String> = (0..count).map(|n| format!("\"m{n}\": 1")).collect();
        let json = format!(
            r#"{{"locals": {{"big": {{{}}}}}, "resource": {{"aws_cloudwatch_event_rule": {{}}}}}}"#,
            members.join(", ")
        );
        let (_, report) = Folder::new(&[("a.tf.json", &json)])
            .import(&IacLimits::DEFAULT)
            .unwrap();
        assert_eq!(report.faulty.len(), faults, "{count}: {:?}", report.faulty);
        let expected = format!("more than {most} members");
        assert!(
            report
                .faulty
                .iter()
                .all(|fault| format!("{fault:?}").contains(&expected))
        );
    }
}

#[test]
fn evaluations_are_limited() {
    // Each local is twice as long as the one before.
    let mut locals = "a0 = [\"x\"]\n".to_owned();
    let mut texts = "t0 = \"xxxxxxxxxx\"\n".to_owned();
    for n in 1..40 {
        let before = n - 1;
        locals += &format!("a{n} = concat(local.a{before}, local.a{before})\n");
        texts += &format!("t{n} = \"${{local.t{before}}}${{local.t{before}}}\"\n");
    }
    let terraform = format!(
        "locals {{\n{locals}{texts}c = local.d\nd = local.c\n}}\n\
         resource \"aws_cloudwatch_event_rule\" \"lists\" {{\n\
         event_pattern = jsonencode({{ source = local.a39 }})\n}}\n\
         resource \"aws_cloudwatch_event_rule\" \"circle\" {{\n\
         event_pattern = jsonencode({{ source = [local.c] }})\n}}\n"
    );
    let texts_only = format!(
        "locals {{\n{texts}}}\nresource \"aws_cloudwatch_event_rule\" \"texts\" {{\n\
         event_pattern = jsonencode({{ source = [local.t39] }})\n}}\n"
    );
    let folder = Folder::new(&[("a/main.tf", &terraform), ("b/main.tf", &texts_only)]);
    let filters = folder.filters_within(&SMALL);
    let reason = |name: &str| {
        let name = format!("aws_cloudwatch_event_rule.{name}");
        let found = filters.iter().find(|(found, _)| *found == name);
        found.map(|(_, reason)| reason.as_str()).unwrap_or_default()
    };
    let limit = "make more than 200000 values and bytes";
    assert!(reason("lists").contains(limit), "{filters:?}");
    assert!(reason("texts").contains(limit), "{filters:?}");
    // The limit holds for a whole module.
    let circle = reason("circle");
    assert!(
        circle.contains("refers to itself") || circle.contains(limit),
        "{circle}"
    );
}

#[test]
fn templates_that_grow_are_limited() {
    let yaml = format!(
        "Parameters: {{P: {{Type: String, Default: {}}}}}\n{}",
        "x".repeat(1_000),
        template(&format!("{{source: [!Sub '{}']}}", "${P}".repeat(1_000)))
    );
    let folder = Folder::new(&[("a.yaml", &yaml)]);
    let filters = folder.filters_within(&SMALL);
    assert!(
        filters[0].1.contains("make more than 200000"),
        "{:?}",
        filters[0].1.get(..200)
    );
}

#[test]
fn functions_of_cloudformation_are_evaluated() {
    let yaml = r#"
Parameters:
  Stage: {Type: String, Default: prod}
  List: {Type: CommaDelimitedList, Default: 'a, b'}
  Limit: {Type: Number, Default: 7}
  Secret: {Type: 'AWS::SSM::Parameter::Value<String>', Default: /path}
Mappings:
  M: {prod: {names: [x, y], one: z}}
Conditions:
  IsProd: !Equals [!Ref Stage, prod]
  Neither: !Not [!Or [!Condition IsProd, !Equals [a, a]]]
  Loop: !And [!Condition Loop, !Condition Loop]
Resources:
  Known:
    Type: AWS::Events::Rule
    Properties:
      EventPattern:
        a: !Ref List
        b: [!Sub 'x-${Stage}-${!literal}', !Sub ['${V}', {V: !Select [1, !Ref List]}]]
        c: !FindInMap [M, !Ref Stage, names]
        d: [!Join ['/', [!Ref Stage, !FindInMap [M, prod, one]]]]
        e: !If [IsProd, [in], [out]]
        f: !If [Neither, [in], !Ref AWS::NoValue]
        g: !Split [',', 'p,q']
        h: [{numeric: ['>', !Ref Limit]}]
        Ref: [r]
  Text:
    Type: AWS::Events::Rule
    Properties: {EventPattern: !Sub '{"source": ["${Stage}"]}'}
  Parameter:
    Type: AWS::Events::Rule
    Properties: {EventPattern: {source: [!Ref Secret]}}
  Dynamic:
    Type: AWS::Events::Rule
    Properties: {EventPattern: {source: ['{{resolve:ssm:/a}}']}}
  Circle:
    Type: AWS::Events::Rule
    Properties: {EventPattern: {source: !If [Loop, [a], [b]]}}
  'Fn::ForEach::Rules':
    - Name
    - [a, b]
    - 'Rule${Name}': {Type: AWS::Events::Rule}
"#;
    let folder = Folder::new(&[("a.yaml", yaml)]);
    let filters = folder.filters();
    let of = |name: &str| {
        let found = filters.iter().find(|(found, _)| found == name);
        found.map(|(_, filter)| filter.as_str()).unwrap_or_default()
    };
    let known = concat!(
        r#"{"a":["a","b"],"b":["x-prod-${literal}","b"],"c":["x","y"],"d":["prod/z"],"e":["in"],"#,
        r#""g":["p","q"],"h":[{"numeric":[">",7]}],"Ref":["r"]}"#
    );
    assert_eq!(of("Known"), known);
    assert_eq!(of("Text"), r#"{"source":["prod"]}"#);
    assert!(of("Parameter").contains("Parameter Store"), "{filters:?}");
    assert!(of("Dynamic").contains("resolve:ssm:/a"), "{filters:?}");
    assert!(of("Circle").contains("refer to one another"), "{filters:?}");
    assert!(
        of("Fn::ForEach::Rules").contains("not supported"),
        "{filters:?}"
    );
}

#[test]
fn expressions_of_terraform_are_evaluated() {
    let terraform = r#"
variable "names" {
  type    = list(string)
  default = ["b", "a"]
}
variable "rules" {
  default = {
    one = { source = "s1", extra = null }
    two = { source = "s2", extra = "x" }
  }
}
locals {
  prod   = var.names[0] == "b" && !false
  merged = merge({ source = ["a"] }, local.prod ? { account = ["1"] } : {})
}
resource "aws_cloudwatch_event_rule" "functions" {
  event_pattern = jsonencode({
    a = sort(var.names)
    b = [for n in var.names : upper(n) if n != "a"]
    c = { for k, v in var.rules : k => [v.source] }
    d = values(var.rules)[*].source
    e = [format("%s-%d", "x", 1), join(",", var.names), "t-${var.names[1]}-${1 + 2}"]
    f = [{ "anything-but" = ["y"] }]
    g = concat(var.names, ["c"])
    h = [lookup(var.rules, "none", "default"), try(var.none.x, "tried")]
    i = [length(var.names) > 1 ? "many" : "few"]
  })
}
resource "aws_cloudwatch_event_rule" "merged" {
  event_pattern = jsonencode(local.merged)
}
resource "aws_cloudwatch_event_rule" "heredoc" {
  event_pattern = <<-EOT
    {
      "source": ${jsonencode(var.names)},
      "detail": {"x": [%{ for n in var.names ~}"${n}-", %{ endfor ~}"last"]}
    }
  EOT
}
resource "aws_cloudwatch_event_rule" "escaped" {
  event_pattern = "{\"source\": [\"$${literal}\"]}"
}
resource "aws_cloudwatch_event_rule" "unsupported" {
  event_pattern = jsonencode({ source = [sha256("a")] })
}
"#;
    let folder = Folder::new(&[
        ("main.tf", terraform),
        ("x.auto.tfvars", "names = [\"b\", \"a\"]\n"),
    ]);
    let filters = folder.filters();
    let of = |name: &str| {
        let found = filters.iter().find(|(found, _)| found == name);
        found.map(|(_, filter)| filter.as_str()).unwrap_or_default()
    };
    let known = concat!(
        r#"{"a":["a","b"],"b":["B"],"c":{"one":["s1"],"two":["s2"]},"d":["s1","s2"],"#,
        r#""e":["x-1","b,a","t-a-3"],"f":[{"anything-but":["y"]}],"g":["b","a","c"],"#,
        r#""h":["default","tried"],"i":["many"]}"#
    );
    assert_eq!(of("functions"), known);
    assert_eq!(of("merged"), r#"{"account":["1"],"source":["a"]}"#);
    let heredoc = r#"{"source":["b","a"],"detail":{"x":["b-","a-","last"]}}"#;
    assert_eq!(of("heredoc"), heredoc);
    assert_eq!(of("escaped"), r#"{"source":["${literal}"]}"#);
    let unsupported = of("aws_cloudwatch_event_rule.unsupported");
    assert!(
        unsupported.contains("the function `sha256` is not supported"),
        "{filters:?}"
    );
}

#[test]
fn the_eventbridge_module_of_the_registry_is_read() {
    let terraform = r#"
module "eventbridge" {
  source = "terraform-aws-modules/eventbridge/aws"
  rules = {
    orders = {
      description   = "Orders"
      event_pattern = jsonencode({ source = ["myapp.orders"] })
      enabled       = false
    }
    crons = { schedule_expression = "rate(5 minutes)" }
  }
  targets = { orders = [{ name = "send-orders", arn = "arn:aws:sqs:a:1:q" }] }
}"#;
    let folder = Folder::new(&[("main.tf", terraform)]);
    let (import, report) = folder.import(&IacLimits::DEFAULT).unwrap();
    let [draft] = import.drafts.as_slice() else {
        panic!("{:?}", import.skipped)
    };
    assert!(draft.disabled);
    assert_eq!(draft.description, "Orders");
    assert_eq!(draft.omissions, ["target send-orders: arn:aws:sqs:a:1:q"]);
    assert_eq!(report.schedules.len(), 1);
}
