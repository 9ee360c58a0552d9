//! Targets of chats with incoming webhooks: Feishu, WeCom, Slack and Teams.
//!
//! What differs is behind `ChatService`: how a `Page` becomes a body, whether the service
//! accepts it for its size, and what its responses mean. What is the same is here: which messages a
//! page shows, and in which parts a long one is sent.

mod feishu;
mod page;
mod slack;
mod split;
mod teams;
mod wecom;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use reflexarc_event::Json;
use reflexarc_reaction::Action;
use reqwest::{Client, Url};

pub use self::feishu::{Feishu, FeishuFormat};
use self::page::{Page, Section, mentioned};
pub use self::slack::Slack;
use self::split::pieces;
pub use self::teams::Teams;
pub use self::wecom::{WeCom, WeComFormat};
use super::post::post_json;
use super::{Preview, RateLimit, SendFuture, Target};
use crate::answer_policy::AnswerPolicy;
use crate::delivery::Delivery;
use crate::http::{BoundedResponse, EgressPolicy};
use crate::outcome::{Receipt, SendError};
use crate::rendering::{LINK_BYTES, host_of, prepared, summary};

/// A chat, called by the address of its webhook.
pub struct ChatTarget {
    webhook: ChatWebhook,
    service: Box<dyn ChatService>,
}

/// The webhook of a chat.
pub struct ChatWebhook {
    /// The whole address, which is a secret.
    pub url: Url,
    /// Which addresses it may lead to.
    pub policy: EgressPolicy,
    /// A client of this policy.
    pub client: Client,
    /// How many calls are made.
    pub rate_limit: RateLimit,
    /// The time zone of times in messages; without one, each is shown in the offset that it has in
    /// the event.
    pub time_zone: Option<TimeZone>,
    /// Which codes and HTTP statuses are final, where that differs from the usual.
    pub answers: AnswerPolicy,
}

/// What differs from one service to another.
trait ChatService: Send + Sync {
    /// The type of the target.
    fn kind(&self) -> &'static str;

    /// The largest number of bytes of the texts in one message.
    fn text_bytes(&self) -> usize;

    /// The longest link, as brackets are escaped.
    fn link_bytes(&self) -> usize {
        3 * LINK_BYTES
    }

    /// The body that shows a page.
    fn body(&self, page: &Page) -> Json;

    /// Whether the service accepts a body for its size.
    fn fits(&self, body: &Json) -> bool;

    /// Whether a document is a message in the service's own format, which is posted as it is.
    fn is_native(&self, document: &Json) -> bool;

    /// The body as it is posted now: signed, where the service has signatures.
    fn signed(&self, body: Json, _now: Timestamp) -> Json {
        body
    }

    /// The code of a response that decides about its outcome.
    fn code(&self, response: &BoundedResponse) -> i64;

    /// The outcome that a response stands for.
    fn classify(&self, response: &BoundedResponse, now: Timestamp) -> Result<Receipt, SendError>;
}

impl ChatTarget {
    /// A custom robot of a group of Feishu or Lark.
    pub fn feishu(webhook: ChatWebhook, robot: Feishu) -> Self {
        Self::new(webhook, robot)
    }

    /// A robot of a group of WeCom.
    pub fn wecom(webhook: ChatWebhook, robot: WeCom) -> Self {
        Self::new(webhook, robot)
    }

    /// An incoming webhook of a channel of Slack.
    pub fn slack(webhook: ChatWebhook) -> Self {
        Self::new(webhook, Slack)
    }

    /// A workflow of Microsoft Teams that posts what its webhook receives.
    pub fn teams(webhook: ChatWebhook) -> Self {
        Self::new(webhook, Teams)
    }

    fn new(webhook: ChatWebhook, service: impl ChatService + 'static) -> Self {
        Self {
            webhook,
            service: Box::new(service),
        }
    }

    /// The body for `batch`, which is never empty, and the name of the part that it is when more
    /// parts follow.
    fn render(&self, batch: &[Delivery]) -> (Json, Option<String>) {
        match batch {
            [delivery] => self.single(delivery),
            _ => (self.digest(batch), None),
        }
    }

    /// The body for one delivery, or for the first of its parts that is not delivered yet, then
    /// with that part's name unless it is the last.
    fn single(&self, delivery: &Delivery) -> (Json, Option<String>) {
        if let Some(document) = self.native(delivery) {
            return (document.clone(), None);
        }
        let (at, left_out) = mentioned(std::slice::from_ref(delivery));
        let section = self.section(delivery).with_remark_of(left_out);
        let page = |section| Page::single(section, at.clone());
        let whole = self.service.body(&page(section.clone()));
        if self.service.fits(&whole) && section.text.len() <= self.service.text_bytes() {
            return (whole, None);
        }
        // Every part is measured with all that any of them has, so that each fits.
        let fits = |text: &str| {
            let part = section.part(text.to_owned(), split::MAX_PARTS, split::MAX_PARTS);
            self.service.fits(&self.service.body(&page(part)))
        };
        let pieces = pieces(&section.text, self.service.text_bytes(), fits);
        let count = pieces.len();
        let name = |number: usize| format!("{}/{count}", number + 1);
        let is_delivered = |number: &usize| delivery.delivered_parts.contains(&name(*number));
        let next = (0..count).find(|number| !is_delivered(number));
        let number = next.unwrap_or(count - 1);
        let (is_first, is_last) = (number == 0, number + 1 == count);
        let mut part = section.part(pieces[number].clone(), number + 1, count);
        // People are called once, and the link is where reading ends.
        part.link = part.link.filter(|_| is_last);
        let at = if is_first { at } else { Vec::new() };
        let body = self.service.body(&Page::single(part, at));
        (body, (!is_last).then(|| name(number)))
    }

    fn digest(&self, batch: &[Delivery]) -> Json {
        let (at, left_out) = mentioned(batch);
        let mut sections: Vec<_> = batch.iter().map(|one| self.section(one)).collect();
        // Below the last of its messages.
        if let Some(last) = sections.iter_mut().rfind(|section| !section.is_document) {
            *last = last.clone().with_remark_of(left_out);
        }
        let page = Page::digest(sections, at);
        self.service.body(&page)
    }

    /// How many of the first of `waiting` fit into one digest; 1 when the first is sent alone.
    fn digest_size(&self, waiting: &[Delivery]) -> usize {
        // What cannot fit even without headings and escapes is not rendered to find that out.
        let mut bytes = 0;
        let small = waiting.iter().take_while(|delivery| {
            bytes += summary_bytes(delivery);
            bytes <= self.service.text_bytes() && self.native(delivery).is_none()
        });
        let (mut fitting, mut beyond) = (1, small.count() + 1);
        // A digest of more deliveries is longer, so the largest one that fits can be bisected.
        while beyond - fitting > 1 {
            let middle = fitting.midpoint(beyond);
            if self.service.fits(&self.digest(&waiting[..middle])) {
                fitting = middle;
            } else {
                beyond = middle;
            }
        }
        fitting
    }

    fn section(&self, delivery: &Delivery) -> Section {
        let shown = prepared(delivery, self.webhook.time_zone.as_ref());
        Section::new(&shown).with_link_of(self.service.link_bytes())
    }

    fn native<'a>(&self, delivery: &'a Delivery) -> Option<&'a Json> {
        match &delivery.action {
            Action::Send { payload, .. } => {
                Some(payload).filter(|payload| self.service.is_native(payload))
            }
            _ => None,
        }
    }

    async fn post(&self, body: Json, now: Timestamp) -> Result<Receipt, SendError> {
        let ChatWebhook {
            url,
            policy,
            client,
            ..
        } = &self.webhook;
        // The client's resolver sees host names only; an address in the URL is checked here.
        policy
            .check_url(url)
            .map_err(|denied| SendError::Misconfigured {
                reason: denied.to_string(),
            })?;
        // Signed for each attempt: services reject old timestamps.
        let body = self.service.signed(body, now);
        let response = post_json(client, url.clone(), &body).await?;
        let code = self.service.code(&response);
        let outcome = self.service.classify(&response, now);
        outcome.map_err(|error| self.webhook.answers.apply(code, error))
    }
}

impl Target for ChatTarget {
    fn kind(&self) -> &'static str {
        self.service.kind()
    }

    fn endpoint(&self) -> String {
        host_of(&self.webhook.url)
    }

    fn preview(&self, batch: &[Delivery]) -> Result<Preview, SendError> {
        let (body, part) = self.render(batch);
        let summary = match batch {
            [delivery] => summary(&prepared(delivery, self.webhook.time_zone.as_ref())),
            _ => format!("{} messages", batch.len()),
        };
        Ok(Preview {
            summary,
            body,
            part,
        })
    }

    fn send<'a>(&'a self, batch: &'a [Delivery]) -> SendFuture<'a> {
        Box::pin(async move {
            // Rendered at each attempt: which part is next depends on those that are delivered.
            let (body, part) = self.render(batch);
            let receipt = self.post(body, Timestamp::now()).await?;
            Ok(Receipt { part, ..receipt })
        })
    }

    fn rate_limit(&self) -> Option<RateLimit> {
        Some(self.webhook.rate_limit)
    }

    fn max_batch(&self, waiting: &[Delivery]) -> usize {
        self.digest_size(waiting)
    }
}

/// The bytes of a delivery's own text, which no rendering makes fewer.
fn summary_bytes(delivery: &Delivery) -> usize {
    match &delivery.action {
        Action::Notify { message, .. } => message.text.len(),
        Action::Send { payload, .. }
        | Action::Call {
            parameters: payload,
            ..
        } => payload.to_string().len(),
    }
}
