//! Finds requests whose end a proxy in front may see at another byte.
//!
//! `Content-Length` together with `Transfer-Encoding` is the classic form of request smuggling: one
//! reader takes the length, the other the chunks, and the rest of the body is a request of someone
//! else to one of them. RFC 9112, 6.3 lets a server refuse it. hyper takes the chunks and removes
//! the length before a handler can see it; so the heads are read here, on their way to hyper.
//!
//! The scanner only reports. How a request is read is hyper's decision; where the two disagree
//! about the end of a body, the request is one that is refused.

/// Bytes of a header line that are kept; names and values that matter here are shorter.
const LINE_BYTES: usize = 128;

/// Follows the requests of one connection.
#[derive(Debug, Default)]
pub(super) struct FramingScanner {
    state: State,
    /// The beginning of the line that is being read, without its end.
    line: Vec<u8>,
    is_cut: bool,
    head: Head,
}

/// Where the scanner is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before or in the request line. Empty lines before it are skipped, as hyper does.
    #[default]
    RequestLine,
    Headers,
    Body(u64),
    ChunkSize,
    ChunkData(u64),
    Trailers,
    /// A request was refused, and the connection ends with it.
    Ended,
}

/// What was found in the head so far.
#[derive(Debug, Default)]
struct Head {
    length: Option<u64>,
    is_chunked: bool,
    is_faulty: bool,
}

impl FramingScanner {
    /// Reads the next bytes. True if they contain a head that must be refused; the scanner does not
    /// read on then.
    pub(super) fn scan(&mut self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            match self.state {
                State::Ended => return false,
                State::Body(left) => {
                    let left = skip(&mut bytes, left);
                    self.state = match left {
                        0 => State::RequestLine,
                        _ => State::Body(left),
                    };
                }
                State::ChunkData(left) => {
                    let left = skip(&mut bytes, left);
                    self.state = match left {
                        0 => State::ChunkSize,
                        _ => State::ChunkData(left),
                    };
                }
                State::RequestLine | State::Headers | State::ChunkSize | State::Trailers => {
                    let end = bytes.iter().position(|byte| *byte == b'\n');
                    let (part, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
                    let room = LINE_BYTES.saturating_sub(self.line.len());
                    self.line.extend_from_slice(&part[..part.len().min(room)]);
                    self.is_cut |= part.len() > room;
                    let Some(rest) = rest.get(1..) else {
                        return false;
                    };
                    bytes = rest;
                    if self.end_line() {
                        self.state = State::Ended;
                        return true;
                    }
                }
            }
        }
        false
    }

    /// A line is complete. True if it ends a head that must be refused.
    fn end_line(&mut self) -> bool {
        let mut line = std::mem::take(&mut self.line);
        let is_cut = std::mem::take(&mut self.is_cut);
        // Of a cut line the `\r` was not kept.
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        match self.state {
            State::RequestLine if line.is_empty() => {}
            State::RequestLine => self.state = State::Headers,
            State::Headers if line.is_empty() => {
                let head = std::mem::take(&mut self.head);
                self.state = match head.length {
                    _ if head.is_chunked => State::ChunkSize,
                    Some(length) if length > 0 => State::Body(length),
                    _ => State::RequestLine,
                };
                // Both, in whatever order.
                return head.is_faulty || (head.is_chunked && head.length.is_some());
            }
            State::Headers => self.head.add(&line, is_cut),
            State::ChunkSize => match chunk_size(&line) {
                Some(0) => self.state = State::Trailers,
                Some(size) => {
                    // The data and its line end; the latter is an empty line to `skip`.
                    self.state = State::ChunkData(size.saturating_add(2));
                }
                // hyper ends the connection.
                None => self.state = State::Ended,
            },
            State::Trailers if line.is_empty() => self.state = State::RequestLine,
            State::Trailers | State::Body(_) | State::ChunkData(_) | State::Ended => {}
        }
        // The allocation is used again for the next line.
        line.clear();
        self.line = line;
        false
    }
}

impl Head {
    /// Adds a header line. Names with spaces around them are refused by hyper.
    fn add(&mut self, line: &[u8], is_cut: bool) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            return;
        };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            let length = std::str::from_utf8(value).ok();
            let length = length.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
            let length = length.and_then(|text| text.parse().ok());
            // Two of them, even of equal value, are never written by a client.
            self.is_faulty |= is_cut || length.is_none() || self.length.is_some();
            self.length = length.or(Some(0));
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            // `gzip, chunked` would have to be unpacked, and `identity` means nothing.
            self.is_faulty |= is_cut || self.is_chunked || !value.eq_ignore_ascii_case(b"chunked");
            self.is_chunked = true;
        }
    }
}

/// Skips up to `count` bytes; returns how many are left to skip.
fn skip(bytes: &mut &[u8], count: u64) -> u64 {
    let step = usize::try_from(count).map_or(bytes.len(), |count| count.min(bytes.len()));
    *bytes = &bytes[step..];
    count - step as u64
}

/// The size of a chunk, before its extensions.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit());
    let text = std::str::from_utf8(&line[..digits.count()]).ok()?;
    u64::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a connection with these bytes has a fault, read at once and byte by byte.
    fn is_faulty(text: &str) -> bool {
        let whole = FramingScanner::default().scan(text.as_bytes());
        let mut scanner = FramingScanner::default();
        let mut parts = text.as_bytes().chunks(1).map(|part| scanner.scan(part));
        let parts = parts.any(|fault| fault);
        assert_eq!(whole, parts, "{text}");
        whole
    }

    #[test]
    fn a_length_and_chunks_in_one_head_are_a_fault() {
        let post = "POST /events HTTP/1.1\r\nhost: x\r\n";
        for headers in [
            "content-length: 4\r\ntransfer-encoding: chunked\r\n",
            "transfer-encoding: chunked\r\ncontent-length: 4\r\n",
            "Transfer-Encoding:chunked\r\nx: y\r\nCONTENT-LENGTH:\t4\r\n",
            "transfer-encoding: chunked\ncontent-length: 0\n",
            "content-length: 4\r\ncontent-length: 4\r\n",
            "content-length: 4, 4\r\n",
            "content-length: +4\r\n",
            "content-length:\r\n",
            "transfer-encoding: gzip, chunked\r\n",
            "transfer-encoding: identity\r\ncontent-length: 4\r\n",
            "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
        ] {
            assert!(is_faulty(&format!("{post}{headers}\r\n")), "{headers}");
        }
        let spaces = " ".repeat(LINE_BYTES);
        assert!(is_faulty(&format!(
            "{post}content-length:{spaces}4\r\n\r\n"
        )));
    }

    #[test]
    fn bodies_and_pipelined_requests_are_followed() {
        let faulty = "POST / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n";
        let length = faulty.len();
        let before = [
            String::new(),
            "\r\n\r\n".into(),
            "GET / HTTP/1.1\r\nhost: x\r\n\r\n".into(),
            // The same bytes in a body are no head.
            format!("POST / HTTP/1.1\r\ncontent-length: {length}\r\n\r\n{faulty}"),
            format!(
                "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n\
                 {length:x};a=b\r\n{faulty}\r\n1\r\n\n\r\n0\r\nx: y\r\n\r\n"
            ),
        ];
        for before in before {
            assert!(!is_faulty(&before), "{before}");
            assert!(is_faulty(&format!("{before}{faulty}")), "{before}");
        }
    }
}
