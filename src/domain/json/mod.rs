//! A tolerant reader of one JSON object: one pass, no recursion, no tree.
//!
//! It reads RFC 8259 and what Python's encoder adds (`NaN`, `Infinity`, `-Infinity`: read as null), as well as lone
//! surrogates in `\u` escapes, numbers of any length and duplicate keys, all of which common parsers reject
//! (docs/decisions/0001-own-json-reader.md). Nesting is limited to [`MAX_DEPTH`].

mod scanner;
mod unescape;

#[cfg(test)]
mod tests;

use std::borrow::Cow;

use serde_json::Value;

use scanner::Scanner;
use unescape::unescape;

/// Largest nesting of objects and lists, including the outermost.
pub const MAX_DEPTH: u32 = 64;

/// The text is not a JSON object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a JSON object")]
pub struct NotAnObject;

/// The text of one well-formed value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Raw<'a>(&'a str);

/// Iterates over the entries of an object; only whitespace may follow its end.
#[derive(Debug)]
pub struct Entries<'a> {
    scanner: Scanner<'a>,
    first: bool,
}

impl<'a> Entries<'a> {
    /// Skips whitespace and a byte order mark at the beginning.
    ///
    /// # Errors
    /// The text does not begin with an object.
    pub fn of_object(text: &'a str) -> Result<Self, NotAnObject> {
        let mut scanner = Scanner { text, at: 0 };
        scanner.skip_white_space();
        if text[scanner.at..].starts_with('\u{feff}') {
            scanner.at += '\u{feff}'.len_utf8();
            scanner.skip_white_space();
        }
        scanner.expect(b'{')?;
        Ok(Self { scanner, first: true })
    }

    /// The next key and value; `None` after the last.
    ///
    /// # Errors
    /// The rest is not JSON, is nested too deeply, or the object is followed by other text.
    pub fn next_entry(&mut self) -> Result<Option<(Cow<'a, str>, Raw<'a>)>, NotAnObject> {
        let scanner = &mut self.scanner;
        scanner.skip_white_space();
        if scanner.peek() == Some(b'}') {
            scanner.at += 1;
            scanner.skip_white_space();
            return if scanner.peek().is_none() { Ok(None) } else { Err(NotAnObject) };
        }
        if !self.first {
            scanner.expect(b',')?;
            scanner.skip_white_space();
        }
        self.first = false;
        let key = scanner.string()?;
        scanner.skip_white_space();
        scanner.expect(b':')?;
        scanner.skip_white_space();
        let value = scanner.value(1)?;
        Ok(Some((unescape(key), value)))
    }
}

impl<'a> Raw<'a> {
    /// The text of a value that was read before; `None` if it is empty.
    pub(super) fn of_value(text: &'a str) -> Option<Self> {
        (!text.is_empty()).then_some(Self(text))
    }

    /// The text as it was sent.
    #[must_use]
    pub fn as_str(self) -> &'a str {
        self.0
    }

    fn first(self) -> u8 {
        self.0.as_bytes()[0]
    }

    /// A string, unescaped; U+0000 and lone surrogates become U+FFFD.
    #[must_use]
    pub fn string(self) -> Option<Cow<'a, str>> {
        (self.first() == b'"').then(|| unescape(&self.0[1..self.0.len() - 1]))
    }

    /// The text of a number; `None` for `NaN` and infinities.
    #[must_use]
    pub fn number(self) -> Option<&'a str> {
        let number = match self.first() {
            b'0'..=b'9' => true,
            b'-' => self.0.as_bytes()[1].is_ascii_digit(),
            _ => false,
        };
        number.then_some(self.0)
    }

    /// `true` or `false`.
    #[must_use]
    pub fn boolean(self) -> Option<bool> {
        match self.0 {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    /// The entries in order, duplicates included; empty if it is not an object.
    pub fn entries(self) -> impl Iterator<Item = (Cow<'a, str>, Raw<'a>)> {
        let mut entries = Entries::of_object(self.0).ok();
        std::iter::from_fn(move || entries.as_mut()?.next_entry().ok().flatten())
    }

    /// The elements of a list; empty if it is not a list.
    pub fn elements(self) -> impl Iterator<Item = Raw<'a>> {
        let mut scanner = Scanner { text: self.0, at: 0 };
        let mut open = scanner.expect(b'[').is_ok();
        std::iter::from_fn(move || {
            while open {
                scanner.skip_white_space();
                match scanner.peek() {
                    Some(b',') => scanner.at += 1,
                    Some(b']') | None => open = false,
                    Some(_) => return scanner.value(1).ok(),
                }
            }
            None
        })
    }

    /// Whether it is an object.
    #[must_use]
    pub fn is_object(self) -> bool {
        self.first() == b'{'
    }

    /// Whether it is a list.
    #[must_use]
    pub fn is_list(self) -> bool {
        self.first() == b'['
    }

    /// A tree of at most `nodes` values that both stores accept: strings cleaned, the last of duplicate keys, null for
    /// numbers that are not a finite double. `None` if it would be larger.
    #[must_use]
    pub fn tree(self, nodes: usize) -> Option<Value> {
        let mut left = nodes;
        self.grow(&mut left)
    }

    // Recursion is bounded: the reader has rejected nesting deeper than MAX_DEPTH.
    fn grow(self, left: &mut usize) -> Option<Value> {
        *left = left.checked_sub(1)?;
        Some(match self.first() {
            b'{' => {
                let mut map = serde_json::Map::new();
                for (key, value) in self.entries() {
                    map.insert(key.into_owned(), value.grow(left)?);
                }
                Value::Object(map)
            }
            b'[' => Value::Array(self.elements().map(|value| value.grow(left)).collect::<Option<_>>()?),
            b'"' => Value::String(self.string()?.into_owned()),
            b't' => Value::Bool(true),
            b'f' => Value::Bool(false),
            _ => self.number().map_or(Value::Null, finite),
        })
    }
}

/// A number as both stores keep it: a 64-bit integer, otherwise the nearest double, otherwise null.
fn finite(text: &str) -> Value {
    if let Ok(integer) = text.parse::<i64>() {
        return integer.into();
    }
    if let Ok(integer) = text.parse::<u64>() {
        return integer.into();
    }
    // `parse` accepts every number of the scanner; an overflow is infinite, which `Value` turns into null.
    text.parse::<f64>().map_or(Value::Null, Value::from)
}
