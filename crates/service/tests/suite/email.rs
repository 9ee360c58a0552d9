//! A mail server on this machine that judges recipients as it is told. Real ones are met by the tests in Python.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use reflexarc_delivery::email::{Email, SmtpServer, Templates, TlsMode};
use reflexarc_reaction::{Action, Level, Message};
use reflexarc_service::store::DeliveryStatus;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::delivering::{Delivering, queue, quick};

#[derive(Default)]
struct Post {
    /// Answers to the next `RCPT TO` for an address; 250 when there is none.
    answers: Mutex<Vec<(&'static str, VecDeque<&'static str>)>>,
    /// Every mail: its recipients and its text.
    mails: Mutex<Vec<(Vec<String>, String)>>,
}

async fn converse(stream: TcpStream, post: Arc<Post>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 here\r\n").await?;
    let mut to = Vec::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let answer = match line.get(..4).unwrap_or_default() {
            "RCPT" => {
                let address = line.split(['<', '>']).nth(1).unwrap().to_owned();
                let mut answers = post.answers.lock().unwrap();
                let told = answers
                    .iter_mut()
                    .find(|(name, _)| *name == address)
                    .and_then(|(_, list)| list.pop_front());
                if told.is_none() {
                    to.push(address);
                }
                told.unwrap_or("250 fine").to_owned()
            }
            "DATA" => {
                stream.write_all(b"354 go on\r\n").await?;
                let mut text = String::new();
                while !text.ends_with("\r\n.\r\n") {
                    stream.read_line(&mut text).await?;
                }
                post.mails
                    .lock()
                    .unwrap()
                    .push((std::mem::take(&mut to), text));
                "250 kept".to_owned()
            }
            "QUIT" => "221 bye".to_owned(),
            _ => "250 fine".to_owned(),
        };
        stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
    }
}

async fn start(answers: &[(&'static str, &[&'static str])]) -> (Arc<Post>, Email) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let answers = answers
        .iter()
        .map(|(address, list)| (*address, list.iter().copied().collect()))
        .collect();
    let post = Arc::new(Post {
        answers: Mutex::new(answers),
        mails: Mutex::default(),
    });
    let kept = post.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(converse(stream, kept.clone()));
        }
    });
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
        post,
        Email::new(
            &server,
            "alerts@example.com".parse().unwrap(),
            to.to_vec(),
            templates,
        )
        .unwrap(),
    )
}

fn notice() -> Action {
    let message = Message {
        title: "attach failed".into(),
        text: "for eni-1".into(),
        level: Level::Warn,
        at: Vec::new(),
        link: None,
    };
    Action::Notify {
        target: "mail".into(),
        message,
    }
}

#[tokio::test]
async fn one_refused_recipient_keeps_the_mail_from_nobody_and_nobody_gets_it_twice() {
    // One is busy at first, one is not known.
    let (post, email) = start(&[
        ("b@example.com", &["450 4.2.1 busy", "450 4.2.1 busy"]),
        ("c@example.com", &["550 5.1.1 no such user"; 9]),
    ])
    .await;
    let mut delivering = Delivering::new();
    delivering.serve(queue("mail", email, quick(5)));
    let id = delivering.accept("1", vec![notice()]).await[0];
    let (entry, attempts) = delivering.until(id, DeliveryStatus::Dead).await;
    let told: Vec<_> = attempts
        .iter()
        .map(|attempt| (attempt.outcome.as_str(), attempt.answer.as_str()))
        .collect();
    assert_eq!(told.len(), 3, "{told:?}");
    assert_eq!(told[0].0, "partly");
    assert!(
        told[0]
            .1
            .starts_with("sent to a@example.com (250 kept); not to b@example.com: "),
        "{}",
        told[0].1
    );
    assert_eq!(told[1].0, "failed");
    assert!(
        told[2].1.contains("sent to b@example.com") && told[2].1.contains("no such user"),
        "{}",
        told[2].1
    );
    assert!(entry.reason.unwrap().contains("not to c@example.com"));
    assert_eq!(
        entry.delivery.delivered_parts,
        ["a@example.com", "b@example.com"]
    );
    let recipients = || {
        post.mails
            .lock()
            .unwrap()
            .iter()
            .map(|(to, _)| to.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(recipients(), [["a@example.com"], ["b@example.com"]]);

    // Somebody made the mailbox: put back, the mail goes to the third alone.
    post.answers.lock().unwrap().clear();
    let store = delivering.store.clone();
    let redriven =
        tokio::task::spawn_blocking(move || store.redrive(id, jiff::Timestamp::now()).unwrap());
    assert!(redriven.await.unwrap());
    delivering.until(id, DeliveryStatus::Delivered).await;
    assert_eq!(recipients().last().unwrap(), &["c@example.com"]);
    let mails = post.mails.lock().unwrap();
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
async fn to_all_recipients_in_one_mail_where_nobody_is_refused() {
    let (post, email) = start(&[]).await;
    let mut delivering = Delivering::new();
    delivering.serve(queue("mail", email, quick(0)));
    let id = delivering.accept("1", vec![notice()]).await[0];
    let (entry, _) = delivering.until(id, DeliveryStatus::Delivered).await;
    assert_eq!(entry.delivery.delivered_parts, Vec::<String>::new());
    let mails = post.mails.lock().unwrap();
    assert_eq!((mails.len(), mails[0].0.len()), (1, 3));
}
