//! File targets.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use reflexarc_delivery::{FileTarget, SendError, Target as _};
use reflexarc_event::Json;

use crate::queue::{deliver, quick};
use crate::samples::{deliveries, send};

#[tokio::test]
async fn lines_stay_whole_after_an_unfinished_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.ndjson");
    std::fs::write(&path, r#"{"half"#).unwrap();
    let target = FileTarget::file(path.clone());
    for payload in [1, 2] {
        let settled = deliver(&target, &quick(0), send(payload)).await;
        assert_eq!(settled.dead_letter, None);
    }
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!((lines.len(), lines[0]), (3, r#"{"half"#));
    let mut sent: Vec<_> = lines[1..]
        .iter()
        .map(|line| Json::parse(line).unwrap().get("send").unwrap().to_string())
        .collect();
    sent.sort();
    assert_eq!(sent, ["1", "2"]);
}

#[tokio::test]
async fn deliveries_of_one_call_are_lines_in_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.ndjson");
    let target = FileTarget::file(path.clone());
    assert!(target.group_size() > 1);
    let batch = deliveries("1", &[send(1), send(2), send(3)]);
    target.send(&batch).await.unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let lines = text.lines().map(|line| Json::parse(line).unwrap());
    let sent: Vec<_> = lines
        .map(|line| line.get("send").unwrap().to_string())
        .collect();
    assert_eq!(sent, ["1", "2", "3"]);
}

#[tokio::test]
async fn special_files_are_not_written_to() {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("fifo");
    rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, rustix::fs::Mode::RWXU).unwrap();
    // With a reader, so that it could be opened and written to.
    let _reader = File::options().read(true).write(true).open(&fifo).unwrap();
    for (path, found) in [
        (fifo.as_path(), "a FIFO (named pipe)"),
        (Path::new("/dev/null"), "a device"),
    ] {
        let target = FileTarget::file(path.to_owned());
        let error = target.send(&deliveries("1", &[send(1)])).await.unwrap_err();
        let expected = format!("cannot write: expected a regular file, found {found}");
        assert!(matches!(&error, SendError::Transient { .. }), "{error:?}");
        assert_eq!(error.reason(), expected);
    }
}

#[tokio::test(flavor = "current_thread")]
async fn a_write_that_hangs_takes_one_thread_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("out.ndjson");
    let locked = File::create(&path).unwrap();
    locked.lock().unwrap();
    let target = FileTarget::file(path.clone());
    for payload in 0..20 {
        let batch = deliveries("1", &[send(payload)]);
        let sent = tokio::time::timeout(Duration::from_millis(5), target.send(&batch)).await;
        assert!(sent.is_err(), "another process holds the lock");
    }
    locked.unlock().unwrap();
    // The first write was under way and goes on. Each further thread would now write its line too.
    let batch = deliveries("1", &[send(20)]);
    target.send(&batch).await.unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().count(), 2, "{text}");
}
