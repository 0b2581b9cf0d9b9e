//! Days, weeks and months in UTC: what activity is counted by.

use chrono::{Datelike, Days, Months, NaiveDate};

use super::Timestamp;

/// How long a period is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grain {
    /// From midnight.
    Day,
    /// From Monday.
    Week,
    /// From the first day.
    Month,
}

/// A day, week or month.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period {
    /// How long it is.
    pub grain: Grain,
    /// Its first day.
    pub begins: NaiveDate,
}

impl Grain {
    /// From the shortest.
    pub const ALL: [Self; 3] = [Self::Day, Self::Week, Self::Month];

    /// As it is in the tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// The period of this length that a moment is in.
    #[must_use]
    pub fn of(self, moment: Timestamp) -> Period {
        let day = moment.date_naive();
        let begins = match self {
            Self::Day => day,
            Self::Week => day - Days::new(day.weekday().num_days_from_monday().into()),
            Self::Month => month_of(day),
        };
        Period { grain: self, begins }
    }
}

impl Period {
    /// The one from a moment to before another.
    #[must_use]
    pub fn between(since: Timestamp, until: Timestamp) -> Option<Self> {
        let is_it = |period: &Self| midnight(period.begins) == since && midnight(period.ends()) == until;
        Grain::ALL.into_iter().map(|grain| grain.of(since)).find(is_it)
    }

    /// The day after its last.
    #[must_use]
    pub fn ends(self) -> NaiveDate {
        match self.grain {
            Grain::Day => self.begins + Days::new(1),
            Grain::Week => self.begins + Days::new(7),
            Grain::Month => self.begins + Months::new(1),
        }
    }
}

/// The first day of a day's month.
#[must_use]
pub fn month_of(day: NaiveDate) -> NaiveDate {
    day - Days::new(day.day0().into())
}

/// The beginning of a day.
#[must_use]
pub fn midnight(day: NaiveDate) -> Timestamp {
    day.and_time(chrono::NaiveTime::MIN).and_utc()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_of_a_moment() {
        for (moment, grain, begins, ends) in [
            ("2026-11-29T23:59:59.999999Z", Grain::Day, "2026-11-29", "2026-11-30"),
            ("2026-11-29T23:59:59.999999Z", Grain::Week, "2026-11-23", "2026-11-30"),
            ("2026-11-30T00:00:00Z", Grain::Week, "2026-11-30", "2026-12-07"),
            ("2024-02-29T12:00:00Z", Grain::Month, "2024-02-01", "2024-03-01"),
            ("2026-12-31T12:00:00Z", Grain::Month, "2026-12-01", "2027-01-01"),
        ] {
            let period = grain.of(moment.parse().unwrap());
            assert_eq!((period.begins.to_string().as_str(), period.ends().to_string().as_str()), (begins, ends));
            let (since, until) = (midnight(period.begins), midnight(period.ends()));
            assert_eq!(Period::between(since, until), Some(period));
            assert_eq!(Period::between(since, until - chrono::TimeDelta::seconds(1)), None);
        }
    }
}
