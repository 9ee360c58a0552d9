//! The SMTP conversation: one connection a mail, every recipient judged separately.
//!
//! `lettre`'s own transport stops at the first recipient that the server refuses. Here the commands
//! are sent one by one, so that one invalid address does not keep the mail from the others.

use std::net::SocketAddr;
use std::time::Duration;

use lettre::transport::smtp::Error as SmtpError;
use lettre::transport::smtp::authentication::DEFAULT_MECHANISMS;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailBodyParameter, MailParameter};
use lettre::{Address, Message};

use super::{Email, TlsMode};
use crate::http::{error_chain, is_egress_denied};
use crate::outcome::{Receipt, SendError};

/// Bounds connecting and quitting only: `lettre` has no timeout for the rest of an asynchronous
/// conversation, which is bounded by the caller's timeout for a whole send.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// What the server accepted and refused of one mail.
#[derive(Default)]
pub(super) struct Transmission {
    accepted: Vec<String>,
    refused: Vec<(String, SendError)>,
    /// The response to the mail's content.
    response: String,
}

impl Email {
    /// The addresses of the server that may be connected to.
    pub(super) async fn addresses(&self) -> Result<Vec<SocketAddr>, SendError> {
        let found = self.policy.resolve(&self.host, self.port).await;
        found.map_err(|error| {
            if is_egress_denied(&error) {
                let reason = error.to_string();
                SendError::Misconfigured { reason }
            } else {
                SendError::transient(format!("cannot resolve {}: {error}", self.host))
            }
        })
    }

    /// Sends one mail to the recipients who are not in `delivered`.
    pub(super) async fn transmit(
        &self,
        server: &[SocketAddr],
        message: &Message,
        delivered: &[String],
    ) -> Result<Transmission, SmtpError> {
        let mut connection = self.connect(server).await?;
        let bytes = message.formatted();
        let to = self
            .to
            .iter()
            .map(|mailbox| &mailbox.email)
            .filter(|address| !delivered.contains(&address.to_string()));
        // Empty when a reload changed the recipients to some who all have it: nothing is sent.
        let to: Vec<&Address> = to.collect();
        let options = self.mail_parameters(&connection, &to, &bytes);
        connection
            .command(Mail::new(Some(self.from.email.clone()), options))
            .await?;
        let mut transmission = Transmission::default();
        for address in to {
            match connection
                .command(Rcpt::new(address.clone(), Vec::new()))
                .await
            {
                Ok(_) => transmission.accepted.push(address.to_string()),
                // With a status the error is about this recipient.
                Err(error) if error.status().is_some() => transmission
                    .refused
                    .push((address.to_string(), self.classify(&error))),
                // Without one it is about the connection, so about all of them.
                Err(error) => return Err(error),
            }
        }
        if !transmission.accepted.is_empty() {
            connection.command(Data).await?;
            let response = connection.message(&bytes).await?;
            transmission.response = format!(
                "{} {}",
                response.code(),
                response.message().collect::<Vec<_>>().join(" ")
            );
        }
        // The server has accepted the mail and is responsible for it. QUIT goes on in the
        // background: if it failed or timed out here, the mail would be sent again.
        tokio::spawn(async move {
            drop(tokio::time::timeout(CONNECT_TIMEOUT, connection.quit()).await);
        });
        Ok(transmission)
    }

    /// The error that an SMTP error stands for, by the target's own rules.
    pub(super) fn classify(&self, error: &SmtpError) -> SendError {
        let code = error
            .status()
            .and_then(|code| code.to_string().parse().ok());
        match code {
            Some(code) => self.answers.apply(code, classify(error)),
            None => classify(error),
        }
    }

    async fn connect(&self, server: &[SocketAddr]) -> Result<AsyncSmtpConnection, SmtpError> {
        let hello = ClientId::default();
        let (from_start, upgrade) = match &self.tls {
            Some((TlsMode::Tls, parameters)) => (Some(parameters.clone()), None),
            Some((_, parameters)) => (None, Some(parameters.clone())),
            None => (None, None),
        };
        let mut connection = AsyncSmtpConnection::connect_tokio1(
            // Not the name, which could be resolved to other addresses now. The certificate is
            // still checked against the name.
            server,
            Some(CONNECT_TIMEOUT),
            &hello,
            from_start,
            None,
        )
        .await?;
        // It fails where the server does not offer STARTTLS: an attacker in between could have
        // removed the offer to read the mail and the password.
        if let Some(parameters) = upgrade {
            connection.starttls(parameters, &hello).await?;
        }
        if let Some(credentials) = &self.credentials {
            connection.auth(DEFAULT_MECHANISMS, credentials).await?;
        }
        Ok(connection)
    }

    /// The extensions that this mail needs: SMTPUTF8 for addresses outside of ASCII, 8BITMIME for
    /// such content.
    fn mail_parameters(
        &self,
        connection: &AsyncSmtpConnection,
        to: &[&Address],
        bytes: &[u8],
    ) -> Vec<MailParameter> {
        let is_international = |address: &Address| !AsRef::<str>::as_ref(address).is_ascii();
        let mut parameters = Vec::new();
        if connection
            .server_info()
            .supports_feature(Extension::SmtpUtfEight)
            && (is_international(&self.from.email)
                || to.iter().any(|address| is_international(address)))
        {
            parameters.push(MailParameter::SmtpUtfEight);
        }
        if !bytes.is_ascii() {
            parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
        }
        parameters
    }
}

impl Transmission {
    /// The outcome for the delivery as a whole.
    ///
    /// Of three recipients `a` is accepted, `b` has a full mailbox (452) and `c` does not exist
    /// (550): `a` is remembered as delivered, and the rest is transient because of `b`. Once `b` is
    /// delivered too, the rest is `c` alone, which is refused, and the dead letter names it.
    pub(super) fn outcome(self) -> Result<Receipt, SendError> {
        if self.refused.is_empty() {
            return Ok(Receipt::complete(self.response));
        }
        let refusals: Vec<String> = self
            .refused
            .iter()
            .map(|(address, error)| format!("not to {address}: {}", error.reason()))
            .collect();
        let mut reason = refusals.join("; ");
        if !self.accepted.is_empty() {
            reason = format!(
                "sent to {} ({}); {reason}",
                self.accepted.join(", "),
                self.response
            );
        }
        // The least final error decides: as long as one recipient may still be reached, all that
        // are left are tried again.
        let errors = || self.refused.iter().map(|(_, error)| error);
        let rest = if errors().any(|error| matches!(error, SendError::Transient { .. })) {
            SendError::transient(reason)
        } else if errors().any(|error| matches!(error, SendError::Refused { .. })) {
            SendError::Refused { reason }
        } else {
            SendError::Misconfigured { reason }
        };
        Err(if self.accepted.is_empty() {
            rest
        } else {
            SendError::Partial {
                delivered: self.accepted,
                rest: Box::new(rest),
            }
        })
    }
}

/// The error that an SMTP error stands for: 4xx is transient, 5xx refused, and errors of passwords
/// and certificates are misconfigurations.
fn classify(error: &SmtpError) -> SendError {
    let reason = error_chain(error);
    let status = error.status().map(|code| code.to_string());
    match status.as_deref() {
        // Authentication required, too weak, failed, needs encryption.
        Some("530" | "534" | "535" | "538" | "550 5.7.1") => SendError::Misconfigured { reason },
        _ if error.is_permanent() => SendError::Refused { reason },
        _ if is_tls_error(&reason) => SendError::Misconfigured { reason },
        _ => SendError::transient(reason),
    }
}

/// Whether an error without a status is about TLS. `lettre` has no kind of error for that, only
/// its text and that of `rustls`.
fn is_tls_error(reason: &str) -> bool {
    reason.contains("certificate") || reason.contains("STARTTLS is not supported")
}
