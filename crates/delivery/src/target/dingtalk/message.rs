//! Renders what a robot posts: one message for one delivery, or a Markdown digest for several.

use reflexarc_event::Json;
use reflexarc_reaction::{Action, Level, Message};

use super::markdown::{escape_all, escape_links, fence, fenced, with_line_breaks};
use super::split::{json_bytes, split};
use super::{DingTalk, Format};
use crate::delivery::Delivery;
use crate::rendering::{ellipsize, one_line, prepared, web_link};

/// A robot accepts 20,000 bytes (`460101 message too long, exceed 20000 bytes`); 1,000 are kept for
/// what the estimate of a digest's size leaves out.
const MAX_BYTES: usize = 19_000;
/// The longest title, which the list of conversations shows.
const TITLE_BYTES: usize = 200;
/// The bytes of `at` that one message can mention.
const MENTIONS_BYTES: usize = 4_000;
/// The name of the last of very many parts is longer than that of a single one.
const PART_NAME_BYTES: usize = 32;

/// The body of a call that carries `batch`, which is never empty, and the name of the part that it
/// is when more parts follow.
pub(super) fn render(robot: &DingTalk, batch: &[Delivery]) -> (Json, Option<String>) {
    match batch {
        [delivery] => single(robot, &prepared(delivery, robot.time_zone.as_ref())),
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
    let (mut count, mut mentions) = (0, 0);
    for delivery in waiting {
        let delivery = &*prepared(delivery, robot.time_zone.as_ref());
        // Sizes as in JSON, whose escapes count towards the robot's limit.
        bytes += Json::from(section(robot, delivery)).to_string().len() + mentions_bytes(delivery);
        mentions += mentions_bytes(delivery);
        // A payload in the robot's own format cannot be a section of another message.
        if native_payload(&delivery.action).is_some()
            || bytes > MAX_BYTES
            || mentions > MENTIONS_BYTES
        {
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
    let (whole, fence, cost): (_, _, fn(char) -> usize) = match &delivery.action {
        Action::Send { payload, .. }
        | Action::Call {
            parameters: payload,
            ..
        } => (payload.to_string(), fence(payload), json_bytes),
        Action::Notify { message, .. } if is_plain(robot, message) => {
            let cost = match robot.format {
                Format::Text => json_bytes,
                _ => escaped_bytes,
            };
            (message.text.clone(), String::new(), cost)
        }
        Action::Notify { message, .. } => (
            with_line_breaks(&markdown_text(robot, message)),
            String::new(),
            json_bytes,
        ),
    };
    // Every part of a document gets its own fence, before and after.
    // Split before it is laid out: a part is then a message of its own, with title and number.
    let frame = frame_bytes(robot, delivery) + 2 * fence.len();
    let pieces = split(&whole, MAX_BYTES.saturating_sub(frame), cost);
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
        Action::Send { .. } | Action::Call { .. } => {
            let title = part.titled(&one_line(&delivery.rule));
            markdown(robot, &title, fenced(part.text, &fence), mentions(&[]))
        }
        Action::Notify { message, .. } => notification(robot, delivery, message, &part),
    };
    (body, (number + 1 < pieces.len()).then(|| name(number)))
}

/// The size of what a message has besides its text: title, mentions, link, keyword and JSON. Taken
/// from messages with all of these and an empty text, so that no kind of them can be forgotten.
fn frame_bytes(robot: &DingTalk, delivery: &Delivery) -> usize {
    let part = |number, count| Part {
        text: "",
        number,
        count,
    };
    let Action::Notify { message, .. } = &delivery.action else {
        let title = part(0, 1).titled(&one_line(&delivery.rule));
        let body = markdown(robot, &title, fenced("", ""), mentions(&[]));
        return body.to_string().len() + PART_NAME_BYTES;
    };
    // The first part has the mentions, the last one the link, and a single one both; and only the
    // last part of a `Link` message is a link.
    let bodies = [part(0, 1), part(0, 2), part(1, 2)].map(|part| {
        notification(robot, delivery, message, &part)
            .to_string()
            .len()
    });
    bodies.into_iter().max().unwrap_or(0) + PART_NAME_BYTES
}

/// The size of a character of the text of a link message in JSON. An earlier part is Markdown,
/// where brackets are escaped and lines end with two spaces.
fn escaped_bytes(letter: char) -> usize {
    match letter {
        '[' | ']' | '<' => 3,
        '\n' => 4,
        letter => json_bytes(letter),
    }
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
        let delivery = &*prepared(delivery, robot.time_zone.as_ref());
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
    let heading = heading(message, delivery, part);
    let link = web_link(message).filter(|_| part.is_last());
    let at: &[String] = if part.number == 0 { &message.at } else { &[] };
    match (robot.format, link) {
        (Format::Text, _) => text_message(robot, &heading, part, link, at),
        (Format::Link, Some(link)) if is_link(robot, message) => {
            link_message(robot, delivery, message, part, link)
        }
        (Format::ActionCard, Some(link)) => {
            let text = with_mentions(with_heading(&heading, part.text), at);
            let text = with_keyword(robot, text, &[&title]);
            let card = Json::object([
                ("title", title.into()),
                ("text", text.into()),
                // The button's label.
                ("singleTitle", "Open".into()),
                ("singleURL", link.into()),
            ]);
            // The documentation lists `at` for text and Markdown only, but robots act on it in
            // cards too, as long as the text has the mention.
            Json::object([
                ("msgtype", "actionCard".into()),
                ("actionCard", card),
                ("at", mentions(at)),
            ])
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
            let text = format!("{}{link}", with_heading(&heading, &body));
            markdown(robot, &title, with_mentions(text, at), mentions(at))
        }
    }
}

/// A message of type `link`, which shows its title and its text.
fn link_message(
    robot: &DingTalk,
    delivery: &Delivery,
    message: &Message,
    part: &Part<'_>,
    link: &str,
) -> Json {
    // A title is required. The first line of the text, which stands in for it elsewhere, would be
    // shown twice.
    let name = if message.title.is_empty() {
        &delivery.rule
    } else {
        &message.title
    };
    let title = format!("{}{}", level_prefix(message.level), one_line(name));
    let title = part.titled(&ellipsize(&title, TITLE_BYTES));
    // So is a text.
    let text = if part.text.trim().is_empty() {
        link
    } else {
        part.text
    };
    let text = with_keyword(robot, text.to_owned(), &[&title]);
    let content = Json::object([
        ("title", title.into()),
        ("text", text.into()),
        ("messageUrl", link.into()),
        ("picUrl", "".into()),
    ]);
    Json::object([("msgtype", "link".into()), ("link", content)])
}

/// A message of type `text`: heading, text and link on lines of their own.
fn text_message(
    robot: &DingTalk,
    heading: &str,
    part: &Part<'_>,
    link: Option<&str>,
    at: &[String],
) -> Json {
    let lines = [heading, part.text, link.unwrap_or_default()];
    let lines = lines.into_iter().filter(|line| !line.is_empty());
    let content = with_mentions(lines.collect::<Vec<_>>().join("\n"), at);
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
            // Without a title the rule's name: the first line of the text follows anyway.
            let name = if message.title.is_empty() {
                &delivery.rule
            } else {
                &message.title
            };
            let heading = format!("{}{}", level_prefix(message.level), one_line(name));
            (
                escape_all(&ellipsize(&heading, TITLE_BYTES)),
                format!("{}{link}", markdown_text(robot, message)),
            )
        }
        Action::Send { payload, .. }
        | Action::Call {
            parameters: payload,
            ..
        } => (
            escape_all(&delivery.rule),
            fenced(&payload.to_string(), &fence(payload)),
        ),
    };
    format!("\n**{heading}**  \n{}\n", with_line_breaks(&text))
}

/// The title that the list of conversations shows, which is required: the level, and the message's
/// title, the first line of its text, or else the rule's name.
fn title(message: &Message, delivery: &Delivery) -> String {
    let first = message.text.lines().find(|line| !line.trim().is_empty());
    let text = match (message.title.as_str(), first) {
        ("", Some(first)) => first,
        ("", None) => &delivery.rule,
        (title, _) => title,
    };
    let text = format!("{}{}", level_prefix(message.level), one_line(text));
    ellipsize(&text, TITLE_BYTES)
}

/// What is above the text: the level, the title, and the part's number, as far as there are any.
/// The title that stands in for a missing one is not among them, as it is in the text already.
fn heading(message: &Message, delivery: &Delivery, part: &Part<'_>) -> String {
    let has_nothing = message.title.is_empty() && message.text.trim().is_empty();
    let title = if has_nothing {
        &delivery.rule
    } else {
        &message.title
    };
    let heading = format!("{}{}", level_prefix(message.level), one_line(title));
    let heading = part.titled(&ellipsize(&heading, TITLE_BYTES));
    heading.trim().to_owned()
}

fn with_heading(heading: &str, text: &str) -> String {
    if heading.is_empty() {
        text.to_owned()
    } else {
        format!("### {}\n\n{text}", escape_all(heading))
    }
}

/// Whether a message is laid out as a link. Links cannot mention anyone, so a message that does is
/// Markdown with the link in it: that people are called is worth more than the layout.
fn is_link(robot: &DingTalk, message: &Message) -> bool {
    robot.format == Format::Link && web_link(message).is_some() && message.at.is_empty()
}

/// Whether the text is sent as it is, not as Markdown.
fn is_plain(robot: &DingTalk, message: &Message) -> bool {
    robot.format == Format::Text || is_link(robot, message)
}

/// The text as Markdown, with links only where the configuration permits them.
fn markdown_text(robot: &DingTalk, message: &Message) -> String {
    if robot.links {
        message.text.clone()
    } else {
        escape_links(&message.text)
    }
}

/// The level in front of a title; `info` is not shown.
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
    let (mobiles, ids): (Vec<&String>, Vec<&String>) = mentioned(at)
        .iter()
        .filter(|person| *person != "all")
        .partition(|person| is_mobile(person));
    Json::object([
        ("atMobiles", Json::strings(mobiles)),
        ("atUserIds", Json::strings(ids)),
        ("isAtAll", at.iter().any(|person| person == "all").into()),
    ])
}

/// The people that one message can mention: as many of the first as fit.
fn mentioned(at: &[String]) -> &[String] {
    let mut bytes = 0;
    let fits = |person: &String| {
        bytes += mention_bytes(person);
        bytes <= MENTIONS_BYTES
    };
    &at[..at.iter().map(fits).take_while(|fits| *fits).count()]
}

/// Appends the mentions that the text does not contain: a robot shows and announces a mention of
/// `at` only where the text has it too.
fn with_mentions(text: String, at: &[String]) -> String {
    let shown = mentioned(at);
    let mentions: Vec<String> = shown
        .iter()
        .filter(|person| *person != "all")
        .map(|person| format!("@{}", one_line(person)))
        .collect();
    let missing: Vec<&str> = mentions
        .iter()
        .map(String::as_str)
        .filter(|mention| !text.contains(mention))
        .collect();
    let mut text = text;
    if !missing.is_empty() {
        text = format!("{text}\n\n{}", missing.join(" "));
    }
    if shown.len() < at.len() {
        let more = at.len() - shown.len();
        text = format!("{text}\n\n{more} more people could not be mentioned");
    }
    text
}

/// The size of a delivery's mentions in a digest.
fn mentions_bytes(delivery: &Delivery) -> usize {
    match &delivery.action {
        Action::Notify { message, .. } => {
            message.at.iter().map(|person| mention_bytes(person)).sum()
        }
        Action::Send { .. } | Action::Call { .. } => 0,
    }
}

/// The size of one mention: it is in the text and in `at`, escaped as in JSON, with quotes, a comma
/// and `@`.
fn mention_bytes(person: &str) -> usize {
    2 * Json::from(person).to_string().len() + 4
}
