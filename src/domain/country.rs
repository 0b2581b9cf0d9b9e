//! Countries, by the codes of ISO 3166-1 alpha-2.

use std::{fmt, str};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

/// The codes: for each first letter, the second letters. `XK` is not in the standard, but every database of addresses that
/// knows Kosovo calls it so.
const CODES: [(&str, &str); 26] = [
    ("A", "DEFGILMOQRSTUWXZ"),
    ("B", "ABDEFGHIJLMNOQRSTVWYZ"),
    ("C", "ACDFGHIKLMNORUVWXYZ"),
    ("D", "EJKMOZ"),
    ("E", "CEGHRST"),
    ("F", "IJKMOR"),
    ("G", "ABDEFGHILMNPQRSTUWY"),
    ("H", "KMNRTU"),
    ("I", "DELMNOQRST"),
    ("J", "EMOP"),
    ("K", "EGHIMNPRWYZ"),
    ("L", "ABCIKRSTUVY"),
    ("M", "ACDEFGHKLMNOPQRSTUVWXYZ"),
    ("N", "ACEFGILOPRUZ"),
    ("O", "M"),
    ("P", "AEFGHKLMNRSTWY"),
    ("Q", "A"),
    ("R", "EOSUW"),
    ("S", "ABCDEGHIJKLMNORSTVXYZ"),
    ("T", "CDFGHJKLMNORTVWZ"),
    ("U", "AGMSYZ"),
    ("V", "ACEGINU"),
    ("W", "FS"),
    ("X", "K"),
    ("Y", "ET"),
    ("Z", "AMW"),
];

/// A country.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Country([u8; 2]);

impl Country {
    /// Reads a code in capital letters; `None` if no country has it.
    #[must_use]
    pub fn read(code: &str) -> Option<Self> {
        Self::of(code.as_bytes().try_into().ok()?)
    }

    fn of(code: [u8; 2]) -> Option<Self> {
        let (_, seconds) = CODES.get(usize::from(code[0].checked_sub(b'A')?))?;
        seconds.as_bytes().contains(&code[1]).then_some(Self(code))
    }

    /// All countries, in the order of their codes.
    pub fn all() -> impl Iterator<Item = Self> {
        let codes =
            CODES.iter().flat_map(|(first, seconds)| seconds.chars().map(move |second| format!("{first}{second}")));
        codes.filter_map(|code| Self::read(&code))
    }

    /// The code.
    #[must_use]
    pub fn code(&self) -> &str {
        // Only `read` makes one, from letters of ASCII.
        str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The country that is meant by what is no code: letters in lower case, or a common mistake.
    #[must_use]
    pub fn meant_by(text: &str) -> Option<Self> {
        let mut code: [u8; 2] = text.trim().as_bytes().try_into().ok()?;
        code.make_ascii_uppercase();
        Self::of(if code == *b"UK" { *b"GB" } else { code })
    }

    /// A regular expression of all codes.
    #[must_use]
    pub fn pattern() -> String {
        let letters =
            CODES.map(
                |(first, seconds)| {
                    if seconds.len() == 1 { [first, seconds].concat() } else { format!("{first}[{seconds}]") }
                },
            );
        format!("^({})$", letters.join("|"))
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl Serialize for Country {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

impl<'de> Deserialize<'de> for Country {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = String::deserialize(deserializer)?;
        Self::read(&code).ok_or_else(|| D::Error::custom("not a code of ISO 3166-1"))
    }
}

impl JsonSchema for Country {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Country".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "pattern": Self::pattern(),
            "examples": ["TZ"],
            "x-kind": "a country's code of ISO 3166-1",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_standard() {
        let all: Vec<_> = Country::all().map(|country| country.to_string()).collect();
        // The standard has 249, and `XK` is the other one.
        assert_eq!(all.len(), 250);
        assert!(all.is_sorted());
        let capitals = || (b'A'..=b'Z').map(char::from);
        let read = capitals().flat_map(|first| capitals().map(move |second| format!("{first}{second}")));
        assert_eq!(read.filter(|code| Country::read(code).is_some()).collect::<Vec<_>>(), all);
        for code in ["", "T", "TZA", "tz", "Tz", "EU", "UK", "ZZ", "AP", "T1", "@A", "[A", "é", "\u{ff34}Z"] {
            assert_eq!(Country::read(code), None, "{code}");
        }
    }

    #[test]
    fn common_mistakes_are_recognised() {
        for (text, meant) in [
            ("tz", Some("TZ")),
            ("uk", Some("GB")),
            ("UK", Some("GB")),
            (" KE", Some("KE")),
            ("EU", None),
            ("Kenya", None),
        ] {
            assert_eq!(Country::meant_by(text), meant.and_then(Country::read), "{text}");
        }
    }

    #[test]
    fn the_pattern_has_all_codes() {
        let pattern = Country::pattern();
        assert!(
            pattern.starts_with("^(A[DEFGILMOQRSTUWXZ]|B[") && pattern.ends_with("|XK|Y[ET]|Z[AMW])$"),
            "{pattern}"
        );
        assert!(pattern.contains("|OM|"));
    }
}
