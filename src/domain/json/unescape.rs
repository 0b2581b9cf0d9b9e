//! The content of string literals.

use std::borrow::Cow;

/// The content of a string literal, unescaped and cleaned.
pub(super) fn unescape(literal: &str) -> Cow<'_, str> {
    if !literal.as_bytes().contains(&b'\\') {
        return Cow::Borrowed(literal);
    }
    let mut text = String::with_capacity(literal.len());
    let mut rest = literal;
    while let Some(backslash) = rest.find('\\') {
        text.push_str(&rest[..backslash]);
        let escape = rest.as_bytes()[backslash + 1];
        rest = &rest[backslash + 2..];
        text.push(match escape {
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let unit = hex4(rest);
                rest = &rest[4..];
                character(unit, &mut rest)
            }
            other => char::from(other),
        });
    }
    text.push_str(rest);
    Cow::Owned(text)
}

/// The character of a UTF-16 unit, taking the second half of a surrogate pair from `rest`.
fn character(unit: u32, rest: &mut &str) -> char {
    if unit == 0 {
        return char::REPLACEMENT_CHARACTER;
    }
    if (0xd800..0xdc00).contains(&unit) && rest.starts_with("\\u") {
        let low = hex4(&rest[2..]);
        if (0xdc00..0xe000).contains(&low) {
            *rest = &rest[6..];
            let code = 0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
            return char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
        }
    }
    char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// Four hexadecimal digits, which the scanner has checked.
fn hex4(digits: &str) -> u32 {
    u32::from_str_radix(&digits[..4], 16).unwrap_or(0xfffd)
}
