//! Nesting of JSON text in a stream, without parsing it.

/// Open brackets and strings since the beginning of a record.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Nesting {
    depth: u32,
    /// The open brackets, innermost in the lowest bit; a set bit is `[`, a clear one `{`.
    ///
    /// Only the innermost 128 are kept. Events have at most 128 levels, so one that exceeds this is
    /// refused anyway; `depth` still counts its brackets.
    arrays: u128,
    in_string: bool,
    escaped: bool,
    /// The last byte outside strings that is not white space; `"` for a whole string.
    last: u8,
}

impl Nesting {
    /// The nesting at the end of the first line of a record.
    pub(crate) fn of(line: &[u8]) -> Self {
        let mut nesting = Self::default();
        nesting.feed(line);
        nesting
    }

    /// Reads the next bytes.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if self.in_string {
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => self.in_string = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' => continue,
                b'"' => self.in_string = true,
                b'{' | b'[' => {
                    self.depth += 1;
                    self.arrays = self.arrays << 1 | u128::from(*byte == b'[');
                }
                b'}' | b']' => {
                    self.depth = self.depth.saturating_sub(1);
                    self.arrays >>= 1;
                }
                _ => {}
            }
            self.last = *byte;
        }
    }

    /// Whether a bracket or a string is open.
    pub(crate) fn is_open(&self) -> bool {
        self.depth > 0 || self.in_string
    }

    /// Whether a string is open.
    pub(crate) fn in_string(&self) -> bool {
        self.in_string
    }

    /// Treats an open string as closed.
    pub(crate) fn close_string(&mut self) {
        (self.in_string, self.escaped) = (false, false);
    }

    /// Whether `line` can continue the text read so far.
    ///
    /// A line that begins with `{`, as every record of NDJSON does, continues it only where a value
    /// is allowed: after `:`, after `[`, or after `,` in an array. So in
    ///
    /// ```text
    /// {"a": 1,
    /// {"b": 2}
    /// ```
    ///
    /// the second line begins a new record, because a `,` in an object needs a key next.
    pub(crate) fn can_continue_with(&self, line: &[u8]) -> bool {
        let value_allowed = match self.last {
            b':' | b'[' => true,
            b',' => self.arrays & 1 == 1,
            _ => false,
        };
        value_allowed || !line.starts_with(b"{")
    }
}
