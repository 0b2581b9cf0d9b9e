//! How suffixes of versions sort: as in the previous server and Kolibri 0.12 (docs/protocol.md, 10.3).
//!
//! They converted Python versions into semantic versions: `0.16.0b10` became the pre-release `b.10.c`, and a final
//! version became the pre-release `c`. So alphas and betas sort below their final version, release candidates and
//! untagged development builds above it.

use std::{cmp::Ordering, sync::LazyLock};

/// A part of a pre-release; numbers sort below words (semver.org, 11.4).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Identifier {
    Number(u64),
    Word(String),
}

/// The suffix of a final version.
static FINAL: LazyLock<[Identifier; 1]> = LazyLock::new(|| [Identifier::Word("c".into())]);

/// Compares the suffixes of two versions, which are empty for final ones.
pub(super) fn suffixes(a: &[Identifier], b: &[Identifier]) -> Ordering {
    or_final(a).cmp(or_final(b))
}

fn or_final(suffix: &[Identifier]) -> &[Identifier] {
    if suffix.is_empty() { &FINAL[..] } else { suffix }
}

/// The identifiers of the pre-release for a suffix; `None` if it cannot be converted.
pub(super) fn identifiers(suffix: &str) -> Option<Vec<Identifier>> {
    let (tag, development) = suffix.split_at(suffix.find(".dev").unwrap_or(suffix.len()));
    let tag = tag.trim_matches('-').trim_matches('+').trim_matches('.');
    let tag = tag.split_once('+').map_or(tag, |(tag, _local)| tag);
    let tag = match letter_and_number(tag) {
        Some((letter, number)) => format!("{letter}.{number}"),
        None => tag.to_owned(),
    };
    let pre_release = if development.is_empty() {
        format!("{tag}.c").trim_matches('.').to_owned()
    } else {
        tag + &development.replace(['+', '-'], ".")
    };
    pre_release.trim_matches('-').trim_start_matches('.').split('.').map(identifier).collect()
}

/// Splits `a10…` into `a` and `10`; ignores what follows the digits.
fn letter_and_number(tag: &str) -> Option<(char, &str)> {
    let letter = tag.chars().next().filter(char::is_ascii_lowercase)?;
    let rest = &tag[1..];
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    (digits > 0).then(|| (letter, &rest[..digits]))
}

fn identifier(text: &str) -> Option<Identifier> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        None
    } else if !is_number {
        Some(Identifier::Word(text.to_owned()))
    } else if text.len() > 1 && text.starts_with('0') {
        None
    } else {
        // Numbers beyond 64 bits exceed those of all real builds.
        Some(Identifier::Number(text.parse().unwrap_or(u64::MAX)))
    }
}
