//! Any text, read as a pattern in every dialect: an answer or diagnostics that can be drawn, never a panic; and what is
//! accepted prints, in both notations, as text that reads back as the same tree.

#![no_main]

use libfuzzer_sys::fuzz_target;
use reflexarc_pattern::{Dialect, Pattern};

fuzz_target!(|text: &str| {
    for dialect in [Dialect::Reflexarc, Dialect::Aws, Dialect::Alibaba] {
        match Pattern::parse(text, dialect) {
            Ok(pattern) => {
                for diagnostic in pattern.warnings() {
                    let _ = diagnostic.render("pattern", text, false);
                }
                for printed in [pattern.to_json(), pattern.to_expression()] {
                    let again =
                        Pattern::parse(&printed, Dialect::Reflexarc).unwrap_or_else(|faults| {
                            panic!("{text:?} prints as {printed:?}, which is refused: {faults:?}")
                        });
                    assert_eq!(
                        again.node(),
                        pattern.node(),
                        "{text:?} prints as {printed:?}"
                    );
                }
                for other in [Dialect::Aws, Dialect::Alibaba] {
                    if let Ok(exported) = pattern.export(other) {
                        if let Err(faults) = Pattern::parse(&exported, other) {
                            panic!(
                                "{text:?} exports as {exported:?}, which {other} refuses: {faults:?}"
                            );
                        }
                    }
                }
            }
            Err(diagnostics) => {
                assert!(
                    !diagnostics.is_empty(),
                    "refused without a reason: {text:?}"
                );
                for diagnostic in &diagnostics {
                    let _ = diagnostic.render("pattern", text, false);
                }
            }
        }
    }
});
