//! When periods in which something has changed are counted again.

use chrono::NaiveDate;
use thiserror::Error;

use super::StoreError;
use crate::domain::{
    digest::activity::Group,
    period::{Grain, Period},
};

/// Why nothing was counted.
#[derive(Debug, Error)]
#[error("{error}")]
pub struct CountError {
    /// The period that was to be counted; none if the store could not even be asked for one.
    pub period: Option<Period>,
    /// Why not.
    pub error: StoreError,
}

impl From<StoreError> for CountError {
    fn from(error: StoreError) -> Self {
        Self { period: None, error }
    }
}

/// A period that is to be counted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Due {
    pub period: Period,
    /// How often it had changed when this was found.
    pub changes: i64,
    /// Whether there is no later one of its length. Then the latest pings of its installations are their last ones in it, and the
    /// installations tell all but the number of pings: cheap enough to count it again every minute.
    pub is_last: bool,
}

/// A row of a count, as both stores give it.
type GroupRow = (bool, String, String, String, Option<NaiveDate>, i64, i64, Option<i64>);

/// What it says.
pub(super) fn group(row: GroupRow) -> Group {
    let (ordinary, kolibri_version, os, country, cohort, instances, new_instances, pings) = row;
    Group { ordinary, kolibri_version, os, country, cohort, instances, new_instances, pings }
}

/// Between two counts of a period: seconds, and so many times what the last one took. Counting the same period again and again
/// takes half a processor at most.
pub(super) fn pauses(grain: Grain) -> (i32, i32) {
    match grain {
        // With what the count itself takes: within two minutes of a change.
        Grain::Day => (60, 1),
        Grain::Week | Grain::Month => (300, 10),
    }
}
