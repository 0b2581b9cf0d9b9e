//! Version ranges of messages (docs/protocol.md, 10.3).

use std::fmt;

use super::{Version, numbers};

/// Versions that satisfy all comparisons of a list; all versions if the list is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range(Vec<Comparison>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Comparison {
    operator: Operator,
    bound: Version,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
}

/// Longer ones first, because shorter ones are prefixes of them.
const OPERATORS: [(&str, Operator); 6] = [
    ("<=", Operator::LessOrEqual),
    (">=", Operator::GreaterOrEqual),
    ("==", Operator::Equal),
    ("!=", Operator::NotEqual),
    ("<", Operator::Less),
    (">", Operator::Greater),
];

/// Why a text is not a version range: the comparison, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RangeError {
    /// Number of the comparison, from 1.
    pub comparison: usize,
    /// What is wrong with it.
    pub problem: &'static str,
}

impl fmt::Display for RangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "comparison {} {}", self.comparison, self.problem)
    }
}

impl Range {
    /// All versions.
    #[must_use]
    pub fn all() -> Self {
        Self(Vec::new())
    }

    /// Reads `*`, or comparisons separated by commas: `<`, `<=`, `>`, `>=`, `==` or `!=`, then a version of three
    /// numeric parts. Empty text means `*`.
    ///
    /// # Errors
    /// Any other text, because Kolibri versions treat it as an error or interpret it differently.
    pub fn read(text: &str) -> Result<Self, RangeError> {
        if text.is_empty() || text == "*" {
            return Ok(Self::all());
        }
        let comparison =
            |(index, text)| read_comparison(text).map_err(|problem| RangeError { comparison: index + 1, problem });
        // All Kolibri versions ignore a trailing comma.
        text.strip_suffix(',')
            .unwrap_or(text)
            .split(',')
            .enumerate()
            .map(comparison)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether the version is in the range.
    #[must_use]
    pub fn contains(&self, version: &Version) -> bool {
        self.0.iter().all(|Comparison { operator, bound }| match operator {
            Operator::Less => version < bound,
            Operator::LessOrEqual => version <= bound,
            Operator::Greater => version > bound,
            Operator::GreaterOrEqual => version >= bound,
            Operator::Equal => version.cmp(bound).is_eq(),
            Operator::NotEqual => version.cmp(bound).is_ne(),
        })
    }

    /// Whether all bounds are final versions. Kolibri versions disagree about others.
    #[must_use]
    pub fn has_final_bounds(&self) -> bool {
        self.0.iter().all(|comparison| comparison.bound.is_final())
    }
}

fn read_comparison(text: &str) -> Result<Comparison, &'static str> {
    if text.is_empty() {
        return Err("is empty");
    }
    if text.contains(char::is_whitespace) {
        return Err("contains a space");
    }
    let (operator, version) = OPERATORS
        .iter()
        .find_map(|(sign, operator)| Some((*operator, text.strip_prefix(sign)?)))
        .ok_or("does not begin with `<`, `<=`, `>`, `>=`, `==` or `!=`")?;
    if !version.starts_with(|first: char| first.is_ascii_digit()) {
        return Err("has no version after its operator");
    }
    let (numbers, suffix) = numbers(version).ok_or("has no version of three numeric parts")?;
    // Clients reject them, although `016` is 16.
    let second_is_digit = |number: &str| number.as_bytes().get(1).is_some_and(u8::is_ascii_digit);
    if version.split('.').take(3).any(|number| number.starts_with('0') && second_is_digit(number)) {
        return Err("has a version with a zero before a number");
    }
    let bound = Version::of(numbers, suffix).ok_or("has a version that cannot be read")?;
    Ok(Comparison { operator, bound })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// The result of the previous server's code for each pair: true, false, or an error.
    #[test]
    fn ranges_match_as_in_the_previous_server() {
        let vectors: Value =
            serde_json::from_str(include_str!("../../../tests/data/kolibri/version-range-vectors.json")).unwrap();
        let rows = vectors["rows"].as_array().unwrap();
        assert_eq!(rows.len(), 949);
        let mut wrong = Vec::new();
        for row in rows {
            let (version, range) = (row[0].as_str().unwrap(), row[1].as_str().unwrap());
            let ours = match (strict(version), Range::read(range)) {
                (_, Ok(range)) if range.0.is_empty() => Value::Bool(true),
                (Some(version), Ok(range)) => Value::Bool(range.contains(&version)),
                _ => Value::String("error".into()),
            };
            if ours != row[2] {
                wrong.push(format!("{version} {range}: {ours} instead of {}", row[2]));
            }
        }
        assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    }

    /// The previous server failed on a suffix that it could not read; we ignore the suffix.
    fn strict(text: &str) -> Option<Version> {
        let (numbers, suffix) = numbers(text)?;
        Version::of(numbers, suffix)
    }

    #[test]
    fn errors_name_the_comparison() {
        for (text, problem) in [
            (">=0.15.0, <0.18.0", "comparison 2 contains a space"),
            ("<0.16.0,,>=0.15.0", "comparison 2 is empty"),
            ("0.15.0", "comparison 1 does not begin with `<`, `<=`, `>`, `>=`, `==` or `!=`"),
            ("=0.15.0", "comparison 1 does not begin with `<`, `<=`, `>`, `>=`, `==` or `!=`"),
            ("~0.15.0", "comparison 1 does not begin with `<`, `<=`, `>`, `>=`, `==` or `!=`"),
            ("<0.15.0,>=v0.15.0", "comparison 2 has no version after its operator"),
            ("===0.15.0", "comparison 1 has no version after its operator"),
            ("<0.15", "comparison 1 has no version of three numeric parts"),
            ("<0.15.x", "comparison 1 has no version of three numeric parts"),
            ("<0.016.0", "comparison 1 has a version with a zero before a number"),
            (">=00.15.0", "comparison 1 has a version with a zero before a number"),
            (">=0.15.00a1", "comparison 1 has a version with a zero before a number"),
            ("<0.15.0ä", "comparison 1 has a version that cannot be read"),
            ("**", "comparison 1 does not begin with `<`, `<=`, `>`, `>=`, `==` or `!=`"),
        ] {
            assert_eq!(Range::read(text).unwrap_err().to_string(), problem, "{text}");
        }
    }

    #[test]
    fn an_unreadable_suffix_is_ignored() {
        let range = Range::read(">=0.16.0,<=0.16.0").unwrap();
        for version in ["0.16.0", "0.16.0 something", "0.16.0ä", "0.16.0a..1"] {
            assert!(range.contains(&Version::read(version).unwrap()), "{version}");
        }
        assert!(!range.contains(&Version::read("0.16.0a1").unwrap()));
    }

    prop_compose! {
        /// Versions as in docs/protocol.md, 9.1, and similar texts.
        fn version()(
            numbers in prop::array::uniform3(0u32..4),
            suffix in "(a[0-9]{1,2}|b[0-9]{1,2}|rc[0-9]|\\.post1|-alpha-?[0-9])?(\\.dev[0-9]?([+.-]git[.-][0-9]{1,3})?)?(\\+[a-z]{1,3})?|.{0,8}",
        ) -> String {
            format!("{}.{}.{}{suffix}", numbers[0], numbers[1], numbers[2])
        }
    }

    proptest! {
        #[test]
        fn never_panics(range: String, version: String, shaped in "[<>=!~]{0,3}[0-9]{0,2}(\\.[0-9]{0,22}){0,4}[a-z.+,-]{0,9}") {
            for text in [&range, &shaped] {
                if let (Ok(range), Some(version)) = (Range::read(text), Version::read(&version)) {
                    let _ = range.contains(&version);
                }
            }
        }

        #[test]
        fn versions_have_one_order(texts in prop::array::uniform3(version())) {
            let [Some(a), Some(b), Some(c)] = texts.each_ref().map(|text| Version::read(text)) else {
                return Err(TestCaseError::fail("three numbers are always readable"));
            };
            prop_assert_eq!(a.cmp(&b), b.cmp(&a).reverse());
            if a <= b && b <= c {
                prop_assert!(a <= c);
            }
            let bound = |sign: &str| Range::read(&format!("{sign}{}.{}.{}", b.numbers[0], b.numbers[1], b.numbers[2])).unwrap();
            prop_assert_eq!(bound("<").contains(&a), !bound(">=").contains(&a));
            prop_assert_eq!(bound(">").contains(&a), !bound("<=").contains(&a));
            prop_assert_eq!(bound("==").contains(&a), !bound("!=").contains(&a));
        }
    }
}
