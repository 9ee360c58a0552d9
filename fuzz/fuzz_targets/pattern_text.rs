//! Parses any text as a pattern in every dialect. It never panics; a rejected text has diagnostics
//! that render, and an accepted one prints in both notations as text with the same tree.

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
                        Pattern::parse(&printed, Dialect::Reflexarc).unwrap_or_else(|errors| {
                            panic!("{text:?} prints as {printed:?}, which is rejected: {errors:?}")
                        });
                    assert_eq!(
                        again.node(),
                        pattern.node(),
                        "{text:?} prints as {printed:?}"
                    );
                }
                for other in [Dialect::Aws, Dialect::Alibaba] {
                    if let Ok(exported) = pattern.export(other) {
                        if let Err(errors) = Pattern::parse(&exported, other) {
                            panic!(
                                "{text:?} exports as {exported:?}, \
                                 which {other} rejects: {errors:?}"
                            );
                        }
                    }
                }
            }
            Err(error) => {
                let diagnostics = error.diagnostics();
                assert!(
                    !diagnostics.is_empty(),
                    "rejected without diagnostics: {text:?}"
                );
                for diagnostic in diagnostics {
                    let _ = diagnostic.render("pattern", text, false);
                }
            }
        }
    }
});
