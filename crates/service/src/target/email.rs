//! E-mail by SMTP: text and HTML from templates, threads by resource, TLS, and never a send without an end.

mod template;

use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use reflexarc_reaction::{Action, Level};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use super::{Preview, Sending, Target};
use crate::delivery::{Delivery, DeliveryId, Receipt, SendError, first_half};
use crate::outbound::chain;
use crate::record::{object, strings};

use template::Rendered;
pub use template::{TemplateError, Templates};

/// One mail server and whom to write to.
pub struct Email {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    to: Vec<Mailbox>,
    templates: Templates,
}

/// How the connection is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protection {
    /// Begin in the clear and insist on STARTTLS; port 587.
    #[default]
    StartTls,
    /// TLS from the first byte; port 465.
    Tls,
    /// None; port 25. For a server on this machine.
    None,
}

/// Where the mail server is and what it wants to see.
pub struct Server {
    /// Its name, also in its certificate.
    pub host: String,
    /// Its port; by the protection when absent.
    pub port: Option<u16>,
    /// How the connection is protected.
    pub protection: Protection,
    /// User and password.
    pub credentials: Option<(String, SecretString)>,
    /// Certificates in PEM that are trusted besides the system's.
    pub authorities: Option<Vec<u8>>,
}

impl Email {
    /// Prepares to write from `from` to `to`.
    ///
    /// # Errors
    /// When the server's name or a certificate cannot be used.
    pub fn new(server: &Server, from: Mailbox, to: Vec<Mailbox>, templates: Templates) -> Result<Self, String> {
        let (tls, port) = match server.protection {
            Protection::StartTls => (Tls::Required(parameters(server)?), 587),
            Protection::Tls => (Tls::Wrapper(parameters(server)?), 465),
            Protection::None => (Tls::None, 25),
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&server.host)
            .port(server.port.unwrap_or(port))
            .tls(tls)
            // Only covers connecting; the queue's own timeout covers the whole send.
            .timeout(Some(std::time::Duration::from_secs(30)));
        if let Some((user, password)) = &server.credentials {
            builder = builder.credentials(Credentials::new(user.clone(), password.expose_secret().to_owned()));
        }
        Ok(Self { transport: builder.build(), from, to, templates })
    }

    fn compose(&self, delivery: &Delivery) -> Result<Message, SendError> {
        let rendered = self.rendered(delivery)?;
        let domain = self.from.email.domain();
        let name = |id: DeliveryId| format!("<{id}@{domain}>");
        // Mails about one thing to one list form a thread, whose root is never sent: readers group by References.
        let root = name(thread(delivery));
        let mut builder = Message::builder()
            .from(self.from.clone())
            .subject(rendered.subject)
            .message_id(Some(name(delivery.id)))
            .in_reply_to(root.clone())
            .references(root)
            .raw_header(header("Auto-Submitted", "auto-generated".to_owned()))
            .raw_header(header("X-Reflexarc-Delivery", delivery.id.to_string()));
        if matches!(&delivery.action, Action::Notify { message, .. } if message.level == Level::Critical) {
            builder = builder.raw_header(header("Importance", "high".to_owned()));
        }
        for to in &self.to {
            builder = builder.to(to.clone());
        }
        let parts = MultiPart::alternative_plain_html(rendered.text, rendered.html);
        builder.multipart(parts).map_err(|error| SendError::Configuration { reason: error.to_string() })
    }

    fn rendered(&self, delivery: &Delivery) -> Result<Rendered, SendError> {
        let rendered = self.templates.render(delivery);
        rendered.map_err(|error| SendError::Configuration { reason: error.to_string() })
    }
}

impl Target for Email {
    fn kind(&self) -> &'static str {
        "email"
    }

    fn preview(&self, batch: &[Delivery]) -> Result<Preview, SendError> {
        let rendered = self.rendered(&batch[0])?;
        let to: Vec<String> = self.to.iter().map(Mailbox::to_string).collect();
        let body = object([
            ("from", self.from.to_string().into()),
            ("to", strings(&to)),
            ("subject", rendered.subject.as_str().into()),
            ("text", rendered.text.into()),
            ("html", rendered.html.into()),
        ]);
        Ok(Preview { summary: rendered.subject, body })
    }

    fn send<'a>(&'a self, batch: &'a [Delivery]) -> Sending<'a> {
        Box::pin(async move {
            let message = self.compose(&batch[0])?;
            match self.transport.send(message).await {
                Ok(response) => {
                    let words: Vec<&str> = response.message().collect();
                    Ok(Receipt { answer: format!("{} {}", response.code(), words.join(" ")) })
                }
                Err(error) => Err(judge(&error)),
            }
        })
    }
}

/// 4xx passes, 5xx does not; what has to do with passwords and certificates is for somebody to mend.
fn judge(error: &lettre::transport::smtp::Error) -> SendError {
    let reason = chain(error);
    let status = error.status().map(|code| code.to_string());
    match status.as_deref() {
        Some("530" | "534" | "535" | "538" | "550 5.7.1") => SendError::Configuration { reason },
        _ if error.is_permanent() => SendError::Refused { reason },
        _ if reason.contains("certificate") || reason.contains("STARTTLS is not supported") => {
            SendError::Configuration { reason }
        }
        _ => SendError::later(reason),
    }
}

fn parameters(server: &Server) -> Result<TlsParameters, String> {
    let mut builder = TlsParameters::builder(server.host.clone());
    if let Some(pem) = &server.authorities {
        builder = builder.add_root_certificate(Certificate::from_pem(pem).map_err(|error| chain(&error))?);
    }
    builder.build_rustls().map_err(|error| chain(&error))
}

fn thread(delivery: &Delivery) -> DeliveryId {
    let mut hash = Sha256::new();
    hash.update(delivery.rule.as_bytes());
    hash.update([0]);
    hash.update(if delivery.resource.is_empty() { delivery.event.id.as_bytes() } else { delivery.resource.as_bytes() });
    DeliveryId::from(first_half(&hash.finalize()))
}

fn header(name: &'static str, value: String) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value)
}
