//! E-mail targets: mails with text and HTML, sent by SMTP.

mod mime;
mod smtp;
mod template;

use jiff::SignedDuration;
use jiff::tz::TimeZone;
use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, TlsParameters};
use reflexarc_event::Json;
use secrecy::{ExposeSecret, SecretString};

use self::template::Rendered;
use super::{Preview, RateLimit, SendFuture, Target};
use crate::answer_policy::AnswerPolicy;
use crate::delivery::Delivery;
use crate::http::{EgressPolicy, error_chain};
use crate::outcome::SendError;
use crate::readable_time::with_readable_times;

pub(super) use self::template::KNOWN;
pub use self::template::{InvalidTemplates, TemplateFinding, Templates};

/// A mail server, sender, recipients and templates.
pub struct Email {
    host: String,
    port: u16,
    tls: Option<(TlsMode, TlsParameters)>,
    credentials: Option<Credentials>,
    from: Mailbox,
    to: Vec<Mailbox>,
    templates: Templates,
    /// Which addresses the server's name may lead to.
    policy: EgressPolicy,
    /// Which reply codes are final, where that differs from the usual.
    answers: AnswerPolicy,
    /// The list that its mails belong to.
    list: Option<String>,
    time_zone: Option<TimeZone>,
    rate_limit: Option<RateLimit>,
}

/// The largest size of the messages in one digest, in bytes.
// Mail servers accept 10 MB and more; each text is in a mail twice, as text and as HTML, and
// encoded in up to three times its bytes.
const DIGEST_BYTES: usize = 1 << 20;

/// How the connection to the mail server is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum TlsMode {
    /// Starts in the clear and requires STARTTLS; port 587.
    #[default]
    StartTls,
    /// TLS from the first byte; port 465.
    Tls,
    /// Not encrypted; port 25. For a server on this machine.
    None,
}

/// A mail server to send through.
pub struct SmtpServer {
    /// Its host name, which its certificate must have.
    pub host: String,
    /// Its port; the usual one of the TLS mode when absent.
    pub port: Option<u16>,
    /// How the connection is encrypted.
    pub tls: TlsMode,
    /// User and password.
    pub credentials: Option<(String, SecretString)>,
    /// Certificates in PEM that are trusted besides the system's.
    pub authorities: Option<Vec<u8>>,
}

/// Why the settings of a mail server cannot be used: its name or a certificate is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SmtpServerError(String);

impl Email {
    /// 60 mails a minute, beyond which they become digests: what more comes, people do not read one
    /// by one.
    pub const RATE_LIMIT: RateLimit = RateLimit {
        calls: 60,
        per: SignedDuration::from_secs(60),
    };

    /// Prepares mails from `from` to `to`; connects to nothing yet.
    ///
    /// # Errors
    /// When the server's name or a certificate cannot be used.
    pub fn new(
        server: &SmtpServer,
        from: Mailbox,
        to: Vec<Mailbox>,
        templates: Templates,
    ) -> Result<Self, SmtpServerError> {
        // RFC 6409 (submission), RFC 8314 (implicit TLS), RFC 5321.
        let port = match server.tls {
            TlsMode::StartTls => 587,
            TlsMode::Tls => 465,
            TlsMode::None => 25,
        };
        // Built here and not at each send, so that an invalid certificate is an error at start.
        let tls = match server.tls {
            TlsMode::None => None,
            mode => Some((mode, tls_parameters(server)?)),
        };
        let credentials = server.credentials.as_ref();
        let credentials = credentials.map(|(user, password)| {
            Credentials::new(user.clone(), password.expose_secret().to_owned())
        });
        Ok(Self {
            host: server.host.clone(),
            port: server.port.unwrap_or(port),
            tls,
            credentials,
            from,
            to,
            templates,
            policy: EgressPolicy::operator_hosts(),
            answers: AnswerPolicy::default(),
            list: None,
            time_zone: None,
            rate_limit: Some(Self::RATE_LIMIT),
        })
    }

    /// The same with a `List-Id` of this name, by which recipients can sort the mails.
    #[must_use]
    pub fn with_list(mut self, name: &str) -> Self {
        self.list = Some(name.to_owned());
        self
    }

    /// The same with a server at addresses that this policy allows.
    #[must_use]
    pub fn with_policy(mut self, policy: EgressPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// The same with other final answers.
    #[must_use]
    pub fn with_answers(mut self, answers: AnswerPolicy) -> Self {
        self.answers = answers;
        self
    }

    /// The same with times in this time zone. Without one, the times in messages stay in the offset
    /// that they have in the event, and all others are in UTC.
    #[must_use]
    pub fn with_time_zone(mut self, zone: Option<TimeZone>) -> Self {
        self.time_zone = zone;
        self
    }

    /// The same with another rate limit, or with none.
    #[must_use]
    pub fn with_rate_limit(mut self, limit: Option<RateLimit>) -> Self {
        self.rate_limit = limit;
        self
    }

    fn render(&self, batch: &[Delivery]) -> Result<Rendered, SendError> {
        let zone = self.time_zone.as_ref();
        let readable = |delivery| with_readable_times(delivery, zone);
        let rendered = if let [delivery] = batch {
            self.templates.render(&readable(delivery), zone)
        } else {
            let batch: Vec<_> = batch.iter().map(|one| readable(one).into_owned()).collect();
            self.templates.render_digest(&batch, zone)
        };
        rendered.map_err(|error| SendError::Misconfigured {
            reason: error.to_string(),
        })
    }
}

impl Target for Email {
    fn kind(&self) -> &'static str {
        "email"
    }

    fn endpoint(&self) -> String {
        format!("{}:{}", self.host, self.port)
    }

    fn preview(&self, batch: &[Delivery]) -> Result<Preview, SendError> {
        let rendered = self.render(batch)?;
        let body = Json::object([
            ("from", self.from.to_string().into()),
            ("to", Json::strings(self.to.iter().map(Mailbox::to_string))),
            ("subject", rendered.subject.as_str().into()),
            ("text", rendered.text.into()),
            ("html", rendered.html.into()),
        ]);
        Ok(Preview {
            summary: rendered.subject,
            body,
            part: None,
        })
    }

    fn send<'a>(&'a self, batch: &'a [Delivery]) -> SendFuture<'a> {
        Box::pin(async move {
            let message = self.compose(batch)?;
            let server = self.addresses().await?;
            self.transmit(&server, &message, &batch[0].delivered_parts)
                .await
                .map_err(|error| self.classify(&error))?
                .outcome()
        })
    }

    fn rate_limit(&self) -> Option<RateLimit> {
        self.rate_limit
    }

    fn max_batch(&self, waiting: &[Delivery]) -> usize {
        let (mut count, mut bytes) = (0, 0);
        for delivery in waiting {
            bytes += delivery.bytes();
            // One mail has one list of recipients: those who do not have it yet.
            if bytes > DIGEST_BYTES || delivery.delivered_parts != waiting[0].delivered_parts {
                break;
            }
            count += 1;
        }
        count.max(1)
    }
}

fn tls_parameters(server: &SmtpServer) -> Result<TlsParameters, SmtpServerError> {
    let invalid = |error| SmtpServerError(error_chain(&error));
    let mut builder = TlsParameters::builder(server.host.clone());
    if let Some(pem) = &server.authorities {
        let certificate = Certificate::from_pem(pem).map_err(invalid)?;
        builder = builder.add_root_certificate(certificate);
    }
    builder.build_rustls().map_err(invalid)
}
