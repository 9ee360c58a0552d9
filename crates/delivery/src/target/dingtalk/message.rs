//! Renders what a robot posts: one message for one delivery, or a Markdown digest for several.

use reflexarc_event::Json;
use reflexarc_reaction::{Action, Level, Message};

use super::markdown::{escape_all, escape_links, fence, fenced, one_line, with_line_breaks};
use super::split::split;
use super::{DingTalk, Format};
use crate::delivery::Delivery;
use crate::rendering::{is_web_link, truncate};

/// A robot accepts 20,000 bytes (`460101 message too long, exceed 20000 bytes`); 1,000 are kept for
/// what the estimate of a digest's size leaves out.
const MAX_BYTES: usize = 19_000;
/// The part of `MAX_BYTES` that is not the text of a single message: title, mentions, link, keyword
/// and JSON.
const FRAME_BYTES: usize = 4_000;
/// The longest title, which the list of conversations shows.
const TITLE_BYTES: usize = 200;

/// The body of a call that carries `batch`, which is never empty, and the name of the part that it
/// is when more parts follow.
pub(super) fn render(robot: &DingTalk, batch: &[Delivery]) -> (Json, Option<String>) {
    match batch {
        [delivery] => single(robot, delivery),
        _ => (digest(robot, batch), None),
    }
}

/// The line of a body that the list of conversations shows.
pub(super) fn conversation_title(body: &Json) -> String {
    // A body is `{"msgtype": "link", "link": {"title": …}}`.
    let kind = body
        .get("msgtype")
        .and_then(Json::as_str)
        .unwrap_or_default();
    let inner = body.get(kind);
    let text = |key: &str| {
        inner
            .and_then(|inner| inner.get(key))
            .and_then(Json::as_str)
    };
    // A text message has no title; its first line is shown. A native payload may have neither.
    let line = text("title").or_else(|| text("content")?.lines().next());
    line.map_or_else(|| body.to_string(), str::to_owned)
}

/// How many of the first of `waiting` fit into one digest; 1 when the first is better sent alone.
pub(super) fn digest_size(robot: &DingTalk, waiting: &[Delivery]) -> usize {
    // What `digest` adds around the sections: heading, keyword, JSON.
    let mut bytes = 1_000 + robot.keywords.first().map_or(0, String::len);
    let mut count = 0;
    for delivery in waiting {
        // Sizes as in JSON, whose escapes count towards the robot's limit.
        bytes += Json::from(section(robot, delivery)).to_string().len() + mentions_bytes(delivery);
        // A payload in the robot's own format cannot be a section of another message.
        if native_payload(&delivery.action).is_some() || bytes > MAX_BYTES {
            break;
        }
        count += 1;
    }
    count.max(1)
}

/// The body for one delivery, or for the first of its parts that is not delivered yet, then with
/// that part's name unless it is the last.
///
/// A text of 40,000 bytes is sent in the parts `1/3`, `2/3` and `3/3`, each in a call of its own.
/// The names of delivered parts are stored with the delivery, so that after a failure or a restart
/// the sending continues with the part that failed.
fn single(robot: &DingTalk, delivery: &Delivery) -> (Json, Option<String>) {
    if let Some(payload) = native_payload(&delivery.action) {
        return (payload.clone(), None);
    }
    let (whole, fence) = match &delivery.action {
        Action::Send { payload, .. } => (payload.to_string(), fence(payload)),
        Action::Notify { message, .. } if is_plain(robot, message) => {
            (message.text.clone(), String::new())
        }
        Action::Notify { message, .. } => (
            with_line_breaks(&markdown_text(robot, message)),
            String::new(),
        ),
    };
    // Every part of a document gets its own fence, before and after.
    // Split before it is laid out: a part is then a message of its own, with title and number.
    let pieces = split(&whole, MAX_BYTES - FRAME_BYTES - 2 * fence.len());
    let name = |number: usize| format!("{}/{}", number + 1, pieces.len());
    let is_delivered = |number: &usize| delivery.delivered_parts.contains(&name(*number));
    let next = (0..pieces.len()).find(|number| !is_delivered(number));
    let number = next.unwrap_or(pieces.len() - 1);
    let part = Part {
        text: pieces[number],
        number,
        count: pieces.len(),
    };
    let body = match &delivery.action {
        // A document is shown as a code block, under the rule's name.
        Action::Send { .. } => {
            let title = part.titled(&one_line(&delivery.rule));
            markdown(robot, &title, fenced(part.text, &fence), mentions(&[]))
        }
        Action::Notify { message, .. } => notification(robot, delivery, message, &part),
    };
    (body, (number + 1 < pieces.len()).then(|| name(number)))
}

/// A payload that is a message in the robot's own format, which is posted as it is.
fn native_payload(action: &Action) -> Option<&Json> {
    match action {
        Action::Send { payload, .. } if payload.get("msgtype").is_some() => Some(payload),
        _ => None,
    }
}

/// A piece of a text.
struct Part<'a> {
    text: &'a str,
    /// From 0.
    number: usize,
    count: usize,
}

impl Part<'_> {
    fn titled(&self, title: &str) -> String {
        if self.count == 1 {
            title.to_owned()
        } else {
            format!("{title} ({}/{})", self.number + 1, self.count)
        }
    }

    fn is_last(&self) -> bool {
        self.number + 1 == self.count
    }
}

/// The body for several deliveries: every line of every message, each message under its title.
fn digest(robot: &DingTalk, batch: &[Delivery]) -> Json {
    let title = format!("{} messages", batch.len());
    let (mut text, mut at) = (format!("#### {title}\n"), Vec::<String>::new());
    for delivery in batch {
        text.push_str(&section(robot, delivery));
        if let Action::Notify { message, .. } = &delivery.action {
            // Each person once, however many of the messages mention them.
            let new: Vec<_> = message
                .at
                .iter()
                .filter(|person| !at.contains(person))
                .cloned()
                .collect();
            at.extend(new);
        }
    }
    let text = with_mentions(text, &at);
    markdown(robot, &title, text, mentions(&at))
}

/// The body for a message, or for one part of it. People are mentioned in the first part only, so
/// that they are called once; the link comes with the last, where reading ends.
fn notification(robot: &DingTalk, delivery: &Delivery, message: &Message, part: &Part<'_>) -> Json {
    let title = part.titled(&title(message, delivery));
    let link = web_link(message).filter(|_| part.is_last());
    let at: &[String] = if part.number == 0 { &message.at } else { &[] };
    match (robot.format, link) {
        (Format::Text, _) => text_message(robot, message, part, link, at),
        // Links and cards have no `at` member: they cannot mention anyone.
        (Format::Link, Some(link)) => {
            let text = with_keyword(robot, part.text.to_owned(), &[&title]);
            let link = Json::object([
                ("title", title.into()),
                ("text", text.into()),
                ("messageUrl", link.into()),
                ("picUrl", "".into()),
            ]);
            Json::object([("msgtype", "link".into()), ("link", link)])
        }
        (Format::ActionCard, Some(link)) => {
            let text = format!("### {}\n\n{}", escape_all(&title), part.text);
            let text = with_keyword(robot, text, &[&title]);
            let card = Json::object([
                ("title", title.into()),
                ("text", text.into()),
                // The button's label.
                ("singleTitle", "Open".into()),
                ("singleURL", link.into()),
            ]);
            Json::object([("msgtype", "actionCard".into()), ("actionCard", card)])
        }
        _ => {
            // The link's own brackets would end the Markdown link early.
            let link = link
                .map(|link| format!("\n\n[{0}]({0})", link.replace(['(', ')', '[', ']'], "")))
                .unwrap_or_default();
            // Only the last part of a `Link` message is a link; the earlier ones are Markdown, and
            // their text is not escaped yet.
            let body = if is_plain(robot, message) {
                with_line_breaks(&escape_links(part.text))
            } else {
                part.text.to_owned()
            };
            let text = format!("### {}\n\n{body}{link}", escape_all(&title));
            markdown(robot, &title, with_mentions(text, at), mentions(at))
        }
    }
}

/// A message of type `text`: title, text and link on lines of their own.
fn text_message(
    robot: &DingTalk,
    message: &Message,
    part: &Part<'_>,
    link: Option<&str>,
    at: &[String],
) -> Json {
    // This type has no title member, and the text needs none: without a title there is no heading.
    let heading = part.titled(&one_line(&message.title));
    let heading = if heading.is_empty() {
        heading
    } else {
        // Without a title the part's number is all of the heading.
        format!("{}\n", heading.trim_start())
    };
    let link = link.map(|link| format!("\n{link}")).unwrap_or_default();
    let content = with_mentions(format!("{heading}{}{link}", part.text), at);
    let content = with_keyword(robot, content, &[]);
    Json::object([
        ("msgtype", "text".into()),
        ("text", Json::object([("content", content.into())])),
        ("at", mentions(at)),
    ])
}

fn markdown(robot: &DingTalk, title: &str, text: String, at: Json) -> Json {
    let text = with_keyword(robot, text, &[title]);
    let content = Json::object([("title", title.into()), ("text", text.into())]);
    Json::object([
        ("msgtype", "markdown".into()),
        ("markdown", content),
        ("at", at),
    ])
}

/// One delivery within a digest.
fn section(robot: &DingTalk, delivery: &Delivery) -> String {
    let (heading, text) = match &delivery.action {
        Action::Notify { message, .. } => {
            let link = web_link(message)
                .map(|link| format!("\n{link}"))
                .unwrap_or_default();
            (
                format!(
                    "{}**{}**",
                    level_prefix(message.level),
                    escape_all(&title(message, delivery))
                ),
                format!("{}{link}", markdown_text(robot, message)),
            )
        }
        Action::Send { payload, .. } => (
            format!("**{}**", escape_all(&delivery.rule)),
            fenced(&payload.to_string(), &fence(payload)),
        ),
    };
    format!("\n{heading}  \n{}\n", with_line_breaks(&text))
}

/// A title is required: without one it is the first line of the text, or else the rule's name.
fn title(message: &Message, delivery: &Delivery) -> String {
    let text = if message.title.is_empty() {
        message.text.lines().next().unwrap_or_default()
    } else {
        &message.title
    };
    let text = one_line(if text.is_empty() {
        &delivery.rule
    } else {
        text
    });
    truncate(&text, TITLE_BYTES).to_owned()
}

/// Whether the text is sent as it is, not as Markdown.
fn is_plain(robot: &DingTalk, message: &Message) -> bool {
    robot.format == Format::Text || (robot.format == Format::Link && web_link(message).is_some())
}

/// The text as Markdown, with links only where the configuration permits them.
fn markdown_text(robot: &DingTalk, message: &Message) -> String {
    if robot.links {
        message.text.clone()
    } else {
        escape_links(&message.text)
    }
}

/// The message's link, if it is one of the web and cannot break out of its line.
fn web_link(message: &Message) -> Option<&str> {
    message
        .link
        .as_deref()
        .filter(|link| is_web_link(link) && !link.contains(|c: char| c.is_control() || c == ' '))
}

/// The level in front of a title within a digest; `info` is not shown.
fn level_prefix(level: Level) -> String {
    if level == Level::Info {
        String::new()
    } else {
        format!("{} ", level.lowercase().to_uppercase())
    }
}

/// Appends the robot's first keyword where neither the text nor `elsewhere` contains one: a robot
/// with keywords rejects any other message.
fn with_keyword(robot: &DingTalk, text: String, elsewhere: &[&str]) -> String {
    let is_contained = |keyword: &String| {
        text.contains(keyword.as_str())
            || elsewhere
                .iter()
                .any(|other| other.contains(keyword.as_str()))
    };
    match robot.keywords.first() {
        Some(first) if !robot.keywords.iter().any(is_contained) => format!("{text}\n\n{first}"),
        _ => text,
    }
}

/// The `at` member: `all`, mobile numbers (digits, with `+` and `-` for the country) and user ids.
fn mentions(at: &[String]) -> Json {
    let is_mobile = |person: &String| {
        person
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'+' || byte == b'-')
    };
    // The API has a member for each of the two kinds.
    let (mobiles, ids): (Vec<&String>, Vec<&String>) = at
        .iter()
        .filter(|person| *person != "all")
        .partition(|person| is_mobile(person));
    Json::object([
        ("atMobiles", Json::strings(mobiles)),
        ("atUserIds", Json::strings(ids)),
        ("isAtAll", at.iter().any(|person| person == "all").into()),
    ])
}

/// Appends the mentions that the text does not contain: a robot shows and announces a mention of
/// `at` only where the text has it too.
fn with_mentions(text: String, at: &[String]) -> String {
    let mentions: Vec<String> = at
        .iter()
        .filter(|person| *person != "all")
        .map(|person| format!("@{}", one_line(person)))
        .collect();
    let missing: Vec<&str> = mentions
        .iter()
        .map(String::as_str)
        .filter(|mention| !text.contains(mention))
        .collect();
    if missing.is_empty() {
        text
    } else {
        format!("{text}\n\n{}", missing.join(" "))
    }
}

/// The size of a delivery's mentions in a digest: each is in the text and in `at`, with quotes, a
/// comma and `@`.
fn mentions_bytes(delivery: &Delivery) -> usize {
    match &delivery.action {
        Action::Notify { message, .. } => {
            let bytes = message.at.iter().map(|person| 2 * person.len() + 8);
            bytes.sum()
        }
        Action::Send { .. } => 0,
    }
}
