//! What a record says about a place, in any of the forms that databases have.
//!
//! | database | record |
//! |---|---|
//! | `MaxMind`, DB-IP | `{country: {iso_code}, subdivisions: [{iso_code}, …], …}` |
//! | `IPinfo` | `{country_code, country: a name, …}`, or `{country: a code, …}` |
//! | ip-location-db | `{country_code}` |

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use crate::domain::place::Place;

/// The fields that are looked at; each may have any type.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Record<'a> {
    #[serde(borrow)]
    country_code: Code<'a>,
    #[serde(borrow)]
    country: Code<'a>,
    #[serde(borrow)]
    subdivisions: Code<'a>,
}

impl Record<'_> {
    /// The place, unknown if no field has a code.
    pub(super) fn place(&self) -> Place {
        let subdivision = self.subdivisions.0.unwrap_or_default();
        let place = |code: Option<&str>| Place::of(code.unwrap_or_default(), subdivision);
        // Where there is a code beside it, `country` is a name.
        match place(self.country_code.0) {
            unknown if unknown == Place::default() => place(self.country.0),
            place => place,
        }
    }
}

/// A text, the `iso_code` of a map, or the same of the first item of a list.
#[derive(Debug, Default, Clone, Copy)]
struct Code<'a>(Option<&'a str>);

impl<'de: 'a, 'a> Deserialize<'de> for Code<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reading).map(Self)
    }
}

struct Reading;

impl<'de> Visitor<'de> for Reading {
    type Value = Option<&'de str>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any value")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Some(text))
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut found = None;
        while let Some(key) = map.next_key::<&str>()? {
            if key == "iso_code" {
                found = map.next_value::<Code<'de>>()?.0;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut list: S) -> Result<Self::Value, S::Error> {
        let first = list.next_element::<Code<'de>>()?;
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(first.and_then(|code| code.0))
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bytes<E: Error>(self, _: &[u8]) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u128<E: Error>(self, _: u128) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }
}
