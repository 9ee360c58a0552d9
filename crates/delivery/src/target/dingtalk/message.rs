//! What a robot posts: text, markdown, link and card for one delivery, a markdown digest for many.

use reflexarc_event::Json;
use reflexarc_reaction::{Action, Level, Message};

use super::DingTalk;
use super::pieces::pieces;
use crate::delivery::Delivery;
use crate::target::cut;

/// How a message for people is laid out. A link or card needs a message with a link; without one it is markdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// Plain text.
    Text,
    /// Title and text in Markdown.
    #[default]
    Markdown,
    /// A preview that leads to the message's link.
    Link,
    /// A card with one button that leads to the message's link.
    ActionCard,
}

/// A robot takes 20,000 bytes; the room between is for JSON's escapes of what we cannot foresee.
const BYTES: usize = 19_000;
/// Longest title: it is shown in the list of conversations.
const TITLE: usize = 200;

/// The body of a call that carries these deliveries, which are not none, and the name of the part that it is, when there
/// is more of it to send.
pub(super) fn body(robot: &DingTalk, batch: &[Delivery]) -> (Json, Option<String>) {
    match batch {
        [delivery] => single(robot, delivery),
        _ => (digest(robot, batch), None),
    }
}

/// The line of a body that is shown in the list of conversations.
pub(super) fn heading(body: &Json) -> String {
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
    let line = text("title").or_else(|| text("content")?.lines().next());
    line.map_or_else(|| body.to_string(), str::to_owned)
}

/// The body for one delivery, or for the first part of it that was not taken yet; then with that part's name, unless it is
/// the last. A payload that is a message of the robot's own kind (it has `msgtype`) goes as it is.
fn single(robot: &DingTalk, delivery: &Delivery) -> (Json, Option<String>) {
    let (whole, fence) = match &delivery.action {
        Action::Send { payload, .. } if payload.get("msgtype").is_some() => {
            return (payload.clone(), None);
        }
        Action::Send { payload, .. } => (payload.to_string(), fence(payload)),
        Action::Notify { message, .. } if plain(robot, message) => {
            (message.text.clone(), String::new())
        }
        Action::Notify { message, .. } => (lines(&shown(robot, message)), String::new()),
    };
    let pieces = pieces(&whole, BYTES - 4_000 - 2 * fence.len());
    let name = |number: usize| format!("{}/{}", number + 1, pieces.len());
    let next = (0..pieces.len()).find(|number| !delivery.taken.contains(&name(*number)));
    let number = next.unwrap_or(pieces.len() - 1);
    let part = Part {
        text: pieces[number],
        number,
        of: pieces.len(),
    };
    let body = match &delivery.action {
        Action::Send { .. } => {
            let title = part.titled(&one_line(&delivery.rule));
            markdown(robot, &title, fenced(part.text, &fence), mentions(&[]))
        }
        Action::Notify { message, .. } => notify(robot, delivery, message, &part),
    };
    (body, (number + 1 < pieces.len()).then(|| name(number)))
}

/// A piece of a text, counted from 0.
struct Part<'a> {
    text: &'a str,
    number: usize,
    of: usize,
}

impl Part<'_> {
    fn titled(&self, title: &str) -> String {
        if self.of == 1 {
            title.to_owned()
        } else {
            format!("{title} ({}/{})", self.number + 1, self.of)
        }
    }

    fn is_last(&self) -> bool {
        self.number + 1 == self.of
    }
}

/// The body for several deliveries: every line of every message, each message under its title.
fn digest(robot: &DingTalk, batch: &[Delivery]) -> Json {
    let (mut text, mut at) = (
        format!("#### {} messages\n", batch.len()),
        Vec::<String>::new(),
    );
    for delivery in batch {
        text.push_str(&section(robot, delivery));
        if let Action::Notify { message, .. } = &delivery.action {
            let new: Vec<_> = message
                .at
                .iter()
                .filter(|who| !at.contains(who))
                .cloned()
                .collect();
            at.extend(new);
        }
    }
    let text = with_mentions(text, &at);
    markdown(
        robot,
        &format!("{} messages", batch.len()),
        text,
        mentions(&at),
    )
}

/// How many of the first of `waiting` fit into one digest; 1 when the first goes better alone.
pub(super) fn pack(robot: &DingTalk, waiting: &[Delivery]) -> usize {
    // What `digest` adds around the sections: heading, keyword, JSON.
    let mut bytes = 1_000 + robot.keywords.first().map_or(0, String::len);
    let mut count = 0;
    for delivery in waiting {
        let own = matches!(&delivery.action, Action::Send { payload, .. } if payload.get("msgtype").is_some());
        bytes += Json::from(section(robot, delivery)).to_string().len() + mentions_bytes(delivery);
        if own || bytes > BYTES {
            break;
        }
        count += 1;
    }
    count.max(1)
}

/// Whether the text goes as it is, without the signs of Markdown.
fn plain(robot: &DingTalk, message: &Message) -> bool {
    robot.format == Format::Text || (robot.format == Format::Link && linked(message).is_some())
}

fn linked(message: &Message) -> Option<&str> {
    message.link.as_deref().filter(|link| web(link))
}

/// People are called with the first part, the link comes with the last.
fn notify(robot: &DingTalk, delivery: &Delivery, message: &Message, part: &Part<'_>) -> Json {
    let title = part.titled(&title(message, delivery));
    let link = linked(message).filter(|_| part.is_last());
    let at: &[String] = if part.number == 0 { &message.at } else { &[] };
    match (robot.format, link) {
        (Format::Text, _) => {
            let heading = if message.title.is_empty() {
                String::new()
            } else {
                one_line(&message.title)
            };
            let heading = part.titled(&heading);
            let heading = if heading.is_empty() {
                heading
            } else {
                format!("{}\n", heading.trim_start())
            };
            let after = link.map(|link| format!("\n{link}")).unwrap_or_default();
            let content = keyword(
                robot,
                with_mentions(format!("{heading}{}{after}", part.text), at),
                &[],
            );
            let text = Json::object([("content", content.into())]);
            Json::object([
                ("msgtype", "text".into()),
                ("text", text),
                ("at", mentions(at)),
            ])
        }
        (Format::Link, Some(link)) => {
            let text = keyword(robot, part.text.to_owned(), &[&title]);
            let link = Json::object([
                ("title", title.into()),
                ("text", text.into()),
                ("messageUrl", link.into()),
                ("picUrl", "".into()),
            ]);
            Json::object([("msgtype", "link".into()), ("link", link)])
        }
        (Format::ActionCard, Some(link)) => {
            let text = keyword(
                robot,
                format!("### {}\n\n{}", escape_all(&title), part.text),
                &[&title],
            );
            let card = Json::object([
                ("title", title.into()),
                ("text", text.into()),
                ("singleTitle", "Open".into()),
                ("singleURL", link.into()),
            ]);
            Json::object([("msgtype", "actionCard".into()), ("actionCard", card)])
        }
        _ => {
            let after = link
                .map(|link| format!("\n\n[{0}]({0})", link.replace(['(', ')', '[', ']'], "")))
                .unwrap_or_default();
            // The earlier parts of a link's text are not its last: they are laid out as any other text.
            let words = if plain(robot, message) {
                lines(&escape_links(part.text))
            } else {
                part.text.to_owned()
            };
            let text = format!("### {}\n\n{words}{after}", escape_all(&title));
            markdown(robot, &title, with_mentions(text, at), mentions(at))
        }
    }
}

fn markdown(robot: &DingTalk, title: &str, text: String, at: Json) -> Json {
    let text = keyword(robot, text, &[title]);
    let content = Json::object([("title", title.into()), ("text", text.into())]);
    Json::object([
        ("msgtype", "markdown".into()),
        ("markdown", content),
        ("at", at),
    ])
}

/// Two spaces before a newline keep lines apart in Markdown.
fn lines(text: &str) -> String {
    text.lines().collect::<Vec<_>>().join("  \n")
}

/// One delivery within a digest.
fn section(robot: &DingTalk, delivery: &Delivery) -> String {
    let (heading, text) = match &delivery.action {
        Action::Notify { message, .. } => {
            let link = message
                .link
                .as_deref()
                .filter(|link| web(link))
                .map(|link| format!("\n{link}"))
                .unwrap_or_default();
            (
                format!(
                    "{}**{}**",
                    mark(message.level),
                    escape_all(&title(message, delivery))
                ),
                format!("{}{link}", shown(robot, message)),
            )
        }
        Action::Send { payload, .. } => (
            format!("**{}**", escape_all(&delivery.rule)),
            fenced(&payload.to_string(), &fence(payload)),
        ),
    };
    format!("\n{heading}  \n{}\n", lines(&text))
}

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
    cut(&text, TITLE).to_owned()
}

fn shown(robot: &DingTalk, message: &Message) -> String {
    if robot.links {
        message.text.clone()
    } else {
        escape_links(&message.text)
    }
}

fn mark(level: Level) -> String {
    if level == Level::Info {
        String::new()
    } else {
        format!("{} ", level.lowercase().to_uppercase())
    }
}

/// Adds the robot's first keyword where the message holds none.
fn keyword(robot: &DingTalk, text: String, elsewhere: &[&str]) -> String {
    let holds = |word: &String| {
        text.contains(word.as_str()) || elsewhere.iter().any(|other| other.contains(word.as_str()))
    };
    match robot.keywords.first() {
        Some(first) if !robot.keywords.iter().any(holds) => format!("{text}\n\n{first}"),
        _ => text,
    }
}

/// `all`, mobile numbers (digits and a country's plus) and user ids.
fn mentions(at: &[String]) -> Json {
    let mobile = |who: &String| {
        who.bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'+' || byte == b'-')
    };
    let people: Vec<&String> = at.iter().filter(|who| *who != "all").collect();
    Json::object([
        (
            "atMobiles",
            Json::strings(people.iter().copied().filter(|who| mobile(who))),
        ),
        (
            "atUserIds",
            Json::strings(people.iter().copied().filter(|who| !mobile(who))),
        ),
        ("isAtAll", at.iter().any(|who| who == "all").into()),
    ])
}

/// A mention is shown only where the text has it too.
fn with_mentions(text: String, at: &[String]) -> String {
    let names: Vec<String> = at
        .iter()
        .filter(|who| *who != "all")
        .map(|who| format!("@{}", one_line(who)))
        .collect();
    let missing: Vec<&str> = names
        .iter()
        .map(String::as_str)
        .filter(|name| !text.contains(name))
        .collect();
    if missing.is_empty() {
        text
    } else {
        format!("{text}\n\n{}", missing.join(" "))
    }
}

fn mentions_bytes(delivery: &Delivery) -> usize {
    match &delivery.action {
        Action::Notify { message, .. } => message.at.iter().map(|who| 2 * who.len() + 8).sum(),
        Action::Send { .. } => 0,
    }
}

/// A fence longer than any run of backticks inside cannot be closed from inside.
fn fence(payload: &Json) -> String {
    let text = payload.to_string();
    let longest = text
        .split(|letter| letter != '`')
        .map(str::len)
        .max()
        .unwrap_or(0);
    "`".repeat(3.max(longest + 1))
}

fn fenced(text: &str, fence: &str) -> String {
    format!("{fence}\n{text}\n{fence}")
}

fn one_line(text: &str) -> String {
    text.split(|letter: char| letter.is_control() || letter == '\u{2028}' || letter == '\u{2029}')
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

fn web(link: &str) -> bool {
    (link.starts_with("https://") || link.starts_with("http://"))
        && !link.contains(|c: char| c.is_control() || c == ' ')
}

/// Shows links, images and HTML as text; emphasis, lists and headings stay.
fn escape_links(text: &str) -> String {
    escape(text, "[]<")
}

/// Shows every sign of Markdown as text.
fn escape_all(text: &str) -> String {
    escape(text, "\\`*_{}[]<>#|~")
}

fn escape(text: &str, signs: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        if signs.contains(letter) {
            escaped.push('\\');
        }
        escaped.push(letter);
    }
    escaped
}
