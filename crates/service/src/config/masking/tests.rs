use reflexarc_diagnostic::Code;

use super::*;

fn text_of(text: &str) -> String {
    let masked = masked("reflexarc.toml", text, Vec::new());
    assert_eq!(masked.text.len(), text.len());
    masked.text
}

#[test]
fn nothing_that_may_be_a_secret_is_shown() {
    for text in [
        "token = \"s3cret\"",
        "token = 's3cret'",
        "token = \"\"\"\ns3cret\n\"\"\"",
        "token = s3cret",
        "token = s3cret # comment",
        "token = \"s3cret",
        "token \"s3cret\"",
        "token: \"s3cret\"",
        "token = \"a\\\"s3cret\"",
        "tokn = \"s3cret\"",
        "\"pass word\" = \"s3cret\"",
        "http.token = \"s3cret\"",
        "token = { value = \"s3cret\" }",
        "token = { env = \"NAME\", default = \"s3cret\" }",
        "token = [\"s3cret\"]",
        "listen = 1 # token = \"s3cret\"",
        "headers = { x-team = \"s3cret\" }",
        "headers = { authorization = \"Bearer s3cret\", listen = 1 }",
        "headers = { url = \"s3cret\" }",
        "headers = { env = \"s3cret\" }",
        "[targets.a.headers]\nname = \"s3cret\"",
        "[targets.\"a\".environment] # x\nKEY = \"s3cret\"",
        "argv = [\"page\", \"--token\", \"s3cret\"]",
        "url = \"https://u:s3cret@example.com/\"",
        "url = \"https://s3cret@example.com\"",
        "url = \"https://example.com/s3cret\"",
        "url = \"https://example.com?key=s3cret\"",
        "url = \"example.com/s3cret\"",
        "url = \"htps:/s3cret",
        "endpoint = \"https://example.com/#s3cret\"",
        "path = \"https://example.com/s3cret\"",
        "password = s3cret\"",
        "token = \"é\\\\\" \ntokens = [\n  \"s3cret\",\n]",
    ] {
        let masked = text_of(text);
        assert!(!masked.contains("s3cret"), "{text}\n{masked}");
    }
}

#[test]
fn what_is_never_a_secret_is_shown() {
    for text in [
        "listen = \"localhost\"",
        "token = { env = \"NAME\" }",
        "headers = { authorization = { env = \"NAME\" } }",
        "[targets.a]\ntype = \"webhok\"\nretry = [\"1s\", \"10x\"]",
        "[[http.tokens]]\nname = \"cloud\"\nroles = [\"ingst\"]",
        "url = \"https://example.com\"",
        "endpoint = \"http://localhost:4318\"",
        "[targets]\nlog = { type = \"file\", path = \"x\" }",
        "rules = [\n  \"a\", # of the team\n  \"b\",\n]",
    ] {
        assert_eq!(text_of(text), text);
    }
    // The template as it is, and with all of it uncommented.
    let template = crate::config::TEMPLATE;
    text_of(template);
    for end in (0..template.len()).filter(|end| template.is_char_boundary(*end)) {
        // Any text is read to its end, whatever is open there.
        if end % 17 == 0 {
            text_of(&template[..end]);
        }
    }
}

#[test]
fn messages_do_not_repeat_what_is_masked() {
    let message = "invalid URL `https://example.com/s3cret`";
    let diagnostic = Diagnostic::error(Code::CONFIG_VALUE, 0..3, message);
    let diagnostic = diagnostic.with_help("not s3cret");
    let text = "url = \"https://example.com/s3cret\"";
    let masked = masked("reflexarc.toml", text, vec![diagnostic]);
    let message = &masked.diagnostics[0].message;
    assert_eq!(message, "invalid URL `https://example.com/[redacted]`");
    assert_eq!(
        masked.diagnostics[0].help.as_deref(),
        Some("not [redacted]")
    );
}

#[test]
fn fixes_do_not_repeat_what_is_masked() {
    // The value, what a fix writes for it, and whether the fix is kept.
    for (value, replacement, is_kept) in [
        ("s3cret-1", "'s3cret-1'", false),
        // A word, too.
        ("hunter", "'hunter'", false),
        ("'${TOKEN}'", "{ env = \"TOKEN\" }", true),
    ] {
        let text = format!("token = {value}");
        let message = format!("text without quotes: {value}");
        let diagnostic = Diagnostic::error(Code::CONFIG_VALUE, 8..text.len(), message);
        let diagnostic = diagnostic.with_fix(8..text.len(), replacement);
        let masked = masked("reflexarc.toml", &text, vec![diagnostic]);
        let [diagnostic] = &masked.diagnostics[..] else {
            panic!("{:?}", masked.diagnostics);
        };
        assert_eq!(diagnostic.fix.is_some(), is_kept, "{value}");
        assert!(is_kept || !diagnostic.message.contains(value), "{value}");
    }
}
