//! The pager, for texts longer than the terminal.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::{Command, Stdio};

/// Shows a text in the pager; false if there is none, and the text is still to be printed.
pub(crate) fn page(text: &str) -> io::Result<bool> {
    let configured = std::env::var_os("PAGER");
    let Some((program, arguments)) = command(configured) else {
        return Ok(false);
    };
    let mut pager = Command::new(program);
    pager.args(arguments).stdin(Stdio::piped());
    if std::env::var_os("LESS").is_none() {
        // As git does: a pager of the user's that is `less` then shows colours, and ends by itself
        // when the text fits the screen.
        pager.env("LESS", "FRX");
    }
    let Ok(mut child) = pager.spawn() else {
        return Ok(false);
    };
    if let Some(mut input) = child.stdin.take() {
        // A pager that is left before the end closes the pipe.
        match input.write_all(text.as_bytes()) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => return Err(error),
            _ => {}
        }
    }
    child.wait()?;
    Ok(true)
}

/// The program and its arguments; `None` if the user wants no pager.
fn command(configured: Option<OsString>) -> Option<(String, Vec<String>)> {
    let line = match configured {
        Some(line) => line.into_string().ok()?,
        None => "less -FRX".to_owned(),
    };
    let mut words = line.split_whitespace().map(str::to_owned);
    let program = words.next().filter(|program| program != "cat")?;
    Some((program, words.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pager_is_the_users_or_less() {
        let found = |line: Option<&str>| command(line.map(OsString::from)).map(|found| found.0);
        assert_eq!(found(None).as_deref(), Some("less"));
        assert_eq!(found(Some("more -d")).as_deref(), Some("more"));
        assert_eq!(found(Some("")), None);
        assert_eq!(found(Some("cat")), None);
    }
}
