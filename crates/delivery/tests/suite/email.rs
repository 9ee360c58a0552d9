//! A scripted mail server on this machine. The Python tests use a real one.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reflexarc_delivery::email::{Email, SmtpServer, Templates, TlsMode};
use reflexarc_delivery::{Delivery, DeliveryId, DigestKind, Target};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::queue::{deliver, deliver_within, quick};
use crate::samples::{deliveries, message, notify};
use reflexarc_reaction::Action;

#[derive(Default)]
pub(crate) struct MailServer {
    /// Responses to the next `RCPT TO` for an address; 250 when there is none.
    responses: Mutex<Vec<(&'static str, VecDeque<&'static str>)>>,
    /// Every accepted mail: its recipients and its text.
    mails: Mutex<Vec<(Vec<String>, String)>>,
}

async fn converse(stream: TcpStream, server: Arc<MailServer>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 here\r\n").await?;
    let mut to = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let response = match line.get(..4).unwrap_or_default() {
            "RCPT" => {
                let address = line.split(['<', '>']).nth(1).unwrap().to_owned();
                let mut responses = server.responses.lock().unwrap();
                let scripted = responses
                    .iter_mut()
                    .find(|(name, _)| *name == address)
                    .and_then(|(_, list)| list.pop_front());
                if scripted.is_none() {
                    to.push(address);
                }
                scripted.unwrap_or("250 fine").to_owned()
            }
            "DATA" => {
                stream.write_all(b"354 go on\r\n").await?;
                let mut text = String::new();
                while !text.ends_with("\r\n.\r\n") {
                    stream.read_line(&mut text).await?;
                }
                server
                    .mails
                    .lock()
                    .unwrap()
                    .push((std::mem::take(&mut to), text));
                "250 kept".to_owned()
            }
            "QUIT" => "221 bye".to_owned(),
            _ => "250 fine".to_owned(),
        };
        stream
            .write_all(format!("{response}\r\n").as_bytes())
            .await?;
    }
}

/// Starts a server with these responses to `RCPT TO`; returns its port too.
pub(crate) async fn mail_server(
    responses: &[(&'static str, &[&'static str])],
) -> (Arc<MailServer>, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let responses = responses
        .iter()
        .map(|(address, list)| (*address, list.iter().copied().collect()))
        .collect();
    let state = Arc::new(MailServer {
        responses: Mutex::new(responses),
        mails: Mutex::default(),
    });
    let kept = state.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(converse(stream, kept.clone()));
        }
    });
    (state, port)
}

async fn start(responses: &[(&'static str, &[&'static str])]) -> (Arc<MailServer>, Email) {
    let (state, port) = mail_server(responses).await;
    let server = SmtpServer {
        host: "127.0.0.1".into(),
        port: Some(port),
        tls: TlsMode::None,
        credentials: None,
        authorities: None,
    };
    let to =
        ["a@example.com", "b@example.com", "c@example.com"].map(|address| address.parse().unwrap());
    let templates = Templates::new(None, None, None).unwrap();
    (
        state,
        Email::new(
            &server,
            "alerts@example.com".parse().unwrap(),
            to.to_vec(),
            templates,
        )
        .unwrap(),
    )
}

#[tokio::test]
async fn refused_recipients_do_not_affect_the_others() {
    // `b` is busy at first, `c` does not exist.
    let (server, email) = start(&[
        ("b@example.com", &["450 4.2.1 busy", "450 4.2.1 busy"]),
        ("c@example.com", &["550 5.1.1 no such user"; 9]),
    ])
    .await;
    let action = notify(message("attach failed", "for eni-1"));
    let settled = deliver(&email, &quick(5), action).await;
    let attempts: Vec<_> = settled
        .attempts
        .iter()
        .map(|attempt| (attempt.outcome, attempt.response.as_str()))
        .collect();
    assert_eq!(attempts.len(), 3, "{attempts:?}");
    assert_eq!(attempts[0].0, "partly");
    assert!(
        attempts[0]
            .1
            .starts_with("sent to a@example.com (250 kept); not to b@example.com: "),
        "{}",
        attempts[0].1
    );
    assert_eq!(attempts[1].0, "failed");
    assert!(
        attempts[2].1.contains("sent to b@example.com") && attempts[2].1.contains("no such user"),
        "{}",
        attempts[2].1
    );
    assert!(
        settled
            .dead_letter
            .unwrap()
            .contains("not to c@example.com")
    );
    assert_eq!(
        settled.delivery.delivered_parts,
        ["a@example.com", "b@example.com"]
    );
    let recipients = || {
        server
            .mails
            .lock()
            .unwrap()
            .iter()
            .map(|(to, _)| to.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(recipients(), [["a@example.com"], ["b@example.com"]]);

    // Once the mailbox exists, a redriven delivery is sent to `c` only.
    server.responses.lock().unwrap().clear();
    let redriven = Delivery {
        attempt: 1,
        ..settled.delivery
    };
    let settled = deliver_within(&email, &quick(0), redriven, Duration::from_secs(20)).await;
    assert_eq!(settled.dead_letter, None);
    assert_eq!(recipients().last().unwrap(), &["c@example.com"]);
    let mails = server.mails.lock().unwrap();
    let message_id = |text: &str| {
        text.lines()
            .find(|line| line.starts_with("Message-ID"))
            .unwrap()
            .to_owned()
    };
    assert!(
        mails
            .iter()
            .all(|(_, text)| message_id(text) == message_id(&mails[0].1))
    );
}

#[tokio::test]
async fn all_recipients_share_one_mail() {
    let (server, email) = start(&[]).await;
    let action = notify(message("attach failed", "for eni-1"));
    let settled = deliver(&email, &quick(0), action).await;
    assert_eq!(settled.dead_letter, None);
    assert_eq!(settled.delivery.delivered_parts, Vec::<String>::new());
    let mails = server.mails.lock().unwrap();
    assert_eq!((mails.len(), mails[0].0.len()), (1, 3));
}

/// The head and the body of the only mail for an action.
async fn only_mail(change: impl FnOnce(Email) -> Email, action: Action) -> (String, String) {
    let (server, email) = start(&[]).await;
    let settled = deliver(&change(email), &quick(0), action).await;
    assert_eq!(settled.dead_letter, None);
    let mails = server.mails.lock().unwrap();
    let (head, body) = mails[0].1.split_once("\r\n\r\n").unwrap();
    // Long headers are folded.
    (head.replace("\r\n ", " "), body.to_owned())
}

#[tokio::test]
async fn headers_name_the_rule_and_only_mails_that_exist() {
    let action = notify(message("attach failed", "for eni-1"));
    let (head, body) = only_mail(|email| email.with_list("on call 网络"), action).await;
    for line in [
        "List-Id: on-call--- <on-call---.reflexarc.example.com>",
        "X-Reflexarc-Rule: r",
        "X-Reflexarc-Level: warn",
        "Auto-Submitted: auto-generated",
    ] {
        assert!(head.lines().any(|found| found == line), "{line}: {head}");
    }
    assert!(head.contains("X-Reflexarc-Thread: "), "{head}");
    assert!(
        !head.contains("In-Reply-To") && !head.contains("References"),
        "{head}"
    );
    // The delimiter of a signature: two hyphens, a space, and nothing else. Where the body is
    // quoted-printable, a space at the end of a line is `=20`.
    let is_delimiter = |line: &str| line == "-- " || line == "--=20";
    assert!(body.split("\r\n").any(is_delimiter), "{body}");
}

#[tokio::test]
async fn digests_are_one_mail_with_an_id_of_their_own() {
    let (server, email) = start(&[]).await;
    let email = email.with_list("operators");
    let actions = ["first", "second"].map(|title| notify(message(title, "text of it")));
    let batch = deliveries("1", &actions);
    assert_eq!(email.max_batch(&batch), 2);
    assert_eq!(
        email.preview(&batch).unwrap().summary,
        "[WARN] 2 messages: first; second"
    );
    // A retry is the same mail, whatever the order of its deliveries.
    for batch in [batch.clone(), batch.iter().rev().cloned().collect()] {
        email.send(&batch).await.unwrap();
    }
    let mails = server.mails.lock().unwrap();
    let heads: Vec<_> = mails
        .iter()
        .map(|(to, mail)| (to.len(), mail.split_once("\r\n\r\n").unwrap().0))
        .collect();
    let id = DeliveryId::of_digest(&batch, DigestKind::Messages);
    for (recipients, head) in heads {
        assert_eq!(recipients, 3);
        for line in [
            "List-Id: operators <operators.reflexarc.example.com>",
            &format!("Message-ID: <{id}@example.com>"),
            &format!("X-Reflexarc-Digest: {id}"),
            "X-Reflexarc-Rule: r",
            "X-Reflexarc-Level: warn",
            "Auto-Submitted: auto-generated",
        ] {
            assert!(head.lines().any(|found| found == line), "{line}: {head}");
        }
        assert!(!head.contains("X-Reflexarc-Delivery"), "{head}");
    }
    for delivery in &batch {
        assert!(mails[0].1.contains(&delivery.id.to_string()));
    }
}

#[tokio::test]
async fn digests_hold_what_the_same_recipients_lack_up_to_a_mebibyte() {
    let (_, email) = start(&[]).await;
    let large = message("t", &"x".repeat(400_000));
    let batch = deliveries("1", &vec![notify(large); 3]);
    assert_eq!(email.max_batch(&batch), 2);
    assert_eq!(email.max_batch(&batch[..1]), 1);
    let mut batch = deliveries("1", &vec![notify(message("t", "x")); 4]);
    for delivery in &mut batch[..2] {
        delivery.delivered_parts.push("a@example.com".into());
    }
    assert_eq!(email.max_batch(&batch), 2);
    assert_eq!(email.max_batch(&batch[2..]), 2);
}

#[tokio::test]
async fn times_are_in_the_zone_of_the_target() {
    let zone = jiff::tz::TimeZone::get("Asia/Shanghai").unwrap();
    let action = notify(message("down", "since 2019-04-09T04:18:26Z"));
    let (_, body) = only_mail(|email| email.with_time_zone(Some(zone)), action).await;
    // `samples::at(0)` is when the delivery was created.
    for time in [
        "since 2019-04-09 12:18:26 +08:00",
        "2027-01-15 16:00:00 +08:00",
    ] {
        assert!(body.contains(time), "{body}");
    }
}

#[tokio::test]
async fn a_text_without_a_title_is_shown_once() {
    let action = notify(message("", "eni-1 is lost"));
    let (head, body) = only_mail(|email| email, action).await;
    assert!(head.contains("Subject: [WARN] eni-1 is lost"), "{head}");
    // Once in the plain text and once in the HTML.
    assert_eq!(body.matches("eni-1 is lost").count(), 2, "{body}");
}

#[tokio::test]
async fn servers_at_metadata_addresses_are_not_called() {
    // Names for the resolver, as a DNS record for the server's name would be.
    for host in ["0xa9fea9fe", "1684301000", "[fe80::1]"] {
        let server = SmtpServer {
            host: host.into(),
            port: Some(25),
            tls: TlsMode::None,
            credentials: None,
            authorities: None,
        };
        let from = "alerts@example.com".parse().unwrap();
        let to = vec!["a@example.com".parse().unwrap()];
        let templates = Templates::new(None, None, None).unwrap();
        let email = Email::new(&server, from, to, templates).unwrap();
        let settled = deliver(&email, &quick(5), notify(message("t", "x"))).await;
        assert_eq!(settled.attempts[0].outcome, "misconfigured", "{host}");
        let reason = settled.dead_letter.unwrap();
        assert!(
            reason.contains("link-local or a metadata service"),
            "{reason}"
        );
    }
}
