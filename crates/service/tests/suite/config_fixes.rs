//! Fixes of configurations: what a file becomes when they are applied.

use std::path::Path;

use reflexarc_diagnostic::Fix;
use reflexarc_service::Config;
use reflexarc_service::config::Secrets;

/// The first fix of the errors of a configuration.
fn fix(text: &str) -> Option<Fix> {
    let read = Config::read(text, Path::new("."), Secrets::Blank);
    let error = read.err()?;
    error.diagnostics().find_map(|found| found.fix.clone())
}

#[test]
fn keys_and_words_of_configurations_are_fixed_in_their_meaning() {
    let robot = "[targets.r]\ntype = 'dingtalk'\ntoken = { env = 'T' }\n";
    let client = "[http]\nlisten = '127.0.0.1:1'\n[[http.tokens]]\nname = 'a'\n";
    let cases = [
        ("", "raes = 'r'", None),
        ("", "ruels = 'r'", Some("rules = 'r'")),
        (
            "",
            "shutdown_timout = '3s'",
            Some("shutdown_timeout = '3s'"),
        ),
        ("", "startup_timeout = '3s'", None),
        ("", "[archve]\nkeep = '3d'", Some("[archive]\nkeep = '3d'")),
        ("", "[archive]\nkepe = '3d'", Some("[archive]\nkeep = '3d'")),
        ("", "[archive]\nmin_bytes = 9999999", None),
        (
            "",
            "[targets.r]\ntype = 'webhok'",
            Some("[targets.r]\ntype = \"webhook\""),
        ),
        (
            "",
            "[targets.r]\ntype = 'mail'",
            Some("[targets.r]\ntype = \"email\""),
        ),
        ("", "[targets.r]\ntype = 'stdin'", None),
        ("", "[targets.r]\ntype = 'stderr'", None),
        (robot, "format = 'markdwn'", Some("format = \"markdown\"")),
        (robot, "format = 'card'", None),
        (robot, "timeoout = '3s'", Some("timeout = '3s'")),
        (client, "roles = ['injest']", Some("roles = [\"ingest\"]")),
        (client, "roles = ['red']", Some("roles = [\"read\"]")),
        (client, "roles = ['write']", None),
    ];
    let mut wrong = Vec::new();
    for (before, line, expected) in cases {
        let text = format!("{before}{line}\n");
        let mut fixed = text.clone();
        if let Some(fix) = fix(&text) {
            fixed.replace_range(fix.span, &fix.replacement);
        }
        let right = format!("{before}{}\n", expected.unwrap_or(line));
        if fixed != right {
            wrong.push(format!("{text}  became   {fixed}\n  expected {right}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
