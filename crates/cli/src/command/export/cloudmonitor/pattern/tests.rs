//! Filters and their patterns.

use super::*;

fn filter(text: &str) -> MonitorFilter {
    let pattern: Pattern = text.parse().unwrap();
    MonitorFilter::of(pattern.node(), None).unwrap()
}

#[test]
fn products_names_levels_and_types_are_patterns() {
    let found = filter(
        "product == \"ECS\" and name (== \"Disk:Stalled\" or starts with \"Disk:Stalled:\") \
         and level in [\"WARN\", \"CRITICAL\"] and eventType == \"Exception\" \
         and groupId == \"4711\"",
    );
    let pattern = MonitorPattern {
        product: "ECS".to_owned(),
        names: vec!["Disk:Stalled".to_owned()],
        levels: vec!["WARN".to_owned(), "CRITICAL".to_owned()],
        types: vec!["Exception".to_owned()],
        keyword: None,
    };
    assert_eq!(found.patterns, [pattern]);
    assert_eq!(
        (found.group.as_deref(), found.left_out.len()),
        (Some("4711"), 0)
    );
    assert_eq!(found.notes, [""; 0]);
}

#[test]
fn alternatives_are_patterns_of_their_own() {
    let found = filter(
        "product in [\"ECS\", \"RDS\"] \
         and (level == \"WARN\" or name == \"Disk:Stalled:Executed\")",
    );
    assert_eq!(found.patterns.len(), 4);
    // Types as imports write them.
    let of_type = Pattern::from_node(of_types(&["Maintenance"]));
    let found = filter(&format!(
        "product == \"ECS\" and ({})",
        of_type.to_expression()
    ));
    assert_eq!(found.patterns.len(), 1);
    assert_eq!(found.patterns[0].types, ["Maintenance"]);
    assert_eq!(found.left_out, []);
}

#[test]
fn other_conditions_are_left_out() {
    let found = filter(
        "content.result == \"failed\" and not (name == \"a\") and level == \"high\" \
         and name like \"Disk:*\"",
    );
    let texts: Vec<&str> = found.left_out.iter().map(|one| one.text.as_str()).collect();
    assert_eq!(
        texts,
        [
            "`content.result == \"failed\"`",
            "`not (name == \"a\")`",
            "`level == \"high\"`",
            "`name like \"Disk:*\"`"
        ]
    );
    assert_eq!(found.patterns.len(), 1);
    assert_eq!(
        found.notes,
        ["Cloud Monitor compares the product: it is ECS"]
    );
}

#[test]
fn beginnings_of_names_become_the_documented_ones() {
    let found = filter("name starts with \"NetworkInterface:\"");
    assert!(found.patterns[0].names.len() > 3, "{found:?}");
    assert!(
        found
            .notes
            .iter()
            .any(|note| note.contains("that are documented"))
    );
    let found = filter("name starts with \"Disk:Stalled:\"");
    assert_eq!(
        found.patterns[0].names,
        ["Disk:Stalled:Executing", "Disk:Stalled:Executed"]
    );
    let found = filter("name == \"Disk:Stalled\"");
    assert!(
        found
            .notes
            .iter()
            .any(|note| note.contains("with a status"))
    );
}

#[test]
fn lists_and_patterns_have_limits() {
    let names = |count: usize| {
        let names: Vec<String> = (0..count).map(|n| format!("\"Disk:N{n}\"")).collect();
        format!("name in [{}]", names.join(", "))
    };
    assert_eq!(filter(&names(50)).patterns.len(), 1);
    assert_eq!(filter(&names(51)).patterns.len(), 2);
    let many: Vec<String> = (0..51)
        .map(|n| format!("product == \"P{n}\" and level == \"WARN\""))
        .collect();
    let pattern: Pattern = many.join(" or ").parse().unwrap();
    assert!(MonitorFilter::of(pattern.node(), None).is_err());
}
