use jiff::SignedDuration;
use reflexarc_event::EventIdentity;

use super::*;

/// A firing of the rule `stuck` for this key, as JSON text, so many seconds after the first.
fn firing(key: Option<&str>, after: i64) -> Delivery {
    let message = Message::new("text").with_level(Level::Warn);
    let action = Action::notify("t", message.with_at(["all"]));
    let created = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(after);
    let event = EventIdentity {
        id: format!("{key:?}{after}"),
        resource: "acs:ecs:eni-9".into(),
        ..EventIdentity::default()
    };
    let mut delivery = Delivery::for_actions(&event, [("stuck", &action)], created).remove(0);
    delivery.key = key.map(str::to_owned);
    delivery.phase = crate::Phase::Fired;
    delivery
}

fn message(firings: &[Delivery], kind: DigestKind) -> Message {
    let delivery = firings_message(firings, DeliveryId::of_digest(firings, kind));
    match delivery.action {
        Action::Notify { message, .. } => message,
        Action::Send { .. } | Action::Call { .. } => panic!("no message"),
    }
}

#[test]
fn ids_of_digests_depend_on_their_deliveries_and_kind() {
    let mut batch: Vec<_> = (0..3).map(|after| firing(None, after)).collect();
    let id = DeliveryId::of_digest(&batch, DigestKind::Messages);
    batch.reverse();
    assert_eq!(DeliveryId::of_digest(&batch, DigestKind::Messages), id);
    assert_ne!(DeliveryId::of_digest(&batch[..2], DigestKind::Messages), id);
    for kind in DigestKind::ALL {
        let id = DeliveryId::of_digest(&batch, kind);
        assert_eq!(id.digest_kind(), Some(kind));
        assert_eq!(id.to_string().parse(), Ok(id));
    }
    assert_eq!(batch[0].id.digest_kind(), None);
    assert_eq!(DeliveryId::from([0xff; 16]).digest_kind(), None);
}

#[test]
fn firings_are_counted_with_their_first_keys() {
    let firings: Vec<_> = (0..37)
        .map(|number| firing(Some(&format!("\"eni-{number}\"")), number))
        .collect();
    let shown = message(&firings, DigestKind::Firings);
    let listed: Vec<_> = (0..20).map(|number| format!("- eni-{number}")).collect();
    let listed = listed.join("\n");
    assert_eq!(shown.title, "37 more firings of stuck");
    assert_eq!(
        shown.text,
        format!("{listed}\nand 17 more\n\nfrom 1970-01-01T00:00:00Z to 1970-01-01T00:00:36Z")
    );
    assert_eq!(
        (shown.level, shown.at),
        (Level::Warn, vec!["all".to_owned()])
    );
    let shown = message(&firings, DigestKind::FiringsWithoutKeys);
    assert_eq!(shown.title, "37 more firings of stuck");
    assert!(!shown.text.contains("eni"), "{}", shown.text);
}

#[test]
fn keys_of_every_kind_are_one_line_each() {
    let long = format!("\"{}\"", "x".repeat(1_000));
    let keys = [
        Some("\"a\\nb\""),
        Some("[\"eni-1\",7]"),
        Some("7"),
        Some("\"a\\nb\""),
        None,
        Some(&long),
    ];
    let mut firings: Vec<_> = keys.into_iter().map(|key| firing(key, 0)).collect();
    // Fired again by another event.
    firings[3].event.id = "another".into();
    let shown = message(&firings, DigestKind::Firings);
    let lines: Vec<_> = shown.text.lines().collect();
    let expected = ["- a b (2 times)", "- eni-1, 7", "- 7", "- acs:ecs:eni-9"];
    assert_eq!(lines[..4], expected);
    assert!(lines[4].len() <= KEY_BYTES + 2 && lines[4].ends_with('…'));
    assert_eq!(lines[5..], ["", "at 1970-01-01T00:00:00Z"]);
}

#[test]
fn several_messages_of_one_firing_count_once() {
    let mut firings: Vec<_> = ["\"eni-1\"", "\"eni-2\"", "\"eni-1\""]
        .map(|key| firing(Some(key), 0))
        .into();
    firings[2].id = DeliveryId::from([0; 16]);
    let shown = message(&firings, DigestKind::Firings);
    assert_eq!(shown.title, "2 more firings of stuck");
    assert!(
        shown.text.starts_with("- eni-1\n- eni-2\n\n"),
        "{}",
        shown.text
    );
}

#[test]
fn mentions_are_bounded() {
    let mut firings: Vec<_> = (0..MAX_MENTIONS + 5)
        .map(|number| firing(None, i64::try_from(number).unwrap()))
        .collect();
    for (number, firing) in firings.iter_mut().enumerate() {
        let message = Message::new("text").with_at([number.to_string(), "all".to_owned()]);
        firing.action = Action::notify("t", message);
    }
    assert_eq!(
        message(&firings, DigestKind::Firings).at.len(),
        MAX_MENTIONS
    );
}
