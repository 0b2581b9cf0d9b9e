//! What must be done now and then: the months that pings will fall into are made ahead, and what other processes left
//! uncounted is counted.

use std::time::Duration;

use crate::{domain::Clock, store::Store};

/// Between two rounds; months are made three ahead, so a day of failures harms nothing.
const MONTHS: Duration = Duration::from_hours(1);
/// Between two looks for what nobody counts.
const LEFT: Duration = Duration::from_mins(1);
/// So old nothing is of a process that will still count it. Taken from a living one by mistake it is counted once too.
const OLD: Duration = Duration::from_mins(5);

/// Runs for ever.
pub async fn run(store: Store, clock: impl Clock) {
    tokio::join!(prepare_months(&store, &clock), count_left(&store, &clock));
}

async fn prepare_months(store: &Store, clock: &impl Clock) {
    loop {
        if let Err(error) = store.prepare_months(clock.now()).await {
            tracing::warn!(%error, "cannot prepare the coming months");
        }
        pause(MONTHS).await;
    }
}

/// At the start all: most of it is what this process left when it ended last time.
async fn count_left(store: &Store, clock: &impl Clock) {
    let mut all = true;
    loop {
        match store.count_left((!all).then(|| clock.now() - OLD)).await {
            Ok(()) => all = false,
            Err(error) => tracing::warn!(%error, "cannot count what was left uncounted"),
        }
        pause(LEFT).await;
    }
}

async fn pause(about: Duration) {
    tokio::time::sleep(about.mul_f32(0.9 + 0.2 * fastrand::f32())).await;
}
