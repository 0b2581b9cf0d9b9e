//! Who learns and who coaches: numbers by gender and by age, out of what devices tell of groups (docs/protocol.md, 7).
//! A device sends them of ten people or more.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Genders as they are sent.
pub const GENDERS: [&str; 4] = ["FEMALE", "MALE", "NOT_SPECIFIED", "DEFERRED"];

/// Ages at which a bin begins, but for the first one, which begins with 0.
const AGES: [f64; 6] = [18.0, 25.0, 35.0, 45.0, 55.0, 65.0];

/// People of one facility; nothing where nothing was told that can be.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Demographics {
    /// In the order of [`GENDERS`].
    pub genders: Option<[i64; 4]>,
    /// An estimate in seven bins.
    pub ages: Option<[f64; 7]>,
}

impl Demographics {
    /// Of the JSON text of a column, reported in this year.
    #[must_use]
    pub fn read(text: &str, year: i32) -> Self {
        let Ok(told) = serde_json::from_str::<Value>(text) else { return Self::default() };
        let genders = told.get("gc").filter(|genders| genders.is_object()).map(|genders| {
            GENDERS.map(|gender| {
                // Between bounds that an integer holds.
                #[expect(clippy::cast_possible_truncation, reason = "a number of people")]
                between(genders.get(gender), 0.0, 1e6).map_or(0, |number| number as i64)
            })
        });
        Self { genders, ages: told.get("bys").and_then(|years| ages(years, f64::from(year))) }
    }
}

/// Birth years as a normal distribution with their mean `a` and deviation `sd`; `ts` people told theirs.
fn ages(years: &Value, year: f64) -> Option<[f64; 7]> {
    let mean = year - between(years.get("a"), 1850.0, 2150.0)?;
    let deviation = between(years.get("sd"), 0.0, 200.0)?.max(0.01);
    let number = between(years.get("ts"), 1.0, 1e6)?;
    let mut below = [1.0; 7];
    for (below, age) in below.iter_mut().zip(AGES) {
        *below = normal_below((age - mean) / deviation);
    }
    let mut since = 0.0;
    Some(below.map(|until| {
        let share = until - since;
        since = until;
        number * share
    }))
}

/// A number within bounds; nothing for anything else that a device may have sent.
fn between(value: Option<&Value>, low: f64, high: f64) -> Option<f64> {
    value?.as_f64().filter(|number| (low..=high).contains(number))
}

/// The part of a normal distribution below z (Abramowitz and Stegun 26.2.17; off by less than 0.0000001).
fn normal_below(z: f64) -> f64 {
    let k = 1.0 / (1.0 + 0.231_641_9 * z.abs());
    let polynomial = [1.330_274_429, -1.821_255_978, 1.781_477_937, -0.356_563_782, 0.319_381_530];
    let sum = polynomial.into_iter().fold(0.0, |sum, factor| sum * k + factor) * k;
    let tail = (-z * z / 2.0).exp() * 0.398_942_280_401_432_7 * sum;
    if z < 0.0 { tail } else { 1.0 - tail }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_has_an_age() {
        for (z, below) in [(0.0, 0.5), (1.96, 0.975), (-1.0, 0.1587), (-40.0, 0.0), (40.0, 1.0)] {
            assert!((normal_below(z) - below).abs() < 0.0001, "{z}");
        }
        // Of a thousand, born 20 years before the report with a deviation of 5: 34.5 % are younger than 18, and so on.
        let told = r#"{"bys": {"a": 2006, "sd": 5, "ts": 1000}, "gc": {"FEMALE": 9, "MALE": 991, "OTHER": 50}}"#;
        let read = Demographics::read(told, 2026);
        let ages = read.ages.unwrap().map(f64::round);
        assert_eq!(ages[..3], [345.0, 497.0, 157.0]);
        assert!((read.ages.unwrap().iter().sum::<f64>() - 1000.0).abs() < 0.01);
        assert_eq!(read.genders, Some([9, 991, 0, 0]));
        let one_year = Demographics::read(r#"{"bys": {"a": 1980, "sd": 0, "ts": 9}}"#, 2026);
        let nine_of_46 = one_year.ages.unwrap()[4];
        assert!((nine_of_46 - 9.0).abs() < 0.01, "{one_year:?}");
    }

    #[test]
    fn strange_numbers_are_left_out() {
        for strange in [
            "",
            "null",
            "[]",
            "{}",
            r#"{"bys": {"a": null, "sd": null, "ts": null}}"#,
            r#"{"bys": {"a": 1e300, "sd": 1, "ts": 5}}"#,
            r#"{"bys": {"a": 2000, "sd": 1, "ts": -5}, "gc": [1]}"#,
        ] {
            assert_eq!(Demographics::read(strange, 2026), Demographics::default(), "{strange}");
        }
        let many = r#"{"gc": {"FEMALE": 1e200, "MALE": "many", "DEFERRED": 12}}"#;
        assert_eq!(Demographics::read(many, 2026).genders, Some([0, 0, 0, 12]));
    }
}
