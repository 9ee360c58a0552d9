//! The language reference: its examples are true, and it shows every operator.

use reflexarc_event::Event;
use reflexarc_pattern::{Dialect, Pattern, REFERENCE};

/// The fenced blocks of the reference, each with its info string.
fn blocks() -> Vec<(String, String)> {
    let mut blocks: Vec<(String, String)> = Vec::new();
    let mut open = false;
    for line in REFERENCE.lines() {
        match line.strip_prefix("```") {
            Some(info) if !open => {
                open = true;
                blocks.push((info.to_owned(), String::new()));
            }
            Some(_) => open = false,
            None if open => {
                let (_, text) = blocks.last_mut().expect("a block is open");
                text.push_str(line);
                text.push('\n');
            }
            None => {}
        }
    }
    assert!(!open, "unclosed block");
    blocks
}

#[test]
fn every_example_is_true() {
    let mut patterns: Vec<Pattern> = Vec::new();
    let mut in_pattern = false;
    let mut checked = 0;
    for (info, text) in blocks() {
        let is_pattern = info.ends_with(" pattern");
        if is_pattern && !in_pattern {
            patterns.clear();
        }
        in_pattern = is_pattern;
        match info.as_str() {
            "json pattern" | "text pattern" => {
                let pattern = Pattern::parse(&text, Dialect::Reflexarc)
                    .unwrap_or_else(|errors| panic!("{text}: {errors:?}"));
                assert_eq!(
                    text.trim_start().starts_with('{'),
                    info == "json pattern",
                    "{text}"
                );
                if let Some(first) = patterns.first() {
                    assert_eq!(pattern.node(), first.node(), "{text}");
                }
                patterns.push(pattern);
            }
            "json matches" | "json does not match" => {
                assert_eq!(patterns.len(), 2, "an example shows both notations: {text}");
                for event in text.lines() {
                    let event =
                        Event::from_json(event).unwrap_or_else(|error| panic!("{event}: {error}"));
                    for pattern in &patterns {
                        assert_eq!(
                            pattern.matches(&event),
                            info == "json matches",
                            "{} {}",
                            pattern.source(),
                            event.tree()
                        );
                        checked += 1;
                    }
                }
            }
            "json rejected" => {
                for pattern in text.lines() {
                    assert!(
                        Pattern::parse(pattern, Dialect::Reflexarc).is_err(),
                        "{pattern}"
                    );
                    checked += 1;
                }
            }
            other => panic!("unknown info string: {other}"),
        }
    }
    assert!(checked > 100, "only {checked} examples");
}

#[test]
fn every_operator_is_shown() {
    let shown: String = blocks().into_iter().map(|(_, text)| text).collect();
    for operator in [
        "prefix",
        "suffix",
        "contains",
        "wildcard",
        "regexp",
        "equals-ignore-case",
        "numeric",
        "cidr",
        "exists",
        "anything-but",
        "$or",
        "$and",
        "$not",
    ] {
        assert!(shown.contains(&format!("\"{operator}\"")), "{operator}");
    }
    for operator in [
        "==",
        "<",
        "<=",
        ">",
        "in",
        "not in",
        "in cidr",
        "starts with",
        "ends with",
        "contains",
        "like",
        "matches",
        "exists",
        "is missing",
        "ignoring case",
        "and",
        "or",
        "not",
    ] {
        assert!(
            shown.contains(&format!(" {operator}")) || shown.contains(&format!("{operator} ")),
            "{operator}"
        );
    }
}
