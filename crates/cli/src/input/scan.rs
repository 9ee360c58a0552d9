//! How deep in JSON a stream is, without parsing it.

/// What has been seen since the beginning of a record: open brackets and strings.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Scan {
    depth: u32,
    /// The open brackets, innermost in the lowest bit; set for `[`. Those more than 128 levels out are forgotten: no event
    /// is that deep.
    arrays: u128,
    string: bool,
    escape: bool,
    /// The last byte outside strings that is no white space; `"` for a string.
    last: u8,
}

impl Scan {
    /// Looks at the next bytes.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if self.string {
                match byte {
                    _ if self.escape => self.escape = false,
                    b'\\' => self.escape = true,
                    b'"' => self.string = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' => continue,
                b'"' => self.string = true,
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
        self.depth > 0 || self.string
    }

    /// Whether a string is open.
    pub(crate) fn in_string(&self) -> bool {
        self.string
    }

    /// Forgets that a string is open.
    pub(crate) fn end_string(&mut self) {
        (self.string, self.escape) = (false, false);
    }

    /// Whether a line can follow what was seen. One that begins with `{`, as every record of NDJSON does, can only
    /// where a value may stand.
    pub(crate) fn may_go_on_with(&self, line: &[u8]) -> bool {
        let value_may_stand = match self.last {
            b':' | b'[' => true,
            b',' => self.arrays & 1 == 1,
            _ => false,
        };
        value_may_stand || !line.starts_with(b"{")
    }
}
