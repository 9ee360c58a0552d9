//! Events that are hard for matchers: long arrays, of scalars and of objects, side by side and
//! nested. An engine that tries every combination of elements turns quadratic or cubic here.

use std::fmt::Write as _;

/// A shape of event in growing sizes.
pub struct Shape {
    pub name: &'static str,
    pub pattern: &'static str,
    pub matches: bool,
    pub sizes: &'static [usize],
    make: fn(usize) -> String,
}

impl Shape {
    pub fn event(&self, size: usize) -> String {
        (self.make)(size)
    }
}

const EACH: &[usize] = &[500, 1000, 2000];

pub const SHAPES: [Shape; 9] = [
    Shape {
        name: "scalar array beside a scalar",
        pattern: r#"{"d":{"tags":[{"exists":true}],"type":[{"exists":true}]}}"#,
        matches: true,
        sizes: &[500, 1000, 2000, 3000],
        make: |n| format!(r#"{{"d":{{"tags":[{}],"type":"G"}}}}"#, texts("t", n)),
    },
    Shape {
        name: "scalar array, no element is right",
        pattern: r#"{"d":{"tags":["none"],"type":[{"exists":true}]}}"#,
        matches: false,
        sizes: EACH,
        make: |n| format!(r#"{{"d":{{"tags":[{}],"type":"G"}}}}"#, texts("t", n)),
    },
    Shape {
        name: "objects, each with both fields",
        pattern: r#"{"d":{"a":[{"exists":true}],"b":[{"exists":true}]}}"#,
        matches: true,
        sizes: EACH,
        make: |n| {
            format!(
                r#"{{"d":[{}]}}"#,
                list(n, |i| format!(r#"{{"a":"{i}","b":"{i}"}}"#))
            )
        },
    },
    Shape {
        name: "objects, only the last with both",
        pattern: r#"{"d":{"a":[{"exists":true}],"b":[{"exists":true}]}}"#,
        matches: true,
        sizes: EACH,
        make: |n| format!(r#"{{"d":[{},{{"a":"z","b":"z"}}]}}"#, list(n - 1, half)),
    },
    Shape {
        name: "objects, none with both",
        pattern: r#"{"d":{"a":[{"exists":true}],"b":[{"exists":true}]}}"#,
        matches: false,
        sizes: EACH,
        make: |n| format!(r#"{{"d":[{}]}}"#, list(n, half)),
    },
    Shape {
        name: "objects in objects",
        pattern: r#"{"a":{"b":{"x":[{"exists":true}],"y":[{"exists":true}]}}}"#,
        matches: true,
        sizes: &[50, 200, 500],
        make: |n| {
            let inner = |i: usize| list(10, move |j| format!(r#"{{"x":"{i}_{j}","y":"{i}_{j}"}}"#));
            format!(
                r#"{{"a":[{}]}}"#,
                list(n, |i| format!(r#"{{"b":[{}]}}"#, inner(i)))
            )
        },
    },
    Shape {
        name: "objects in objects, none with both",
        pattern: r#"{"a":{"b":{"x":[{"exists":true}],"y":[{"exists":true}]}}}"#,
        matches: false,
        sizes: &[50, 200, 500],
        make: |n| {
            let field = |i: usize, j: usize| {
                format!(
                    r#"{{"{}":"{i}"}}"#,
                    if (i + j) % 2 == 1 { "x" } else { "y" }
                )
            };
            format!(
                r#"{{"a":[{}]}}"#,
                list(n, |i| format!(r#"{{"b":[{}]}}"#, list(10, |j| field(i, j))))
            )
        },
    },
    Shape {
        name: "scalar arrays inside objects",
        pattern: r#"{"a":{"b":{"tags":[{"exists":true}],"type":[{"exists":true}]}}}"#,
        matches: true,
        sizes: EACH,
        make: |n| {
            let one = format!(r#"{{"b":{{"tags":[{}],"type":"G"}}}}"#, texts("t", n));
            format!(r#"{{"a":[{one},{one},{one}]}}"#)
        },
    },
    Shape {
        name: "two scalar arrays, the scalar is wrong",
        pattern: r#"{"tags":[{"exists":true}],"cats":[{"exists":true}],"v":["2"]}"#,
        matches: false,
        sizes: EACH,
        make: |n| {
            format!(
                r#"{{"tags":[{}],"cats":[{}],"v":"1"}}"#,
                texts("t", n),
                texts("c", n)
            )
        },
    },
];

/// The wildcards `*a*b*c0*`, `*a*b*c1*` …
pub fn wildcards(count: usize) -> Vec<String> {
    (0..count)
        .map(|i| format!(r#"{{"x":[{{"wildcard":"*a*b*c{i}*"}}]}}"#))
        .collect()
}

/// Values of about 1 KB for these wildcards, each with a description.
pub fn wildcard_values() -> Vec<(&'static str, String)> {
    let mut literals = String::new();
    let mut i = 100;
    while literals.len() < 1000 {
        // Each piece twice, so that many wildcards find theirs, at any position.
        write!(literals, "c{i}").expect("a string takes any text");
        i += 3;
    }
    vec![
        (
            "one match, 26 bytes",
            "xxxaxxxbxxxc7xxxxxxxxxxxxx".to_owned(),
        ),
        ("no match, abcabc…", "abc".repeat(341)),
        ("every piece, no match", format!("{literals}ab")),
        ("every piece, all match", format!("ab{literals}")),
        ("no match, aaaa…", "a".repeat(1024)),
    ]
}

fn half(i: usize) -> String {
    format!(r#"{{"{}":"{i}"}}"#, if i % 2 == 1 { "a" } else { "b" })
}

fn texts(prefix: &str, count: usize) -> String {
    list(count, |i| format!(r#""{prefix}{i}""#))
}

fn list(count: usize, element: impl Fn(usize) -> String) -> String {
    (0..count).map(element).collect::<Vec<_>>().join(",")
}
