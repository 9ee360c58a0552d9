//! E-mail by SMTP: text and HTML from templates, threads by resource, TLS, and never a send without an end.

mod template;

use std::time::Duration;

use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};
use lettre::{Address, Message};
use reflexarc_event::Json;
use reflexarc_reaction::{Action, Level};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use super::{Preview, Sending, Target};
use crate::delivery::{Delivery, DeliveryId, Receipt, SendError};
use crate::outbound::chain;

use template::Rendered;
pub use template::{TemplateError, Templates};

/// One mail server and whom to write to.
pub struct Email {
    host: String,
    port: u16,
    tls: Option<(Protection, TlsParameters)>,
    credentials: Option<Credentials>,
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

/// What came of one mail.
#[derive(Default)]
struct Sent {
    taken: Vec<String>,
    refused: Vec<(String, SendError)>,
    answer: String,
}

/// Only covers connecting and saying goodbye; the queue's own timeout covers the whole send.
const CONNECTING: Duration = Duration::from_secs(30);

impl Email {
    /// Prepares to write from `from` to `to`.
    ///
    /// # Errors
    /// When the server's name or a certificate cannot be used.
    pub fn new(
        server: &Server,
        from: Mailbox,
        to: Vec<Mailbox>,
        templates: Templates,
    ) -> Result<Self, String> {
        let port = match server.protection {
            Protection::StartTls => 587,
            Protection::Tls => 465,
            Protection::None => 25,
        };
        let tls = match server.protection {
            Protection::None => None,
            protection => Some((protection, parameters(server)?)),
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
        })
    }

    async fn connect(&self) -> Result<AsyncSmtpConnection, SmtpError> {
        let hello = ClientId::default();
        let (wrapped, upgrade) = match &self.tls {
            Some((Protection::Tls, parameters)) => (Some(parameters.clone()), None),
            Some((_, parameters)) => (None, Some(parameters.clone())),
            None => (None, None),
        };
        let address = (self.host.as_str(), self.port);
        let mut connection =
            AsyncSmtpConnection::connect_tokio1(address, Some(CONNECTING), &hello, wrapped, None)
                .await?;
        if let Some(parameters) = upgrade {
            connection.starttls(parameters, &hello).await?;
        }
        if let Some(credentials) = &self.credentials {
            connection.auth(DEFAULT_MECHANISMS, credentials).await?;
        }
        Ok(connection)
    }

    /// One mail to those who have not had it. A recipient whom the server refuses does not keep it from the others.
    async fn transmit(&self, message: &Message, taken: &[String]) -> Result<Sent, SmtpError> {
        let mut connection = self.connect().await?;
        let bytes = message.formatted();
        let to = self
            .to
            .iter()
            .map(|mailbox| &mailbox.email)
            .filter(|address| !taken.contains(&address.to_string()));
        let to: Vec<&Address> = to.collect();
        let mut options = Vec::new();
        let foreign = |address: &Address| !AsRef::<str>::as_ref(address).is_ascii();
        if connection
            .server_info()
            .supports_feature(Extension::SmtpUtfEight)
            && (foreign(&self.from.email) || to.iter().any(|address| foreign(address)))
        {
            options.push(MailParameter::SmtpUtfEight);
        }
        if !bytes.is_ascii() {
            options.push(MailParameter::Body(MailBodyParameter::EightBitMime));
        }
        connection
            .command(Mail::new(Some(self.from.email.clone()), options))
            .await?;
        let mut sent = Sent::default();
        for address in to {
            match connection
                .command(Rcpt::new(address.clone(), Vec::new()))
                .await
            {
                Ok(_) => sent.taken.push(address.to_string()),
                // The server's word about this one; anything else is about the connection.
                Err(error) if error.status().is_some() => {
                    sent.refused.push((address.to_string(), judge(&error)))
                }
                Err(error) => return Err(error),
            }
        }
        if !sent.taken.is_empty() {
            connection.command(Data).await?;
            let response = connection.message(&bytes).await?;
            sent.answer = format!(
                "{} {}",
                response.code(),
                response.message().collect::<Vec<_>>().join(" ")
            );
        }
        // The mail is theirs: nobody waits for the goodbye.
        tokio::spawn(
            async move { drop(tokio::time::timeout(CONNECTING, connection.quit()).await) },
        );
        Ok(sent)
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
        if matches!(&delivery.action, Action::Notify { message, .. } if message.level == Level::Critical)
        {
            builder = builder.raw_header(header("Importance", "high".to_owned()));
        }
        for to in &self.to {
            builder = builder.to(to.clone());
        }
        let parts = MultiPart::alternative_plain_html(rendered.text, rendered.html);
        builder
            .multipart(parts)
            .map_err(|error| SendError::Configuration {
                reason: error.to_string(),
            })
    }

    fn rendered(&self, delivery: &Delivery) -> Result<Rendered, SendError> {
        let rendered = self.templates.render(delivery);
        rendered.map_err(|error| SendError::Configuration {
            reason: error.to_string(),
        })
    }
}

impl Target for Email {
    fn kind(&self) -> &'static str {
        "email"
    }

    fn preview(&self, batch: &[Delivery]) -> Result<Preview, SendError> {
        let rendered = self.rendered(&batch[0])?;
        let to: Vec<String> = self.to.iter().map(Mailbox::to_string).collect();
        let body = Json::object([
            ("from", self.from.to_string().into()),
            ("to", Json::strings(&to)),
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

    fn send<'a>(&'a self, batch: &'a [Delivery]) -> Sending<'a> {
        Box::pin(async move {
            let message = self.compose(&batch[0])?;
            self.transmit(&message, &batch[0].taken)
                .await
                .map_err(|error| judge(&error))?
                .outcome()
        })
    }
}

impl Sent {
    fn outcome(self) -> Result<Receipt, SendError> {
        if self.refused.is_empty() {
            return Ok(Receipt::whole(self.answer));
        }
        let refusals: Vec<String> = self
            .refused
            .iter()
            .map(|(address, error)| format!("not to {address}: {}", error.reason()))
            .collect();
        let mut reason = refusals.join("; ");
        if !self.taken.is_empty() {
            reason = format!(
                "sent to {} ({}); {reason}",
                self.taken.join(", "),
                self.answer
            );
        }
        // As long as one may be taken later it is tried again; then what is refused for good is for somebody to look at.
        let errors = || self.refused.iter().map(|(_, error)| error);
        let rest = if errors().any(|error| matches!(error, SendError::Later { .. })) {
            SendError::later(reason)
        } else if errors().any(|error| matches!(error, SendError::Refused { .. })) {
            SendError::Refused { reason }
        } else {
            SendError::Configuration { reason }
        };
        Err(if self.taken.is_empty() {
            rest
        } else {
            SendError::Partly {
                taken: self.taken,
                rest: Box::new(rest),
            }
        })
    }
}

/// 4xx passes, 5xx does not; what has to do with passwords and certificates is for somebody to mend.
fn judge(error: &SmtpError) -> SendError {
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
        builder = builder
            .add_root_certificate(Certificate::from_pem(pem).map_err(|error| chain(&error))?);
    }
    builder.build_rustls().map_err(|error| chain(&error))
}

fn thread(delivery: &Delivery) -> DeliveryId {
    let mut hash = Sha256::new();
    hash.update(delivery.rule.as_bytes());
    hash.update([0]);
    hash.update(if delivery.resource.is_empty() {
        delivery.event.id.as_bytes()
    } else {
        delivery.resource.as_bytes()
    });
    DeliveryId::from_digest(&hash.finalize())
}

fn header(name: &'static str, value: String) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value)
}
