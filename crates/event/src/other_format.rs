//! Formats that are sent or stored in place of JSON, by their first bytes.

use std::fmt;

use crate::form;

/// A format that is not JSON. As text: what it is, and what to do.
///
/// ```
/// use reflexarc_event::{Event, OtherFormat};
///
/// let text = "<Notification><TopicName>ecs</TopicName></Notification>";
/// assert_eq!(OtherFormat::of(text.as_bytes()), Some(OtherFormat::MnsXml));
/// let error = Event::from_json(text).expect_err("XML").to_string();
/// assert!(error.contains("NotifyContentFormat"), "{error}");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OtherFormat {
    /// A notification or message of MNS in XML.
    MnsXml,
    /// An HTML page, such as the error of a proxy.
    Html,
    /// Other XML.
    Xml,
    /// Text in UTF-16, as PowerShell and some editors write it.
    Utf16,
    /// Compressed bytes; the name of the format.
    Compressed(&'static str),
    /// A form, such as `a=1&b=2`.
    Form,
    /// An object with single quotes, as Python shows a dict: `{'a': 1}`.
    SingleQuotes,
}

/// The bytes that are looked at: the elements of MNS come first in its documents.
const HEAD: usize = 2048;

/// The first bytes of compressed files (RFC 1952, RFC 8878, and the formats of zip, xz, bzip2).
const MAGIC: [(&[u8], &str); 5] = [
    (&[0x1f, 0x8b], "gzip"),
    (&[0x28, 0xb5, 0x2f, 0xfd], "zstd"),
    (b"PK\x03\x04", "zip"),
    (b"\xfd7zXZ", "xz"),
    (b"BZh", "bzip2"),
];

impl OtherFormat {
    /// The format of a document that cannot be read as JSON, `None` if it is not a known one.
    pub fn of(bytes: &[u8]) -> Option<Self> {
        if let Some((_, name)) = MAGIC.iter().find(|(magic, _)| bytes.starts_with(magic)) {
            return Some(Self::Compressed(name));
        }
        if is_utf16(bytes) {
            return Some(Self::Utf16);
        }
        let head = &bytes[..bytes.len().min(HEAD)];
        let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
        let text = text.trim_ascii_start();
        if is_single_quoted(text) {
            return Some(Self::SingleQuotes);
        }
        if !text.starts_with(b"<") {
            return form::is_any_form(text).then_some(Self::Form);
        }
        let has = |tag: &str| memchr::memmem::find(text, tag.as_bytes()).is_some();
        let lower = text[..text.len().min(64)].to_ascii_lowercase();
        Some(
            if has("mns.aliyuncs.com") || has("<TopicName>") || has("<MessageBody") {
                Self::MnsXml
            } else if has("<html")
                || lower.starts_with(b"<!doctype html")
                || lower.starts_with(b"<html")
            {
                Self::Html
            } else {
                Self::Xml
            },
        )
    }
}

impl fmt::Display for OtherFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::MnsXml => {
                "a message of MNS in XML: set `NotifyContentFormat` of the subscription to \
                 SIMPLIFIED or JSON; of a message from a queue, take the text of `MessageBody`"
            }
            Self::Html => "an HTML page: send the event itself, not the page of an error",
            Self::Xml => "XML: convert it to JSON",
            Self::Utf16 => "text in UTF-16: save it as UTF-8, `iconv -f UTF-16 -t UTF-8 FILE`",
            Self::Compressed(name) => {
                return write!(f, "data compressed with {name}: decompress it");
            }
            Self::Form => {
                "a form without the parameter `alert` or `data`, in which Cloud Monitor sends \
                 system events: send JSON"
            }
            Self::SingleQuotes => {
                "an object in single quotes: JSON has double quotes; `json.dumps(event)` of Python \
                 writes it"
            }
        })
    }
}

/// Whether an object, perhaps the first one of a list, begins with a key in single quotes.
fn is_single_quoted(text: &[u8]) -> bool {
    let text = text.strip_prefix(b"[").unwrap_or(text).trim_ascii_start();
    let object = text.strip_prefix(b"{").map(<[u8]>::trim_ascii_start);
    object.is_some_and(|inner| inner.starts_with(b"'"))
}

/// Whether a text is UTF-16: by its byte order mark, or because every other of its first bytes is
/// zero, as in `{\0"\0`; JSON begins with ASCII letters, and has no zero byte in UTF-8.
fn is_utf16(bytes: &[u8]) -> bool {
    match bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => true,
        [0, second, 0, fourth, ..] => *second != 0 && *fourth != 0,
        [first, 0, third, 0, ..] => *first != 0 && *third != 0,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Event;

    fn utf16(text: &str, bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes).collect()
    }

    #[test]
    fn formats_are_known_by_their_first_bytes() {
        let notification = "<?xml version=\"1.0\"?>\n<Notification \
                            xmlns=\"http://mns.aliyuncs.com/doc/v1/\">\n</Notification>";
        let cases: [(Vec<u8>, Option<OtherFormat>); 18] = [
            (notification.into(), Some(OtherFormat::MnsXml)),
            (
                format!("\u{feff} {notification}").into(),
                Some(OtherFormat::MnsXml),
            ),
            (
                "<Message><MessageBody>e30=".into(),
                Some(OtherFormat::MnsXml),
            ),
            ("<!DOCTYPE HTML><head>".into(), Some(OtherFormat::Html)),
            ("\n<html><body>502</body>".into(), Some(OtherFormat::Html)),
            ("<event/>".into(), Some(OtherFormat::Xml)),
            (
                utf16("\u{feff}{\"a\":1}", u16::to_le_bytes),
                Some(OtherFormat::Utf16),
            ),
            (
                utf16("\u{feff}{}", u16::to_be_bytes),
                Some(OtherFormat::Utf16),
            ),
            (
                utf16("{\"a\":1}", u16::to_le_bytes),
                Some(OtherFormat::Utf16),
            ),
            (
                utf16("{\"a\":1}", u16::to_be_bytes),
                Some(OtherFormat::Utf16),
            ),
            (
                vec![0x1f, 0x8b, 8, 0],
                Some(OtherFormat::Compressed("gzip")),
            ),
            ("alertName=a&userId=1".into(), Some(OtherFormat::Form)),
            ("name == 1".into(), None),
            ("{'a': 1}".into(), Some(OtherFormat::SingleQuotes)),
            (" [ { 'a': 1}]".into(), Some(OtherFormat::SingleQuotes)),
            ("{\"a\": 'b'}".into(), None),
            ("\0\0\0".into(), None),
            ("".into(), None),
        ];
        for (bytes, format) in cases {
            let shown = String::from_utf8_lossy(&bytes).into_owned();
            assert_eq!(OtherFormat::of(&bytes), format, "{shown:?}");
            let error = Event::from_json(bytes).unwrap_err();
            assert_eq!(
                matches!(error, crate::EventError::OtherFormat(_)),
                format.is_some(),
                "{shown:?}: {error}"
            );
        }
    }
}
