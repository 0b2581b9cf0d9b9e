//! The grammar: where a value ends.

use super::{MAX_DEPTH, NotAnObject, Raw};

/// A position in the text.
#[derive(Debug)]
pub(super) struct Scanner<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
}

impl<'a> Scanner<'a> {
    pub(super) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    pub(super) fn skip_white_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    pub(super) fn expect(&mut self, byte: u8) -> Result<(), NotAnObject> {
        if self.peek() == Some(byte) {
            self.at += 1;
            Ok(())
        } else {
            Err(NotAnObject)
        }
    }

    /// Scans one value; `outside` is the number of objects and lists around it.
    ///
    /// The kinds of the open ones are bits of one word, the innermost in the lowest bit: 1 for an object, 0 for a list.
    pub(super) fn value(&mut self, outside: u32) -> Result<Raw<'a>, NotAnObject> {
        let start = self.at;
        let mut kinds: u64 = 0;
        let mut open = 0;
        loop {
            // Begin of a value.
            match self.peek().ok_or(NotAnObject)? {
                bracket @ (b'{' | b'[') => {
                    self.at += 1;
                    open += 1;
                    if outside + open > MAX_DEPTH {
                        return Err(NotAnObject);
                    }
                    kinds = kinds << 1 | u64::from(bracket == b'{');
                    self.skip_white_space();
                    if self.peek() != Some(closing(kinds)) {
                        self.key(kinds)?;
                        continue;
                    }
                }
                b'"' => {
                    self.string()?;
                }
                b'-' | b'0'..=b'9' => self.number()?,
                _ => self.literal()?,
            }
            // End of a value, or of an empty object or list.
            loop {
                if open == 0 {
                    return Ok(Raw(&self.text[start..self.at]));
                }
                self.skip_white_space();
                let byte = self.peek().ok_or(NotAnObject)?;
                self.at += 1;
                if byte == closing(kinds) {
                    kinds >>= 1;
                    open -= 1;
                } else if byte == b',' {
                    self.skip_white_space();
                    self.key(kinds)?;
                    break;
                } else {
                    return Err(NotAnObject);
                }
            }
        }
    }

    /// Scans a key and its colon, up to the value.
    fn key(&mut self, kinds: u64) -> Result<(), NotAnObject> {
        if kinds & 1 == 1 {
            self.string()?;
            self.skip_white_space();
            self.expect(b':')?;
            self.skip_white_space();
        }
        Ok(())
    }

    /// Scans a string literal; returns its content.
    pub(super) fn string(&mut self) -> Result<&'a str, NotAnObject> {
        self.expect(b'"')?;
        let start = self.at;
        let bytes = self.text.as_bytes();
        loop {
            match *bytes.get(self.at).ok_or(NotAnObject)? {
                b'"' => {
                    self.at += 1;
                    return Ok(&self.text[start..self.at - 1]);
                }
                b'\\' => {
                    let length = match bytes.get(self.at + 1) {
                        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 2,
                        Some(b'u') => 6,
                        _ => return Err(NotAnObject),
                    };
                    let digits = bytes.get(self.at + 2..self.at + length).ok_or(NotAnObject)?;
                    if !digits.iter().all(u8::is_ascii_hexdigit) {
                        return Err(NotAnObject);
                    }
                    self.at += length;
                }
                0..=0x1f => return Err(NotAnObject),
                _ => self.at += 1,
            }
        }
    }

    fn number(&mut self) -> Result<(), NotAnObject> {
        if self.peek() == Some(b'-') {
            self.at += 1;
            if self.peek() == Some(b'I') {
                return self.literal();
            }
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), NotAnObject> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { Err(NotAnObject) }
    }

    fn literal(&mut self) -> Result<(), NotAnObject> {
        let rest = &self.text.as_bytes()[self.at..];
        for literal in ["null", "true", "false", "NaN", "Infinity"] {
            if rest.starts_with(literal.as_bytes()) {
                self.at += literal.len();
                return Ok(());
            }
        }
        Err(NotAnObject)
    }
}

/// The byte that closes the innermost open object or list.
fn closing(kinds: u64) -> u8 {
    if kinds & 1 == 1 { b'}' } else { b']' }
}
