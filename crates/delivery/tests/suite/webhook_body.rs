//! Webhooks whose body is a template.

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use reflexarc_delivery::config::{ConfigContext, ConfigTable, Secrets, targets};
use reflexarc_delivery::{Phase, Target};
use reflexarc_diagnostic::toml::{Document, FaultCodes};
use reflexarc_event::Json;
use reflexarc_reaction::Action;

use crate::queue::{deliver, quick};
use crate::receiver::Receiver;
use crate::samples::{deliveries, message, notify, send};

/// A message and the text that it is about.
type Finding = (String, String);

/// The target, and each finding as its message and the text that it is about.
fn configured(url: &str, keys: &str) -> (Option<Arc<dyn Target>>, Vec<Finding>) {
    let text = format!(
        "[targets.t]\ntype = \"webhook\"\nurl = \"{url}\"\nallow = [\"127.0.0.0/8\"]\n{keys}\n"
    );
    let document = Document::parse(&text, "the configuration", FaultCodes::CONFIG);
    let secret = |_: &str| Some("canary".to_owned());
    let context = ConfigContext::new(Path::new(""), Secrets::Resolve(&secret));
    let made = targets(&ConfigTable::new(&context, document.root()));
    let found = document.into_diagnostics().into_iter();
    let found = found.map(|found| (found.message, text[found.span].to_owned()));
    (
        made.into_iter().next().map(|made| made.target),
        found.collect(),
    )
}

fn target(body: &str) -> Arc<dyn Target> {
    let (made, found) = configured("https://example.com/", &format!("body = '''{body}'''"));
    assert!(found.is_empty(), "{found:?}");
    made.unwrap()
}

fn rendered(body: &str, action: Action) -> String {
    let mut batch = deliveries("8B2A", &[action]);
    batch[0].key = Some("\"eni-1\"".into());
    batch[0].phase = Phase::Fired;
    target(body).preview(&batch).unwrap().body.to_string()
}

#[test]
fn values_are_written_as_json() {
    let evil = || notify(message("a \"title\"", "two\nlines \\ \u{1} {{ rule }}"));
    assert_eq!(
        rendered(
            r#"{"a": {{ title }}, "b": {{ text }}, "c": {{ link }}}"#,
            evil()
        ),
        r#"{"a":"a \"title\"","b":"two\nlines \\ \u0001 {{ rule }}","c":null}"#
    );
    assert_eq!(
        rendered(
            r#"{"x": {{ level | upper ~ ": " ~ title }}, "e": {{ event }}, "k": {{ key }},
                "p": {{ phase }}, "n": {{ attempt }}, "at": {{ at }}}"#,
            evil()
        ),
        r#"{"x":"WARN: a \"title\"","e":{"id":"8B2A","source":"acs.ecs"},"k":"eni-1","p":"fired","n":1,"at":[]}"#
    );
    let document =
        Json::parse(r#"{"eni":"eni-1","n":[18446744073709551615,2.5,null,true],"o":{"\"":"x"}}"#)
            .unwrap();
    assert_eq!(
        rendered(
            r#"{"whole": {{ payload }}, "one": {{ payload.eni }}}"#,
            send(document.clone())
        ),
        format!(r#"{{"whole":{document},"one":"eni-1"}}"#)
    );
    assert_eq!(
        rendered(
            r#"[{% for one in payload.n %}{{ one }}{% if not loop.last %},{% endif %}{% endfor %}]"#,
            send(document)
        ),
        "[18446744073709551615,2.5,null,true]"
    );
}

#[test]
fn what_is_wrong_is_reported_at_its_place() {
    for (keys, message, place) in [
        (
            r#"body = '{"a": "{{ title }}"}'"#,
            "`{{ title }}` is in quotes",
            "{{ title }}",
        ),
        (
            r#"body = '{"a": "x: {{ title }}"}'"#,
            "`{{ title }}` is in quotes",
            "{{ title }}",
        ),
        (
            r#"body = '{"a": {{ titel }}}'"#,
            "unknown variable `titel`",
            "titel",
        ),
        (
            r#"body = '{"a": {{ event.name }}}'"#,
            "unknown field `name`",
            "name",
        ),
        (r#"body = '{"a": {{ title }'"#, "syntax error", ""),
        (
            r#"body = '{"a": {{ title }},}'"#,
            "not JSON for an example",
            "",
        ),
        (
            r#"body = '{"a": {{ text | safe }}}'"#,
            "not JSON for an example",
            "",
        ),
        (
            r#"content_type = "text/plain""#,
            "`content_type` without `body`",
            "",
        ),
        (
            "body = 'x'\ncontent_type = \"a\\nb\"",
            "invalid content type",
            "",
        ),
    ] {
        let (made, found) = configured("https://example.com/", keys);
        assert!(made.is_none() || keys.starts_with("content_type"), "{keys}");
        assert_eq!(found.len(), 1, "{keys}: {found:?}");
        assert!(found[0].0.contains(message), "{keys}: {found:?}");
        assert!(place.is_empty() || found[0].1 == place, "{keys}: {found:?}");
    }
}

#[test]
fn loops_without_an_end_are_stopped() {
    let body =
        "body = '{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}1'";
    let (made, found) = configured("https://example.com/", body);
    assert!(made.is_none());
    assert!(found[0].0.contains("cannot be rendered"), "{found:?}");
}

#[tokio::test]
async fn bodies_are_signed_and_sent_with_their_type_and_headers() {
    let receiver = Receiver::start([]).await;
    let keys = "secret = { env = \"SECRET\" }\nheaders = { authorization = { env = \"TOKEN\" } }\n\
                content_type = \"text/plain; charset=utf-8\"\nbody = '{{ title }}: {{ text }}'";
    let (made, found) = configured(&receiver.url, keys);
    assert!(found.is_empty(), "{found:?}");
    let action = notify(message("a", "\"b\" & <c>"));
    let settled = deliver(&*made.unwrap(), &quick(0), action).await;
    assert_eq!(settled.dead_letter, None);
    let call = &receiver.calls()[0];
    assert_eq!(call.body, "a: \"b\" & <c>");
    assert_eq!(call.headers["content-type"], "text/plain; charset=utf-8");
    assert_eq!(call.headers["authorization"], "canary");
    assert!(call.headers.contains_key("webhook-signature"));
}

proptest! {
    /// Whatever an event's sender wrote: it is that string in the body, and nothing else.
    #[test]
    fn texts_stay_strings(title in "\\PC{0,40}", text in "(?s).{0,80}") {
        let body = r#"{"a": {{ title }}, "b": {{ text }}}"#;
        let shown = Json::parse(rendered(body, notify(message(&title, &text)))).unwrap();
        prop_assert_eq!(shown.get("b").unwrap().as_str(), Some(text.as_str()));
        let shown_title = shown.get("a").unwrap().as_str().unwrap_or_default();
        prop_assert_eq!(shown_title, title.as_str());
    }
}
