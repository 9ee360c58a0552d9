//! Reading the file of a configuration.

use std::path::Path;

use reflexarc::FileDiagnostics;
use reflexarc_diagnostic::{Code, Diagnostic};
use reflexarc_files::{ReadError, read_regular_file};

/// The largest size of a configuration in bytes; 4 MiB.
// A target takes about 100 bytes.
const MAX_CONFIG_BYTES: usize = 4 << 20;

/// The name and text of a configuration file.
///
/// ```
/// use std::path::Path;
///
/// let error = reflexarc_service::config::read_file(Path::new("/dev/zero")).unwrap_err();
/// assert!(error.to_string().contains("expected a regular file, found a device"));
/// ```
///
/// # Errors
/// If it is not a regular file of at most 4 MiB in UTF-8, or cannot be read.
pub fn read_file(path: &Path) -> Result<(String, String), FileDiagnostics> {
    let name = path.display().to_string();
    let failed = |error: String, help: &str| {
        let message = format!("cannot read {name}: {error}");
        FileDiagnostics {
            name: name.clone(),
            text: String::new(),
            diagnostics: vec![Diagnostic::error(Code::CONFIG_FILE, 0..0, message).with_help(help)],
        }
    };
    let bytes = read_regular_file(path, MAX_CONFIG_BYTES).map_err(|error| {
        let help = match &error {
            ReadError::Io(_) => "create one with `reflexarc config init`",
            _ => "the configuration is a file; create one with `reflexarc config init`",
        };
        failed(error.to_string(), help)
    })?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let end = error.utf8_error().valid_up_to();
        failed(format!("not UTF-8 (byte {end})"), "save it as UTF-8")
    })?;
    Ok((name, text))
}
