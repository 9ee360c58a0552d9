//! One case of the bench `reaction`, repeated: to count its instructions, which are the same on a
//! busy machine.
//!
//! ```text
//! cargo bench -p reflexarc-reaction --bench instructions --no-run
//! valgrind --tool=callgrind --callgrind-out-file=/dev/null PROGRAM CASE COUNT
//! ```
//!
//! The cases: `bare`, rhai alone on a converted event; `run`, the reaction on an event whose tree
//! is there; `all`, from the bytes of the event; `read` and `tree`, the first two parts of that;
//! `template` and `message`, a template of four fields and the default message, from the bytes.
//! The difference of two counts, divided by that of the numbers, is one repetition.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a bench"
)]

#[path = "support/ten_lines.rs"]
mod ten_lines;

use std::hint::black_box;

use jiff::Timestamp;
use reflexarc_event::Event;
use reflexarc_reaction::{
    Input, NoState, Reaction, ReactionLimits, ScriptEvent, Template, default_message,
};

use self::ten_lines::{EVENT, TEN_LINES, bare, rule};

const TEMPLATE: &str = "{{ event.content.operation }} {{ event.content.result }} for \
                        {{ event.content.eniId }} in {{ event.regionId }}";

fn main() {
    let mut args = std::env::args().skip(1).filter(|arg| arg != "--bench");
    let case = args.next().unwrap_or_default();
    let count = args.next().map_or(0, |count| count.parse().unwrap());
    let (rule, now) = (rule(), Timestamp::UNIX_EPOCH);
    let reaction = Reaction::compile(TEN_LINES, &ReactionLimits::DEFAULT).unwrap();
    let shared = ScriptEvent::new(&Event::from_json(EVENT).unwrap());
    let (engine, mut scope) = bare();
    let script = engine.compile_with_scope(&scope, TEN_LINES).unwrap();
    let given = scope.len();
    let template = Template::compile(TEMPLATE, &ReactionLimits::DEFAULT).unwrap();
    for _ in 0..count {
        match case.as_str() {
            "bare" => {
                engine
                    .run_ast_with_scope(&mut scope, black_box(&script))
                    .unwrap();
                scope.rewind(given);
            }
            "run" => {
                let input = Input::new(black_box(&shared), &rule, now);
                black_box(reaction.run(&input, &NoState).unwrap());
            }
            "all" => {
                let event = ScriptEvent::new(&Event::from_json(black_box(EVENT)).unwrap());
                let input = Input::new(&event, &rule, now);
                black_box(reaction.run(&input, &NoState).unwrap());
            }
            "read" => drop(black_box(Event::from_json(black_box(EVENT)).unwrap())),
            "tree" => {
                let event = Event::from_json(black_box(EVENT)).unwrap();
                black_box(event.tree());
            }
            "template" => {
                let event = Event::from_json(black_box(EVENT)).unwrap();
                black_box(template.render(&event, &rule, now, 0).unwrap());
            }
            "message" => {
                let event = Event::from_json(black_box(EVENT)).unwrap();
                black_box(default_message(&event, &rule, 0));
            }
            other => panic!("unknown case `{other}`"),
        }
    }
}
