//! Versions of Kolibri as senders write them (PROTOCOL.md 9.1), and what a version means for the reply.

/// The part after the three numbers, as far as it matters for the reply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Suffix {
    /// `aN`, `bN`, also written out or dashed (`-alpha-0`): sorts before the final version.
    AlphaOrBeta,
    /// Anything else, readable or not, or nothing.
    Other,
}

/// A readable version: three numeric parts and a suffix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    numbers: [u64; 3],
    suffix: Suffix,
}

impl Version {
    /// Reads a version that begins with three numeric parts; a suffix that cannot be read is left out of account.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let (major, rest) = number(text)?;
        let (minor, rest) = number(rest.strip_prefix('.')?)?;
        let (patch, rest) = number(rest.strip_prefix('.')?)?;
        Some(Self { numbers: [major, minor, patch], suffix: suffix(rest) })
    }

    /// Whether this client understands `{"id", "messages"}`: from 0.11, whose alphas and betas count as before it
    /// (PROTOCOL.md 5.2 and 11.2).
    #[must_use]
    pub fn takes_json(self) -> bool {
        const FIRST: [u64; 3] = [0, 11, 0];
        self.numbers > FIRST || (self.numbers == FIRST && self.suffix == Suffix::Other)
    }

    /// `N` of a release line `0.N` below 0.100.
    #[must_use]
    pub fn release_line(self) -> Option<usize> {
        let [major, minor, _] = self.numbers;
        usize::try_from(minor).ok().filter(|&line| major == 0 && line < RELEASE_LINES)
    }
}

/// How many release lines are told apart.
pub const RELEASE_LINES: usize = 100;

/// Leading digits as a number (one too large for 64 bits is the largest), and what follows.
fn number(text: &str) -> Option<(u64, &str)> {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    (!digits.is_empty()).then(|| (digits.parse().unwrap_or(u64::MAX), rest))
}

fn suffix(text: &str) -> Suffix {
    let text = text.strip_prefix(['-', '.', '_']).unwrap_or(text);
    let lower = text.to_ascii_lowercase();
    for name in ["alpha", "beta", "a", "b"] {
        // What follows must not make it another word.
        if let Some(rest) = lower.strip_prefix(name)
            && !rest.starts_with(|next: char| next.is_alphabetic())
        {
            return Suffix::AlphaOrBeta;
        }
    }
    Suffix::Other
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn who_takes_json() {
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
            assert_eq!(Version::read(version).map(Version::takes_json), expected, "{version}");
        }
    }

    #[test]
    fn release_lines() {
        let line = |version| Version::read(version).and_then(Version::release_line);
        assert_eq!(line("0.19.5"), Some(19));
        assert_eq!(line("0.99.0rc1"), Some(99));
        assert_eq!(line("0.100.0"), None);
        assert_eq!(line("1.2.0"), None);
    }

    proptest! {
        #[test]
        fn never_panics(text: String, version in "[0-9]{0,3}\\.[0-9]{0,30}\\.?[0-9]{0,3}.{0,20}") {
            let _ = Version::read(&text);
            let _ = Version::read(&version).map(Version::takes_json);
        }
    }
}
