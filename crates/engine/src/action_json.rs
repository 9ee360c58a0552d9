//! An action as data: what `actions` of a test is compared with, and what programs read.

use reflexarc_event::Json;
use reflexarc_reaction::{Action, Message};

/// An action as JSON: `target`, and either `payload` or `title`, `text`, `level`, `at` (if anybody) and `link` (if any).
pub fn action_json(action: &Action) -> Json {
    let mut members = vec![("target".to_owned(), Json::from(action.target()))];
    match action {
        Action::Send { payload, .. } => members.push(("payload".to_owned(), payload.clone())),
        Action::Notify { message, .. } => {
            let Message {
                title,
                text,
                level,
                at,
                link,
            } = message;
            members.push(("title".to_owned(), Json::from(title.as_str())));
            members.push(("text".to_owned(), Json::from(text.as_str())));
            members.push((
                "level".to_owned(),
                Json::from(level.as_str().to_lowercase()),
            ));
            if !at.is_empty() {
                members.push((
                    "at".to_owned(),
                    at.iter()
                        .map(|who| Json::from(who.as_str()))
                        .collect::<Vec<_>>()
                        .into(),
                ));
            }
            if let Some(link) = link {
                members.push(("link".to_owned(), Json::from(link.as_str())));
            }
        }
    }
    Json::Object(members)
}
