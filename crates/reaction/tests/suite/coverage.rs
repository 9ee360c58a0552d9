//! The lines of a script that ran.

use std::collections::BTreeSet;

use reflexarc_reaction::{Input, MemoryState};

use crate::{compile, event, now, rule};

/// Runs the script. A comment marks lines with a statement that runs (`// +`) or does not (`// -`).
fn check(script: &str) {
    let marked = |mark: &str| -> BTreeSet<usize> {
        (1..)
            .zip(script.lines())
            .filter(|(_, line)| line.ends_with(mark))
            .map(|(number, _)| number)
            .collect()
    };
    let reaction = compile(script);
    let (event, rule, state) = (event(), rule(), MemoryState::new());
    let input = Input::new(&event, &rule, now());
    let (traced, ran) = reaction.run_traced(&input, &state);
    assert_eq!(
        format!("{traced:?}"),
        format!("{:?}", reaction.run(&input, &state)),
        "tracing changes nothing"
    );
    assert_eq!(ran, marked("// +"), "lines that ran in\n{script}");
    assert_eq!(
        reaction.lines(),
        &marked("// +") | &marked("// -"),
        "lines with statements in\n{script}"
    );
}

#[test]
fn branches_loops_and_functions_are_traced_by_line() {
    check(
        r#"
// A comment.
fn used(x) {
    let y = x + 1;  // +
    if y > 100 {  // +
        return 0;  // -
    }
    y  // +
}

fn unused() {
    log("never");  // -
}

let n = used(1);  // +
if n == 2 {  // +
    log("two");  // +
} else if n == 3 {  // -
    log("three");  // -
} else {
    log("more");  // -
}
while n < 5 {  // +
    n += 1;  // +
    if n == 3 { continue; }  // +
    switch n {  // +
        4 => log("four"),  // +
        77 => {
            log("seventy-seven");  // -
        }
        _ => (),  // +
    }
}
for ip in [1, 2].filter(|x|  // +
    x > 1  // +
) {
    log(ip);  // +
}
let text = `${  // +
    n + 1  // +
}`;
try {  // +
    throw "x";  // +
} catch (problem) {
    log(problem);  // +
}
notify("t", #{  // +
    text: text,
    level: if n > 100 { "warn" } else { "info" },  // +
});
skip("done");  // +
log("after");  // -
"#,
    );
}

#[test]
fn a_failure_ends_the_trace() {
    check("let a = 1;  // +\nevent.nowhere.deeper;  // +\nlog(a);  // -\n");
}

#[test]
fn an_empty_script_has_no_lines() {
    check("");
}
