//! The keys of a target with `type = "email"`.

use jiff::tz::TimeZone;
use lettre::message::Mailbox;
use reflexarc_diagnostic::toml::EmbeddedText;
use reflexarc_diagnostic::{Code, Severity};

use super::ConfigTable;
use super::network::{authorities, check_address, networks};
use super::policies::{answers, calls_per_minute};
use crate::http::EgressPolicy;
use crate::target::email::{Email, InvalidTemplates, SmtpServer, Templates, TlsMode};

/// Reads the server, the addresses and the templates.
pub(super) fn email(keys: &ConfigTable<'_>, zone: Option<TimeZone>) -> Option<Email> {
    let host = keys.required_string("host", "the mail server: host = \"smtp.example.com\"");
    let tls_modes = [
        ("starttls", TlsMode::StartTls),
        ("tls", TlsMode::Tls),
        ("none", TlsMode::None),
    ];
    let tls = keys.choice("protection", &tls_modes).unwrap_or_default();
    let port = keys.integer("port", 1..=u16::MAX.into());
    let answers = answers(keys, 400..=599);
    let rate_limit = calls_per_minute(keys, Email::RATE_LIMIT);
    let mut policy = EgressPolicy::operator_hosts();
    policy.allowed.extend(networks(keys, "allow"));
    if let Some(host) = &host {
        check_address(keys, "host", policy.check_host(host));
    }
    let (user, password) = (keys.string("user"), keys.secret("password"));
    // A user without a password would connect without authentication, and the server would refuse
    // every mail.
    if keys.has("user") != keys.has("password") {
        keys.fault(
            "user",
            Code::CONFIG_MISSING,
            "`user` and `password` must be set together",
            "set both or neither",
        );
    }
    // Not a warning: the password could be read by every host on the way.
    if tls == TlsMode::None && keys.has("password") {
        let message = "the password would be sent in the clear";
        keys.fault(
            "protection",
            Code::CONFIG_VALUE,
            message,
            "set `protection` to \"starttls\" or \"tls\"",
        );
    }
    let authorities = authorities(keys);
    let mailbox = |text: &EmbeddedText| {
        let parsed = text.text().parse::<Mailbox>();
        let message = |_| format!("invalid mail address `{}`", text.text());
        keys.parsed(text, parsed.map_err(message))
    };
    if !keys.has("from") {
        keys.missing("from", "the sender: from = \"Alerts <alerts@example.com>\"");
    }
    let from = keys.embedded("from").and_then(|text| mailbox(&text));
    if !keys.has("to") {
        keys.missing("to", "the recipients: to = [\"operators@example.com\"]");
    }
    let to = keys.nonempty_strings("to");
    let to = to.map(|list| list.iter().filter_map(mailbox).collect());
    let template = |key| {
        let text = String::from_utf8(keys.file(key)?);
        let help = "save the template as UTF-8";
        text.map_err(|_| keys.fault(key, Code::CONFIG_FILE, "the file is not UTF-8", help))
            .ok()
    };
    // The subject is one line and stands in the configuration; the others are files.
    let subject = keys.embedded("subject");
    let templates = Templates::new(
        subject.as_ref().map(|subject| subject.text().to_owned()),
        template("text_template"),
        template("html_template"),
    );
    let templates = checked_templates(keys, subject.as_ref(), templates);
    let server = SmtpServer {
        host: host?,
        port,
        tls,
        credentials: user.zip(password),
        authorities: authorities?,
    };
    let email = Email::new(&server, from?, to?, templates?);
    email
        .map(|email| {
            email
                .with_time_zone(zone)
                .with_policy(policy)
                .with_answers(answers)
                .with_rate_limit(rate_limit)
        })
        .map_err(|error| {
            keys.fault(
                "host",
                Code::CONFIG_VALUE,
                error.to_string(),
                "check `host` and `authorities`",
            );
        })
        .ok()
}

/// The templates, whose findings are reported: those of the subject where they are, those of a file
/// at its path, with line and column in the message.
fn checked_templates(
    keys: &ConfigTable<'_>,
    subject: Option<&EmbeddedText>,
    templates: Result<Templates, InvalidTemplates>,
) -> Option<Templates> {
    let (templates, findings) = match templates {
        Ok(templates) => {
            let warnings = templates.warnings().to_vec();
            (Some(templates), warnings)
        }
        Err(invalid) => (None, invalid.findings),
    };
    for finding in findings {
        let mut found = finding.diagnostic.clone();
        if found.severity == Severity::Error {
            found.code = Code::CONFIG_VALUE;
        }
        // The built-in templates have no findings, so one of the subject is of the configured one.
        if let Some(subject) = subject.filter(|_| finding.template == "subject") {
            keys.report(subject.map_spans(found));
            continue;
        }
        found.span = keys.span_of(&format!("{}_template", finding.template));
        found.message = finding.to_string();
        // Its place is in another file.
        found.fix = None;
        keys.report(found);
    }
    templates
}
