//! The durable consumer that all nodes share: created if it is missing, else compared.

use std::collections::BTreeSet;

use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::{AckPolicy, Config, PullConsumer, pull};
use async_nats::jetstream::context::{ConsumerInfoError, ConsumerInfoErrorKind};
use reflexarc_delivery::http::error_chain;
use reflexarc_diagnostic::format_duration;

use super::super::JetStreamSettings;

/// The consumer, and in what it differs from the settings without being wrong.
///
/// # Errors
/// If it cannot be used: without its stream, without permission, or as another consumer.
pub(super) async fn prepare(
    context: &Context,
    settings: &JetStreamSettings,
) -> Result<(PullConsumer, Vec<String>), String> {
    let JetStreamSettings {
        stream: name,
        consumer: durable,
        ..
    } = settings;
    let failed = |error: &dyn std::error::Error| {
        let error = error_chain(error);
        format!("cannot use the consumer {durable} of the stream {name}: {error}")
    };
    let stream = context.get_stream_no_info(name).await;
    let stream = stream.map_err(|error| failed(&error))?;
    match stream.consumer_info(durable).await {
        Ok(info) => {
            let differences = compare(&info.config, settings)?;
            let consumer = stream.get_consumer(durable).await;
            let consumer = consumer.map_err(|error| failed(&*error))?;
            Ok((consumer, differences))
        }
        Err(error) if error.kind() == ConsumerInfoErrorKind::NotFound => {
            // Nodes that start at the same time create the same one; the server takes that.
            let created = stream.create_consumer_strict(wanted(settings)).await;
            Ok((created.map_err(|error| failed(&error))?, Vec::new()))
        }
        Err(error) if error.kind() == ConsumerInfoErrorKind::StreamNotFound => Err(format!(
            "the stream {name} does not exist; create it with `nats stream add {name}`, or correct \
             `stream`"
        )),
        Err(error) => Err(failed(&error)),
    }
}

/// Whether a consumer that was there is not any more.
pub(super) fn is_gone(error: &ConsumerInfoError) -> bool {
    matches!(
        error.kind(),
        ConsumerInfoErrorKind::NotFound | ConsumerInfoErrorKind::StreamNotFound
    )
}

/// The consumer of these settings.
fn wanted(settings: &JetStreamSettings) -> pull::Config {
    let mut config = pull::Config {
        durable_name: Some(settings.consumer.clone()),
        description: Some("reflexarc".to_owned()),
        ack_policy: AckPolicy::Explicit,
        ack_wait: settings.ack_wait,
        // For ever: what cannot be stored now can be later, and what is no event is rejected.
        max_deliver: -1,
        max_ack_pending: settings.max_ack_pending,
        ..pull::Config::default()
    };
    match &settings.subjects[..] {
        // Servers before 2.10 know one subject only.
        [one] => config.filter_subject.clone_from(one),
        several => config.filter_subjects = several.to_vec(),
    }
    config
}

/// In what a consumer differs from the settings.
///
/// # Errors
/// If it would lose messages, or has other ones.
fn compare(found: &Config, settings: &JetStreamSettings) -> Result<Vec<String>, String> {
    let mut wrong = Vec::new();
    if let Some(subject) = &found.deliver_subject {
        wrong.push(format!("it pushes to {subject} and cannot be pulled from"));
    }
    if found.ack_policy != AckPolicy::Explicit {
        let policy = found.ack_policy;
        wrong.push(format!("its ack policy is {policy:?} instead of Explicit"));
    }
    if found.max_deliver > 0 {
        let most = found.max_deliver;
        wrong.push(format!(
            "it gives a message up after {most} deliveries (max_deliver) instead of never"
        ));
    }
    if found.headers_only {
        wrong.push("it has no payloads (headers_only)".to_owned());
    }
    let (has, wants) = (subjects_of(found), settings.subjects.iter());
    let wants: BTreeSet<&str> = wants.map(String::as_str).collect();
    if has != wants {
        let list = |subjects: &BTreeSet<&str>| {
            if subjects.is_empty() {
                "all".to_owned()
            } else {
                subjects.iter().copied().collect::<Vec<_>>().join(", ")
            }
        };
        let (has, wants) = (list(&has), list(&wants));
        wrong.push(format!("its subjects are {has} instead of {wants}"));
    }
    if !wrong.is_empty() {
        let (name, wrong) = (&settings.consumer, wrong.join("; "));
        return Err(format!(
            "the consumer {name} exists with other settings: {wrong}; change it with `nats \
             consumer edit`, or use another name in `consumer`"
        ));
    }
    let mut differences = Vec::new();
    let (has, wants) = (found.max_ack_pending, settings.max_ack_pending);
    if has != wants {
        differences.push(format!("max_ack_pending is {has} instead of {wants}"));
    }
    if found.ack_wait != settings.ack_wait {
        let text = |time| {
            jiff::SignedDuration::try_from(time)
                .map_or_else(|_| format!("{time:?}"), format_duration)
        };
        let (has, wants) = (text(found.ack_wait), text(settings.ack_wait));
        differences.push(format!("ack_wait is {has} instead of {wants}"));
    }
    Ok(differences)
}

fn subjects_of(found: &Config) -> BTreeSet<&str> {
    let one = Some(found.filter_subject.as_str()).filter(|one| !one.is_empty());
    let several = found.filter_subjects.iter().map(String::as_str);
    one.into_iter().chain(several).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::sources::jetstream::message::tests::settings;

    /// As the server has stored it.
    fn existing(settings: &JetStreamSettings) -> Config {
        let wanted = wanted(settings);
        Config {
            durable_name: wanted.durable_name,
            ack_policy: wanted.ack_policy,
            ack_wait: wanted.ack_wait,
            max_deliver: wanted.max_deliver,
            max_ack_pending: wanted.max_ack_pending,
            filter_subject: wanted.filter_subject,
            filter_subjects: wanted.filter_subjects,
            ..Config::default()
        }
    }

    #[test]
    fn a_consumer_of_the_same_settings_does_not_differ() {
        for subjects in [&[][..], &["a.>"], &["a.>", "b"]] {
            let mut settings = settings();
            settings.subjects = subjects.iter().map(|&subject| subject.into()).collect();
            assert_eq!(compare(&existing(&settings), &settings), Ok(Vec::new()));
        }
    }

    #[test]
    fn settings_that_lose_no_message_may_differ() {
        let settings = settings();
        let found = Config {
            max_ack_pending: 7,
            ack_wait: Duration::from_secs(5),
            ..existing(&settings)
        };
        let differences = compare(&found, &settings).unwrap();
        assert_eq!(
            differences,
            [
                "max_ack_pending is 7 instead of 1000",
                "ack_wait is 5s instead of 30s"
            ]
        );
    }

    #[test]
    fn settings_that_lose_messages_are_refused() {
        let settings = settings();
        let found = Config {
            max_deliver: 3,
            ack_policy: AckPolicy::None,
            headers_only: true,
            filter_subject: "other".into(),
            ..existing(&settings)
        };
        let error = compare(&found, &settings).unwrap_err();
        for part in [
            "max_deliver",
            "ack policy is None",
            "headers_only",
            "its subjects are other instead of all",
            "nats consumer edit",
        ] {
            assert!(error.contains(part), "{part}: {error}");
        }
    }
}
