//! Warnings about fields of envelopes that rules do not see: events of Alibaba Cloud are converted
//! to the native form first.

// A field is reported only where the filter shows that it means an event which is converted: the
// same conjunction has a field of the native form, or, in a rule, its value is one of Alibaba
// Cloud. `type == "com.example.order"` is about a CloudEvent that stays as it is, and so is
// `type == "ecs:Disk:Stalled"` outside of rules, where a pattern matches events as they came.

use reflexarc_diagnostic::{Code, Diagnostic};
use reflexarc_pattern::Predicate;
use reflexarc_pattern::spanned::{Kind, SpannedField, SpannedNode};

/// The first keys of fields of CloudEvents, webhooks and AWS, and the native form's fields.
const ENVELOPE: [(&str, Option<&str>); 13] = [
    ("type", Some("name")),
    ("source", Some("product")),
    ("data", Some("content")),
    ("subject", Some("resourceId")),
    ("aliyunaccountid", Some("userId")),
    ("aliyunregionid", Some("regionId")),
    ("detail", Some("content")),
    ("detail-type", Some("name")),
    ("specversion", None),
    ("datacontenttype", None),
    ("alert", Some("content")),
    ("dataschema", None),
    ("eventContentMap", Some("content")),
];

/// Which warnings are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Evidence {
    /// Those about fields beside fields of the native form.
    NativeFields,
    /// Those about values of Alibaba Cloud.
    Values,
}

/// The warnings about a pattern with this source.
pub(super) fn warnings(tree: &SpannedNode, source: &str, evidence: Evidence) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    visit(tree, false, &mut |field, is_native| {
        let is_wanted = match evidence {
            Evidence::NativeFields => is_native,
            Evidence::Values => !is_native && has_alibaba_value(field),
        };
        if is_wanted {
            found.extend(warning(field, source));
        }
    });
    found
}

/// Calls `check` with each field, and whether a field of the native form is in the same
/// conjunction.
fn visit(node: &SpannedNode, is_native: bool, check: &mut impl FnMut(&SpannedField, bool)) {
    match &node.kind {
        Kind::All(parts) => {
            let is_native = is_native || parts.iter().any(is_about_native);
            for part in parts {
                visit(part, is_native, check);
            }
        }
        Kind::Any(parts) => {
            for part in parts {
                visit(part, is_native, check);
            }
        }
        Kind::Not(inner) => visit(inner, is_native, check),
        Kind::Field(field) => check(field, is_native),
    }
}

/// Whether a node shows that the filter is about events in the native form.
fn is_about_native(node: &SpannedNode) -> bool {
    match &node.kind {
        Kind::All(parts) => parts.iter().any(is_about_native),
        Kind::Any(parts) => parts.iter().all(is_about_native),
        Kind::Not(inner) => is_about_native(inner),
        // Many events have a `name`, a `level` or a `userId`.
        Kind::Field(field) => match field.path.as_str() {
            "product" | "resourceId" | "regionId" | "eventTime" => true,
            "name" => texts(field).any(|text| text.contains(':')),
            path => path.starts_with("content."),
        },
    }
}

/// A field of an envelope in a rule about events in the native form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EnvelopeField {
    /// Its first key.
    pub(crate) first: &'static str,
    /// The key of the native form, if there is one.
    pub(crate) native: Option<&'static str>,
    /// Whether the native field has the same values.
    pub(crate) is_same_value: bool,
}

impl EnvelopeField {
    fn of(path: &str) -> Option<Self> {
        let (first, native) = ENVELOPE
            .into_iter()
            .find(|(key, _)| path == *key || path.strip_prefix(key).is_some_and(is_below))?;
        // The other fields have other values too.
        let is_same_value = matches!(
            first,
            "data" | "subject" | "aliyunaccountid" | "aliyunregionid"
        );
        Some(Self {
            first,
            native,
            is_same_value,
        })
    }

    /// What is wrong with it.
    pub(crate) fn message(&self) -> String {
        format!(
            "rules do not see `{}` of events of Alibaba Cloud",
            self.first
        )
    }
}

/// The field of an envelope that a path names, if the filter shows that it is about events in the
/// native form, which do not have it.
pub(super) fn lookup(path: &str, tree: &SpannedNode) -> Option<EnvelopeField> {
    EnvelopeField::of(path).filter(|_| is_about_native(tree))
}

fn warning(field: &SpannedField, source: &str) -> Option<Diagnostic> {
    let found = EnvelopeField::of(field.path.as_str())?;
    let (first, native) = (found.first, found.native);
    // `type is missing` keeps events of other forms out, and is right.
    if field
        .predicates()
        .all(|one| one.predicate == Predicate::Missing)
    {
        return None;
    }
    let help = match (first, native) {
        ("type", _) => "in the native form it is `name`, without `ecs:`".to_owned(),
        ("source", _) => "in the native form it is `product`, such as \"ECS\"".to_owned(),
        (_, Some(native)) => format!("in the native form it is `{native}`"),
        (_, None) => "the native form does not have it; remove the condition".to_owned(),
    };
    let warning = Diagnostic::warning(Code::ENVELOPE_FIELD, field.key.clone(), found.message())
        .with_help(help);
    let key = &source[field.key.clone()];
    Some(match (native, key.starts_with(first)) {
        (Some(native), true) if found.is_same_value => {
            let span = field.key.start..field.key.start + first.len();
            warning.with_fix(span, native)
        }
        _ => warning,
    })
}

fn is_below(rest: &str) -> bool {
    rest.starts_with('.')
}

/// Whether a value that the field is compared with is one of Alibaba Cloud.
fn has_alibaba_value(field: &SpannedField) -> bool {
    let prefixes: &[&str] = match field.path.as_str() {
        "source" => &["acs.", "acs:"],
        "type" => &["ecs:"],
        "subject" => &["acs:"],
        "aliyunaccountid" | "aliyunregionid" => return true,
        _ => return false,
    };
    texts(field).any(|text| prefixes.iter().any(|prefix| text.starts_with(prefix)))
}

fn texts(field: &SpannedField) -> impl Iterator<Item = &str> {
    field.predicates().filter_map(|one| match &one.predicate {
        Predicate::Text(_, text) | Predicate::TextIgnoringCase(_, text) => Some(&**text),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::{FilterVocabulary, check_vocabulary};
    use super::*;
    use crate::RuleSetLimits;
    use reflexarc_pattern::Pattern;

    /// The findings about the filter of a rule.
    fn found_in_rule(pattern: &Pattern) -> Vec<Diagnostic> {
        let spanned = pattern.spanned().expect("a valid source");
        FilterVocabulary::new(&spanned, &RuleSetLimits::DEFAULT).findings_in_rule()
    }

    /// The parts of the filter that are reported: in rules, and beside native fields only.
    fn reported(text: &str) -> (Vec<&str>, usize) {
        let pattern: Pattern = text
            .parse()
            .unwrap_or_else(|error| panic!("{text}: {error}"));
        let of_envelopes = |found: &Diagnostic| found.code == Code::ENVELOPE_FIELD;
        let in_rules = found_in_rule(&pattern);
        let in_rules = in_rules.iter().filter(|found| of_envelopes(found));
        let in_rules = in_rules.map(|found| &text[found.span.clone()]).collect();
        let anywhere = check_vocabulary(&pattern);
        (
            in_rules,
            anywhere.iter().filter(|found| of_envelopes(found)).count(),
        )
    }

    #[test]
    fn fields_of_envelopes_beside_native_ones_are_reported() {
        for (text, parts) in [
            (
                r#"type == "x" and content.result == "failed""#,
                vec!["type"],
            ),
            (r#"data.a == 1 and product == "ECS""#, vec!["data.a"]),
            (
                r#"(source == "a" or detail.x == 1) and content.a == 1"#,
                vec!["source", "detail.x"],
            ),
            (
                r#"content.a == 1 and (name == "b" and not (subject == "c"))"#,
                vec!["subject"],
            ),
            (
                r#"name == "Disk:Stalled" and specversion == "1.0""#,
                vec!["specversion"],
            ),
            (
                r#"{"source": ["acs.ecs"], "content": {"a": [1]}}"#,
                vec!["\"source\""],
            ),
            (
                r#"{"data": {"a": [1]}, "resourceId": ["x"]}"#,
                vec!["\"a\""],
            ),
        ] {
            assert_eq!(reported(text), (parts.clone(), parts.len()), "{text}");
        }
    }

    #[test]
    fn values_of_alibaba_cloud_are_reported_in_rules() {
        for (text, part) in [
            (r#"source == "acs.ecs""#, "source"),
            (r#"type in ["ecs:Disk:Stalled"] and data.a == 1"#, "type"),
            (r#"type starts with "ecs:" or a == 1"#, "type"),
            (r#"aliyunregionid == "cn-hangzhou""#, "aliyunregionid"),
        ] {
            assert_eq!(reported(text), (vec![part], 0), "{text}");
        }
    }

    #[test]
    fn filters_about_other_events_are_not_reported() {
        for text in [
            r#"type == "com.example.order" and data.a == 1"#,
            r#"source == "aws.ec2" and detail.state == "stopped" and region == "x""#,
            r#"name == "x" and type == "y" and level == "info""#,
            r#"content.a == 1 or type == "x""#,
            r#"content.a == 1 and type is missing"#,
            r#"content.type == "x" and content.data.a == 1 and database == "y""#,
            r#"content.a == 1 and typed == 1 and "data-x" == 1"#,
        ] {
            assert_eq!(reported(text), (vec![], 0), "{text}");
        }
    }

    #[test]
    fn fixes_name_the_native_field() {
        for (text, expected) in [
            (
                r#"data.a == 1 and content.b == 2 and subject exists and aliyunregionid == "r""#,
                r#"content.a == 1 and content.b == 2 and resourceId exists and regionId == "r""#,
            ),
            (
                r#"not (data.a.data == "data") and regionId exists"#,
                r#"not (content.a.data == "data") and regionId exists"#,
            ),
            (
                r#"aliyunaccountid in ["1", "2"] or (subject like "acs:*" and product exists)"#,
                r#"userId in ["1", "2"] or (resourceId like "acs:*" and product exists)"#,
            ),
        ] {
            let pattern: Pattern = text.parse().unwrap();
            let mut changed = text.to_owned();
            for found in found_in_rule(&pattern).iter().rev() {
                let fix = found.fix.as_ref().expect("a fix");
                changed.replace_range(fix.span.clone(), &fix.replacement);
            }
            assert_eq!(changed, expected);
            assert_eq!(reported(expected), (vec![], 0), "{expected}");
        }
        // Other values, or a key that is not written as it is in an expression.
        for text in [
            r#"type == "ecs:Disk:Stalled""#,
            r#"source == "acs.ecs""#,
            r#"detail.a == 1 and content.b == 2"#,
            r#""data".a == 1 and content.b == 2"#,
            r#"{"data": {"a": [1]}, "content": {"b": [2]}}"#,
            r#"{"data.a": [1], "content": {"b": [2]}}"#,
        ] {
            let pattern: Pattern = text.parse().unwrap();
            let found = found_in_rule(&pattern);
            assert!(
                found.len() == 1 && found[0].fix.is_none(),
                "{text}: {found:?}"
            );
        }
    }
}
