//! Deliveries as a MIME message.

use lettre::Message;
use lettre::message::MultiPart;
use lettre::message::header::{HeaderName, HeaderValue};
use reflexarc_reaction::Level;
use sha2::{Digest, Sha256};

use super::Email;
use super::template::{level, one_line};
use crate::delivery::{Delivery, DeliveryId};
use crate::digest::DigestKind;
use crate::outcome::SendError;

impl Email {
    /// The mail for these deliveries, which are never none, addressed to all recipients. A retry to
    /// some of them has the same headers, so that everybody gets the same mail.
    pub(super) fn compose(&self, batch: &[Delivery]) -> Result<Message, SendError> {
        let rendered = self.render(batch)?;
        let domain = self.from.email.domain();
        let id = mail_id(batch);
        // No `In-Reply-To` and no `References`: they would have to name a mail that was sent, and
        // which one that was is not known here. A reference to a mail that never existed makes
        // readers show a missing mail, and spam filters suspicious. The thread has a header of its
        // own, by which mails of one rule about one resource can be grouped.
        let mut builder = Message::builder()
            .from(self.from.clone())
            .subject(rendered.subject)
            // The delivery's id: servers and readers drop a copy that a retry sends again.
            .message_id(Some(format!("<{id}@{domain}>")))
            // RFC 3834: automatic responders such as vacation notices do not answer.
            .raw_header(header("Auto-Submitted", "auto-generated".to_owned()));
        // For `reflexarc outbox`, where the delivery is found by this id. A digest lists the ids of
        // its deliveries: a header has no room for them.
        let name = if id.digest_kind().is_some() {
            "X-Reflexarc-Digest"
        } else {
            "X-Reflexarc-Delivery"
        };
        builder = builder.raw_header(header(name, id.to_string()));
        // What is not the same for all messages of a digest has no header.
        if let Some(rule) = common(batch, |delivery| one_line(&delivery.rule)) {
            builder = builder.raw_header(header("X-Reflexarc-Rule", rule));
        }
        let highest = batch.iter().map(|delivery| level(&delivery.action)).max();
        let highest = highest.unwrap_or(Level::Info);
        let level = highest.lowercase().to_owned();
        builder = builder.raw_header(header("X-Reflexarc-Level", level));
        if let Some(thread) = common(batch, thread_id) {
            builder = builder.raw_header(header("X-Reflexarc-Thread", thread.to_string()));
        }
        if let Some(list) = &self.list {
            builder = builder.raw_header(header("List-Id", list_id(list, domain)));
        }
        if highest == Level::Critical {
            builder = builder.raw_header(header("Importance", "high".to_owned()));
        }
        for to in &self.to {
            builder = builder.to(to.clone());
        }
        // `multipart/alternative`, the plain text first: readers show the last part that they can.
        let parts = MultiPart::alternative_plain_html(rendered.text, rendered.html);
        builder
            .multipart(parts)
            .map_err(|error| SendError::Misconfigured {
                reason: error.to_string(),
            })
    }
}

/// The id of the mail: that of its delivery, or of its digest.
fn mail_id(batch: &[Delivery]) -> DeliveryId {
    match batch {
        [delivery] => delivery.id,
        _ => DeliveryId::of_digest(batch, DigestKind::Messages),
    }
}

/// What `property` is of every delivery; `None` where they differ.
fn common<T: PartialEq>(batch: &[Delivery], property: impl Fn(&Delivery) -> T) -> Option<T> {
    let first = property(batch.first()?);
    let is_common = batch.iter().all(|delivery| property(delivery) == first);
    is_common.then_some(first)
}

/// The `List-Id` of a target (RFC 2919): `operators <operators.reflexarc.example.com>`. A character
/// that its label may not have becomes `-`.
fn list_id(target: &str, domain: &str) -> String {
    let label = |letter: char| match letter {
        letter if letter.is_ascii_alphanumeric() || letter == '-' || letter == '_' => letter,
        _ => '-',
    };
    let label: String = target.chars().map(label).collect();
    format!("{label} <{label}.reflexarc.{domain}>")
}

/// The id of the thread: a digest of rule and resource, or of rule and event where the event
/// has no resource. The byte between them keeps rule `a` with resource `bc` and rule `ab` with
/// resource `c` apart.
fn thread_id(delivery: &Delivery) -> DeliveryId {
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
