//! Output of the commands: data goes to stdout, messages go to stderr.

pub(crate) mod calls;
pub(crate) mod delayed;
pub(crate) mod delivery;
pub(crate) mod diff;
pub(crate) mod evaluation;
pub(crate) mod findings;
pub(crate) mod firing;
pub(crate) mod junit;
pub(crate) mod left_out;
pub(crate) mod markdown;
pub(crate) mod match_text;
pub(crate) mod pager;
pub(crate) mod rewrite;
pub(crate) mod table;
pub(crate) mod tests;
pub(crate) mod text;
pub(crate) mod totals;

use std::fmt;
use std::io::{self, BufWriter, IsTerminal as _, Stdout, Write as _};

use anstream::AutoStream;
use anstyle::{AnsiColor, Style};
use reflexarc_diagnostic::FileDiagnostics;

use self::findings::Finding;
use crate::exit::{Exit, Failure};

/// Longer lines are hard to read.
const MAX_DOCUMENT_WIDTH: usize = 100;

/// Stdout and stderr, and whether each of them is coloured.
pub(crate) struct Output {
    stdout: BufWriter<Stdout>,
    /// Whether the JSON array in progress has an element already, so that the next needs a comma.
    has_elements: bool,
    colour: bool,
    colour_stderr: bool,
}

/// When output is coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum Colour {
    /// In a terminal; `NO_COLOR`, `CLICOLOR` and `CLICOLOR_FORCE` are respected.
    #[default]
    Auto,
    /// Always, also in pipes and files.
    Always,
    /// Never.
    Never,
}

/// Output format of data on stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub(crate) enum Format {
    /// Text for people.
    #[default]
    Human,
    /// One JSON document.
    Json,
    /// One JSON document per line.
    Ndjson,
}

/// A text style; it has no effect where the stream is not coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paint {
    Bold,
    Dim,
    Green,
    Red,
    Yellow,
    Blue,
}

impl Colour {
    /// Makes this the choice of the whole process, also for the messages of the argument parser.
    pub(crate) fn apply(self) {
        let choice = match self {
            Self::Auto => anstream::ColorChoice::Auto,
            Self::Always => anstream::ColorChoice::Always,
            Self::Never => anstream::ColorChoice::Never,
        };
        choice.write_global();
    }
}

impl Output {
    /// The standard streams of this process, coloured as [`Colour::apply`] and the environment say.
    pub(crate) fn new() -> Self {
        // Only the decision is left to `AutoStream`: events are written byte for byte, and a stream
        // that removes escape sequences would change them.
        let coloured = |choice| choice != anstream::ColorChoice::Never;
        Self {
            // `Stdout` writes at every line break, and a system call costs more than matching an
            // event.
            stdout: BufWriter::with_capacity(1 << 16, io::stdout()),
            has_elements: false,
            colour: coloured(AutoStream::choice(&io::stdout())),
            colour_stderr: coloured(AutoStream::choice(&io::stderr())),
        }
    }

    /// Writes one line to stdout.
    pub(crate) fn line(&mut self, line: impl fmt::Display) -> Result<(), Failure> {
        writeln!(self.stdout, "{line}")?;
        Ok(())
    }

    /// Writes bytes to stdout unchanged.
    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.stdout.write_all(bytes)?;
        Ok(())
    }

    /// Writes a value as one line of JSON.
    pub(crate) fn json(&mut self, value: &impl serde::Serialize) -> Result<(), Failure> {
        serde_json::to_writer(&mut self.stdout, value).map_err(io::Error::from)?;
        self.stdout.write_all(b"\n")?;
        Ok(())
    }

    /// Begins a list of values; in JSON it is one array.
    pub(crate) fn begin(&mut self, format: Format) -> Result<(), Failure> {
        self.has_elements = false;
        if format == Format::Json {
            self.bytes(b"[")
        } else {
            Ok(())
        }
    }

    /// Writes one value of a list; in JSON it is an element of the array.
    pub(crate) fn element(
        &mut self,
        format: Format,
        value: &impl serde::Serialize,
    ) -> Result<(), Failure> {
        if format == Format::Json && std::mem::replace(&mut self.has_elements, true) {
            self.bytes(b",")?;
        }
        self.json(value)
    }

    /// Ends a list of values.
    pub(crate) fn end(&mut self, format: Format) -> Result<(), Failure> {
        if format == Format::Json {
            self.bytes(b"]\n")
        } else {
            Ok(())
        }
    }

    /// The text in this style, if stdout is coloured.
    pub(crate) fn paint(&self, paint: Paint, text: impl fmt::Display) -> String {
        if self.colour {
            painted(paint, &text)
        } else {
            text.to_string()
        }
    }

    /// Prints the help text of a command.
    pub(crate) fn help(&mut self, text: &clap::builder::StyledStr) -> Result<(), Failure> {
        if self.colour {
            self.line(text.ansi())
        } else {
            self.line(text)
        }
    }

    /// Prints a Markdown document: laid out for the terminal and through the pager, or as it is
    /// where stdout is no terminal.
    pub(crate) fn document(&mut self, text: &str, use_pager: bool) -> Result<(), Failure> {
        if !io::stdout().is_terminal() {
            return self.line(text.trim_end());
        }
        self.flush()?;
        let columns = terminal_size::terminal_size().map_or(80, |(width, _)| width.0.into());
        let rendered = markdown::render(text, columns.min(MAX_DOCUMENT_WIDTH), self.colour);
        if use_pager && pager::page(&rendered)? {
            return Ok(());
        }
        self.bytes(rendered.as_bytes())
    }

    /// Draws the diagnostics of files to stderr.
    pub(crate) fn diagnostics<'a>(&mut self, files: impl IntoIterator<Item = &'a FileDiagnostics>) {
        let colour = self.colour_stderr;
        for file in files {
            for diagnostic in &file.diagnostics {
                self.status(&diagnostic.render(&file.name, &file.text, colour));
            }
        }
    }

    /// Draws one finding to stderr.
    pub(crate) fn finding(&mut self, finding: &Finding<'_>) {
        let colour = self.colour_stderr;
        let Finding {
            file,
            first_line,
            text,
            diagnostic,
        } = finding;
        self.status(&diagnostic.render_at_line(file, text, *first_line, colour));
    }

    /// Writes an error message to stderr.
    pub(crate) fn error(&mut self, message: &str) {
        let label = if self.colour_stderr {
            painted(Paint::Red, &"error")
        } else {
            "error".to_owned()
        };
        self.status(&format!("{label}: {message}"));
    }

    /// Writes one line to stderr. A closed stderr is ignored: the exit code still
    /// reports the result.
    pub(crate) fn status(&mut self, line: &str) {
        // Stdout is buffered and stderr is not: without this, a message about an event would appear
        // above the event in a terminal that shows both.
        let _ = self.stdout.flush();
        let _ = writeln!(io::stderr(), "{}", line.trim_end_matches('\n'));
    }

    /// Writes why a command failed to stderr, and returns the exit code of the command.
    pub(crate) fn report(&mut self, result: Result<Exit, Failure>) -> Exit {
        let failure = match result {
            Ok(exit) => return exit,
            Err(failure) => failure,
        };
        let exit = failure.exit();
        match &failure {
            Failure::Rules(files) => self.diagnostics(files),
            // The reader closed the pipe on purpose; a message would only disturb it.
            _ if exit == Exit::Done => {}
            _ => self.error(&failure.to_string()),
        }
        exit
    }

    /// Writes out what is buffered for stdout.
    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        self.stdout.flush()?;
        Ok(())
    }
}

fn painted(paint: Paint, text: &impl fmt::Display) -> String {
    let style = match paint {
        Paint::Bold => Style::new().bold(),
        Paint::Dim => Style::new().dimmed(),
        Paint::Red => AnsiColor::Red.on_default(),
        Paint::Green => AnsiColor::Green.on_default(),
        Paint::Yellow => AnsiColor::Yellow.on_default(),
        Paint::Blue => AnsiColor::Blue.on_default(),
    };
    format!("{style}{text}{style:#}")
}
