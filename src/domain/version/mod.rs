//! Versions of Kolibri as clients write them (docs/protocol.md, 9.1): what they mean for the reply, and how they sort.

mod order;
mod range;

use std::cmp::Ordering;

pub use range::{Range, RangeError};

/// A readable version: three numeric parts, and the suffix as far as it can be read.
///
/// Versions sort as the previous server and Kolibri 0.12 sorted them (docs/protocol.md, 10.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    numbers: [u64; 3],
    /// Parsed once, since it is compared with every message; empty for a final version.
    suffix: Box<[order::Identifier]>,
    is_alpha_or_beta: bool,
}

impl Version {
    /// Reads a version that begins with three numeric parts; an unreadable suffix is ignored.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let (numbers, suffix) = numbers(text)?;
        Some(Self::of(numbers, suffix).unwrap_or_else(|| Self::final_of(numbers)))
    }

    /// `None` if the suffix cannot be read.
    fn of(numbers: [u64; 3], suffix: &str) -> Option<Self> {
        if suffix.is_empty() {
            return Some(Self::final_of(numbers));
        }
        let is_alpha_or_beta = is_alpha_or_beta(suffix);
        Some(Self { numbers, suffix: order::identifiers(suffix)?.into(), is_alpha_or_beta })
    }

    fn final_of(numbers: [u64; 3]) -> Self {
        Self { numbers, suffix: Box::default(), is_alpha_or_beta: false }
    }

    /// Whether it is a release, neither a pre-release nor a development build.
    #[must_use]
    pub fn is_final(&self) -> bool {
        self.suffix.is_empty()
    }

    /// Whether this client understands `{"id", "messages"}`: from 0.11 on, whose alphas and betas count as earlier versions
    /// (docs/protocol.md, 5.2 and 11.2).
    #[must_use]
    pub fn takes_json(&self) -> bool {
        const FIRST: [u64; 3] = [0, 11, 0];
        self.numbers > FIRST || (self.numbers == FIRST && !self.is_alpha_or_beta)
    }

    /// `N` of a release line `0.N` below 0.100.
    #[must_use]
    pub fn release_line(&self) -> Option<usize> {
        let [major, minor, _] = self.numbers;
        usize::try_from(minor).ok().filter(|&line| major == 0 && line < RELEASE_LINES)
    }
}

/// The release line of a version, `0.N`, or `other`.
#[must_use]
pub fn release(version: &str) -> String {
    let line = Version::read(version).as_ref().and_then(Version::release_line);
    line.map_or_else(|| "other".to_owned(), |line| format!("0.{line}"))
}

/// The kind of build of a version: `release`, `pre-release`, `development`, or `unknown` if it cannot be read.
#[must_use]
pub fn build(version: &str) -> &'static str {
    let Some((_, suffix)) = numbers(version) else { return "unknown" };
    let suffix = suffix.strip_prefix('-').unwrap_or(suffix);
    if version.contains("dev") {
        "development"
    } else if suffix.starts_with(['a', 'b', 'c']) || suffix.starts_with("rc") {
        "pre-release"
    } else {
        "release"
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        self.numbers.cmp(&other.numbers).then_with(|| order::suffixes(&self.suffix, &other.suffix))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The three numeric parts, and the rest.
fn numbers(text: &str) -> Option<([u64; 3], &str)> {
    let (major, rest) = number(text)?;
    let (minor, rest) = number(rest.strip_prefix('.')?)?;
    let (patch, rest) = number(rest.strip_prefix('.')?)?;
    Some(([major, minor, patch], rest))
}

/// Number of distinct release lines.
pub const RELEASE_LINES: usize = 100;

/// Leading digits as a number (one too large for 64 bits is the largest), and the rest.
fn number(text: &str) -> Option<(u64, &str)> {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    (!digits.is_empty()).then(|| (digits.parse().unwrap_or(u64::MAX), rest))
}

/// `aN`, `bN`, also written out or dashed (`-alpha-0`).
fn is_alpha_or_beta(suffix: &str) -> bool {
    let text = suffix.strip_prefix(['-', '.', '_']).unwrap_or(suffix).to_ascii_lowercase();
    ["alpha", "beta", "a", "b"].iter().any(|name| {
        // The rest must not continue the word.
        text.strip_prefix(name).is_some_and(|rest| !rest.starts_with(|next: char| next.is_alphabetic()))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn clients_from_0_11_on_take_json() {
        for (version, expected) in [
            ("0.7.2", Some(false)),
            ("0.10.3", Some(false)),
            ("0.10.99", Some(false)),
            ("0.11.0a3", Some(false)),
            ("0.11.0b2", Some(false)),
            ("0.11.0a1.dev0+git.12.gabcdef12", Some(false)),
            ("0.11.0-alpha-0", Some(false)),
            ("0.11.0-beta1", Some(false)),
            ("0.11.0rc1", Some(true)),
            ("0.11.0.dev0+git.20190101000000", Some(true)),
            ("0.11.0", Some(true)),
            ("0.11.0 something", Some(true)),
            ("0.11.0.1", Some(true)),
            ("0.11.0abc", Some(true)),
            ("0.12.0a1", Some(true)),
            ("0.19.5", Some(true)),
            ("1.0.0", Some(true)),
            ("0.99999999999999999999999.0", Some(true)),
            ("0.16", None),
            ("v0.16.0", None),
            (" 0.16.0", None),
            ("", None),
            ("unknown", None),
            ("0.16.x", None),
            ("0..1", None),
            ("-1.0.0", None),
        ] {
            assert_eq!(Version::read(version).as_ref().map(Version::takes_json), expected, "{version}");
        }
    }

    #[test]
    fn release_lines_are_read_from_versions() {
        let line = |version| Version::read(version).as_ref().and_then(Version::release_line);
        assert_eq!(line("0.19.5"), Some(19));
        assert_eq!(line("0.99.0rc1"), Some(99));
        assert_eq!(line("0.100.0"), None);
        assert_eq!(line("1.2.0"), None);
    }

    #[test]
    fn builds_have_a_kind_and_a_release_line() {
        for (version, release_line, kind) in [
            ("0.17.5", "0.17", "release"),
            ("0.9.3", "0.9", "release"),
            ("0.17.5 something", "0.17", "release"),
            ("0.19.0rc1", "0.19", "pre-release"),
            ("0.11.0-alpha-0", "0.11", "pre-release"),
            ("0.11.0b2", "0.11", "pre-release"),
            ("0.16.0.dev0+git.1", "0.16", "development"),
            ("0.100.0", "other", "release"),
            ("1.2.0", "other", "release"),
            ("٣.1.2", "other", "unknown"),
            ("0.16", "other", "unknown"),
            ("", "other", "unknown"),
        ] {
            assert_eq!((release(version).as_str(), build(version)), (release_line, kind), "{version}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text: String, version in "[0-9]{0,3}\\.[0-9]{0,30}\\.?[0-9]{0,3}.{0,20}") {
            let _ = Version::read(&text);
            let _ = Version::read(&version).as_ref().map(Version::takes_json);
        }
    }
}
