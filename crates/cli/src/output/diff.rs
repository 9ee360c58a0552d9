//! Differences between two versions of a file, as a unified diff.

use similar::TextDiff;

use super::{Output, Paint};
use crate::exit::Failure;

/// Prints the difference between two texts of the file `name`.
pub(crate) fn print(name: &str, old: &str, new: &str, output: &mut Output) -> Result<(), Failure> {
    let diff = TextDiff::from_lines(old, new);
    let text = diff
        .unified_diff()
        .context_radius(3)
        .header(name, name)
        .to_string();
    // Not `lines`, which would drop the `\r` of a file with such line ends.
    for line in text.split_terminator('\n') {
        let line = match line.chars().next() {
            Some('-') => output.paint(Paint::Red, line),
            Some('+') => output.paint(Paint::Green, line),
            _ => line.to_owned(),
        };
        output.line(line)?;
    }
    Ok(())
}
