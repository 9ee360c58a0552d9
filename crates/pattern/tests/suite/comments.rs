//! Formatting keeps comments: each one once, in order, beside the condition that it is about.

use std::fmt::Write as _;

use proptest::collection::vec;
use proptest::prelude::*;
use reflexarc_pattern::{Node, Pattern};

use crate::generate;

fn parse(text: &str) -> Pattern {
    text.parse()
        .unwrap_or_else(|error| panic!("{text}\n{error}"))
}

/// A condition over the terms `t0 == 0`, `t1 in [1, 1]` and so on, with a comment in most gaps.
#[derive(Debug, Clone)]
enum Text {
    Term(u8),
    Not(Box<Text>),
    Joined(bool, Vec<Text>),
}

fn texts() -> impl Strategy<Value = Text> {
    any::<u8>()
        .prop_map(Text::Term)
        .prop_recursive(3, 12, 4, |inner| {
            prop_oneof![
                1 => inner.clone().prop_map(|text| Text::Not(Box::new(text))),
                3 => (any::<bool>(), vec(inner, 2..4))
                    .prop_map(|(and, parts)| Text::Joined(and, parts)),
            ]
        })
}

/// Writes a text with comments, and counts its terms and comments.
struct Writer {
    text: String,
    terms: usize,
    comments: usize,
    /// The comments at the end of the line of a term, with the number of the term.
    trailing: Vec<(usize, usize)>,
    choices: Vec<u8>,
}

impl Writer {
    fn write(&mut self, text: &Text) {
        match text {
            Text::Term(kind) => {
                self.own_line();
                let n = self.terms;
                self.terms += 1;
                let term = match kind % 4 {
                    0 => format!("t{n} == {n}"),
                    1 => format!("t{n} in [\"[\", {n}]"),
                    2 => format!("t{n} (== \"#\" or > {n})"),
                    _ => format!("{n} < t{n} <= 900"),
                };
                self.text.push_str(&term);
                if self.choice().is_multiple_of(3) {
                    self.trailing.push((self.comments, n));
                    self.comment("  ");
                }
            }
            Text::Not(inner) => {
                self.text.push_str("not (");
                self.write(inner);
                self.own_line();
                self.text.push(')');
            }
            Text::Joined(and, parts) => {
                self.text.push('(');
                for (i, part) in parts.iter().enumerate() {
                    if i > 0 {
                        self.own_line();
                        self.text.push_str(if *and { " and " } else { " or " });
                    }
                    self.write(part);
                }
                self.own_line();
                self.text.push(')');
            }
        }
    }

    fn own_line(&mut self) {
        if self.choice().is_multiple_of(4) {
            self.comment("\n");
        }
    }

    fn comment(&mut self, before: &str) {
        let marker = if self.choice().is_multiple_of(2) {
            "#"
        } else {
            "//"
        };
        writeln!(self.text, "{before}{marker} c{}; (why [", self.comments).expect("text");
        self.comments += 1;
    }

    fn choice(&mut self) -> u8 {
        let choice = self.choices.pop().unwrap_or(1);
        self.choices
            .insert(0, choice.wrapping_mul(31).wrapping_add(7));
        choice
    }
}

/// The terms and comments of a text in order: `t0`, `c0;`.
fn sequence(text: &str) -> Vec<&str> {
    let words = text.split(|c: char| c.is_whitespace() || c == '(' || c == ')');
    words
        .filter(|word| is_label(word, 't', "") || is_label(word, 'c', ";"))
        .collect()
}

fn is_label(word: &str, letter: char, end: &str) -> bool {
    let number = word
        .strip_prefix(letter)
        .and_then(|rest| rest.strip_suffix(end));
    number.is_some_and(|number| number.parse::<usize>().is_ok())
}

proptest! {
    #[test]
    fn comments_stay_beside_their_conditions(text in texts(), choices in vec(any::<u8>(), 16)) {
        let mut writer = Writer {
            text: String::new(),
            terms: 0,
            comments: 0,
            trailing: Vec::new(),
            choices,
        };
        writer.write(&text);
        let pattern = parse(&writer.text);
        let formatted = pattern.format();
        let again = parse(&formatted);
        prop_assert_eq!(again.node(), pattern.node(), "{}\n\n{}", writer.text, formatted);
        prop_assert_eq!(
            sequence(&formatted), sequence(&writer.text), "{}\n\n{}", writer.text, formatted
        );
        for (comment, term) in &writer.trailing {
            let label = format!(" c{comment};");
            let line = formatted.lines().find(|line| line.contains(&label)).unwrap_or_default();
            let is_beside = line.contains(&format!("t{term} "));
            prop_assert!(is_beside, "{label} {term}\n{}\n\n{}", writer.text, formatted);
        }
        prop_assert_eq!(again.format(), formatted);
    }

    #[test]
    fn no_comment_is_lost_or_moved_past_another(
        node in generate::nodes(),
        positions: u64,
        own_lines: u64,
    ) {
        let pattern = Pattern::from_node(node);
        let (text, count) = with_comments(&pattern.to_expression(), positions, own_lines);
        let parsed = parse(&text);
        prop_assert_eq!(parsed.node(), pattern.node(), "{}", text);
        let formatted = parsed.format();
        let again = parse(&formatted);
        prop_assert_eq!(again.node(), pattern.node(), "{}\n\n{}", text, formatted);
        let found: Vec<&str> = formatted.split("# c").skip(1).collect();
        prop_assert_eq!(found.len(), count, "{}\n\n{}", text, formatted);
        for (number, rest) in found.iter().enumerate() {
            let label = format!("{number};");
            prop_assert!(rest.starts_with(&label), "{}\n\n{}", text, formatted);
        }
        prop_assert_eq!(again.format(), formatted, "{}", text);
    }
}

proptest! {
    #[test]
    fn comments_of_json_stay_beside_their_members(
        members in vec((any::<bool>(), 0..3u8, any::<bool>()), 1..6),
    ) {
        let (mut text, mut comments, mut trailing) = (String::from("{"), 0, Vec::new());
        let mut comment = |text: &mut String| {
            writeln!(text, "# c{comments}; ] }}").expect("text");
            comments += 1;
            comments - 1
        };
        for (n, (own_line, at_end, nested)) in members.iter().enumerate() {
            if *own_line {
                text.push('\n');
                comment(&mut text);
            }
            let key = if *nested {
                format!("\"t{n}\":{{a: [{n}]}}")
            } else {
                format!("t{n} :[{n},1]")
            };
            text.push_str(&key);
            // Before the comma, after it, or none.
            text.push_str(if *at_end == 1 { " , " } else { " " });
            if *at_end > 0 {
                trailing.push((comment(&mut text), n));
            }
            text.push_str(if *at_end == 1 { "" } else { "," });
        }
        text.push('}');
        let pattern = parse(&text);
        let formatted = pattern.format();
        let again = parse(&formatted);
        prop_assert_eq!(again.node(), pattern.node(), "{}\n\n{}", text, formatted);
        let label = |word: &str| word.trim_matches(['"', ':', '{']).to_owned();
        let sequence = |text: &str| -> Vec<String> {
            let words = text
                .split([' ', '\n', ','])
                .map(|word| word.split(":[").next().unwrap_or(word));
            let words = words.map(|word| label(word.split(":{").next().unwrap_or(word)));
            words.filter(|word| is_label(word, 't', "") || is_label(word, 'c', ";")).collect()
        };
        prop_assert_eq!(sequence(&formatted), sequence(&text), "{}\n\n{}", text, formatted);
        for (comment, term) in trailing {
            let label = format!(" c{comment};");
            let line = formatted.lines().find(|line| line.contains(&label)).unwrap_or_default();
            let is_beside = line.contains(&format!("\"t{term}\""));
            prop_assert!(is_beside, "{text}\n\n{formatted}");
        }
        prop_assert_eq!(again.format(), formatted);
    }
}

/// The expression with numbered comments in place of some of its spaces.
fn with_comments(expression: &str, positions: u64, own_lines: u64) -> (String, usize) {
    let (mut text, mut count, mut position) = (String::new(), 0, 0);
    let (mut in_string, mut escaped) = (false, false);
    for letter in expression.chars() {
        text.push(letter);
        if letter == ' ' && !in_string {
            if positions >> (position % 64) & 1 == 1 {
                let own_line = own_lines >> (position % 64) & 1 == 1;
                text.push_str(if own_line { "\n" } else { "" });
                writeln!(text, "# c{count};").expect("text");
                count += 1;
            }
            position += 1;
        }
        in_string ^= letter == '"' && !escaped;
        escaped = letter == '\\' && !escaped;
    }
    (text, count)
}

#[test]
fn trailing_comment_stays_with_the_condition_before_it() {
    let cases = [
        (
            "a == 1 and b == 2  # about b",
            "a == 1\nand b == 2  # about b",
        ),
        ("a == 1 # a\nand b == 2", "a == 1  # a\nand b == 2"),
        ("a == 1 and # a\nb == 2", "a == 1  # a\nand b == 2"),
        (
            "a == 1 or (b == 2 and c == 3) # bc",
            "a == 1\nor (b == 2 and c == 3)  # bc",
        ),
        (
            "(a == 1 # a\n or b == 2) and c == 3 # c",
            "(\n    a == 1  # a\n    or b == 2\n)\nand c == 3  # c",
        ),
        ("(a == 1\n) # a\nand b == 2", "a == 1  # a\nand b == 2"),
        ("not (a == 1 # a\n)", "not (\n    a == 1  # a\n)"),
        (
            "not a == 1 # a\nand b == 2",
            "not (a == 1)  # a\nand b == 2",
        ),
        (
            "a in [ # which\n\"x\", # one\n\"y\" # two\n] # a\nor b == 2",
            "a in [\n  # which\n  \"x\",  # one\n  \"y\"  # two\n]  # a\nor b == 2",
        ),
        (
            "a (== \"x\" # one\n or starts with \"y\" # two\n) # a",
            "a (\n    == \"x\"  # one\n    or starts with \"y\"  # two\n)  # a",
        ),
        (
            "a == 1\n# or rather:\n# a == 2\nand (\n# either\nb == 2\n# or b == 3\n or c == 3)",
            "a == 1\n# or rather:\n# a == 2\nand (\n    # either\n    b == 2\n    # or b == 3\n    \
             or c == 3\n)",
        ),
        (
            "a == 1 and (# either\nb == 2 or c == 3)",
            "a == 1\n# either\nand (b == 2 or c == 3)",
        ),
        ("a == # five\n 5", "a == 5  # five"),
        (
            "{\"a\": [1], \"b\": [2]} # b",
            "{\"a\": [1], \"b\": [2]}  # b",
        ),
        (
            "{\"a\": [1], \"b\": [2] # b\n}",
            "{\n  \"a\": [1],\n  \"b\": [2]  # b\n}",
        ),
    ];
    for (text, formatted) in cases {
        assert_eq!(parse(text).format(), formatted, "{text}");
        assert_eq!(parse(formatted).format(), formatted, "{text}");
    }
}

#[test]
fn deeply_nested_comments_are_kept() {
    let depth = 40;
    let mut text = String::from("x == 1 # x\n");
    for level in 0..depth {
        let connective = if level % 2 == 0 { "and" } else { "or" };
        text = format!("a{level} == 1 # a{level}\n {connective} ({text})");
    }
    let pattern = parse(&text);
    let formatted = pattern.format();
    assert_eq!(formatted.matches('#').count(), depth + 1);
    assert_eq!(parse(&formatted).node(), pattern.node());
    let Node::Any(_) = pattern.node() else {
        panic!("a disjunction")
    };
}
